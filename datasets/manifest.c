/* SPDX-License-Identifier: MIT */
/*
 * `manifest`: anyone's data, described by a CSV file (`root` names the file).
 *
 * The first line names the columns, in any order; other columns are ignored, and info.excluded
 * names them, for one of them may be a misspelt label.
 *     image       source picture; the item is called by this text as written
 *     candidates  pattern of the candidate files with {qf} (7, 70, 100) or {qf:03d} (007, 070, 100;
 *                 any width 1..9), or empty or "synthesize": candidates are synthesised
 *     streams     with a codec other than JPEG: pattern of the compressed files, whose sizes are
 *                 the rates, or empty: the rates are unknown
 *     qf_true     picture-wise JND, 1..100, or empty; decimals are kept and rounded, halves upwards
 *     fold        1..1000, or empty; used with folds=manifest
 * Only `image` is required. Paths are relative to the CSV's folder unless they start with '/'.
 * Candidates are compared with the source picture. Either every row has a pattern or none has;
 * otherwise the option `candidates` decides (files: rows without one are broken; synthesize:
 * patterns are ignored; mixed: every row as it says). That a file was encoded at the QF its name
 * says is checked where it is decoded, from its quantisation tables.
 *
 * With a codec other than JPEG every row needs candidates: decoded pictures of any format that can
 * be read, of which {qf} is the level, rising with quality.
 *
 * A bad row breaks its item and no other; a file that cannot be cut into rows does not open.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/csv.h"
#include "datasets/dataset_internal.h"
#include "datasets/files.h"
#include "datasets/folds.h"
#include "datasets/labels.h"
#include "datasets/pattern.h"
#include "host/checked.h"

struct manifest_row {
    char *image;   /* as written; "" when no path can be as long */
    char *name;    /* the same, made unique for a repeated image */
    char *pattern; /* as written, "" when there is none */
    char *streams; /* the same of the compressed files; "" for JPEG */
    char *error;   /* what is wrong with the row, or NULL */
    size_t line;
    double qf_exact; /* NaN = unknown */
    int fold;
};

struct manifest {
    char *file;   /* path of the CSV */
    char *folder; /* prefix of relative paths, "" or with a final '/' */
    enum vj_candidates candidates;
    int qf_first, qf_last;
    bool labels;
    bool decoded; /* a codec other than JPEG */
    struct manifest_row *rows;
    size_t count;
    size_t with_pattern, first_with, first_without; /* rows, and lines of the first of each kind */
    size_t with_fold;
};

struct columns {
    int image, candidates, streams, qf_true, fold;
};

static void manifest_close(void *state)
{
    struct manifest *m = state;
    for (size_t i = 0; i < m->count; i++) {
        struct manifest_row *row = &m->rows[i];
        free(row->image);
        free(row->name);
        free(row->pattern);
        free(row->streams);
        free(row->error);
    }
    free(m->rows);
    free(m->file);
    free(m->folder);
    free(m);
}

/* Path of the file at `qf` by the pattern in column `what`, in fresh memory. */
static int expand_pattern(char **out, const char *folder, const char *pattern, int qf,
                          const char *what, struct vj_error *err)
{
    char text[PATH_MAX];
    *out = NULL;
    int rc = vj_pattern_expand(text, sizeof(text), pattern, "qf", qf, what, err);
    return rc ? rc : vj_text(out, err, "%s%s", text[0] == '/' ? "" : folder, text);
}

/* ---- rows ---- */

static int parse_qf(double *qf, const char *text, struct vj_error *err)
{
    *qf = NAN;
    if (text[strspn(text, " \t")] == '\0')
        return 0;
    double value;
    if (!vj_parse_number(text, &value) || value < 1 || value > VJ_QF_MAX)
        return vj_fail(err, -EINVAL, "qf_true '%.40s' is not a quality factor, 1..100, nor empty",
                       text);
    *qf = value;
    return 0;
}

static int parse_fold(int *fold, const char *text, struct vj_error *err)
{
    *fold = VJ_FOLD_NONE;
    if (text[strspn(text, " \t")] == '\0')
        return 0;
    double value;
    if (!vj_parse_number(text, &value) || value != floor(value) || value < 1 ||
        value > VJ_FOLDS_MAX)
        return vj_fail(err, -EINVAL, "fold '%.40s' is not a whole number 1..%d, nor empty", text,
                       VJ_FOLDS_MAX);
    *fold = (int)value;
    return 0;
}

/*
 * An image that no path can be as long as is dropped from its row: every row of a results file has
 * room for the longest name.
 */
