/* SPDX-License-Identifier: MIT */
/* The report as a web page: sound markup whatever the strings, and marks where the axes say. */
#include "tests/vj_test.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>

#include "eval/plot.h"
#include "tests/eval/report_sample.h"

static char *page_of(const struct vj_report *report)
{
    struct vj_text t = {0};
    struct vj_error err = {0};
    if (vj_report_html(&t, report, &err))
        fail_msg("%s", err.text);
    return t.data; /* freed by the caller */
}

/* ---- markup ---- */

enum { DEPTH_MAX = 40, NAME_MAX_SIZE = 16 };

struct scanner {
    const char *at;
    char open[DEPTH_MAX][NAME_MAX_SIZE];
    int depth;
};

static void read_name(struct scanner *s, char name[NAME_MAX_SIZE])
{
    size_t size = 0;
    while (isalnum((unsigned char)*s->at)) {
        assert_true(size + 1 < NAME_MAX_SIZE);
        name[size++] = *s->at++;
    }
    assert_true(size > 0);
    name[size] = '\0';
}

/* Attributes up to the end of the tag; true where the element closes itself. */
static bool read_attributes(struct scanner *s)
{
    while (*s->at != '>' && *s->at != '/') {
        assert_int_equal(*s->at++, ' ');
        while (isalnum((unsigned char)*s->at) || *s->at == '-')
            s->at++;
        assert_int_equal(*s->at++, '=');
        assert_int_equal(*s->at++, '"');
        s->at += strcspn(s->at, "\"<");
        assert_int_equal(*s->at++, '"');
    }
    bool closed = *s->at == '/';
    s->at += closed;
    assert_int_equal(*s->at++, '>');
    return closed;
}

static bool is_void(const char *name)
{
    return strcmp(name, "meta") == 0 || strcmp(name, "br") == 0;
}

static void read_tag(struct scanner *s)
{
    char name[NAME_MAX_SIZE];
    bool closing = *s->at == '/';
    s->at += closing;
    read_name(s, name);
    if (closing) {
        assert_true(s->depth > 0);
        assert_string_equal(name, s->open[--s->depth]);
        assert_int_equal(*s->at++, '>');
    } else if (!read_attributes(s) && !is_void(name)) {
        assert_true(s->depth < DEPTH_MAX);
        memcpy(s->open[s->depth++], name, NAME_MAX_SIZE);
    }
}

static void read_text_character(struct scanner *s)
{
    static const char *const entities[] = {"&amp;", "&lt;",     "&gt;",    "&quot;",
                                           "&#39;", "&middot;", "&plusmn;"};
    assert_true((unsigned char)*s->at >= 0x20 || *s->at == '\n');
    if (*s->at != '&') {
        s->at++;
        return;
    }
    for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
        if (strncmp(s->at, entities[i], strlen(entities[i])) == 0) {
            s->at += strlen(entities[i]);
            return;
        }
    }
    fail_msg("a bare & at \"%.40s\"", s->at);
}

/* Every element is closed in its turn, every attribute quoted, every & an entity. */
static void check_markup(const char *page)
{
    static const char doctype[] = "<!DOCTYPE html>\n";
    struct scanner s = {.at = page};
    assert_int_equal(strncmp(page, doctype, strlen(doctype)), 0);
    s.at += strlen(doctype);
    while (*s.at) {
        if (s.depth && strcmp(s.open[s.depth - 1], "style") == 0)
            s.at = strstr(s.at, "</style>");
        assert_non_null(s.at);
        if (*s.at == '<') {
            s.at++;
            read_tag(&s);
        } else {
            read_text_character(&s);
        }
    }
    assert_int_equal(s.depth, 0);
}

