/* SPDX-License-Identifier: MIT */
/* `konjnd-1k` on small trees in the official layout, and on the two public ladders of real files.
 */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

#include "datasets/dataset.h"
#include "host/image.h"
#include "tests/datasets/tree.h"

#define HEADER "image_id,Compression type,No. of ratings,mean,std,ratings\n"

/* Three JPEG sources among BPG ones, in the official spelling. */
#define RATINGS                                                                                    \
    HEADER "SRC0002.png,JPEG,4,25.0,12.91,\"[20, 40, 10, 30]\"\n"                                  \
           "SRC0600.png,BPG,2,33.0,1.41,\"[32, 34]\"\n"                                            \
           "SRC0007.png,JPEG,2,30.5,0.71,\"[31, 30]\"\n"                                           \
           "SRC1008.png,JPEG,1,64.0,0.0,[64]\n"

static const int jpeg_ids[] = {2, 7, 1008};

/* A real JPEG of 8 x 8 grey pixels at each QF, made once. */
static uint8_t *jpeg[VJ_QF_MAX + 1];
static size_t jpeg_size[VJ_QF_MAX + 1];

static int make_jpegs(void **state)
{
    (void)state;
    struct vj_image img;
    if (vj_image_alloc(&img, 8, 8, 1, NULL))
        return -1;
    for (size_t i = 0; i < 64; i++)
        img.data[i] = (uint8_t)(4 * i);
    int rc = 0;
    for (int q = 1; q <= VJ_QF_MAX && !rc; q++)
        rc = vj_jpeg_encode(&jpeg[q], &jpeg_size[q], &img, q, VJ_SUBSAMPLING_444, NULL);
    vj_image_free(&img);
    return rc;
}

static int free_jpegs(void **state)
{
    (void)state;
    for (int q = 1; q <= VJ_QF_MAX; q++)
        free(jpeg[q]);
    return 0;
}

static void write_index(const char *root, int id, int index, int qf)
{
    char name[100];
    snprintf(name, sizeof(name), "jpeg/SRC%04d_JPEG_%03d.jpg", id, index);
    tree_write_bytes(root, name, jpeg[qf], jpeg_size[qf]);
}

/* Files 1, 29..31, 70..72, 100 of a ladder. */
static void write_ladder(const char *root, int id, bool reversed)
{
    static const int indices[] = {1, 29, 30, 31, 70, 71, 72, 100};
    for (size_t i = 0; i < sizeof(indices) / sizeof(indices[0]); i++)
        write_index(root, id, indices[i], reversed ? 101 - indices[i] : indices[i]);
}

static char *make_tree(const char *ratings, bool reversed)
{
    char *root = vj_test_mkdir();
    char name[100];
    for (size_t i = 0; i < 3; i++) {
        write_ladder(root, jpeg_ids[i], reversed);
        snprintf(name, sizeof(name), "source_image/SRC%04d.png", jpeg_ids[i]);
        tree_write(root, name, "png");
    }
    if (ratings)
        tree_write(root, "subjective_ratings.csv", ratings);
    tree_write(root, "bpg/SRC0600_BPG_001.png", "bpg");
    tree_write(root, "notes.txt", "unknown files are no matter");
    return root;
}

static struct vj_dataset_options options(const char *root)
{
    return (struct vj_dataset_options){.root = root, .qf_first = 29, .qf_last = 31};
}

