/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing of checkpoint indices: no input may crash, read beyond its end, leak, take memory that
 * the file does not warrant, or list a tensor that breaks a promise of host/checkpoint.h.
 *
 *   clang -g -O1 -D_GNU_SOURCE -DVPJND_HAVE_SNAPPY -I. -fsanitize=fuzzer,address,undefined \
 *       -fno-sanitize-recover=all tests/fuzz/fuzz_checkpoint.c host/checkpoint.c \
 *       host/checkpoint_bundle.c host/checkpoint_table.c host/crc32c.c host/error.c -lsnappy \
 *       -o fuzz_checkpoint
 *   ./fuzz_checkpoint -max_len=4096 -malloc_limit_mb=64 work tests/golden/checkpoint
 *
 * CRCs would keep every mutation at the door, so that each input is also run with its CRCs
 * repaired, and as a block, an entry and a header within an honest table.
 */
#include "tests/host/checkpoint_writer.h"

#include <unistd.h>

#include "host/checkpoint.h"

enum { SHARD_SIZE = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "fuzz_checkpoint: broken promise: %s\n", what);
        abort();
    }
}

/* Prefix of a checkpoint with shard 0 of 1, SHARD_SIZE zeros, made on the first call and left. */
static const char *prefix(void)
{
    static char folder[] = "/tmp/fuzz-checkpoint-XXXXXX", path[64];
    if (path[0])
        return path;
    check(mkdtemp(folder) != NULL, "a temporary folder");
    snprintf(path, sizeof(path), "%s/x", folder);
    struct bytes zeros = {NULL, 0, 0};
    bytes_put(&zeros, (const uint8_t[SHARD_SIZE]){0}, SHARD_SIZE);
    char shard[100];
    snprintf(shard, sizeof(shard), "%s.data-00000-of-00001", path);
    bytes_save(&zeros, shard);
    bytes_free(&zeros);
    return path;
}

static void check_entry(struct vj_checkpoint *c, const struct vj_checkpoint_entry *e)
{
    check(e->dtype >= 1, "a type");
    check(e->rank >= 0 && e->rank <= VJ_CHECKPOINT_RANK_MAX, "a rank");
    check(e->shard < vj_checkpoint_shards(c), "a shard in range");
    check(e->offset <= INT64_MAX && e->size <= INT64_MAX - e->offset, "an end below 2^63");
    for (const char *p = e->name; *p; p++)
        check(*p > 0x20 && *p < 0x7f, "a printable name");
    char shape[VJ_CHECKPOINT_SHAPE_TEXT];
    vj_checkpoint_format_shape(shape, e->rank, e->shape);
    check(strlen(shape) < sizeof(shape), "a shape's text fits");

    struct vj_error err = {0};
    if (vj_checkpoint_locate(c, e, &err) != 0)
        return;
    check(e->dtype == VJ_CHECKPOINT_FLOAT32 && !e->sliced && e->size == 4 * e->count &&
              e->offset + e->size <= SHARD_SIZE,
          "what is located is float32 and inside the shard");
    float *values = malloc(e->size + 1);
    check(values != NULL, "memory for a small tensor");
    if (vj_checkpoint_read(c, e, values, e->count, &err) == 0)
        for (uint64_t i = 0; i < e->count; i++)
            check(values[i] == 0, "what is read is what the shard holds");
    free(values);
}

static void run(const struct bytes *file)
{
    struct vj_error err = {0};
    struct vj_checkpoint *c;
    int ret = vj_checkpoint_open_memory(&c, prefix(), file->p, file->n, &err);
    if (ret) {
        check(!c && err.code == ret, "a refused index gives no checkpoint, and its error's code");
        check(strncmp(err.text, prefix(), strlen(prefix())) == 0, "the text starts with the file");
        return;
    }
    check(vj_checkpoint_shards(c) >= 1 && vj_checkpoint_shards(c) <= VJ_CHECKPOINT_SHARDS_MAX,
          "a number of shards in range");
    for (size_t i = 0; i < vj_checkpoint_count(c); i++) {
        const struct vj_checkpoint_entry *e = vj_checkpoint_entry(c, i);
        check(vj_checkpoint_find(c, e->name) == e, "names are unique");
        check_entry(c, e);
    }
    vj_checkpoint_close(c);
}

static size_t take_number(const struct bytes *file, size_t *at)
{
    size_t n = 0;
    for (int shift = 0; shift < 28 && *at < file->n; shift += 7) {
        uint8_t byte = file->p[(*at)++];
        n |= (size_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            break;
    }
    return n;
}

/* Makes the CRC behind the block whose handle stands at *at right; false when there is none. */
static bool repair_block(struct bytes *file, size_t *at, size_t *offset, size_t *size)
{
    *offset = take_number(file, at);
    *size = take_number(file, at);
    if (file->n < 5 || *size > file->n - 5 || *offset > file->n - 5 - *size)
        return false;
    uint8_t *block = file->p + *offset;
    uint32_t crc = masked_crc(block, *size + 1);
    for (int i = 0; i < 4; i++)
        block[*size + 1 + (size_t)i] = (uint8_t)(crc >> (8 * i));
    return true;
}

/* Repairs the CRCs of all blocks that the footer and a raw index block without sharing lead to. */
static void repair_crcs(struct bytes *file)
{
    if (file->n < 48)
        return;
    size_t at = file->n - 48, offset, size;
    repair_block(file, &at, &offset, &size);
    size_t handle = at;
    if (!repair_block(file, &at, &offset, &size))
        return;
    at = offset;
    while (at < offset + size) {
        size_t ignored, block_size;
        take_number(file, &at);
        size_t key = take_number(file, &at), value = take_number(file, &at);
        size_t next = at + key + value;
        if (next > offset + size)
            break;
        at += key;
        repair_block(file, &at, &ignored, &block_size);
        at = next;
    }
    repair_block(file, &handle, &offset, &size); /* if a data block overlapped it */
}

static void run_as_block(const struct bytes *block, uint8_t type)
{
    struct bytes file = {NULL, 0, 0}, index = {NULL, 0, 0}, handle = {NULL, 0, 0};
    put_block(&file, block, type, &handle);
    put_block_entry(&index, 0, "\xff", 1, handle.p, handle.n);
    put_little_endian(&index, 0, 4);
    put_little_endian(&index, 1, 4);
    put_table_end(&file, &index);
    run(&file);
    bytes_free(&file);
    bytes_free(&index);
    bytes_free(&handle);
}

static void run_as_value(const char *key, const uint8_t *data, size_t size)
{
    struct writer w;
    struct bytes file = {NULL, 0, 0};
    writer_start(&w, 1);
    writer_header(&w);
    writer_put(&w, key, data, size);
    writer_index(&w, &file);
    run(&file);
    bytes_free(&file);
    writer_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes file = {malloc(size ? size : 1), size, size}; /* no more, for the sanitizer */
    check(file.p != NULL, "memory for a copy");
    memcpy(file.p, data, size);
    run(&file);
    run_as_block(&file, 0);
    run_as_block(&file, 1);
    run_as_value("t", data, size);
    run_as_value("", data, size);
    repair_crcs(&file);
    run(&file);
    bytes_free(&file);
    return 0;
}
