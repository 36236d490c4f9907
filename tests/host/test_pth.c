/* SPDX-License-Identifier: MIT */
/* Reading PyTorch files: what torch.save() wrote, and what somebody wants us to believe it wrote.
 */
#include "tests/vj_test.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>

#include "host/h5.h"
#include "host/pth.h"

/* ---- building archives ---- */

struct bytes {
    unsigned char data[1 << 15];
    size_t size;
};

static void add(struct bytes *b, const void *data, size_t size)
{
    assert_true(size <= sizeof(b->data) - b->size);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void add_number(struct bytes *b, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        add(b, &(unsigned char){i < 8 ? (unsigned char)(value >> (8 * i)) : 0}, 1);
}

static void set_number(struct bytes *b, size_t at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        b->data[at + (size_t)i] = (unsigned char)(value >> (8 * i));
}

struct member {
    const char *name;
    const void *data;
    size_t size;
};

enum { LOCAL = 30, ENTRY = 46, END = 22 };

/* Offsets of the pieces, for spoiling them. */
struct layout {
    size_t local[8], entry[8], end;
};

static void build(struct bytes *zip, const struct member *member, size_t count, struct layout *at)
{
    zip->size = 0;
    for (size_t i = 0; i < count; i++) {
        const struct member *m = &member[i];
        at->local[i] = zip->size;
        add_number(zip, 0x04034b50, 4);
        add_number(zip, 0, 10);
        add_number(zip, crc32(0, m->data, (uInt)m->size), 4);
        add_number(zip, m->size, 4);
        add_number(zip, m->size, 4);
        add_number(zip, strlen(m->name), 2);
        add_number(zip, 0, 2);
        add(zip, m->name, strlen(m->name));
        add(zip, m->data, m->size);
    }
    size_t directory = zip->size;
    for (size_t i = 0; i < count; i++) {
        const struct member *m = &member[i];
        at->entry[i] = zip->size;
        add_number(zip, 0x02014b50, 4);
        add_number(zip, 0, 12);
        add_number(zip, crc32(0, m->data, (uInt)m->size), 4);
        add_number(zip, m->size, 4);
        add_number(zip, m->size, 4);
        add_number(zip, strlen(m->name), 2);
        add_number(zip, 0, 2);
        add_number(zip, 0, 10);
        add_number(zip, at->local[i], 4);
        add(zip, m->name, strlen(m->name));
    }
    at->end = zip->size;
    add_number(zip, 0x06054b50, 4);
    add_number(zip, 0, 4);
    add_number(zip, count, 2);
    add_number(zip, count, 2);
    add_number(zip, at->end - directory, 4);
    add_number(zip, directory, 4);
    add_number(zip, 0, 2);
}

static char path[512];

static int open_bytes(struct vj_pth *pth, const void *data, size_t size, struct vj_error *err)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    *pth = (struct vj_pth){0};
    *err = (struct vj_error){0};
    return vj_pth_open(pth, path, err);
}

/* Opening must fail with a text that names the file and holds `expected`. */
static void refused(const void *data, size_t size, const char *expected)
{
    struct vj_pth pth;
    struct vj_error err;
    if (open_bytes(&pth, data, size, &err) == 0)
        fail_msg("accepted; expected: %s", expected);
    if (!strstr(err.text, expected) || !strstr(err.text, path))
        fail_msg("\"%s\" lacks \"%s\"", err.text, expected);
    vj_pth_close(&pth);
}

/* A pickle in an archive with 16 numbers under the key 0. */
static const float numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void wrap(struct bytes *zip, const void *pickle, size_t size, struct layout *at)
{
    const struct member members[] = {{"n/data.pkl", pickle, size},
                                     {"n/data/0", numbers, sizeof(numbers)}};
    build(zip, members, 2, at);
}

static void pickle_refused(const void *pickle, size_t size, const char *expected)
{
    static struct bytes zip;
    struct layout at;
    wrap(&zip, pickle, size, &at);
    refused(zip.data, zip.size, expected);
}

/* A state dictionary of one tensor. */
struct tensor {
    bool short_integers; /* of four bytes, not as long ones */
    const char *storage; /* global's two lines */
    const char *key;
    int64_t values, offset;
    int64_t shape[4], stride[4];
    int rank;
};

