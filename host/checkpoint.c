/* SPDX-License-Identifier: MIT */
#include "host/checkpoint.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/checked.h"
#include "host/checkpoint_bundle.h"
#include "host/checkpoint_table.h"
#include "host/crc32c.h"

/* First words of the text file that Git leaves in place of a file kept on Git LFS. */
static const char LFS_POINTER[] = "version https://git-lfs";

enum { READ_CHUNK = 1 << 20 }; /* bytes read between two steps of the CRC */

/* A data shard opened for reading; fd is -1 when none is. */
struct shard {
    int fd;
    uint32_t id;
    uint64_t size; /* of the file, bytes */
    char *path;
};

struct vj_checkpoint {
    char *prefix;
    struct vj_checkpoint_entry *entries;
    size_t count, capacity;
    uint32_t num_shards; /* 0 until the header has been read */
    struct shard shard;  /* the last one used */
};

static bool is_lfs_pointer(const void *data, size_t size)
{
    size_t length = sizeof(LFS_POINTER) - 1;
    return size >= length && memcmp(data, LFS_POINTER, length) == 0;
}

/* ---- index ---- */

/* A printable copy of a key, different for different keys; owned by the caller. */
static char *printable(const uint8_t *key, size_t size)
{
    char *text = vj_calloc(4 * size + 1, 1);
    if (!text)
        return NULL;
    char *p = text;
    for (size_t i = 0; i < size; i++) {
        if (key[i] > 0x20 && key[i] < 0x7f && key[i] != '\\')
            *p++ = (char)key[i];
        else
            p += sprintf(p, "\\x%02x", key[i]);
    }
    return text;
}

static int reserve_entry(struct vj_checkpoint *c, struct vj_error *err)
{
    if (c->count < c->capacity)
        return 0;
    if (c->count >= VJ_CHECKPOINT_TENSORS_MAX)
        return vj_fail(err, -ENOTSUP, "more than %d tensors", VJ_CHECKPOINT_TENSORS_MAX);
    size_t capacity = c->capacity ? 2 * c->capacity : 64;
    struct vj_checkpoint_entry *grown = realloc(c->entries, capacity * sizeof(*grown));
    if (!grown)
        return vj_fail(err, -ENOMEM, "no memory for %zu tensor entries", capacity);
    c->entries = grown;
    c->capacity = capacity;
    return 0;
}

static int add_entry(struct vj_checkpoint *c, const struct vj_table_entry *pair,
                     struct vj_error *err)
{
    int ret = reserve_entry(c, err);
    if (ret)
        return ret;
    struct vj_checkpoint_entry *e = &c->entries[c->count];
    e->name = printable(pair->key, pair->key_size);
    if (!e->name)
        return vj_fail(err, -ENOMEM, "no memory for a tensor's name");
    c->count++;
    ret = vj_bundle_parse_entry(e, pair->value, pair->value_size, c->num_shards, err);
    if (ret)
        vj_fail_prefix(err, "tensor %.200s", e->name);
    return ret;
}

/* A vj_table_visitor. The header's key is empty, so that it comes first if it is there. */
static int visit_pair(void *context, const struct vj_table_entry *pair, struct vj_error *err)
{
    struct vj_checkpoint *c = context;
    if (pair->key_size == 0)
        return vj_bundle_parse_header(&c->num_shards, pair->value, pair->value_size, err);
    if (c->num_shards == 0)
        return vj_fail(err, -EBADMSG, "the checkpoint header is missing");
    return add_entry(c, pair, err);
}

static int parse_index(struct vj_checkpoint *c, const uint8_t *data, size_t size,
                       struct vj_error *err)
{
    if (is_lfs_pointer(data, size))
        return vj_fail(err, -EBADMSG,
                       "a Git LFS pointer, not the index itself; run \"git lfs pull\" in the "
                       "repository it comes from");
    int ret = vj_table_walk(data, size, visit_pair, c, err);
    if (ret == 0 && c->num_shards == 0)
        ret = vj_fail(err, -EBADMSG, "the checkpoint header is missing");
    return ret;
}

int vj_checkpoint_open_memory(struct vj_checkpoint **out, const char *prefix, const uint8_t *data,
                              size_t size, struct vj_error *err)
{
    *out = NULL;
    struct vj_checkpoint *c = vj_calloc(1, sizeof(*c));
    if (!c)
        return vj_fail(err, -ENOMEM, "%s.index: no memory", prefix);
    c->shard.fd = -1;
    c->prefix = strdup(prefix);
    int ret = c->prefix ? parse_index(c, data, size, err) : vj_fail(err, -ENOMEM, "no memory");
    if (ret) {
        vj_fail_prefix(err, "%s.index", prefix);
        vj_checkpoint_close(c);
        return ret;
    }
    *out = c;
    return 0;
}

