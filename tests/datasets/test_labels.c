/* SPDX-License-Identifier: MIT */
/*
 * Label definitions, label files and folds, against hand-made cases and against tables that others
 * derived from the same experiment (optional test data).
 */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "datasets/csv.h"
#include "datasets/folds.h"
#include "datasets/labels.h"
#include "tests/datasets/tree.h"

enum { SOURCES = 50, SUBJECTS = 30 };

/* ---- label files ---- */

static int read_stairs(struct vj_stairs *stairs, const char *text, struct vj_error *err)
{
    char *root = vj_test_mkdir();
    tree_write(root, "Image_1_l_h.txt", text);
    int rc = vj_stairs_read(stairs, tree_path(root, "Image_1_l_h.txt"), err);
    vj_test_rmdir(root);
    return rc;
}

static int read_subjects(struct vj_subjects *subjects, const char *text, size_t rows, int jnd,
                         struct vj_error *err)
{
    char *root = vj_test_mkdir();
    tree_write(root, "JND_image_01.txt", text);
    int rc = vj_subjects_read(subjects, tree_path(root, "JND_image_01.txt"), rows, jnd, err);
    vj_test_rmdir(root);
    return rc;
}

static void stair_files_are_read_whatever_their_blanks(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "100 36 28\n1 0.8 0.5\n",
        "100 36 28\r\n1 0.8 0.5\r\n",
        "  100  36   28 \r\n 1.0  0.8  5e-1",
        "100\t36\r 28\n\n1 0.8\r 0.5\nfurther lines are ignored\n",
        "100 36 28\r1 0.8 0.5\r",
        ("\xEF\xBB\xBF"
         "100 36 28\n1 0.8 0.5\n"),
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct vj_stairs stairs;
        struct vj_error err = {0};
        assert_int_equal(read_stairs(&stairs, texts[i], &err), 0);
        assert_int_equal(stairs.count, 3);
        assert_int_equal(stairs.qf[0], 100);
        assert_int_equal(vj_stairs_label(&stairs, 1).qf, 36);
        assert_int_equal(vj_stairs_label(&stairs, 2).qf, 28);
        assert_int_equal(vj_stairs_label(&stairs, 3).qf, VJ_QF_UNKNOWN);
        assert_true(isnan(vj_stairs_label(&stairs, 3).exact));
        assert_true(stairs.height[1] == 0.8 && stairs.height[2] == 0.5);
    }
}

static void broken_stair_files_are_refused_with_line_and_value(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"\n \r\n", "Image_1_l_h.txt: holds no QFs"},
        {"100 36 28\n", "Image_1_l_h.txt: has one line; the second, with 3 stair heights"},
        {"100 36 28\n1 0.8\n",
         "Image_1_l_h.txt:2: 2 stair heights for the 3 QFs of the first line"},
        {"\n100 36\n1 2 3\n", "Image_1_l_h.txt:3: 3 stair heights for the 2 QFs"},
        {"100 x36\n1 2\n", "Image_1_l_h.txt:1: 'x36' is no QF"},
        {"100 36.5\n1 2\n", "Image_1_l_h.txt:1: '36.5' is no QF"},
        {"100 0x24\n1 2\n", "Image_1_l_h.txt:1: '0x24' is no QF"},
        {"100 36\n1 nan\n", "Image_1_l_h.txt:2: 'nan' is no stair height"},
        {"100 36\n1 1e999\n", "Image_1_l_h.txt:2: '1e999' is no stair height"},
        {"101 36\n1 2\n", "Image_1_l_h.txt:1: QF '101' outside 1..100"},
        {"100 36 0\n1 2 3\n", "Image_1_l_h.txt:1: QF '0' outside 1..100"},
        {"100 -3\n1 2\n", "Image_1_l_h.txt:1: QF '-3' outside 1..100"},
        {"99 36\n1 2\n", "Image_1_l_h.txt:1: the first QF is 99; it must be the anchor, 100"},
        {"100 36 40\n1 2 3\n", "Image_1_l_h.txt:1: QF 40 after 36; the QFs must descend"},
        {"100 36 36\n1 2 3\n", "Image_1_l_h.txt:1: QF 36 after 36; the QFs must descend"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_stairs stairs;
        struct vj_error err = {0};
        assert_int_equal(read_stairs(&stairs, cases[i].text, &err), -EINVAL);
        vj_assert_contains(err.text, cases[i].error);
    }
}

