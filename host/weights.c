/* SPDX-License-Identifier: MIT */
#include "host/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/checked.h"
#include "host/h5.h"
#include "host/net_fold.h"
#include "host/sha256.h"

#ifndef VJ_VERSION
#define VJ_VERSION "unversioned"
#endif

enum {
    SCHEMA_VERSION = 1,
    MAX_CHANNELS = 1024,
    MAX_PATCHES = 4096,
};
#define SCHEMA "vpjnd-weights"

static const char *const variant_names[] = {"released", "figure"};
static const char *const positive_class_names[] = {"auto", "lossy", "lossless"};
static const char *const origin_names[] = {"random", "imported", "trained"};
static const char *const non_local_names[] = {"reshape", "transpose"};
#define COUNT(names) (sizeof(names) / sizeof((names)[0]))

const char *vj_variant_name(enum vj_variant v)
{
    return (size_t)v < COUNT(variant_names) ? variant_names[v] : "unknown";
}

const char *vj_positive_class_name(enum vj_positive_class c)
{
    return (size_t)c < COUNT(positive_class_names) ? positive_class_names[c] : "unknown";
}

const char *vj_weights_origin_name(enum vj_weights_origin o)
{
    return (size_t)o < COUNT(origin_names) ? origin_names[o] : "unknown";
}

/* Index of `name` among the names, or -EINVAL with the list of them. */
static int parse_name(const char *what, const char *name, const char *const *names, size_t count,
                      struct vj_error *err)
{
    char list[128] = "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0)
            return (int)i;
        size_t used = strlen(list);
        snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", names[i]);
    }
    return vj_fail(err, -EINVAL, "%s '%.40s' is unknown; known: %s", what, name, list);
}

int vj_variant_parse(enum vj_variant *v, const char *name, struct vj_error *err)
{
    int i = parse_name("variant", name, variant_names, COUNT(variant_names), err);
    if (i < 0)
        return i;
    *v = (enum vj_variant)i;
    return 0;
}

struct vj_net_shape vj_net_shape_default(enum vj_variant variant)
{
    struct vj_net_shape shape = {
        .variant = variant,
        .non_local = VJ_NON_LOCAL_RESHAPE,
        .patch_size = 128,
        .patches = 32,
        .channels = {32, 64, 128, 256},
    };
    return shape;
}

int vj_net_shape_check(const struct vj_net_shape *s, struct vj_error *err)
{
    if ((size_t)s->variant >= COUNT(variant_names))
        return vj_fail(err, -EINVAL, "variant %d is unknown", (int)s->variant);
    if ((size_t)s->non_local >= COUNT(non_local_names))
        return vj_fail(err, -EINVAL, "non_local %d is unknown", (int)s->non_local);
    if (s->patch_size < 16 || s->patch_size > 256 || s->patch_size % 16 != 0)
        return vj_fail(err, -EINVAL, "patch_size is %d, must be a multiple of 16 from 16 to 256",
                       s->patch_size);
    if (s->patches < 1 || s->patches > MAX_PATCHES)
        return vj_fail(err, -EINVAL, "patches is %d, must be 1 to %d", s->patches, MAX_PATCHES);
    for (int i = 0; i < 3; i++)
        if (s->channels[i] < 16 || s->channels[i] > MAX_CHANNELS || s->channels[i] % 16 != 0)
            return vj_fail(err, -EINVAL,
                           "channels[%d] is %d, must be a multiple of 16 from 16 to %d", i,
                           s->channels[i], MAX_CHANNELS);
    if (s->channels[3] < 1 || s->channels[3] > MAX_CHANNELS)
        return vj_fail(err, -EINVAL, "channels[3] is %d, must be 1 to %d", s->channels[3],
                       MAX_CHANNELS);
    return 0;
}

/* The list of tensors, built up one name at a time; `failed` remembers the first error. */
struct list {
    struct vj_weights *w;
    size_t room;
    bool failed;
};

