/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sys/stat.h>

#include "host/checkpoint.h"
#include "host/crc32c.h"
#include "host/rng.h"
#include "tests/host/checkpoint_cases.h"
#include "tests/host/checkpoint_files.h"
#include "tests/host/checkpoint_writer.h"

/* ---- CRC-32C ---- */

static void crc32c_gives_the_published_check_values(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0}, ones[32], rising[32]; /* RFC 3720, appendix B.4 */
    for (int i = 0; i < 32; i++) {
        ones[i] = 0xff;
        rising[i] = (uint8_t)i;
    }
    assert_int_equal(vj_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(vj_crc32c(0, zeros, 32), 0x8a9136aa);
    assert_int_equal(vj_crc32c(0, ones, 32), 0x62a8ab43);
    assert_int_equal(vj_crc32c(0, rising, 32), 0x46dd794e);
    assert_int_equal(vj_crc32c(0, NULL, 0), 0);
}

static void crc32c_of_any_length_and_in_any_pieces_agrees_with_the_plain_form(void **state)
{
    (void)state;
    uint8_t data[300];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)vj_random4(1, VJ_RNG_TEST, 0, (uint32_t)i).v[0];
    for (size_t n = 0; n <= sizeof(data); n++) {
        uint32_t expected = vj_crc32c_unmask(masked_crc(data, n));
        assert_int_equal(vj_crc32c(0, data, n), expected);
        for (size_t first = 0; first <= n; first += 7)
            assert_int_equal(vj_crc32c(vj_crc32c(0, data, first), data + first, n - first),
                             expected);
    }
}

static void masking_is_undone_by_unmasking(void **state)
{
    (void)state;
    assert_int_equal(vj_crc32c_mask(0), 0xa282ead8);
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t crc = vj_random4(2, VJ_RNG_TEST, 0, i).v[0];
        assert_int_equal(vj_crc32c_unmask(vj_crc32c_mask(crc)), crc);
    }
}

/* ---- the released index ---- */

/* The four bytes, as a little-endian number, that have this CRC: the register run backwards. */
static uint32_t invert_crc_of_four_bytes(uint32_t crc)
{
    uint32_t r = ~crc;
    for (int bit = 0; bit < 32; bit++)
        r = r & 0x80000000u ? (r ^ 0x82f63b78u) << 1 | 1 : r << 1;
    return ~r;
}

static struct vj_checkpoint *open_released(void)
{
    vj_require_data(RELEASED_INDEX);
    char prefix[4096];
    snprintf(prefix, sizeof(prefix), "%s", vj_test_data(RELEASED_INDEX));
    prefix[strlen(prefix) - strlen(".index")] = '\0';
    struct vj_error err = {0};
    struct vj_checkpoint *c;
    if (vj_checkpoint_open(&c, prefix, &err))
        fail_msg("%s", err.text);
    return c;
}