static void jpeg_rows_become_items_in_file_order(void **state)
{
    (void)state;
    char *root = make_tree(RATINGS, false);
    struct vj_dataset_options opt = options(root);
    struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
    const struct vj_dataset_info *info = vj_dataset_info(ds);
    assert_int_equal(vj_dataset_count(ds), 3);
    assert_int_equal(count_broken(ds), 0);
    assert_string_equal(info->label_definition,
                        "mean: mean of the subjects' JND 1, to the nearest QF, halves upwards");
    assert_string_equal(info->axis, "index = QF by the quantisation tables of 3 ladder(s): "
                                    "SRC0002_JPEG_001 has QF 1, _100 has QF 100");
    assert_string_equal(info->candidates, "files");
    assert_int_equal(info->anchor_qf, 0);
    assert_true(info->human_labels);
    assert_string_equal(info->excluded, "1 row of type BPG: SRC0600");

    struct vj_item item;
    get_item(ds, 0, &item);
    assert_string_equal(item.name, "SRC0002");
    assert_int_equal(item.id, 2);
    assert_string_equal(item.source, tree_path(root, "source_image/SRC0002.png"));
    assert_null(item.reference);
    assert_int_equal(item.anchor_qf, 0);
    for (int q = 0; q <= VJ_LEVELS_MAX; q++)
        assert_true((item.candidate[q] != NULL) == (q >= 29 && q <= 31));
    assert_string_equal(item.candidate[30], tree_path(root, "jpeg/SRC0002_JPEG_030.jpg"));
    assert_int_equal(item.qf_true, 25);
    assert_true(item.has_sur && item.sur[10] == 0 && item.sur[11] == 0.25F && item.sur[41] == 1);
    vj_item_free(&item);
    get_item(ds, 1, &item);
    assert_int_equal(item.id, 7);
    assert_int_equal(item.qf_true, 31);
    assert_true(item.qf_exact == 30.5);
    vj_item_free(&item);
    get_item(ds, 2, &item);
    assert_int_equal(item.id, 1008);
    assert_int_equal(item.qf_true, 64);
    vj_item_free(&item);
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void a_reversed_axis_turns_names_and_labels_round(void **state)
{
    (void)state;
    static const struct {
        const char *labels;
        int qf;
        double exact;
    } cases[] = {
        /* ratings 20 40 10 30 are QF 81 61 91 71 */
        {NULL, 76, 76},
        {"median", 76, 76},
        {"sur50", 72, 72},
        {"sur75", 82, 82},
    };
    char *root = make_tree(RATINGS, true);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_dataset_options opt = options(root);
        opt.labels = cases[i].labels;
        struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
        assert_string_equal(vj_dataset_info(ds)->axis,
                            "index = 101 - QF by the quantisation tables of 3 ladder(s): "
                            "SRC0002_JPEG_001 has QF 100, _100 has QF 1");
        assert_int_equal(count_broken(ds), 0);
        struct vj_item item;
        get_item(ds, 0, &item);
        assert_string_equal(item.candidate[30], tree_path(root, "jpeg/SRC0002_JPEG_071.jpg"));
        uint8_t *data;
        size_t size;
        int qf = 0;
        assert_int_equal(vj_file_read(&data, &size, item.candidate[30], 0, NULL), 0);
        assert_int_equal(vj_jpeg_quality(&qf, data, size, "candidate", NULL), 0);
        assert_int_equal(qf, 30); /* whatever the name says */
        free(data);
        assert_int_equal(item.qf_true, cases[i].qf);
        assert_true(item.qf_exact == cases[i].exact);
        assert_true(item.sur[61] == 0 && item.sur[62] == 0.25F && item.sur[92] == 1);
        vj_item_free(&item);
        vj_dataset_close(ds);
    }
    vj_test_rmdir(root);
}

static void ladders_that_disagree_or_cannot_tell_are_refused(void **state)
{
    (void)state;
    char *root = make_tree(RATINGS, false);
    struct vj_dataset_options opt = options(root);
    write_ladder(root, 1008, true);
    expect_refusal("konjnd-1k", &opt, -EINVAL,
                   "/jpeg: the index means QF for one of SRC0002 and SRC1008, and 101 - QF");
    write_ladder(root, 1008, false);
    write_ladder(root, 7, true); /* the one in the middle */
    expect_refusal("konjnd-1k", &opt, -EINVAL, "for one of SRC0002 and SRC0007, and 101 - QF");
    write_ladder(root, 7, false);
    write_index(root, 2, 100, 1);
    expect_refusal("konjnd-1k", &opt, -EINVAL, "SRC0002_JPEG_001 and _100 both have QF 1");
    vj_test_rmdir(root);
}

/* A file that cannot be read is its item's trouble, as long as others tell. */
static void ladders_that_cannot_be_read_are_passed_over(void **state)
{
    (void)state;
    static const char *const names[] = {"jpeg/SRC0002_JPEG_100.jpg", "jpeg/SRC1008_JPEG_001.jpg",
                                        "jpeg/SRC0007_JPEG_001.jpg"};
    char *root = make_tree(RATINGS, true);
    struct vj_dataset_options opt = options(root);
    tree_write(root, names[0], "no picture");
    tree_write(root, names[1], "");
    struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
    assert_string_equal(vj_dataset_info(ds)->axis,
                        "index = 101 - QF by the quantisation tables of 1 ladder(s): "
                        "SRC0007_JPEG_001 has QF 100, _100 has QF 1");
    vj_dataset_close(ds);
    tree_write(root, names[2], "no picture, either");
    expect_refusal("konjnd-1k", &opt, 0, "cannot tell whether file index means QF or 101 - QF: ");
    expect_refusal("konjnd-1k", &opt, 0, names[0]);
    expect_refusal("konjnd-1k", &opt, 0, "; nor can any other source's files tell");
    vj_test_rmdir(root);
}