/* Opens a regular file; on failure the text lacks the file's name. */
static int open_regular(int *fd, uint64_t *size, const char *path, struct vj_error *err)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return vj_fail(err, -errno, "cannot be opened: %s", strerror(errno));
    int ret = 0;
    if (fstat(*fd, &st) != 0)
        ret = vj_fail(err, -errno, "cannot be examined: %s", strerror(errno));
    else if (!S_ISREG(st.st_mode))
        ret = vj_fail(err, -EINVAL, "not a regular file");
    if (ret) {
        close(*fd);
        *fd = -1;
        return ret;
    }
    *size = (uint64_t)st.st_size;
    return 0;
}

/* Reads `size` bytes at `offset`; a file that ends before is an error. */
static int read_at(int fd, void *out, size_t size, uint64_t offset, struct vj_error *err)
{
    char *p = out;
    while (size > 0) {
        ssize_t n = pread(fd, p, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return vj_fail(err, -errno, "cannot be read: %s", strerror(errno));
        if (n == 0)
            return vj_fail(err, -EBADMSG, "ends at byte %" PRIu64 ", within what is to be read",
                           offset);
        p += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int load_index(uint8_t **data, size_t *size, const char *path, struct vj_error *err)
{
    int fd = -1;
    uint64_t bytes = 0;
    int ret = open_regular(&fd, &bytes, path, err);
    if (ret)
        return ret;
    *data = NULL;
    if (bytes > VJ_CHECKPOINT_INDEX_MAX)
        ret = vj_fail(err, -EFBIG,
                      "%" PRIu64 " bytes are too many for a checkpoint index (at most %d)", bytes,
                      VJ_CHECKPOINT_INDEX_MAX);
    else if (!(*data = vj_calloc((size_t)bytes, 1)))
        ret = vj_fail(err, -ENOMEM, "no memory for its %" PRIu64 " bytes", bytes);
    else
        ret = read_at(fd, *data, (size_t)bytes, 0, err);
    *size = (size_t)bytes;
    close(fd);
    if (ret) {
        free(*data);
        *data = NULL;
    }
    return ret;
}

int vj_checkpoint_open(struct vj_checkpoint **c, const char *prefix, struct vj_error *err)
{
    *c = NULL;
    char *path;
    if (asprintf(&path, "%s.index", prefix) < 0)
        return vj_fail(err, -ENOMEM, "%s.index: no memory", prefix);
    uint8_t *data = NULL;
    size_t size = 0;
    int ret = load_index(&data, &size, path, err);
    if (ret) {
        vj_fail_prefix(err, "%s", path);
        if (ret == -ENOENT)
            ret =
                vj_fail(err, ret,
                        "%s: no such file; name a TensorFlow checkpoint without its \".index\" or "
                        "\".data-...\", or a PyTorch file as FILE.pth or FILE.pt",
                        path);
    } else {
        ret = vj_checkpoint_open_memory(c, prefix, data, size, err);
    }
    free(data);
    free(path);
    return ret;
}

size_t vj_checkpoint_count(const struct vj_checkpoint *c)
{
    return c->count;
}

uint32_t vj_checkpoint_shards(const struct vj_checkpoint *c)
{
    return c->num_shards;
}

const struct vj_checkpoint_entry *vj_checkpoint_entry(const struct vj_checkpoint *c, size_t i)
{
    return &c->entries[i];
}

const struct vj_checkpoint_entry *vj_checkpoint_find(const struct vj_checkpoint *c,
                                                     const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->entries[i].name, name) == 0)
            return &c->entries[i];
    return NULL;
}

/* ---- shards ---- */

static void shard_close(struct shard *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s->path);
    *s = (struct shard){.fd = -1};
}

/* Refuses a shard that is a Git LFS pointer. */
static int check_shard(const struct shard *s, struct vj_error *err)
{
    char start[sizeof(LFS_POINTER) - 1];
    if (s->size < sizeof(start))
        return 0;
    int ret = read_at(s->fd, start, sizeof(start), 0, err);
    if (ret == 0 && is_lfs_pointer(start, sizeof(start)))
        ret = vj_fail(err, -EBADMSG,
                      "a Git LFS pointer, not the weights themselves; run \"git lfs pull\" in the "
                      "repository it comes from, or copy the full file here");
    return ret;
}