static float value_told_by_crc(const struct vj_checkpoint *c, const char *name)
{
    const struct vj_checkpoint_entry *e = vj_checkpoint_find(c, name);
    assert_non_null(e);
    assert_int_equal(e->dtype, VJ_CHECKPOINT_FLOAT32);
    assert_int_equal(e->size, 4);
    uint32_t bits = invert_crc_of_four_bytes(e->crc32c);
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void the_released_index_lists_its_261_tensors_in_one_gapless_shard(void **state)
{
    (void)state;
    struct vj_checkpoint *c = open_released();
    assert_int_equal(vj_checkpoint_count(c), 261);
    assert_int_equal(vj_checkpoint_shards(c), 1);
    uint64_t end = 0, averages = 0, average_bytes = 0;
    for (size_t i = 0; i < vj_checkpoint_count(c); i++) {
        const struct vj_checkpoint_entry *e = vj_checkpoint_entry(c, i);
        assert_int_equal(e->offset, end);
        assert_false(e->sliced);
        assert_ptr_equal(vj_checkpoint_find(c, e->name), e);
        end += e->size;
        const char *suffix = strstr(e->name, AVERAGE);
        averages += suffix != NULL;
        average_bytes += suffix ? e->size : 0;
    }
    assert_int_equal(end, RELEASED_SHARD_SIZE);
    assert_int_equal(averages, 64);
    assert_int_equal(average_bytes, 407897464);
    vj_checkpoint_close(c);
}

static void crcs_of_four_byte_tensors_in_the_released_index_tell_their_values(void **state)
{
    (void)state;
    struct vj_checkpoint *c = open_released();
    assert_true(value_told_by_crc(c, "global_step") == 70218);
    float quality = value_told_by_crc(c, "regressions/block2/biases" AVERAGE);
    float weight = value_told_by_crc(c, "weightings/block2/biases" AVERAGE);
    assert_float_equal(quality, -0.07459144, 5e-9);
    assert_float_equal(weight, 0.02519529, 5e-9);
    /* Adam multiplies by 0.999 in float32 at every step: 70,219 roundings are some 1e-3 in all. */
    assert_float_equal(value_told_by_crc(c, "beta2_power"), pow(0.999, 70218 + 1), 1e-33);
    vj_checkpoint_close(c);
}

/* ---- golden files ---- */

static void golden_prefix(char *prefix, size_t size)
{
    snprintf(prefix, size, "%s/checkpoint/golden", VJ_TEST_GOLDEN);
}

static void golden_bytes(struct bytes *b, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/checkpoint/%s", VJ_TEST_GOLDEN, name);
    read_whole(b, path);
}

/* The checkpoint as golden.txt has it. */
static void list_into(struct bytes *out, const struct vj_checkpoint *c)
{
    for (size_t i = 0; i < vj_checkpoint_count(c); i++) {
        const struct vj_checkpoint_entry *e = vj_checkpoint_entry(c, i);
        char shape[VJ_CHECKPOINT_SHAPE_TEXT], line[512];
        vj_checkpoint_format_shape(shape, e->rank, e->shape);
        int n = snprintf(line, sizeof(line), "%s %s %s %u %" PRIu64 " %" PRIu64 " %08x\n", e->name,
                         vj_checkpoint_dtype_name(e->dtype), shape, e->shard, e->offset, e->size,
                         e->crc32c);
        bytes_put(out, line, (size_t)n);
    }
}

static void assert_lists_as(const struct vj_checkpoint *c, const struct bytes *expected)
{
    struct bytes found = {NULL, 0, 0};
    list_into(&found, c);
    assert_int_equal(found.n, expected->n);
    assert_memory_equal(found.p, expected->p, expected->n);
    bytes_free(&found);
}

static void an_index_of_another_implementation_is_read(void **state)
{
    (void)state;
    char prefix[4096];
    golden_prefix(prefix, sizeof(prefix));
    struct bytes expected = {NULL, 0, 0};
    golden_bytes(&expected, "golden.txt");
    struct vj_error err = {0};
    struct vj_checkpoint *c;
    if (vj_checkpoint_open(&c, prefix, &err))
        fail_msg("%s", err.text);
    assert_lists_as(c, &expected);
    assert_int_equal(vj_checkpoint_shards(c), 2);
    vj_checkpoint_close(c);
    bytes_free(&expected);
}

/* Whether the reader was built with Snappy; without it such a block gives an error that says so. */
static bool have_snappy(void)
{
    struct bytes index = {NULL, 0, 0};
    golden_bytes(&index, "golden-snappy.index");
    struct vj_error err = {0};
    struct vj_checkpoint *c;
    int ret = vj_checkpoint_open_memory(&c, "x", index.p, index.n, &err);
    vj_checkpoint_close(c);
    bytes_free(&index);
    if (ret == -ENOTSUP)
        vj_assert_contains(err.text, "rebuild with libsnappy");
    return ret != -ENOTSUP;
}

static void snappy_blocks_of_another_implementation_are_read(void **state)
{
    (void)state;
    if (!have_snappy()) {
        print_message("skipped: this build has no Snappy\n");
        skip();
    }
    struct bytes index = {NULL, 0, 0}, expected = {NULL, 0, 0};
    golden_bytes(&index, "golden-snappy.index");
    golden_bytes(&expected, "golden.txt");
    struct vj_error err = {0};
    struct vj_checkpoint *c;
    if (vj_checkpoint_open_memory(&c, "golden", index.p, index.n, &err))
        fail_msg("%s", err.text);
    assert_lists_as(c, &expected);
    vj_checkpoint_close(c);
    bytes_free(&index);
    bytes_free(&expected);
}

static void tensors_of_another_implementation_are_read_from_both_shards(void **state)
{
    (void)state;
    char prefix[4096];
    golden_prefix(prefix, sizeof(prefix));
    struct vj_error err = {0};
    struct vj_checkpoint *c;
    assert_int_equal(vj_checkpoint_open(&c, prefix, &err), 0);
    int read = 0;
    for (size_t i = 0; i < vj_checkpoint_count(c); i++) {
        const struct vj_checkpoint_entry *e = vj_checkpoint_entry(c, i);
        if (e->dtype != VJ_CHECKPOINT_FLOAT32)
            continue;
        float *values = calloc(e->count + 1, sizeof(*values));
        if (vj_checkpoint_read(c, e, values, e->count, &err))
            fail_msg("%s", err.text);
        for (size_t k = 0; k < e->count; k++) /* as make_golden.py has it */
            assert_true(values[k] == (float)((int)(37 * k % 101) - 50) / 8 + (float)i);
        assert_true(values[e->count] == 0);
        free(values);
        read++;
    }
    assert_int_equal(read, 9);
    vj_checkpoint_close(c);
}

/* True when the bytes are refused with a text, false when they still list as expected. */
static bool refused_or_the_same(const struct bytes *index, size_t size,
                                const struct bytes *expected)
{
    struct vj_error err = {0};
    struct vj_checkpoint *c;
    int ret = vj_checkpoint_open_memory(&c, "x", index->p, size, &err);
    if (ret) {
        assert_null(c);
        assert_true(ret < 0 && strncmp(err.text, "x.index: ", 9) == 0);
        return true;
    }
    assert_lists_as(c, expected);
    vj_checkpoint_close(c);
    return false;
}

static void every_changed_byte_of_an_index_is_refused_but_one_that_changes_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"golden.index", "golden-snappy.index"};
    struct bytes expected = {NULL, 0, 0};
    golden_bytes(&expected, "golden.txt");
    for (size_t f = 0; f < (have_snappy() ? 2 : 1); f++) {
        struct bytes index = {NULL, 0, 0};
        golden_bytes(&index, names[f]);
        int harmless = 0;
        for (size_t i = 0; i < index.n; i++) {
            for (int change = 1; change < 256; change++) {
                index.p[i] ^= (uint8_t)change;
                harmless += !refused_or_the_same(&index, index.n, &expected);
                index.p[i] ^= (uint8_t)change;
            }
        }
        /* The last varint of the footer, made longer by one of the zeros behind it. */
        assert_int_equal(harmless, 1);
        bytes_free(&index);
    }
    bytes_free(&expected);
}

