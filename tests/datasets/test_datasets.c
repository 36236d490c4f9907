/* SPDX-License-Identifier: MIT */
/*
 * The registry, and the data sets in the MCL-JCI layout (`mcl-jci`, `synthetic`), on trees that the
 * tests build in the official layout. Picture files hold a few bytes: loaders decode nothing.
 */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "datasets/dataset.h"
#include "tests/datasets/tree.h"

enum { SOURCES = 50, SUBJECTS = 30 };

#define SQF_FOLDER "docs/Stair quality/SQF_data"

/* ---- an MCL-JCI tree ---- */

static void write_source(const char *root, int id)
{
    char name[200];
    snprintf(name, sizeof(name), "source_images/[BMP]/ImageJND_SRC%02d.bmp", id);
    tree_write(root, name, "BM");
}

/* Candidate files first..last and 100; the file of QF q has q bytes. */
static void write_candidates(const char *root, int id, int first, int last)
{
    char name[200], bytes[101];
    memset(bytes, 'j', sizeof(bytes));
    for (int q = first; q <= 100; q = q < last ? q + 1 : q < 100 ? 100 : 101) {
        snprintf(name, sizeof(name), "distorted_image/ImageJND_SRC%02d/ImageJND_SRC%02d_%03d.jpg",
                 id, id, q);
        tree_write_bytes(root, name, bytes, (size_t)q);
    }
}

static void write_stairs(const char *root, const char *folder, int id, const char *text)
{
    char name[200];
    snprintf(name, sizeof(name), "%s/Image_%d_l_h.txt", folder, id);
    tree_write(root, name, text);
}

static void write_samples(const char *root, int id, const char *text)
{
    char name[200];
    snprintf(name, sizeof(name), "JND_samples/JND_image_%02d.txt", id);
    tree_write(root, name, text);
}

/* 30 subjects: JND 1 is base + 1 .. base + 30, JND 2 five below (0 where there is none), no JND 3.
 */
static void write_plain_samples(const char *root, int id, int base)
{
    char text[SUBJECTS * 16] = "";
    for (int s = 1; s <= SUBJECTS; s++) {
        size_t used = strlen(text);
        int second = base + s > 5 ? base + s - 5 : 0;
        snprintf(text + used, sizeof(text) - used, "%d %d\r\n", base + s, second);
    }
    write_samples(root, id, text);
}

/* Candidates 30..33 and 100; source n has stairs 100, n + 30, n + 5. */
static void write_whole_source(const char *root, int id)
{
    char stairs[100];
    write_source(root, id);
    write_candidates(root, id, 30, 33);
    snprintf(stairs, sizeof(stairs), "100  %d %d\r\n1.0  0.7  0.4\r\n", id + 30, id + 5);
    write_stairs(root, SQF_FOLDER, id, stairs);
    write_plain_samples(root, id, id);
}

static char *make_mcl(void)
{
    char *root = vj_test_mkdir();
    for (int id = 1; id <= SOURCES; id++)
        write_whole_source(root, id);
    tree_write(root, "README.txt", "unknown files are no matter");
    tree_write(root, "distorted_image/Thumbs.db", "");
    tree_write(root, "source_images/[BMP]/.DS_Store", "");
    return root;
}

/* The tree that most tests share: making 400 files takes longer than any test. Who changes it puts
 * it right again. */
static char *mcl;

static int make_shared_tree(void **state)
{
    (void)state;
    mcl = make_mcl();
    return 0;
}

static int remove_shared_tree(void **state)
{
    (void)state;
    vj_test_rmdir(mcl);
    return 0;
}

static struct vj_dataset_options mcl_options(const char *root)
{
    return (struct vj_dataset_options){.root = root, .qf_first = 30, .qf_last = 33};
}

static void expect_path(const char *path, const char *root, const char *name)
{
    assert_non_null(path);
    assert_string_equal(path, tree_path(root, name));
}

