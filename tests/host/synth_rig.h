/* SPDX-License-Identifier: MIT */
/* `vpjnd synth` in a child, the sets that it writes, and its observer over again. */
#ifndef VJ_TESTS_HOST_SYNTH_RIG_H
#define VJ_TESTS_HOST_SYNTH_RIG_H

#include "tests/vj_test.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "datasets/dataset.h"
#include "host/commands.h"
#include "host/image.h"
#include "host/quality.h"

/* Runs `vpjnd synth WORDS...` in a child, because argp exits on wrong usage; stderr into `errors`.
 */
static inline int synth_run(const char *words, char *errors, size_t size)
{
    char *argv[32] = {(char *)"vpjnd synth"}, *copy = strdup(words), *rest = NULL;
    int argc = 1, channel[2];
    for (char *w = strtok_r(copy, " ", &rest); w && argc < 31; w = strtok_r(NULL, " ", &rest))
        argv[argc++] = w;
    assert_int_equal(pipe(channel), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(channel[1], STDERR_FILENO);
        dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
        close(channel[0]);
        close(channel[1]);
        int status = vj_cmd_synth(argc, argv);
        fflush(NULL);
        _exit(status);
    }
    close(channel[1]);
    size_t used = 0;
    for (ssize_t n; used + 1 < size && (n = read(channel[0], errors + used, size - 1 - used)) > 0;)
        used += (size_t)n;
    errors[used] = '\0';
    close(channel[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    free(copy);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline struct vj_dataset *synth_open(const char *folder, const char *candidates)
{
    struct vj_dataset *ds;
    struct vj_error err = {0};
    const struct vj_dataset_options opt = {.root = folder, .candidates = candidates};
    if (vj_dataset_open(&ds, "synthetic", &opt, &err))
        fail_msg("%s", err.text);
    return ds;
}

static inline struct vj_item synth_item(const struct vj_dataset *ds, size_t index)
{
    struct vj_item item;
    struct vj_error err = {0};
    if (vj_dataset_item(ds, index, &item, &err))
        fail_msg("%s", err.text);
    if (item.status)
        fail_msg("%s: %s", item.name, item.error);
    return item;
}

static inline struct vj_image synth_candidate(const struct vj_image *source, int qf)
{
    struct vj_image img;
    uint8_t *file;
    size_t size;
    assert_int_equal(vj_jpeg_encode(&file, &size, source, qf, VJ_SUBSAMPLING_420, NULL), 0);
    assert_int_equal(vj_image_read_memory(&img, file, size, "candidate.jpg", NULL, NULL), 0);
    free(file);
    return img;
}

/* The observer's definition, over again, with the codec in place of the candidate model. */
static inline int synth_observe(const struct vj_image *source)
{
    struct vj_quality_reference *ref;
    struct vj_quality_scratch *scratch;
    struct vj_image anchor = synth_candidate(source, 100);
    int jnd = VJ_QF_UNKNOWN;
    assert_int_equal(
        vj_quality_reference_create(&ref, source->width, source->height, VJ_QUALITY_MS_SSIM, NULL),
        0);
    assert_int_equal(vj_quality_scratch_create(&scratch, source->width, source->height,
                                               VJ_QUALITY_MS_SSIM, NULL),
                     0);
    assert_int_equal(vj_quality_reference_load(ref, &anchor, NULL), 0);
    for (int qf = 1; qf < 100; qf++) {
        struct vj_image img = synth_candidate(source, qf);
        struct vj_quality_values v;
        assert_int_equal(vj_quality_compute(ref, img.data, scratch, &v), 0);
        if (v.ms_ssim < 0.9922)
            jnd = qf;
        vj_image_free(&img);
    }
    vj_quality_scratch_free(scratch);
    vj_quality_reference_free(ref);
    vj_image_free(&anchor);
    return jnd;
}

/* 0 when the two trees hold the same files with the same content. */
static inline int synth_compare_trees(const char *a, const char *b)
{
    char command[9000];
    snprintf(command, sizeof(command), "diff -r '%s' '%s' >/dev/null", a, b);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
