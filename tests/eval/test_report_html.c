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
    static const struct vj_report_fact fact[1] = {{hostile, hostile, hostile}};
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
    s.report.axis = s.report.excluded = s.report.duplicates = hostile;
    s.report.program_version = hostile;
    s.report.human_labels = s.report.complete = false;
    s.report.published_file = hostile;
    s.row[0].seen = s.row[0].seen_of = 1;
    s.report.fact = fact;
    s.report.facts = 1;
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
    vj_assert_contains(page, "<td class=\"wide\">4.25 <span>[2.75, 5.75]</span></td>");
    vj_assert_contains(page, "<td class=\"wide\">7.82 <span>[6.32, 9.32]</span></td>");
    vj_assert_contains(page, "<td class=\"wide\">-3.57 <span>[-5.57, -1.57]</span></td>");
    assert_null(strstr(page, "NEVER SHOWN"));
    const char *random = strstr(page, "vpjnd-init");
    assert_non_null(random);
    assert_null(strstr(random + 1, "vpjnd-init"));
    vj_assert_contains(page, "vpjnd-init (random weights: no accuracy)</td><td>3.25</td>");
    vj_assert_contains(page, "the file ends after 10240 bytes");
    free(page);
}

/* Characters of the longest piece of a cell that no line break can part; *cell moves behind it. */
static size_t longest_piece(const char **cell)
{
    size_t longest = 0, piece = 0;
    bool whole = false; /* in a span that is not broken */
    for (; strncmp(*cell, "</td>", 5) != 0 && strncmp(*cell, "</th>", 5) != 0; ++*cell) {
        const bool tag = **cell == '<';
        if (tag) {
            whole = strncmp(*cell, "<span>", 6) == 0;
            *cell += strcspn(*cell, ">");
        }
        piece = tag || (**cell == ' ' && !whole) ? 0 : piece + 1;
        longest = piece > longest ? piece : longest;
    }
    return longest;
}

static void where_pairs_come_from_is_said_where_predictors_differ(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    char *page = page_of(&s.report);
    vj_assert_contains(page, "labelled). Pairs of constant are counted from the step");
    free(page);
    s.constant.pairs = s.threshold.pairs;
    page = page_of(&s.report);
    vj_assert_contains(page, "labelled). Sorted by MAD");
    free(page);
}

/* With broken lines, figures of two digits and thousands of pictures; long names can be broken. */
static void the_table_of_accuracy_fits_into_a_window_of_1100_pixels(void **state)
{
    (void)state;
    enum { COLUMNS = 14, NAME = 168, DRAWN = 108, GAPS = 10, PER_CHARACTER = 8 };
    static const int room = 1100 - 2 * 24 - 15; /* margins, scroll bar */
    struct sample s;
    fill_sample(&s);
    fill_metrics(&s.threshold.pooled, 42.5, -1, 1008);
    s.threshold.pooled.value[VJ_METRIC_MAD] = value(42.5, 11.25, 1008);
    char *page = page_of(&s.report);
    vj_assert_contains(page, ".numbers td:first-child{white-space:normal;overflow-wrap:anywhere;"
                             "min-width:12em}");
    size_t longest[COLUMNS] = {0};
    const char *at = strstr(page, "<th>predictor</th>"), *end = strstr(at, "</table>");
    for (size_t i = 0; (at = strpbrk(at, "<")) && at < end; at++) {
        if (strncmp(at, "<td", 3) != 0 && strncmp(at, "<th>", 4) != 0 &&
            strncmp(at, "<th ", 4) != 0)
            continue;
        at += strcspn(at, ">") + 1;
        const size_t piece = longest_piece(&at);
        longest[i % COLUMNS] = piece > longest[i % COLUMNS] ? piece : longest[i % COLUMNS];
        i++;
    }
    size_t width = NAME + DRAWN + GAPS;
    for (size_t i = 0; i < COLUMNS; i++)
        if (i != 0 && i != 2) /* the name, the drawing */
            width += PER_CHARACTER * longest[i] + GAPS;
    assert_int_equal(longest[1], strlen("[31.25, 53.75]"));
    assert_int_equal(longest[COLUMNS - 1], strlen("1008"));
    if (width > (size_t)room)
        fail_msg("%zu pixels", width);
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
    /* Where there are subjects, those who see a difference are a damage, too. */
    static const char subjects[] = "Mean saving against subjects who see a difference";
    static const char quarter[] = "<title>psnr-threshold, offset 0: saving 87.00 %, damage 25<";
    svg = strstr(page, subjects);
    assert_non_null(svg);
    assert_true(fabs(read_off(svg, quarter, "0", "20", false) - 25) < 0.1);
    free(page);
    for (int i = 0; i < SWEEP; i++)
        s.sweep[i].sur_at_prediction.present = false;
    page = page_of(&s.report);
    assert_null(strstr(page, subjects));
    free(page);
}