static void add(struct list *l, const size_t *dims, int rank, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void add(struct list *l, const size_t *dims, int rank, const char *format, ...)
{
    if (l->failed)
        return;
    if (l->w->count == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        struct vj_tensor *grown = realloc(l->w->tensors, room * sizeof(*grown));
        if (!grown) {
            l->failed = true;
            return;
        }
        l->w->tensors = grown;
        l->room = room;
    }
    struct vj_tensor *t = &l->w->tensors[l->w->count++];
    memset(t, 0, sizeof(*t));
    va_list args;
    va_start(args, format);
    vsnprintf(t->name, sizeof(t->name), format, args);
    va_end(args);
    t->rank = rank;
    t->count = 1;
    for (int i = 0; i < rank; i++) {
        t->shape[i] = dims[i];
        t->count *= dims[i]; /* vj_net_shape_check() bounds every factor far below overflow */
    }
}

static void add_conv(struct list *l, const char *stream, int layer, size_t ci, size_t co)
{
    add(l, (size_t[]){3, 3, ci, co}, 4, "%s/conv%d/weights", stream, layer);
    add(l, &co, 1, "%s/conv%d/biases", stream, layer);
}

static void add_dense(struct list *l, const char *where, size_t ci, size_t co)
{
    add(l, (size_t[]){ci, co}, 2, "%s/kernel", where);
    add(l, &co, 1, "%s/bias", where);
}

static void add_stream(struct list *l, const char *stream, const struct vj_net_shape *shape)
{
    size_t ci = 3;
    for (int i = 0; i < 3; i++) {
        size_t co = (size_t)shape->channels[i], hidden = co / 16;
        char where[64];
        add_conv(l, stream, i + 1, ci, co);
        snprintf(where, sizeof(where), "%s/conv%d/ch_at/mlp_0", stream, i + 1);
        add_dense(l, where, co, hidden);
        snprintf(where, sizeof(where), "%s/conv%d/ch_at/mlp_1", stream, i + 1);
        add_dense(l, where, hidden, co);
        ci = co;
    }
    static const char *const parts[] = {"g", "phi", "theta", "w"};
    size_t c = (size_t)shape->channels[3];
    add_conv(l, stream, 4, ci, c);
    for (size_t i = 0; i < COUNT(parts); i++) {
        const char *p = parts[i];
        add(l, (size_t[]){1, 1, c, c}, 4, "%s/conv4/Non-local4/%s/%s_conv/kernel", stream, p, p);
        add(l, &c, 1, "%s/conv4/Non-local4/%s/%s_conv/bias", stream, p, p);
    }
}

static void add_head(struct list *l, const char *head, size_t inputs)
{
    size_t hidden = VJ_NET_HIDDEN, one = 1;
    add(l, (size_t[]){inputs, hidden}, 2, "%s/block1/weights", head);
    add(l, &hidden, 1, "%s/block1/biases", head);
    add(l, (size_t[]){hidden, one}, 2, "%s/block2/weights", head);
    add(l, &one, 1, "%s/block2/biases", head);
}

/* Fills w->shape and the list of tensors, without their data. */
static int list_tensors(struct vj_weights *w, const struct vj_net_shape *shape,
                        struct vj_error *err)
{
    int r = vj_net_shape_check(shape, err);
    if (r)
        return r;
    w->shape = *shape;
    struct list l = {.w = w};
    add_stream(&l, "extract_feature", shape);
    if (shape->variant == VJ_VARIANT_RELEASED)
        add_stream(&l, "extract_jnd_feature", shape);
    add_head(&l, "regressions", vj_net_head_inputs(shape));
    add_head(&l, "weightings", vj_net_head_inputs(shape));
    if (l.failed)
        return vj_fail(err, -ENOMEM, "out of memory for the list of tensors");
    return 0;
}

static int allocate_tensors(struct vj_weights *w, struct vj_error *err)
{
    for (size_t i = 0; i < w->count; i++) {
        struct vj_tensor *t = &w->tensors[i];
        t->data = vj_calloc(t->count, sizeof(float));
        if (!t->data)
            return vj_fail(err, -ENOMEM, "out of memory for tensor %s (%zu bytes)", t->name,
                           t->count * sizeof(float));
    }
    return 0;
}

int vj_weights_alloc(struct vj_weights *w, const struct vj_net_shape *shape, struct vj_error *err)
{
    int r = list_tensors(w, shape, err);
    return r ? r : allocate_tensors(w, err);
}

struct vj_tensor *vj_weights_find(const struct vj_weights *w, const char *name)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->tensors[i].name, name) == 0)
            return &w->tensors[i];
    return NULL;
}

