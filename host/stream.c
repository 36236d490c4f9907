/* SPDX-License-Identifier: MIT */
#include "host/stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/files.h"
#include "host/checked.h"
#include "host/jpeg_model.h"
#include "host/picture_digest.h"
#include "host/progress.h"

enum slot_state { SLOT_FREE, SLOT_LOADING, SLOT_READY, SLOT_GIVEN };

struct vj_stream {
    vj_load_fn *load;
    const void *source;
    const size_t *index; /* NULL: all of them in order */
    size_t count;
    struct vj_stream_options options;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t next_load; /* position in index[] that a worker takes next */
    size_t next_give; /* position that vj_stream_next() returns next */
    bool stop;
    struct vj_loaded *slot;
    enum slot_state *state;

    pthread_t *thread;
    int thread_count;
};

static int check_size(const struct vj_image *img, const char *path,
                      const struct vj_stream_options *o, struct vj_error *err)
{
    if (img->width > VJ_JPEG_MAX_SIDE || img->height > VJ_JPEG_MAX_SIDE)
        return vj_fail(err, -EFBIG,
                       "%s is %zux%zu; JPEG takes up to %d pixels a side: crop or scale it", path,
                       img->width, img->height, VJ_JPEG_MAX_SIDE);
    if (img->width > o->max_width || img->height > o->max_height)
        return vj_fail(err, -EFBIG,
                       "%s is %zux%zu, larger than the %zux%zu planned for; was it replaced "
                       "while the run was going on?",
                       path, img->width, img->height, o->max_width, o->max_height);
    if (img->width < o->min_side || img->height < o->min_side)
        return vj_fail(err, -EINVAL,
                       "%s is %zux%zu; both sides must be at least %zu pixels (the patch size)",
                       path, img->width, img->height, o->min_side);
    return 0;
}

/* Bytes of the compressed file behind a decoded candidate. */
static int stream_rate(int64_t *rate, const struct vj_loaded *loaded, const char *path, bool bpg,
                       struct vj_error *err)
{
    size_t width = loaded->source.width, height = loaded->source.height;
    int r = vj_file_size(path, rate);
    if (r)
        return vj_fail(err, r, "%s: %s", path, strerror(-r));
    if (*rate == 0)
        return vj_fail(err, -ENODATA, "%s: is empty (0 bytes); copy it again", path);
    if (bpg)
        r = vj_bpg_probe(&width, &height, path, err);
    if (!r && (width != loaded->source.width || height != loaded->source.height))
        r = vj_fail(err, -EINVAL, "%s is %zux%zu, but its source %s is %zux%zu", path, width,
                    height, loaded->item.source, loaded->source.width, loaded->source.height);
    return r;
}

static int load_candidates(struct vj_loaded *loaded, bool bpg, bool *any, struct vj_error *err)
{
    *any = false;
    for (int qf = 0; qf <= VJ_LEVELS_MAX; qf++) {
        if (!loaded->item.candidate[qf])
            continue;
        *any = true;
        struct vj_file_bytes *c = &loaded->candidate[qf];
        int r = vj_file_read(&c->data, &c->size, loaded->item.candidate[qf], 0, err);
        c->rate = loaded->item.decoded ? -1 : (int64_t)c->size;
        if (!r && loaded->item.stream[qf])
            r = stream_rate(&c->rate, loaded, loaded->item.stream[qf], bpg, err);
        if (r)
            return r;
    }
    return 0;
}

static int check_same_quality(int found, int qf, const char *path, struct vj_error *err)
{
    if (found == qf)
        return 0;
    return vj_fail(
        err, -EINVAL,
        "%s: its quantisation tables say quality factor %d, its place in the data set %d", path,
        found, qf);
}

static int check_quality(const struct vj_file_bytes *file, int qf, const char *path,
                         struct vj_error *err)
{
    int found;
    int r = vj_jpeg_quality(&found, file->data, file->size, path, err);
    return r ? r : check_same_quality(found, qf, path, err);
}

int vj_check_file_quality(const char *path, int qf, struct vj_error *err)
{
    int found;
    int r = vj_jpeg_file_quality(&found, path, err);
    return r ? r : check_same_quality(found, qf, path, err);
}