static void markup_is_sound_whatever_the_strings(void **state)
{
    (void)state;
    static const char hostile[] = "</td></svg><script>alert(\"1\")</script> & 'x' \x1b[2J \xff <";
    static const struct vj_report_run run[2] = {{.name = hostile, .path = hostile},
                                                {.name = hostile, .path = hostile}};
    static const char *const values[2] = {hostile, NULL};
    static const struct vj_report_difference difference[2] = {{hostile, true, values},
                                                              {hostile, false, values}};
    static const struct vj_report_left_out left_out[1] = {{hostile, hostile}};
    static const struct vj_report_published published[1] = {{hostile, hostile, hostile, hostile,
                                                             hostile, hostile, hostile, hostile,
                                                             hostile, hostile, .below = true}};
    struct sample s;
    fill_sample(&s);
    for (size_t i = 0; i < 3; i++)
        s.row[i].name = s.row[i].note = hostile;
    for (size_t i = 0; i < IMAGES; i++)
        s.name[i] = hostile;
    s.error[3] = hostile;
    s.row[0].tolerance = s.sweep;
    s.row[0].tolerance_count = SWEEP;
    s.report.dataset = s.report.codec = s.report.candidates = s.report.folds = hostile;
    s.report.label_definition = s.report.device = s.report.results_file = hostile;
    s.report.axis = s.report.excluded = s.report.program_version = hostile;
    s.report.human_labels = s.report.complete = false;
    s.report.published_file = hostile;
    s.report.published = published;
    s.report.publisheds = 1;
    char *page = page_of(&s.report);
    check_markup(page);
    assert_null(strstr(page, "<script"));
    vj_assert_contains(page, "&lt;script&gt;alert(&quot;1&quot;)");
    vj_assert_contains(page, "made-up observer");
    vj_assert_contains(page, "INCOMPLETE");
    vj_assert_contains(page, "FIGURES OF OTHERS");
    free(page);

    s.report.run = run;
    s.report.runs = 2;
    s.report.difference = difference;
    s.report.differences = 2;
    s.report.left_out = left_out;
    s.report.left_outs = 1;
    page = page_of(&s.report);
    check_markup(page);
    vj_assert_contains(page, "NOT COMPARABLE");
    vj_assert_contains(page, "Left out of every figure");
    free(page);
}

static void an_empty_report_is_a_page_too(void **state)
{
    (void)state;
    const struct vj_report empty = {0};
    char *page = page_of(&empty);
    check_markup(page);
    free(page);
}

static void nothing_is_loaded_from_elsewhere(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    char *page = page_of(&s.report);
    check_markup(page);
    static const char *const loads[] = {"http", "src=", "href=", "@import", "<script", "<link"};
    for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
        assert_null(strstr(page, loads[i]));
    free(page);
}

/* ---- figures ---- */

static void predictors_are_sorted_and_random_weights_have_no_figures(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    char *page = page_of(&s.report);
    const char *best = strstr(page, "</span>psnr-threshold</td>"),
               *next = strstr(page, "</span>constant</td>");
    assert_non_null(best);
    assert_true(next > best);
    vj_assert_contains(page, "<td>4.25 [2.75, 5.75]</td>");
    vj_assert_contains(page, "<td>7.82 [6.32, 9.32]</td>");
    vj_assert_contains(page, "<td>-3.57 [-5.57, -1.57]</td>");
    assert_null(strstr(page, "NEVER SHOWN"));
    const char *random = strstr(page, "vpjnd-init");
    assert_non_null(random);
    assert_null(strstr(random + 1, "vpjnd-init"));
    vj_assert_contains(page, "vpjnd-init (random weights: no accuracy)</td><td>3.25</td>");
    vj_assert_contains(page, "the file ends after 10240 bytes");
    free(page);
}

/* Where an axis puts a number: x of <text x="X" y="Y" text-anchor="ANCHOR">NUMBER</text>. */
static double tick(const char *svg, const char *anchor, const char *number, bool vertical)
{
    char tail[80];
    snprintf(tail, sizeof(tail), "text-anchor=\"%s\">%s</text>", anchor, number);
    const char *end = strstr(svg, tail);
    assert_non_null(end);
    double x = 0, y = 0;
    const char *start = end;
    while (strncmp(start, "<text", 5) != 0)
        start--;
    assert_int_equal(sscanf(start, "<text x=\"%lf\" y=\"%lf\"", &x, &y), 2);
    return vertical ? y - 4 : x;
}

/* The value at which the circle with this title stands, read off two ticks of an axis. */
static double read_off(const char *svg, const char *title, const char *tick0, const char *tick1,
                       bool vertical)
{
    const char *at = strstr(svg, title);
    assert_non_null(at);
    while (strncmp(at, "<circle", 7) != 0)
        at--;
    double cx = 0, cy = 0;
    assert_int_equal(sscanf(at, "<circle cx=\"%lf\" cy=\"%lf\"", &cx, &cy), 2);
    const char *anchor = vertical ? "end" : "middle";
    const double p0 = tick(svg, anchor, tick0, vertical), p1 = tick(svg, anchor, tick1, vertical);
    const double share = ((vertical ? cy : cx) - p0) / (p1 - p0);
    return atof(tick0) + share * (atof(tick1) - atof(tick0));
}