void vj_weights_free(struct vj_weights *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->tensors[i].data);
    free(w->tensors);
    memset(w, 0, sizeof(*w));
}

static void put_u64(unsigned char *to, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

/* Name with its NUL, rank and dimensions as u64 LE, then the data as stored: float32 LE. */
static int hash_tensor(struct vj_sha256 *s, const struct vj_tensor *t, struct vj_error *err)
{
    unsigned char head[8 + 8 * COUNT(t->shape)];
    put_u64(head, (uint64_t)t->rank);
    for (int i = 0; i < t->rank; i++)
        put_u64(head + 8 + 8 * i, t->shape[i]);
    int r = vj_sha256_add(s, t->name, strlen(t->name) + 1, err);
    if (!r)
        r = vj_sha256_add(s, head, 8 + 8 * (size_t)t->rank, err);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (!r)
        r = vj_sha256_add(s, t->data, t->count * sizeof(float), err);
#else
#error "the hash is defined over little-endian data: swap bytes here"
#endif
    return r;
}

int vj_weights_hash(struct vj_weights *w, struct vj_error *err)
{
    struct vj_sha256 s;
    int r = vj_sha256_begin(&s, err);
    if (r)
        return r;
    for (size_t i = 0; i < w->count && !r; i++)
        r = hash_tensor(&s, &w->tensors[i], err);
    if (!r)
        return vj_sha256_end(&s, w->sha256, err);
    vj_sha256_cancel(&s);
    return r;
}

static bool all_finite(const float *data, size_t count)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &data[i], sizeof(bits));
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

static int read_name(hid_t file, const char *attribute, const char *const *names, size_t count,
                     int *index, struct vj_error *err)
{
    char text[64];
    int r = vj_h5_read_text(file, attribute, text, sizeof(text), err);
    if (r)
        return r;
    r = parse_name(attribute, text, names, count, err);
    if (r < 0)
        return r;
    *index = r;
    return 0;
}

static int read_schema(hid_t file, struct vj_error *err)
{
    char schema[64];
    int64_t version;
    int r = vj_h5_read_text(file, "schema", schema, sizeof(schema), err);
    if (!r && strcmp(schema, SCHEMA) != 0)
        r = vj_fail(err, -EINVAL, "attribute schema is '%s': not a weight file ('%s')", schema,
                    SCHEMA);
    if (!r)
        r = vj_h5_read_int(file, "schema_version", &version, err);
    if (!r && version != SCHEMA_VERSION)
        r = vj_fail(err, -EINVAL,
                    "schema_version is %lld, this program reads %d; update the program",
                    (long long)version, SCHEMA_VERSION);
    return r;
}

static int clamp_to_int(int64_t v)
{
    return v < INT32_MIN ? INT32_MIN : v > INT32_MAX ? INT32_MAX : (int)v;
}

static int read_shape(hid_t file, struct vj_net_shape *shape, struct vj_error *err)
{
    int variant = 0, non_local = 0;
    int64_t patch_size, patches, channels[4];
    int r = read_name(file, "variant", variant_names, COUNT(variant_names), &variant, err);
    if (!r)
        r = read_name(file, "non_local", non_local_names, COUNT(non_local_names), &non_local, err);
    if (!r)
        r = vj_h5_read_int(file, "patch_size", &patch_size, err);
    if (!r)
        r = vj_h5_read_int(file, "patches", &patches, err);
    if (!r)
        r = vj_h5_read_ints(file, "channels", channels, 4, err);
    if (r)
        return r;
    shape->variant = (enum vj_variant)variant;
    shape->non_local = (enum vj_non_local)non_local;
    shape->patch_size = clamp_to_int(patch_size);
    shape->patches = clamp_to_int(patches);
    for (int i = 0; i < 4; i++)
        shape->channels[i] = clamp_to_int(channels[i]);
    return 0;
}