static void subject_files_are_split_at_anything_but_digits(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "29 18 13\n0\n31,17\n",
        "29;18;13\r\n\r\n0\r\n31\t17",
        "[29, 18, 13]\n[0]\n\n[31, 17, 0]\n",
        "  29/18/13/7/2  \n  0 0 0\n31 17 0\n\n \n",
        "29 18 13\r0\r31 17\r",
        "29 - 18 - 13\n0\n31 17 - -\n",
        "29-18-13\n0-0-0\n31-17-\n",
        ("\xEF\xBB\xBF"
         "29 18 13\n0\n31 17\n"),
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct vj_subjects s;
        struct vj_error err = {0};
        assert_int_equal(read_subjects(&s, texts[i], 3, 3, &err), 0);
        assert_int_equal(s.count, 3);
        static const int expected[3][3] = {{29, 0, 31}, {18, 0, 17}, {13, 0, 0}};
        for (int k = 0; k < 3; k++)
            for (int j = 0; j < 3; j++)
                assert_int_equal(s.qf[k][j], expected[k][j]);
    }
}

static void broken_subject_files_are_refused_with_line_and_value(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t rows;
        const char *error;
    } cases[] = {
        {"29 18\n31 17\n", 3, "JND_image_01.txt: 2 rows; 3 subjects, one per row, are expected"},
        {"1\n2\n3\n4\n", 3, "JND_image_01.txt: 4 rows; 3 subjects, one per row, are expected"},
        {"no answers\n", 0, "JND_image_01.txt: holds no QFs"},
        {"29\n101 18\n", 2, "JND_image_01.txt:2: QF 101 outside 1..100 (0 = no such JND)"},
        {"29\n99999999999999999999999999 1\n", 2, "JND_image_01.txt:2: QF 99999999999999999999"},
        {"29 18\n18 29\n", 2, "JND_image_01.txt:2: QF 29 after 18; the QFs must descend"},
        {"29 29\n18 29\n", 2, "JND_image_01.txt:1: QF 29 after 29; the QFs must descend"},
        {"0 18\n", 1, "JND_image_01.txt:1: QF 18 follows 0 (no such JND)"},
        {"29\n-12.5 -3\n", 2, "JND_image_01.txt:2: '-12.5' is not a whole number from 0 to 100"},
        {"29 18.5\n", 1, "JND_image_01.txt:1: '18.5' is not a whole number"},
        {"29;.5\n", 1, "JND_image_01.txt:1: '.5' is not a whole number"},
        {"29;-18\n", 1, "JND_image_01.txt:1: '-18' is not a whole number"},
        {"29--18\n", 1, "JND_image_01.txt:1: '-18' is not a whole number"},
        {"2.9e-18\n", 1, "JND_image_01.txt:1: '2.9e-18' is not a whole number"},
        {"[29, +18]\n", 1, "JND_image_01.txt:1: '+18' is not a whole number"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_subjects s;
        struct vj_error err = {0};
        assert_int_equal(read_subjects(&s, cases[i].text, cases[i].rows, 3, &err), -EINVAL);
        vj_assert_contains(err.text, cases[i].error);
    }
}

static void values_past_the_jnd_asked_for_have_no_say(void **state)
{
    (void)state;
    struct vj_subjects s;
    struct vj_error err = {0};
    assert_int_equal(read_subjects(&s, "29 18 20 21\n", 1, 2, &err), 0);
    assert_int_equal(read_subjects(&s, "29 18 20 21\n", 1, 3, &err), -EINVAL);
}