static void the_official_layout_gives_50_labelled_sources(void **state)
{
    (void)state;
    const char *root = mcl;
    struct vj_dataset_options opt = mcl_options(root);
    opt.folds = "surfeatnet10";
    struct vj_dataset *ds = open_or_fail("mcl-jci", &opt);
    const struct vj_dataset_info *info = vj_dataset_info(ds);
    assert_int_equal(vj_dataset_count(ds), SOURCES);
    assert_string_equal(info->dataset, "mcl-jci");
    assert_string_equal(info->label_definition,
                        "sqf: JND 1 of the official stair quality function");
    assert_string_equal(info->candidates, "files");
    assert_string_equal(info->codec, "jpeg");
    assert_string_equal(info->folds, "surfeatnet10");
    assert_int_equal(info->anchor_qf, 100);
    assert_true(info->human_labels);
    assert_int_equal(count_broken(ds), 0);

    struct vj_item item;
    get_item(ds, 6, &item);
    assert_string_equal(item.name, "ImageJND_SRC07");
    assert_int_equal(item.id, 7);
    expect_path(item.source, root, "source_images/[BMP]/ImageJND_SRC07.bmp");
    expect_path(item.reference, root, "distorted_image/ImageJND_SRC07/ImageJND_SRC07_100.jpg");
    assert_int_equal(item.anchor_qf, 100);
    for (int q = 0; q <= VJ_LEVELS_MAX; q++)
        assert_true((item.candidate[q] != NULL) == (q >= 30 && q <= 33));
    expect_path(item.candidate[31], root, "distorted_image/ImageJND_SRC07/ImageJND_SRC07_031.jpg");
    assert_int_equal(item.qf_true, 37);
    assert_true(item.qf_exact == 37);
    assert_int_equal(item.fold, 8);
    /* JND 1 of the subjects is 8..37: all see 8 and below, none sees 38. */
    assert_true(item.has_sur);
    assert_true(item.sur[8] == 0 && item.sur[23] == 0.5F && item.sur[37] < 1 && item.sur[38] == 1);
    vj_item_free(&item);
    vj_dataset_close(ds);
}

static void all_hundred_quality_factors_are_found(void **state)
{
    (void)state;
    const char *root = mcl;
    for (int id = 1; id <= 2; id++)
        write_candidates(root, id, 1, 100);
    const struct vj_dataset_options opt = {.root = root};
    struct vj_dataset *ds = open_or_fail("mcl-jci", &opt);
    for (size_t i = 0; i < 2; i++) {
        struct vj_item item;
        get_item(ds, i, &item);
        assert_int_equal(item.status, 0);
        for (int q = 1; q <= VJ_QF_MAX; q++)
            assert_non_null(item.candidate[q]);
        assert_null(item.candidate[0]);
        assert_null(item.candidate[VJ_LEVELS_MAX]);
        vj_item_free(&item);
    }
    assert_int_equal(count_broken(ds), SOURCES - 2);
    expect_broken(ds, 2,
                  "ImageJND_SRC03: 95 of 100 candidate files are missing, the first for QF 1: ");
    vj_dataset_close(ds);
}

/* Every kind of damage to one source; the other 49 must stay whole. */
static void damage_breaks_one_source_and_says_what(void **state)
{
    (void)state;
    static const struct {
        const char *remove, *write, *text; /* remove a file, or write one */
        const char *labels;
        const char *error;
    } cases[] = {
        {"distorted_image/ImageJND_SRC05/ImageJND_SRC05_031.jpg", NULL, NULL, NULL,
         "ImageJND_SRC05: 1 of 4 candidate files are missing, the first for QF 31: "},
        {"distorted_image/ImageJND_SRC05/ImageJND_SRC05_100.jpg", NULL, NULL, NULL,
         "ImageJND_SRC05: no reference picture "},
        {"source_images/[BMP]/ImageJND_SRC05.bmp", NULL, NULL, NULL,
         "ImageJND_SRC05: no source picture "},
        {SQF_FOLDER "/Image_5_l_h.txt", NULL, NULL, NULL, SQF_FOLDER "/Image_5_l_h.txt"},
        {NULL, SQF_FOLDER "/Image_5_l_h.txt", "100 36\r\n1\r\n", NULL,
         "Image_5_l_h.txt:2: 1 stair heights for the 2 QFs of the first line"},
        {NULL, SQF_FOLDER "/Image_5_l_h.txt", "100 360\n1 2\n", NULL,
         "Image_5_l_h.txt:1: QF '360' outside 1..100"},
        {NULL, SQF_FOLDER "/Image_5_l_h.txt", "90 36\n1 2\n", NULL,
         "Image_5_l_h.txt:1: the first QF is 90; it must be the anchor, 100"},
        {NULL, "JND_samples/JND_image_05.txt", "31 18 10\n", NULL,
         "JND_samples/JND_image_05.txt: 1 rows; 30 subjects, one per row, are expected"},
        {NULL, "JND_samples/JND_image_05.txt", "31 18 10\n", "median",
         "JND_samples/JND_image_05.txt: 1 rows; 30 subjects, one per row, are expected"},
        {NULL, "JND_samples/JND_image_05.txt", "31\n101\n", "mean",
         "JND_samples/JND_image_05.txt:2: QF 101 outside 1..100"},
        {"JND_samples/JND_image_05.txt", NULL, NULL, "sur75", "JND_samples/JND_image_05.txt"},
    };
    const char *root = mcl;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_whole_source(root, 5);
        if (cases[i].remove)
            tree_remove(root, cases[i].remove);
        else
            tree_write(root, cases[i].write, cases[i].text);
        struct vj_dataset_options opt = mcl_options(root);
        opt.labels = cases[i].labels;
        struct vj_dataset *ds = open_or_fail("mcl-jci", &opt);
        assert_int_equal(count_broken(ds), 1);
        expect_broken(ds, 4, cases[i].error);
        vj_dataset_close(ds);
    }
    write_whole_source(root, 5);
}

