/* SPDX-License-Identifier: MIT */
/* vpjnd map: pixel-wise JND maps of pictures, as numbers (HDF5) or as pictures (PNG). */
#include <argp.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets/files.h"
#include "eval/text.h"
#include "host/checked.h"
#include "host/commands.h"
#include "host/common_options.h"
#include "host/h5.h"
#include "host/image.h"
#include "host/jnd_map.h"
#include "host/outputs.h"
#include "host/pictures.h"
#include "host/progress.h"
#include "host/version.h"

enum {
    STAGES_MAX = 64,
    CHUNK_VALUES = 1 << 18, /* 1 MiB of float32 */
    DEFLATE_LEVEL = 4,
};

#define SCHEMA "vpjnd-map"

enum format { FORMAT_NONE, FORMAT_HDF5, FORMAT_PNG };

struct arguments {
    const struct vj_jnd_model *model;
    struct vj_jnd_model *loaded; /* the model with its weights, owned */
    const char *variant_name, *weights;
    size_t variant;
    enum vj_jnd_scale scale;
    bool scale_given, stages, list;
    int threads;
    const char *alpha;
    struct vj_pictures pictures;
    const char *output; /* a file or, with a format that is given, a folder */
    enum format format;
    bool into_folder;
    struct vj_image_options read;
};

/* Everything that one map takes. */
struct work {
    const char *image; /* path of the picture, not owned; the rest is */
    char *path;        /* of the map */
    struct vj_image img;
    uint8_t *luma;
    uint8_t *cb, *cr; /* with stages only */
    float *map;
    float *stages[STAGES_MAX];
    struct vj_jnd_workspace *ws;
};

enum {
    KEY_VARIANT = 256,
    KEY_SCALE,
    KEY_THREADS,
    KEY_STAGES,
    KEY_LIST,
    KEY_ALPHA,
    KEY_WEIGHTS,
    KEY_FORMAT
};

static const struct argp_option options[] = {
    {"model", 'm', "NAME", 0, "pixel-JND model; --list tells all [epc17]", 0},
    {"variant", KEY_VARIANT, "NAME", 0, "variant of the model [its first]", 0},
    {"weights", KEY_WEIGHTS, "FILE.h5", 0,
     "weights of a model that needs them (resjnd24), as `vpjnd import` writes them", 0},
    {"scale", KEY_SCALE, "NAME", 0,
     "PNG only: minmax (stretched to 0..255), max (times 255/maximum), none (clamped) [minmax]", 0},
    {"threads", KEY_THREADS, "N", 0, "threads; the map does not depend on them [all processors]",
     0},
    {"stages", KEY_STAGES, NULL, 0, "HDF5 only: intermediate results too, below /stages", 0},
    {"alpha", KEY_ALPHA, "MODE", 0, "transparent pixels: refuse, black, white [refuse]", 0},
    {"list", KEY_LIST, NULL, 0, "list models, variants and stages, and leave", 0},
    {"output", 'o', "FILE|DIR", 0,
     "FILE.h5 (or .hdf5) or FILE.png for one picture; with --format a folder, made when absent", 0},
    {"format", KEY_FORMAT, "h5|png", 0, "write DIR/NAME.h5 or DIR/NAME.png for every picture", 0},
    {0},
};

static enum format format_of_name(const char *path)
{
    const char *dot = strrchr(path, '.');
    if (dot && strcasecmp(dot, ".png") == 0)
        return FORMAT_PNG;
    if (dot && (strcasecmp(dot, ".h5") == 0 || strcasecmp(dot, ".hdf5") == 0))
        return FORMAT_HDF5;
    return FORMAT_NONE;
}

static void check_file(struct arguments *a, struct argp_state *state)
{
    a->format = format_of_name(a->output);
    if (a->format == FORMAT_NONE)
        argp_error(state,
                   "-o: '%s' ends neither in .h5 nor in .hdf5 nor in .png; if it is a folder, say "
                   "--format h5 or --format png",
                   a->output);
    if (a->pictures.count > 1)
        argp_error(
            state,
            "-o: '%s' is the file of one map, and %zu pictures are given; name a folder, and "
            "--format h5 or --format png",
            a->output, a->pictures.count);
}