static void a_binary_label_file_is_refused(void **state)
{
    (void)state;
    char *root = vj_test_mkdir();
    tree_write_bytes(root, "x.txt", "2\0009\000", 4); /* UTF-16 looks like this */
    struct vj_subjects s;
    struct vj_error err = {0};
    assert_int_equal(vj_subjects_read(&s, tree_path(root, "x.txt"), 0, 1, &err), -EINVAL);
    vj_assert_contains(err.text, "x.txt: holds NUL bytes");
    assert_int_equal(vj_subjects_read(&s, tree_path(root, "y.txt"), 0, 1, &err), -ENOENT);
    vj_assert_contains(err.text, "y.txt");
    vj_test_rmdir(root);
}

static void more_subjects_than_fit_are_refused(void **state)
{
    (void)state;
    char text[4 * (VJ_SUBJECTS_MAX + 1) + 1];
    for (size_t i = 0; i <= VJ_SUBJECTS_MAX; i++)
        memcpy(text + 4 * i, "23 \n", 5);
    struct vj_subjects s;
    struct vj_error err = {0};
    assert_int_equal(read_subjects(&s, text, 0, 1, &err), -EINVAL);
    vj_assert_contains(err.text, "JND_image_01.txt:1025: more than 1024 rows");
    text[sizeof(text) - 5] = '\0';
    assert_int_equal(read_subjects(&s, text, 0, 1, &err), 0);
    assert_int_equal(s.count, VJ_SUBJECTS_MAX);
}

/* ---- definitions ---- */

static void check_label(enum vj_label label, const int *answers, size_t count, int qf, double exact)
{
    struct vj_label_value v = vj_label_from_answers(label, answers, count);
    assert_int_equal(v.qf, qf);
    if (isnan(exact))
        assert_true(isnan(v.exact));
    else
        assert_true(fabs(v.exact - exact) < 1e-12);
}

static void definitions_follow_their_words_on_small_cases(void **state)
{
    (void)state;
    static const int four[] = {20, 40, 10, 30};
    check_label(VJ_LABEL_MEDIAN, four, 4, 25, 25);
    check_label(VJ_LABEL_MEAN, four, 4, 25, 25);
    check_label(VJ_LABEL_SUR50, four, 4, 21,
                21); /* at 21 the subjects with 10 and 20 are content */
    check_label(VJ_LABEL_SUR75, four, 4, 31, 31);
    check_label(VJ_LABEL_NONE, four, 4, VJ_QF_UNKNOWN, NAN);
    check_label(VJ_LABEL_SQF, four, 4, VJ_QF_UNKNOWN, NAN);

    static const int halves[] = {31, 30}; /* 30.5 goes to the higher quality */
    check_label(VJ_LABEL_MEDIAN, halves, 2, 31, 30.5);
    check_label(VJ_LABEL_MEAN, halves, 2, 31, 30.5);
    static const int thirds[] = {30, 30, 31};
    check_label(VJ_LABEL_MEAN, thirds, 3, 30, 91.0 / 3);
    check_label(VJ_LABEL_MEDIAN, thirds, 3, 30, 30);
    static const int one[] = {1};
    check_label(VJ_LABEL_SUR50, one, 1, 2, 2);
    static const int most[] = {100, 100};
    check_label(VJ_LABEL_MEDIAN, most, 2, 100, 100);
    check_label(VJ_LABEL_SUR50, most, 2, VJ_QF_UNKNOWN, NAN); /* no QF up to 100 is good enough */
}

static void subjects_without_a_jnd_are_content_everywhere(void **state)
{
    (void)state;
    static const int some[] = {0, 20, 40, 0, 30};
    check_label(VJ_LABEL_MEAN, some, 5, 30, 30);   /* left out */
    check_label(VJ_LABEL_MEDIAN, some, 5, 20, 20); /* rank below QF 1 */
    check_label(VJ_LABEL_SUR50, some, 5, 21, 21);
    static const int half[] = {0, 0, 20, 40};
    check_label(VJ_LABEL_MEDIAN, half, 4, VJ_QF_UNKNOWN, NAN);
    check_label(VJ_LABEL_SUR50, half, 4, 1, 1);
    check_label(VJ_LABEL_SUR75, half, 4, 21, 21);
    static const int none[] = {0, 0};
    check_label(VJ_LABEL_MEAN, none, 2, VJ_QF_UNKNOWN, NAN);
    check_label(VJ_LABEL_MEDIAN, none, 2, VJ_QF_UNKNOWN, NAN);
    check_label(VJ_LABEL_MEAN, NULL, 0, VJ_QF_UNKNOWN, NAN);

    float sur[VJ_QF_MAX + 1];
    vj_sur_from_answers(sur, some, 5);
    assert_true(sur[1] == 0.4F && sur[20] == 0.4F && sur[21] == 0.6F && sur[40] == 0.8F);
    assert_true(sur[41] == 1.0F && sur[100] == 1.0F && sur[0] == 0.0F);
}

