/* SPDX-License-Identifier: MIT */
#include "host/checkpoint_bundle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "host/checkpoint_wire.h"
#include "host/crc32c.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

enum { VERSION_READ = 1 }; /* the bundle format that this file knows */

/* TensorFlow's DataType numbers; 0 bytes = not of a fixed size. */
static const struct {
    const char *name;
    unsigned bytes;
} DTYPES[] = {
    [1] = {"float32", 4},  [2] = {"float64", 8},      [3] = {"int32", 4},    [4] = {"uint8", 1},
    [5] = {"int16", 2},    [6] = {"int8", 1},         [7] = {"string", 0},   [8] = {"complex64", 8},
    [9] = {"int64", 8},    [10] = {"bool", 1},        [11] = {"qint8", 1},   [12] = {"quint8", 1},
    [13] = {"qint32", 4},  [14] = {"bfloat16", 2},    [15] = {"qint16", 2},  [16] = {"quint16", 2},
    [17] = {"uint16", 2},  [18] = {"complex128", 16}, [19] = {"float16", 2}, [20] = {"resource", 0},
    [21] = {"variant", 0}, [22] = {"uint32", 4},      [23] = {"uint64", 8},
};

enum { DTYPES_KNOWN = sizeof(DTYPES) / sizeof(DTYPES[0]) };

/* One field of a message: `number` holds a varint or a fixed integer, `bytes` a submessage. */
struct field {
    uint64_t id;
    enum wire_type type;
    uint64_t number;
    struct vj_wire bytes;
};

static int damaged(struct vj_error *err, const char *what)
{
    return vj_fail(err, -EBADMSG, "%s", what);
}

static bool take_fixed(struct vj_wire *w, size_t size, uint64_t *out)
{
    struct vj_wire bytes;
    if (!vj_wire_bytes(w, size, &bytes))
        return false;
    *out = size == 8 ? vj_u64_le(bytes.p) : vj_u32_le(bytes.p);
    return true;
}

static bool take_value(struct vj_wire *w, struct field *f)
{
    uint64_t size;
    switch (f->type) {
    case WIRE_VARINT:
        return vj_wire_varint(w, &f->number);
    case WIRE_FIXED64:
        return take_fixed(w, 8, &f->number);
    case WIRE_FIXED32:
        return take_fixed(w, 4, &f->number);
    case WIRE_BYTES:
        return vj_wire_varint(w, &size) && vj_wire_bytes(w, size, &f->bytes);
    }
    return false; /* groups (3, 4), which no message here has, and 6 and 7, which do not exist */
}

/* Takes the next field: 1, 0 at the end, or -EBADMSG. */
static int next_field(struct vj_wire *w, struct field *f, struct vj_error *err)
{
    if (vj_wire_left(w) == 0)
        return 0;
    uint64_t tag;
    *f = (struct field){.id = 0};
    if (!vj_wire_varint(w, &tag) || tag >> 3 == 0)
        return damaged(err, "a protocol buffer field has no valid tag");
    f->id = tag >> 3;
    f->type = (enum wire_type)(tag & 7);
    if (!take_value(w, f))
        return vj_fail(err, -EBADMSG, "protocol buffer field %" PRIu64 " is cut off or malformed",
                       f->id);
    return 1;
}

static int want_type(const struct field *f, enum wire_type type, const char *name,
                     struct vj_error *err)
{
    if (f->type == type)
        return 0;
    return vj_fail(err, -EBADMSG, "field %s has wire type %d, expected %d", name, (int)f->type,
                   (int)type);
}

/* A varint field's value, which must be in [0, max] (negative numbers are the largest ones). */
static int take_number(uint64_t *out, const struct field *f, const char *name, uint64_t max,
                       struct vj_error *err)
{
    int ret = want_type(f, WIRE_VARINT, name, err);
    if (ret)
        return ret;
    if (f->number > max)
        return vj_fail(err, -EBADMSG, "field %s is %" PRId64 ", expected 0 to %" PRIu64, name,
                       (int64_t)f->number, max);
    *out = f->number;
    return 0;
}

static int parse_version(struct vj_wire w, struct vj_error *err)
{
    struct field f;
    int ret;
    while ((ret = next_field(&w, &f, err)) > 0) {
        uint64_t min_consumer = 0;
        if (f.id == 2)
            ret = take_number(&min_consumer, &f, "version.min_consumer", INT32_MAX, err);
        if (ret < 0)
            return ret;
        if (min_consumer > VERSION_READ)
            return vj_fail(err, -ENOTSUP,
                           "the checkpoint asks for a reader of format version %" PRIu64
                           ", this one knows %d",
                           min_consumer, VERSION_READ);
    }
    return ret;
}

int vj_bundle_parse_header(uint32_t *num_shards, const uint8_t *data, size_t size,
                           struct vj_error *err)
{
    struct vj_wire w = {data, data + size};
    struct field f;
    uint64_t shards = 0, endianness = 0;
    int ret;
    while ((ret = next_field(&w, &f, err)) > 0) {
        if (f.id == 1)
            ret = take_number(&shards, &f, "num_shards", VJ_CHECKPOINT_SHARDS_MAX, err);
        else if (f.id == 2)
            ret = take_number(&endianness, &f, "endianness", 1, err);
        else if (f.id == 3 && (ret = want_type(&f, WIRE_BYTES, "version", err)) == 0)
            ret = parse_version(f.bytes, err);
        if (ret < 0)
            break;
    }
    if (ret < 0) {
        vj_fail_prefix(err, "checkpoint header");
        return ret;
    }
    if (endianness != 0)
        return vj_fail(err, -ENOTSUP,
                       "checkpoint header: the tensors are big endian; only little endian "
                       "checkpoints can be read");
    if (shards == 0)
        return damaged(err, "checkpoint header: num_shards is 0");
    *num_shards = (uint32_t)shards;
    return 0;
}