static void add_text(struct bytes *b, const char *text)
{
    add(b, "X", 1);
    add_number(b, strlen(text), 4);
    add(b, text, strlen(text));
}

static void add_integer(struct bytes *b, const struct tensor *t, int64_t n)
{
    if (t->short_integers)
        add(b, "J", 1);
    else
        add(b, "\x8a\x08", 2);
    add_number(b, (uint64_t)n, t->short_integers ? 4 : 8);
}

static void write_pickle(struct bytes *b, const struct tensor *t)
{
    b->size = 0;
    add(b, "\x80\x02}", 3);
    add_text(b, "module.w");
    add(b, "ctorch._utils\n_rebuild_tensor_v2\n((", 35);
    add_text(b, "storage");
    add(b, "c", 1);
    add(b, t->storage, strlen(t->storage));
    add_text(b, t->key);
    add_text(b, "cpu");
    add_integer(b, t, t->values);
    add(b, "tQ", 2);
    add_integer(b, t, t->offset);
    for (int k = 0; k < 2; k++) {
        add(b, "(", 1);
        for (int i = 0; i < t->rank; i++)
            add_integer(b, t, k ? t->stride[i] : t->shape[i]);
        add(b, "t", 1);
    }
    add(b,
        "\x89"
        "ccollections\nOrderedDict\n)RtRs.",
        32);
}

static const struct tensor good = {.storage = "torch\nFloatStorage\n",
                                   .key = "0",
                                   .values = 16,
                                   .offset = 4,
                                   .shape = {2, 1, 3},
                                   .stride = {3, 99, 1},
                                   .rank = 3};

static void a_tensor_is_found_where_the_pickle_says(void **state)
{
    (void)state;
    static struct bytes pickle, zip;
    struct vj_pth pth;
    struct vj_error err;
    struct layout at;
    for (int i = 0; i < 2; i++) {
        struct tensor tensor = good;
        tensor.short_integers = i;
        write_pickle(&pickle, &tensor);
        wrap(&zip, pickle.data, pickle.size, &at);
        if (open_bytes(&pth, zip.data, zip.size, &err))
            fail_msg("%s", err.text);
        assert_int_equal(pth.count, 1);
        const struct vj_pth_tensor *t = &pth.tensor[0];
        assert_string_equal(t->name, "w");
        assert_int_equal(t->rank, 3);
        assert_int_equal(t->shape[0], 2);
        assert_int_equal(t->shape[1], 1);
        assert_int_equal(t->shape[2], 3);
        assert_int_equal(t->count, 6);
        assert_memory_equal(t->data, numbers + 4, 6 * sizeof(float));
        vj_pth_close(&pth);
    }
}

static void a_tensor_that_does_not_fit_its_storage_is_refused_by_name(void **state)
{
    (void)state;
    const int64_t huge = INT64_MAX;
    const struct {
        struct tensor t;
        const char *expected;
    } cases[] = {
        {{false, "torch\nFloatStorage\n", "0", 16, 0, {2, 3}, {1, 2}, 2},
         "tensor w: dimension 1 has the "
         "stride 2, not 1"},
        {{false, "torch\nFloatStorage\n", "0", 16, 0, {2, 3}, {0, 0}, 2}, "not contiguous"},
        {{false, "torch\nFloatStorage\n", "0", 17, 0, {2}, {1}, 1}, "64 bytes, data.pkl says 17"},
        {{false, "torch\nFloatStorage\n", "0", -1, 0, {2}, {1}, 1},
         "does not describe a float32 storage"},
        {{false, "torch\nFloatStorage\n", "0", 16, 15, {2}, {1}, 1},
         "tensor w: 2 numbers from number 15"},
        {{false, "torch\nFloatStorage\n", "0", 16, huge, {2}, {1}, 1}, "do not lie within the 16"},
        {{false, "torch\nFloatStorage\n", "0", 16, -4, {2}, {1}, 1},
         "tensor module.w has the offset -4"},
        {{false, "torch\nFloatStorage\n", "0", 16, 0, {17}, {1}, 1}, "do not lie within the 16"},
        {{false, "torch\nFloatStorage\n", "0", 16, 0, {-1}, {1}, 1}, "negative size"},
        {{false, "torch\nFloatStorage\n", "0", 16, 0, {1}, {-1}, 1}, "negative size or stride"},
        {{false, "torch\nFloatStorage\n", "0", 16, 0, {3, huge}, {huge, 1}, 2},
         "beyond all memory"},
        {{false, "torch\nFloatStorage\n", "1", 16, 0, {2}, {1}, 1}, "member data/1 is missing"},
        {{false, "torch\nFloatStorage\n", "../0", 16, 0, {2}, {1}, 1},
         "member data/../0 is missing"},
        {{false, "torch\nHalfStorage\n", "0", 16, 0, {2}, {1}, 1}, "torch.HalfStorage is refused"},
        {{false, "collections\nOrderedDict\n", "0", 16, 0, {2}, {1}, 1}, "float32 storage"},
    };
    static struct bytes pickle;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_pickle(&pickle, &cases[i].t);
        pickle_refused(pickle.data, pickle.size, cases[i].expected);
    }
    struct tensor negative = good;
    negative.offset = -4;
    negative.short_integers = true;
    write_pickle(&pickle, &negative);
    pickle_refused(pickle.data, pickle.size, "tensor module.w has the offset -4");
}