static void definitions_are_parsed_and_described(void **state)
{
    (void)state;
    static const char *const names[] = {"none", "sqf", "sur50", "sur75", "median", "mean"};
    struct vj_error err = {0};
    enum vj_label label;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char text[160];
        assert_int_equal(vj_label_parse(&label, names[i], VJ_LABEL_NONE, &err), 0);
        assert_string_equal(vj_label_name(label), names[i]);
        vj_label_describe(text, sizeof(text), label, 2);
        assert_int_equal(strncmp(text, names[i], strlen(names[i])), 0);
        assert_true(label == VJ_LABEL_NONE || strstr(text, "JND 2"));
    }
    assert_int_equal(vj_label_parse(&label, NULL, VJ_LABEL_SUR75, &err), 0);
    assert_int_equal(label, VJ_LABEL_SUR75);
    assert_int_equal(vj_label_parse(&label, "SQF", VJ_LABEL_NONE, &err), -EINVAL);
    vj_assert_contains(err.text,
                       "unknown definition 'SQF'; known are sqf, sur50, sur75, median, mean, none");
}

static void numbers_are_whole_texts(void **state)
{
    (void)state;
    double v;
    assert_true(vj_parse_number(" 31.5\t", &v) && v == 31.5);
    assert_true(vj_parse_number("-2e1", &v) && v == -20);
    static const char *const bad[] = {"",    " ",   "1 2",   "1x",  "0x10",
                                      "inf", "nan", "1e999", "--1", "."};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(vj_parse_number(bad[i], &v));
}

/* ---- tables made by others from the same experiment ---- */

static int answers[3][SOURCES][SUBJECTS]; /* JND k + 1 of every subject, from the subject table */

static struct vj_csv *open_table(const char *name)
{
    struct vj_csv *csv;
    struct vj_error err = {0};
    if (vj_csv_open(&csv, vj_test_data(name), &err))
        fail_msg("%s", err.text);
    return csv;
}

static bool next_row(struct vj_csv *csv)
{
    bool more;
    struct vj_error err = {0};
    if (vj_csv_next(csv, &more, &err))
        fail_msg("%s", err.text);
    return more;
}

static double number(const struct vj_csv *csv, const char *column)
{
    int at;
    double value;
    assert_int_equal(vj_csv_column(csv, column, true, &at, NULL), 0);
    assert_true(vj_parse_number(vj_csv_field(csv, at), &value));
    return value;
}

static void load_answers(void)
{
    vj_require_data("labels/mcl_jci_subject_jnd1_3.csv");
    struct vj_csv *csv = open_table("labels/mcl_jci_subject_jnd1_3.csv");
    size_t rows = 0;
    for (; next_row(csv); rows++) {
        int source = (int)number(csv, "src"), subject = (int)number(csv, "subject");
        answers[0][source - 1][subject - 1] = (int)number(csv, "jnd1_qf");
        answers[1][source - 1][subject - 1] = (int)number(csv, "jnd2_qf");
        answers[2][source - 1][subject - 1] = (int)number(csv, "jnd3_qf");
    }
    assert_int_equal(rows, SOURCES * SUBJECTS);
    vj_csv_close(csv);
}