static int check_image(const struct manifest *m, struct manifest_row *row, struct vj_error *err)
{
    const size_t length = strlen(row->image) + (*row->image == '/' ? 0 : strlen(m->folder));
    if (!*row->image)
        return vj_fail(err, -EINVAL, "no image");
    if (length < PATH_MAX)
        return 0;
    vj_fail(err, -ENAMETOOLONG,
            "image '%.40s...' makes a path of %zu bytes, and one has at most %d; shorten it",
            row->image, length, PATH_MAX - 1);
    *row->image = '\0';
    return -ENAMETOOLONG;
}

/* What can be wrong with a row by itself. */
static int check_row(const struct manifest *m, struct manifest_row *row, const struct vj_csv *csv,
                     const struct columns *at, struct vj_error *err)
{
    int rc = check_image(m, row, err);
    if (vj_csv_fields(csv) != vj_csv_columns(csv))
        return vj_fail(err, -EINVAL, "%zu fields where the first line names %zu columns; %s",
                       vj_csv_fields(csv), vj_csv_columns(csv),
                       vj_csv_fields(csv) > vj_csv_columns(csv) ? "quote fields that hold commas"
                                                                : "give an empty field its comma");
    if (!rc && *row->pattern && m->candidates != VJ_CANDIDATES_SYNTHESIZE)
        rc = vj_pattern_check(row->pattern, "qf", "candidates", err);
    if (!rc && *row->streams)
        rc = vj_pattern_check(row->streams, "qf", "streams", err);
    if (!rc)
        rc = parse_qf(&row->qf_exact, vj_csv_field(csv, at->qf_true), err);
    if (!rc)
        rc = parse_fold(&row->fold, vj_csv_field(csv, at->fold), err);
    return rc;
}

/* Records `cause` as the row's error. */
static int break_row(const struct manifest *m, struct manifest_row *row,
                     const struct vj_error *cause, struct vj_error *err)
{
    if (row->error)
        return 0;
    return vj_text(&row->error, err, "%s:%zu: %s", m->file, row->line, cause->text);
}

static int add_row(struct manifest *m, size_t *room, const struct vj_csv *csv,
                   const struct columns *at, struct vj_error *err)
{
    if (m->count == *room) {
        size_t wanted = *room ? *room * 2 : 64;
        struct manifest_row *grown = reallocarray(m->rows, wanted, sizeof(*grown));
        if (!grown)
            return vj_fail(err, -ENOMEM, "%s: out of memory", m->file);
        m->rows = grown;
        *room = wanted;
    }
    struct manifest_row *row = &m->rows[m->count++];
    *row = (struct manifest_row){.line = vj_csv_line(csv), .qf_exact = NAN, .fold = VJ_FOLD_NONE};
    const char *pattern = vj_csv_field(csv, at->candidates);
    int rc = vj_text(&row->image, err, "%s", vj_csv_field(csv, at->image));
    if (!rc)
        rc = vj_text(&row->pattern, err, "%s", strcmp(pattern, "synthesize") == 0 ? "" : pattern);
    if (!rc)
        rc = vj_text(&row->streams, err, "%s", m->decoded ? vj_csv_field(csv, at->streams) : "");
    if (rc)
        return rc;
    struct vj_error cause = {0};
    if (check_row(m, row, csv, at, &cause))
        return break_row(m, row, &cause, err);
    if (*row->pattern && m->with_pattern++ == 0)
        m->first_with = row->line;
    if (!*row->pattern && !m->first_without)
        m->first_without = row->line;
    m->with_fold += row->fold != VJ_FOLD_NONE;
    return 0;
}

/* "columns of other names: 'note', 'qf_ture'" */
static void name_ignored(char *text, size_t size, const struct vj_csv *csv,
                         const struct columns *at)
{
    for (int i = 0; i < (int)vj_csv_columns(csv); i++)
        if (i != at->image && i != at->candidates && i != at->streams && i != at->qf_true &&
            i != at->fold)
            vj_append(text, size, "%s '%s'",
                      *text ? "," : "columns of other names:", vj_csv_heading(csv, (size_t)i));
}

static int read_rows(struct manifest *m, struct vj_dataset_info *info, struct vj_error *err)
{
    struct vj_csv *csv;
    int rc = vj_csv_open(&csv, m->file, err);
    if (rc)
        return rc;
    struct columns at;
    size_t room = 0;
    rc = vj_csv_column(csv, "image", true, &at.image, err);
    if (!rc)
        rc = vj_csv_column(csv, "candidates", false, &at.candidates, err);
    if (!rc)
        rc = vj_csv_column(csv, "streams", false, &at.streams, err);
    if (!rc)
        rc = vj_csv_column(csv, "qf_true", false, &at.qf_true, err);
    if (!rc)
        rc = vj_csv_column(csv, "fold", false, &at.fold, err);
    if (!rc)
        name_ignored(info->excluded, sizeof(info->excluded), csv, &at);
    for (bool more = true; !rc && more;) {
        rc = vj_csv_next(csv, &more, err);
        if (!rc && more)
            rc = add_row(m, &room, csv, &at, err);
    }
    vj_csv_close(csv);
    if (!rc && m->count == 0)
        rc = vj_fail(err, -EINVAL, "%s: names the columns but has no row", m->file);
    return rc;
}

