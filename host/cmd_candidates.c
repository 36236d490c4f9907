/* SPDX-License-Identifier: MIT */
/* vpjnd candidates: exact JPEG candidates of any pictures, as pixels or files, without a codec. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/files.h"
#include "host/checked.h"
#include "host/commands.h"
#include "host/common_options.h"
#include "host/image.h"
#include "host/jpeg_plan.h"
#include "host/outputs.h"
#include "host/parallel.h"
#include "host/pictures.h"
#include "host/progress.h"
#include "host/ranges.h"

struct arguments {
    struct vj_pictures pictures;
    const char *folder;
    bool jpeg; /* files of JPEG, not decoded pixels */
    struct vj_ranges qf;
    enum vj_subsampling sampling;
    struct vj_image_options read;
    int threads;
};

enum { KEY_QF = 256, KEY_SAMPLING, KEY_ALPHA, KEY_THREADS, KEY_FORMAT };

static const struct argp_option options[] = {
    {"qf", KEY_QF, "LIST", 0, "quality factors 1..100, e.g. 1,35,100 or 1-100", 0},
    {"sampling", KEY_SAMPLING, "420|444", 0, "chroma sampling of colour pictures [420]", 0},
    {"alpha", KEY_ALPHA, "MODE", 0, "transparent pixels: refuse, black, white [refuse]", 0},
    {"threads", KEY_THREADS, "N", 0, "candidates made at the same time [all processors]", 0},
    {"format", KEY_FORMAT, "png|jpg", 0,
     "png: the pixels that come out of JPEG; jpg: the JPEG files themselves [png]", 0},
    {"output", 'o', "DIR", 0, "folder for the files; made when absent", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    struct vj_error err = {0};
    switch (key) {
    case KEY_QF:
        vj_ranges_free(&a->qf);
        if (vj_ranges_parse(&a->qf, arg, 1, VJ_QF_MAX))
            argp_error(state,
                       "--qf: '%s' is not a list of different quality factors 1..100 such as "
                       "1,35,90-100",
                       arg);
        return 0;
    case KEY_SAMPLING:
        if (strcmp(arg, "420") != 0 && strcmp(arg, "444") != 0)
            argp_error(state, "--sampling: '%s' is neither 420 nor 444", arg);
        a->sampling = arg[2] == '0' ? VJ_SUBSAMPLING_420 : VJ_SUBSAMPLING_444;
        return 0;
    case KEY_ALPHA:
        if (vj_alpha_mode_parse(&a->read.alpha, arg, &err))
            argp_error(state, "--alpha: %s", err.text);
        return 0;
    case KEY_THREADS:
        if (vj_parse_threads(&a->threads, arg, &err))
            argp_error(state, "%s", err.text);
        return 0;
    case KEY_FORMAT:
        if (strcmp(arg, "png") != 0 && strcmp(arg, "jpg") != 0)
            argp_error(state, "--format: '%s' is neither png nor jpg", arg);
        a->jpeg = arg[0] == 'j';
        return 0;
    case 'o':
        a->folder = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (vj_pictures_add(&a->pictures, arg, &err))
            argp_failure(state, VJ_EXIT_USAGE, 0, "%s", err.text);
        return 0;
    case ARGP_KEY_END:
        if (!a->pictures.count)
            argp_error(state, "no picture given");
        if (!a->qf.count)
            argp_error(state, "say which candidates: --qf 1,35,100");
        if (!a->folder)
            argp_error(state, "say where to write them: -o DIR");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "IMAGE|FOLDER...",
    .doc =
        "Writes DIR/NAME_QQQ.png, the picture as it comes out of JPEG at quality factor QQQ, and "
        "prints one line for each, path of the picture, quality factor and bytes, separated by "
        "tabs: pixels and file size are exactly those of libjpeg-turbo with default settings, "
        "computed without encoding. With --format jpg the files are those that libjpeg-turbo "
        "would write, byte for byte, without metadata. Of a folder those in it and its sub-folders "
        "are taken; what "
        "lies in a sub-folder is written to DIR/SUBFOLDER/NAME_QQQ.png. A picture that cannot be "
        "read is reported, and the others are done all the same.",
};

/* out: the caller frees it */
static int candidate_path(char **out, const struct arguments *a, const struct vj_outputs *outputs,
                          size_t index, int qf, struct vj_error *err)
{
    char ending[16];
    snprintf(ending, sizeof(ending), "_%03d.%s", qf, a->jpeg ? "jpg" : "png");
    return vj_outputs_path(out, outputs, index, ending, err);
}

/* photos/x.png would replace photos/x_035.png with -o photos. */
static int check_none_replaced(const struct arguments *a, const struct vj_outputs *outputs,
                               struct vj_error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < a->pictures.count; i++) {
        for (int qf = 1; !r && qf <= VJ_QF_MAX; qf++) {
            char *path;
            if (!vj_ranges_has(&a->qf, qf))
                continue;
            r = candidate_path(&path, a, outputs, i, qf, err);
            if (!r)
                r = vj_outputs_check(outputs, path, err);
            free(path);
        }
    }
    return r;
}

/* A picture in work. */
struct work {
    const char *path;
    size_t index; /* among those given */
    size_t width, height;
    int channels;
    struct vj_jpeg_plan *plan;
};

static int open_picture(struct work *w, const struct arguments *a, struct vj_error *err)
{
    struct vj_image img;
    int r = vj_image_read(&img, w->path, &a->read, err);
    if (r)
        return r;
    w->width = img.width;
    w->height = img.height;
    w->channels = img.channels;
    r = vj_jpeg_plan_create(&w->plan, &img, a->sampling, err);
    vj_image_free(&img);
    return r;
}

/* What one thread makes its candidates in. */
struct room {
    struct vj_image img; /* none for JPEG files */
    struct vj_jpeg_scratch *scratch;
};

static int open_room(struct room *room, const struct work *w, const struct arguments *a,
                     struct vj_error *err)
{
    int r = a->jpeg ? 0 : vj_image_alloc(&room->img, w->width, w->height, w->channels, err);
    return r ? r
             : vj_jpeg_scratch_create(&room->scratch, w->width, w->height, w->channels, a->sampling,
                                      err);
}

static void close_room(struct room *room)
{
    vj_jpeg_scratch_free(room->scratch);
    vj_image_free(&room->img);
}

/* The candidates of a picture. */
struct job {
    const struct work *w;
    const struct arguments *a;
    const struct vj_outputs *outputs;
    struct room *room; /* [threads] */
    int count, qf[VJ_QF_MAX];
    int64_t bytes[VJ_QF_MAX]; /* 0 until it is written */
};

static int write_png(const struct job *job, int qf, const char *path, int64_t *bytes,
                     struct vj_error *err)
{
    const struct vj_jpeg_plan *plan = job->w->plan;
    struct room *room = &job->room[omp_get_thread_num()];
    int r = vj_jpeg_plan_decode(plan, qf, room->img.data, room->scratch, err);
    if (!r)
        r = vj_jpeg_plan_size(plan, qf, VJ_JPEG_CODING_STANDARD, bytes, room->scratch, err);
    if (r)
        vj_fail_prefix(err, "%s: candidate at quality factor %d", job->w->path, qf);
    return r ? r : vj_image_write_png(&room->img, path, err);
}

static int write_candidate(void *user, size_t i, struct vj_error *err)
{
    struct job *job = user;
    const int qf = job->qf[i];
    int64_t bytes;
    char *path;
    int r = candidate_path(&path, job->a, job->outputs, job->w->index, qf, err);
    if (!r && job->a->jpeg)
        r = vj_jpeg_plan_write(job->w->plan, qf, VJ_JPEG_CODING_STANDARD, path, &bytes,
                               job->room[omp_get_thread_num()].scratch, err);
    else if (!r)
        r = write_png(job, qf, path, &bytes, err);
    if (!r)
        job->bytes[i] = bytes;
    free(path);
    return r;
}

static int write_list(struct job *job, struct vj_error *err)
{
    const int threads = job->count < job->a->threads ? job->count : job->a->threads;
    int r = 0;
    job->room = vj_calloc((size_t)threads, sizeof(*job->room));
    if (!job->room)
        return vj_fail(err, -ENOMEM, "out of memory");
    for (int t = 0; !r && t < threads; t++)
        r = open_room(&job->room[t], job->w, job->a, err);
    if (!r)
        r = vj_parallel((size_t)job->count, threads, write_candidate, job, err);
    for (int t = 0; t < threads; t++)
        close_room(&job->room[t]);
    free(job->room);
    return r;
}

static int write_candidates(const struct work *w, const struct arguments *a,
                            const struct vj_outputs *outputs, struct vj_error *err)
{
    struct job job = {.w = w, .a = a, .outputs = outputs};
    for (int qf = 1; qf <= VJ_QF_MAX; qf++)
        if (vj_ranges_has(&a->qf, qf))
            job.qf[job.count++] = qf;
    int r = vj_outputs_make_folders(outputs, w->index, err);
    if (!r)
        r = write_list(&job, err);
    for (int i = 0; i < job.count; i++)
        if (job.bytes[i])
            printf("%s\t%d\t%" PRId64 "\n", w->path, job.qf[i], job.bytes[i]);
    fflush(stdout);
    return r;
}

/*
 * failed: counts the pictures that cannot be read
 * Errors: of writing, which the next picture would meet, too
 */
static int write_all(const struct arguments *a, const struct vj_outputs *outputs, size_t *failed,
                     struct vj_error *err)
{
    int r = vj_make_folder(a->folder, err);
    for (size_t i = 0; !r && i < a->pictures.count; i++) {
        struct work w = {.path = a->pictures.picture[i].path, .index = i};
        if (open_picture(&w, a, err)) {
            vj_picture_show_failure(w.path, err->text);
            ++*failed;
        } else {
            r = write_candidates(&w, a, outputs, err);
        }
        vj_jpeg_plan_free(w.plan);
    }
    return r;
}

int vj_cmd_candidates(int argc, char **argv)
{
    struct arguments a = {.sampling = VJ_SUBSAMPLING_420, .threads = omp_get_num_procs()};
    argp_parse(&argp, argc, argv, 0, NULL, &a);

    struct vj_error err = {0};
    struct vj_outputs outputs;
    size_t failed = 0;
    int r =
        vj_outputs_init(&outputs, &a.pictures, a.folder, a.jpeg ? "_QQQ.jpg" : "_QQQ.png", &err);
    if (!r)
        r = check_none_replaced(&a, &outputs, &err);
    if (!r)
        r = write_all(&a, &outputs, &failed, &err);
    vj_outputs_free(&outputs);
    vj_pictures_free(&a.pictures);
    vj_ranges_free(&a.qf);
    if (r) {
        vj_error_show(&err);
        return VJ_EXIT_USAGE;
    }
    return failed ? VJ_EXIT_SOME_FAILED : VJ_EXIT_OK;
}
