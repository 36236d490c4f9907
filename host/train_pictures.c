/* SPDX-License-Identifier: MIT */
#include "host/train_pictures.h"

#include <errno.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/image.h"
#include "host/jnd_map.h"
#include "host/jpeg_plan.h"
#include "host/parallel.h"
#include "host/quality.h"
#include "host/stream.h"

/* One picture in memory, or about to be. */
struct entry {
    size_t index; /* in the list */
    bool there;
    uint64_t used; /* when it was last held */
    size_t bytes;
    struct vj_loaded loaded;                      /* of its source only the size stays */
    struct vj_jpeg_plan *plan;                    /* NULL: candidates are files */
    struct vj_image anchor[VJ_TRAIN_ANCHORS_MAX]; /* data NULL: the plan gives it */
    uint8_t *map[VJ_TRAIN_ANCHORS_MAX];           /* NULL: as map[0] */
    bool files;
};

/* What one thread needs. */
struct scratch {
    struct vj_jpeg_scratch *jpeg;
    uint8_t *grey; /* patches of one channel, before they are replicated */
};

struct vj_train_pictures {
    const struct vj_dataset *ds;
    const struct vj_train_list *list;
    size_t patches, patch_size;
    int threads;
    size_t limit; /* bytes of pictures kept */
    enum vj_subsampling sampling;
    bool map_from_anchor;
    const struct vj_jnd_model *model; /* NULL: no maps are made */
    struct vj_jnd_model *loaded;      /* the same, owned, where it has weights */
    size_t variant;
    enum vj_jnd_scale scale;
    int jnd; /* of the data set's own labels */
    struct vj_stream_options reading;
    struct entry **entry; /* [count] NULL: not in memory */
    struct entry **here;  /* [here_count] those that are, in no order; owned */
    size_t here_count;
    struct scratch *scratch; /* [threads] */
    uint64_t clock;
    size_t kept;         /* bytes of all entries */
    size_t fixed;        /* bytes of everything else */
    atomic_size_t total; /* both, for other threads */
};

/* ---- opening ---- */

static int find_model(struct vj_train_pictures *p, const struct vj_config *c, struct vj_error *err)
{
    int r = vj_config_jnd(&p->model, &p->variant, c, err);
    if (r)
        return r;
    if (p->model->needs_weights) {
        r = vj_jnd_load(&p->loaded, p->model, c->jnd_weights, err);
        if (r)
            return r;
        p->model = p->loaded;
    }
    for (size_t i = 0; i < p->list->count; i++) {
        const struct vj_train_picture *picture = &p->list->picture[i];
        size_t side = picture->width < picture->height ? picture->width : picture->height;
        if (side < p->model->min_side)
            return vj_fail(err, -EINVAL,
                           "%s is %zux%zu; the pixel-JND model %s needs at least %zu pixels on "
                           "both sides",
                           picture->name, picture->width, picture->height, p->model->name,
                           p->model->min_side);
    }
    return 0;
}

static int open_scratch(struct vj_train_pictures *p, struct vj_error *err)
{
    size_t width = p->reading.max_width, height = p->reading.max_height;
    size_t grey = p->patches * p->patch_size * p->patch_size;
    for (int t = 0; t < p->threads; t++) {
        struct scratch *s = &p->scratch[t];
        int r = vj_jpeg_scratch_create(&s->jpeg, width, height, 3, p->sampling, err);
        if (r)
            return r;
        s->grey = vj_alloc_aligned(grey, 1);
        if (!s->grey)
            return vj_fail(err, -ENOMEM, "out of memory for %zu patches", p->patches);
        p->fixed += vj_jpeg_scratch_bytes(width, height, 3, p->sampling) + grey;
    }
    return 0;
}