static void no_cut_off_index_goes_unnoticed(void **state)
{
    (void)state;
    struct bytes index = {NULL, 0, 0}, expected = {NULL, 0, 0};
    golden_bytes(&index, "golden.index");
    golden_bytes(&expected, "golden.txt");
    for (size_t n = 0; n < index.n; n++) {
        struct bytes cut = {malloc(n ? n : 1), n, n}; /* of its own size, for AddressSanitizer */
        memcpy(cut.p, index.p, n);
        if (!refused_or_the_same(&cut, n, &expected))
            fail_msg("the first %zu bytes pass", n);
        bytes_free(&cut);
    }
    assert_false(refused_or_the_same(&index, index.n, &expected));
    bytes_free(&index);
    bytes_free(&expected);
}

/* ---- damaged indices ---- */

/* Opens a table and fails unless it gives the case's error (or none), under the file's name. */
static void check_piece(const struct piece *piece, const struct bytes *file)
{
    struct vj_error err = {0};
    struct vj_checkpoint *c;
    int ret = vj_checkpoint_open_memory(&c, "dir/x", file->p, file->n, &err);
    vj_checkpoint_close(c);
    if (*piece->error == '\0' && ret)
        fail_msg("%s: refused: %s", piece->what, err.text);
    if (*piece->error == '\0')
        return;
    if (ret != -EBADMSG && ret != -ENOTSUP)
        fail_msg("%s: returned %d", piece->what, ret);
    if (strncmp(err.text, "dir/x.index: ", 13) != 0 || !strstr(err.text, piece->error))
        fail_msg("%s: expected \"%s\" in \"%s\"", piece->what, piece->error, err.text);
}

