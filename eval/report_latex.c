/* SPDX-License-Identifier: MIT */
/* The tables of accuracy and differences for a paper. */
#include <stddef.h>

#include "eval/report.h"
#include "eval/report_text.h"

/* ---- cells ---- */

/* "7.82 [6.1, 9.9]", with signs where wanted; as mathematics, which has a minus. */
static void value_cell(struct vj_text *out, const struct vj_metric_value *v, bool percent,
                       bool sign, int decimals, bool interval)
{
    const double scale = percent ? 100 : 1;
    vj_text_add(out, " & ");
    if (!v->present) {
        vj_text_add(out, "--");
        return;
    }
    vj_text_add(out, sign ? "$%+.*f$" : "$%.*f$", decimals, scale * v->value);
    if (interval && v->has_interval)
        vj_text_add(out, sign ? " [$%+.1f$, $%+.1f$]" : " [$%.1f$, $%.1f$]", scale * v->ci_low,
                    scale * v->ci_high);
}

/* An asterisk behind the name: figures that are no test, which the caption says. */
static void add_name(struct vj_text *out, const struct vj_report_row *row)
{
    vj_text_latex(out, vj_report_or_dash(row->name));
    if (row->seen)
        vj_text_add(out, "\\textsuperscript{*}");
}

static const struct vj_metrics *figures_of(const struct vj_report_row *row)
{
    return row->metrics && !row->random_weights ? &row->metrics->pooled : NULL;
}

/* ---- accuracy ---- */

static const struct {
    const char *above, *head;
    enum vj_metric metric;
    bool percent, sign, interval;
    int decimals;
} columns[] = {
    {"", "MAD", VJ_METRIC_MAD, false, false, true, 2},
    {"", "RMSE", VJ_METRIC_RMSE, false, false, false, 2},
    {"", "bias", VJ_METRIC_BIAS, false, true, false, 2},
    {"pair", "acc.", VJ_METRIC_PAIR_ACCURACY, true, false, false, 1},
    {"lossy", "prec.", VJ_METRIC_PRECISION_LOSSY, true, false, false, 1},
    {"lossless", "prec.", VJ_METRIC_PRECISION_LOSSLESS, true, false, false, 1},
    {"", "dQF", VJ_METRIC_DQF, false, false, false, 2},
    {"", "saved", VJ_METRIC_SAVING_MEAN, true, false, false, 1},
    {"saved", "at JND", VJ_METRIC_SAVING_AT_TRUTH, true, false, false, 1},
    {"past", "JND", VJ_METRIC_PAST_JND_SHARE, true, false, false, 1},
};
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

/* What no predictor has is no column. */
static bool has_column(const struct vj_report *r, enum vj_metric metric)
{
    for (size_t i = 0; i < r->rows; i++)
        if (figures_of(&r->row[i]) && figures_of(&r->row[i])->value[metric].present)
            return true;
    return false;
}

/* Of those with a label; where there are none, of those with a prediction. */
static size_t pictures_of(const struct vj_metrics *m)
{
    const size_t rated = vj_report_rated(m);
    return rated ? rated : m->value[VJ_METRIC_SAVING_MEAN].n;
}

static void add_not_tests(struct vj_text *out, const struct vj_report *r)
{
    for (size_t i = 0; i < r->rows; i++) {
        if (!r->row[i].seen || !figures_of(&r->row[i]))
            continue;
        struct vj_text line = {0};
        vj_report_not_a_test(&line, &r->row[i]);
        vj_text_add(out, "\n  \\textsuperscript{*}");
        vj_text_latex(out, vj_report_or_dash(r->row[i].name));
        vj_text_add(out, ": ");
        vj_text_latex(out, line.data ? line.data : "");
        out->failed |= line.failed;
        vj_text_free(&line);
    }
}

static void add_caption(struct vj_text *out, const struct vj_report *r)
{
    struct vj_text labels = {0}, pairs = {0};
    vj_report_labels(&labels, r);
    vj_report_pairs(&pairs, r);
    vj_text_add(out, "  \\caption{Data set: ");
    vj_text_latex(out, vj_report_or_dash(r->dataset));
    vj_text_add(out, ". Labels: ");
    vj_text_latex(out, labels.data ? labels.data : "");
    vj_text_add(out, ".");
    if (vj_report_has_labels(r) && !r->human_labels)
        vj_text_add(out, " They come from a made-up observer, not from people.");
    vj_text_add(out, " Candidates: ");
    vj_text_latex(out, vj_report_or_dash(r->codec));
    vj_text_add(out, ", %s %d to %d. Folds: ", vj_report_axis_word(r), r->qf_first, r->qf_last);
    vj_text_latex(out, vj_report_or_dash(r->folds));
    vj_text_add(out, ".");
    if (r->resamples)
        vj_text_add(out,
                    " In brackets: %g\\,\\%% intervals, expanded percentile bootstrap, %zu "
                    "resamples.",
                    100 * r->confidence, r->resamples);
    vj_text_add(out,
                "\n  MAD, RMSE, bias (predicted $-$ true) and dQF (mean of $\\max(0, "
                "\\mbox{true} - \\mbox{predicted})$) in %s, the others in \\%%.",
                vj_report_axis_word(r));
    vj_text_latex(out, pairs.data ? pairs.data : "");
    add_not_tests(out, r);
    vj_text_add(out, "}\n");
    out->failed |= labels.failed || pairs.failed;
    vj_text_free(&labels);
    vj_text_free(&pairs);
}