static int parse_dim(uint64_t *dim, struct vj_wire w, struct vj_error *err)
{
    struct field f;
    int ret;
    *dim = 0;
    while ((ret = next_field(&w, &f, err)) > 0) {
        if (f.id == 1)
            ret = take_number(dim, &f, "shape.dim.size", INT64_MAX, err);
        if (ret < 0)
            return ret;
    }
    return ret;
}

static int append_dim(struct vj_checkpoint_entry *e, struct vj_wire w, struct vj_error *err)
{
    if (e->rank == VJ_CHECKPOINT_RANK_MAX)
        return vj_fail(err, -ENOTSUP, "more than %d dimensions", VJ_CHECKPOINT_RANK_MAX);
    return parse_dim(&e->shape[e->rank++], w, err);
}

static int parse_shape(struct vj_checkpoint_entry *e, struct vj_wire w, struct vj_error *err)
{
    struct field f;
    int ret;
    while ((ret = next_field(&w, &f, err)) > 0) {
        uint64_t unknown_rank = 0;
        if (f.id == 2 && (ret = want_type(&f, WIRE_BYTES, "shape.dim", err)) == 0)
            ret = append_dim(e, f.bytes, err);
        else if (f.id == 3)
            ret = take_number(&unknown_rank, &f, "shape.unknown_rank", 1, err);
        if (ret < 0)
            return ret;
        if (unknown_rank)
            return damaged(err, "a stored tensor's rank cannot be unknown");
    }
    return ret;
}

static int parse_entry_field(struct vj_checkpoint_entry *e, const struct field *f,
                             struct vj_error *err)
{
    uint64_t number = 0;
    int ret = 0;
    switch (f->id) {
    case 1:
        ret = take_number(&number, f, "dtype", INT32_MAX, err);
        e->dtype = (int)number;
        return ret;
    case 2:
        ret = want_type(f, WIRE_BYTES, "shape", err);
        return ret ? ret : parse_shape(e, f->bytes, err);
    case 3:
        ret = take_number(&number, f, "shard_id", INT32_MAX, err);
        e->shard = (uint32_t)number;
        return ret;
    case 4:
        return take_number(&e->offset, f, "offset", INT64_MAX, err);
    case 5:
        return take_number(&e->size, f, "size", INT64_MAX, err);
    case 6:
        e->crc32c = (uint32_t)f->number;
        return want_type(f, WIRE_FIXED32, "crc32c", err);
    case 7:
        e->sliced = true;
        return want_type(f, WIRE_BYTES, "slices", err);
    default:
        return 0;
    }
}

/* Counts the numbers and holds their bytes against the recorded size. */
static int check_size(struct vj_checkpoint_entry *e, struct vj_error *err)
{
    e->count = 1;
    for (int i = 0; i < e->rank; i++)
        if (__builtin_mul_overflow(e->count, e->shape[i], &e->count))
            return damaged(err, "the product of the dimensions does not fit 64 bits");

    unsigned bytes = e->dtype < DTYPES_KNOWN ? DTYPES[e->dtype].bytes : 0;
    uint64_t wanted;
    if (bytes == 0 || e->sliced)
        return 0;
    if (__builtin_mul_overflow(e->count, (uint64_t)bytes, &wanted))
        return damaged(err, "the product of the dimensions does not fit 64 bits");
    if (e->size != wanted)
        return vj_fail(err, -EBADMSG,
                       "size is %" PRIu64 " bytes, but its shape and type need %" PRIu64, e->size,
                       wanted);
    return 0;
}

int vj_bundle_parse_entry(struct vj_checkpoint_entry *e, const uint8_t *data, size_t size,
                          uint32_t num_shards, struct vj_error *err)
{
    char *name = e->name;
    *e = (struct vj_checkpoint_entry){.name = name};
    struct vj_wire w = {data, data + size};
    struct field f;
    int ret;
    while ((ret = next_field(&w, &f, err)) > 0) {
        ret = parse_entry_field(e, &f, err);
        if (ret)
            return ret;
    }
    if (ret)
        return ret;

    e->crc32c = vj_crc32c_unmask(e->crc32c);
    if (e->dtype == 0)
        return damaged(err, "field dtype is missing");
    if (e->shard >= num_shards)
        return vj_fail(err, -EBADMSG,
                       "shard_id is %" PRIu32 ", but there are only %" PRIu32 " shards", e->shard,
                       num_shards);
    if (e->offset > (uint64_t)INT64_MAX - e->size)
        return damaged(err, "offset + size does not fit 63 bits");
    return check_size(e, err);
}

const char *vj_checkpoint_dtype_name(int dtype)
{
    const char *name = dtype >= 0 && dtype < DTYPES_KNOWN ? DTYPES[dtype].name : NULL;
    return name ? name : "unknown";
}

void vj_checkpoint_format_shape(char *text, int rank, const uint64_t *shape)
{
    char *p = text;
    *p++ = '[';
    for (int i = 0; i < rank; i++)
        p += sprintf(p, "%s%" PRIu64, i ? "," : "", shape[i]);
    p[0] = ']';
    p[1] = '\0';
}
