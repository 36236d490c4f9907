/* SPDX-License-Identifier: MIT */
/* `manifest` and `folder`: data sets that anyone can write. */
#include "tests/vj_test.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "datasets/dataset.h"
#include "tests/datasets/tree.h"

/* ---- manifest ---- */

/* Opens ROOT/m.csv with candidates 9..11. The path lies in a static buffer. */
static struct vj_dataset_options manifest_options(const char *root)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/m.csv", root);
    return (struct vj_dataset_options){.root = path, .qf_first = 9, .qf_last = 11};
}

/* Pictures a.png, sub/b.png, c.png; candidates cand/a_9.jpg .. and cand/010/b.jpg ... */
static char *make_pictures(void)
{
    char *root = vj_test_mkdir();
    tree_write(root, "a.png", "a");
    tree_write(root, "sub/b.png", "b");
    tree_write(root, "c.png", "c");
    for (int q = 9; q <= 11; q++) {
        char name[100];
        snprintf(name, sizeof(name), "cand/a_%d.jpg", q);
        tree_write(root, name, "j");
        snprintf(name, sizeof(name), "cand/%03d/b-%d.jpg", q, q);
        tree_write(root, name, "j");
    }
    return root;
}

static struct vj_dataset *open_manifest(const char *root, const char *text)
{
    tree_write(root, "m.csv", text);
    struct vj_dataset_options opt = manifest_options(root);
    return open_or_fail("manifest", &opt);
}