static void an_sqf_label_does_not_need_the_subjects(void **state)
{
    (void)state;
    const char *root = mcl;
    tree_remove(root, "JND_samples/JND_image_05.txt");
    struct vj_dataset_options opt = mcl_options(root);
    struct vj_dataset *ds = open_or_fail("mcl-jci", &opt);
    struct vj_item item;
    get_item(ds, 4, &item);
    assert_int_equal(item.status, 0);
    assert_int_equal(item.qf_true, 35);
    assert_false(item.has_sur);
    vj_item_free(&item);
    vj_dataset_close(ds);
    write_whole_source(root, 5);
}

static void a_missing_candidate_is_null_and_the_rest_is_named(void **state)
{
    (void)state;
    const char *root = mcl;
    tree_remove(root, "distorted_image/ImageJND_SRC05/ImageJND_SRC05_031.jpg");
    tree_remove(root, "distorted_image/ImageJND_SRC05/ImageJND_SRC05_033.jpg");
    struct vj_dataset_options opt = mcl_options(root);
    struct vj_dataset *ds = open_or_fail("mcl-jci", &opt);
    struct vj_item item;
    get_item(ds, 4, &item);
    assert_int_equal(item.status, -ENOENT);
    vj_assert_contains(item.error, "2 of 4 candidate files");
    assert_non_null(item.candidate[30]);
    assert_null(item.candidate[31]);
    assert_non_null(item.candidate[32]);
    assert_null(item.candidate[33]);
    assert_int_equal(item.qf_true, 35); /* the label is not affected */
    vj_item_free(&item);
    vj_dataset_close(ds);
    write_whole_source(root, 5);
}

static void synthesised_candidates_need_sources_and_labels_only(void **state)
{
    (void)state;
    const char *root = mcl;
    char *moved = NULL;
    assert_true(asprintf(&moved, "%s/elsewhere", root) > 0);
    assert_int_equal(rename(tree_path(root, "distorted_image"), moved), 0);
    struct vj_dataset_options opt = mcl_options(root);
    expect_refusal("mcl-jci", &opt, -ENOENT,
                   "/distorted_image: no such folder; restore it, or set "
                   "candidates=synthesize");
    opt.candidates = "synthesize";
    struct vj_dataset *ds = open_or_fail("mcl-jci", &opt);
    assert_string_equal(vj_dataset_info(ds)->candidates, "synthesize");
    assert_int_equal(count_broken(ds), 0);
    struct vj_item item;
    get_item(ds, 0, &item);
    assert_null(item.reference); /* the evaluator makes it, at this QF */
    assert_int_equal(item.anchor_qf, 100);
    for (int q = 0; q <= VJ_LEVELS_MAX; q++)
        assert_null(item.candidate[q]);
    vj_item_free(&item);
    vj_dataset_close(ds);
    assert_int_equal(rename(moved, tree_path(root, "distorted_image")), 0);
    free(moved);
}

static void each_definition_gives_its_own_label(void **state)
{
    (void)state;
    /* Source 10: stairs 100 40 15; subjects 11..40 (JND 1), 6..35 (JND 2), none (JND 3). */
    static const struct {
        const char *labels;
        int jnd, qf;
        double exact;
        const char *words;
    } cases[] = {
        {NULL, 1, 40, 40, "sqf: JND 1 of the official stair quality function"},
        {"sqf", 1, 40, 40, "sqf: JND 1 of"},
        {"sqf", 2, 15, 15, "sqf: JND 2 of"},
        {"sur50", 1, 26, 26, "sur50: smallest QF at which at least 50 % of the subjects see no"},
        {"sur75", 1, 34, 34, "sur75: smallest QF at which at least 75 % of the subjects see no"},
        {"sur75", 2, 29, 29, "(subject JND 2 < QF, or without one)"},
        {"median", 1, 26, 25.5, "median: median of the subjects' JND 1, to the nearest QF"},
        {"mean", 1, 26, 25.5, "mean: mean of the subjects' JND 1, to the nearest QF, halves up"},
        {"mean", 2, 21, 20.5, "mean: mean of the subjects' JND 2"},
        {"median", 3, VJ_QF_UNKNOWN, NAN, "JND 3"},
        {"none", 1, VJ_QF_UNKNOWN, NAN, "none"},
    };
    const char *root = mcl;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct vj_dataset_options opt = {.root = root,
                                               .labels = cases[i].labels,
                                               .jnd = cases[i].jnd,
                                               .candidates = "synthesize"};
        struct vj_dataset *ds = open_or_fail("mcl-jci", &opt);
        const struct vj_dataset_info *info = vj_dataset_info(ds);
        vj_assert_contains(info->label_definition, cases[i].words);
        assert_true(info->human_labels == (strcmp(info->label_definition, "none") != 0));
        struct vj_item item;
        get_item(ds, 9, &item);
        assert_int_equal(item.status, 0);
        assert_int_equal(item.qf_true, cases[i].qf);
        assert_true(isnan(cases[i].exact) ? isnan(item.qf_exact) : item.qf_exact == cases[i].exact);
        assert_true(item.has_sur);
        vj_item_free(&item);
        vj_dataset_close(ds);
    }
}