/* djndq_pairs.csv: share of subjects who see source s at QF q against QF 100. It has no header. */
static void the_strict_convention_gives_every_noticing_fraction(void **state)
{
    (void)state;
    vj_require_data("labels/djndq_pairs.csv");
    load_answers();
    float sur[SOURCES][VJ_QF_MAX + 1];
    for (int s = 0; s < SOURCES; s++)
        vj_sur_from_answers(sur[s], answers[0][s], SUBJECTS);
    FILE *f = fopen(vj_test_data("labels/djndq_pairs.csv"), "r");
    assert_non_null(f);
    size_t rows = 0, wrong = 0, wrong_if_not_strict = 0;
    int anchor, again, source, qf;
    double seen;
    while (fscanf(f, " ImageJND_SRC%2d_%3d.npy,ImageJND_SRC%2d_%3d.npy,%lf", &source, &anchor,
                  &again, &qf, &seen) == 5) {
        assert_true(source == again && anchor == 100);
        vj_assert_in_range(source, 1, SOURCES);
        vj_assert_in_range(qf, 1, 99);
        wrong += fabs(1 - (double)sur[source - 1][qf] - seen) > 1e-6;
        wrong_if_not_strict += fabs(1 - (double)sur[source - 1][qf + 1] - seen) > 1e-6;
        rows++;
    }
    assert_true(feof(f));
    fclose(f);
    assert_int_equal(rows, 4950);
    assert_int_equal(wrong, 0);
    assert_int_equal(wrong_if_not_strict, 711); /* so the table can tell the conventions apart */
}

/* Writes source s as a JND_samples file, in one of several spellings, and reads it back. */
static void read_back(struct vj_subjects *subjects, int s)
{
    static const char *const spelling[] = {"%d %d %d\n", "%d,%d,%d\r\n", "  %d\t%d   %d\r\n"};
    char text[SUBJECTS * 32] = "";
    struct vj_error err = {0};
    for (int i = 0; i < SUBJECTS; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, spelling[s % 3], answers[0][s][i],
                 answers[1][s][i], answers[2][s][i]);
    }
    if (read_subjects(subjects, text, SUBJECTS, 3, &err))
        fail_msg("source %d: %s", s + 1, err.text);
}

static double deviation(const int *value, size_t count, double mean)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (value[i] - mean) * (value[i] - mean);
    return sqrt(sum / (double)(count - 1));
}

static void labels_from_subject_files_agree_with_the_ground_truth_table(void **state)
{
    (void)state;
    vj_require_data("labels/mcl_jci_ground_truth_50.csv");
    load_answers();
    struct vj_csv *csv = open_table("labels/mcl_jci_ground_truth_50.csv");
    for (int s = 0; s < SOURCES; s++) {
        struct vj_subjects subjects;
        assert_true(next_row(csv));
        assert_int_equal((int)number(csv, "src"), s + 1);
        read_back(&subjects, s);
        const int *jnd1 = subjects.qf[0];
        struct vj_label_value mean = vj_label_from_answers(VJ_LABEL_MEAN, jnd1, SUBJECTS);
        struct vj_label_value median = vj_label_from_answers(VJ_LABEL_MEDIAN, jnd1, SUBJECTS);
        /* The table has two decimals, rounded. */
        assert_true(fabs(mean.exact - number(csv, "subj30_jnd1_mean")) < 0.005 + 1e-9);
        assert_true(median.exact == number(csv, "subj30_jnd1_median"));
        assert_true(fabs(deviation(jnd1, SUBJECTS, mean.exact) - number(csv, "subj30_jnd1_sd")) <
                    0.005 + 1e-9);
        assert_int_equal(vj_folds_surfeatnet(s + 1), (int)number(csv, "surfeatnet_fold"));
    }
    assert_false(next_row(csv));
    vj_csv_close(csv);
}

static double mean_over_sources(enum vj_label label, int jnd)
{
    double sum = 0;
    for (int s = 0; s < SOURCES; s++)
        sum += vj_label_from_answers(label, answers[jnd - 1][s], SUBJECTS).exact;
    return sum / SOURCES;
}