int vj_train_pictures_open(struct vj_train_pictures **pictures, const struct vj_config *config,
                           const struct vj_dataset *ds, const struct vj_train_list *list,
                           size_t patches, size_t patch_size, bool maps, int threads,
                           struct vj_error *err)
{
    struct vj_train_pictures *p = vj_calloc(1, sizeof(*p));
    *pictures = NULL;
    if (!p)
        return vj_fail(err, -ENOMEM, "out of memory");
    p->ds = ds;
    p->list = list;
    p->patches = patches;
    p->patch_size = patch_size;
    p->threads = threads;
    p->limit = config->cache;
    p->sampling = config->sampling == 0 ? VJ_SUBSAMPLING_420 : VJ_SUBSAMPLING_444;
    p->map_from_anchor = config->jnd_source == 1;
    p->scale = (enum vj_jnd_scale)config->jnd_scale;
    p->jnd = config->jnd;
    p->reading = (struct vj_stream_options){
        .threads = 1,
        .slots = 1,
        .image = {.alpha = (enum vj_alpha_mode)config->alpha, .max_pixels = config->max_pixels},
        .min_side = patch_size,
    };
    for (size_t i = 0; i < list->count; i++) {
        if (list->picture[i].width > p->reading.max_width)
            p->reading.max_width = list->picture[i].width;
        if (list->picture[i].height > p->reading.max_height)
            p->reading.max_height = list->picture[i].height;
    }
    p->entry = vj_calloc(list->count, sizeof(*p->entry));
    p->here = vj_calloc(list->count, sizeof(*p->here));
    p->scratch = vj_calloc((size_t)threads, sizeof(*p->scratch));
    p->fixed = list->count * (sizeof(*p->entry) + sizeof(*p->here));
    int r = p->entry && p->here && p->scratch
                ? 0
                : vj_fail(err, -ENOMEM, "out of memory for %zu pictures", list->count);
    if (!r && maps)
        r = find_model(p, config, err);
    if (!r)
        r = open_scratch(p, err);
    if (r) {
        vj_train_pictures_close(p);
        return r;
    }
    atomic_store(&p->total, p->fixed);
    *pictures = p;
    return 0;
}

/* The entry at a place of here[]; the last one takes that place. */
static void give_up(struct vj_train_pictures *p, size_t at)
{
    struct entry *e = p->here[at];
    p->entry[e->index] = NULL;
    p->here[at] = p->here[--p->here_count];
    p->kept -= e->bytes;
    vj_loaded_free(&e->loaded);
    vj_jpeg_plan_free(e->plan);
    for (int a = 0; a < VJ_TRAIN_ANCHORS_MAX; a++) {
        vj_image_free(&e->anchor[a]);
        free(e->map[a]);
    }
    free(e);
}

void vj_train_pictures_close(struct vj_train_pictures *p)
{
    if (!p)
        return;
    while (p->here_count > 0)
        give_up(p, p->here_count - 1);
    for (int t = 0; p->scratch && t < p->threads; t++) {
        vj_jpeg_scratch_free(p->scratch[t].jpeg);
        free(p->scratch[t].grey);
    }
    vj_jnd_unload(p->loaded);
    free(p->entry);
    free(p->here);
    free(p->scratch);
    free(p);
}

const char *vj_train_pictures_jnd_sha256(const struct vj_train_pictures *p)
{
    return p->model ? p->model->weights_sha256 : NULL;
}

size_t vj_train_pictures_bytes(const struct vj_train_pictures *p)
{
    return atomic_load(&p->total);
}

/* ---- reading one picture ---- */

static size_t image_bytes(const struct vj_image *img)
{
    return img->data ? img->width * img->height * (size_t)img->channels : 0;
}

static int check_size(const struct vj_train_picture *picture, const struct vj_image *img,
                      const char *path, struct vj_error *err)
{
    if (img->width == picture->width && img->height == picture->height)
        return 0;
    return vj_fail(err, -ESTALE,
                   "%s is %zux%zu, but it was %zux%zu when training began; was it replaced?", path,
                   img->width, img->height, picture->width, picture->height);
}

/* The anchor's pixels, unless they are synthesised. Takes the loaded item's reference over. */
static int load_anchor(struct vj_train_pictures *p, const struct vj_train_picture *picture,
                       size_t a, struct entry *e, struct vj_error *err)
{
    const struct vj_train_anchor *anchor = &picture->anchor[a];
    if (!anchor->reference)
        return 0;
    if (anchor->jnd == p->jnd) {
        e->anchor[a] = e->loaded.reference;
        e->loaded.reference = (struct vj_image){0};
        return check_size(picture, &e->anchor[a], anchor->reference, err);
    }
    int r = vj_load_anchor(&e->anchor[a], anchor->reference, anchor->qf, &p->reading.image, err);
    if (!r)
        r = check_size(picture, &e->anchor[a], anchor->reference, err);
    return r ? r : vj_image_to_rgb(&e->anchor[a], err);
}

