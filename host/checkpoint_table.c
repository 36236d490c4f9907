/* SPDX-License-Identifier: MIT */
#include "host/checkpoint_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef VPJND_HAVE_SNAPPY
#include <snappy-c.h>
#endif

#include "host/checked.h"
#include "host/checkpoint_wire.h"
#include "host/crc32c.h"

#define TABLE_MAGIC 0xdb4775248b80fb57u

enum {
    FOOTER_SIZE = 48,
    FOOTER_HANDLES = 40, /* bytes of the footer in front of the magic number */
    TRAILER_SIZE = 5,    /* type byte and CRC behind each block */
    /* A Snappy copy of 3 bytes gives at most 64: no honest block grows by more than this. */
    SNAPPY_GROWTH_MAX = 22,
};

enum block_type { BLOCK_RAW = 0, BLOCK_SNAPPY = 1 };

struct table {
    const uint8_t *data;
    uint64_t blocks_end; /* offset of the footer: no block reaches beyond */
};

struct handle {
    uint64_t offset, size;
};

/* A block's contents, checked and decompressed. */
struct block {
    const char *kind; /* "data", "index" or "metaindex", for error texts */
    uint64_t offset;  /* in the file */
    const uint8_t *data;
    size_t entries_size; /* bytes of entries; the restart offsets follow */
    uint32_t restarts;
    uint8_t *owned; /* decompressed bytes, or NULL when `data` points into the file */
};

struct key {
    bool any; /* false: below every key, the empty one included */
    size_t size;
    uint8_t bytes[VJ_TABLE_KEY_MAX];
};

/* Position within a block. `key` is the last key read: of this block, or what its keys must exceed.
 */
struct cursor {
    const struct block *block;
    size_t at;         /* of the next entry */
    size_t key_shared; /* bytes of `key` that the next entry may share; 0 at the block's start */
    uint32_t restart;  /* of the next restart offset to be met */
    struct key *key;
};

static int block_fail(const struct block *b, struct vj_error *err, const char *what)
{
    return vj_fail(err, -EBADMSG, "%s block at byte %" PRIu64 ": %s", b->kind, b->offset, what);
}