/* Names a row by its image; a repeated image breaks the later row, which gets a name of its own. */
static int name_row(const struct manifest *m, struct manifest_row *row,
                    const struct manifest_row *first, struct vj_error *err)
{
    if (row == first && *row->image)
        return vj_text(&row->name, err, "%s", row->image);
    struct vj_error cause = {0};
    vj_fail(&cause, -EEXIST, "image '%.300s' is already in line %zu", row->image, first->line);
    int rc = break_row(m, row, &cause, err);
    return rc ? rc : vj_text(&row->name, err, "%s (line %zu)", row->image, row->line);
}

static int name_rows(struct manifest *m, struct vj_error *err)
{
    size_t *first = vj_calloc(m->count, sizeof(*first));
    char **images = vj_calloc(m->count, sizeof(*images));
    int rc;
    if (!first || !images) {
        rc = vj_fail(err, -ENOMEM, "%s: out of memory", m->file);
        goto out;
    }
    for (size_t i = 0; i < m->count; i++)
        images[i] = m->rows[i].image;
    rc = vj_first_equals(first, images, m->count, err);
    for (size_t i = 0; i < m->count && !rc; i++)
        rc = name_row(m, &m->rows[i], &m->rows[first[i]], err);
out:
    free(first);
    free(images);
    return rc;
}

/* ---- the data set ---- */

static int decide_candidates(struct manifest *m, struct vj_error *err)
{
    if (m->candidates != VJ_CANDIDATES_UNSAID)
        return 0;
    if (m->with_pattern && m->first_without)
        return vj_fail(err, -EINVAL,
                       "%s: line %zu has a candidates pattern, line %zu has none; fill in all or "
                       "none, or set candidates=files, candidates=synthesize or candidates=mixed",
                       m->file, m->first_with, m->first_without);
    m->candidates = m->with_pattern ? VJ_CANDIDATES_FILES : VJ_CANDIDATES_SYNTHESIZE;
    return 0;
}

static int parse_options(struct manifest *m, const struct vj_dataset_options *opt,
                         struct vj_error *err)
{
    if (vj_is_folder(opt->root))
        return vj_fail(
            err, -EISDIR,
            "root: %s is a folder, and of data set manifest it is a CSV file; name that, "
            "or take all pictures of the folder with dataset=folder",
            opt->root);
    /* The definition behind qf_true is its author's: the only other choice is to ignore it. */
    m->labels = !opt->labels;
    if (opt->labels && strcmp(opt->labels, "none") != 0)
        return vj_fail(err, -EINVAL,
                       "labels: '%s', but a manifest's labels are its column qf_true; leave labels "
                       "out, or set it to none",
                       opt->labels);
    int rc = vj_candidates_parse(&m->candidates, opt->candidates, true, err);
    if (!rc)
        rc = vj_require_first_jnd(opt, "manifest", err);
    m->decoded = !vj_codec_is_jpeg(opt);
    m->qf_first = opt->qf_first;
    m->qf_last = opt->qf_last;
    if (!rc)
        rc = vj_text(&m->file, err, "%s", opt->root);
    const char *slash = strrchr(opt->root, '/');
    if (!rc)
        rc = vj_text(&m->folder, err, "%.*s", slash ? (int)(slash - opt->root) + 1 : 0, opt->root);
    return rc;
}

static bool any_label(const struct manifest *m)
{
    for (size_t i = 0; m->labels && i < m->count; i++)
        if (!isnan(m->rows[i].qf_exact))
            return true;
    return false;
}

/* Rows that are broken name no fold, either: the first of them may be what is wrong. */
static int fail_no_fold(const struct manifest *m, struct vj_error *err)
{
    const char *broken = NULL;
    for (size_t i = 0; i < m->count && !broken; i++)
        broken = m->rows[i].error;
    return vj_fail(err, -EINVAL, "%s: folds=manifest, but no row has a fold%s%s", m->file,
                   broken ? "; the first broken one: " : "", broken ? broken : "");
}

