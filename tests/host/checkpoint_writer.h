/* SPDX-License-Identifier: MIT */
/*
 * Writes TensorFlow V2 checkpoints for tests, honest ones and, from its lower layers, damaged ones.
 * Shares no code with the reader. Whatever fails here aborts the test.
 */
#ifndef VJ_TESTS_HOST_CHECKPOINT_WRITER_H
#define VJ_TESTS_HOST_CHECKPOINT_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the test when the writer cannot go on; unlike assert(), in every build type. */
static inline void need(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "checkpoint_writer.h: %s\n", what);
    abort();
}

/* ---- byte strings ---- */

struct bytes {
    uint8_t *p;
    size_t n, capacity;
};

static inline void bytes_reserve(struct bytes *b, size_t more)
{
    if (b->p && more <= b->capacity - b->n)
        return;
    while (b->capacity < b->n + more || !b->capacity)
        b->capacity = b->capacity ? 2 * b->capacity : 256;
    b->p = realloc(b->p, b->capacity);
    need(b->p != NULL, "out of memory");
}

static inline void bytes_put(struct bytes *b, const void *data, size_t n)
{
    bytes_reserve(b, n);
    if (n)
        memcpy(b->p + b->n, data, n);
    b->n += n;
}

static inline void bytes_free(struct bytes *b)
{
    free(b->p);
    *b = (struct bytes){NULL, 0, 0};
}

static inline void put_little_endian(struct bytes *b, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        bytes_put(b, &(uint8_t){(uint8_t)(value >> (8 * i))}, 1);
}

static inline void put_varint(struct bytes *b, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        bytes_put(b, &(uint8_t){(uint8_t)(value | 0x80)}, 1);
    bytes_put(b, &(uint8_t){(uint8_t)value}, 1);
}

static inline void bytes_save(const struct bytes *b, const char *path)
{
    FILE *f = fopen(path, "wb");
    need(f && (b->n == 0 || fwrite(b->p, 1, b->n, f) == b->n) && fclose(f) == 0, path);
}