static void damaged_entries_are_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(entry_cases); i++) {
        const struct piece *piece = &entry_cases[i];
        struct writer w;
        struct bytes file = {NULL, 0, 0};
        writer_start(&w, 1);
        writer_header(&w);
        writer_put(&w, "t", piece->bytes, piece->size);
        writer_index(&w, &file);
        check_piece(piece, &file);
        writer_free(&w);

        struct vj_error err = {0};
        struct vj_checkpoint *c;
        if (vj_checkpoint_open_memory(&c, "x", file.p, file.n, &err))
            vj_assert_contains(err.text, "x.index: data block at byte 0: tensor t: ");
        vj_checkpoint_close(c);
        bytes_free(&file);
    }
}

static void damaged_headers_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(header_cases); i++) {
        struct writer w;
        struct bytes file = {NULL, 0, 0};
        writer_start(&w, 1);
        writer_put(&w, "", header_cases[i].bytes, header_cases[i].size);
        writer_index(&w, &file);
        check_piece(&header_cases[i], &file);
        writer_free(&w);
        bytes_free(&file);
    }
}

static void put_piece(struct bytes *file, const char *literal, size_t size, struct bytes *handle)
{
    struct bytes block = {NULL, 0, 0};
    bytes_put(&block, literal, size);
    put_block(file, &block, 0, handle);
    bytes_free(&block);
}

static void damaged_data_blocks_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(data_block_cases); i++) {
        struct bytes file = {NULL, 0, 0}, index = {NULL, 0, 0}, handle = {NULL, 0, 0};
        put_piece(&file, data_block_cases[i].bytes, data_block_cases[i].size, &handle);
        put_block_entry(&index, 0, "\xff", 1, handle.p, handle.n);
        bytes_put(&index, RESTART, 8);
        put_table_end(&file, &index);
        check_piece(&data_block_cases[i], &file);
        bytes_free(&file);
        bytes_free(&index);
        bytes_free(&handle);
    }
}

static void damaged_index_blocks_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(index_block_cases); i++) {
        struct bytes file = {NULL, 0, 0}, index = {NULL, 0, 0}, handle = {NULL, 0, 0};
        put_piece(&file, HEADER TENSOR("a") RESTART, 28, &handle);
        put_piece(&file, TENSOR("c") RESTART, 23, &handle);
        bytes_put(&index, index_block_cases[i].bytes, index_block_cases[i].size);
        put_table_end(&file, &index);
        check_piece(&index_block_cases[i], &file);
        bytes_free(&file);
        bytes_free(&index);
        bytes_free(&handle);
    }
}

static void separators_may_be_shorter_than_the_keys_beside_them(void **state)
{
    (void)state;
    struct bytes file = {NULL, 0, 0}, index = {NULL, 0, 0}, handle = {NULL, 0, 0};
    put_piece(&file,
              HEADER "\0\2\x0b"
                     "ab" SCALAR RESTART,
              29, &handle);
    put_block_entry(&index, 0, "b", 1, handle.p, handle.n);
    put_piece(&file,
              "\0\2\x0b"
              "ba" SCALAR RESTART,
              24, &handle);
    put_block_entry(&index, 0, "c", 1, handle.p, handle.n);
    bytes_put(&index, RESTART, 8);
    put_table_end(&file, &index);
    check_piece(&(struct piece){"short separators", "", 0, ""}, &file);
    bytes_free(&file);
    bytes_free(&index);
    bytes_free(&handle);
}

/* A block of the given type, in the place of the only data block. */
static void check_typed_block(const struct piece *piece, uint8_t type)
{
    struct bytes file = {NULL, 0, 0}, index = {NULL, 0, 0}, handle = {NULL, 0, 0};
    struct bytes block = {NULL, 0, 0};
    bytes_put(&block, piece->bytes, piece->size);
    put_block(&file, &block, type, &handle);
    put_block_entry(&index, 0, "\xff", 1, handle.p, handle.n);
    bytes_put(&index, RESTART, 8);
    put_table_end(&file, &index);
    check_piece(piece, &file);
    bytes_free(&file);
    bytes_free(&index);
    bytes_free(&handle);
    bytes_free(&block);
}