/* Figures of datasets.md, and of an independent computation in Python for the rest. */
static void mean_labels_of_the_definitions_are_the_published_ones(void **state)
{
    (void)state;
    load_answers();
    assert_true(fabs(mean_over_sources(VJ_LABEL_MEDIAN, 1) - 26.06) < 1e-9);
    assert_true(fabs(mean_over_sources(VJ_LABEL_MEAN, 1) - 28.08) < 1e-9);
    assert_true(fabs(mean_over_sources(VJ_LABEL_SUR50, 1) - 26.80) < 1e-9);
    assert_true(fabs(mean_over_sources(VJ_LABEL_SUR75, 1) - 35.18) < 1e-9);
}

static float fitted[SOURCES][3][VJ_QF_MAX + 1];
static int published_fold[SOURCES];

static void load_fitted_curves(void)
{
    vj_require_data("labels/surfeatnet_10_fold.csv");
    static const char *const columns[] = {"first_SUR", "second_SUR", "third_SUR"};
    struct vj_csv *csv = open_table("labels/surfeatnet_10_fold.csv");
    int patch_at;
    assert_int_equal(vj_csv_column(csv, "dist_patch", true, &patch_at, NULL), 0);
    while (next_row(csv)) {
        int s, q;
        assert_int_equal(sscanf(vj_csv_field(csv, patch_at), "SRC%2d_%3d", &s, &q), 2);
        for (int k = 0; k < 3; k++)
            fitted[s - 1][k][q] = (float)number(csv, columns[k]);
        published_fold[s - 1] = (int)number(csv, "set");
    }
    vj_csv_close(csv);
}

static int first_reaching(const float *sur, float share)
{
    int q = 1;
    while (q < VJ_QF_MAX && sur[q] < share)
        q++;
    return q;
}

/*
 * The sur75 columns of the ground truth come from curves that SUR-FeatNet fitted, read off with our
 * definition; those counted from the subjects themselves differ from them by up to 8 QF.
 */
static void published_sur75_is_read_off_fitted_curves(void **state)
{
    (void)state;
    load_answers();
    load_fitted_curves();
    vj_require_data("labels/mcl_jci_ground_truth_50.csv");
    struct vj_csv *csv = open_table("labels/mcl_jci_ground_truth_50.csv");
    static const char *const columns[] = {"sur75_jnd1_qf", "sur75_jnd2_qf", "sur75_jnd3_qf"};
    int equal = 0, largest = 0;
    for (int s = 0; next_row(csv); s++) {
        for (int k = 0; k < 3; k++)
            assert_int_equal(first_reaching(fitted[s][k], 0.75F), (int)number(csv, columns[k]));
        int counted = vj_label_from_answers(VJ_LABEL_SUR75, answers[0][s], SUBJECTS).qf;
        int gap = abs(counted - (int)number(csv, columns[0]));
        equal += gap == 0;
        largest = gap > largest ? gap : largest;
    }
    vj_csv_close(csv);
    assert_int_equal(equal, 9);
    assert_int_equal(largest, 8);
}

/* ---- folds ---- */

static void published_folds_cover_each_source_once(void **state)
{
    (void)state;
    int size[11] = {0};
    for (int s = 1; s <= SOURCES; s++) {
        int fold = vj_folds_surfeatnet(s);
        vj_assert_in_range(fold, 1, 10);
        size[fold]++;
    }
    for (int f = 1; f <= 10; f++)
        assert_int_equal(size[f], 5);
    assert_int_equal(vj_folds_surfeatnet(0), VJ_FOLD_NONE);
    assert_int_equal(vj_folds_surfeatnet(51), VJ_FOLD_NONE);
}

static void published_folds_are_those_of_the_authors_file(void **state)
{
    (void)state;
    load_fitted_curves();
    for (int s = 1; s <= SOURCES; s++)
        assert_int_equal(vj_folds_surfeatnet(s), published_fold[s - 1]);
}