/* What can only be judged once all options are known. */
static void check_arguments(struct arguments *a, struct argp_state *state)
{
    struct vj_error err = {0};
    if (a->list)
        return;
    if (!a->pictures.count)
        argp_error(state, "no picture given");
    if (!a->output)
        argp_error(state, "say where to write the map: -o FILE.h5 or -o FILE.png");
    if (!a->into_folder)
        check_file(a, state);
    if (a->format == FORMAT_HDF5 && a->scale_given)
        argp_error(state, "--scale is for PNG; an HDF5 file holds the map itself");
    if (a->format == FORMAT_PNG && a->stages)
        argp_error(state, "--stages needs an HDF5 file, a PNG holds the map alone");
    if (vj_jnd_variant_find(&a->variant, a->model, a->variant_name, &err))
        argp_error(state, "--variant: %s", err.text);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    struct vj_error err = {0};
    switch (key) {
    case 'm':
        a->model = vj_jnd_find(arg, &err);
        if (!a->model)
            argp_error(state, "--model: %s", err.text);
        return 0;
    case KEY_VARIANT:
        a->variant_name = arg;
        return 0;
    case KEY_WEIGHTS:
        a->weights = arg;
        return 0;
    case KEY_SCALE:
        if (vj_jnd_scale_parse(&a->scale, arg, &err))
            argp_error(state, "--scale: %s", err.text);
        a->scale_given = true;
        return 0;
    case KEY_THREADS:
        if (vj_parse_threads(&a->threads, arg, &err))
            argp_error(state, "%s", err.text);
        return 0;
    case KEY_STAGES:
        a->stages = true;
        return 0;
    case KEY_ALPHA:
        if (vj_alpha_mode_parse(&a->read.alpha, arg, &err))
            argp_error(state, "--alpha: %s", err.text);
        a->alpha = arg;
        return 0;
    case KEY_LIST:
        a->list = true;
        return 0;
    case 'o':
        a->output = arg;
        return 0;
    case KEY_FORMAT:
        if (strcmp(arg, "h5") != 0 && strcmp(arg, "png") != 0)
            argp_error(state, "--format: '%s' is neither h5 nor png", arg);
        a->format = arg[0] == 'h' ? FORMAT_HDF5 : FORMAT_PNG;
        a->into_folder = true;
        return 0;
    case ARGP_KEY_ARG:
        if (vj_pictures_add(&a->pictures, arg, &err))
            argp_failure(state, VJ_EXIT_USAGE, 0, "%s", err.text);
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
    .args_doc = "IMAGE|FOLDER...",
    .doc =
        "Writes the pixel-wise just noticeable difference of a picture's luma, one threshold per "
        "pixel in grey levels: as float32 dataset /map of an HDF5 file, or scaled to an 8-bit PNG. "
        "With --format every picture gives a file of its own; of a folder those in it and its "
        "sub-folders are taken, and what lies in a sub-folder is written to DIR/SUBFOLDER/NAME.h5. "
        "A picture that cannot be read is then reported, and the others are done all the same.",
};

static void list_models(void)
{
    for (size_t m = 0; vj_jnd_models[m]; m++) {
        printf("%s\n  %s\n  variants:", vj_jnd_models[m]->name, vj_jnd_models[m]->reference);
        for (size_t v = 0; vj_jnd_models[m]->variants[v]; v++)
            printf(" %s%s", vj_jnd_models[m]->variants[v], v ? "" : " (default)");
        if (vj_jnd_models[m]->needs_weights)
            printf("\n  weights: your own, see `vpjnd import --help`");
        printf("\n  stages:");
        for (size_t s = 0; vj_jnd_models[m]->stages[s].name; s++)
            printf(" %s", vj_jnd_models[m]->stages[s].name);
        printf("\n");
    }
}

/* Whether stage number s is to be computed and written. */
static bool wants_stage(const struct arguments *a, size_t s)
{
    return a->stages && !(a->model->stages[s].absent >> a->variant & 1);
}

/* --- computing -------------------------------------------------------------------------------- */

static int take_memory(const struct arguments *a, struct work *w, struct vj_error *err)
{
    size_t width = w->img.width, height = w->img.height, pixels = width * height;
    bool complete = true;
    if (a->stages) {
        w->cb = vj_alloc_aligned(pixels, 1);
        w->cr = vj_alloc_aligned(pixels, 1);
        complete = w->cb && w->cr;
    }
    w->luma = vj_alloc_aligned(pixels, 1);
    w->map = vj_alloc_aligned(pixels, sizeof(*w->map));
    for (size_t s = 0; a->model->stages[s].name && s < STAGES_MAX; s++) {
        struct vj_jnd_size size = vj_jnd_stage_size(&a->model->stages[s], width, height);
        if (!wants_stage(a, s))
            continue;
        w->stages[s] = vj_alloc_aligned(size.rows * size.columns, sizeof(float));
        complete = complete && w->stages[s];
    }
    if (!w->luma || !w->map || !complete)
        return vj_fail(err, -ENOMEM, "no memory for the map of %zux%zu pixels", width, height);
    size_t bytes = vj_jnd_workspace_bytes(a->model, width, height, a->threads);
    return vj_jnd_workspace_create(&w->ws, bytes, a->threads, err);
}

static int load_weights(struct arguments *a, struct vj_error *err)
{
    if (!a->model->needs_weights && !a->weights)
        return 0;
    int r = vj_jnd_load(&a->loaded, a->model, a->weights ? a->weights : "", err);
    if (!r)
        a->model = a->loaded;
    return r;
}

static int compute(const struct arguments *a, struct work *w, struct vj_error *err)
{
    int r = take_memory(a, w, err);
    if (r)
        return r;
    vj_jnd_luma(&w->img, w->luma);
    if (a->stages)
        vj_jnd_chroma(&w->img, w->cb, w->cr);
    struct vj_jnd_job job = {
        .luma = w->luma,
        .width = w->img.width,
        .height = w->img.height,
        .cb = w->cb,
        .cr = w->cr,
        .picture = &w->img,
        .variant = a->variant,
        .map = w->map,
        .stages = a->stages ? w->stages : NULL,
    };
    return vj_jnd_run(a->model, &job, w->ws, err);
}

static void release(struct work *w)
{
    vj_jnd_workspace_free(w->ws);
    for (size_t s = 0; s < STAGES_MAX; s++)
        free(w->stages[s]);
    free(w->map);
    free(w->cb);
    free(w->cr);
    free(w->luma);
    vj_image_free(&w->img);
    free(w->path);
}

static int print_range(const struct arguments *a, const struct work *w, struct vj_error *err)
{
    struct vj_text line = {0};
    const size_t pixels = w->img.width * w->img.height;
    float low = w->map[0], high = w->map[0];
    double sum = 0;
    for (size_t i = 0; i < pixels; i++) {
        low = w->map[i] < low ? w->map[i] : low;
        high = w->map[i] > high ? w->map[i] : high;
        sum += w->map[i];
    }
    if (a->into_folder) {
        vj_text_plain(&line, w->image);
        vj_text_add(&line, ": ");
    }
    vj_text_add(&line, "%s (%s): %zux%zu, JND %.2f to %.2f grey levels, mean %.2f\n",
                a->model->name, a->model->variants[a->variant], w->img.width, w->img.height,
                (double)low, (double)high, sum / (double)pixels);
    int r = vj_text_status(&line, err);
    if (!r)
        fputs(line.data, stdout);
    fflush(stdout);
    vj_text_free(&line);
    return r;
}

/* --- writing ---------------------------------------------------------------------------------- */

static int write_png(const struct arguments *a, const struct work *w, struct vj_error *err)
{
    struct vj_image out = {0};
    int r = vj_image_alloc(&out, w->img.width, w->img.height, 1, err);
    if (!r)
        r = vj_jnd_to_u8(w->map, w->img.width * w->img.height, a->scale, out.data, err);
    if (!r)
        r = vj_image_write_png(&out, w->path, err);
    vj_image_free(&out);
    return r;
}

/* Whole rows per chunk, about CHUNK_VALUES of them; bytes of equal weight are packed together. */
static hid_t packed_properties(const hsize_t dims[2])
{
    hsize_t chunk[2] = {CHUNK_VALUES / dims[1], dims[1]};
    chunk[0] = chunk[0] < 1 ? 1 : chunk[0] > dims[0] ? dims[0] : chunk[0];
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    if (properties >= 0 &&
        (H5Pset_chunk(properties, 2, chunk) < 0 || H5Pset_shuffle(properties) < 0 ||
         H5Pset_deflate(properties, DEFLATE_LEVEL) < 0)) {
        H5Pclose(properties);
        return H5I_INVALID_HID;
    }
    return properties;
}

/* Dataset `name` with its description and, unless NULL, units. */
static int write_plane(hid_t at, const char *name, struct vj_jnd_size size, const float *plane,
                       const char *description, const char *units, struct vj_error *err)
{
    const hsize_t dims[2] = {size.rows, size.columns};
    hid_t space = H5Screate_simple(2, dims, NULL), properties = packed_properties(dims);
    hid_t set = space < 0 || properties < 0 ? H5I_INVALID_HID
                                            : H5Dcreate2(at, name, H5T_IEEE_F32LE, space,
                                                         H5P_DEFAULT, properties, H5P_DEFAULT);
    int r = 0;
    if (set < 0 || H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, plane) < 0)
        r = vj_h5_fail(err, "dataset %s cannot be written", name);
    if (!r)
        r = vj_h5_write_text(set, "description", description, err);
    if (!r && units)
        r = vj_h5_write_text(set, "units", units, err);
    if (set >= 0 && H5Dclose(set) < 0 && !r)
        r = vj_h5_fail(err, "dataset %s cannot be finished; is the disk full?", name);
    if (properties >= 0)
        H5Pclose(properties);
    if (space >= 0)
        H5Sclose(space);
    return r;
}