static int manifest_open(void **state, const struct vj_dataset_options *opt,
                         struct vj_dataset_info *info, struct vj_error *err)
{
    struct manifest *m = vj_calloc(1, sizeof(*m));
    if (!m)
        return vj_fail(err, -ENOMEM, "%s: out of memory", opt->root);
    int rc = parse_options(m, opt, err);
    if (!rc)
        rc = read_rows(m, info, err);
    if (!rc)
        rc = name_rows(m, err);
    if (!rc)
        rc = decide_candidates(m, err);
    if (!rc)
        rc = vj_require_files(opt, m->candidates, err);
    if (!rc && opt->folds && strcmp(opt->folds, "manifest") == 0 && !m->with_fold)
        rc = fail_no_fold(m, err);
    if (rc) {
        manifest_close(m);
        return rc;
    }
    info->human_labels = any_label(m);
    snprintf(info->label_definition, sizeof(info->label_definition), "%s",
             info->human_labels
                 ? "manifest: column qf_true, definition and origin as its author says"
                 : "none");
    vj_candidates_record(info, m->candidates);
    *state = m;
    return 0;
}

static size_t manifest_count(const void *state)
{
    const struct manifest *m = state;
    return m->count;
}

static int fill_candidates(const struct manifest *m, const struct manifest_row *row,
                           struct vj_item *item, struct vj_error *err)
{
    int rc = 0;
    for (int q = m->qf_first; q <= m->qf_last && !rc; q++) {
        rc = expand_pattern(&item->candidate[q], m->folder, row->pattern, q, "candidates", err);
        if (!rc && *row->streams)
            rc = expand_pattern(&item->stream[q], m->folder, row->streams, q, "streams", err);
    }
    return rc;
}

static int break_item(const struct manifest *m, const struct manifest_row *row,
                      struct vj_item *item, const char *text, struct vj_error *err)
{
    struct vj_error cause = {0};
    if (text)
        vj_fail(&cause, -EINVAL, "%s", text);
    else
        vj_fail(&cause, -EINVAL, "%s:%zu: no candidates pattern, but candidates=files; add one%s",
                m->file, row->line,
                m->decoded ? "" : ", or set candidates=synthesize or candidates=mixed");
    return vj_item_break(item, &cause, err);
}

static bool has_files(const struct manifest *m, const struct manifest_row *row)
{
    return m->candidates == VJ_CANDIDATES_FILES ||
           (m->candidates == VJ_CANDIDATES_MIXED && *row->pattern);
}

static int find_files(const struct manifest *m, const struct manifest_row *row,
                      struct vj_item *item, struct vj_error *err)
{
    int rc = 0;
    bool files = has_files(m, row);
    if (files) {
        struct vj_error cause = {0};
        rc = fill_candidates(m, row, item, &cause);
        if (rc == -ENAMETOOLONG) {
            vj_fail_prefix(&cause, "%s:%zu", m->file, row->line);
            return vj_item_break(item, &cause, err);
        }
        if (rc)
            return vj_fail(err, rc, "%s", cause.text);
    }
    rc = vj_item_check_files(item, files, m->qf_first, m->qf_last, err);
    if (rc || !item->status)
        return rc;
    /* The item knows the path; the reader wants the row as well. */
    char *text;
    rc = vj_text(&text, err, "%s:%zu: %s", m->file, row->line, item->error);
    if (rc)
        return rc;
    free(item->error);
    item->error = text;
    return 0;
}

static int manifest_item(const void *state, size_t index, struct vj_item *item,
                         struct vj_error *err)
{
    const struct manifest *m = state;
    const struct manifest_row *row = &m->rows[index];
    item->id = (int)index + 1;
    item->fold = row->fold;
    item->decoded = m->decoded;
    if (m->labels && !row->error && !isnan(row->qf_exact)) {
        item->qf_exact = row->qf_exact;
        item->qf_true = (int)floor(row->qf_exact + 0.5);
    }
    int rc = vj_text(&item->name, err, "%s", row->name);
    if (!rc)
        rc = vj_text(&item->source, err, "%s%s", row->image[0] == '/' ? "" : m->folder, row->image);
    if (rc)
        return rc;
    if (row->error)
        return break_item(m, row, item, row->error, err);
    if (m->candidates == VJ_CANDIDATES_FILES && !*row->pattern)
        return break_item(m, row, item, NULL, err);
    return find_files(m, row, item, err);
}

const struct vj_dataset_ops vj_dataset_manifest = {
    .name = "manifest",
    .description = "a CSV file: image, candidate file pattern, true QF, fold",
    .open = manifest_open,
    .count = manifest_count,
    .item = manifest_item,
    .close = manifest_close,
};