static void blocks_of_unknown_compression_are_refused(void **state)
{
    (void)state;
    static const struct piece honest =
        PIECE("honest", HEADER TENSOR("a") RESTART, "unknown compression type");
    for (int type = 2; type < 256; type++)
        check_typed_block(&honest, (uint8_t)type);
}

static void damaged_snappy_blocks_are_refused(void **state)
{
    (void)state;
    /* Without Snappy in the build every one of them is refused as such. */
    static const struct piece cases[] = {
        PIECE("no bytes", "", "Snappy"),
        PIECE("length cut off", "\x80", "Snappy"),
        PIECE("length of 2^32 - 1", "\xff\xff\xff\xff\x0f\0a", ""),
        PIECE("length of 100 from 3 bytes", "\x64\0a", ""),
        PIECE("literal cut off",
              "\x0a\x24"
              "abc",
              "Snappy"),
        PIECE("copy from before the start", "\x0a\x24\x0a\x09", "Snappy"),
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct piece piece = cases[i];
        if (!*piece.error)
            piece.error = have_snappy() ? "claims to decompress to more than it can" : "Snappy";
        check_typed_block(&piece, 1);
    }
}

/* One byte of an honest file replaced; negative offsets count from the end. */
struct patch {
    const char *what;
    long at;
    uint8_t value;
    const char *error;
};

static void damaged_footers_are_refused(void **state)
{
    (void)state;
    /* The file: two data blocks (33 + 28 bytes), metaindex (13) at 61, index at 74, footer. */
    static const struct patch patches[] = {
        {"magic, first byte", -8, 0x58, "no table magic number"},
        {"magic, last byte", -1, 0x24, "no table magic number"},
        {"zero padding", -9, 1, "bytes behind the block handles are not zero"},
        {"zero padding, first byte", -43, 1, "bytes behind the block handles are not zero"},
        {"metaindex offset", -48, 0, "metaindex block at byte 0: CRC-32C"},
        {"metaindex offset outside", -48, 0x7f, "metaindex block at byte 127"},
        {"metaindex size", -47, 9, "metaindex block at byte 61: CRC-32C"},
        {"index offset", -46, 75, "index block at byte 75"},
        {"index offset outside", -46, 0x7f, "index block at byte 127"},
        {"index size", -45, 0x7f, "outside the file's"},
        {"index trailer in the footer", -45, 21,
         "index block at byte 74 with 21 bytes lies outside"},
        {"metaindex contents", 61, 1, "metaindex block at byte 61: CRC-32C"},
        {"metaindex type", 69, 1, "metaindex block at byte 61: CRC-32C"},
        {"index contents", 74, 1, "index block at byte 74: CRC-32C"},
        {"data contents", 0, 1, "data block at byte 0: CRC-32C"},
        {"data CRC", 32, 1, "data block at byte 0: CRC-32C"},
        {"second block's contents", 40, 1, "data block at byte 33: CRC-32C"},
    };
    struct bytes file = {NULL, 0, 0}, index = {NULL, 0, 0}, handle = {NULL, 0, 0};
    put_piece(&file, HEADER TENSOR("a") RESTART, 28, &handle);
    put_piece(&file, TENSOR("c") RESTART, 23, &handle);
    bytes_put(&index, index_block_cases[0].bytes, index_block_cases[0].size);
    put_table_end(&file, &index);
    for (size_t i = 0; i < COUNT(patches); i++) {
        const struct patch *p = &patches[i];
        uint8_t *byte = &file.p[p->at < 0 ? (size_t)((long)file.n + p->at) : (size_t)p->at];
        uint8_t old = *byte;
        assert_int_not_equal(old, p->value);
        *byte = p->value;
        check_piece(&(struct piece){p->what, "", 0, p->error}, &file);
        *byte = old;
    }
    check_piece(&(struct piece){"honest", "", 0, ""}, &file);

    memset(file.p + file.n - 48, 0xff, 40);
    check_piece(&(struct piece){"handles of 40 bytes", "", 0, "footer: block handles"}, &file);
    bytes_free(&file);
    bytes_free(&index);
    bytes_free(&handle);
}

