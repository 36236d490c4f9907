/* SPDX-License-Identifier: MIT */
/* Pictures that made weights: their digests, the list in the weight file, and who is told. */
#include "tests/host/run_rig.h"

#include <errno.h>
#include <hdf5.h>
#include <sys/stat.h>

#include "host/picture_digest.h"
#include "host/report_file.h"
#include "host/train.h"
#include "host/train_seen.h"
#include "host/weights.h"

#ifdef __SANITIZE_ADDRESS__
/* HDF5 1.10 loses some hundred bytes of its own over each damaged file. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}
#endif

enum { PICTURES = 6 };

/* A folder with pictures, of which number 2 is grey, and their manifest. */
static int set_up(void **state)
{
    (void)state;
    char path[4096], csv[4096] = "image,candidates,qf_true,fold\n";
    struct vj_error err = {0};
    struct vj_weights w = {0};
    const struct vj_net_shape shape = {
        .variant = VJ_VARIANT_FIGURE, .patch_size = 16, .patches = 2, .channels = {16, 16, 16, 16}};
    folder = vj_test_mkdir();
    for (int i = 0; i < PICTURES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "p%d.png", i);
        write_picture(in_folder(path, name), i, i == 2 ? 1 : 3, WIDTH, HEIGHT);
        snprintf(csv + strlen(csv), 64, "%s,,%d,%d\n", name, 30 + 8 * i, i % 2 + 1);
    }
    write_text(in_folder(path, "all.csv"), csv);
    if (vj_weights_init(&w, &shape, 5, &err) ||
        vj_weights_write(&w, in_folder(path, "start.h5"), &err))
        fail_msg("%s", err.text);
    vj_weights_free(&w);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

/* ---- digests ---- */

/* Against Python's hashlib: sha256(struct.pack("<QQ", width, height) + samples). */
static void a_digest_is_that_of_size_and_samples(void **state)
{
    (void)state;
    uint8_t colour[18], grey[5000], tripled[15000];
    char hex[VJ_SHA256_HEX], other[VJ_SHA256_HEX];
    for (size_t i = 0; i < sizeof(colour); i++)
        colour[i] = (uint8_t)(37 * i + 11);
    for (size_t i = 0; i < sizeof(tripled); i++) {
        grey[i / 3] = (uint8_t)(29 * (i / 3) + 5);
        tripled[i] = grey[i / 3];
    }
    const struct vj_image wide = {3, 2, 3, colour}, high = {2, 3, 3, colour};
    assert_int_equal(vj_picture_digest(hex, &wide, NULL), 0);
    assert_string_equal(hex, "6a6ee59c93e44f7eca0eb4e216d73a47788425f963615903546d490631bcc220");
    assert_int_equal(vj_picture_digest(hex, &high, NULL), 0);
    assert_string_equal(hex, "4845a35cce739a16c5efce33231d02f3b79a0663f2a2807f784e156dc55f2074");
    const struct vj_image one = {100, 50, 1, grey}, three = {100, 50, 3, tripled};
    assert_int_equal(vj_picture_digest(hex, &one, NULL), 0);
    assert_string_equal(hex, "a81d83afe9dcca62efcb15f7331777c62c14182acc3c7aeb00d44706ae1ef258");
    assert_int_equal(vj_picture_digest(other, &three, NULL), 0);
    assert_string_equal(hex, other);
}

static void a_list_is_sorted_and_holds_each_picture_once(void **state)
{
    (void)state;
    static const char *const letters = "cabac";
    struct vj_seen s = {.picture = calloc(5, sizeof(*s.picture)), .count = 5}, copy = {0};
    char wanted[VJ_SHA256_HEX] = "";
    assert_non_null(s.picture);
    for (int i = 0; i < 5; i++)
        memset(s.picture[i], letters[i], VJ_SHA256_HEX - 1);
    vj_seen_sort(&s);
    assert_int_equal(s.count, 3);
    assert_int_equal(vj_seen_copy(&copy, &s, NULL), 0);
    vj_seen_free(&s);
    for (int c = 'a'; c < 'e'; c++) {
        memset(wanted, c, VJ_SHA256_HEX - 1);
        assert_int_equal(vj_seen_has(&copy, wanted), c < 'd');
    }
    assert_false(vj_seen_has(&copy, ""));
    assert_false(vj_seen_has(&s, wanted)); /* an empty one */
    vj_seen_sort(&s);
    vj_seen_free(&copy);
}