static void a_pickle_that_is_more_than_data_is_refused_by_opcode_and_offset(void **state)
{
    (void)state;
#define P(text) text, sizeof(text) - 1
    const struct {
        const char *pickle;
        size_t size;
        const char *expected;
    } cases[] = {
        {P("\x80\x02"
           "cos\nsystem\n)R."),
         "offset 2: os.system is refused"},
        {P("\x80\x02"
           "cbuiltins\neval\n."),
         "builtins.eval is refused"},
        {P("\x80\x02"
           "ccollections\nOrderedDict"),
         "its line has no end"},
        {P("\x80\x02)\x81."), "opcode NEWOBJ (0x81) at offset 3: refused"},
        {P("\x80\x02i"), "opcode INST (0x69) at offset 2: refused"},
        {P("\x80\x02\xff"), "opcode unknown (0xff) at offset 2: refused"},
        {P("\x80\x02}"), "ends without a STOP"},
        {P("\x80\x02."), "opcode STOP (0x2e) at offset 2"},
        {P("\x80\x02}}."), "not one value is left"},
        {P("\x80\x02(."), "not one value is left"},
        {P("\x80\x03}."), "not a pickle of protocol 2"},
        {P(""), "not a pickle of protocol 2"},
        {P("\x80\x02X\xff\xff\xff\xff"
           "abc"),
         "opcode BINUNICODE (0x58) at offset 2: its argument"},
        {P("\x80\x02J\x01"), "opcode BININT (0x4a) at offset 2: its argument"},
        {P("\x80\x02\x8a\x09"
           "123456789."),
         "more than 64 bits"},
        {P("\x80\x02t."), "opcode TUPLE (0x74) at offset 2: there is no mark"},
        {P("\x80\x02\x87."), "too few values"},
        {P("\x80\x02K\x01(\x85."), "too few values"},
        {P("\x80\x02h\x05."), "opcode BINGET (0x68) at offset 2: its number was never"},
        {P("\x80\x02j\xff\xff\xff\xff."), "never remembered"},
        {P("\x80\x02}r\xff\xff\xff\xff."), "opcode LONG_BINPUT (0x72) at offset 3: its number is"},
        {P("\x80\x02q\0."), "nothing to remember"},
        {P("\x80\x02K\x01K\x02K\x03s."), "needs a dictionary and pairs"},
        {P("\x80\x02}(K\x01u."), "needs a dictionary and pairs"},
        {P("\x80\x02(K\x01u."), "needs a dictionary and pairs"},
        {P("\x80\x02(e."), "needs a list"},
        {P("\x80\x02K\x01K\x02"
           "a."),
         "needs a list"},
        {P("\x80\x02]K\x01"
           "a."),
         "holds no dictionary"},
        {P("\x80\x02K\x01}b."), "needs a dictionary"},
        {P("\x80\x02K\x01Q."), "needs a tuple of five"},
        {P("\x80\x02"
           "ccollections\nOrderedDict\n}R."),
         "needs a global and a tuple"},
        {P("\x80\x02"
           "ccollections\nOrderedDict\nK\x01\x85R."),
         "must start empty"},
        {P("\x80\x02"
           "ctorch\nFloatStorage\n)R."),
         "a storage cannot be called"},
        {P("\x80\x02"
           "ctorch._utils\n_rebuild_tensor_v2\n)R."),
         "do not describe a tensor"},
        {P("\x80\x02K\x01."), "holds no dictionary"},
        {P("\x80\x02}X\1\0\0\0aK\1s."), "entry a of the state dictionary is not a tensor"},
        {P("\x80\x02}q\0h\0h\0s."), "a key that is not a text"},
        {P("\x80\x02}X\5\0\0\0model}q\0X\1\0\0\0bh\0ss."), "entry b of the state dictionary"},
    };
#undef P
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        pickle_refused(cases[i].pickle, cases[i].size, cases[i].expected);
    static unsigned char deep[20000];
    memset(deep, '(', sizeof(deep));
    deep[0] = 0x80;
    deep[1] = 2;
    pickle_refused(deep, sizeof(deep), "ends without a STOP");
    for (size_t i = 2; i + 1 < sizeof(deep); i++)
        deep[i] = i % 2 ? 0x85 : ')'; /* tuples of one */
    pickle_refused(deep, sizeof(deep), "ends without a STOP");
}