static void names_are_limited_and_printable(void **state)
{
    (void)state;
    char longest[1026];
    memset(longest, 'n', sizeof(longest));
    longest[1024] = '\0';
    struct writer w;
    struct bytes file = {NULL, 0, 0};
    writer_start(&w, 1);
    writer_header(&w);
    writer_put(&w, longest, SCALAR, 11);
    writer_put(&w, "a \033[2J\\\xff", SCALAR, 11);
    writer_index(&w, &file);
    struct vj_checkpoint *c;
    assert_int_equal(vj_checkpoint_open_memory(&c, "x", file.p, file.n, NULL), 0);
    assert_non_null(vj_checkpoint_find(c, longest));
    assert_non_null(vj_checkpoint_find(c, "a\\x20\\x1b[2J\\x5c\\xff"));
    assert_null(vj_checkpoint_find(c, "a"));
    vj_checkpoint_close(c);

    file.n = 0;
    longest[1024] = 'n';
    longest[1025] = '\0';
    writer_put(&w, longest, SCALAR, 11);
    writer_index(&w, &file);
    check_piece(&(struct piece){"1,025 bytes", "", 0, "a key is longer than 1024 bytes"}, &file);
    bytes_free(&file);
    writer_free(&w);
}

/* ---- files and shards ---- */

static const char LFS_POINTER[] = "version https://git-lfs.github.com/spec/v1\n"
                                  "oid sha256:0123456789abcdef\nsize 1631589876\n";

/* Opens `prefix` and fails unless it is refused with `code` and a text with `part`. */
static void refuse_open(const char *prefix, int code, const char *part)
{
    struct vj_error err = {0};
    struct vj_checkpoint *c;
    assert_int_equal(vj_checkpoint_open(&c, prefix, &err), code);
    assert_null(c);
    vj_assert_contains(err.text, part);
    vj_assert_contains(err.text, prefix);
}

static void what_is_no_index_is_refused_by_file_name(void **state)
{
    (void)state;
    struct place p = place_make();
    refuse_open(p.prefix, -ENOENT, "model.ckpt.index: no such file; name a TensorFlow checkpoint");

    put_file(&p, ".index", "", 0);
    refuse_open(p.prefix, -EBADMSG, "0 bytes are too few");
    char zeros[100] = {0};
    put_file(&p, ".index", zeros, 47);
    refuse_open(p.prefix, -EBADMSG, "47 bytes are too few");
    put_file(&p, ".index", zeros, 48);
    refuse_open(p.prefix, -EBADMSG, "no table magic number");
    put_file(&p, ".index", LFS_POINTER, sizeof(LFS_POINTER) - 1);
    refuse_open(p.prefix, -EBADMSG, "a Git LFS pointer, not the index itself");

    put_file(&p, ".index", "", 0);
    assert_int_equal(truncate(path_of(&p, ".index"), VJ_CHECKPOINT_INDEX_MAX + 1), 0);
    refuse_open(p.prefix, -EFBIG, "16777217 bytes are too many");
    assert_int_equal(unlink(path_of(&p, ".index")), 0);
    assert_int_equal(mkdir(path_of(&p, ".index"), 0700), 0);
    refuse_open(p.prefix, -EINVAL, "not a regular file");
    place_remove(&p);
}

static void a_file_of_the_checkpoint_given_as_its_prefix_is_explained(void **state)
{
    (void)state;
    struct place p = place_make();
    strcat(p.prefix, ".index");
    refuse_open(p.prefix, -ENOENT,
                "no such file; name a TensorFlow checkpoint without its \".index\"");
    strcpy(strrchr(p.prefix, '.'), ".data-00000-of-00001");
    refuse_open(p.prefix, -ENOENT,
                "no such file; name a TensorFlow checkpoint without its \".index\"");
    place_remove(&p);
}

static const float VALUES[6] = {1, -2.5F, 0, 1e-40F, 3e38F, -0.F};

/* A checkpoint of shard 0 with `tensor` = VALUES behind another tensor, and `twin` in shard 1. */
static void start_two_shards(struct writer *w)
{
    writer_start(w, 2);
    writer_header(w);
    writer_tensor(w, "first", WRITER_INT32, 1, (size_t[]){2}, 0, "12345678", 8);
    writer_tensor(w, "tensor", WRITER_FLOAT32, 2, (size_t[]){2, 3}, 0, VALUES, sizeof(VALUES));
    writer_tensor(w, "twin", WRITER_FLOAT32, 1, (size_t[]){6}, 1, VALUES, sizeof(VALUES));
}