/* ---- training ---- */

static void train(const char *output, const char *start, const char *const *pairs)
{
    static const char *const base[] = {"dataset=manifest", "device=cpu",       "batch=1",
                                       "steps=1",          "jnd_model=chou95", NULL};
    char path[4096];
    struct vj_config config;
    struct vj_train_summary summary;
    struct vj_error err = {0};
    vj_config_defaults(&config, VJ_USE_TRAIN);
    vj_config_set(&config, "root", in_folder(path, "all.csv"), NULL);
    vj_config_set(&config, "start", in_folder(path, start), NULL);
    for (int list = 0; list < 2; list++)
        for (const char *const *p = list ? pairs : base; *p; p++)
            if (vj_config_set_pair(&config, *p, &err))
                fail_msg("%s", err.text);
    const struct vj_train_options options = {
        .config = &config, .output = in_folder(path, output), .quiet = true};
    if (vj_train_run(&options, &summary, &err))
        fail_msg("%s", err.text);
}

static void digest_of(const char *name, char hex[VJ_SHA256_HEX])
{
    char path[4096];
    struct vj_image img;
    struct vj_error err = {0};
    if (vj_image_read(&img, in_folder(path, name), NULL, &err) ||
        vj_picture_digest(hex, &img, &err))
        fail_msg("%s", err.text);
    vj_image_free(&img);
}

/* The weight file lists the pictures whose bit is set, and no others. */
static void expect_seen(const char *file, unsigned pictures)
{
    char path[4096], name[32], hex[VJ_SHA256_HEX];
    struct vj_weights w = {0};
    struct vj_error err = {0};
    size_t count = 0;
    if (vj_weights_read(&w, in_folder(path, file), &err))
        fail_msg("%s", err.text);
    assert_non_null(w.trained);
    for (int i = 0; i < PICTURES; i++) {
        snprintf(name, sizeof(name), "p%d.png", i);
        digest_of(name, hex);
        assert_int_equal(vj_seen_has(&w.trained->seen, hex), pictures >> i & 1);
        count += pictures >> i & 1;
    }
    assert_int_equal(w.trained->seen.count, count);
    vj_weights_free(&w);
}

static void weights_list_what_made_them_and_what_made_those_they_started_from(void **state)
{
    (void)state;
    train("first.h5", "start.h5",
          (const char *const[]){"ids=1-2", "valid_ids=6", "validate_every=1", NULL});
    expect_seen("first.h5", 1u << 0 | 1u << 1 | 1u << 5);
    train("second.h5", "first.h5", (const char *const[]){"ids=2-3", "threads=3", NULL});
    expect_seen("second.h5", 1u << 0 | 1u << 1 | 1u << 2 | 1u << 5);
}

static void a_picture_that_cannot_be_read_ends_training_before_its_first_step(void **state)
{
    (void)state;
    char path[4096], csv[4096];
    struct vj_config config;
    struct vj_train_summary summary;
    struct vj_error err = {0};
    struct stat st;
    write_picture(in_folder(path, "torn.png"), 3, 3, WIDTH, HEIGHT);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size / 2), 0);
    write_text(in_folder(csv, "torn.csv"),
               "image,candidates,qf_true,fold\np0.png,,30,\ntorn.png,,40,\n");
    vj_config_defaults(&config, VJ_USE_TRAIN);
    vj_config_set(&config, "dataset", "manifest", NULL);
    vj_config_set(&config, "root", csv, NULL);
    vj_config_set(&config, "start", in_folder(path, "start.h5"), NULL);
    vj_config_set(&config, "jnd_model", "chou95", NULL);
    const struct vj_train_options options = {
        .config = &config, .output = in_folder(path, "torn.h5"), .quiet = true};
    assert_true(vj_train_run(&options, &summary, &err) < 0);
    vj_assert_contains(err.text, "torn.png");
    assert_int_equal(summary.steps, 0);
}

/* ---- evaluation ---- */

static char *note_of(struct vj_results *r, const char *predictor)
{
    char group[128], *note;
    struct vj_error err = {0};
    snprintf(group, sizeof(group), "/predictors/%s", predictor);
    if (vj_results_get_text(r, group, "note", &note, &err))
        fail_msg("%s", err.text);
    return note;
}