static int compare_keys(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    size_t common = a_size < b_size ? a_size : b_size;
    int order = common ? memcmp(a, b, common) : 0;
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static bool take_handle(struct vj_wire *w, struct handle *h)
{
    return vj_wire_varint(w, &h->offset) && vj_wire_varint(w, &h->size);
}

#ifdef VPJND_HAVE_SNAPPY
static int decompress(struct block *b, size_t compressed, size_t *size, struct vj_error *err)
{
    const char *from = (const char *)b->data;
    if (snappy_uncompressed_length(from, compressed, size) != SNAPPY_OK)
        return block_fail(b, err, "no Snappy length; the file is damaged");
    if (*size > VJ_TABLE_BLOCK_MAX || *size / SNAPPY_GROWTH_MAX > compressed)
        return block_fail(b, err, "claims to decompress to more than it can; the file is damaged");
    b->owned = vj_calloc(*size, 1);
    if (!b->owned)
        return vj_fail(err, -ENOMEM, "%s block at byte %" PRIu64 ": no memory for %zu bytes",
                       b->kind, b->offset, *size);
    if (snappy_uncompress(from, compressed, (char *)b->owned, size) != SNAPPY_OK)
        return block_fail(b, err, "Snappy data do not decompress; the file is damaged");
    b->data = b->owned;
    return 0;
}
#else
static int decompress(struct block *b, size_t compressed, size_t *size, struct vj_error *err)
{
    (void)compressed;
    (void)size;
    return vj_fail(err, -ENOTSUP,
                   "%s block at byte %" PRIu64 ": compressed with Snappy, and this program was "
                   "built without it; rebuild with libsnappy's development files installed",
                   b->kind, b->offset);
}
#endif

static void block_close(struct block *b)
{
    free(b->owned);
    b->owned = NULL;
}

/* Finds the restart offsets at the end of a block of `size` bytes. */
static int find_restarts(struct block *b, size_t size, struct vj_error *err)
{
    if (size < 4)
        return block_fail(b, err, "too short for its restart count");
    b->restarts = vj_u32_le(b->data + size - 4);
    if (b->restarts == 0 || b->restarts > (size - 4) / 4)
        return block_fail(b, err, "restart count does not fit the block");
    b->entries_size = size - 4 - 4 * (size_t)b->restarts;
    return 0;
}

/* b is to be released with block_close() whatever the outcome. */
static int block_open(struct block *b, const struct table *t, struct handle h, const char *kind,
                      struct vj_error *err)
{
    *b = (struct block){.kind = kind, .offset = h.offset};
    if (h.offset > t->blocks_end || h.size > t->blocks_end - h.offset ||
        t->blocks_end - h.offset - h.size < TRAILER_SIZE)
        return vj_fail(err, -EBADMSG,
                       "%s block at byte %" PRIu64 " with %" PRIu64
                       " bytes lies outside the file's %" PRIu64 " bytes of blocks",
                       kind, h.offset, h.size, t->blocks_end);

    size_t size = (size_t)h.size;
    b->data = t->data + h.offset;
    if (size > VJ_TABLE_BLOCK_MAX)
        return block_fail(b, err, "larger than any index needs");
    uint32_t stored = vj_crc32c_unmask(vj_u32_le(b->data + size + 1));
    if (vj_crc32c(0, b->data, size + 1) != stored)
        return block_fail(b, err, "CRC-32C does not match; the file is damaged, fetch it again");

    uint8_t type = b->data[size];
    if (type != BLOCK_RAW && type != BLOCK_SNAPPY)
        return vj_fail(err, -ENOTSUP,
                       "%s block at byte %" PRIu64 ": unknown compression type %d (known: 0 raw, "
                       "1 Snappy)",
                       kind, h.offset, type);
    if (type == BLOCK_SNAPPY) {
        int ret = decompress(b, size, &size, err);
        if (ret)
            return ret;
    }
    return find_restarts(b, size, err);
}

static struct cursor cursor_start(const struct block *b, struct key *key)
{
    return (struct cursor){.block = b, .key = key};
}

/*
 * Whether the next entry is where the next restart offset points. An offset that points to no entry
 * is never met, which the end of the block notices; the first entry must be one.
 */
static int meet_restart(struct cursor *c, bool *met, struct vj_error *err)
{
    const struct block *b = c->block;
    *met = false;
    if (c->restart == b->restarts)
        return 0;
    uint32_t next = vj_u32_le(b->data + b->entries_size + 4 * (size_t)c->restart);
    if (c->at == 0 && next != 0)
        return block_fail(b, err, "restart offsets do not fit the entries");
    if (next == c->at) {
        *met = true;
        c->restart++;
    }
    return 0;
}

/* Appends an entry's fresh bytes to the shared part of the last key, which the result must exceed.
 */
static int next_key(struct cursor *c, size_t shared, struct vj_wire fresh, struct vj_error *err)
{
    struct key *key = c->key;
    size_t fresh_size = vj_wire_left(&fresh);
    if (shared > c->key_shared)
        return block_fail(c->block, err, "an entry shares more of its key than there is");
    if (fresh_size > VJ_TABLE_KEY_MAX - shared)
        return block_fail(c->block, err, "a key is longer than 1024 bytes");
    if (key->any && compare_keys(fresh.p, fresh_size, key->bytes + shared, key->size - shared) <= 0)
        return block_fail(c->block, err, "keys are not strictly rising");
    memcpy(key->bytes + shared, fresh.p, fresh_size);
    key->size = c->key_shared = shared + fresh_size;
    key->any = true;
    return 0;
}

/* Reads the next entry: 1 and *e filled, 0 at the block's end, or a negative errno. */
static int cursor_next(struct cursor *c, struct vj_table_entry *e, struct vj_error *err)
{
    const struct block *b = c->block;
    if (c->at == b->entries_size && c->at > 0) {
        if (c->restart != b->restarts)
            return block_fail(b, err, "restart offsets do not fit the entries");
        return 0;
    }
    bool restart;
    int ret = meet_restart(c, &restart, err);
    if (ret)
        return ret;
    if (b->entries_size == 0)
        return b->restarts == 1 ? 0 : block_fail(b, err, "restart offsets without entries");

    struct vj_wire w = {b->data + c->at, b->data + b->entries_size}, fresh, value;
    uint64_t shared, fresh_size, value_size;
    if (!vj_wire_varint(&w, &shared) || !vj_wire_varint(&w, &fresh_size) ||
        !vj_wire_varint(&w, &value_size) || !vj_wire_bytes(&w, fresh_size, &fresh) ||
        !vj_wire_bytes(&w, value_size, &value))
        return block_fail(b, err, "an entry reaches beyond the block's end");
    if (restart && shared != 0)
        return block_fail(b, err, "an entry at a restart shares its predecessor's key");
    if (shared > VJ_TABLE_KEY_MAX)
        return block_fail(b, err, "an entry shares more of its key than there is");
    ret = next_key(c, (size_t)shared, fresh, err);
    if (ret)
        return ret;

    c->at = (size_t)(w.p - b->data);
    *e = (struct vj_table_entry){c->key->bytes, value.p, c->key->size, (size_t)value_size};
    return 1;
}

/* Visits a data block's entries; *last is the table's last key so far. */
static int walk_data_block(const struct block *b, struct key *last, vj_table_visitor visit,
                           void *context, struct vj_error *err)
{
    struct cursor c = cursor_start(b, last);
    struct vj_table_entry e;
    int ret;
    while ((ret = cursor_next(&c, &e, err)) > 0) {
        ret = visit(context, &e, err);
        if (ret) {
            vj_fail_prefix(err, "%s block at byte %" PRIu64, b->kind, b->offset);
            return ret;
        }
    }
    if (ret == 0 && c.at == 0)
        return block_fail(b, err, "has no entries");
    return ret;
}

/* Opens, visits and closes the data block of one entry of the index block. */
static int walk_index_entry(const struct table *t, const struct vj_table_entry *separator,
                            uint64_t *blocks_seen, struct key *last, vj_table_visitor visit,
                            void *context, struct vj_error *err)
{
    struct vj_wire w = {separator->value, separator->value + separator->value_size};
    struct handle h = {0, 0};
    if (!take_handle(&w, &h) || vj_wire_left(&w) != 0)
        return vj_fail(err, -EBADMSG, "index block: a value is not a block handle");

    struct block b;
    int ret = block_open(&b, t, h, "data", err);
    if (ret == 0 && h.offset < *blocks_seen)
        ret = block_fail(&b, err, "overlaps the one before it");
    if (ret == 0)
        ret = walk_data_block(&b, last, visit, context, err);
    if (ret == 0 && compare_keys(last->bytes, last->size, separator->key, separator->key_size) > 0)
        ret = block_fail(&b, err, "has keys above its separator in the index block");
    block_close(&b);
    if (ret)
        return ret;

    /* The next block's keys must exceed the separator, not only the last key. */
    memcpy(last->bytes, separator->key, separator->key_size);
    last->size = separator->key_size;
    *blocks_seen = h.offset + h.size + TRAILER_SIZE;
    return 0;
}

static int walk_index(const struct table *t, struct handle h, vj_table_visitor visit, void *context,
                      struct vj_error *err)
{
    struct block index;
    struct key separator = {.any = false}, last = {.any = false};
    int ret = block_open(&index, t, h, "index", err);
    if (ret)
        goto out;
    struct cursor c = cursor_start(&index, &separator);
    struct vj_table_entry e;
    uint64_t blocks_seen = 0;
    while ((ret = cursor_next(&c, &e, err)) > 0) {
        ret = walk_index_entry(t, &e, &blocks_seen, &last, visit, context, err);
        if (ret)
            goto out;
    }
out:
    block_close(&index);
    return ret;
}

/* The metaindex block names filters, which a checkpoint has none of; its structure is checked. */
static int check_metaindex(const struct table *t, struct handle h, struct vj_error *err)
{
    struct block b;
    struct key last = {.any = false};
    int ret = block_open(&b, t, h, "metaindex", err);
    if (ret == 0) {
        struct cursor c = cursor_start(&b, &last);
        struct vj_table_entry e;
        while ((ret = cursor_next(&c, &e, err)) > 0)
            ;
    }
    block_close(&b);
    return ret;
}

static int read_footer(const uint8_t *footer, struct handle *metaindex, struct handle *index,
                       struct vj_error *err)
{
    if (vj_u64_le(footer + FOOTER_HANDLES) != TABLE_MAGIC)
        return vj_fail(err, -EBADMSG,
                       "no table magic number at the end; not a checkpoint index, or cut off");
    struct vj_wire w = {footer, footer + FOOTER_HANDLES};
    if (!take_handle(&w, metaindex) || !take_handle(&w, index))
        return vj_fail(err, -EBADMSG, "footer: block handles are damaged");
    for (; w.p < w.end; w.p++)
        if (*w.p != 0)
            return vj_fail(err, -EBADMSG, "footer: bytes behind the block handles are not zero");
    return 0;
}

int vj_table_walk(const uint8_t *data, size_t size, vj_table_visitor visit, void *context,
                  struct vj_error *err)
{
    if (size < FOOTER_SIZE)
        return vj_fail(err, -EBADMSG,
                       "%zu bytes are too few for a checkpoint index (footer: %d bytes)", size,
                       FOOTER_SIZE);
    struct table t = {data, size - FOOTER_SIZE};
    struct handle metaindex = {0, 0}, index = {0, 0};
    int ret = read_footer(data + t.blocks_end, &metaindex, &index, err);
    if (ret == 0)
        ret = check_metaindex(&t, metaindex, err);
    if (ret == 0)
        ret = walk_index(&t, index, visit, context, err);
    return ret;
}