static int read_tensor(const struct place *p, const char *name, size_t count, float *out,
                       struct vj_error *err)
{
    struct vj_checkpoint *c;
    if (vj_checkpoint_open(&c, p->prefix, err))
        fail_msg("%s", err->text);
    const struct vj_checkpoint_entry *e = vj_checkpoint_find(c, name);
    assert_non_null(e);
    int ret = vj_checkpoint_read(c, e, out, count, err);
    vj_checkpoint_close(c);
    return ret;
}

static void refuse_read(const struct place *p, const char *name, int code, const char *part)
{
    struct vj_error err = {0};
    float out[6];
    assert_int_equal(read_tensor(p, name, 6, out, &err), code);
    vj_assert_contains(err.text, "tensor ");
    vj_assert_contains(err.text, name);
    vj_assert_contains(err.text, part);
}

static void tensors_come_back_bit_for_bit_and_in_any_order(void **state)
{
    (void)state;
    struct place p = place_make();
    struct writer w;
    start_two_shards(&w);
    writer_save(&w, p.prefix);
    struct vj_error err = {0};
    struct vj_checkpoint *c;
    assert_int_equal(vj_checkpoint_open(&c, p.prefix, &err), 0);
    static const char *const order[] = {"twin", "tensor", "tensor", "twin"};
    for (size_t i = 0; i < COUNT(order); i++) {
        float out[6];
        const struct vj_checkpoint_entry *e = vj_checkpoint_find(c, order[i]);
        assert_int_equal(vj_checkpoint_locate(c, e, &err), 0);
        assert_int_equal(vj_checkpoint_read(c, e, out, 6, &err), 0);
        assert_memory_equal(out, VALUES, sizeof(VALUES));
    }
    vj_checkpoint_close(c);
    writer_free(&w);
    place_remove(&p);
}

static void damaged_shards_are_refused_by_tensor_and_file(void **state)
{
    (void)state;
    struct place p = place_make();
    struct writer w;
    start_two_shards(&w);
    writer_save(&w, p.prefix);
    const char *shard = ".data-00000-of-00002";

    for (size_t i = 8; i < w.shards[0].n; i++) {
        w.shards[0].p[i] ^= 0x10;
        bytes_save(&w.shards[0], path_of(&p, shard));
        refuse_read(&p, "tensor", -EBADMSG, "CRC-32C of its bytes is ");
        w.shards[0].p[i] ^= 0x10;
    }
    bytes_save(&w.shards[0], path_of(&p, shard));
    assert_int_equal(truncate(path_of(&p, shard), 31), 0);
    refuse_read(&p, "tensor", -EBADMSG, "model.ckpt.data-00000-of-00002, which has only 31;");
    assert_int_equal(truncate(path_of(&p, shard), 0), 0);
    refuse_read(&p, "tensor", -EBADMSG, "lies at bytes 8 to 32 of");
    put_file(&p, shard, LFS_POINTER, sizeof(LFS_POINTER) - 1);
    refuse_read(&p, "tensor", -EBADMSG, "data-00000-of-00002: a Git LFS pointer, not the weights");
    assert_int_equal(unlink(path_of(&p, shard)), 0);
    refuse_read(&p, "tensor", -ENOENT, "data-00000-of-00002: no such data shard; put it beside");
    assert_int_equal(mkdir(path_of(&p, shard), 0700), 0);
    refuse_read(&p, "tensor", -EINVAL, "data-00000-of-00002: not a regular file");

    float out[6];
    assert_int_equal(read_tensor(&p, "twin", 6, out, NULL), 0); /* the other shard is whole */
    writer_free(&w);
    place_remove(&p);
}