static void spoiled(size_t at, uint64_t value, int bytes, const struct bytes *zip,
                    const char *expected)
{
    static struct bytes copy;
    copy = *zip;
    set_number(&copy, at, value, bytes);
    refused(copy.data, copy.size, expected);
}

/*
 * The archive with sizes and offsets of one directory entry in its extra field, behind `before`, a
 * field of another kind. wide: the numbers that the field holds, of size, packed size and offset
 */
static void widen(struct bytes *to, const struct bytes *zip, const struct layout *at,
                  const char *before, const uint64_t *wide, size_t count, size_t length)
{
    const size_t entry = at->entry[1], name = strlen("n/data/0");
    *to = (struct bytes){0};
    add(to, zip->data, entry + ENTRY + name);
    set_number(to, entry + 20, UINT32_MAX, 4);
    set_number(to, entry + 24, UINT32_MAX, 4);
    set_number(to, entry + 42, count > 2 ? UINT32_MAX : at->local[1], 4);
    set_number(to, entry + 30, 2 * (strlen(before) > 0) + strlen(before) + 4 + 8 * count, 2);
    if (before[0]) {
        add(to, before, 2);
        add_number(to, strlen(before) - 2, 2);
        add(to, before + 2, strlen(before) - 2);
    }
    add_number(to, 1, 2);
    add_number(to, length, 2);
    for (size_t i = 0; i < count; i++)
        add_number(to, wide[i], 8);
    const size_t grown = to->size - at->end;
    add(to, zip->data + at->end, END);
    set_number(to, to->size - END + 12, at->end - at->entry[0] + grown, 4);
}

static void sizes_and_offsets_may_stand_in_a_zip64_field(void **state)
{
    (void)state;
    static struct bytes pickle, zip, wide;
    struct layout at;
    struct vj_pth pth;
    struct vj_error err;
    write_pickle(&pickle, &good);
    wrap(&zip, pickle.data, pickle.size, &at);
    const uint64_t right[] = {sizeof(numbers), sizeof(numbers), at.local[1]};
    static const char *const before[] = {"", "UTtime"};
    for (size_t count = 2; count <= 3; count++)
        for (int b = 0; b < 2; b++) {
            widen(&wide, &zip, &at, before[b], right, count, 8 * count);
            if (open_bytes(&pth, wide.data, wide.size, &err))
                fail_msg("%s", err.text);
            assert_memory_equal(pth.tensor[0].data, numbers + 4, 6 * sizeof(float));
            vj_pth_close(&pth);
        }
    const uint64_t unequal[] = {sizeof(numbers), 60}, huge[] = {UINT64_MAX, UINT64_MAX};
    widen(&wide, &zip, &at, "", unequal, 2, 16);
    refused(wide.data, wide.size, "member n/data/0: its sizes contradict each other");
    widen(&wide, &zip, &at, "", huge, 2, 16);
    refused(wide.data, wide.size, "the members are larger than the file");
    widen(&wide, &zip, &at, "", right, 3, 16); /* no room for the offset */
    refused(wide.data, wide.size, "its sizes contradict each other");
    widen(&wide, &zip, &at, "", right, 2, 17); /* goes beyond the entry */
    refused(wide.data, wide.size, "its sizes contradict each other");
    widen(&wide, &zip, &at, "UTtime", right, 0, 0); /* has none of the numbers */
    refused(wide.data, wide.size, "its sizes contradict each other");
}