static void later_jnds_are_searched_from_the_one_before(void **state)
{
    (void)state;
    const char *root = mcl;
    write_candidates(root, 1, 1, 100);
    struct vj_dataset_options opt = mcl_options(root);
    opt.jnd = 2; /* source 1: stairs 100 31 6 */
    struct vj_dataset *ds = open_or_fail("mcl-jci", &opt);
    struct vj_item item;
    get_item(ds, 0, &item);
    assert_int_equal(item.status, 0);
    assert_int_equal(item.anchor_qf, 31);
    expect_path(item.reference, root, "distorted_image/ImageJND_SRC01/ImageJND_SRC01_031.jpg");
    assert_int_equal(item.qf_true, 6);
    vj_item_free(&item);
    vj_dataset_close(ds);

    write_stairs(root, SQF_FOLDER, 1, "100\n1\n");
    opt.jnd = 1;
    ds = open_or_fail("mcl-jci", &opt);
    get_item(ds, 0, &item);
    assert_int_equal(item.status, 0); /* no drop at all: a source without label */
    assert_int_equal(item.qf_true, VJ_QF_UNKNOWN);
    vj_item_free(&item);
    vj_dataset_close(ds);
    opt.jnd = 2;
    ds = open_or_fail("mcl-jci", &opt);
    expect_broken(ds, 0, "ImageJND_SRC01: no JND 1 (sqf), from which JND 2 would be searched");
    vj_dataset_close(ds);
    write_whole_source(root, 1);
}

/* ---- where the stair functions lie ---- */

/* An MCL-JCI tree with the stair files of source 1 in each of two folders (NULL: none). */
static char *make_sqf_tree(const char *one, const char *two)
{
    char *root = vj_test_mkdir();
    write_source(root, 1);
    if (one)
        write_stairs(root, one, 1, "100 36\n1 2\n");
    if (two)
        write_stairs(root, two, 1, "100 37\n1 2\n");
    return root;
}

static void stair_functions_are_found_up_to_four_folders_down(void **state)
{
    (void)state;
    static const char *const found[][2] = {
        {"SQF_data", NULL},
        {"a/b/c/SQF_data", NULL},
        {"a/SQF_data", "__MACOSX/a/SQF_data"},
        {"a/SQF_data", "a/.hidden/SQF_data"},
        {"a/SQF_data", "a/b/c/d/SQF_data"},
    };
    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        char *root = make_sqf_tree(found[i][0], found[i][1]);
        tree_write(root, "z/SQF_data/notes.txt", "a folder of that name without stair files");
        const struct vj_dataset_options opt = {.root = root, .candidates = "synthesize"};
        struct vj_dataset *ds = open_or_fail("mcl-jci", &opt);
        struct vj_item item;
        get_item(ds, 0, &item);
        assert_int_equal(item.status, 0);
        assert_int_equal(item.qf_true, 36);
        vj_item_free(&item);
        vj_dataset_close(ds);
        vj_test_rmdir(root);
    }
}

static void stair_functions_elsewhere_or_twice_are_refused(void **state)
{
    (void)state;
    static const char *const lost[] = {NULL, "a/b/c/d/SQF_data", "sqf_data", "__MACOSX/SQF_data"};
    for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
        char *root = make_sqf_tree(lost[i], NULL);
        const struct vj_dataset_options opt = {.root = root, .candidates = "synthesize"};
        expect_refusal("mcl-jci", &opt, -ENOENT,
                       "no folder SQF_data with Image_<n>_l_h.txt up to 4 folders down");
        vj_test_rmdir(root);
    }
    char *root = make_sqf_tree("a/SQF_data", "b/SQF_data");
    const struct vj_dataset_options opt = {.root = root, .candidates = "synthesize"};
    expect_refusal("mcl-jci", &opt, -EEXIST, "/a/SQF_data and ");
    vj_test_rmdir(root);
}

static void a_loop_of_links_ends_the_search(void **state)
{
    (void)state;
    char *root = make_sqf_tree(NULL, NULL);
    for (int i = 0; i < 30; i++) {
        char name[100];
        snprintf(name, sizeof(name), "loop%d", i);
        assert_int_equal(symlink(root, tree_path(root, name)), 0);
    }
    const struct vj_dataset_options opt = {.root = root, .candidates = "synthesize"};
    expect_refusal("mcl-jci", &opt, -ELOOP, "is there a loop of links?");
    vj_test_rmdir(root);
}

/* ---- refusals ---- */