static int write_stages(hid_t file, const struct arguments *a, const struct work *w,
                        struct vj_error *err)
{
    hid_t group = H5Gcreate2(file, "stages", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (group < 0)
        return vj_h5_fail(err, "group stages cannot be made");
    int r = 0;
    for (size_t s = 0; !r && a->model->stages[s].name && s < STAGES_MAX; s++) {
        const struct vj_jnd_stage_info *stage = &a->model->stages[s];
        struct vj_jnd_size size = vj_jnd_stage_size(stage, w->img.width, w->img.height);
        if (wants_stage(a, s))
            r = write_plane(group, stage->name, size, w->stages[s], stage->description,
                            stage->units, err);
    }
    H5Gclose(group);
    return r;
}

static int write_attributes(hid_t file, const struct arguments *a, const struct work *w,
                            struct vj_error *err)
{
    const char *slash = strrchr(w->image, '/');
    const struct {
        const char *name, *text;
    } texts[] = {
        {"schema", SCHEMA},
        {"program_version", VJ_VERSION},
        {"model", a->model->name},
        {"variant", a->model->variants[a->variant]},
        {"reference", a->model->reference},
        {"source", slash ? slash + 1 : w->image},
        {"alpha", a->alpha},
    };
    int r = 0;
    for (size_t i = 0; !r && i < sizeof(texts) / sizeof(texts[0]); i++)
        r = vj_h5_write_text(file, texts[i].name, texts[i].text, err);
    if (!r && a->model->weights_sha256)
        r = vj_h5_write_text(file, "weights_sha256", a->model->weights_sha256, err);
    if (!r)
        r = vj_h5_write_int(file, "schema_version", 2, err);
    if (!r)
        r = vj_h5_write_int(file, "width", (int64_t)w->img.width, err);
    if (!r)
        r = vj_h5_write_int(file, "height", (int64_t)w->img.height, err);
    return r;
}

static int write_hdf5(const struct arguments *a, const struct work *w, struct vj_error *err)
{
    struct vj_h5_part part;
    int r = vj_h5_part_open(&part, w->path, err);
    if (r)
        return r;
    r = write_attributes(part.file, a, w, err);
    if (!r)
        r = write_plane(part.file, "map", (struct vj_jnd_size){w->img.height, w->img.width}, w->map,
                        "just noticeable difference of the luma, height x width", "grey level",
                        err);
    if (!r && a->stages)
        r = write_stages(part.file, a, w, err);
    if (r)
        vj_fail_prefix(err, "%s", w->path);
    return vj_h5_part_end(&part, r, err);
}

/* --- pictures --------------------------------------------------------------------------------- */

/* Where the map of picture number `index` goes; the caller frees it. */
static int map_path(char **path, const struct arguments *a, const struct vj_outputs *outputs,
                    size_t index, struct vj_error *err)
{
    if (!a->into_folder)
        return vj_text(path, err, "%s", a->output);
    return vj_outputs_path(path, outputs, index, outputs->endings, err);
}

/* Neither a file of another kind nor a picture is replaced by a map. */
static int check_outputs(const struct arguments *a, const struct vj_outputs *outputs,
                         struct vj_error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < a->pictures.count; i++) {
        char *path;
        r = map_path(&path, a, outputs, i, err);
        if (!r)
            r = vj_outputs_check(outputs, path, err);
        /* Folders below the output folder are made when there is something to put there. */
        if (!r && a->format == FORMAT_HDF5 && (!a->into_folder || access(path, F_OK) == 0))
            r = vj_h5_check_output(path, SCHEMA, err);
        free(path);
    }
    return r;
}