static void an_archive_that_contradicts_itself_is_refused_by_member(void **state)
{
    (void)state;
    static struct bytes pickle, zip;
    struct layout at;
    write_pickle(&pickle, &good);
    wrap(&zip, pickle.data, pickle.size, &at);
    size_t data = at.entry[1];
    spoiled(data + 10, 8, 2, &zip, "member n/data/0 is compressed (method 8)");
    spoiled(data + 8, 1, 2, &zip, "member n/data/0 is encrypted");
    spoiled(data + 16, 7, 4, &zip, "its CRC-32 is");
    spoiled(data + 20, 60, 4, &zip, "its sizes contradict each other");
    spoiled(data + 24, UINT32_MAX, 4, &zip, "its sizes contradict each other");
    spoiled(data + 42, 1u << 30, 4, &zip, "member n/data/0: no header at offset 1073741824");
    spoiled(data + 42, 1, 4, &zip, "no header at offset 1");
    spoiled(data, 0, 4, &zip, "an entry is cut off or not one");
    spoiled(data + 28, 60000, 2, &zip, "an entry of 60046 bytes is cut off");
    spoiled(at.local[1] + 28, 65535, 2, &zip, "do not lie within the file");
    spoiled(at.local[1] + LOCAL + 20, 1, 1, &zip, "the file is damaged");
    spoiled(at.end + 10, 60000, 2, &zip, "60000 members cannot be listed");
    spoiled(at.end + 16, 1u << 31, 4, &zip, "do not lie within the file");
    spoiled(at.end, 0, 4, &zip, "has no end record");
    spoiled(at.end + 20, 9, 2, &zip, "has no end record");
    refused("", 0, "has no end record");
    refused("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.", 16, "before 1.6");
}

static void members_that_share_bytes_to_seem_large_are_refused(void **state)
{
    (void)state;
    static unsigned char zeros[4096];
    struct member members[8];
    static struct bytes zip, pickle;
    struct layout at;
    write_pickle(&pickle, &good);
    members[0] = (struct member){"n/data.pkl", pickle.data, pickle.size};
    for (size_t i = 1; i < 8; i++)
        members[i] = (struct member){"n/data/0", zeros, i == 1 ? sizeof(zeros) : 0};
    build(&zip, members, 8, &at);
    for (size_t i = 2; i < 8; i++) {
        set_number(&zip, at.entry[i] + 16, crc32(0, zeros, sizeof(zeros)), 4);
        set_number(&zip, at.entry[i] + 20, sizeof(zeros), 4);
        set_number(&zip, at.entry[i] + 24, sizeof(zeros), 4);
        set_number(&zip, at.entry[i] + 42, at.local[1], 4);
    }
    refused(zip.data, zip.size, "the members are larger than the file");
}

static void an_archive_of_something_else_is_refused(void **state)
{
    (void)state;
    static struct bytes pickle, zip;
    struct layout at;
    write_pickle(&pickle, &good);
    const struct member other[] = {{"n/picture.png", numbers, 4}};
    build(&zip, other, 1, &at);
    refused(zip.data, zip.size, "without data.pkl");
    const struct member twice[] = {{"n/data.pkl", pickle.data, pickle.size},
                                   {"m/data.pkl", pickle.data, pickle.size}};
    build(&zip, twice, 2, &at);
    refused(zip.data, zip.size, "two members data.pkl");
    const struct member big[] = {{"n/data.pkl", pickle.data, pickle.size},
                                 {"n/byteorder", "big", 3},
                                 {"n/data/0", numbers, sizeof(numbers)}};
    build(&zip, big, 3, &at);
    refused(zip.data, zip.size, "byteorder: 'big'");
    struct vj_pth pth = {0};
    struct vj_error err = {0};
    assert_int_equal(vj_pth_open(&pth, "/nonexistent.pth", &err), -ENOENT);
    vj_pth_close(&pth);
    assert_int_equal(vj_pth_open(&pth, "/", &err), -EINVAL);
    vj_pth_close(&pth);
    char *folder = vj_test_mkdir(), fifo[4200];
    snprintf(fifo, sizeof(fifo), "%s/net.pth", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0); /* opening it would wait for a writer */
    assert_int_equal(vj_pth_open(&pth, fifo, &err), -EINVAL);
    vj_assert_contains(err.text, "is not a regular file");
    vj_pth_close(&pth);
    hid_t file;
    assert_int_equal(vj_h5_open(&file, fifo, &err), -EINVAL);
    vj_assert_contains(err.text, "is not a regular file");
    vj_test_rmdir(folder);
}