/* A picture as a binary PPM: other bytes, other name, same samples. */
static void write_ppm(const char *from, const char *to)
{
    char path[4096];
    struct vj_image img;
    struct vj_error err = {0};
    assert_int_equal(vj_image_read(&img, in_folder(path, from), NULL, &err), 0);
    assert_int_equal(vj_image_to_rgb(&img, &err), 0);
    FILE *file = fopen(in_folder(path, to), "wb");
    assert_non_null(file);
    fprintf(file, "P6 %zu %zu 255\n", img.width, img.height);
    assert_int_equal(fwrite(img.data, 3 * img.width, img.height, file), img.height);
    fclose(file);
    vj_image_free(&img);
}

static void a_picture_is_known_in_another_data_set_and_another_format(void **state)
{
    (void)state;
    char path[4096], root[4200], predictors[4300], hex[2][VJ_SHA256_HEX], columns[2][64], *note;
    train("of-two.h5", "start.h5", (const char *const[]){"ids=1,3", NULL});
    assert_int_equal(mkdir(in_folder(path, "others"), 0700), 0);
    write_ppm("p2.png", "others/a.ppm"); /* item 3, which is grey */
    write_ppm("p3.png", "others/b.ppm");
    snprintf(root, sizeof(root), "root=%s", in_folder(path, "others"));
    snprintf(predictors, sizeof(predictors), "vpjnd:%s", in_folder(path, "of-two.h5"));
    const char *pairs[] = {"dataset=folder",     root,        "jnd_model=chou95",
                           "image_metrics=none", "qf_last=9", NULL};
    struct vj_results *r = open_run("others.h5", predictors, pairs);
    note = note_of(r, "vpjnd-of-two");
    vj_assert_contains(note, "NOT A TEST: 1 of 2 images trained or validated these weights");
    free(note);
    int64_t seen = 0;
    assert_int_equal(vj_results_get_int(r, "/predictors/vpjnd-of-two", "seen_images", &seen, NULL),
                     0);
    assert_int_equal(seen, 1);
    read_rows(r, "/images/source_sha256", VJ_COLUMN_STRING, 0, 2, columns);
    digest_of("p2.png", hex[0]);
    digest_of("p3.png", hex[1]);
    for (int i = 0; i < 2; i++)
        assert_memory_equal(columns[i], hex[i], 64);
    vj_results_close(r);
}

static void expect_duplicates(const char *output, int64_t count, const char *text)
{
    char path[4096], *found;
    int64_t n = -1;
    struct vj_results *r;
    struct vj_error err = {0};
    assert_int_equal(vj_results_open(&r, in_folder(path, output), false, &err), 0);
    assert_int_equal(vj_results_get_int(r, "/", "duplicate_images", &n, &err), 0);
    assert_int_equal(vj_results_get_text(r, "/", "duplicates", &found, &err), 0);
    vj_results_close(r);
    assert_int_equal(n, count);
    assert_string_equal(found, text);
    free(found);
}

/* Not by their bytes: p2 is grey, and its copy has another format. A copy that fails is none. */
static void a_picture_that_is_there_twice_is_named(void **state)
{
    (void)state;
    static const char leaks[] =
        "3 of the 8 pictures are an earlier one under another name; A LEAK BETWEEN FOLDS for 2, as "
        "what one teaches judges the other: c2.ppm = p2.png (folds 2 and 1), e3.ppm = p3.png "
        "(folds none and 2), d3.ppm = p3.png (both fold 2)";
    char path[4096], part[4200], root[4200];
    struct vj_error err = {0};
    struct vj_results *r;
    struct vj_run_summary summary;
    write_ppm("p2.png", "c2.ppm");
    write_ppm("p3.png", "d3.ppm");
    write_ppm("p3.png", "e3.ppm");
    write_ppm("p0.png", "bad3.ppm");
    write_text(
        in_folder(path, "twice.csv"),
        "image,candidates,qf_true,fold\np0.png,,30,1\nbad3.ppm,no_{qf}.jpg,30,2\n"
        "p2.png,,40,1\np3.png,,50,2\nc2.ppm,,40,2\nd3.ppm,,50,2\ne3.ppm,,50,\np1.png,,20,2\n");
    snprintf(root, sizeof(root), "root=%s", path);
    for (int folds = 1; folds >= 0; folds--) {
        const char *pairs[] = {root,        "image_metrics=none",
                               "qf_last=3", "candidates=mixed",
                               "threads=1", folds ? "folds=manifest" : "folds=none",
                               NULL};
        vj_results_close(open_run("twice.h5", "constant", pairs));
        expect_duplicates("twice.h5", 3,
                          folds ? leaks
                                : "3 of the 8 pictures are an earlier one under another name: "
                                  "c2.ppm = p2.png, d3.ppm = p3.png, e3.ppm = p3.png");
        /* Resumed with a picture to go, and other threads. */
        snprintf(part, sizeof(part), "%s.part", in_folder(path, "twice.h5"));
        assert_int_equal(rename(path, part), 0);
        const int32_t pending = -1;
        assert_int_equal(vj_results_open(&r, part, true, &err), 0);
        assert_int_equal(vj_results_write(r, "/images/status", VJ_COLUMN_I32, 4, 1, &pending, &err),
                         0);
        vj_results_close(r);
        pairs[4] = "threads=3";
        if (run_as("twice.h5", path, "constant", pairs, true, &summary, &err))
            fail_msg("%s", err.text);
        assert_int_equal(summary.resumed, 7);
        if (folds)
            expect_duplicates("twice.h5", 3, leaks);
    }
    struct vj_text report = {0};
    const struct vj_report_options text = {0};
    assert_int_equal(vj_report_file(&report, path, &text, &err), 0);
    vj_assert_contains(report.data, "\nduplicates    3 of the 8 pictures are an earlier one");
    vj_text_free(&report);
    const char *once[] = {"image_metrics=none", "qf_last=3", NULL};
    vj_results_close(open_run("once.h5", "constant", once));
    expect_duplicates("once.h5", 0, "");
}

