/* SPDX-License-Identifier: MIT */
/* vpjnd synth: a procedural data set in the layout of MCL-JCI, labelled by a synthetic observer. */
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/dataset.h"
#include "datasets/files.h"
#include "datasets/generator.h"
#include "host/checked.h"
#include "host/commands.h"
#include "host/image.h"
#include "host/jpeg_plan.h"
#include "host/progress.h"
#include "host/quality.h"
#include "host/quality_math.h"
#include "host/version.h"

/*
 * The observer sees a difference to the anchor, the QF 100 JPEG, where MS-SSIM on Y is below this.
 * A picture's JND is the largest quality factor at which it sees one. The threshold puts the JNDs
 * of 80 photographs (Kodak, CLIC 2025, CID22, gb82, KonJND-1k) at QF 27 to 78.
 */
#define THRESHOLD 0.9922
#define OBSERVER  "largest QF whose MS-SSIM (Y) against the QF 100 JPEG, 4:2:0, is below 0.9922"

#define MARKER "SYNTHETIC.txt"

enum {
    ANCHOR_QF = VJ_QF_MAX,
    COUNT_MAX = 9999,
    SIDE_MAX = 16384,
    THREADS_MAX = 1024,
};

struct arguments {
    const char *folder;
    size_t count, width, height;
    uint64_t seed;
    bool files;
    int threads;
};

enum { KEY_COUNT = 256, KEY_SIZE, KEY_SEED, KEY_FILES, KEY_THREADS };

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0, "folder of the data set; made when absent", 0},
    {"count", KEY_COUNT, "N", 0, "number of pictures, 1..9999 [50]", 0},
    {"size", KEY_SIZE, "WxH", 0, "pixels, both sides 176..16384 [1920x1080]", 0},
    {"seed", KEY_SEED, "N", 0, "which collection of pictures [1]", 0},
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

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    uint64_t n = 0;
    switch (key) {
    case 'o':
        a->folder = arg;
        return 0;
    case KEY_COUNT:
        if (!parse_number(arg, 1, COUNT_MAX, &n, NULL))
            argp_error(state, "--count: '%s' is not a whole number 1..%d", arg, COUNT_MAX);
        a->count = (size_t)n;
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
    case KEY_FILES:
        a->files = true;
        return 0;
    case KEY_THREADS:
        if (!parse_number(arg, 1, THREADS_MAX, &n, NULL))
            argp_error(state, "--threads: '%s' is not a whole number 1..%d", arg, THREADS_MAX);
        a->threads = (int)n;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'", arg);
        return 0;
    case ARGP_KEY_END:
        if (!a->folder)
            argp_error(state, "say where to write the data set: -o DIR");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc =
        "Writes procedural pictures in the layout of MCL-JCI, for data sets `synthetic`: "
        "source_images/[BMP], SQF_data, with --files distorted_image, and " MARKER ". The labels "
        "are those of a synthetic observer: the " OBSERVER ". They are not human data. The "
        "same seed and size give the same files.",
};

/* ---- files ---- */

static int make_folder(const char *path, struct vj_error *err)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return vj_fail(err, -errno, "cannot make folder %s: %s", path, strerror(errno));
    return 0;
}

static int make_folder_in(const char *root, const char *name, struct vj_error *err)
{
    char *path;
    int rc = vj_text(&path, err, "%s/%s", root, name);
    if (!rc)
        rc = make_folder(path, err);
    free(path);
    return rc;
}

static int write_stream(FILE *stream, const void *data, size_t size)
{
    bool good = fwrite(data, 1, size, stream) == size && fflush(stream) == 0;
    int code = good ? 0 : errno ? -errno : -EIO;
    if (fclose(stream) != 0 && !code)
        code = -errno;
    return code;
}

/* Writes beside the target and renames, so that no half-written file bears its name. */
static int write_file(const char *path, const void *data, size_t size, struct vj_error *err)
{
    char *part;
    int rc = vj_text(&part, err, "%s.part", path);
    if (rc)
        return rc;
    FILE *stream = fopen(part, "wb");
    rc = stream ? write_stream(stream, data, size) : -errno;
    if (!rc && rename(part, path) != 0)
        rc = -errno;
    if (rc) {
        vj_fail(err, rc, "%s: cannot be written: %s", path, strerror(-rc));
        if (stream)
            remove(part);
    }
    free(part);
    return rc;
}

static bool is_empty_folder(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return false;
    bool empty = true;
    for (const struct dirent *e; empty && (e = readdir(dir));)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    closedir(dir);
    return empty;
}

/* What decides the files' content: a folder may be filled again only with the same. */
static int marker_settings(char **text, const struct arguments *a, struct vj_error *err)
{
    return vj_text(text, err,
                   "observer = " OBSERVER "\n"
                   "count = %zu\n"
                   "size = %zux%zu\n"
                   "seed = %llu\n",
                   a->count, a->width, a->height, (unsigned long long)a->seed);
}