/* As wide as a page of two columns. */
static void begin_table(struct vj_text *out)
{
    vj_text_add(out, "\\begin{table*}\n  \\centering\\footnotesize\\setlength{\\tabcolsep}{3pt}\n");
}

static void end_table(struct vj_text *out)
{
    vj_text_add(out, "    \\bottomrule\n  \\end{tabular}\n\\end{table*}\n");
}

static void add_accuracy(struct vj_text *out, const struct vj_report *r)
{
    begin_table(out);
    add_caption(out, r);
    vj_text_add(out, "  \\begin{tabular}{l");
    for (int c = 0; c < COLUMNS; c++)
        if (has_column(r, columns[c].metric))
            vj_text_add(out, columns[c].interval ? "l" : "r");
    vj_text_add(out, "r}\n    \\toprule\n   ");
    for (int c = 0; c < COLUMNS; c++)
        if (has_column(r, columns[c].metric))
            vj_text_add(out, " & %s", columns[c].above);
    vj_text_add(out, " & \\\\\n    predictor");
    for (int c = 0; c < COLUMNS; c++)
        if (has_column(r, columns[c].metric))
            vj_text_add(out, " & %s", columns[c].head);
    vj_text_add(out, " & $n$ \\\\\n    \\midrule\n");
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_metrics *m = figures_of(&r->row[i]);
        if (!m)
            continue;
        vj_text_add(out, "    ");
        add_name(out, &r->row[i]);
        for (int c = 0; c < COLUMNS; c++)
            if (has_column(r, columns[c].metric))
                value_cell(out, &m->value[columns[c].metric], columns[c].percent, columns[c].sign,
                           columns[c].decimals, columns[c].interval);
        vj_text_add(out, " & %zu \\\\\n", pictures_of(m));
    }
    end_table(out);
}

/* ---- differences ---- */

static void p_cell(struct vj_text *out, double p, enum vj_test_method method)
{
    if (method == VJ_TEST_NONE)
        vj_text_add(out, " & --");
    else if (p < 0.0001)
        vj_text_add(out, " & $<$0.0001");
    else
        vj_text_add(out, " & %.4f", p);
}

static void add_differences(struct vj_text *out, const struct vj_report *r)
{
    if (!r->comparisons)
        return;
    vj_text_add(out, "\n");
    begin_table(out);
    vj_text_add(
        out,
        "  \\caption{Differences, first predictor minus second: MAD in %s, pair accuracy in "
        "points. Wilcoxon: signed-rank test of the\n  absolute error per picture; Holm: its "
        "$p$ corrected for the number of comparisons (%zu). McNemar: exact test of pair\n"
        "  decisions, which within a picture are not independent, so that its $p$ is too "
        "small.}\n"
        "  \\begin{tabular}{lllrrrr}\n    \\toprule\n"
        "    predictors & MAD & pair acc. & Wilcoxon $p$ & Holm $p$ & McNemar $p$ & $n$ "
        "\\\\\n    \\midrule\n",
        vj_report_axis_word(r), r->comparisons);
    for (size_t i = 0; i < r->comparisons; i++) {
        const struct vj_report_comparison *c = &r->comparison[i];
        vj_text_add(out, "    ");
        add_name(out, &r->row[c->a]);
        vj_text_add(out, " $-$ ");
        add_name(out, &r->row[c->b]);
        value_cell(out, &c->result.mad, false, true, 2, true);
        value_cell(out, &c->result.pair_accuracy, true, true, 2, true);
        p_cell(out, c->result.wilcoxon.p, c->result.wilcoxon.method);
        p_cell(out, c->wilcoxon_p_holm, c->result.wilcoxon.method);
        p_cell(out, c->result.mcnemar.p, c->result.mcnemar.method);
        vj_text_add(out, " & %zu \\\\\n", c->result.images);
    }
    end_table(out);
}

/* ---- the whole ---- */

static void add_comment(struct vj_text *out, const char *what, const char *value)
{
    vj_text_add(out, "%% %s", what);
    vj_text_plain(out, vj_report_or_dash(value));
    vj_text_add(out, "\n");
}

int vj_report_latex(struct vj_text *out, const struct vj_report *r, struct vj_error *err)
{
    int rc = vj_report_check(r, err);
    if (rc)
        return rc;
    add_comment(out, "made by vpjnd ", r->program_version);
    if (!r->runs)
        add_comment(out, "results file ", r->results_file);
    for (size_t i = 0; i < r->runs; i++)
        add_comment(out, "results file ", r->run[i].path);
    for (size_t i = 0; i < r->rows; i++)
        if (r->row[i].random_weights)
            add_comment(out, "random weights, no figures: ", r->row[i].name);
    bool any = false;
    for (size_t i = 0; i < r->rows; i++)
        any = any || figures_of(&r->row[i]);
    if (any) {
        vj_text_add(out, "\n%% needs \\usepackage{booktabs}\n");
        add_accuracy(out, r);
        add_differences(out, r);
    }
    return vj_text_status(out, err);
}