static unsigned char *read_golden(const char *name, size_t *size)
{
    char from[512];
    snprintf(from, sizeof(from), "%s/resjnd/%s", VJ_TEST_GOLDEN, name);
    FILE *f = fopen(from, "rb");
    assert_non_null(f);
    unsigned char *data = malloc(1 << 20);
    assert_non_null(data);
    *size = fread(data, 1, 1 << 20, f);
    fclose(f);
    return data;
}

static void no_part_of_a_file_is_taken_for_the_whole(void **state)
{
    (void)state;
    size_t size;
    unsigned char *data = read_golden("net.pth", &size);
    for (size_t n = 0; n < size; n += 5)
        refused(data, n, ": ");
    free(data);
}

/* Where a wrong byte is not noticed (padding, dates), the tensors are the right ones. */
static void a_wrong_byte_is_an_error_or_changes_nothing(void **state)
{
    (void)state;
    size_t size;
    struct vj_pth right, wrong;
    struct vj_error err;
    unsigned char *data = read_golden("nested.pth", &size);
    assert_int_equal(open_bytes(&right, data, size, &err), 0);
    assert_int_equal(right.count, 4);
    size_t noticed = 0, spoilt = 0;
    for (size_t i = 0; i < size; i += 3, spoilt++) {
        data[i] ^= (unsigned char)(1u << (i % 8));
        if (open_bytes(&wrong, data, size, &err)) {
            noticed++;
        } else {
            assert_int_equal(wrong.count, right.count);
            for (size_t t = 0; t < right.count; t++) {
                assert_string_equal(wrong.tensor[t].name, right.tensor[t].name);
                assert_int_equal(wrong.tensor[t].count, right.tensor[t].count);
                assert_memory_equal(wrong.tensor[t].data, right.tensor[t].data,
                                    right.tensor[t].count * sizeof(float));
            }
        }
        vj_pth_close(&wrong);
        data[i] ^= (unsigned char)(1u << (i % 8));
    }
    assert_true(noticed > spoilt / 2);
    vj_pth_close(&right);
    free(data);
}

static void names_end_in_pth_or_pt(void **state)
{
    (void)state;
    assert_true(vj_pth_is_name("a/b.pth"));
    assert_true(vj_pth_is_name("b.PT"));
    assert_false(vj_pth_is_name("best_model.ckpt"));
    assert_false(vj_pth_is_name("pth"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tensor_is_found_where_the_pickle_says),
        cmocka_unit_test(a_tensor_that_does_not_fit_its_storage_is_refused_by_name),
        cmocka_unit_test(a_pickle_that_is_more_than_data_is_refused_by_opcode_and_offset),
        cmocka_unit_test(sizes_and_offsets_may_stand_in_a_zip64_field),
        cmocka_unit_test(an_archive_that_contradicts_itself_is_refused_by_member),
        cmocka_unit_test(members_that_share_bytes_to_seem_large_are_refused),
        cmocka_unit_test(an_archive_of_something_else_is_refused),
        cmocka_unit_test(no_part_of_a_file_is_taken_for_the_whole),
        cmocka_unit_test(a_wrong_byte_is_an_error_or_changes_nothing),
        cmocka_unit_test(names_end_in_pth_or_pt),
    };
    snprintf(path, sizeof(path), "/tmp/vpjnd-test-pth-%d.pth", (int)getpid());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove(path);
    return failed;
}