static int read_provenance(hid_t file, struct vj_weights *w, struct vj_error *err)
{
    int positive = 0, origin = 0;
    int r = read_name(file, "positive_class", positive_class_names, COUNT(positive_class_names),
                      &positive, err);
    if (!r)
        r = read_name(file, "origin", origin_names, COUNT(origin_names), &origin, err);
    if (!r)
        r = vj_h5_read_text(file, "origin_text", w->origin_text, sizeof(w->origin_text), err);
    if (!r)
        r = vj_h5_read_text(file, "sha256", w->sha256, sizeof(w->sha256), err);
    w->positive_class = (enum vj_positive_class)positive;
    w->origin = (enum vj_weights_origin)origin;
    return r;
}

static void print_shape(char *text, size_t size, int rank, const size_t *dims)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%zu", i ? ", " : "", dims[i]);
    if (used < size)
        snprintf(text + used, size - used, "]");
}

static int check_dataset(const struct vj_tensor *t, const struct vj_h5_info *info,
                         struct vj_error *err)
{
    bool same = info->rank == t->rank;
    for (int i = 0; same && i < t->rank; i++)
        same = info->dims[i] == t->shape[i];
    if (!same) {
        char have[128], want[128];
        print_shape(have, sizeof(have), info->rank, info->dims);
        print_shape(want, sizeof(want), t->rank, t->shape);
        return vj_fail(err, -EINVAL, "dataset %s has shape %s, this network needs %s", t->name,
                       have, want);
    }
    if (!info->is_float32)
        return vj_fail(err, -EINVAL, "dataset %s is not little-endian float32", t->name);
    if (!info->is_plain)
        return vj_fail(err, -EINVAL,
                       "dataset %s is chunked, filtered, external or not stored in full; weights "
                       "are stored contiguously",
                       t->name);
    return 0;
}

/* Every dataset is there, of the right shape, and the file is large enough to hold them all. */
static int check_datasets(hid_t file, const struct vj_weights *w, size_t file_size,
                          struct vj_error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct vj_tensor *t = &w->tensors[i];
        struct vj_h5_info info;
        hid_t set;
        int r = vj_h5_dataset_open(&set, file, t->name, &info, err);
        if (r)
            return r;
        H5Dclose(set);
        r = check_dataset(t, &info, err);
        if (r)
            return r;
        bytes += t->count * sizeof(float);
    }
    if (bytes > file_size)
        return vj_fail(err, -EINVAL,
                       "holds %zu bytes, its tensors alone need %zu: the file is cut off",
                       file_size, bytes);
    return 0;
}

static int read_tensors(hid_t file, struct vj_weights *w, struct vj_error *err)
{
    for (size_t i = 0; i < w->count; i++) {
        struct vj_tensor *t = &w->tensors[i];
        struct vj_h5_info info;
        hid_t set;
        int r = vj_h5_dataset_open(&set, file, t->name, &info, err);
        if (r)
            return r;
        r = vj_h5_dataset_read_floats(set, t->name, t->data, err);
        H5Dclose(set);
        if (r)
            return r;
        if (!all_finite(t->data, t->count))
            return vj_fail(err, -EINVAL, "dataset %s has values that are infinite or not a number",
                           t->name);
    }
    return 0;
}

static int verify_hash(struct vj_weights *w, struct vj_error *err)
{
    char recorded[sizeof(w->sha256)];
    memcpy(recorded, w->sha256, sizeof(recorded));
    int r = vj_weights_hash(w, err);
    if (!r && strcmp(recorded, w->sha256) != 0)
        r = vj_fail(err, -EINVAL,
                    "the tensors' SHA-256 is %s, the file records %s: it was changed or damaged",
                    w->sha256, recorded);
    return r;
}