/* failed: the picture cannot be read, or not be mapped
 * Errors: of writing, which the next picture would meet, too */
static int map_picture(const struct arguments *a, const struct vj_outputs *outputs, size_t index,
                       bool *failed, struct vj_error *err)
{
    struct work w = {.image = a->pictures.picture[index].path};
    int r = map_path(&w.path, a, outputs, index, err);
    if (!r) {
        *failed = vj_image_read(&w.img, w.image, &a->read, err) || compute(a, &w, err);
        if (*failed)
            vj_picture_show_failure(w.image, err->text);
    }
    if (!r && !*failed && a->into_folder)
        r = vj_outputs_make_folders(outputs, index, err);
    if (!r && !*failed)
        r = a->format == FORMAT_PNG ? write_png(a, &w, err) : write_hdf5(a, &w, err);
    if (!r && !*failed)
        r = print_range(a, &w, err);
    release(&w);
    return r;
}

/* failures: counts pictures */
static int map_all(struct arguments *a, size_t *failures, struct vj_error *err)
{
    struct vj_outputs outputs;
    int r = vj_outputs_init(&outputs, &a->pictures, a->output,
                            a->format == FORMAT_PNG ? ".png" : ".h5", err);
    if (!r)
        r = check_outputs(a, &outputs, err);
    if (!r)
        r = load_weights(a, err);
    for (size_t i = 0; !r && i < a->pictures.count; i++) {
        bool failed = false;
        r = map_picture(a, &outputs, i, &failed, err);
        *failures += failed;
    }
    vj_outputs_free(&outputs);
    return r;
}

int vj_cmd_map(int argc, char **argv)
{
    struct vj_error err = {0};
    struct arguments a = {
        .model = vj_jnd_find("epc17", &err),
        .scale = VJ_JND_MINMAX,
        .alpha = "refuse",
        .threads = omp_get_num_procs(),
    };
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    size_t failures = 0;
    int r = 0;
    if (a.list)
        list_models();
    else
        r = map_all(&a, &failures, &err);
    if (r)
        vj_error_show(&err);
    vj_pictures_free(&a.pictures);
    vj_jnd_unload(a.loaded);
    return r ? VJ_EXIT_USAGE : failures ? VJ_EXIT_SOME_FAILED : VJ_EXIT_OK;
}