static void a_picture_that_trains_and_validates_is_named(void **state)
{
    (void)state;
    char path[4096];
    struct vj_config config;
    struct vj_dataset *ds;
    struct vj_error err = {0};
    struct vj_train_items items = {0};
    struct vj_text shared = {0};
    struct vj_seen seen;
    write_ppm("p2.png", "c2.ppm");
    write_text(
        in_folder(path, "shared.csv"),
        "image,candidates,qf_true,fold\np1.png,,30,\np2.png,,40,\nc2.ppm,,40,\np3.png,,50,\n");
    vj_config_defaults(&config, VJ_USE_TRAIN);
    vj_config_set(&config, "dataset", "manifest", NULL);
    vj_config_set(&config, "root", path, NULL);
    vj_config_set(&config, "valid_ids", "3-4", NULL);
    assert_int_equal(vj_config_dataset(&ds, &config, 1, &err), 0);
    assert_int_equal(vj_train_items_select(&items, &config, ds, &err), 0);
    assert_int_equal(vj_train_seen(&seen, &items, &config, ds, NULL, 2, &shared, &err), 0);
    assert_string_equal(shared.data, "1 of the 2 pictures that validate also trains, under another "
                                     "name: validation is too good; c2.ppm = p2.png");
    assert_int_equal(seen.count, 3);
    vj_text_free(&shared);
    vj_seen_free(&seen);
    vj_train_items_free(&items);
    vj_dataset_close(ds);
}

/* Behind a good row in the same memory. */
static void a_picture_that_fails_has_no_digest(void **state)
{
    (void)state;
    char path[4096], root[4200], column[3][64], hex[VJ_SHA256_HEX];
    static const char none[64] = "";
    write_text(in_folder(path, "bad.png"), "not a picture");
    write_text(in_folder(path, "bad.csv"),
               "image,candidates,qf_true,fold\np0.png,,30,\nbad.png,,30,\np1.png,,30,\n");
    snprintf(root, sizeof(root), "root=%s", path);
    const char *pairs[] = {root, "image_metrics=none", "slots=1", "qf_last=4", NULL};
    struct vj_results *r = open_run("bad.h5", "constant", pairs);
    read_rows(r, "/images/source_sha256", VJ_COLUMN_STRING, 0, 3, column);
    vj_results_close(r);
    for (int i = 0; i < 3; i += 2) {
        digest_of(i ? "p1.png" : "p0.png", hex);
        assert_memory_equal(column[i], hex, 64);
    }
    assert_memory_equal(column[1], none, 64);
}