static int marker_text(char **text, const char *settings, struct vj_error *err)
{
    return vj_text(text, err,
                   "# Procedural pictures with labels from a synthetic observer.\n"
                   "# These are NOT human data: nobody has looked at these pictures.\n"
                   "%sprogram = vpjnd " VJ_VERSION "\n",
                   settings);
}

static int check_marker(const char *folder, const char *path, const char *settings,
                        struct vj_error *err)
{
    uint8_t *data = NULL;
    size_t size;
    if (vj_file_read(&data, &size, path, 65536, NULL) != 0)
        return vj_fail(err, -EEXIST,
                       "%s: is not empty and has no " MARKER "; name an empty or a new folder",
                       folder);
    bool same = memmem(data, size, settings, strlen(settings)) != NULL;
    free(data);
    if (!same)
        return vj_fail(err, -EEXIST,
                       "%s: holds a procedural data set of other settings (see %s); name another "
                       "folder, or remove this one",
                       folder, path);
    return 0;
}

static int make_layout(const struct arguments *a, struct vj_error *err)
{
    int rc = make_folder_in(a->folder, "source_images", err);
    if (!rc)
        rc = make_folder_in(a->folder, "source_images/[BMP]", err);
    if (!rc)
        rc = make_folder_in(a->folder, "SQF_data", err);
    if (!rc && a->files)
        rc = make_folder_in(a->folder, "distorted_image", err);
    return rc;
}

/* Makes or checks the folder, leaves the marker and the empty layout in it. */
static int prepare_folder(const struct arguments *a, struct vj_error *err)
{
    char *marker = NULL, *settings = NULL, *text = NULL;
    int rc = vj_text(&marker, err, "%s/" MARKER, a->folder);
    if (!rc)
        rc = marker_settings(&settings, a, err);
    if (!rc)
        rc = marker_text(&text, settings, err);
    if (!rc)
        rc = make_folder(a->folder, err);
    if (!rc && !is_empty_folder(a->folder))
        rc = check_marker(a->folder, marker, settings, err);
    if (!rc)
        rc = write_file(marker, text, strlen(text), err);
    if (!rc)
        rc = make_layout(a, err);
    free(text);
    free(settings);
    free(marker);
    return rc;
}

/* ---- one picture ---- */

/* What one thread works with; all memory is taken once. */
struct worker {
    struct vj_image source, decoded;
    struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *jpeg;
    struct vj_quality_reference *anchor;
    struct vj_quality_scratch *quality;
};

static void worker_close(struct worker *w)
{
    vj_quality_scratch_free(w->quality);
    vj_quality_reference_free(w->anchor);
    vj_jpeg_scratch_free(w->jpeg);
    vj_jpeg_plan_free(w->plan);
    vj_image_free(&w->decoded);
    vj_image_free(&w->source);
}

static int worker_open(struct worker *w, size_t width, size_t height, struct vj_error *err)
{
    const enum vj_subsampling sampling = VJ_SUBSAMPLING_420;
    *w = (struct worker){0};
    int rc = vj_image_alloc(&w->source, width, height, 3, err);
    if (!rc)
        rc = vj_image_alloc(&w->decoded, width, height, 3, err);
    if (!rc)
        rc = vj_jpeg_plan_reserve(&w->plan, width, height, 3, sampling, err);
    if (!rc)
        rc = vj_jpeg_scratch_create(&w->jpeg, width, height, 3, sampling, err);
    if (!rc)
        rc = vj_quality_reference_create(&w->anchor, width, height, VJ_QUALITY_MS_SSIM, err);
    if (!rc)
        rc = vj_quality_scratch_create(&w->quality, width, height, VJ_QUALITY_MS_SSIM, err);
    return rc;
}

/*
 * The observer's JND of w->source, or VJ_QF_UNKNOWN when it sees no difference even at QF 1.
 * MS-SSIM is not quite monotone in QF, so every QF is tried from the top.
 */
static int observe(struct worker *w, int *jnd, struct vj_error *err)
{
    int rc = vj_jpeg_plan_load(w->plan, &w->source, VJ_SUBSAMPLING_420, err);
    if (!rc)
        rc = vj_jpeg_plan_decode(w->plan, ANCHOR_QF, w->decoded.data, w->jpeg, err);
    if (!rc)
        rc = vj_quality_reference_load(w->anchor, &w->decoded, err);
    *jnd = VJ_QF_UNKNOWN;
    for (int qf = ANCHOR_QF - 1; qf >= 1 && !rc; qf--) {
        struct vj_quality_values values;
        rc = vj_jpeg_plan_decode(w->plan, qf, w->decoded.data, w->jpeg, err);
        if (rc)
            break;
        rc = vj_quality_compute(w->anchor, w->decoded.data, w->quality, &values);
        if (rc)
            return vj_fail(err, rc, "MS-SSIM at quality factor %d failed", qf);
        if (values.ms_ssim < THRESHOLD) {
            *jnd = qf;
            break;
        }
    }
    return rc;
}