static void columns_come_in_any_order_and_others_are_ignored(void **state)
{
    (void)state;
    char *root = make_pictures();
    struct vj_dataset *ds = open_manifest(root, "note,QF_true,fold,Candidates,image\r\n"
                                                "\"x, y\",37,2,cand/a_{qf}.jpg,a.png\r\n"
                                                ",,,cand/{qf:03d}/b-{qf}.jpg,sub/b.png\r\n");
    const struct vj_dataset_info *info = vj_dataset_info(ds);
    assert_int_equal(vj_dataset_count(ds), 2);
    assert_int_equal(count_broken(ds), 0);
    assert_string_equal(info->candidates, "files");
    assert_string_equal(info->label_definition,
                        "manifest: column qf_true, definition and origin as its author says");
    assert_true(info->human_labels);
    assert_string_equal(info->excluded, "columns of other names: 'note'");
    assert_int_equal(info->anchor_qf, 0);

    struct vj_item item;
    get_item(ds, 0, &item);
    assert_string_equal(item.name, "a.png");
    assert_int_equal(item.id, 1);
    assert_string_equal(item.source, tree_path(root, "a.png"));
    assert_null(item.reference);
    assert_string_equal(item.candidate[9], tree_path(root, "cand/a_9.jpg"));
    assert_null(item.candidate[8]);
    assert_null(item.candidate[12]);
    assert_int_equal(item.qf_true, 37);
    assert_int_equal(item.fold, VJ_FOLD_NONE); /* only with folds=manifest */
    assert_false(item.has_sur);
    vj_item_free(&item);
    get_item(ds, 1, &item);
    assert_string_equal(item.name, "sub/b.png");
    assert_string_equal(item.candidate[10], tree_path(root, "cand/010/b-10.jpg"));
    assert_int_equal(item.qf_true, VJ_QF_UNKNOWN);
    assert_true(isnan(item.qf_exact));
    vj_item_free(&item);
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void the_image_column_alone_is_enough(void **state)
{
    (void)state;
    char *root = make_pictures();
    struct vj_dataset *ds = open_manifest(root, "\xEF\xBB\xBFimage\na.png\n\nsub/b.png");
    const struct vj_dataset_info *info = vj_dataset_info(ds);
    assert_int_equal(vj_dataset_count(ds), 2);
    assert_int_equal(count_broken(ds), 0);
    assert_string_equal(info->candidates, "synthesize");
    assert_string_equal(info->label_definition, "none");
    assert_false(info->human_labels);
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void synthesize_is_no_pattern(void **state)
{
    (void)state;
    char *root = make_pictures();
    struct vj_dataset *ds = open_manifest(root, "image,candidates\na.png,synthesize\nsub/b.png,\n");
    assert_int_equal(count_broken(ds), 0);
    assert_string_equal(vj_dataset_info(ds)->candidates, "synthesize");
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void paths_are_absolute_or_relative_to_the_csv(void **state)
{
    (void)state;
    char *root = make_pictures(), text[2000];
    snprintf(text, sizeof(text), "image,candidates\n%s/a.png,%s/cand/a_{qf}.jpg\n", root, root);
    struct vj_dataset *ds = open_manifest(root, text);
    struct vj_item item;
    get_item(ds, 0, &item);
    assert_int_equal(item.status, 0);
    assert_string_equal(item.source, tree_path(root, "a.png"));
    assert_string_equal(item.candidate[11], tree_path(root, "cand/a_11.jpg"));
    vj_item_free(&item);
    vj_dataset_close(ds);

    /* A bare file name: the folder is the current one. */
    char here[4096];
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(chdir(root), 0);
    tree_write(root, "m.csv", "image\na.png\n");
    const struct vj_dataset_options opt = {.root = "m.csv"};
    ds = open_or_fail("manifest", &opt);
    assert_int_equal(count_broken(ds), 0);
    get_item(ds, 0, &item);
    assert_string_equal(item.source, "a.png");
    vj_item_free(&item);
    vj_dataset_close(ds);
    assert_int_equal(chdir(here), 0);
    vj_test_rmdir(root);
}

static void decimal_labels_are_kept_and_rounded_half_up(void **state)
{
    (void)state;
    char *root = make_pictures();
    struct vj_dataset *ds = open_manifest(root, "image,qf_true\na.png,31.5\nsub/b.png, 31.4 \n");
    struct vj_item item;
    get_item(ds, 0, &item);
    assert_int_equal(item.qf_true, 32);
    assert_true(item.qf_exact == 31.5);
    vj_item_free(&item);
    get_item(ds, 1, &item);
    assert_int_equal(item.qf_true, 31);
    vj_item_free(&item);
    vj_dataset_close(ds);

    struct vj_dataset_options opt = manifest_options(root);
    opt.labels = "none";
    ds = open_or_fail("manifest", &opt);
    assert_string_equal(vj_dataset_info(ds)->label_definition, "none");
    get_item(ds, 0, &item);
    assert_int_equal(item.qf_true, VJ_QF_UNKNOWN);
    vj_item_free(&item);
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void folds_are_those_of_the_column_when_asked_for(void **state)
{
    (void)state;
    char *root = make_pictures();
    tree_write(root, "m.csv", "image,fold\na.png,3\nsub/b.png,\nc.png,1\n");
    struct vj_dataset_options opt = manifest_options(root);
    opt.folds = "manifest";
    struct vj_dataset *ds = open_or_fail("manifest", &opt);
    static const int folds[] = {3, VJ_FOLD_NONE, 1};
    for (size_t i = 0; i < 3; i++) {
        struct vj_item item;
        get_item(ds, i, &item);
        assert_int_equal(item.fold, folds[i]);
        vj_item_free(&item);
    }
    assert_string_equal(vj_dataset_info(ds)->folds, "manifest");
    vj_dataset_close(ds);
    tree_write(root, "m.csv", "image,fold\na.png,\n");
    expect_refusal("manifest", &opt, -EINVAL, "m.csv: folds=manifest, but no row has a fold");
    tree_write(root, "m.csv", "image\na.png\n");
    expect_refusal("manifest", &opt, -EINVAL, "m.csv: folds=manifest, but no row has a fold");
    tree_write(root, "m.csv", "image,fold\na.png,\nb.png,2.5\nc.png,0\n");
    expect_refusal("manifest", &opt, -EINVAL, "no row has a fold; the first broken one: ");
    expect_refusal("manifest", &opt, -EINVAL, "m.csv:3: fold '2.5' is not a whole number");
    vj_test_rmdir(root);
}

static void mixed_candidates_need_a_decision(void **state)
{
    (void)state;
    char *root = make_pictures();
    tree_write(root, "m.csv", "image,candidates\na.png,cand/a_{qf}.jpg\nsub/b.png,\nc.png,c_{x}\n");
    struct vj_dataset_options opt = manifest_options(root);
    expect_refusal("manifest", &opt, -EINVAL,
                   "m.csv: line 2 has a candidates pattern, line 3 has none; fill in all or none");
    opt.candidates = "files";
    struct vj_dataset *ds = open_or_fail("manifest", &opt);
    assert_int_equal(count_broken(ds), 2);
    expect_broken(ds, 1, "m.csv:3: no candidates pattern, but candidates=files; add one, or set");
    expect_broken(ds, 2, "m.csv:4: candidates 'c_{x}': unknown placeholder at '{x}'");
    vj_dataset_close(ds);
    opt.candidates = "mixed"; /* by the row */
    ds = open_or_fail("manifest", &opt);
    assert_string_equal(vj_dataset_info(ds)->candidates, "mixed");
    assert_int_equal(count_broken(ds), 1);
    expect_broken(ds, 2, "m.csv:4: candidates 'c_{x}': unknown placeholder at '{x}'");
    struct vj_item of_row;
    get_item(ds, 0, &of_row);
    assert_string_equal(of_row.candidate[10], tree_path(root, "cand/a_10.jpg"));
    vj_item_free(&of_row);
    get_item(ds, 1, &of_row);
    assert_null(of_row.candidate[10]);
    vj_item_free(&of_row);
    char mixed[65];
    snprintf(mixed, sizeof(mixed), "%s", vj_dataset_info(ds)->fingerprint);
    vj_dataset_close(ds);
    opt.candidates = "synthesize"; /* patterns do not matter */
    ds = open_or_fail("manifest", &opt);
    assert_int_equal(count_broken(ds), 0);
    assert_string_not_equal(vj_dataset_info(ds)->fingerprint, mixed);
    struct vj_item item;
    get_item(ds, 0, &item);
    assert_null(item.candidate[10]);
    vj_item_free(&item);
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void a_bad_row_breaks_its_item_and_no_other(void **state)
{
    (void)state;
    static const struct {
        const char *row, *error;
    } cases[] = {
        {"d.png,cand/a_{qf}.jpg,37,1", "m.csv:3: d.png: no source picture "},
        {"sub,cand/a_{qf}.jpg,37,1", "m.csv:3: sub: no source picture "},
        {",cand/a_{qf}.jpg,37,1", "m.csv:3: no image"},
        {"a.png,cand/a_{qf}.jpg,37,1", "m.csv:3: image 'a.png' is already in line 2"},
        {"c.png,cand/a_{qf}.jpg,0,1", "m.csv:3: qf_true '0' is not a quality factor, 1..100"},
        {"c.png,cand/a_{qf}.jpg,101,1", "m.csv:3: qf_true '101' is not a quality factor"},
        {"c.png,cand/a_{qf}.jpg,100.4,1", "m.csv:3: qf_true '100.4' is not a quality factor"},
        {"c.png,cand/a_{qf}.jpg,-5,1", "m.csv:3: qf_true '-5' is not a quality factor"},
        {"c.png,cand/a_{qf}.jpg,nan,1", "m.csv:3: qf_true 'nan' is not a quality factor"},
        {"c.png,cand/a_{qf}.jpg,37x,1", "m.csv:3: qf_true '37x' is not a quality factor"},
        {"c.png,cand/a_{qf}.jpg,37,0", "m.csv:3: fold '0' is not a whole number 1..1000"},
        {"c.png,cand/a_{qf}.jpg,37,1001", "m.csv:3: fold '1001' is not a whole number"},
        {"c.png,cand/a_{qf}.jpg,37,1.5", "m.csv:3: fold '1.5' is not a whole number"},
        {"c.png,cand/a_{qf}.jpg,37,one", "m.csv:3: fold 'one' is not a whole number"},
        {"c.png,cand/a_{qf}.jpg,37", "names 4 columns; give an empty field its comma"},
        {"c.png,cand/a_{qf}.jpg,37,1,",
         "m.csv:3: 5 fields where the first line names 4 columns; quote fields"},
        {"c.png,cand/a.jpg,37,1", "m.csv:3: candidates 'cand/a.jpg': no {qf} in it"},
        {"c.png,cand/a_{QF}.jpg,37,1",
         "m.csv:3: candidates 'cand/a_{QF}.jpg': unknown placeholder"},
        {"c.png,cand/a_{qf:0d}.jpg,37,1", "unknown placeholder at '{qf:0d}.jpg'"},
        {"c.png,cand/a_{qf:3d}.jpg,37,1", "unknown placeholder at '{qf:3d}.jpg'"},
        {"c.png,cand/a_{qf:010d}.jpg,37,1", "unknown placeholder at '{qf:010d}.jpg'"},
        {"c.png,cand/a_{qf:03x}.jpg,37,1", "unknown placeholder at '{qf:03x}.jpg'"},
        {"c.png,cand/a_{qf}}.jpg,37,1", "unknown placeholder at '}.jpg'"},
        {"c.png,cand/a_{qf,37,1", "unknown placeholder at '{qf'"},
        {"c.png,cand/%s_{qf}.jpg,37,1", "m.csv:3: c.png: 3 of 3 candidate files are missing"},
        {"c.png,cand/a_{qf:02d}.jpg,37,1",
         "m.csv:3: c.png: 1 of 3 candidate files are missing, the first for QF 9: "},
    };
    char *root = make_pictures();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[1000];
        snprintf(text, sizeof(text),
                 "image,candidates,qf_true,fold\n"
                 "a.png,cand/a_{qf}.jpg,37,1\n%s\nsub/b.png,cand/a_{qf}.jpg,38,2\n",
                 cases[i].row);
        struct vj_dataset *ds = open_manifest(root, text);
        assert_int_equal(vj_dataset_count(ds), 3);
        assert_int_equal(count_broken(ds), 1);
        expect_broken(ds, 1, cases[i].error);
        vj_dataset_close(ds);
    }
    vj_test_rmdir(root);
}

/* Or it would say something of others, by the constant. A row whose files are missing has one. */
static void a_rejected_row_has_no_label(void **state)
{
    (void)state;
    static const int labels[] = {37, VJ_QF_UNKNOWN, VJ_QF_UNKNOWN, 50};
    char *root = make_pictures();
    struct vj_dataset *ds =
        open_manifest(root, "image,candidates,qf_true,fold\na.png,cand/a_{qf}.jpg,37,1\n"
                            "a.png,cand/a_{qf}.jpg,99,2\nsub/b.png,cand/a_{qf}.jpg,60,0\n"
                            "d.png,cand/a_{qf}.jpg,50,2\n");
    assert_int_equal(count_broken(ds), 3);
    for (size_t i = 0; i < 4; i++) {
        struct vj_item item;
        get_item(ds, i, &item);
        assert_int_equal(item.qf_true, labels[i]);
        vj_item_free(&item);
    }
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void padded_numbers_of_any_width_find_their_files(void **state)
{
    (void)state;
    char *root = make_pictures();
    tree_write(root, "w/000000009-09.jpg", "j");
    tree_write(root, "w/000000010-10.jpg", "j");
    tree_write(root, "w/000000011-11.jpg", "j");
    struct vj_dataset *ds =
        open_manifest(root, "image,candidates\na.png,w/{qf:09d}-{qf:02d}.jpg\n");
    assert_int_equal(count_broken(ds), 0);
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

/* Its name would take as much room in every row of a results file. */
static void an_image_longer_than_any_path_breaks_its_row_and_is_no_name(void **state)
{
    (void)state;
    enum { LONG = 100000, ROWS = 6 };
    char *root = make_pictures(), *text = malloc(2 * LONG + 3 * PATH_MAX), wanted[200];
    assert_non_null(text);
    const int folder = (int)strlen(root) + 1, most = PATH_MAX - 1;
    sprintf(text, "image,qf_true\na.png,37\n%0*d,12\n%0*d,12,1\n%0*d,\n%0*d,\n/%0*d,\n", LONG, 0,
            LONG, 1, most - folder + 1, 0, most - folder, 0, most - 1, 0);
    static const struct {
        const char *error;
        bool named;
    } rows[ROWS] = {
        {NULL, true},
        {"m.csv:3: image '0000000000000000000000000000000000000000...' makes a path of 10", false},
        {"m.csv:4: 3 fields where the first line names 2 columns", false},
        {"makes a path of 4096 bytes, and one has at most 4095; shorten it", false},
        {"m.csv:6: 000000", true},
        {"m.csv:7: /000000", true},
    };
    struct vj_dataset *ds = open_manifest(root, text);
    assert_int_equal(vj_dataset_count(ds), ROWS);
    assert_int_equal(count_broken(ds), ROWS - 1);
    for (int i = 0; i < ROWS; i++) {
        struct vj_item item;
        get_item(ds, i, &item);
        if (rows[i].error)
            vj_assert_contains(item.error, rows[i].error);
        snprintf(wanted, sizeof(wanted), " (line %d)", i + 2);
        assert_int_equal(strcmp(item.name, wanted) != 0, rows[i].named);
        assert_true(strlen(item.name) < PATH_MAX);
        vj_item_free(&item);
    }
    vj_dataset_close(ds);
    vj_test_rmdir(root);
    free(text);
}

static void a_path_too_long_breaks_its_item(void **state)
{
    (void)state;
    char *root = make_pictures(), text[6000] = "image,candidates\na.png,";
    size_t used = strlen(text);
    memset(text + used, 'p', 5000);
    strcpy(text + used + 5000, "{qf}\nsub/b.png,cand/a_{qf}.jpg\n");
    struct vj_dataset *ds = open_manifest(root, text);
    assert_int_equal(count_broken(ds), 1);
    expect_broken(ds, 0, "m.csv:2: candidates: a path longer than 4096 bytes");
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void files_that_are_no_manifest_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"\n\n", "m.csv: the file is empty; its first line must name the columns"},
        {"a.png,cand/a_{qf}.jpg\n", "m.csv:1: no column 'image'; the first line must name the "
                                    "columns, and it names a.png, cand"},
        {"image\n", "m.csv: names the columns but has no row"},
        {"image;qf_true\na.png;7\n", "m.csv:1: columns are separated by semicolons"},
        {"image\tqf_true\na.png\t7\n", "m.csv:1: columns are separated by tabs"},
        {"image,image\na.png,b.png\n", "m.csv:1: two columns are called 'image'"},
        {"image,fold,fold\na.png,1,2\n", "m.csv:1: two columns are called 'fold'"},
        {"image,note\na.png,\"open\nb.png,x\n", "m.csv:2:7: the quote opened here is never closed"},
        {"image,note\na.png,5\" wide\n", "m.csv:2:8: a quote inside a field"},
        {"image,note\n\"a.png\" ,x\n", "m.csv:2:8: text after a closing quote"},
    };
    char *root = make_pictures();
    struct vj_dataset_options opt = manifest_options(root);
    expect_refusal("manifest", &opt, -ENOENT, "m.csv");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tree_write(root, "m.csv", cases[i].text);
        expect_refusal("manifest", &opt, -EINVAL, cases[i].error);
    }
    tree_write_bytes(root, "m.csv", "image\na\0b\n", 10);
    expect_refusal("manifest", &opt, -EINVAL, "m.csv:2:2: a NUL byte; this is not a text file");
    opt.root = root;
    expect_refusal(
        "manifest", &opt, -EISDIR,
        "is a folder, and of data set manifest it is a CSV file; name that, or take all");
    tree_write(root, "m.csv", "image\na.png\n");
    opt = manifest_options(root);
    opt.labels = "sqf";
    expect_refusal("manifest", &opt, -EINVAL,
                   "labels: 'sqf', but a manifest's labels are its column qf_true");
    opt.labels = NULL;
    opt.jnd = 2;
    expect_refusal("manifest", &opt, -EINVAL, "jnd: 2; the data set 'manifest' knows only JND 1");
    vj_test_rmdir(root);
}

/* ---- folder ---- */

static void pictures_of_a_folder_and_its_sub_folders_are_listed_by_path(void **state)
{
    (void)state;
    static const char *const files[] = {
        "b.PNG",   "B.jpg",    "a b.jpeg",  "z.bmp",         "c.ppm",          "[1].pgm",
        ".h.png",  "note.txt", "png",       "x.png.bak",     "y.tiff",         "sub/d.png",
        "c/c.png", "c-.png",   "sub/a.txt", "sub/e/f/a.pgm", "sub/.hid/x.png", "e.png/z.png"};
    static const char *const listed[] = {
        "B.jpg",       "[1].pgm",  "a b.jpeg", "b.PNG",     "c-.png",        "c.ppm", "c/c.png",
        "e.png/z.png", "gone.png", "l.png",    "sub/d.png", "sub/e/f/a.pgm", "z.bmp"};
    enum { LISTED = sizeof(listed) / sizeof(listed[0]), GONE = 8 };
    char *root = vj_test_mkdir();
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        tree_write(root, files[i], "x");
    tree_write(root, "folder.png/e.txt", "a folder with the name of a picture");
    assert_int_equal(symlink("/nowhere/at/all", tree_path(root, "gone.png")), 0);
    assert_int_equal(mkfifo(tree_path(root, "pipe.png"), 0600), 0);
    assert_int_equal(symlink("sub/d.png", tree_path(root, "l.png")), 0);
    assert_int_equal(symlink("..", tree_path(root, "sub/loop")), 0);

    const struct vj_dataset_options opt = {.root = root};
    struct vj_dataset *ds = open_or_fail("folder", &opt);
    const struct vj_dataset_info *info = vj_dataset_info(ds);
    assert_string_equal(info->label_definition, "none");
    assert_string_equal(info->candidates, "synthesize");
    assert_false(info->human_labels);
    assert_string_equal(info->excluded,
                        "6 files that are no pictures by their endings, a.txt for one");
    assert_int_equal(info->anchor_qf, 0);
    assert_int_equal(vj_dataset_count(ds), LISTED);
    expect_broken(ds, GONE, "gone.png: no source picture ");
    for (size_t i = 0; i < LISTED; i++) {
        struct vj_item item;
        if (i == GONE)
            continue;
        get_item(ds, i, &item);
        assert_string_equal(item.name, listed[i]);
        assert_string_equal(item.source, tree_path(root, listed[i]));
        assert_int_equal(item.id, (int)i + 1);
        assert_int_equal(item.status, 0);
        assert_int_equal(item.qf_true, VJ_QF_UNKNOWN);
        assert_null(item.reference);
        vj_item_free(&item);
    }
    tree_remove(root, "z.bmp"); /* after opening */
    expect_broken(ds, LISTED - 1, "z.bmp: no source picture ");
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void folders_without_pictures_are_refused(void **state)
{
    (void)state;
    char *root = vj_test_mkdir();
    struct vj_dataset_options opt = {.root = root};
    expect_refusal("folder", &opt, -ENOENT,
                   ": no picture (jpg, jpeg, png, bmp, ppm, pgm) in it or its sub-folders");
    tree_write(root, "sub/a.png", "x");
    struct vj_dataset *ds = open_or_fail("folder", &opt);
    vj_dataset_close(ds);
    opt.root = "/nowhere";
    expect_refusal("folder", &opt, -ENOENT, "root: /nowhere: no such folder");
    opt.root = tree_path(root, "sub/a.png");
    expect_refusal("folder", &opt, -ENOTDIR, "a.png: is a file; name the folder of the data set");
    vj_test_rmdir(root);
}

static void a_folder_has_neither_labels_nor_candidates(void **state)
{
    (void)state;
    char *root = vj_test_mkdir();
    tree_write(root, "a.png", "x");
    struct vj_dataset_options opt = {.root = root, .labels = "median"};
    expect_refusal("folder", &opt, -EINVAL, "labels: 'median', but a folder has no labels");
    opt = (struct vj_dataset_options){.root = root, .candidates = "files"};
    expect_refusal("folder", &opt, -EINVAL, "candidates: files, but a folder has none");
    opt = (struct vj_dataset_options){.root = root, .jnd = 3};
    expect_refusal("folder", &opt, -EINVAL, "jnd: 3; the data set 'folder' knows only JND 1");
    opt = (struct vj_dataset_options){.root = root, .folds = "random:2"};
    expect_refusal("folder", &opt, -EINVAL, "folds: 2 folds for 1 images");
    opt = (struct vj_dataset_options){.root = root, .labels = "none", .candidates = "synthesize"};
    struct vj_dataset *ds = open_or_fail("folder", &opt);
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_come_in_any_order_and_others_are_ignored),
        cmocka_unit_test(the_image_column_alone_is_enough),
        cmocka_unit_test(synthesize_is_no_pattern),
        cmocka_unit_test(paths_are_absolute_or_relative_to_the_csv),
        cmocka_unit_test(decimal_labels_are_kept_and_rounded_half_up),
        cmocka_unit_test(folds_are_those_of_the_column_when_asked_for),
        cmocka_unit_test(mixed_candidates_need_a_decision),
        cmocka_unit_test(a_bad_row_breaks_its_item_and_no_other),
        cmocka_unit_test(a_rejected_row_has_no_label),
        cmocka_unit_test(padded_numbers_of_any_width_find_their_files),
        cmocka_unit_test(an_image_longer_than_any_path_breaks_its_row_and_is_no_name),
        cmocka_unit_test(a_path_too_long_breaks_its_item),
        cmocka_unit_test(files_that_are_no_manifest_are_refused),
        cmocka_unit_test(pictures_of_a_folder_and_its_sub_folders_are_listed_by_path),
        cmocka_unit_test(folders_without_pictures_are_refused),
        cmocka_unit_test(a_folder_has_neither_labels_nor_candidates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