static void dots_stand_at_true_and_predicted_quality_factors(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    char *page = page_of(&s.report);
    const char *svg = strstr(page, "psnr-threshold: predicted against true");
    assert_non_null(svg);
    static const char title[] = "<title>SRC02: true 47, predicted 100</title>";
    assert_true(fabs(read_off(svg, title, "0", "100", false) - 47) < 0.15);
    assert_true(fabs(read_off(svg, title, "0", "100", true) - 100) < 0.15);
    free(page);
}

static void pictures_at_one_place_are_one_larger_dot(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    s.qf_true[1] = s.qf_true[0];
    s.pred[1][1] = s.pred[1][0];
    char *page = page_of(&s.report);
    const char *svg = strstr(page, "psnr-threshold: predicted against true");
    assert_non_null(svg);
    vj_assert_contains(svg, "r=\"3.5\"><title>2 pictures: true 36, predicted 35</title>");
    free(page);
}

static void curves_stand_at_damage_and_saving(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    char *page = page_of(&s.report);
    const char *svg = strstr(page, "Mean saving against lost QF");
    static const char title[] = "<title>psnr-threshold, offset 0: saving 87.00 %, damage 1.5<";
    assert_non_null(svg);
    assert_true(fabs(read_off(svg, title, "0.0", "2.0", false) - 1.5) < 0.01);
    assert_true(fabs(read_off(svg, title, "86.0", "88.0", true) - 87) < 0.01);
    free(page);
}

static void tolerances_have_curves_and_colours_of_their_own(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    s.sweep[1].tolerance = 0.0125;
    s.row[0].tolerance = s.sweep; /* the second of the two by MAD */
    s.row[0].tolerance_count = SWEEP;
    char *page = page_of(&s.report);
    check_markup(page);
    const char *section = strstr(page, "over tolerances</h2>");
    assert_non_null(section);
    vj_assert_contains(section, "<span class=\"key c0\"></span>constant");
    const char *svg = strstr(section, "Mean saving against lost QF");
    static const char title[] = "<title>constant, tolerance 0.0125: saving 87.00 %, damage 1.5<";
    assert_non_null(svg);
    assert_true(fabs(read_off(svg, title, "0.0", "2.0", false) - 1.5) < 0.01);
    assert_null(strstr(section, "psnr-threshold, tolerance"));
    free(page);
}

static void without_labels_there_is_no_empty_chart(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    for (int m = 0; m < VJ_METRIC_COUNT; m++)
        if (m != VJ_METRIC_SAVING_MEAN)
            s.threshold.pooled.value[m].present = s.constant.pooled.value[m].present = false;
    for (int i = 0; i < SWEEP; i++)
        s.sweep[i].dqf.present = false;
    s.report.qf_true = NULL;
    s.report.comparisons = 0;
    char *page = page_of(&s.report);
    check_markup(page);
    vj_assert_contains(page, "none: predictions only");
    assert_null(strstr(page, "<svg"));
    assert_null(strstr(page, "Rate against damage"));
    free(page);

    /* A column of labels, of which there is none. */
    int32_t unknown[sizeof(s.qf_true) / sizeof(s.qf_true[0])];
    memset(unknown, 0xFF, sizeof(unknown));
    s.report.qf_true = unknown;
    page = page_of(&s.report);
    assert_null(strstr(page, "<svg"));
    assert_null(strstr(page, "Predicted against true"));
    free(page);
}