/* CRC-32C a byte at a time, from the polynomial; masked as it is stored. */
static inline uint32_t masked_crc(const uint8_t *data, size_t n)
{
    uint32_t of_byte[256], crc = 0xffffffffu;
    for (uint32_t i = 0; i < 256; i++) {
        of_byte[i] = i;
        for (int bit = 0; bit < 8; bit++)
            of_byte[i] = of_byte[i] >> 1 ^ (of_byte[i] & 1 ? 0x82f63b78u : 0);
    }
    for (size_t i = 0; i < n; i++)
        crc = crc >> 8 ^ of_byte[(crc ^ data[i]) & 0xff];
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* ---- sorted tables ---- */

/* An entry as it stands in a block, whatever it may mean. */
static inline void put_block_entry(struct bytes *block, size_t shared, const void *fresh,
                                   size_t fresh_size, const void *value, size_t value_size)
{
    put_varint(block, shared);
    put_varint(block, fresh_size);
    put_varint(block, value_size);
    bytes_put(block, fresh, fresh_size);
    bytes_put(block, value, value_size);
}

/* Appends a block and its trailer to a file; its handle goes to `handle` (cleared first). */
static inline void put_block(struct bytes *file, const struct bytes *block, uint8_t type,
                             struct bytes *handle)
{
    size_t start = file->n;
    bytes_put(file, block->p, block->n);
    bytes_put(file, &type, 1);
    put_little_endian(file, masked_crc(file->p + start, block->n + 1), 4);
    handle->n = 0;
    put_varint(handle, start);
    put_varint(handle, block->n);
}

/* The same as Snappy data without any copies: length, then literals of up to 60 bytes. */
static inline void put_snappy_block(struct bytes *file, const struct bytes *block,
                                    struct bytes *handle)
{
    struct bytes snappy = {NULL, 0, 0};
    put_varint(&snappy, block->n);
    for (size_t at = 0; at < block->n; at += 60) {
        size_t n = block->n - at < 60 ? block->n - at : 60;
        bytes_put(&snappy, &(uint8_t){(uint8_t)((n - 1) << 2)}, 1);
        bytes_put(&snappy, block->p + at, n);
    }
    put_block(file, &snappy, 1, handle);
    bytes_free(&snappy);
}

/* Footer with the two handles as they are. */
static inline void put_footer(struct bytes *file, const struct bytes *metaindex,
                              const struct bytes *index)
{
    size_t start = file->n;
    bytes_put(file, metaindex->p, metaindex->n);
    bytes_put(file, index->p, index->n);
    while (file->n < start + 40)
        bytes_put(file, "", 1);
    put_little_endian(file, 0xdb4775248b80fb57u, 8);
}

/* Metaindex without entries, the given index block, footer: what follows the data blocks. */
static inline void put_table_end(struct bytes *file, const struct bytes *index_block)
{
    struct bytes empty = {NULL, 0, 0}, metaindex = {NULL, 0, 0}, index = {NULL, 0, 0};
    put_little_endian(&empty, 0, 4);
    put_little_endian(&empty, 1, 4);
    put_block(file, &empty, 0, &metaindex);
    put_block(file, index_block, 0, &index);
    put_footer(file, &metaindex, &index);
    bytes_free(&empty);
    bytes_free(&metaindex);
    bytes_free(&index);
}

/* A block under construction that keeps its own restart offsets. */
struct block_writer {
    struct bytes entries, restarts, last_key;
    int count;
};

static inline void block_add(struct block_writer *b, int interval, const struct bytes *key,
                             const struct bytes *value)
{
    size_t shared = 0;
    if (b->count++ % interval == 0)
        put_little_endian(&b->restarts, b->entries.n, 4);
    else
        while (shared < key->n && shared < b->last_key.n && key->p[shared] == b->last_key.p[shared])
            shared++;
    put_block_entry(&b->entries, shared, key->p + shared, key->n - shared, value->p, value->n);
    b->last_key.n = 0;
    bytes_put(&b->last_key, key->p, key->n);
}

/* Moves the finished block to *block and starts afresh. */
static inline void block_finish(struct block_writer *b, struct bytes *block)
{
    block->n = 0;
    bytes_put(block, b->entries.p, b->entries.n);
    bytes_put(block, b->restarts.p, b->restarts.n);
    put_little_endian(block, b->restarts.n / 4, 4);
    b->entries.n = b->restarts.n = b->last_key.n = 0;
    b->count = 0;
}

static inline void block_free(struct block_writer *b)
{
    bytes_free(&b->entries);
    bytes_free(&b->restarts);
    bytes_free(&b->last_key);
}

/* ---- checkpoints ---- */

enum { WRITER_SHARDS_MAX = 4, WRITER_FLOAT32 = 1, WRITER_INT32 = 3 };

struct writer_pair {
    struct bytes key, value;
};

struct writer {
    struct writer_pair *pairs; /* in the order of writer_put() */
    size_t count;
    struct bytes shards[WRITER_SHARDS_MAX];
    uint32_t num_shards;  /* 1..WRITER_SHARDS_MAX */
    size_t block_size;    /* a data block is closed when it reaches this */
    int restart_interval; /* 1.. */
    bool snappy;          /* compress the data blocks */
};

static inline void writer_start(struct writer *w, uint32_t num_shards)
{
    *w = (struct writer){.num_shards = num_shards, .block_size = 400, .restart_interval = 16};
    need(num_shards >= 1 && num_shards <= WRITER_SHARDS_MAX, "wrong number of shards");
}

static inline void writer_free(struct writer *w)
{
    for (size_t i = 0; i < w->count; i++) {
        bytes_free(&w->pairs[i].key);
        bytes_free(&w->pairs[i].value);
    }
    for (int i = 0; i < WRITER_SHARDS_MAX; i++)
        bytes_free(&w->shards[i]);
    free(w->pairs);
    *w = (struct writer){.pairs = NULL};
}

/* Sets the value of a key, new or not. */
static inline void writer_put(struct writer *w, const char *key, const void *value, size_t size)
{
    struct writer_pair *pair = NULL;
    for (size_t i = 0; i < w->count && !pair; i++)
        if (w->pairs[i].key.n == strlen(key) && memcmp(w->pairs[i].key.p, key, strlen(key)) == 0)
            pair = &w->pairs[i];
    if (!pair) {
        w->pairs = realloc(w->pairs, (w->count + 1) * sizeof(*w->pairs));
        need(w->pairs != NULL, "out of memory");
        pair = &w->pairs[w->count++];
        *pair = (struct writer_pair){{NULL, 0, 0}, {NULL, 0, 0}};
        bytes_put(&pair->key, key, strlen(key));
    }
    pair->value.n = 0;
    bytes_put(&pair->value, value, size);
}

static inline void writer_remove(struct writer *w, const char *key)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->pairs[i].key.n != strlen(key) || memcmp(w->pairs[i].key.p, key, strlen(key)) != 0)
            continue;
        bytes_free(&w->pairs[i].key);
        bytes_free(&w->pairs[i].value);
        w->pairs[i] = w->pairs[--w->count];
        return;
    }
    need(false, "no such key");
}