/* The picture that a map is made from; *made is filled, and to be freed, when it is synthesised. */
static int map_picture(struct vj_train_pictures *p, const struct vj_train_picture *picture,
                       size_t a, const struct entry *e, const struct vj_image **img,
                       struct vj_image *made, struct scratch *s, struct vj_error *err)
{
    *img = &e->loaded.source;
    if (!p->map_from_anchor)
        return 0;
    if (e->anchor[a].data)
        *img = &e->anchor[a];
    if (e->anchor[a].data || picture->anchor[a].qf == 0)
        return 0;
    *img = made;
    int r = vj_image_alloc(made, picture->width, picture->height, e->loaded.source.channels, err);
    return r ? r : vj_jpeg_plan_decode(e->plan, picture->anchor[a].qf, made->data, s->jpeg, err);
}

static int make_map(const struct vj_train_pictures *p, const struct vj_image *img, uint8_t **map8,
                    struct vj_error *err)
{
    struct vj_jnd_workspace *ws = NULL;
    size_t pixels = img->width * img->height;
    uint8_t *luma = vj_alloc_aligned(pixels, 1);
    float *map = vj_alloc_aligned(pixels, sizeof(*map));
    *map8 = vj_alloc_aligned(pixels, 1);
    int r = luma && map && *map8 ? 0
                                 : vj_fail(err, -ENOMEM, "out of memory for a map of %zux%zu",
                                           img->width, img->height);
    if (!r)
        r = vj_jnd_workspace_create(
            &ws, vj_jnd_workspace_bytes(p->model, img->width, img->height, 1), 1, err);
    if (!r) {
        const struct vj_jnd_job job = {.luma = luma,
                                       .width = img->width,
                                       .height = img->height,
                                       .picture = img,
                                       .variant = p->variant,
                                       .map = map};
        vj_jnd_luma(img, luma);
        r = vj_jnd_run(p->model, &job, ws, err);
    }
    if (!r)
        r = vj_jnd_to_u8(map, pixels, p->scale, *map8, err);
    vj_jnd_workspace_free(ws);
    free(luma);
    free(map);
    return r;
}

static int make_maps(struct vj_train_pictures *p, const struct vj_train_picture *picture,
                     struct entry *e, struct scratch *s, struct vj_error *err)
{
    int r = 0;
    for (size_t a = 0; !r && a < (p->map_from_anchor ? picture->anchors : 1); a++) {
        const struct vj_image *img;
        struct vj_image made = {0};
        r = map_picture(p, picture, a, e, &img, &made, s, err);
        if (!r)
            r = make_map(p, img, &e->map[a], err);
        vj_image_free(&made);
    }
    return r;
}

/* The source serves as anchor where an anchor is the source itself; else its pixels may go. */
static void place_source(const struct vj_train_picture *picture, struct entry *e)
{
    for (size_t a = 0; a < picture->anchors; a++)
        if (picture->anchor[a].qf == 0 && !picture->anchor[a].reference) {
            e->anchor[a] = e->loaded.source;
            e->loaded.source.data = NULL;
            return; /* only the first anchor can be the source */
        }
    free(e->loaded.source.data);
    e->loaded.source.data = NULL;
}

static size_t entry_bytes(const struct vj_train_pictures *p, const struct vj_train_picture *picture,
                          const struct entry *e)
{
    size_t bytes = 0;
    for (int q = 0; q <= VJ_LEVELS_MAX; q++)
        bytes += e->loaded.candidate[q].size;
    for (size_t a = 0; a < picture->anchors; a++)
        bytes += image_bytes(&e->anchor[a]) + (e->map[a] ? picture->width * picture->height : 0);
    if (e->plan)
        bytes += vj_jpeg_plan_bytes(picture->width, picture->height, e->loaded.source.channels,
                                    p->sampling);
    return bytes;
}

