/* SPDX-License-Identifier: MIT */
/* Weights as a file: round trips, and files not to be trusted. */
#include "tests/vj_test.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "host/h5.h"
#include "host/sha256.h"
#include "host/weights.h"
#include "tests/host/net_formula.h"
#include "tests/host/weights_rig.h"

#ifdef __SANITIZE_ADDRESS__
/* HDF5 1.10 loses some hundred bytes of its own over each damaged file. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}
#endif

static void assert_same_weights(const struct vj_weights *a, const struct vj_weights *b)
{
    assert_memory_equal(&a->shape, &b->shape, sizeof(a->shape));
    assert_int_equal(a->positive_class, b->positive_class);
    assert_int_equal(a->origin, b->origin);
    assert_string_equal(a->origin_text, b->origin_text);
    assert_string_equal(a->sha256, b->sha256);
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_string_equal(a->tensors[i].name, b->tensors[i].name);
        assert_int_equal(a->tensors[i].count, b->tensors[i].count);
        assert_memory_equal(a->tensors[i].data, b->tensors[i].data,
                            a->tensors[i].count * sizeof(float));
    }
}

static void what_is_written_is_read_back_bit_for_bit(void **state)
{
    (void)state;
    char *folder = vj_test_mkdir(), path[4200];
    snprintf(path, sizeof(path), "%s/w.h5", folder);
    for (int variant = 0; variant < VJ_VARIANTS; variant++) {
        struct vj_weights w = {0}, back = {0};
        struct vj_net_shape shape = variant == VJ_VARIANT_PW_JND
                                        ? pw_shape(64, 16, 32, 16, 16, 48)
                                        : small_shape((enum vj_variant)variant);
        if (variant == VJ_VARIANT_FIGURE)
            shape.non_local = VJ_NON_LOCAL_TRANSPOSE;
        ok(formula_weights(&w, &shape, &err));
        w.positive_class = variant ? VJ_POSITIVE_LOSSLESS : VJ_POSITIVE_AUTO;
        w.origin = variant ? VJ_ORIGIN_TRAINED : VJ_ORIGIN_IMPORTED;
        memset(w.origin_text, 'x', sizeof(w.origin_text) - 1);
        const float special[] = {-0.0f, 1e-45f, -1.17549435e-38f, 3.40282347e+38f};
        memcpy(w.tensors[0].data, special, sizeof(special));
        ok(vj_weights_write(&w, path, &err)); /* the second replaces the first */
        ok(vj_weights_read(&back, path, &err));
        assert_same_weights(&w, &back);
        vj_weights_free(&w);
        vj_weights_free(&back);
    }
    strcat(path, ".part");
    assert_int_equal(access(path, F_OK), -1);
    vj_test_rmdir(folder);
}

/* The list of a large fold's numbers is longer than 64 KiB. */
static void long_records_are_read_back(void **state)
{
    (void)state;
    enum { LENGTH = 100000 };
    char *folder = vj_test_mkdir(), path[4200];
    struct vj_weights w = {0}, back = {0};
    const struct vj_net_shape shape = small_shape(VJ_VARIANT_FIGURE);
    snprintf(path, sizeof(path), "%s/w.h5", folder);
    ok(formula_weights(&w, &shape, &err));
    w.origin = VJ_ORIGIN_TRAINED;
    w.trained = calloc(1, sizeof(*w.trained));
    assert_non_null(w.trained);
    strcpy(w.trained->dataset, "manifest");
    w.trained->config = strdup("seed = 1;\n");
    w.trained->ids = malloc(LENGTH + 1);
    assert_true(w.trained->config && w.trained->ids);
    for (size_t i = 0; i < LENGTH; i++)
        w.trained->ids[i] = i % 2 ? ',' : '1';
    w.trained->ids[LENGTH - 1] = '2';
    w.trained->ids[LENGTH] = '\0';
    ok(vj_weights_write(&w, path, &err));
    ok(vj_weights_read(&back, path, &err));
    assert_string_equal(back.trained->ids, w.trained->ids);
    vj_weights_free(&w);
    vj_weights_free(&back);
    vj_test_rmdir(folder);
}