int vj_load_anchor(struct vj_image *img, const char *path, int qf,
                   const struct vj_image_options *options, struct vj_error *err)
{
    struct vj_file_bytes file = {0};
    *img = (struct vj_image){0};
    int r = vj_file_read(&file.data, &file.size, path, 0, err);
    if (!r)
        r = check_quality(&file, qf, path, err);
    if (!r)
        r = vj_image_read_memory(img, file.data, file.size, path, options, err);
    free(file.data);
    return r;
}

/* bpg: the candidates' streams are BPG files */
static int load_pictures(struct vj_loaded *loaded, const struct vj_stream_options *o, bool bpg,
                         struct vj_error *err)
{
    const struct vj_item *item = &loaded->item;
    bool files = false;
    loaded->image = o->image;
    int r = vj_image_read(&loaded->source, item->source, &o->image, err);
    loaded->channels = loaded->source.channels;
    if (!r)
        r = check_size(&loaded->source, item->source, o, err);
    if (!r)
        r = load_candidates(loaded, bpg, &files, err);
    if (!r && item->reference)
        r = vj_load_anchor(&loaded->reference, item->reference, item->anchor_qf, &o->image, err);
    if (r)
        return r;
    if (item->reference && (loaded->reference.width != loaded->source.width ||
                            loaded->reference.height != loaded->source.height))
        return vj_fail(err, -EINVAL, "%s is %zux%zu, but its source %s is %zux%zu", item->reference,
                       loaded->reference.width, loaded->reference.height, item->source,
                       loaded->source.width, loaded->source.height);
    bool mixed = loaded->reference.data && loaded->reference.channels != loaded->source.channels;
    if (files || mixed) {
        r = vj_image_to_rgb(&loaded->source, err);
        if (!r && loaded->reference.data)
            r = vj_image_to_rgb(&loaded->reference, err);
    }
    return r;
}

void vj_load_item(struct vj_loaded *loaded, const struct vj_dataset *ds,
                  const struct vj_stream_options *options)
{
    double start = vj_seconds();
    int r = vj_dataset_item(ds, loaded->index, &loaded->item, &loaded->error);
    if (!r && loaded->item.status)
        r = vj_fail(&loaded->error, loaded->item.status, "%s",
                    loaded->item.error ? loaded->item.error : "the item cannot be evaluated");
    if (!r)
        r = load_pictures(loaded, options, strcmp(vj_dataset_info(ds)->codec, "bpg") == 0,
                          &loaded->error);
    if (!r)
        r = vj_picture_digest(loaded->source_sha256, &loaded->source, &loaded->error);
    if (r && !loaded->error.code)
        loaded->error.code = r;
    loaded->seconds = vj_seconds() - start;
}

void vj_load_picture(struct vj_loaded *loaded, const char *path, const char *name, int anchor_qf,
                     const struct vj_stream_options *options)
{
    double start = vj_seconds();
    loaded->item.name = strdup(name);
    loaded->item.source = strdup(path);
    loaded->item.anchor_qf = anchor_qf;
    loaded->item.qf_true = VJ_QF_UNKNOWN;
    loaded->item.fold = VJ_FOLD_NONE;
    int r = loaded->item.name && loaded->item.source
                ? load_pictures(loaded, options, false, &loaded->error)
                : vj_fail(&loaded->error, -ENOMEM, "out of memory");
    if (r && !loaded->error.code)
        loaded->error.code = r;
    loaded->seconds = vj_seconds() - start;
}

void vj_loaded_free(struct vj_loaded *loaded)
{
    vj_image_free(&loaded->source);
    vj_image_free(&loaded->reference);
    for (int qf = 0; qf <= VJ_LEVELS_MAX; qf++)
        free(loaded->candidate[qf].data);
    vj_item_free(&loaded->item);
    memset(loaded, 0, sizeof(*loaded));
}

/* Has a candidate the width and height of its source? */
static int check_like_source(const struct vj_loaded *loaded, const struct vj_file_bytes *file,
                             const char *path, struct vj_error *err)
{
    struct vj_image_info info;
    int r = vj_image_probe_memory(&info, file->data, file->size, path, err);
    if (!r && (info.width != loaded->source.width || info.height != loaded->source.height))
        r = vj_fail(err, -EINVAL, "%s is %zux%zu, but its source is %zux%zu", path, info.width,
                    info.height, loaded->source.width, loaded->source.height);
    return r;
}