static int load_parts(struct vj_train_pictures *p, size_t i, struct scratch *s,
                      struct vj_error *err)
{
    const struct vj_train_picture *picture = &p->list->picture[i];
    struct entry *e = p->entry[i];
    e->loaded.index = picture->item;
    vj_load_item(&e->loaded, p->ds, &p->reading);
    if (e->loaded.error.code)
        return vj_fail(err, e->loaded.error.code, "%s", e->loaded.error.text);
    int r = check_size(picture, &e->loaded.source, e->loaded.item.source, err);
    for (int q = 0; q <= VJ_LEVELS_MAX; q++)
        e->files |= e->loaded.candidate[q].data != NULL;
    if (!r && !e->files)
        r = vj_jpeg_plan_create(&e->plan, &e->loaded.source, p->sampling, err);
    for (size_t a = 0; !r && a < picture->anchors; a++)
        r = load_anchor(p, picture, a, e, err);
    if (!r && p->model)
        r = make_maps(p, picture, e, s, err);
    if (r)
        return r;
    place_source(picture, e);
    e->bytes = entry_bytes(p, picture, e);
    e->there = true;
    return 0;
}

static int load(struct vj_train_pictures *p, size_t i, struct vj_error *err)
{
    int r = load_parts(p, i, &p->scratch[omp_get_thread_num()], err);
    if (!r)
        return 0;
    if (err->code == 0)
        vj_fail(err, r, "%s", strerror(-r));
    return vj_fail_prefix(err, "training picture %s", p->list->picture[i].name);
}

/* ---- the cache ---- */

/* Gives up pictures, the least recently used first, until the rest fits. None is held. */
static void trim(struct vj_train_pictures *p)
{
    while (p->kept > p->limit) {
        size_t oldest = 0;
        for (size_t i = 1; i < p->here_count; i++)
            if (p->here[i]->used < p->here[oldest]->used)
                oldest = i;
        give_up(p, oldest);
    }
    atomic_store(&p->total, p->fixed + p->kept);
}

void vj_train_pictures_drop(struct vj_train_pictures *p)
{
    for (size_t i = p->here_count; i-- > 0;)
        if (!p->here[i]->there) /* it could not be read */
            give_up(p, i);
    trim(p);
}

/* Pictures to be read. */
struct missing {
    struct vj_train_pictures *pictures;
    size_t *index, count;
};

static int load_missing(void *user, size_t i, struct vj_error *err)
{
    const struct missing *missing = user;
    return load(missing->pictures, missing->index[i], err);
}

/* An entry for a picture that is not in memory. */
static struct entry *add_entry(struct vj_train_pictures *p, size_t index)
{
    struct entry *e = vj_calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->index = index;
    p->entry[index] = p->here[p->here_count++] = e;
    return e;
}

int vj_train_pictures_hold(struct vj_train_pictures *p, const size_t *which, size_t count,
                           struct vj_error *err)
{
    struct missing missing = {.pictures = p, .index = vj_calloc(count, sizeof(size_t))};
    int r = missing.index ? 0 : -ENOMEM;
    for (size_t k = 0; !r && k < count; k++) {
        struct entry *e = p->entry[which[k]];
        if (!e && (e = add_entry(p, which[k])))
            missing.index[missing.count++] = which[k];
        if (e)
            e->used = ++p->clock;
        else
            r = -ENOMEM;
    }
    r = r ? vj_fail(err, r, "out of memory for %zu pictures", count)
          : vj_parallel(missing.count, p->threads, load_missing, &missing, err);
    for (size_t i = 0; i < missing.count; i++)
        p->kept += p->entry[missing.index[i]]->bytes;
    free(missing.index);
    atomic_store(&p->total, p->fixed + p->kept);
    if (r)
        vj_train_pictures_drop(p);
    return r;
}

/* ---- patches ---- */

/* Cuts patches out of a picture; grey ones are replicated to three channels. */
static void crop(const struct vj_train_pictures *p, const struct vj_image *img,
                 const int32_t (*origin)[2], uint8_t *out)
{
    size_t size = p->patch_size;
    for (size_t k = 0; k < p->patches; k++)
        for (size_t y = 0; y < size; y++, out += size * 3) {
            size_t at = ((size_t)origin[k][0] + y) * img->width + (size_t)origin[k][1];
            if (img->channels == 3) {
                memcpy(out, img->data + at * 3, size * 3);
                continue;
            }
            for (size_t x = 0; x < size; x++)
                out[3 * x] = out[3 * x + 1] = out[3 * x + 2] = img->data[at + x];
        }
}