static int compare_ints(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Median label of all sources outside a fold. */
static double constant_for(const int *label, int fold)
{
    int rest[SOURCES];
    size_t n = 0;
    for (int s = 1; s <= SOURCES; s++)
        if (vj_folds_surfeatnet(s) != fold)
            rest[n++] = label[s - 1];
    qsort(rest, n, sizeof(rest[0]), compare_ints);
    return (rest[(n - 1) / 2] + rest[n / 2]) / 2.0;
}

static void read_published_stairs(int *label)
{
    FILE *f = fopen(vj_test_data("labels/mcl_jci_sqf_points.txt"), "r");
    assert_non_null(f);
    char line[256];
    int rows = 0;
    while (fgets(line, sizeof(line), f)) {
        int source, count, used;
        if (sscanf(line, "%d %d%n", &source, &count, &used) != 2)
            continue;
        /* As an official file: the points, then one height for each. */
        char text[600];
        struct vj_stairs stairs;
        struct vj_error err = {0};
        snprintf(text, sizeof(text), "%s\n", line + used);
        for (int i = 0; i < count; i++)
            strcat(text, " 0.5");
        if (read_stairs(&stairs, text, &err))
            fail_msg("source %d: %s", source, err.text);
        label[source - 1] = vj_stairs_label(&stairs, 1).qf;
        rows++;
    }
    fclose(f);
    assert_int_equal(rows, SOURCES);
}

/* The constant predictor of protocol.md ties labels and folds together: MAD 7.82, from 36 and 39.
 */
static void the_constant_predictor_has_its_published_error(void **state)
{
    (void)state;
    vj_require_data("labels/mcl_jci_sqf_points.txt");
    int label[SOURCES];
    read_published_stairs(label);
    double sum = 0, error = 0;
    int with_39 = 0;
    for (int s = 1; s <= SOURCES; s++) {
        double constant = constant_for(label, vj_folds_surfeatnet(s));
        assert_true(constant == 36 || constant == 39);
        with_39 += constant == 39;
        error += fabs(constant - label[s - 1]);
        sum += label[s - 1];
    }
    assert_true(fabs(sum / SOURCES - 39.58) < 1e-9);
    assert_true(fabs(error / SOURCES - 7.82) < 1e-9);
    assert_int_equal(with_39, 2 * 5);
}

static void sqf_labels_agree_with_the_ground_truth_table(void **state)
{
    (void)state;
    vj_require_data("labels/mcl_jci_sqf_points.txt");
    vj_require_data("labels/mcl_jci_ground_truth_50.csv");
    int label[SOURCES];
    read_published_stairs(label);
    struct vj_csv *csv = open_table("labels/mcl_jci_ground_truth_50.csv");
    for (int s = 0; next_row(csv); s++)
        assert_int_equal(label[s], (int)number(csv, "sqf_jnd1_qf"));
    vj_csv_close(csv);
}

static void fold_options_are_parsed_or_refused(void **state)
{
    (void)state;
    struct vj_folds folds;
    struct vj_error err = {0};
    assert_int_equal(vj_folds_parse(&folds, NULL, &err), 0);
    assert_int_equal(folds.kind, VJ_FOLDS_NONE);
    assert_int_equal(vj_folds_parse(&folds, "surfeatnet10", &err), 0);
    assert_int_equal(folds.count, 10);
    assert_int_equal(vj_folds_parse(&folds, "manifest", &err), 0);
    assert_int_equal(folds.kind, VJ_FOLDS_MANIFEST);
    assert_int_equal(vj_folds_parse(&folds, "random:1000", &err), 0);
    assert_int_equal(folds.count, 1000);
    static const char *const counts[] = {"random:",     "random:1",  "random:0",
                                         "random:1001", "random:-5", "random:5.0",
                                         "random: 5",   "random:5x", "random:99999999999999999"};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        assert_int_equal(vj_folds_parse(&folds, counts[i], &err), -EINVAL);
        vj_assert_contains(err.text, "the number of folds must be 2..1000");
    }
    assert_int_equal(vj_folds_parse(&folds, "random", &err), -EINVAL);
    vj_assert_contains(err.text,
                       "unknown value 'random'; known are none, surfeatnet10, random:K (K folds, ");
}

enum { NAMES = 103 };

