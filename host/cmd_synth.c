/* SPDX-License-Identifier: MIT */
/*
 * vpjnd synth: procedural pictures and windows of photographs in the layout of MCL-JCI, labelled by
 * a synthetic observer.
 */
#include <argp.h>
#include <errno.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets/dataset.h"
#include "datasets/generator.h"
#include "host/checked.h"
#include "host/commands.h"
#include "host/common_options.h"
#include "host/image.h"
#include "host/progress.h"
#include "host/quality_math.h"
#include "host/synth_folder.h"
#include "host/synth_observer.h"
#include "host/synth_photos.h"

enum {
    COUNT_DEFAULT = 50,
    COUNT_MAX = VJ_SYNTH_COUNT_MAX,
    SIDE_MAX = 16384,
};

struct arguments {
    const char *folder;
    const char **photos; /* argc of them; owned by the command */
    size_t photos_given;
    size_t count; /* 0 = not said */
    size_t procedural, crops, width, height;
    uint64_t seed;
    bool files, shrink, fade, expose, camera,
        window_option; /* window_option: one that means nothing without photos */
    int threads;
};

enum {
    KEY_COUNT = 256,
    KEY_SIZE,
    KEY_SEED,
    KEY_PHOTOS,
    KEY_CROPS,
    KEY_SHRINK,
    KEY_FADE,
    KEY_EXPOSE,
    KEY_CAMERA,
    KEY_PROCEDURAL,
    KEY_FILES,
    KEY_THREADS
};

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0, "folder of the data set; made when absent", 0},
    {"count", KEY_COUNT, "N", 0,
     "number of pictures, 1..9999 [50]; with --photos of windows at most [all]", 0},
    {"size", KEY_SIZE, "WxH", 0, "pixels, both sides 176..16384 [1920x1080]", 0},
    {"seed", KEY_SEED, "N", 0, "which collection of pictures [1]", 0},
    {"photos", KEY_PHOTOS, "PATH", 0,
     "windows of this photograph, or of those in this folder and below it; may be repeated", 0},
    {"crops", KEY_CROPS, "N", 0, "windows of every photograph, 1..9999 [1]", 0},
    {"shrink", KEY_SHRINK, NULL, 0,
     "cut windows also from photographs reduced by 2 and 3, where they are large enough", 0},
    {"fade", KEY_FADE, NULL, 0,
     "lower the contrast of every second window of a photograph, to 9..71 % of what it was", 0},
    {"expose", KEY_EXPOSE, NULL, 0,
     "brighten or darken two of every four windows of a photograph until 10..60 % of their samples "
     "are white or black",
     0},
    {"camera", KEY_CAMERA, NULL, 0,
     "do to four of every eight windows of a photograph some of what cameras and web pages do: "
     "enlarge by up to 2, add noise, sharpen, remove colours, compress as JPEG",
     0},
    {"procedural", KEY_PROCEDURAL, "N", 0,
     "with --photos: procedural pictures in front of the windows, 0..9998 [0]", 0},
    {"files", KEY_FILES, NULL, 0, "also write the 100 JPEG candidates of every picture", 0},
    {"threads", KEY_THREADS, "N", 0, "pictures made at the same time [processors]", 0},
    {0},
};

/* A decimal number that ends at *end or, when end is NULL, with the text. */
static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value,
                         const char **end)
{
    char *stop;
    errno = 0;
    if (*text < '0' || *text > '9')
        return false;
    unsigned long long n = strtoull(text, &stop, 10);
    if (errno || n < min || n > max || (!end && *stop))
        return false;
    if (end)
        *end = stop;
    *value = n;
    return true;
}

static bool parse_size(struct arguments *a, const char *text)
{
    uint64_t width, height;
    const char *rest;
    if (!parse_number(text, VJ_MS_SSIM_MIN_SIDE, SIDE_MAX, &width, &rest) || *rest != 'x' ||
        !parse_number(rest + 1, VJ_MS_SSIM_MIN_SIDE, SIDE_MAX, &height, NULL))
        return false;
    a->width = (size_t)width;
    a->height = (size_t)height;
    return true;
}

static size_t parse_count(struct argp_state *state, const char *option, const char *text,
                          uint64_t min, uint64_t max)
{
    uint64_t n = 0;
    if (!parse_number(text, min, max, &n, NULL))
        argp_error(state, "%s: '%s' is not a whole number %d..%d", option, text, (int)min,
                   (int)max);
    return (size_t)n;
}