static void roots_that_are_no_mcl_jci_are_refused(void **state)
{
    (void)state;
    char *root = vj_test_mkdir();
    struct vj_dataset_options opt = {.root = tree_path(root, "MCL")};
    expect_refusal("mcl-jci", &opt, -ENOENT, "/MCL: no such folder");
    opt.root = root;
    expect_refusal("mcl-jci", &opt, -ENOENT,
                   "/source_images/[BMP]: no such folder; root must be the folder MCL-JCI");
    tree_write(root, "MCL-JCI/source_images/[BMP]/ImageJND_SRC01.bmp", "BM");
    expect_refusal("mcl-jci", &opt, -ENOENT, "set it to the folder MCL-JCI inside");
    vj_test_rmdir(root);

    opt = mcl_options(mcl);
    tree_write(mcl, "SYNTHETIC.txt", "observer = x\n");
    expect_refusal("mcl-jci", &opt, -EINVAL,
                   "SYNTHETIC.txt: this tree holds procedural pictures, not MCL-JCI; use "
                   "dataset=synthetic");
    tree_remove(mcl, "SYNTHETIC.txt");

    root = make_sqf_tree("SQF_data", NULL);
    opt = (struct vj_dataset_options){.root = root, .labels = "mean", .candidates = "synthesize"};
    expect_refusal("mcl-jci", &opt, -ENOENT,
                   "/JND_samples: no such folder, which labels=mean needs");
    vj_test_rmdir(root);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    const char *root = mcl;
    static const struct {
        const char *dataset;
        struct vj_dataset_options opt;
        const char *error;
    } cases[] = {
        {"mcl_jci", {0}, "dataset: unknown name 'mcl_jci'; known are mcl-jci, konjnd-1k, manifest"},
        {"", {0}, "dataset: unknown name ''"},
        {"mcl-jci", {.root = ""}, "root: empty"},
        {"mcl-jci", {.jnd = 4}, "jnd: 4 outside 1..3"},
        {"mcl-jci", {.jnd = -1}, "jnd: -1 outside 1..3"},
        {"mcl-jci", {.qf_first = 5}, "QF range 5..0"},
        {"mcl-jci", {.qf_first = 5, .qf_last = 4}, "QF range 5..4"},
        {"mcl-jci", {.qf_first = -1, .qf_last = 4}, "QF range -1..4"},
        {"mcl-jci", {.qf_first = 1, .qf_last = 101}, "QF range 1..101"},
        {"mcl-jci", {.labels = "jnd"}, "labels: unknown definition 'jnd'"},
        {"mcl-jci", {.labels = "none", .jnd = 2}, "jnd: 2 is searched from JND 1"},
        {"mcl-jci",
         {.candidates = "encode"},
         "candidates: unknown value 'encode'; known are files"},
        {"mcl-jci",
         {.folds = "random:x"},
         "folds: 'random:x': the number of folds must be 2..1000"},
        {"mcl-jci", {.folds = "loo"}, "folds: unknown value 'loo'"},
        {"mcl-jci", {.folds = "manifest"}, "folds: manifest needs a manifest's fold column"},
        {"mcl-jci", {.folds = "random:51"}, "folds: 51 folds for 50 images"},
        {"folder",
         {.folds = "surfeatnet10"},
         "folds: surfeatnet10 names sources of mcl-jci, not of"},
        {"synthetic", {0}, "SYNTHETIC.txt: no such file, so this is not a tree of procedural"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_dataset_options opt = cases[i].opt;
        if (!opt.root)
            opt.root = root;
        expect_refusal(cases[i].dataset, &opt, 0, cases[i].error);
    }
}

static void an_item_past_the_end_is_an_error(void **state)
{
    (void)state;
    const char *root = mcl;
    struct vj_dataset_options opt = mcl_options(root);
    struct vj_dataset *ds = open_or_fail("mcl-jci", &opt);
    struct vj_item item;
    struct vj_error err = {0};
    assert_int_equal(vj_dataset_item(ds, SOURCES, &item, &err), -ERANGE);
    vj_assert_contains(err.text, "mcl-jci: item 50 of 50");
    vj_item_free(&item);
    vj_dataset_close(ds);
    vj_dataset_close(NULL);
}

/* ---- fingerprint ---- */

static char *fingerprint(const char *name, const struct vj_dataset_options *opt)
{
    struct vj_dataset *ds = open_or_fail(name, opt);
    char *text = strdup(vj_dataset_info(ds)->fingerprint);
    assert_int_equal(strlen(text), 64);
    vj_dataset_close(ds);
    return text;
}

static void the_fingerprint_does_not_depend_on_the_place(void **state)
{
    (void)state;
    char *there = make_mcl();
    struct vj_dataset_options opt = mcl_options(mcl);
    opt.folds = "random:5";
    char *one = fingerprint("mcl-jci", &opt);
    opt.root = there;
    char *two = fingerprint("mcl-jci", &opt);
    assert_string_equal(one, two);
    free(one);
    free(two);
    vj_test_rmdir(there);
}

static void the_fingerprint_tells_different_data_apart(void **state)
{
    (void)state;
    const char *root = mcl;
    struct vj_dataset_options opt = mcl_options(root);
    char *seen[16];
    size_t n = 0;
    seen[n++] = fingerprint("mcl-jci", &opt);
    opt.labels = "median";
    seen[n++] = fingerprint("mcl-jci", &opt);
    opt.labels = "mean"; /* the same numbers in this tree, another definition */
    seen[n++] = fingerprint("mcl-jci", &opt);
    opt.labels = NULL;
    opt.candidates = "synthesize";
    seen[n++] = fingerprint("mcl-jci", &opt);
    opt.candidates = NULL;
    opt.folds = "random:5";
    seen[n++] = fingerprint("mcl-jci", &opt);
    opt.seed = 1;
    seen[n++] = fingerprint("mcl-jci", &opt);
    opt = mcl_options(root);
    opt.qf_last = 32;
    seen[n++] = fingerprint("mcl-jci", &opt);
    opt.qf_last = 33;
    tree_write(root, "distorted_image/ImageJND_SRC50/ImageJND_SRC50_033.jpg", "other size");
    seen[n++] = fingerprint("mcl-jci", &opt);
    tree_write(root, "source_images/[BMP]/ImageJND_SRC50.bmp", "other size");
    seen[n++] = fingerprint("mcl-jci", &opt);
    write_stairs(root, SQF_FOLDER, 50, "100 79\n1 2\n");
    seen[n++] = fingerprint("mcl-jci", &opt);
    write_plain_samples(root, 50, 10);
    seen[n++] = fingerprint("mcl-jci", &opt);
    tree_remove(root, "source_images/[BMP]/ImageJND_SRC01.bmp");
    seen[n++] = fingerprint("mcl-jci", &opt);
    tree_remove(root, "JND_samples/JND_image_50.txt");
    write_stairs(root, SQF_FOLDER, 50, "100\n1\n"); /* without label */
    seen[n++] = fingerprint("mcl-jci", &opt);
    write_stairs(root, SQF_FOLDER, 50, "100\n1 2\n"); /* without label and broken */
    seen[n++] = fingerprint("mcl-jci", &opt);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
    while (n > 0)
        free(seen[--n]);
    write_whole_source(root, 1);
    write_whole_source(root, 50);
}

/*
 * The layout that datasets/dataset.c documents, hashed by other means:
 *   printf 'vpjnd-dataset 1\nfolder\nnone\nrandom:2\nsynthesize\njpeg\n1 100 0 2\n5 a.png 1 0 -1 -1
 * 0 3 -1\n5 b.JPG 2 0 -1 -1 0 5 -1\nF\nG\n' | sha256sum      (one line; F, G: the folds, 1 2 or 2
 * 1)
 */
static void the_fingerprint_is_the_documented_one(void **state)
{
    (void)state;
    char *root = vj_test_mkdir();
    tree_write(root, "a.png", "123");
    tree_write(root, "b.JPG", "12345");
    const struct vj_dataset_options opt = {.root = root, .folds = "random:2", .seed = 7};
    struct vj_dataset *ds = open_or_fail("folder", &opt);
    struct vj_item item;
    get_item(ds, 0, &item);
    vj_assert_in_range(item.fold, 1, 2);
    assert_string_equal(vj_dataset_info(ds)->fingerprint,
                        item.fold == 1
                            ? "ec86a4d68f2565348bc2b2d30921d3efa53c9239918fa03d883dbb6bcf602d8a"
                            : "804a646bb7b9cd959cffb82f2f55d85c287e9c8c35ae317d9a91503c153a7759");
    vj_item_free(&item);
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

/* ---- the official tables in the official layout ---- */

static void write_official_stairs(const char *root)
{
    FILE *f = fopen(vj_test_data("labels/mcl_jci_sqf_points.txt"), "r");
    assert_non_null(f);
    char line[256];
    while (fgets(line, sizeof(line), f)) {
        int id, count, used;
        if (sscanf(line, "%d %d%n", &id, &count, &used) != 2)
            continue;
        line[strcspn(line, "\r\n")] = '\0';
        char text[600];
        snprintf(text, sizeof(text), "%s \r\n", line + used);
        for (int i = 0; i < count; i++)
            strcat(text, " 1.0 ");
        write_stairs(root, "SQF_data", id, text);
    }
    fclose(f);
}

static void write_official_samples(const char *root)
{
    FILE *f = fopen(vj_test_data("labels/mcl_jci_subject_jnd1_3.csv"), "r");
    assert_non_null(f);
    char line[256], text[SUBJECTS * 32] = "";
    assert_non_null(fgets(line, sizeof(line), f));
    int id, subject, jnd[3];
    while (fscanf(f, "%d,%d,%d,%d,%d", &id, &subject, &jnd[0], &jnd[1], &jnd[2]) == 5) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "%d, %d, %d\r\n", jnd[0], jnd[1], jnd[2]);
        if (subject == SUBJECTS) {
            write_samples(root, id, text);
            text[0] = '\0';
        }
    }
    assert_true(feof(f));
    fclose(f);
}