/* The same pictures under another seed or numbering: their numbers say nothing any more. */
static void a_network_is_not_tested_on_what_another_list_of_the_pictures_taught_it(void **state)
{
    (void)state;
    char path[4096], root[4200], pattern[4300], *note;
    train("net-1.h5", "start.h5", (const char *const[]){"ids=2,4,6", NULL});
    train("net-2.h5", "start.h5", (const char *const[]){"ids=1,3,5", NULL});
    /* Fold 1 holds p0, p2 and p5, of which its network has seen p5; fold 2's has seen p4. */
    write_text(in_folder(path, "turned.csv"), "image,candidates,qf_true,fold\np5.png,,70,1\n"
                                              "p4.png,,62,2\np3.png,,54,2\np2.png,,46,1\n"
                                              "p1.png,,38,2\np0.png,,30,1\n");
    snprintf(root, sizeof(root), "root=%s", path);
    snprintf(pattern, sizeof(pattern), "vpjnd-folds:%s", in_folder(path, "net-{fold}.h5"));
    const char *pairs[] = {root,        "folds=manifest",     "jnd_model=chou95",
                           "qf_last=9", "image_metrics=none", NULL};
    struct vj_results *r = open_run("turned.h5", pattern, pairs);
    note = note_of(r, "vpjnd-net");
    vj_assert_contains(note, "NOT A TEST: 2 of 6 images trained or validated the weights of their");
    free(note);
    vj_results_close(r);
    const char *honest[] = {"folds=manifest", "jnd_model=chou95", "qf_last=9", "image_metrics=none",
                            NULL};
    r = open_run("honest.h5", pattern, honest);
    note = note_of(r, "vpjnd-net");
    assert_null(strstr(note, "NOT A TEST"));
    free(note);
    vj_results_close(r);
}

/* ---- files ---- */

/* Replaces the list of a weight file; NULL takes it away, as earlier programs wrote them. */
static void replace_list(const char *path, const char *digest, size_t size)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    assert_true(H5Ldelete(file, "trained_pictures", H5P_DEFAULT) >= 0);
    if (digest) {
        const hsize_t dim = 1;
        hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &dim, NULL);
        H5Tset_size(type, size);
        H5Tset_strpad(type, H5T_STR_NULLPAD);
        hid_t set = H5Dcreate2(file, "trained_pictures", type, space, H5P_DEFAULT, H5P_DEFAULT,
                               H5P_DEFAULT);
        assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, digest) >= 0);
        H5Dclose(set);
        H5Sclose(space);
        H5Tclose(type);
    }
    H5Fclose(file);
}

static void files_without_a_list_are_read_and_damaged_lists_refused_by_name(void **state)
{
    (void)state;
    char path[4096], digits[80];
    struct vj_weights w = {0};
    struct vj_error err = {0};
    static const struct {
        size_t size;
        char letter;
        const char *text;
    } cases[] = {
        {64, 'g',
         "damaged.h5: dataset trained_pictures: entry 1 is not a SHA-256 of 64 lower-case"},
        {64, 'A', "entry 1 is not a SHA-256"},
        {64, '\0', "entry 1 is not a SHA-256"},
        {63, 'a', "dataset trained_pictures is not a contiguous list of at most 10000000 texts"},
        {65, 'a', "dataset trained_pictures is not a contiguous list"},
    };
    train("damaged.h5", "start.h5", (const char *const[]){"ids=1", NULL});
    in_folder(path, "damaged.h5");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(digits, cases[i].letter, sizeof(digits));
        replace_list(path, digits, cases[i].size);
        assert_int_equal(vj_weights_read(&w, path, &err), -EINVAL);
        vj_assert_contains(err.text, cases[i].text);
        vj_weights_free(&w);
    }
    replace_list(path, NULL, 0);
    assert_int_equal(vj_weights_read(&w, path, &err), 0);
    assert_int_equal(w.trained->seen.count, 0);
    assert_string_equal(w.trained->ids, "1");
    vj_weights_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_digest_is_that_of_size_and_samples),
        cmocka_unit_test(a_list_is_sorted_and_holds_each_picture_once),
        cmocka_unit_test(weights_list_what_made_them_and_what_made_those_they_started_from),
        cmocka_unit_test(a_picture_that_cannot_be_read_ends_training_before_its_first_step),
        cmocka_unit_test(a_picture_is_known_in_another_data_set_and_another_format),
        cmocka_unit_test(a_picture_that_is_there_twice_is_named),
        cmocka_unit_test(a_picture_that_trains_and_validates_is_named),
        cmocka_unit_test(a_picture_that_fails_has_no_digest),
        cmocka_unit_test(a_network_is_not_tested_on_what_another_list_of_the_pictures_taught_it),
        cmocka_unit_test(files_without_a_list_are_read_and_damaged_lists_refused_by_name),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