/* Makes `id` the open shard. */
static int shard_open(struct vj_checkpoint *c, uint32_t id, struct vj_error *err)
{
    struct shard *s = &c->shard;
    if (s->fd >= 0 && s->id == id)
        return 0;
    shard_close(s);
    if (asprintf(&s->path, "%s.data-%05" PRIu32 "-of-%05" PRIu32, c->prefix, id, c->num_shards) <
        0) {
        s->path = NULL;
        return vj_fail(err, -ENOMEM, "%s: no memory", c->prefix);
    }
    s->id = id;
    int ret = open_regular(&s->fd, &s->size, s->path, err);
    if (ret == -ENOENT)
        vj_fail(err, ret,
                "no such data shard; put it beside the index (the released checkpoint's is on Git "
                "LFS: \"git lfs pull\" in its repository)");
    if (ret == 0)
        ret = check_shard(s, err);
    if (ret) {
        vj_fail_prefix(err, "%s", s->path);
        shard_close(s);
    }
    return ret;
}

static int locate(struct vj_checkpoint *c, const struct vj_checkpoint_entry *e,
                  struct vj_error *err)
{
    if (e->dtype != VJ_CHECKPOINT_FLOAT32)
        return vj_fail(err, -ENOTSUP, "has type %s (%d), expected float32 (%d)",
                       vj_checkpoint_dtype_name(e->dtype), e->dtype, VJ_CHECKPOINT_FLOAT32);
    if (e->sliced)
        return vj_fail(err, -ENOTSUP,
                       "is stored in slices, which cannot be read; save the checkpoint again from "
                       "unpartitioned variables");
    int ret = shard_open(c, e->shard, err);
    if (ret)
        return ret;
    if (e->offset > c->shard.size || e->size > c->shard.size - e->offset)
        return vj_fail(err, -EBADMSG,
                       "lies at bytes %" PRIu64 " to %" PRIu64 " of %s, which has only %" PRIu64
                       "; the shard is cut off, fetch it again",
                       e->offset, e->offset + e->size, c->shard.path, c->shard.size);
    return 0;
}

int vj_checkpoint_locate(struct vj_checkpoint *c, const struct vj_checkpoint_entry *e,
                         struct vj_error *err)
{
    int ret = locate(c, e, err);
    if (ret)
        vj_fail_prefix(err, "tensor %.200s", e->name);
    return ret;
}

static int read_checked(const struct shard *s, const struct vj_checkpoint_entry *e, void *out,
                        struct vj_error *err)
{
    uint8_t *p = out;
    uint32_t crc = 0;
    for (uint64_t done = 0; done < e->size;) {
        uint64_t left = e->size - done;
        size_t chunk = left < READ_CHUNK ? (size_t)left : READ_CHUNK;
        int ret = read_at(s->fd, p + done, chunk, e->offset + done, err);
        if (ret) {
            vj_fail_prefix(err, "%s", s->path);
            return ret;
        }
        crc = vj_crc32c(crc, p + done, chunk);
        done += chunk;
    }
    if (crc != e->crc32c)
        return vj_fail(err, -EBADMSG,
                       "CRC-32C of its bytes is %08" PRIx32 ", expected %08" PRIx32
                       "; %s is damaged or of another checkpoint",
                       crc, e->crc32c, s->path);
    return 0;
}

/* Turns little-endian bytes into numbers, in place; false when one is not finite. */
static bool decode_floats(float *values, size_t count)
{
    uint32_t largest_exponent = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof(bits));
        bits = le32toh(bits);
        memcpy(&values[i], &bits, sizeof(bits));
        uint32_t exponent = bits & 0x7f800000u;
        largest_exponent = exponent > largest_exponent ? exponent : largest_exponent;
    }
    return largest_exponent != 0x7f800000u;
}

int vj_checkpoint_read(struct vj_checkpoint *c, const struct vj_checkpoint_entry *e, float *out,
                       size_t count, struct vj_error *err)
{
    int ret = locate(c, e, err);
    if (ret == 0 && count != e->count)
        ret = vj_fail(err, -EINVAL, "has %" PRIu64 " numbers, expected %zu", e->count, count);
    if (ret == 0)
        ret = read_checked(&c->shard, e, out, err);
    if (ret == 0 && !decode_floats(out, count))
        ret = vj_fail(err, -EBADMSG, "holds numbers that are not finite (NaN or infinity)");
    if (ret)
        vj_fail_prefix(err, "tensor %.200s", e->name);
    return ret;
}

void vj_checkpoint_close(struct vj_checkpoint *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++)
        free(c->entries[i].name);
    free(c->entries);
    free(c->prefix);
    shard_close(&c->shard);
    free(c);
}