static double mean_label(const char *root, const char *labels, int jnd, bool exact)
{
    const struct vj_dataset_options opt = {
        .root = root, .labels = labels, .jnd = jnd, .candidates = "synthesize"};
    struct vj_dataset *ds = open_or_fail("mcl-jci", &opt);
    double sum = 0;
    assert_int_equal(count_broken(ds), 0);
    for (size_t i = 0; i < SOURCES; i++) {
        struct vj_item item;
        get_item(ds, i, &item);
        vj_assert_in_range(item.qf_true, 1, 100);
        sum += exact ? item.qf_exact : item.qf_true;
        vj_item_free(&item);
    }
    vj_dataset_close(ds);
    return sum / SOURCES;
}

static void real_labels_have_their_published_means(void **state)
{
    (void)state;
    vj_require_data("labels/mcl_jci_sqf_points.txt");
    vj_require_data("labels/mcl_jci_subject_jnd1_3.csv");
    char *root = vj_test_mkdir();
    for (int id = 1; id <= SOURCES; id++)
        write_source(root, id);
    write_official_stairs(root);
    write_official_samples(root);
    static const struct {
        const char *labels;
        int jnd;
        double mean, rounded;
    } cases[] = {
        {"sqf", 1, 39.58, 39.58},    {"sqf", 2, 26.68, 26.68},    {"sqf", 3, 19.38, 19.38},
        {"median", 1, 26.06, 26.12}, {"median", 2, 17.89, 18.08}, {"mean", 1, 28.08, 28.04},
        {"sur50", 1, 26.80, 26.80},  {"sur75", 1, 35.18, 35.18},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double mean = mean_label(root, cases[i].labels, cases[i].jnd, true);
        double rounded = mean_label(root, cases[i].labels, cases[i].jnd, false);
        if (fabs(mean - cases[i].mean) > 1e-9 || fabs(rounded - cases[i].rounded) > 1e-9)
            fail_msg("%s, JND %d: mean %.4f, rounded %.4f", cases[i].labels, cases[i].jnd, mean,
                     rounded);
    }
    vj_test_rmdir(root);
}