static void the_page_does_not_grow_with_the_pictures(void **state)
{
    (void)state;
    enum { MANY = 30000 };
    struct sample s;
    fill_sample(&s);
    const char **name = calloc(MANY, sizeof(*name));
    int32_t *truth = calloc(MANY, sizeof(*truth)), *pred = calloc(MANY, sizeof(*pred));
    assert_true(name && truth && pred);
    for (int32_t i = 0; i < MANY; i++) {
        name[i] = "picture";
        truth[i] = 1 + i % 99;
        pred[i] = 1 + i / 7 % 99;
    }
    name[20000] = "the worst";
    truth[20000] = 0;
    pred[20000] = 100;
    s.report.images = MANY;
    s.report.image_name = name;
    s.report.image_fold = NULL;
    s.report.image_error = NULL;
    s.report.qf_true = truth;
    s.row[0].qf_pred = s.row[1].qf_pred = s.row[2].qf_pred = pred;
    char *page = page_of(&s.report);
    assert_true(strlen(page) < 4000000); /* two pictures of 99 x 99 dots */
    vj_assert_contains(page, "200 of 30000; vpjnd report --images-csv has them all");
    vj_assert_contains(page, "</thead><tbody>\n<tr><td>the worst</td><td><b>0</b></td>");
    free(page);
    free(pred);
    free(truth);
    free(name);
}

/* ---- axes ---- */

static bool is_round(double step)
{
    const double leading = step / pow(10, floor(log10(step) + 1e-9));
    return fabs(leading - 1) < 1e-6 || fabs(leading - 2) < 1e-6 || fabs(leading - 5) < 1e-6;
}

static void check_axis(double low, double high, int ticks)
{
    const struct vj_axis axis = vj_axis_covering(low, high, ticks);
    const double steps = (axis.high - axis.low) / axis.step, slack = 1e-6 * axis.step;
    if (!(axis.low <= low + slack) || !(axis.high >= high - slack) || !is_round(axis.step) ||
        !(steps > 0.5) || !(steps < ticks + 0.5) || fabs(steps - round(steps)) > 1e-6 ||
        fabs(axis.step * pow(10, axis.decimals) - round(axis.step * pow(10, axis.decimals))) > 1e-6)
        fail_msg("%g..%g in %d steps gave %g..%g by %g, %d decimals", low, high, ticks, axis.low,
                 axis.high, axis.step, axis.decimals);
}

static void axes_cover_their_values_in_few_round_steps(void **state)
{
    (void)state;
    for (int e = -9; e <= 9; e++) {
        for (int m = 1; m <= 99; m++) {
            const double reach = m / 10.0 * pow(10, e);
            for (int ticks = 2; ticks <= 8; ticks++) {
                check_axis(0, reach, ticks);
                check_axis(-reach, reach, ticks);
                check_axis(0.9 * reach, reach, ticks);
            }
        }
    }
    check_axis(0, 100, 5);
    assert_true(vj_axis_covering(0, 100, 5).step == 20);
}

static void axes_without_a_range_still_are_axes(void **state)
{
    (void)state;
    check_axis(0, 0, 4);
    check_axis(88.2, 88.2, 4);
    check_axis(-3, -3, 4);
    const struct vj_axis axis = vj_axis_covering(NAN, INFINITY, 4);
    assert_true(axis.low == 0 && axis.high == 1);
}

static void failures_are_reported(void **state)
{
    (void)state;
    struct sample s;
    struct vj_error err = {0};
    struct vj_text t = {.failed = true};
    fill_sample(&s);
    assert_int_equal(vj_report_html(&t, &s.report, &err), -ENOMEM);
    s.comparison[0].a = 7;
    t.failed = false;
    assert_int_equal(vj_report_html(&t, &s.report, &err), -EINVAL);
    assert_null(t.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markup_is_sound_whatever_the_strings),
        cmocka_unit_test(an_empty_report_is_a_page_too),
        cmocka_unit_test(nothing_is_loaded_from_elsewhere),
        cmocka_unit_test(predictors_are_sorted_and_random_weights_have_no_figures),
        cmocka_unit_test(dots_stand_at_true_and_predicted_quality_factors),
        cmocka_unit_test(pictures_at_one_place_are_one_larger_dot),
        cmocka_unit_test(curves_stand_at_damage_and_saving),
        cmocka_unit_test(tolerances_have_curves_and_colours_of_their_own),
        cmocka_unit_test(without_labels_there_is_no_empty_chart),
        cmocka_unit_test(the_page_does_not_grow_with_the_pictures),
        cmocka_unit_test(axes_cover_their_values_in_few_round_steps),
        cmocka_unit_test(axes_without_a_range_still_are_axes),
        cmocka_unit_test(failures_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
