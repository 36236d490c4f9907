/* SPDX-License-Identifier: MIT */
/* vpjnd candidates: exact JPEG candidates of one picture, without a codec. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datasets/dataset.h"
#include "host/commands.h"
#include "host/image.h"
#include "host/jpeg_plan.h"
#include "host/progress.h"
#include "host/ranges.h"

struct arguments {
    const char *image, *folder;
    struct vj_ranges qf;
    enum vj_subsampling sampling;
    struct vj_image_options read;
};

enum { KEY_QF = 256, KEY_SAMPLING, KEY_ALPHA };

static const struct argp_option options[] = {
    {"qf", KEY_QF, "LIST", 0, "quality factors 1..100, e.g. 1,35,100 or 1-100", 0},
    {"sampling", KEY_SAMPLING, "420|444", 0, "chroma sampling of colour pictures [420]", 0},
    {"alpha", KEY_ALPHA, "MODE", 0, "transparent pixels: refuse, black, white [refuse]", 0},
    {"output", 'o', "DIR", 0, "folder for the PNGs; made when absent", 0},
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
    case 'o':
        a->folder = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (a->image)
            argp_error(state, "one picture at a time; '%s' is the second", arg);
        a->image = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->image)
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
    .args_doc = "IMAGE",
    .doc =
        "Writes DIR/NAME_QQQ.png, the picture as it comes out of JPEG at quality factor QQQ, and "
        "prints one `qf<TAB>bytes` line for each: pixels and file size are exactly those of "
        "libjpeg-turbo with default settings, computed without encoding.",
};

/* "a/b/photo.jpeg" -> "photo"; the caller frees it. */
static char *base_name(const char *path)
{
    char *copy = strdup(path);
    if (!copy)
        return NULL;
    char *name = strdup(basename(copy));
    free(copy);
    if (!name)
        return NULL;
    char *dot = strrchr(name, '.');
    if (dot && dot != name)
        *dot = '\0';
    return name;
}

/* out: room for the picture's candidates */
static int write_candidate(const struct arguments *a, int qf, struct vj_image *out,
                           struct vj_jpeg_plan *plan, struct vj_jpeg_scratch *scratch,
                           const char *name, struct vj_error *err)
{
    int64_t bytes;
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s/%s_%03d.png", a->folder, name, qf);
    if (n < 0 || (size_t)n >= sizeof(path))
        return vj_fail(err, -ENAMETOOLONG, "output path below %s is too long", a->folder);
    int r = vj_jpeg_plan_decode(plan, qf, out->data, scratch, err);
    if (!r)
        r = vj_jpeg_plan_size(plan, qf, VJ_JPEG_CODING_STANDARD, &bytes, scratch, err);
    if (r)
        vj_fail_prefix(err, "%s: candidate at quality factor %d", a->image, qf);
    else
        r = vj_image_write_png(out, path, err);
    if (!r)
        printf("%d\t%" PRId64 "\n", qf, bytes);
    return r;
}

static int write_candidates(const struct arguments *a, const struct vj_image *img,
                            struct vj_jpeg_plan *plan, struct vj_jpeg_scratch *scratch,
                            const char *name, struct vj_error *err)
{
    struct vj_image out = {0};
    int r = vj_image_alloc(&out, img->width, img->height, img->channels, err);
    for (int qf = 1; !r && qf <= VJ_QF_MAX; qf++)
        if (vj_ranges_has(&a->qf, qf))
            r = write_candidate(a, qf, &out, plan, scratch, name, err);
    vj_image_free(&out);
    return r;
}

int vj_cmd_candidates(int argc, char **argv)
{
    struct arguments a = {.sampling = VJ_SUBSAMPLING_420};
    argp_parse(&argp, argc, argv, 0, NULL, &a);

    struct vj_error err = {0};
    struct vj_image img = {0};
    struct vj_jpeg_plan *plan = NULL;
    struct vj_jpeg_scratch *scratch = NULL;
    char *name = NULL;
    int status = VJ_EXIT_USAGE;
    int r = 0;
    if (mkdir(a.folder, 0777) != 0 && errno != EEXIST) {
        r = vj_fail(&err, -errno, "cannot make folder %s: %s", a.folder, strerror(errno));
        goto out;
    }
    name = base_name(a.image);
    if (!name) {
        r = vj_fail(&err, -ENOMEM, "out of memory");
        goto out;
    }
    status = VJ_EXIT_SOME_FAILED; /* from here on it is the picture that fails */
    r = vj_image_read(&img, a.image, &a.read, &err);
    if (!r)
        r = vj_jpeg_plan_create(&plan, &img, a.sampling, &err);
    if (!r)
        r = vj_jpeg_scratch_create(&scratch, img.width, img.height, img.channels, a.sampling, &err);
    if (!r) {
        status = VJ_EXIT_USAGE;
        r = write_candidates(&a, &img, plan, scratch, name, &err);
    }
out:
    if (r)
        vj_error_show(&err);
    vj_jpeg_scratch_free(scratch);
    vj_jpeg_plan_free(plan);
    vj_image_free(&img);
    free(name);
    vj_ranges_free(&a.qf);
    return r ? status : VJ_EXIT_OK;
}