static void tensors_that_are_not_plain_finite_float32_are_refused(void **state)
{
    (void)state;
    struct place p = place_make();
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    struct writer w;
    start_two_shards(&w);
    for (size_t i = 0; i < COUNT(bad); i++) {
        float values[6] = {0};
        values[2 * i] = bad[i];
        writer_tensor(&w, "tensor", WRITER_FLOAT32, 1, (size_t[]){6}, 0, values, sizeof(values));
        writer_save(&w, p.prefix);
        refuse_read(&p, "tensor", -EBADMSG, "not finite");
    }
    refuse_read(&p, "first", -ENOTSUP, "has type int32 (3), expected float32");
    writer_put(&w, "tensor", "\x08\x63\x28\x18", 4);
    writer_save(&w, p.prefix);
    refuse_read(&p, "tensor", -ENOTSUP, "has type unknown (99), expected float32");
    writer_put(&w, "tensor", "\x08\1\x12\4\x12\2\x08\6\x3a\0", 10);
    writer_save(&w, p.prefix);
    refuse_read(&p, "tensor", -ENOTSUP, "is stored in slices");

    struct vj_error err = {0};
    float out[7];
    assert_int_equal(read_tensor(&p, "twin", 7, out, &err), -EINVAL);
    vj_assert_contains(err.text, "tensor twin: has 6 numbers, expected 7");
    writer_free(&w);
    place_remove(&p);
}

static void blocks_of_any_size_and_restart_interval_are_read(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 1000, 1u << 20};
    static const int intervals[] = {1, 2, 16, 1000};
    for (size_t s = 0; s < COUNT(sizes); s++) {
        for (size_t k = 0; k < COUNT(intervals); k++) {
            struct writer w;
            struct bytes file = {NULL, 0, 0};
            writer_start(&w, 1);
            writer_header(&w);
            w.block_size = sizes[s];
            w.restart_interval = intervals[k];
            for (int i = 0; i < 300; i++) {
                char name[32];
                snprintf(name, sizeof(name), "layer%d/weights%d", i / 10, i % 10);
                writer_put(&w, name, SCALAR, 11);
            }
            writer_index(&w, &file);
            struct vj_error err = {0};
            struct vj_checkpoint *c;
            if (vj_checkpoint_open_memory(&c, "x", file.p, file.n, &err))
                fail_msg("%s", err.text);
            assert_int_equal(vj_checkpoint_count(c), 300);
            assert_string_equal(vj_checkpoint_entry(c, 11)->name, "layer1/weights1");
            assert_string_equal(vj_checkpoint_entry(c, 299)->name, "layer9/weights9");
            vj_checkpoint_close(c);
            bytes_free(&file);
            writer_free(&w);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_published_check_values),
        cmocka_unit_test(crc32c_of_any_length_and_in_any_pieces_agrees_with_the_plain_form),
        cmocka_unit_test(masking_is_undone_by_unmasking),
        cmocka_unit_test(the_released_index_lists_its_261_tensors_in_one_gapless_shard),
        cmocka_unit_test(crcs_of_four_byte_tensors_in_the_released_index_tell_their_values),
        cmocka_unit_test(an_index_of_another_implementation_is_read),
        cmocka_unit_test(snappy_blocks_of_another_implementation_are_read),
        cmocka_unit_test(tensors_of_another_implementation_are_read_from_both_shards),
        cmocka_unit_test(every_changed_byte_of_an_index_is_refused_but_one_that_changes_nothing),
        cmocka_unit_test(no_cut_off_index_goes_unnoticed),
        cmocka_unit_test(damaged_entries_are_refused_by_name),
        cmocka_unit_test(damaged_headers_are_refused),
        cmocka_unit_test(damaged_data_blocks_are_refused),
        cmocka_unit_test(damaged_index_blocks_are_refused),
        cmocka_unit_test(separators_may_be_shorter_than_the_keys_beside_them),
        cmocka_unit_test(blocks_of_unknown_compression_are_refused),
        cmocka_unit_test(damaged_snappy_blocks_are_refused),
        cmocka_unit_test(damaged_footers_are_refused),
        cmocka_unit_test(names_are_limited_and_printable),
        cmocka_unit_test(what_is_no_index_is_refused_by_file_name),
        cmocka_unit_test(a_file_of_the_checkpoint_given_as_its_prefix_is_explained),
        cmocka_unit_test(tensors_come_back_bit_for_bit_and_in_any_order),
        cmocka_unit_test(damaged_shards_are_refused_by_tensor_and_file),
        cmocka_unit_test(tensors_that_are_not_plain_finite_float32_are_refused),
        cmocka_unit_test(blocks_of_any_size_and_restart_interval_are_read),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