int vj_loaded_fetch(void *user, int qf, struct vj_image *img, int64_t *bytes, struct vj_error *err)
{
    const struct vj_loaded *loaded = user;
    const struct vj_file_bytes *file = &loaded->candidate[qf];
    const char *path = loaded->item.candidate[qf];
    if (!file->data)
        return vj_fail(err, -ENOENT, "%s: no candidate file at quality factor %d",
                       loaded->item.name, qf);
    int r = loaded->item.decoded ? 0 : check_quality(file, qf, path, err);
    if (!r)
        r = check_like_source(loaded, file, path, err);
    if (r)
        return r;
    *bytes = file->rate;
    if (!img)
        return 0;
    r = vj_image_read_memory(img, file->data, file->size, path, &loaded->image, err);
    if (!r)
        r = vj_image_to_rgb(img, err);
    if (r)
        vj_image_free(img);
    return r;
}

static void *work(void *arg)
{
    struct vj_stream *s = arg;
    size_t slots = (size_t)s->options.slots;
    pthread_mutex_lock(&s->lock);
    while (!s->stop && s->next_load < s->count) {
        size_t k = s->next_load;
        if (s->state[k % slots] != SLOT_FREE) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        s->next_load++;
        struct vj_loaded *loaded = &s->slot[k % slots];
        s->state[k % slots] = SLOT_LOADING;
        loaded->index = s->index ? s->index[k] : k;
        loaded->slot = (int)(k % slots);
        pthread_mutex_unlock(&s->lock);
        s->load(loaded, s->source, &s->options);
        pthread_mutex_lock(&s->lock);
        s->state[k % slots] = SLOT_READY;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int vj_stream_open(struct vj_stream **stream, vj_load_fn *load, const void *source,
                   const size_t *index, size_t count, const struct vj_stream_options *options,
                   struct vj_error *err)
{
    struct vj_stream *s = vj_calloc(1, sizeof(*s));
    *stream = NULL;
    if (!s)
        return vj_fail(err, -ENOMEM, "out of memory");
    s->load = load;
    s->source = source;
    s->index = index;
    s->count = count;
    s->options = *options;
    s->slot = vj_calloc((size_t)options->slots, sizeof(*s->slot));
    s->state = vj_calloc((size_t)options->slots, sizeof(*s->state));
    s->thread = vj_calloc((size_t)options->threads, sizeof(*s->thread));
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    if (!s->slot || !s->state || !s->thread) {
        vj_stream_close(s);
        return vj_fail(err, -ENOMEM, "out of memory for %d slots", options->slots);
    }
    for (int i = 0; i < options->threads; i++) {
        int r = pthread_create(&s->thread[i], NULL, work, s);
        if (r) {
            vj_stream_close(s);
            return vj_fail(err, -r, "cannot start decode thread %d: %s", i + 1, strerror(r));
        }
        s->thread_count++;
    }
    *stream = s;
    return 0;
}

struct vj_loaded *vj_stream_next(struct vj_stream *s)
{
    if (s->next_give >= s->count)
        return NULL;
    size_t slots = (size_t)s->options.slots;
    pthread_mutex_lock(&s->lock);
    while (s->state[s->next_give % slots] != SLOT_READY)
        pthread_cond_wait(&s->changed, &s->lock);
    struct vj_loaded *loaded = &s->slot[s->next_give++ % slots];
    s->state[loaded->slot] = SLOT_GIVEN;
    pthread_mutex_unlock(&s->lock);
    return loaded;
}

void vj_stream_release(struct vj_stream *s, struct vj_loaded *loaded)
{
    int slot = loaded->slot;
    vj_loaded_free(loaded);
    pthread_mutex_lock(&s->lock);
    s->state[slot] = SLOT_FREE;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

void vj_stream_close(struct vj_stream *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < s->thread_count; i++)
        pthread_join(s->thread[i], NULL);
    if (s->slot)
        for (int i = 0; i < s->options.slots; i++)
            vj_loaded_free(&s->slot[i]);
    free(s->slot);
    free(s->state);
    free(s->thread);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s);
}