static void make_names(char names[NAMES][24], char *pointers[NAMES])
{
    for (int i = 0; i < NAMES; i++) {
        snprintf(names[i], sizeof(names[i]), "picture %d", i);
        pointers[i] = names[i];
    }
}

static void random_folds_are_balanced_and_seeded(void **state)
{
    (void)state;
    char names[NAMES][24], *pointers[NAMES];
    make_names(names, pointers);
    int fold[NAMES], other[NAMES], size[11] = {0}, moved = 0;
    assert_int_equal(vj_folds_random(fold, pointers, NAMES, 10, 1, NULL), 0);
    assert_int_equal(vj_folds_random(other, pointers, NAMES, 10, 2, NULL), 0);
    for (int i = 0; i < NAMES; i++) {
        vj_assert_in_range(fold[i], 1, 10);
        size[fold[i]]++;
        moved += fold[i] != other[i];
    }
    for (int f = 1; f <= 10; f++)
        vj_assert_in_range(size[f], 10, 11);
    /* 9 of 10 move on average, standard deviation 3: another seed is another partition. */
    vj_assert_in_range(moved, NAMES * 9 / 10 - 15, NAMES);
}

static void random_folds_do_not_depend_on_the_order_of_items(void **state)
{
    (void)state;
    char names[NAMES][24], *pointers[NAMES], *reversed[NAMES];
    make_names(names, pointers);
    for (int i = 0; i < NAMES; i++)
        reversed[i] = pointers[NAMES - 1 - i];
    int fold[NAMES], back[NAMES];
    assert_int_equal(vj_folds_random(fold, pointers, NAMES, 7, 5, NULL), 0);
    assert_int_equal(vj_folds_random(back, reversed, NAMES, 7, 5, NULL), 0);
    for (int i = 0; i < NAMES; i++)
        assert_int_equal(fold[i], back[NAMES - 1 - i]);
}

static void more_folds_than_pictures_are_refused(void **state)
{
    (void)state;
    char names[NAMES][24], *pointers[NAMES];
    make_names(names, pointers);
    int fold[NAMES];
    struct vj_error err = {0};
    assert_int_equal(vj_folds_random(fold, pointers, 3, 3, 1, &err), 0);
    assert_int_equal(vj_folds_random(fold, pointers, 3, 4, 1, &err), -EINVAL);
    vj_assert_contains(err.text, "4 folds for 3 images; every fold needs one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stair_files_are_read_whatever_their_blanks),
        cmocka_unit_test(broken_stair_files_are_refused_with_line_and_value),
        cmocka_unit_test(subject_files_are_split_at_anything_but_digits),
        cmocka_unit_test(broken_subject_files_are_refused_with_line_and_value),
        cmocka_unit_test(values_past_the_jnd_asked_for_have_no_say),
        cmocka_unit_test(a_binary_label_file_is_refused),
        cmocka_unit_test(more_subjects_than_fit_are_refused),
        cmocka_unit_test(definitions_follow_their_words_on_small_cases),
        cmocka_unit_test(subjects_without_a_jnd_are_content_everywhere),
        cmocka_unit_test(definitions_are_parsed_and_described),
        cmocka_unit_test(numbers_are_whole_texts),
        cmocka_unit_test(the_strict_convention_gives_every_noticing_fraction),
        cmocka_unit_test(labels_from_subject_files_agree_with_the_ground_truth_table),
        cmocka_unit_test(mean_labels_of_the_definitions_are_the_published_ones),
        cmocka_unit_test(published_sur75_is_read_off_fitted_curves),
        cmocka_unit_test(published_folds_cover_each_source_once),
        cmocka_unit_test(published_folds_are_those_of_the_authors_file),
        cmocka_unit_test(the_constant_predictor_has_its_published_error),
        cmocka_unit_test(sqf_labels_agree_with_the_ground_truth_table),
        cmocka_unit_test(fold_options_are_parsed_or_refused),
        cmocka_unit_test(random_folds_are_balanced_and_seeded),
        cmocka_unit_test(random_folds_do_not_depend_on_the_order_of_items),
        cmocka_unit_test(more_folds_than_pictures_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