static int read_open_file(struct vj_weights *w, hid_t file, size_t file_size, struct vj_error *err)
{
    struct vj_net_shape shape = {0};
    int r = read_schema(file, err);
    if (!r)
        r = read_shape(file, &shape, err);
    if (!r)
        r = read_provenance(file, w, err);
    if (!r)
        r = list_tensors(w, &shape, err);
    if (!r)
        r = check_datasets(file, w, file_size, err);
    if (!r)
        r = allocate_tensors(w, err);
    if (!r)
        r = read_tensors(file, w, err);
    if (!r)
        r = verify_hash(w, err);
    return r;
}

int vj_weights_read(struct vj_weights *w, const char *path, struct vj_error *err)
{
    hid_t file;
    int r = vj_h5_open(&file, path, err);
    if (r)
        return r;
    struct stat st;
    if (stat(path, &st) != 0)
        r = vj_fail(err, -errno, "cannot be examined: %s", strerror(errno));
    else
        r = read_open_file(w, file, (size_t)st.st_size, err);
    vj_h5_close(file, path, NULL);
    if (r)
        vj_fail_prefix(err, "%s", path);
    return r;
}

static int write_attributes(hid_t file, const struct vj_weights *w, struct vj_error *err)
{
    const struct {
        const char *name, *value;
    } texts[] = {
        {"schema", SCHEMA},
        {"variant", vj_variant_name(w->shape.variant)},
        {"non_local", non_local_names[w->shape.non_local]},
        {"positive_class", vj_positive_class_name(w->positive_class)},
        {"origin", vj_weights_origin_name(w->origin)},
        {"origin_text", w->origin_text},
        {"sha256", w->sha256},
        {"program_version", VJ_VERSION},
    };
    int64_t channels[4];
    for (int i = 0; i < 4; i++)
        channels[i] = w->shape.channels[i];
    int r = 0;
    for (size_t i = 0; i < COUNT(texts) && !r; i++)
        r = vj_h5_write_text(file, texts[i].name, texts[i].value, err);
    if (!r)
        r = vj_h5_write_int(file, "schema_version", SCHEMA_VERSION, err);
    if (!r)
        r = vj_h5_write_int(file, "patch_size", w->shape.patch_size, err);
    if (!r)
        r = vj_h5_write_int(file, "patches", w->shape.patches, err);
    if (!r)
        r = vj_h5_write_ints(file, "channels", channels, 4, err);
    return r;
}

static int write_file(const struct vj_weights *w, const char *path, struct vj_error *err)
{
    hid_t file;
    int r = vj_h5_create(&file, path, err);
    if (r)
        return r;
    r = write_attributes(file, w, err);
    for (size_t i = 0; i < w->count && !r; i++) {
        const struct vj_tensor *t = &w->tensors[i];
        r = vj_h5_dataset_write_floats(file, t->name, t->rank, t->shape, t->data, err);
    }
    if (!r)
        return vj_h5_close(file, path, err);
    vj_h5_abandon(file);
    return vj_fail_prefix(err, "%s", path);
}

/* After this a power cut leaves either the old file or the new one whole. */
static int put_in_place(const char *part, const char *path, struct vj_error *err)
{
    int fd = open(part, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        int r = vj_fail(err, -errno, "%s: cannot be flushed to disk: %s", part, strerror(errno));
        if (fd >= 0)
            close(fd);
        return r;
    }
    close(fd);
    if (rename(part, path) != 0)
        return vj_fail(err, -errno, "%s: cannot be renamed to %s: %s", part, path, strerror(errno));
    return 0;
}

int vj_weights_write(struct vj_weights *w, const char *path, struct vj_error *err)
{
    int r = vj_net_shape_check(&w->shape, err);
    if (!r)
        r = vj_weights_hash(w, err);
    if (r)
        return vj_fail_prefix(err, "%s", path);
    char *part = NULL;
    if (asprintf(&part, "%s.part", path) < 0)
        return vj_fail(err, -ENOMEM, "%s: out of memory", path);
    r = write_file(w, part, err);
    if (!r)
        r = put_in_place(part, path, err);
    if (r)
        unlink(part);
    free(part);
    return r;
}