static void the_axis_is_read_from_the_sources_that_are_whole(void **state)
{
    (void)state;
    char *root = make_tree(RATINGS, true);
    tree_remove(root, "jpeg/SRC0002_JPEG_001.jpg");
    tree_remove(root, "jpeg/SRC1008_JPEG_100.jpg");
    struct vj_dataset_options opt = options(root);
    struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
    assert_string_equal(vj_dataset_info(ds)->axis,
                        "index = 101 - QF by the quantisation tables of 1 ladder(s): "
                        "SRC0007_JPEG_001 has QF 100, _100 has QF 1");
    assert_int_equal(count_broken(ds), 0); /* QF 29..31 are there */
    vj_dataset_close(ds);
    tree_remove(root, "jpeg/SRC0007_JPEG_100.jpg");
    expect_refusal("konjnd-1k", &opt, -ENOENT,
                   "/jpeg: no source has its files SRC..._JPEG_001.jpg and _100.jpg");
    /* Where no row names a source, that is what is wrong, not the folder. */
    tree_write(root, "subjective_ratings.csv",
               HEADER "SRC0002,JPEG,1,25.0,0.0,[25]\nSRC0007,JPEG,1,30.0,0.0,[30]\n");
    expect_refusal("konjnd-1k", &opt, -EINVAL,
                   "subjective_ratings.csv:2: image_id 'SRC0002' is not of the form SRC0001.png; "
                   "nor does any other row");
    vj_test_rmdir(root);
}