static void a_predictor_has_one_colour_in_all_charts(void **state)
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
    vj_assert_contains(section, "<span class=\"key c1\"></span>constant");
    vj_assert_contains(page, "<tr><td><span class=\"key c1\"></span>constant</td>");
    assert_null(strstr(page, "key c0\"></span>constant"));
    const char *svg = strstr(section, "Mean saving against lost QF");
    static const char title[] = "<title>constant, tolerance 0.0125: saving 87.00 %, damage 1.5<";
    assert_non_null(svg);
    assert_true(fabs(read_off(svg, title, "0.0", "2.0", false) - 1.5) < 0.01);
    assert_null(strstr(section, "psnr-threshold, tolerance"));
    free(page);
}

/* Of many predictors, those that lead by MAD have colours, and rules with tolerances others. */
static void rules_behind_the_leading_predictors_have_colours_of_their_own(void **state)
{
    (void)state;
    enum { MANY = 9 };
    static const char *const names[MANY] = {"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"};
    struct sample s;
    struct vj_report_row row[MANY];
    fill_sample(&s);
    for (int i = 0; i < MANY; i++) {
        row[i] = s.row[1];
        row[i].name = names[i];
    }
    row[3].tolerance = row[7].tolerance = s.sweep;
    row[3].tolerance_count = row[7].tolerance_count = SWEEP;
    s.report.row = row;
    s.report.rows = MANY;
    s.report.comparisons = 0;
    char *page = page_of(&s.report);
    check_markup(page);
    static const char *const keys[MANY] = {"c0", "c1",    "c2", "c3",   "c4",
                                           "c5", "other", "c6", "other"};
    for (int i = 0; i < MANY; i++) {
        char cell[80];
        snprintf(cell, sizeof(cell), "<tr><td><span class=\"key %s\"></span>p%d</td>", keys[i], i);
        vj_assert_contains(page, cell);
    }
    const char *section = strstr(page, "over tolerances</h2>");
    assert_non_null(section);
    vj_assert_contains(section, "<p class=\"legend\"><span><span class=\"key c3\"></span>p3</span> "
                                "<span><span class=\"key c6\"></span>p7</span> </p>");
    free(page);
}

static void errors_of_pictures_are_numbers(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    char *page = page_of(&s.report);
    vj_assert_contains(page, "<tr><td>SRC02</td><td><b>47</b></td><td>100 <span "
                             "class=\"off\">(+53)</span></td><td>39 <span class=\"off\">(-8)</span>"
                             "</td></tr>");
    vj_assert_contains(page, "<td>-</td><td>41</td><td>36</td></tr>"); /* without a label */
    vj_assert_contains(page, "<details><summary>4 pictures</summary>");
    free(page);
}

static void weights_that_have_seen_pictures_have_a_banner_and_a_marked_row(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    char *page = page_of(&s.report);
    assert_null(strstr(page, "NOT A TEST"));
    assert_null(strstr(page, "<tr class=\"seen\">"));
    free(page);
    s.row[1].seen = 2;
    s.row[1].seen_of = 4;
    page = page_of(&s.report);
    check_markup(page);
    vj_assert_contains(page, "<p class=\"warn\">* <b>psnr-threshold</b>: NOT A TEST: 2 of 4 "
                             "pictures trained or validated the weights that judge them.</p>");
    vj_assert_contains(page, "<tr class=\"seen\"><td><span class=\"key c0\"></span>"
                             "psnr-threshold*</td>");
    vj_assert_contains(page, "<tr><td>psnr-threshold* - constant</td>");
    free(page);
}

static void the_page_says_where_its_figures_come_from(void **state)
{
    (void)state;
    static const struct vj_report_fact fact[] = {
        {"command_line", "command line", "vpjnd eval <x>"},
        {"dataset_axis", "axis", ""},
        {"config", "configuration", "a = 1;\nb = \"2\";\n"}};
    static const struct vj_report_run run[2] = {{.name = "one", .fact = fact, .facts = 3},
                                                {.name = "two", .fact = fact, .facts = 1}};
    struct sample s;
    fill_sample(&s);
    s.report.fact = fact;
    s.report.facts = 3;
    char *page = page_of(&s.report);
    vj_assert_contains(page, "details::details-content{content-visibility:visible}"); /* printed */
    check_markup(page);
    const char *section = strstr(page, "<h2>Provenance</h2>");
    assert_non_null(section);
    vj_assert_contains(section, "<dt>command line</dt><dd><pre>vpjnd eval &lt;x&gt;</pre></dd>");
    vj_assert_contains(section, "<pre>a = 1;\nb = &quot;2&quot;;</pre>");
    assert_null(strstr(section, "<dt>axis</dt>"));
    free(page);
    s.report.facts = 0;
    s.report.run = run;
    s.report.runs = 2;
    page = page_of(&s.report);
    check_markup(page);
    vj_assert_contains(page, "<summary>one</summary>");
    vj_assert_contains(page, "<summary>two</summary>");
    free(page);
}