/* weights.h5 comes from h5py and hashlib: another writer, another hash. */
static void a_file_written_by_another_library_is_read(void **state)
{
    (void)state;
    struct vj_weights w = {0}, formula = {0};
    ok(vj_weights_read(&w, VJ_TEST_GOLDEN "/net/weights.h5", &err));
    assert_int_equal(w.shape.variant, VJ_VARIANT_FIGURE);
    assert_int_equal(w.shape.patch_size, 32);
    assert_int_equal(w.shape.patches, 7);
    assert_int_equal(w.shape.channels[3], 2);
    assert_int_equal(w.positive_class, VJ_POSITIVE_LOSSLESS);
    assert_int_equal(w.origin, VJ_ORIGIN_IMPORTED);
    assert_string_equal(w.origin_text, "formula, written by h5py \xe2\x80\x94 \xc3\xbc");
    ok(formula_weights(&formula, &w.shape, &err));
    ok(vj_weights_hash(&formula, &err));
    assert_string_equal(formula.sha256, w.sha256);
    formula.positive_class = w.positive_class;
    formula.origin = w.origin;
    memcpy(formula.origin_text, w.origin_text, sizeof(w.origin_text));
    assert_same_weights(&w, &formula);
    vj_weights_free(&w);
    vj_weights_free(&formula);
}

static void sha256_gives_the_standard_digests(void **state)
{
    (void)state;
    struct vj_sha256 s;
    char hex[VJ_SHA256_HEX];
    ok(vj_sha256_begin(&s, &err)); /* FIPS 180-4, example "abc", in two pieces */
    ok(vj_sha256_add(&s, "a", 1, &err));
    ok(vj_sha256_add(&s, "bc", 2, &err));
    ok(vj_sha256_end(&s, hex, &err));
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ok(vj_sha256_begin(&s, &err));
    vj_sha256_cancel(&s);
    assert_null(s.context);
}

/* A valid file of a folder of its own, to be spoilt. */
struct file {
    char *folder;
    char path[4200];
};

static struct file make_file_of(const struct vj_net_shape *shape)
{
    struct file f = {.folder = vj_test_mkdir()};
    struct vj_weights w = {0};
    snprintf(f.path, sizeof(f.path), "%s/w.h5", f.folder);
    ok(formula_weights(&w, shape, &err));
    ok(vj_weights_write(&w, f.path, &err));
    vj_weights_free(&w);
    return f;
}

static struct file make_file(void)
{
    const struct vj_net_shape shape = small_shape(VJ_VARIANT_FIGURE);
    return make_file_of(&shape);
}

/* The file is refused with the code, the text names it and says `part`, nothing is left behind. */
static void assert_refused(const struct file *f, int code, const char *part)
{
    struct vj_weights w = {0};
    err = (struct vj_error){0};
    assert_int_equal(vj_weights_read(&w, f->path, &err), code);
    vj_assert_contains(err.text, f->path);
    vj_assert_contains(err.text, part);
    vj_weights_free(&w);
}

static void remove_file(struct file *f)
{
    vj_test_rmdir(f->folder);
}