static void without_jpeg_files_the_axis_is_assumed_and_said_so(void **state)
{
    (void)state;
    char *root = vj_test_mkdir();
    tree_write(root, "subjective_ratings.csv", RATINGS);
    tree_write(root, "source_image/SRC0002.png", "png");
    struct vj_dataset_options opt = {.root = root};
    expect_refusal("konjnd-1k", &opt, -ENOENT,
                   "/jpeg: no such folder; restore it, or set "
                   "candidates=synthesize");
    opt.candidates = "synthesize";
    struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
    assert_string_equal(vj_dataset_info(ds)->axis,
                        "index = QF assumed: no JPEG files there to tell");
    assert_string_equal(vj_dataset_info(ds)->candidates, "synthesize");
    struct vj_item item;
    get_item(ds, 0, &item);
    assert_int_equal(item.status, 0);
    assert_int_equal(item.qf_true, 25);
    assert_null(item.candidate[50]);
    vj_item_free(&item);
    expect_broken(ds, 1, "SRC0007: no source picture ");
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void synthesised_candidates_still_read_the_axis_where_they_can(void **state)
{
    (void)state;
    char *root = make_tree(RATINGS, true);
    struct vj_dataset_options opt = {.root = root, .candidates = "synthesize"};
    struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
    struct vj_item item;
    get_item(ds, 0, &item);
    assert_int_equal(item.qf_true, 76);
    vj_item_free(&item);
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void each_definition_is_taken_from_the_ratings(void **state)
{
    (void)state;
    static const struct {
        const char *labels;
        int qf;
    } cases[] = {
        {"mean", 25}, {"median", 25}, {"sur50", 21}, {"sur75", 31}, {"none", VJ_QF_UNKNOWN},
    };
    char *root = make_tree(RATINGS, false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_dataset_options opt = options(root);
        opt.labels = cases[i].labels;
        struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
        struct vj_item item;
        get_item(ds, 0, &item);
        assert_int_equal(item.qf_true, cases[i].qf);
        vj_item_free(&item);
        assert_true(vj_dataset_info(ds)->human_labels == (cases[i].qf != VJ_QF_UNKNOWN));
        vj_dataset_close(ds);
    }
    vj_test_rmdir(root);
}

/* What is no item is counted and named, however many there are. */
static void rows_of_other_types_are_counted_and_named(void **state)
{
    (void)state;
    char *root = make_tree(NULL, false);
    size_t room = 200000;
    char *text = calloc(1, room);
    assert_non_null(text);
    strcpy(text, HEADER "SRC0600.png,BPG,1,3,0,[3]\nSRC0598.png,bpg,1,3,0,[3]\n"
                        "SRC0002.png,JPEG,1,20,0,[20]\nSRC0599.png,BPG,1,3,0,[3]\n"
                        "SRC0700.png,BPG,1,3,0,[300]\nodd.png,BPG,1,3,0,[3]\n"
                        "SRC0800.png,WebP,1,3,0,[3]\nSRC0900.png,,1,3,0,[3]\n");
    tree_write(root, "subjective_ratings.csv", text);
    struct vj_dataset_options opt = options(root);
    struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
    assert_int_equal(vj_dataset_count(ds), 1);
    assert_string_equal(vj_dataset_info(ds)->excluded,
                        "5 rows of type BPG: SRC0598-SRC0600, SRC0700, 1 without such a name; "
                        "2 rows of no known type: SRC0800, SRC0900");
    vj_dataset_close(ds);

    /* The real numbers at their most scattered are named in full; of more the list is cut off. */
    static const int most[] = {1008, 3000};
    for (int m = 0; m < 2; m++) {
        strcpy(text, HEADER);
        size_t used = strlen(text);
        for (int id = 1; id <= most[m]; id++)
            used += (size_t)snprintf(text + used, room - used, "SRC%04d.png,%s,1,30,0,[30]\n", id,
                                     id % 2 ? "BPG" : "JPEG");
        tree_write(root, "subjective_ratings.csv", text);
        ds = open_or_fail("konjnd-1k", &opt);
        assert_int_equal(vj_dataset_count(ds), most[m] / 2);
        const char *excluded = vj_dataset_info(ds)->excluded;
        vj_assert_contains(excluded, m ? "1500 rows of type BPG: SRC0001, SRC0003, "
                                       : "504 rows of type BPG: SRC0001, SRC0003, ");
        const char *end = m ? "..." : ", SRC1005, SRC1007";
        assert_string_equal(excluded + strlen(excluded) - strlen(end), end);
        vj_dataset_close(ds);
    }
    free(text);
    vj_test_rmdir(root);
}

/* A bad row breaks its item; rows before and after stay. */
static void a_bad_row_breaks_its_item_and_says_where(void **state)
{
    (void)state;
    static const struct {
        const char *row, *error;
    } cases[] = {
        {"SRC0007.png,JPEG,2,30,1,\"[31, 101]\"", "csv:3: ratings: 101 outside 1..100"},
        {"SRC0007.png,JPEG,2,30,1,\"[0, 10]\"", "csv:3: ratings: 0 outside 1..100"},
        {"SRC0007.png,JPEG,2,30,1,\"[31, 30.5]\"", "csv:3: ratings: '30.5' is not a whole number"},
        {"SRC0007.png,JPEG,2,30,1,\"[31, x]\"", "csv:3: ratings: 'x' is not a whole number"},
        {"SRC0007.png,JPEG,2,30,1,\"[31,,30]\"", "csv:3: ratings: '' is not a whole number"},
        {"SRC0007.png,JPEG,1,,,[31                                                                 "
         "5]",
         "csv:3: ratings: '31                                      ' is not a whole number"},
        {"SRC0007.png,JPEG,0,,,[]", "csv:3: ratings: '' is not a whole number"},
        {"SRC0007.png,JPEG,2,30,1,\"[31, 30\"", "csv:3: ratings: the list is not closed"},
        {"SRC0007.png,JPEG,2,30,1,\"[31, 30] x\"", "csv:3: ratings: ' x' after the list"},
        {"SRC0007.png,JPEG,2,30,1,31", "csv:3: ratings '31' is not a list in square brackets"},
        {"SRC0007.png,JPEG,2,30,1,", "csv:3: ratings '' is not a list in square brackets"},
        {"SRC0007.png,JPEG,3,30,1,\"[31, 30]\"", "csv:3: 'No. of ratings' is '3', the list has 2"},
        {"SRC0007.png,JPEG,two,30,1,\"[31, 30]\"", "csv:3: 'No. of ratings' is 'two', the list"},
        {"SRC0007.png,JPEG,2,30,1,[31, 30]", "csv:3: 7 fields where the first line names 6"},
        {"SRC0007.png,JPEG", "csv:3: 2 fields where the first line names 6 columns"},
        {"SRC7.png,JPEG,1,31,0,[31]", "csv:3: image_id 'SRC7.png' is not of the form SRC0001.png"},
        {"../../x.png,JPEG,1,31,0,[31]", "csv:3: image_id '../../x.png' is not of the form"},
        {"SRC0000.png,JPEG,1,31,0,[31]", "csv:3: image_id 'SRC0000.png' is not of the form"},
        {"SRC0002.png,JPEG,1,31,0,[31]", "csv: SRC0002 has two JPEG rows; the first one counts"},
        {"SRC0009.png,JPEG,1,31,0,[31]", "SRC0009: no source picture "},
    };
    char *root = make_tree(NULL, false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[1000];
        snprintf(text, sizeof(text),
                 HEADER "SRC0002.png,JPEG,1,20,0,[20]\n%s\nSRC1008.png,JPEG,1,64,0,[64]\n",
                 cases[i].row);
        tree_write(root, "subjective_ratings.csv", text);
        struct vj_dataset_options opt = options(root);
        opt.folds = "random:3"; /* broken items keep their place in the folds */
        struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
        assert_int_equal(vj_dataset_count(ds), 3);
        assert_int_equal(count_broken(ds), 1);
        expect_broken(ds, 1, cases[i].error);
        vj_dataset_close(ds);
    }
    vj_test_rmdir(root);
}

/* Parts of a sweep are put together by these numbers. */
static void no_two_items_have_the_same_number(void **state)
{
    (void)state;
    static const char csv[] = HEADER "SRC0002.png,JPEG,1,20,0,[20]\n"
                                     "nothing,JPEG,1,20,0,[20]\n"
                                     "SRC0002.png,JPEG,1,20,0,[20]\n"
                                     "SRC0004.png,JPEG,1,20,0,[20]\n"
                                     "SRC0005.png,JPEG,1,20,0,[20]\n"
                                     "SRC0002.png,JPEG,1,20,0,[20]\n";
    char *root = make_tree(csv, false);
    struct vj_dataset_options opt = options(root);
    opt.candidates = "synthesize";
    struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
    int id[6];
    assert_int_equal(vj_dataset_count(ds), 6);
    for (size_t i = 0; i < 6; i++) {
        struct vj_item item;
        assert_int_equal(vj_dataset_item(ds, i, &item, NULL), 0);
        id[i] = item.id;
        vj_item_free(&item);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(id[k], id[i]);
    }
    assert_int_equal(id[0], 2);
    assert_int_equal(id[3], 4);
    assert_int_equal(id[4], 5);
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void a_missing_file_index_is_named_by_its_qf(void **state)
{
    (void)state;
    char *root = make_tree(RATINGS, true);
    tree_remove(root, "jpeg/SRC0007_JPEG_071.jpg");
    struct vj_dataset_options opt = options(root);
    struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
    assert_int_equal(count_broken(ds), 1);
    expect_broken(ds, 1, "SRC0007: 1 of 3 candidate files are missing, the first for QF 30: ");
    expect_broken(ds, 1, "SRC0007_JPEG_071.jpg: ");
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

static void trees_and_tables_that_are_no_konjnd_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *csv, *error;
    } cases[] = {
        {NULL, "subjective_ratings.csv"},
        {"\n", "subjective_ratings.csv: the file is empty; its first line must name the columns"},
        {"image,type\n", "subjective_ratings.csv:1: no column 'image_id'"},
        {"image_id,ratings\n", "subjective_ratings.csv:1: no column 'Compression type'"},
        {"image_id,Compression type\n", "subjective_ratings.csv:1: no column 'ratings'"},
        {"ratings," HEADER, "subjective_ratings.csv:1: two columns are called 'ratings'"},
        {HEADER, "subjective_ratings.csv: no row has the Compression type JPEG"},
        {HEADER "SRC0600.png,BPG,1,3,0,[3]\n", "no row has the Compression type JPEG"},
        {HEADER "SRC0002.png,JPEG,2,3,0,\"[3, 4]\nSRC0003.png,JPEG,1,3,0,[3]\n",
         "subjective_ratings.csv:2:24: the quote opened here is never closed"},
    };
    char *root = make_tree(NULL, false);
    struct vj_dataset_options opt = options(root);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cases[i].csv)
            tree_write(root, "subjective_ratings.csv", cases[i].csv);
        expect_refusal("konjnd-1k", &opt, 0, cases[i].error);
    }
    tree_write(root, "subjective_ratings.csv", RATINGS);
    opt.labels = "sqf";
    expect_refusal("konjnd-1k", &opt, -EINVAL, "konjnd-1k has no stair quality function");
    opt.labels = NULL;
    opt.jnd = 2;
    expect_refusal("konjnd-1k", &opt, -EINVAL, "jnd: 2; the data set 'konjnd-1k' knows only JND 1");
    opt.jnd = 1;
    opt.root = "/nowhere";
    expect_refusal("konjnd-1k", &opt, -ENOENT, "root: /nowhere: no such folder");
    vj_test_rmdir(root);
    root = vj_test_mkdir();
    opt.root = root;
    expect_refusal("konjnd-1k", &opt, -ENOENT,
                   "/source_image: no such folder; root must be the folder KonJND-1k");
    vj_test_rmdir(root);
}