/* ---- synthetic ---- */

/* Three sources of a synthetic tree with candidates 30..33 and 100. */
static char *make_synthetic(const char *note)
{
    char *root = vj_test_mkdir();
    static const int ids[] = {1, 2, 104};
    for (size_t i = 0; i < 3; i++) {
        write_source(root, ids[i]);
        write_candidates(root, ids[i], 30, 33);
        write_stairs(root, "SQF_data", ids[i], "100 40 20\n1 0.5 0.2\n");
        write_samples(root, ids[i], "38\n40\n");
    }
    if (note)
        tree_write(root, "SYNTHETIC.txt", note);
    return root;
}

static void a_synthetic_tree_has_the_sources_that_are_there(void **state)
{
    (void)state;
    char *root = make_synthetic("# made by a test\nobserver = a threshold on PSNR, 38 dB\r\n"
                                "seed = 7\nsize = 64x64\n\n");
    struct vj_dataset_options opt = mcl_options(root);
    struct vj_dataset *ds = open_or_fail("synthetic", &opt);
    const struct vj_dataset_info *info = vj_dataset_info(ds);
    assert_int_equal(vj_dataset_count(ds), 3);
    assert_int_equal(count_broken(ds), 0);
    assert_string_equal(info->dataset, "synthetic");
    assert_string_equal(info->label_definition,
                        "sqf of JND 1, synthetic observer: a threshold on PSNR, 38 dB");
    assert_false(info->human_labels);
    assert_int_equal(info->anchor_qf, 100);
    struct vj_item item;
    get_item(ds, 2, &item);
    assert_string_equal(item.name, "ImageJND_SRC104");
    assert_int_equal(item.id, 104);
    assert_int_equal(item.qf_true, 40);
    assert_true(item.has_sur && item.sur[39] == 0.5F);
    vj_item_free(&item);
    vj_dataset_close(ds);

    opt.labels = "sur50";
    opt.folds = "random:3";
    ds = open_or_fail("synthetic", &opt);
    vj_assert_contains(vj_dataset_info(ds)->label_definition, "sur50 of JND 1, synthetic observer");
    get_item(ds, 0, &item);
    assert_int_equal(item.qf_true, 39);
    vj_assert_in_range(item.fold, 1, 3);
    vj_item_free(&item);
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void sources_that_should_be_there_are_broken_items(void **state)
{
    (void)state;
    char *root = make_synthetic("observer = x\ncount = 4\nsubjects = 2\n");
    struct vj_dataset_options opt = mcl_options(root);
    struct vj_dataset *ds = open_or_fail("synthetic", &opt);
    assert_int_equal(vj_dataset_count(ds), 5);
    assert_int_equal(count_broken(ds), 2);
    expect_broken(ds, 2, "Image_3_l_h.txt");
    expect_broken(ds, 3, "Image_4_l_h.txt");
    vj_dataset_close(ds);
    tree_write(root, "SYNTHETIC.txt", "observer = x\nsubjects = 3\n");
    ds = open_or_fail("synthetic", &opt);
    expect_broken(ds, 0, "JND_image_01.txt: 2 rows; 3 subjects, one per row, are expected");
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void synthetic_trees_must_say_what_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *note, *error;
    } cases[] = {
        {NULL, "SYNTHETIC.txt: no such file, so this is not a tree of procedural pictures"},
        {"seed = 1\n", "SYNTHETIC.txt: does not name the observer that made the labels"},
        {"observer =  \n", "SYNTHETIC.txt: does not name the observer that made the labels"},
        {"observer = x\ncount: 3\n", "SYNTHETIC.txt:2: 'count: 3' is not of the form key = value"},
        {"observer = x\ncount = 0\n", "SYNTHETIC.txt:2: count '0' is not a whole number 1..9999"},
        {"observer = x\ncount = ten\n", "SYNTHETIC.txt:2: count 'ten' is not a whole number"},
        {"observer = x\ncount = 1e9\n", "SYNTHETIC.txt:2: count '1e9' is not a whole number"},
        {"observer = x\nsubjects = 2.5\n", "SYNTHETIC.txt:2: subjects '2.5' is not a whole number"},
        {"\n", "SYNTHETIC.txt: does not name the observer"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *root = make_synthetic(cases[i].note);
        struct vj_dataset_options opt = mcl_options(root);
        expect_refusal("synthetic", &opt, 0, cases[i].error);
        vj_test_rmdir(root);
    }
    char *root = vj_test_mkdir();
    tree_write(root, "SYNTHETIC.txt", "observer = x\n");
    tree_write(root, "source_images/[BMP]/ImageJND_SRC1.bmp", "BM");
    tree_write(root, "source_images/[BMP]/ImageJND_SRC001.bmp", "BM");
    tree_write(root, "source_images/[BMP]/ImageJND_SRC00.bmp", "BM");
    tree_write(root, "source_images/[BMP]/ImageJND_SRC10000.bmp", "BM");
    tree_write(root, "source_images/[BMP]/ImageJND_SRC02.bmp.bak", "BM");
    struct vj_dataset_options opt = mcl_options(root);
    expect_refusal("synthetic", &opt, -ENOENT,
                   "/source_images/[BMP]: holds no ImageJND_SRC<n>.bmp");
    vj_test_rmdir(root);
}

static void a_long_observer_is_cut_not_overrun(void **state)
{
    (void)state;
    char note[1000] = "observer = ";
    memset(note + strlen(note), 'o', 900);
    char *root = make_synthetic(note);
    struct vj_dataset_options opt = mcl_options(root);
    struct vj_dataset *ds = open_or_fail("synthetic", &opt);
    vj_assert_in_range(strlen(vj_dataset_info(ds)->label_definition), 100, 159);
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_official_layout_gives_50_labelled_sources),
        cmocka_unit_test(all_hundred_quality_factors_are_found),
        cmocka_unit_test(damage_breaks_one_source_and_says_what),
        cmocka_unit_test(an_sqf_label_does_not_need_the_subjects),
        cmocka_unit_test(a_missing_candidate_is_null_and_the_rest_is_named),
        cmocka_unit_test(synthesised_candidates_need_sources_and_labels_only),
        cmocka_unit_test(each_definition_gives_its_own_label),
        cmocka_unit_test(later_jnds_are_searched_from_the_one_before),
        cmocka_unit_test(stair_functions_are_found_up_to_four_folders_down),
        cmocka_unit_test(stair_functions_elsewhere_or_twice_are_refused),
        cmocka_unit_test(a_loop_of_links_ends_the_search),
        cmocka_unit_test(roots_that_are_no_mcl_jci_are_refused),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
        cmocka_unit_test(an_item_past_the_end_is_an_error),
        cmocka_unit_test(the_fingerprint_does_not_depend_on_the_place),
        cmocka_unit_test(the_fingerprint_tells_different_data_apart),
        cmocka_unit_test(the_fingerprint_is_the_documented_one),
        cmocka_unit_test(real_labels_have_their_published_means),
        cmocka_unit_test(a_synthetic_tree_has_the_sources_that_are_there),
        cmocka_unit_test(sources_that_should_be_there_are_broken_items),
        cmocka_unit_test(synthetic_trees_must_say_what_they_are),
        cmocka_unit_test(a_long_observer_is_cut_not_overrun),
    };
    return cmocka_run_group_tests(tests, make_shared_tree, remove_shared_tree);
}