static hid_t edit(const struct file *f)
{
    hid_t file = H5Fopen(f->path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

static void close_edit(hid_t file)
{
    assert_true(H5Fclose(file) >= 0);
}

static void files_that_are_not_hdf5_are_refused(void **state)
{
    (void)state;
    struct file f = make_file();
    struct stat st;
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(truncate(f.path, st.st_size - 1000), 0);
    assert_refused(&f, -EIO, "cut off or damaged");
    assert_int_equal(truncate(f.path, st.st_size / 2), 0);
    assert_refused(&f, -EIO, "cut off or damaged");
    assert_int_equal(truncate(f.path, 0), 0);
    assert_refused(&f, -EINVAL, "not an HDF5 file");
    FILE *out = fopen(f.path, "w");
    fputs("variant = figure\n", out);
    fclose(out);
    assert_refused(&f, -EINVAL, "not an HDF5 file");
    unlink(f.path);
    assert_refused(&f, -ENOENT, "No such file");
    remove_file(&f);
}

static void every_missing_attribute_is_named(void **state)
{
    (void)state;
    static const char *const names[] = {
        "schema",   "schema_version", "variant", "non_local",   "patch_size", "patches",
        "channels", "positive_class", "origin",  "origin_text", "sha256"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct file f = make_file();
        char text[128];
        hid_t file = edit(&f);
        assert_true(H5Adelete(file, names[i]) >= 0);
        close_edit(file);
        snprintf(text, sizeof(text), "attribute %s is missing", names[i]);
        assert_refused(&f, -ENOENT, text);
        remove_file(&f);
    }
}

static void attributes_with_impossible_values_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *text;
    } texts[] = {
        {"schema", "vpjnd-results", "not a weight file"},
        {"variant", "figures", "variant 'figures' is unknown; known: released, figure, pw-jnd"},
        {"variant", "", "variant '' is unknown"},
        {"non_local", "dot", "known: reshape, transpose"},
        {"positive_class", "yes", "known: auto, lossy, lossless"},
        {"origin", "heaven", "known: random, imported, trained"},
        {"sha256", "0000", "it was changed or damaged"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct file f = make_file();
        hid_t file = edit(&f);
        ok(vj_h5_write_text(file, texts[i].name, texts[i].value, &err));
        close_edit(file);
        assert_refused(&f, -EINVAL, texts[i].text);
        remove_file(&f);
    }
    static const struct {
        const char *name;
        int64_t value;
        const char *text;
    } numbers[] = {
        {"schema_version", 2, "schema_version is 2, this program reads 1"},
        {"patch_size", 40, "patch_size is 40, must be a multiple of 16"},
        {"patch_size", 0, "patch_size is 0"},
        {"patch_size", INT64_MIN, "patch_size is -2147483648"},
        {"patch_size", ((int64_t)1 << 32) + 16, "patch_size is 2147483647"},
        {"patches", -1, "patches is -1"},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct file f = make_file();
        hid_t file = edit(&f);
        ok(vj_h5_write_int(file, numbers[i].name, numbers[i].value, &err));
        close_edit(file);
        assert_refused(&f, -EINVAL, numbers[i].text);
        remove_file(&f);
    }
}

static void hostile_files_of_pw_jnd_are_refused(void **state)
{
    (void)state;
    const struct vj_net_shape shape = pw_shape(32, 16, 16, 16, 16, 16);
    static const struct {
        int64_t channels[5];
        size_t count;
        const char *variant, *text;
        int code;
    } cases[] = {
        {{16, 16, 16, 16}, 4, "pw-jnd", "attribute channels must be 5 whole numbers", -EINVAL},
        {{16, 16, 16, 16, 16}, 5, "figure", "attribute non_local is missing", -ENOENT},
        {{16, 16, 16, 16, (int64_t)1 << 40}, 5, "pw-jnd", "channels[4] is 2147483647", -EINVAL},
        {{16, 16, 16, 16, 32},
         5,
         "pw-jnd",
         "dataset extract_feature/conv5_1/weights has shape",
         -EINVAL},
        {{16, 16, 16, 16, 16}, 5, "PW-JND", "variant 'PW-JND' is unknown", -EINVAL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct file f = make_file_of(&shape);
        hid_t file = edit(&f);
        assert_true(H5Adelete(file, "channels") >= 0);
        ok(vj_h5_write_ints(file, "channels", cases[i].channels, cases[i].count, &err));
        ok(vj_h5_write_text(file, "variant", cases[i].variant, &err));
        close_edit(file);
        assert_refused(&f, cases[i].code, cases[i].text);
        remove_file(&f);
    }
    struct file f = make_file_of(&shape);
    hid_t file = edit(&f);
    assert_int_equal(H5Aexists(file, "non_local"), 0);
    assert_true(H5Ldelete(file, "extract_feature/conv3_2/biases", H5P_DEFAULT) >= 0);
    close_edit(file);
    assert_refused(&f, -ENOENT, "extract_feature/conv3_2/biases");
    remove_file(&f);
}

static void attributes_of_the_wrong_kind_or_count_are_refused(void **state)
{
    (void)state;
    char longer[300];
    memset(longer, 'y', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    const int64_t channels[5] = {16, 32, 16, 8, 8};
    const double real = 16;
    for (int i = 0; i < 6; i++) {
        struct file f = make_file();
        hid_t file = edit(&f);
        const char *text = NULL;
        if (i == 0) {
            ok(vj_h5_write_text(file, "patch_size", "16", &err));
            text = "attribute patch_size must be 1 whole number";
        } else if (i == 1) {
            ok(vj_h5_write_int(file, "variant", 1, &err));
            text = "attribute variant must be 1 text";
        } else if (i == 2) {
            ok(vj_h5_write_ints(file, "channels", channels, 5, &err));
            text = "attribute channels must be 4 whole numbers";
        } else if (i == 3) {
            ok(vj_h5_write_doubles(file, "patches", &real, 1, &err));
            text = "attribute patches must be 1 whole number";
        } else if (i == 4) {
            ok(vj_h5_write_text(file, "origin_text", longer, &err));
            text = "attribute origin_text is 299 bytes long, at most 255";
        } else {
            ok(vj_h5_write_ints(file, "channels", channels, 3, &err));
            text = "attribute channels must be 4 whole numbers";
        }
        close_edit(file);
        assert_refused(&f, -EINVAL, text);
        remove_file(&f);
    }
}

/* Fixed-length text: huge, with a zero byte inside, and padded with blanks. */
static void fixed_length_text_is_read_with_care(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        H5T_str_t pad;
        int code;
        const char *text;
    } cases[] = {
        {"figure    ", 10, H5T_STR_SPACEPAD, 0, NULL},
        {"figure\0\0\0\0", 10, H5T_STR_NULLPAD, 0, NULL},
        {"fig\0re", 6, H5T_STR_NULLPAD, -EINVAL, "zero byte inside"},
        {"figure", (size_t)2 << 20, H5T_STR_NULLPAD, -EINVAL, "claims 2097152 bytes of text"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct file f = make_file();
        hid_t file = edit(&f);
        char *value = calloc(cases[i].size, 1);
        memcpy(value, cases[i].bytes, cases[i].size < 10 ? cases[i].size : strlen(cases[i].bytes));
        hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
        H5Tset_size(type, cases[i].size);
        H5Tset_strpad(type, cases[i].pad);
        H5Adelete(file, "variant");
        hid_t a = H5Acreate2(file, "variant", type, space, H5P_DEFAULT, H5P_DEFAULT);
        assert_true(a >= 0 && H5Awrite(a, type, value) >= 0);
        H5Aclose(a);
        H5Sclose(space);
        H5Tclose(type);
        free(value);
        close_edit(file);
        if (cases[i].code) {
            assert_refused(&f, cases[i].code, cases[i].text);
        } else {
            struct vj_weights w = {0};
            ok(vj_weights_read(&w, f.path, &err));
            vj_weights_free(&w);
        }
        remove_file(&f);
    }
}

#define SPOILT "extract_feature/conv2/weights" /* [3, 3, 16, 32] */

/* Replaces tensor SPOILT by a dataset of another make. */
static void replace(hid_t file, hid_t type, int rank, const hsize_t *dims, hid_t list, bool write)
{
    H5Ldelete(file, SPOILT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(rank, dims, NULL);
    hid_t set = H5Dcreate2(file, SPOILT, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(set >= 0);
    if (write) {
        float *zeros = calloc(3 * 3 * 16 * 32, 2 * sizeof(float));
        assert_true(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros) >= 0);
        free(zeros);
    }
    H5Dclose(set);
    H5Sclose(space);
}

static void datasets_of_another_shape_or_type_are_refused(void **state)
{
    (void)state;
    const struct {
        hid_t type;
        int rank;
        hsize_t dims[5];
        const char *text;
    } cases[] = {
        {H5T_IEEE_F32LE,
         4,
         {3, 3, 32, 16},
         "shape [3, 3, 32, 16], this network needs [3, 3, 16, 32]"},
        {H5T_IEEE_F32LE, 1, {4608}, "shape [4608], this network needs"},
        {H5T_IEEE_F32LE, 5, {1, 3, 3, 16, 32}, "shape [1, 3, 3, 16, 32], this network needs"},
        {H5T_IEEE_F64LE, 4, {3, 3, 16, 32}, "is not little-endian float32"},
        {H5T_IEEE_F32BE, 4, {3, 3, 16, 32}, "is not little-endian float32"},
        {H5T_STD_I32LE, 4, {3, 3, 16, 32}, "is not little-endian float32"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct file f = make_file();
        hid_t file = edit(&f);
        replace(file, cases[i].type, cases[i].rank, cases[i].dims, H5P_DEFAULT, true);
        close_edit(file);
        assert_refused(&f, -EINVAL, cases[i].text);
        vj_assert_contains(err.text, SPOILT);
        remove_file(&f);
    }
}

/* Storage that lets a small file claim a large tensor is not accepted. */
static void datasets_not_stored_contiguously_and_in_full_are_refused(void **state)
{
    (void)state;
    const hsize_t dims[4] = {3, 3, 16, 32}, chunk[4] = {3, 3, 4, 4};
    for (int i = 0; i < 4; i++) {
        struct file f = make_file();
        char other[4300];
        hid_t file = edit(&f), list = H5Pcreate(H5P_DATASET_CREATE);
        if (i == 1 || i == 2)
            H5Pset_chunk(list, 4, chunk);
        if (i == 2)
            H5Pset_deflate(list, 6);
        if (i == 3) {
            snprintf(other, sizeof(other), "%s/other.bin", f.folder);
            H5Pset_external(list, other, 0, 3 * 3 * 16 * 32 * sizeof(float));
        }
        replace(file, H5T_IEEE_F32LE, 4, dims, list, i > 0); /* 0: never written, late allocation */
        H5Pclose(list);
        close_edit(file);
        assert_refused(&f, -EINVAL, i == 3 ? "lie in another file" : "not stored in full");
        remove_file(&f);
    }
}

static void missing_datasets_and_other_objects_in_their_place_are_named(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct file f = make_file();
        hid_t file = edit(&f);
        const char *text = "dataset " SPOILT " is missing";
        int code = -ENOENT;
        if (i == 0) {
            H5Ldelete(file, SPOILT, H5P_DEFAULT);
        } else if (i == 1) {
            H5Ldelete(file, "extract_feature/conv2", H5P_DEFAULT);
        } else if (i == 2) {
            H5Ldelete(file, "extract_feature", H5P_DEFAULT);
            text = "dataset extract_feature/conv1/weights is missing";
        } else if (i == 3) { /* a group */
            H5Ldelete(file, SPOILT, H5P_DEFAULT);
            H5Gclose(H5Gcreate2(file, SPOILT, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
            text = SPOILT " cannot be opened as a dataset";
            code = -EIO;
        } else { /* a link to nowhere */
            H5Ldelete(file, SPOILT, H5P_DEFAULT);
            H5Lcreate_soft("/nowhere", file, SPOILT, H5P_DEFAULT, H5P_DEFAULT);
            text = SPOILT " cannot be opened as a dataset";
            code = -EIO;
        }
        close_edit(file);
        assert_refused(&f, code, text);
        remove_file(&f);
    }
}

static void set_value(const struct file *f, float value)
{
    hid_t file = edit(f);
    hid_t set = H5Dopen2(file, SPOILT, H5P_DEFAULT);
    float *data = calloc(3 * 3 * 16 * 32, sizeof(float));
    H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    data[4607] = value;
    assert_true(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    free(data);
    H5Dclose(set);
    close_edit(file);
}

static void values_that_are_not_finite_or_were_changed_are_refused(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        struct file f = make_file();
        set_value(&f, bad[i]);
        assert_refused(&f, -EINVAL,
                       "dataset " SPOILT " has values that are infinite or not a number");
        remove_file(&f);
    }
    struct file f = make_file();
    set_value(&f, 0.125f);
    assert_refused(&f, -EINVAL, "the tensors' SHA-256 is ");
    vj_assert_contains(err.text, "changed or damaged");
    remove_file(&f);
}

/* 1,024 channels everywhere and datasets of that shape that hold nothing: gigabytes from kilobytes.
 */
static void a_huge_claimed_network_costs_no_memory(void **state)
{
    (void)state;
    struct file f = make_file();
    struct vj_weights w = {0};
    const int64_t channels[4] = {1024, 1024, 1024, 1024};
    const struct vj_net_shape shape = {
        VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 256, 3, {1024, 1024, 1024, 1024}};
    ok(vj_weights_alloc(&w, &shape, &err)); /* for its list; zero pages that nobody touches */
    hid_t file = edit(&f), links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    ok(vj_h5_write_text(file, "variant", "released", &err));
    ok(vj_h5_write_int(file, "patch_size", 256, &err));
    ok(vj_h5_write_ints(file, "channels", channels, 4, &err));
    static const char *const groups[] = {"extract_feature", "regressions", "weightings"};
    for (size_t i = 0; i < 3; i++)
        assert_true(H5Ldelete(file, groups[i], H5P_DEFAULT) >= 0);
    for (size_t i = 0; i < w.count; i++) {
        const struct vj_tensor *t = &w.tensors[i];
        hsize_t dims[4];
        for (int d = 0; d < t->rank; d++)
            dims[d] = t->shape[d];
        hid_t space = H5Screate_simple(t->rank, dims, NULL);
        hid_t set =
            H5Dcreate2(file, t->name, H5T_IEEE_F32LE, space, links, H5P_DEFAULT, H5P_DEFAULT);
        assert_true(set >= 0);
        H5Dclose(set);
        H5Sclose(space);
    }
    H5Pclose(links);
    close_edit(file);
    vj_weights_free(&w);
    struct stat st;
    assert_int_equal(stat(f.path, &st), 0);
    assert_true(st.st_size < 1 << 20);
    assert_refused(&f, -EINVAL, "not stored in full");
    remove_file(&f);
}

/* Single bytes of a small file's first kilobytes are damaged: refused or read, never a crash. */
static void damaged_bytes_never_crash(void **state)
{
    (void)state;
    struct file f = make_file();
    const uint32_t rounds = getenv("VPJND_TEST_FULL") ? 4000 : 250;
    uint32_t refused = 0;
    int fd = open(f.path, O_RDWR);
    assert_true(fd >= 0);
    for (uint32_t i = 0; i < rounds; i++) {
        const struct vj_u32x4 word = vj_random4(5, VJ_RNG_TEST, 0, i);
        const off_t at = (off_t)vj_random_below(word.v[0], 12000);
        uint8_t byte, damaged;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        damaged = byte ^ (uint8_t)(1u << (word.v[1] & 7));
        assert_int_equal(pwrite(fd, &damaged, 1, at), 1);
        struct vj_weights w = {0};
        if (vj_weights_read(&w, f.path, &err) != 0) {
            refused++;
            vj_assert_contains(err.text, f.path);
        }
        vj_weights_free(&w);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    assert_true(refused >= rounds * 9 / 10);
    struct vj_weights w = {0};
    ok(vj_weights_read(&w, f.path, &err));
    vj_weights_free(&w);
    remove_file(&f);
}

/* Writes while no file may grow beyond `limit` bytes. */
static int write_with_limit(struct vj_weights *w, const char *path, rlim_t limit)
{
    struct rlimit old, now;
    getrlimit(RLIMIT_FSIZE, &old);
    now = old;
    now.rlim_cur = limit;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &now);
    int r = vj_weights_write(w, path, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    return r;
}

/*
 * No room in the middle of a tensor, and for the last bytes, which HDF5 finds out while closing. It
 * is in no state to go on after that; the program must still report the failure, leave the old
 * file, and end in good order. So this happens in a process of its own.
 */
static void a_full_disk_is_reported_and_the_program_ends_well(void **state)
{
    (void)state;
    struct file f = make_file();
    struct stat st;
    struct vj_weights w = {0}, back = {0};
    const struct vj_net_shape shape = small_shape(VJ_VARIANT_FIGURE);
    const int before = vj_test_entries(f.folder);
    assert_int_equal(stat(f.path, &st), 0);
    ok(vj_weights_init(&w, &shape, 3, &err)); /* before the fork, which OpenMP does not outlive */
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        const char *text = i ? "cannot be written to the end: File too large"
                             : "block1/weights cannot be written: File too large";
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            int r = write_with_limit(&w, f.path, i ? (rlim_t)st.st_size - 64 : 65536);
            bool good = r == -EIO && strstr(err.text, f.path) && strstr(err.text, text) &&
                        vj_test_entries(f.folder) == before;
#ifdef __SANITIZE_ADDRESS__
            _exit(good ? 0 : 1); /* HDF5 loses memory over this */
#else
            exit(good ? 0 : 1);
#endif
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        ok(vj_weights_read(&back, f.path, &err));
        assert_string_not_equal(back.sha256, w.sha256);
        vj_weights_free(&back);
    }
    vj_weights_free(&w);
    remove_file(&f);
}

static void files_that_cannot_be_written_say_why_and_leave_the_old_one(void **state)
{
    (void)state;
    struct file f = make_file();
    struct vj_weights w = {0}, back = {0};
    struct vj_net_shape shape = small_shape(VJ_VARIANT_FIGURE);
    char path[4300];
    const int before = vj_test_entries(f.folder);
    ok(vj_weights_init(&w, &shape, 3, &err));

    snprintf(path, sizeof(path), "%s/no/such/folder.h5", f.folder);
    assert_int_equal(vj_weights_write(&w, path, &err), -ENOENT);
    vj_assert_contains(err.text, "no/such: No such file or directory");

    snprintf(path, sizeof(path), "%s/taken", f.folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(vj_weights_write(&w, path, &err), -EINVAL);
    vj_assert_contains(err.text, "is there and is no regular file");
    assert_int_equal(vj_test_entries(f.folder), before + 1);

    const float first = w.tensors[0].data[0];
    w.tensors[0].data[0] = NAN; /* no reader would take it */
    assert_int_equal(vj_weights_write(&w, f.path, &err), -EDOM);
    vj_assert_contains(err.text, w.tensors[0].name);
    w.tensors[0].data[0] = first;
    assert_int_equal(vj_test_entries(f.folder), before + 1);

    ok(vj_weights_read(&back, f.path, &err));
    assert_int_equal(back.origin, VJ_ORIGIN_RANDOM);
    assert_string_not_equal(back.sha256, w.sha256);
    vj_weights_free(&back);
    vj_weights_free(&w);
    remove_file(&f);
}

/* Two that write the same file at the same time: each has its own until it is whole. */
static void writers_of_the_same_file_do_not_meet(void **state)
{
    (void)state;
    struct file f = make_file();
    struct vj_h5_part a, b;
    char path[4300], text[32];
    const int before = vj_test_entries(f.folder);
    snprintf(path, sizeof(path), "%s/both.h5", f.folder);
    ok(vj_h5_part_open(&a, path, &err));
    ok(vj_h5_part_open(&b, path, &err));
    ok(vj_h5_write_text(a.file, "writer", "a", &err));
    ok(vj_h5_write_text(b.file, "writer", "b", &err));
    ok(vj_h5_part_end(&b, 0, &err));
    assert_int_equal(vj_fail(&err, -EIO, "a reason"), -EIO);
    assert_int_equal(vj_h5_part_end(&a, -EIO, &err), -EIO);
    assert_string_equal(err.text, "a reason");
    assert_int_equal(vj_test_entries(f.folder), before + 1);
    hid_t file;
    ok(vj_h5_open(&file, path, &err));
    ok(vj_h5_read_text(file, "writer", text, sizeof(text), &err));
    assert_string_equal(text, "b");
    ok(vj_h5_close(file, path, &err));
    remove_file(&f);
}

/* What another run left under the name that was everyone's once stays. */
static void writing_leaves_other_files_alone(void **state)
{
    (void)state;
    struct file f = make_file();
    struct vj_weights w = {0};
    const struct vj_net_shape shape = small_shape(VJ_VARIANT_FIGURE);
    char part[4400], text[32] = "";
    snprintf(part, sizeof(part), "%s.part", f.path);
    FILE *file = fopen(part, "wb");
    assert_non_null(file);
    fputs("hours of work", file);
    fclose(file);
    ok(vj_weights_init(&w, &shape, 3, &err));
    ok(vj_weights_write(&w, f.path, &err));
    vj_weights_free(&w);
    file = fopen(part, "rb");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    assert_string_equal(text, "hours of work");
    fclose(file);
    remove_file(&f);
}

/* Root may open anything, so that another user has to try. */
static void the_umask_decides_the_mode_and_nothing_else(void **state)
{
    (void)state;
    struct file f = make_file();
    struct vj_weights w = {0};
    const struct vj_net_shape shape = small_shape(VJ_VARIANT_FIGURE);
    static const mode_t masks[] = {0777, 027, 0};
    ok(vj_weights_init(&w, &shape, 3, &err));
    assert_int_equal(chmod(f.folder, 0777), 0);
    fflush(NULL);
    for (int i = 0; i < 3; i++) {
        char path[4300];
        struct stat st;
        int status;
        snprintf(path, sizeof(path), "%s/mask-%d.h5", f.folder, i);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            if (geteuid() == 0 && setuid(65534) != 0)
                _exit(2);
            umask(masks[i]);
            int r = vj_weights_write(&w, path, &err);
            if (r)
                fprintf(stderr, "%s\n", err.text);
            _exit(r ? 1 : 0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0666 & ~masks[i]);
    }
    vj_weights_free(&w);
    remove_file(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_files_of_pw_jnd_are_refused),
        cmocka_unit_test(what_is_written_is_read_back_bit_for_bit),
        cmocka_unit_test(long_records_are_read_back),
        cmocka_unit_test(a_file_written_by_another_library_is_read),
        cmocka_unit_test(sha256_gives_the_standard_digests),
        cmocka_unit_test(files_that_are_not_hdf5_are_refused),
        cmocka_unit_test(every_missing_attribute_is_named),
        cmocka_unit_test(attributes_with_impossible_values_are_refused),
        cmocka_unit_test(attributes_of_the_wrong_kind_or_count_are_refused),
        cmocka_unit_test(fixed_length_text_is_read_with_care),
        cmocka_unit_test(datasets_of_another_shape_or_type_are_refused),
        cmocka_unit_test(datasets_not_stored_contiguously_and_in_full_are_refused),
        cmocka_unit_test(missing_datasets_and_other_objects_in_their_place_are_named),
        cmocka_unit_test(values_that_are_not_finite_or_were_changed_are_refused),
        cmocka_unit_test(a_huge_claimed_network_costs_no_memory),
        cmocka_unit_test(damaged_bytes_never_crash),
        cmocka_unit_test(files_that_cannot_be_written_say_why_and_leave_the_old_one),
        cmocka_unit_test(writers_of_the_same_file_do_not_meet),
        cmocka_unit_test(writing_leaves_other_files_alone),
        cmocka_unit_test(the_umask_decides_the_mode_and_nothing_else),
        cmocka_unit_test(a_full_disk_is_reported_and_the_program_ends_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