/* ---- real ladders ---- */

static void link_ladder(const char *root, const char *folder, int id)
{
    char name[100], from[200];
    for (int index = 0; index <= VJ_QF_MAX; index++) {
        if (index)
            snprintf(from, sizeof(from), "%s/Study_SRC%04d_JPEG_%03d.jpg", folder, id, index);
        else
            snprintf(from, sizeof(from), "%s/Study_SRC%04d.png", folder, id);
        vj_require_data(from);
        char *target = strdup(vj_test_data(from));
        if (index)
            snprintf(name, sizeof(name), "jpeg/SRC%04d_JPEG_%03d.jpg", id, index);
        else
            snprintf(name, sizeof(name), "source_image/SRC%04d.png", id);
        tree_make_parents(tree_path(root, name));
        assert_int_equal(symlink(target, tree_path(root, name)), 0);
        free(target);
    }
}

static void real_ladders_have_index_equal_to_qf(void **state)
{
    (void)state;
    vj_require_data("konjnd/locjnd/Study_SRC0013.png");
    vj_require_data("konjnd/gui/Study_SRC0366.png");
    char *root = vj_test_mkdir();
    link_ladder(root, "konjnd/locjnd", 13);
    link_ladder(root, "konjnd/gui", 366);
    tree_write(root, "subjective_ratings.csv",
               HEADER "SRC0013.png,JPEG,2,33,1,\"[32, 34]\"\nSRC0366.png,JPEG,1,40,0,[40]\n");
    const struct vj_dataset_options opt = {.root = root};
    struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
    assert_int_equal(count_broken(ds), 0);
    assert_string_equal(vj_dataset_info(ds)->axis,
                        "index = QF by the quantisation tables of 2 ladder(s): SRC0013_JPEG_001 "
                        "has QF 1, _100 has QF 100");
    /* Three files in between: their tables agree with the direction found at the ends. */
    struct vj_item item;
    get_item(ds, 1, &item);
    for (int q = 20; q <= 80; q += 30) {
        uint8_t *data;
        size_t size;
        int qf = 0;
        assert_int_equal(vj_file_read(&data, &size, item.candidate[q], 0, NULL), 0);
        assert_int_equal(vj_jpeg_quality(&qf, data, size, item.candidate[q], NULL), 0);
        assert_int_equal(qf, q);
        free(data);
    }
    vj_item_free(&item);
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

/* ---- the BPG half ---- */

/* Two BPG sources among JPEG ones; ratings 10 20 40 as file indices. */
#define BPG_RATINGS                                                                                \
    HEADER "SRC0600.png,BPG,3,23.3,15.3,\"[10, 20, 40]\"\n"                                        \
           "SRC0002.png,JPEG,1,25.0,0,[25]\n"                                                      \
           "SRC0601.png,BPG,2,1.5,0.7,\"[1, 2]\"\n"

/* Files stand for pictures: equal for q 1, 2, 3, else of their own. reversed: index = 52 - q */
static char *make_bpg_tree(const char *ratings, bool reversed)
{
    char *root = vj_test_mkdir();
    for (int id = 600; id <= 601; id++) {
        char name[100], text[100];
        for (int q = 1; q <= 51; q++) {
            snprintf(name, sizeof(name), "bpg/SRC%04d_BPG_%03d.png", id, reversed ? 52 - q : q);
            snprintf(text, sizeof(text), "%d at q %d", id, q < 3 ? 3 : q);
            tree_write(root, name, text);
            snprintf(name, sizeof(name), "streams/SRC%04d_q%02d.bpg", id, q);
            tree_write(root, name, "stream");
        }
        snprintf(name, sizeof(name), "source_image/SRC%04d.png", id);
        tree_write(root, name, "png");
    }
    tree_write(root, "subjective_ratings.csv", ratings);
    return root;
}

static struct vj_dataset_options bpg_options(const char *root)
{
    return (struct vj_dataset_options){.root = root, .codec = "bpg", .qf_first = 1, .qf_last = 49};
}

static void bpg_rows_become_items_in_levels_of_quality(void **state)
{
    (void)state;
    for (int reversed = 0; reversed < 2; reversed++) {
        char *root = make_bpg_tree(BPG_RATINGS, reversed);
        struct vj_dataset_options opt = bpg_options(root);
        struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
        const struct vj_dataset_info *info = vj_dataset_info(ds);
        assert_int_equal(vj_dataset_count(ds), 2);
        assert_int_equal(count_broken(ds), 0);
        assert_string_equal(info->codec, "bpg");
        assert_string_equal(info->candidates, "files");
        assert_string_equal(info->excluded, "1 row of type JPEG: SRC0002");
        assert_string_equal(
            info->axis,
            reversed ? "level = 52 - q, q 1 to 3 are level 49; index = 52 - q by equal files of 2 "
                       "ladder(s): SRC0600_BPG_049 to _051 are equal"
                     : "level = 52 - q, q 1 to 3 are level 49; index = q by equal files of 2 "
                       "ladder(s): SRC0600_BPG_001 to _003 are equal");

        struct vj_item item;
        get_item(ds, 0, &item);
        assert_true(item.decoded);
        assert_int_equal(item.anchor_qf, 0);
        for (int level = 0; level <= VJ_LEVELS_MAX; level++) {
            assert_true((item.candidate[level] != NULL) == (level >= 1 && level <= 49));
            assert_null(item.stream[level]);
        }
        /* level 49 is q 3, level 20 q 32, level 1 q 51 */
        static const int level[] = {49, 20, 1}, q[] = {3, 32, 51};
        for (size_t i = 0; i < 3; i++) {
            char name[100];
            snprintf(name, sizeof(name), "bpg/SRC0600_BPG_%03d.png", reversed ? 52 - q[i] : q[i]);
            assert_string_equal(item.candidate[level[i]], tree_path(root, name));
        }
        /* ratings 10 20 40: q 10 20 40 are levels 42 32 12, q 42 32 12 are 10 20 40 */
        assert_true(fabs(item.qf_exact - (reversed ? 70 : 86) / 3.0) < 1e-12);
        assert_int_equal(item.qf_true, reversed ? 23 : 29);
        vj_item_free(&item);
        get_item(ds, 1, &item); /* ratings 1 and 2: q 1 and 2, both level 49; q 51 and 50 */
        assert_true(item.qf_exact == (reversed ? 1.5 : 49));
        vj_item_free(&item);
        vj_dataset_close(ds);
        vj_test_rmdir(root);
    }
}

/* Level 50, where all would be satisfied, does not exist. */
static void a_level_that_does_not_satisfy_is_no_label(void **state)
{
    (void)state;
    static const char *const labels[] = {"sur50", "sur75", "median", "mean"};
    static const int of_first[] = {43, 43, 42, 40}, of_second[] = {-1, -1, 49, 49};
    const char *ratings = HEADER "SRC0600.png,BPG,4,12.5,0,\"[10, 10, 10, 20]\"\n"
                                 "SRC0601.png,BPG,3,2,0,\"[1, 2, 3]\"\n";
    char *root = make_bpg_tree(ratings, false);
    for (size_t i = 0; i < 4; i++) {
        struct vj_dataset_options opt = bpg_options(root);
        opt.labels = labels[i];
        struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
        struct vj_item item;
        get_item(ds, 0, &item); /* levels 42 42 42 32 */
        assert_int_equal(item.qf_true, of_first[i]);
        vj_item_free(&item);
        get_item(ds, 1, &item); /* three times level 49 */
        assert_int_equal(item.qf_true, of_second[i]);
        assert_true(isnan(item.qf_exact) == (of_second[i] < 0));
        assert_true(item.sur[49] == 0);
        vj_item_free(&item);
        vj_dataset_close(ds);
    }
    vj_test_rmdir(root);
}

static void bpg_streams_are_named_by_q(void **state)
{
    (void)state;
    char *root = make_bpg_tree(BPG_RATINGS, true);
    struct vj_dataset_options opt = bpg_options(root);
    char *folder = strdup(tree_path(root, "streams"));
    struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
    char without[65];
    snprintf(without, sizeof(without), "%s", vj_dataset_info(ds)->fingerprint);
    vj_dataset_close(ds);
    opt.streams = folder;
    ds = open_or_fail("konjnd-1k", &opt);
    assert_string_not_equal(vj_dataset_info(ds)->fingerprint, without);
    struct vj_item item;
    get_item(ds, 0, &item);
    assert_string_equal(item.stream[49], tree_path(root, "streams/SRC0600_q03.bpg"));
    assert_string_equal(item.stream[1], tree_path(root, "streams/SRC0600_q51.bpg"));
    vj_item_free(&item);
    vj_dataset_close(ds);

    tree_remove(root, "streams/SRC0601_q29.bpg");
    ds = open_or_fail("konjnd-1k", &opt);
    assert_int_equal(count_broken(ds), 1);
    get_item(ds, 1, &item);
    char expected[4300];
    snprintf(expected, sizeof(expected),
             "SRC0601: 1 of 49 compressed files are missing, the first for level 23: %s: No such "
             "file or directory; restore them, or name none, which leaves the rates unknown",
             tree_path(root, "streams/SRC0601_q29.bpg"));
    assert_string_equal(item.error, expected);
    vj_item_free(&item);
    vj_dataset_close(ds);
    free(folder);
    vj_test_rmdir(root);
}

static void bpg_ladders_that_cannot_be_oriented_are_refused(void **state)
{
    (void)state;
    char *root = make_bpg_tree(BPG_RATINGS, false);
    struct vj_dataset_options opt = bpg_options(root);
    tree_write(root, "bpg/SRC0600_BPG_002.png", "something else");
    expect_refusal("konjnd-1k", &opt, -EINVAL, "none has");
    for (int index = 1; index <= 3; index++) {
        char name[100];
        snprintf(name, sizeof(name), "bpg/SRC0600_BPG_%03d.png", index);
        tree_write(root, name, "low");
        snprintf(name, sizeof(name), "bpg/SRC0600_BPG_%03d.png", 52 - index);
        tree_write(root, name, "high");
    }
    expect_refusal("konjnd-1k", &opt, -EINVAL, "both have");
    for (int index = 1; index <= 3; index++) {
        char name[100], text[16];
        snprintf(name, sizeof(name), "bpg/SRC0600_BPG_%03d.png", index);
        snprintf(text, sizeof(text), "%d", index);
        tree_write(root, name, text);
    }
    expect_refusal("konjnd-1k", &opt, -EINVAL,
                   "the index means q for one of SRC0600 and SRC0601, and 52 - q for the other");
    tree_remove(root, "bpg/SRC0600_BPG_001.png");
    tree_remove(root, "bpg/SRC0601_BPG_051.png");
    expect_refusal("konjnd-1k", &opt, -ENOENT,
                   "needed to tell whether the index means q or 52 - q");
    vj_test_rmdir(root);
}

static void options_that_the_bpg_half_has_not_are_refused(void **state)
{
    (void)state;
    char *root = make_bpg_tree(BPG_RATINGS, false);
    struct vj_dataset_options opt = bpg_options(root);
    opt.qf_last = 100;
    expect_refusal("konjnd-1k", &opt, -EINVAL,
                   "levels 1..49 (52 - q; q 1 to 3 are one picture); set "
                   "qf_last=49");
    opt = bpg_options(root);
    opt.candidates = "synthesize";
    expect_refusal("konjnd-1k", &opt, -EINVAL, "only JPEG candidates can be synthesised");
    opt = bpg_options(root);
    opt.codec = "vvc";
    expect_refusal("konjnd-1k", &opt, -EINVAL, "codec: 'vvc', but konjnd-1k has jpeg and bpg");
    opt.codec = "BPG";
    expect_refusal("konjnd-1k", &opt, -EINVAL, "codec: 'BPG' must be 1 to 15 of a-z, 0-9 and '-'");
    opt = bpg_options(root);
    opt.streams = "nowhere";
    expect_refusal("konjnd-1k", &opt, -ENOENT, "streams: nowhere: no such folder");
    opt.codec = NULL;
    expect_refusal("konjnd-1k", &opt, -EINVAL, "only konjnd-1k with codec=bpg has such a folder");
    opt = bpg_options(root);
    expect_refusal("folder", &opt, -EINVAL,
                   "codec: 'bpg', but the data set 'folder' has JPEG candidates");
    tree_write(root, "subjective_ratings.csv", HEADER "SRC0600.png,BPG,1,52,0,[52]\n");
    struct vj_dataset *ds = open_or_fail("konjnd-1k", &opt);
    expect_broken(ds, 0, "ratings: 52 outside 1..51");
    vj_dataset_close(ds);
    vj_test_rmdir(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg_rows_become_items_in_file_order),
        cmocka_unit_test(a_reversed_axis_turns_names_and_labels_round),
        cmocka_unit_test(ladders_that_disagree_or_cannot_tell_are_refused),
        cmocka_unit_test(ladders_that_cannot_be_read_are_passed_over),
        cmocka_unit_test(the_axis_is_read_from_the_sources_that_are_whole),
        cmocka_unit_test(without_jpeg_files_the_axis_is_assumed_and_said_so),
        cmocka_unit_test(synthesised_candidates_still_read_the_axis_where_they_can),
        cmocka_unit_test(each_definition_is_taken_from_the_ratings),
        cmocka_unit_test(rows_of_other_types_are_counted_and_named),
        cmocka_unit_test(a_bad_row_breaks_its_item_and_says_where),
        cmocka_unit_test(no_two_items_have_the_same_number),
        cmocka_unit_test(a_missing_file_index_is_named_by_its_qf),
        cmocka_unit_test(trees_and_tables_that_are_no_konjnd_are_refused),
        cmocka_unit_test(real_ladders_have_index_equal_to_qf),
        cmocka_unit_test(bpg_rows_become_items_in_levels_of_quality),
        cmocka_unit_test(a_level_that_does_not_satisfy_is_no_label),
        cmocka_unit_test(bpg_streams_are_named_by_q),
        cmocka_unit_test(bpg_ladders_that_cannot_be_oriented_are_refused),
        cmocka_unit_test(options_that_the_bpg_half_has_not_are_refused),
    };
    return cmocka_run_group_tests(tests, make_jpegs, free_jpegs);
}