static void check_arguments(const struct arguments *a, struct argp_state *state)
{
    if (!a->folder)
        argp_error(state, "say where to write the data set: -o DIR");
    if (a->window_option && !a->photos_given)
        argp_error(
            state,
            "--crops, --shrink, --fade, --expose, --camera and --procedural go with --photos");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    struct vj_error err = {0};
    switch (key) {
    case 'o':
        a->folder = arg;
        return 0;
    case KEY_COUNT:
        a->count = parse_count(state, "--count", arg, 1, COUNT_MAX);
        return 0;
    case KEY_SIZE:
        if (!parse_size(a, arg))
            argp_error(state,
                       "--size: '%s' is not WIDTHxHEIGHT with both sides %d..%d (the observer's "
                       "MS-SSIM has no value for smaller pictures)",
                       arg, VJ_MS_SSIM_MIN_SIDE, SIDE_MAX);
        return 0;
    case KEY_SEED:
        if (!parse_number(arg, 0, UINT64_MAX, &a->seed, NULL))
            argp_error(state, "--seed: '%s' is not a whole number 0..2^64-1", arg);
        return 0;
    case KEY_PHOTOS:
        a->photos[a->photos_given++] = arg;
        return 0;
    case KEY_CROPS:
        a->crops = parse_count(state, "--crops", arg, 1, COUNT_MAX);
        a->window_option = true;
        return 0;
    case KEY_SHRINK:
        a->shrink = a->window_option = true;
        return 0;
    case KEY_FADE:
        a->fade = a->window_option = true;
        return 0;
    case KEY_EXPOSE:
        a->expose = a->window_option = true;
        return 0;
    case KEY_CAMERA:
        a->camera = a->window_option = true;
        return 0;
    case KEY_PROCEDURAL:
        a->procedural = parse_count(state, "--procedural", arg, 0, COUNT_MAX - 1);
        a->window_option = true;
        return 0;
    case KEY_FILES:
        a->files = true;
        return 0;
    case KEY_THREADS:
        if (vj_parse_threads(&a->threads, arg, &err))
            argp_error(state, "%s", err.text);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'", arg);
        return 0;
    case ARGP_KEY_END:
        check_arguments(a, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Writes procedural pictures, or windows of photographs, in the layout of MCL-JCI, for "
           "data sets `synthetic`: source_images/[BMP], SQF_data, with --files distorted_image, "
           "and " VJ_SYNTH_MARKER
           ". The labels are those of a synthetic observer: the " VJ_OBSERVER_RULE
           ". They are not human data. The same settings and photographs give the same files.",
};

/* ---- one picture ---- */

/* What one thread works with; all memory but the photograph's is taken once. */
struct worker {
    struct vj_image picture, photo;
    size_t photo_index; /* which photograph `photo` is, when it has pixels */
    struct vj_observer *observer;
};

static void worker_close(struct worker *w)
{
    vj_observer_free(w->observer);
    vj_image_free(&w->photo);
    vj_image_free(&w->picture);
}

static int worker_open(struct worker *w, size_t width, size_t height, struct vj_error *err)
{
    *w = (struct worker){0};
    int rc = vj_image_alloc(&w->picture, width, height, 3, err);
    return rc ? rc : vj_observer_create(&w->observer, width, height, err);
}

/* The photograph stays for the next window, which is most often of the same one. */
static int cut_window(const struct vj_photos *photos, struct worker *w, size_t index,
                      struct vj_error *err)
{
    const struct vj_window *window = &photos->window[index];
    if (!w->photo.data || w->photo_index != window->photo) {
        vj_image_free(&w->photo);
        int rc = vj_photo_read(&w->photo, &photos->photo[window->photo], err);
        if (rc)
            return rc;
        w->photo_index = window->photo;
    }
    return vj_window_cut(&w->picture, &w->photo, window, err);
}

/* id: from 1; jnd: the label found */
static int make_picture(const struct vj_synth_set *set, struct worker *w, size_t id, int *jnd,
                        struct vj_error *err)
{
    int rc = id <= set->procedural ? vj_generate_picture(w->picture.data, set->width, set->height,
                                                         set->seed, (uint32_t)(id - 1), err)
                                   : cut_window(set->photos, w, id - set->procedural - 1, err);
    if (!rc)
        rc = vj_observer_jnd(w->observer, &w->picture, jnd, err);
    return rc ? rc : vj_synth_write(set, &w->picture, id, *jnd, err);
}

/* ---- all pictures ---- */

struct run {
    const struct vj_synth_set *set;
    size_t count; /* pictures in all */
    int threads;
    struct vj_progress progress;
    bool show;           /* progress goes to a terminal */
    struct vj_error err; /* first failure, code 0 when none; written in a critical section */
    int *jnd;            /* count labels */
};

static void note_failure(struct run *run, const struct vj_error *err)
{
#pragma omp critical(vj_synth)
    if (!run->err.code)
        run->err = *err;
}

static bool has_failed(struct run *run)
{
    bool failed;
#pragma omp critical(vj_synth)
    failed = run->err.code != 0;
    return failed;
}

static void one_more(struct run *run)
{
#pragma omp critical(vj_synth)
    if (run->show)
        vj_progress_step(&run->progress, false);
}

static void make_pictures(struct run *run)
{
    const struct vj_synth_set *set = run->set;
    int threads = run->count < (size_t)run->threads ? (int)run->count : run->threads;
#pragma omp parallel num_threads(threads)
    {
        struct worker w;
        struct vj_error err = {0};
        if (worker_open(&w, set->width, set->height, &err))
            note_failure(run, &err);
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < run->count; i++) {
            if (has_failed(run))
                continue;
            if (make_picture(set, &w, i + 1, &run->jnd[i], &err))
                note_failure(run, &err);
            else
                one_more(run);
        }
        worker_close(&w);
    }
}

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void summarise(const struct vj_synth_set *set, int *jnd, size_t count)
{
    size_t none = 0;
    qsort(jnd, count, sizeof(*jnd), by_value);
    while (none < count && jnd[none] == VJ_QF_UNKNOWN)
        none++;
    printf("%s: ", set->folder);
    if (set->procedural)
        printf("%zu procedural picture%s", set->procedural, set->procedural == 1 ? "" : "s");
    if (set->photos)
        printf("%s%zu window%s of photographs", set->procedural ? " and " : "",
               set->photos->windows, set->photos->windows == 1 ? "" : "s");
    printf(", %zux%zu, seed %llu", set->width, set->height, (unsigned long long)set->seed);
    if (none < count)
        printf("; the synthetic observer's JND is at QF %d..%d, median %d", jnd[none],
               jnd[count - 1], jnd[none + (count - none) / 2]);
    if (none)
        printf("; %zu without one", none);
    putchar('\n');
}

static int make_set(const struct vj_synth_set *set, int threads, struct vj_error *err)
{
    struct run run = {.set = set, .count = vj_synth_count(set), .threads = threads};
    int rc = vj_synth_prepare(set, err);
    if (rc)
        return rc;
    run.jnd = vj_calloc(run.count, sizeof(*run.jnd));
    if (!run.jnd)
        return vj_fail(err, -ENOMEM, "out of memory");
    run.show = vj_line_can_change(stderr);
    if (run.show)
        vj_progress_start(&run.progress, stderr, run.count, 0);
    make_pictures(&run);
    if (run.show)
        vj_progress_finish(&run.progress);
    if (run.err.code)
        *err = run.err;
    else
        summarise(set, run.jnd, run.count);
    free(run.jnd);
    return err->code;
}

/* ---- the command ---- */

static void list_refusals(const struct vj_photos *photos)
{
    for (size_t i = 0; i < photos->count; i++)
        if (photos->photo[i].refusal) {
            struct vj_error err;
            vj_fail(&err, -EINVAL, "left out: %s", photos->photo[i].refusal);
            vj_error_show(&err);
        }
}

static int plan_photos(struct vj_photos *photos, const struct arguments *a, struct vj_error *err)
{
    const size_t room = VJ_SYNTH_COUNT_MAX - a->procedural; /* for windows */
    const struct vj_window_options opt = {
        .width = a->width,
        .height = a->height,
        .crops = a->crops,
        .limit = a->count ? a->count : room + 1, /* no more than tell that they are too many */
        .seed = a->seed,
        .shrink = a->shrink,
        .fade = a->fade,
        .expose = a->expose,
        .camera = a->camera,
    };
    int rc = 0;
    for (size_t i = 0; i < a->photos_given && !rc; i++)
        rc = vj_photos_add(photos, a->photos[i], err);
    if (!rc)
        rc = vj_photos_plan(photos, &opt, a->threads, err);
    if (!rc && photos->windows == 0)
        rc = vj_fail(err, -ENODATA,
                     "--photos: no window of %zux%zu can be cut from any of the %zu photographs",
                     a->width, a->height, photos->count);
    if (!rc && photos->windows > room)
        rc =
            vj_fail(err, -E2BIG,
                    "a data set holds %d pictures, beside %zu procedural ones at most %zu windows, "
                    "and the photographs give more; lower --crops, or set --count %zu",
                    VJ_SYNTH_COUNT_MAX, a->procedural, room, room);
    return rc;
}

int vj_cmd_synth(int argc, char **argv)
{
    struct arguments a = {
        .width = 1920,
        .height = 1080,
        .seed = 1,
        .crops = 1,
        .threads = omp_get_num_procs(),
        .photos = vj_calloc((size_t)argc, sizeof(*a.photos)),
    };
    if (!a.photos) {
        fputs("vpjnd: out of memory\n", stderr);
        return VJ_EXIT_USAGE;
    }
    argp_parse(&argp, argc, argv, 0, NULL, &a);

    struct vj_photos photos = {0};
    struct vj_error err = {0};
    struct vj_synth_set set = {
        .folder = a.folder,
        .procedural = a.photos_given ? a.procedural
                      : a.count      ? a.count
                                     : COUNT_DEFAULT,
        .width = a.width,
        .height = a.height,
        .seed = a.seed,
        .photos = a.photos_given ? &photos : NULL,
        .crops = a.crops,
        .shrink = a.shrink,
        .fade = a.fade,
        .expose = a.expose,
        .camera = a.camera,
        .files = a.files,
    };
    int rc = a.photos_given ? plan_photos(&photos, &a, &err) : 0;
    if (!rc)
        rc = make_set(&set, a.threads, &err);
    list_refusals(&photos);
    if (rc)
        vj_error_show(&err);
    int status = rc ? VJ_EXIT_USAGE : photos.refused ? VJ_EXIT_SOME_FAILED : VJ_EXIT_OK;
    vj_photos_free(&photos);
    free(a.photos);
    return status;
}