static int synthesize(const struct vj_train_pictures *p, const struct entry *e, int qf,
                      const int32_t (*origin)[2], uint8_t *out, struct vj_error *err)
{
    struct scratch *s = &p->scratch[omp_get_thread_num()];
    size_t pixels = p->patches * p->patch_size * p->patch_size;
    bool grey = e->loaded.source.channels == 1;
    int r = vj_jpeg_plan_patches(e->plan, qf, origin, p->patches, p->patch_size,
                                 grey ? s->grey : out, s->jpeg, err);
    for (size_t k = 0; grey && k < pixels; k++)
        out[3 * k] = out[3 * k + 1] = out[3 * k + 2] = s->grey[k];
    return r;
}

int vj_train_reference_patches(struct vj_train_pictures *p, size_t index, size_t anchor,
                               const int32_t (*origin)[2], uint8_t *out, struct vj_error *err)
{
    const struct vj_image *pixels = &p->entry[index]->anchor[anchor];
    if (!pixels->data)
        return vj_train_candidate_patches(p, index, p->list->picture[index].anchor[anchor].qf,
                                          origin, out, err);
    crop(p, pixels, origin, out);
    return 0;
}

/* A whole candidate. img: zeroed by the caller, who frees it */
static int candidate(struct vj_train_pictures *p, size_t index, int qf, struct vj_image *img,
                     struct vj_error *err)
{
    struct entry *e = p->entry[index];
    int64_t bytes;
    if (e->files)
        return vj_loaded_fetch(&e->loaded, qf, img, &bytes, err);
    const struct vj_train_picture *picture = &p->list->picture[index];
    int r = vj_image_alloc(img, picture->width, picture->height, e->loaded.source.channels, err);
    return r ? r
             : vj_jpeg_plan_decode(e->plan, qf, img->data, p->scratch[omp_get_thread_num()].jpeg,
                                   err);
}

int vj_train_candidate_patches(struct vj_train_pictures *p, size_t index, int qf,
                               const int32_t (*origin)[2], uint8_t *out, struct vj_error *err)
{
    const struct entry *e = p->entry[index];
    if (!e->files)
        return synthesize(p, e, qf, origin, out, err);
    struct vj_image img = {0};
    int r = candidate(p, index, qf, &img, err);
    if (!r)
        crop(p, &img, origin, out);
    vj_image_free(&img);
    return r;
}

void vj_train_map_patches(struct vj_train_pictures *p, size_t index, size_t anchor,
                          const int32_t (*origin)[2], uint8_t *out)
{
    const struct entry *e = p->entry[index];
    const uint8_t *map = e->map[anchor] ? e->map[anchor] : e->map[0];
    size_t width = p->list->picture[index].width, size = p->patch_size;
    for (size_t k = 0; k < p->patches; k++)
        for (size_t y = 0; y < size; y++, out += size)
            memcpy(out, map + ((size_t)origin[k][0] + y) * width + (size_t)origin[k][1], size);
}

/* ---- SSIM to the picture at the boundary ---- */

int vj_train_boundary_ssim(struct vj_train_pictures *p, size_t index, size_t anchor, const int *qf,
                           size_t count, double *ssim, struct vj_error *err)
{
    const struct vj_train_picture *picture = &p->list->picture[index];
    struct vj_quality_reference *boundary = NULL;
    struct vj_quality_scratch *scratch = NULL;
    struct vj_image img = {0};
    int r = vj_quality_reference_create(&boundary, picture->width, picture->height, VJ_QUALITY_SSIM,
                                        err);
    if (!r)
        r = vj_quality_scratch_create(&scratch, picture->width, picture->height, VJ_QUALITY_SSIM,
                                      err);
    if (!r)
        r = candidate(p, index, picture->anchor[anchor].boundary, &img, err);
    if (!r)
        r = vj_quality_reference_load(boundary, &img, err);
    for (size_t k = 0; !r && k < count; k++) {
        struct vj_quality_values values;
        vj_image_free(&img);
        r = candidate(p, index, qf[k], &img, err);
        if (!r)
            r = vj_quality_compute(boundary, img.data, scratch, &values);
        if (!r)
            ssim[k] = values.ssim;
    }
    vj_image_free(&img);
    vj_quality_scratch_free(scratch);
    vj_quality_reference_free(boundary);
    return r;
}