static void without_labels_every_prediction_is_in_sight(void **state)
{
    (void)state;
    struct sample s;
    uint32_t bytes[IMAGES * 100] = {[35] = 1500, [99] = 2000}; /* QF 36 and 100 of SRC01 */
    fill_sample(&s);
    s.report.qf_true = NULL;
    s.report.comparisons = 0;
    s.report.bytes = bytes;
    char *page = page_of(&s.report);
    check_markup(page);
    assert_null(strstr(page, "<h2>Accuracy</h2>"));
    assert_null(strstr(page, "largest mean error"));
    vj_assert_contains(page, "<h2>Predictions</h2>");
    vj_assert_contains(page, "constant</td><td>37.0</td><td>74.0</td><td>3</td></tr>");
    vj_assert_contains(page, "<details open=\"\"><summary>4 pictures</summary>");
    vj_assert_contains(page, "<tr><td>SRC01</td><td>35</td><td>36</td><td>1500</td><td>25.0</td>"
                             "<td>36</td><td>37</td><td>-</td><td>-</td></tr>");
    vj_assert_contains(page, "<tr><td>SRC02</td><td>100</td><td>-</td><td>-</td><td>-</td>"
                             "<td>39</td><td>40</td><td>-</td><td>-</td></tr>");
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
        s.sweep[i].dqf.present = s.sweep[i].sur_at_prediction.present = false;
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

/* Nor with what went wrong. s: has `many` pictures */
static void check_page_of_failures(struct sample *s, size_t many)
{
    int32_t *status = calloc(many, sizeof(*status));
    struct vj_report_left_out *left_out = calloc(many, sizeof(*left_out));
    assert_true(status && left_out);
    for (size_t i = 0; i < many; i++) {
        status[i] = i >= 5; /* the others failed */
        left_out[i] = (struct vj_report_left_out){i == 199 ? "last shown" : "gone", "why"};
    }
    s->report.image_status = status;
    s->report.left_out = left_out;
    s->report.left_outs = many;
    char *page = page_of(&s->report);
    assert_true(strlen(page) < 4000000);
    char expected[80];
    snprintf(expected, sizeof(expected), "<p>200 of %zu; the text report has them all", many - 5);
    vj_assert_contains(page, expected);
    snprintf(expected, sizeof(expected), "<p>200 of %zu; the text report has them all", many);
    vj_assert_contains(page, expected);
    vj_assert_contains(page, "last shown");
    free(page);
    free(left_out);
    free(status);
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
    s.report.image_status = NULL;
    s.report.image_error = NULL;
    s.report.qf_true = truth;
    s.row[0].qf_pred = s.row[1].qf_pred = s.row[2].qf_pred = pred;
    char *page = page_of(&s.report);
    assert_true(strlen(page) < 4000000); /* two pictures of 99 x 99 dots */
    vj_assert_contains(page, "200 of 30000; vpjnd report --images-csv has them all");
    vj_assert_contains(page, "</thead><tbody>\n<tr><td>the worst</td><td><b>0</b></td>");
    free(page);
    check_page_of_failures(&s, MANY);
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
        cmocka_unit_test(where_pairs_come_from_is_said_where_predictors_differ),
        cmocka_unit_test(the_table_of_accuracy_fits_into_a_window_of_1100_pixels),
        cmocka_unit_test(dots_stand_at_true_and_predicted_quality_factors),
        cmocka_unit_test(pictures_at_one_place_are_one_larger_dot),
        cmocka_unit_test(curves_stand_at_damage_and_saving),
        cmocka_unit_test(a_predictor_has_one_colour_in_all_charts),
        cmocka_unit_test(rules_behind_the_leading_predictors_have_colours_of_their_own),
        cmocka_unit_test(errors_of_pictures_are_numbers),
        cmocka_unit_test(weights_that_have_seen_pictures_have_a_banner_and_a_marked_row),
        cmocka_unit_test(the_page_says_where_its_figures_come_from),
        cmocka_unit_test(without_labels_every_prediction_is_in_sight),
        cmocka_unit_test(without_labels_there_is_no_empty_chart),
        cmocka_unit_test(the_page_does_not_grow_with_the_pictures),
        cmocka_unit_test(axes_cover_their_values_in_few_round_steps),
        cmocka_unit_test(axes_without_a_range_still_are_axes),
        cmocka_unit_test(failures_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