static int write_source(const struct arguments *a, const struct worker *w, size_t id,
                        struct vj_error *err)
{
    char *path;
    int rc = vj_text(&path, err, "%s/source_images/[BMP]/ImageJND_SRC%02zu.bmp", a->folder, id);
    if (!rc)
        rc = vj_image_write_bmp(&w->source, path, err);
    free(path);
    return rc;
}

/* A stair function of one drop, or of none. */
static int write_label(const struct arguments *a, size_t id, int jnd, struct vj_error *err)
{
    char *path, text[64];
    if (jnd == VJ_QF_UNKNOWN)
        snprintf(text, sizeof(text), "%d\n1\n", ANCHOR_QF);
    else
        snprintf(text, sizeof(text), "%d %d\n1 0\n", ANCHOR_QF, jnd);
    int rc = vj_text(&path, err, "%s/SQF_data/Image_%zu_l_h.txt", a->folder, id);
    if (!rc)
        rc = write_file(path, text, strlen(text), err);
    free(path);
    return rc;
}

static int write_candidate(const struct arguments *a, const struct worker *w, size_t id, int qf,
                           struct vj_error *err)
{
    char *path;
    uint8_t *data = NULL;
    size_t size;
    int rc = vj_text(&path, err, "%s/distorted_image/ImageJND_SRC%02zu/ImageJND_SRC%02zu_%03d.jpg",
                     a->folder, id, id, qf);
    if (!rc)
        rc = vj_jpeg_encode(&data, &size, &w->source, qf, VJ_SUBSAMPLING_420, err);
    if (!rc)
        rc = write_file(path, data, size, err);
    free(data);
    free(path);
    return rc;
}

static int write_candidates(const struct arguments *a, const struct worker *w, size_t id,
                            struct vj_error *err)
{
    char *folder;
    int rc = vj_text(&folder, err, "%s/distorted_image/ImageJND_SRC%02zu", a->folder, id);
    if (!rc)
        rc = make_folder(folder, err);
    for (int qf = 1; qf <= VJ_QF_MAX && !rc; qf++)
        rc = write_candidate(a, w, id, qf, err);
    free(folder);
    return rc;
}

/* id: from 1; jnd: the label found */
static int make_picture(const struct arguments *a, struct worker *w, size_t id, int *jnd,
                        struct vj_error *err)
{
    int rc =
        vj_generate_picture(w->source.data, a->width, a->height, a->seed, (uint32_t)(id - 1), err);
    if (!rc)
        rc = observe(w, jnd, err);
    if (!rc)
        rc = write_source(a, w, id, err);
    if (!rc && a->files)
        rc = write_candidates(a, w, id, err);
    if (!rc)
        rc = write_label(a, id, *jnd, err);
    return rc;
}

/* ---- all pictures ---- */

struct run {
    const struct arguments *arguments;
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
    const struct arguments *a = run->arguments;
    int threads = a->count < (size_t)a->threads ? (int)a->count : a->threads;
#pragma omp parallel num_threads(threads)
    {
        struct worker w;
        struct vj_error err = {0};
        if (worker_open(&w, a->width, a->height, &err))
            note_failure(run, &err);
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < a->count; i++) {
            if (has_failed(run))
                continue;
            if (make_picture(a, &w, i + 1, &run->jnd[i], &err))
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

static void summarise(const struct arguments *a, int *jnd)
{
    size_t none = 0;
    qsort(jnd, a->count, sizeof(*jnd), by_value);
    while (none < a->count && jnd[none] == VJ_QF_UNKNOWN)
        none++;
    printf("%s: %zu procedural pictures of %zux%zu, seed %llu", a->folder, a->count, a->width,
           a->height, (unsigned long long)a->seed);
    if (none < a->count)
        printf("; the synthetic observer's JND is at QF %d..%d, median %d", jnd[none],
               jnd[a->count - 1], jnd[none + (a->count - none) / 2]);
    if (none)
        printf("; %zu without one", none);
    putchar('\n');
}

int vj_cmd_synth(int argc, char **argv)
{
    struct arguments a = {
        .count = 50,
        .width = 1920,
        .height = 1080,
        .seed = 1,
        .threads = omp_get_num_procs(),
    };
    argp_parse(&argp, argc, argv, 0, NULL, &a);

    struct run run = {.arguments = &a};
    int rc = prepare_folder(&a, &run.err);
    if (!rc) {
        run.jnd = vj_calloc(a.count, sizeof(*run.jnd));
        rc = run.jnd ? 0 : vj_fail(&run.err, -ENOMEM, "out of memory");
    }
    if (!rc) {
        run.show = isatty(STDERR_FILENO) == 1;
        if (run.show)
            vj_progress_start(&run.progress, stderr, a.count, 0);
        make_pictures(&run);
        if (run.show)
            vj_progress_finish(&run.progress);
        rc = run.err.code;
    }
    if (rc)
        fprintf(stderr, "vpjnd: %s\n", run.err.text);
    else
        summarise(&a, run.jnd);
    free(run.jnd);
    return rc ? VJ_EXIT_USAGE : VJ_EXIT_OK;
}