static inline void put_number_field(struct bytes *b, int field, uint64_t value)
{
    if (value == 0)
        return;
    put_varint(b, (uint64_t)field << 3);
    put_varint(b, value);
}

static inline void put_bytes_field(struct bytes *b, int field, const struct bytes *value)
{
    put_varint(b, (uint64_t)field << 3 | 2);
    put_varint(b, value->n);
    bytes_put(b, value->p, value->n);
}

static inline void put_entry_proto(struct bytes *b, int dtype, int rank, const size_t *shape,
                                   uint32_t shard, uint64_t offset, uint64_t size, uint32_t masked)
{
    struct bytes dims = {NULL, 0, 0};
    for (int i = 0; i < rank; i++) {
        struct bytes dim = {NULL, 0, 0};
        put_number_field(&dim, 1, shape[i]);
        put_bytes_field(&dims, 2, &dim);
        bytes_free(&dim);
    }
    put_number_field(b, 1, (uint64_t)dtype);
    put_bytes_field(b, 2, &dims);
    put_number_field(b, 3, shard);
    put_number_field(b, 4, offset);
    put_number_field(b, 5, size);
    put_varint(b, 6 << 3 | 5);
    put_little_endian(b, masked, 4);
    bytes_free(&dims);
}

/* Adds or replaces a tensor; its bytes go to the end of the shard. */
static inline void writer_tensor(struct writer *w, const char *name, int dtype, int rank,
                                 const size_t *shape, uint32_t shard, const void *data, size_t size)
{
    struct bytes proto = {NULL, 0, 0}, *to = &w->shards[shard];
    put_entry_proto(&proto, dtype, rank, shape, shard, to->n, size, masked_crc(data, size));
    writer_put(w, name, proto.p, proto.n);
    bytes_put(to, data, size);
    bytes_free(&proto);
}

/* Adds the header, {num_shards, version {producer 1}}; without this there is none. */
static inline void writer_header(struct writer *w)
{
    struct bytes header = {NULL, 0, 0};
    put_number_field(&header, 1, w->num_shards);
    bytes_put(&header, "\x1a\x02\x08\x01", 4);
    writer_put(w, "", header.p, header.n);
    bytes_free(&header);
}

static inline int compare_pairs(const void *a, const void *b)
{
    const struct bytes *x = &((const struct writer_pair *)a)->key;
    const struct bytes *y = &((const struct writer_pair *)b)->key;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* Writes the table of all pairs; separators are the blocks' last keys. */
static inline void writer_index(struct writer *w, struct bytes *file)
{
    struct block_writer data = {.count = 0}, index = {.count = 0};
    struct bytes block = {NULL, 0, 0}, handle = {NULL, 0, 0};
    if (w->count)
        qsort(w->pairs, w->count, sizeof(*w->pairs), compare_pairs);
    for (size_t i = 0; i < w->count; i++) {
        block_add(&data, w->restart_interval, &w->pairs[i].key, &w->pairs[i].value);
        if (data.entries.n < w->block_size && i + 1 < w->count)
            continue;
        block_finish(&data, &block);
        if (w->snappy)
            put_snappy_block(file, &block, &handle);
        else
            put_block(file, &block, 0, &handle);
        block_add(&index, 1, &w->pairs[i].key, &handle);
    }
    if (w->count == 0)
        put_little_endian(&index.restarts, 0, 4);
    block_finish(&index, &block);
    put_table_end(file, &block);
    bytes_free(&block);
    bytes_free(&handle);
    block_free(&data);
    block_free(&index);
}

/* Writes PREFIX.index and the shards. */
static inline void writer_save(struct writer *w, const char *prefix)
{
    char path[4200];
    struct bytes index = {NULL, 0, 0};
    need(strlen(prefix) < 4100, "prefix too long");
    writer_index(w, &index);
    snprintf(path, sizeof(path), "%s.index", prefix);
    bytes_save(&index, path);
    bytes_free(&index);
    for (uint32_t i = 0; i < w->num_shards; i++) {
        snprintf(path, sizeof(path), "%s.data-%05u-of-%05u", prefix, i, w->num_shards);
        bytes_save(&w->shards[i], path);
    }
}

#endif
