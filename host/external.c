/* SPDX-License-Identifier: MIT */
#include "host/external.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/csv.h"
#include "datasets/dataset.h"
#include "datasets/labels.h"
#include "eval/text.h"
#include "host/checked.h"
#include "host/image.h"

const char *vj_external_column(enum vj_external_form form)
{
    static const char *const names[VJ_EXTERNAL_FORMS] = {
        [VJ_EXTERNAL_QF] = "qf_pred",
        [VJ_EXTERNAL_SCORE] = "score",
        [VJ_EXTERNAL_QUALITY] = "quality",
        [VJ_EXTERNAL_DISTORTION] = "distortion",
    };
    return names[form];
}

/* A name without folder and suffix. */
struct vj_external_stem {
    const char *text; /* within the name, `length` bytes */
    size_t length;
    size_t row;
};

static struct vj_external_stem stem_of(const char *name, size_t row)
{
    const char *slash = strrchr(name, '/');
    const char *text = slash ? slash + 1 : name;
    const char *dot = strrchr(text, '.');
    return (struct vj_external_stem){
        .text = text,
        .length = dot && dot != text ? (size_t)(dot - text) : strlen(text),
        .row = row,
    };
}

static int compare_stems(const void *a, const void *b)
{
    const struct vj_external_stem *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static int compare_rows(const void *a, const void *b)
{
    return strcmp(((const struct vj_external_row *)a)->image,
                  ((const struct vj_external_row *)b)->image);
}

static struct vj_external_row *row_of(struct vj_external *e, const char *image, size_t *capacity)
{
    /* Scores of one image usually stand together: look at the last row first. */
    if (e->count > 0 && strcmp(e->row[e->count - 1].image, image) == 0)
        return &e->row[e->count - 1];
    if (e->count == *capacity) {
        size_t more = *capacity ? 2 * *capacity : 64;
        struct vj_external_row *grown = reallocarray(e->row, more, sizeof(*grown));
        if (!grown)
            return NULL;
        e->row = grown;
        *capacity = more;
    }
    struct vj_external_row *row = &e->row[e->count];
    *row = (struct vj_external_row){.qf = VJ_QF_UNKNOWN, .image = strdup(image)};
    if (!row->image)
        return NULL;
    e->count++;
    return row;
}

/* No answer, as another program has it that leaves a cell empty. */
static bool is_empty(const char *text)
{
    return text[strspn(text, " \t")] == '\0';
}

/* again: the image has had a row before */
static int read_prediction(struct vj_external *e, struct vj_external_row *row, bool again,
                           const struct vj_csv *csv, int column, struct vj_error *err)
{
    const char *text = vj_csv_field(csv, column);
    double qf;
    if (again)
        return vj_fail(err, -EINVAL, "%s:%zu: a second prediction for image '%s'", vj_csv_name(csv),
                       vj_csv_line(csv), row->image);
    if (is_empty(text))
        return 0;
    if (!vj_parse_number(text, &qf) || !(qf >= 1 && qf <= VJ_QF_MAX))
        return vj_fail(err, -EINVAL,
                       "%s:%zu: qf_pred '%s' is not a number from 1 to %d; leave it empty for no "
                       "answer",
                       vj_csv_name(csv), vj_csv_line(csv), text, VJ_QF_MAX);
    row->qf = (int)floor(qf + 0.5);
    e->rounded += row->qf != qf;
    return 0;
}

/* While rows are read: a cell that was there, and empty. No number of a file is infinite. */
static const float empty_score = INFINITY;

static int parse_score(double *score, enum vj_external_form form, const struct vj_csv *csv,
                       const char *text, struct vj_error *err)
{
    const bool number = vj_parse_number(text, score);
    if (form == VJ_EXTERNAL_SCORE) {
        if (number && *score >= 0 && *score <= 1)
            return 0;
        return vj_fail(
            err, -EINVAL,
            "%s:%zu: score '%s' is not a probability from 0 to 1 (that the difference is "
            "visible); leave it empty for no answer",
            vj_csv_name(csv), vj_csv_line(csv), text);
    }
    if (number && fabs(*score) <= FLT_MAX)
        return 0;
    return vj_fail(err, -EINVAL,
                   "%s:%zu: %s '%s' is not a finite number of at most %.2g in size; leave it empty "
                   "for no answer",
                   vj_csv_name(csv), vj_csv_line(csv), vj_external_column(form), text,
                   (double)FLT_MAX);
}

static int read_score(struct vj_external_row *row, enum vj_external_form form,
                      const struct vj_csv *csv, int qf_column, int score_column,
                      struct vj_error *err)
{
    double number, score;
    const char *qf_text = vj_csv_field(csv, qf_column);
    const char *text = vj_csv_field(csv, score_column);
    if (!vj_parse_number(qf_text, &number) || !(number >= 1 && number <= VJ_QF_MAX) ||
        number != floor(number))
        return vj_fail(err, -EINVAL, "%s:%zu: qf '%s' is not a whole number from 1 to %d",
                       vj_csv_name(csv), vj_csv_line(csv), qf_text, VJ_QF_MAX);
    if (is_empty(text))
        score = empty_score;
    else if (parse_score(&score, form, csv, text, err))
        return -EINVAL;
    if (!row->score) {
        row->score = malloc((VJ_QF_MAX + 1) * sizeof(float));
        if (!row->score)
            return vj_fail(err, -ENOMEM, "out of memory");
        for (int q = 0; q <= VJ_QF_MAX; q++)
            row->score[q] = NAN;
    }
    int qf = (int)number;
    if (!isnan(row->score[qf]))
        return vj_fail(err, -EINVAL, "%s:%zu: a second %s for image '%s' at quality factor %d",
                       vj_csv_name(csv), vj_csv_line(csv), vj_external_column(form), row->image,
                       qf);
    row->score[qf] = (float)score;
    return 0;
}

static int hash_file(char hex[VJ_SHA256_HEX], const char *path, struct vj_error *err)
{
    uint8_t *data;
    size_t size;
    struct vj_sha256 digest;
    int r = vj_file_read(&data, &size, path, VJ_CSV_MAX_BYTES, err);
    if (r)
        return r;
    r = vj_sha256_begin(&digest, err);
    if (!r) {
        r = vj_sha256_add(&digest, data, size, err);
        if (r)
            vj_sha256_cancel(&digest);
        else
            r = vj_sha256_end(&digest, hex, err);
    }
    free(data);
    return r;
}

static int refuse_header(const struct vj_csv *csv, struct vj_error *err)
{
    struct vj_text columns = {0};
    for (size_t i = 0; i < vj_csv_columns(csv); i++)
        vj_text_add(&columns, "%s%s", i ? "," : "", vj_csv_heading(csv, i));
    int r = vj_text_status(&columns, err);
    if (!r)
        r = vj_fail(err, -EINVAL,
                    "%s: its header '%s' has neither image,qf_pred nor image,qf,score nor "
                    "image,qf,quality nor image,qf,distortion",
                    vj_csv_name(csv), columns.data);
    vj_text_free(&columns);
    return r;
}

/* *value: position of the column that tells the form; *qf: of the quality factors, -1 without. */
static int find_form(struct vj_external *e, const struct vj_csv *csv, int *value, int *qf,
                     struct vj_error *err)
{
    *value = -1;
    int r = vj_csv_column(csv, "qf", false, qf, err);
    for (int f = 0; !r && f < VJ_EXTERNAL_FORMS; f++) {
        const enum vj_external_form form = (enum vj_external_form)f;
        int at;
        r = vj_csv_column(csv, vj_external_column(form), false, &at, err);
        if (r || at < 0)
            continue;
        if (*value >= 0)
            return vj_fail(err, -EINVAL,
                           "%s: its header has both %s and %s; a file has one of qf_pred, score, "
                           "quality and distortion",
                           vj_csv_name(csv), vj_external_column(e->form), vj_external_column(form));
        *value = at;
        e->form = form;
    }
    if (!r && (*value < 0 || (vj_external_has_scores(e) && *qf < 0)))
        r = refuse_header(csv, err);
    return r;
}

static int read_rows(struct vj_external *e, struct vj_csv *csv, struct vj_error *err)
{
    int image, value, qf;
    size_t capacity = 0;
    int r = vj_csv_column(csv, "image", true, &image, err);
    if (!r)
        r = find_form(e, csv, &value, &qf, err);
    bool more = true;
    while (!r && !(r = vj_csv_next(csv, &more, err)) && more) {
        if (vj_csv_fields(csv) != vj_csv_columns(csv))
            return vj_fail(err, -EINVAL,
                           "%s:%zu: %zu fields where the first line names %zu columns; quote "
                           "fields that hold commas, write numbers with a decimal point",
                           vj_csv_name(csv), vj_csv_line(csv), vj_csv_fields(csv),
                           vj_csv_columns(csv));
        const size_t before = e->count;
        struct vj_external_row *row = row_of(e, vj_csv_field(csv, image), &capacity);
        if (!row)
            r = vj_fail(err, -ENOMEM, "out of memory");
        else if (vj_external_has_scores(e))
            r = read_score(row, e->form, csv, qf, value, err);
        else
            r = read_prediction(e, row, e->count == before, csv, value, err);
    }
    return r;
}

static void forget_empty(struct vj_external *e)
{
    for (size_t i = 0; i < e->count; i++)
        for (int q = 0; e->row[i].score && q <= VJ_QF_MAX; q++)
            if (e->row[i].score[q] == empty_score)
                e->row[i].score[q] = NAN;
}

/* Length of the folder that two names begin with, with the slash; between them all others have it.
 */
static size_t common_folder(const char *first, const char *last)
{
    size_t length = 0;
    for (size_t i = 0; first[i] && first[i] == last[i]; i++)
        if (first[i] == '/')
            length = i + 1;
    return length;
}

static int sort_rows(struct vj_external *e, const char *path, struct vj_error *err)
{
    if (e->count == 0)
        return vj_fail(err, -EINVAL, "%s has no rows", path);
    qsort(e->row, e->count, sizeof(*e->row), compare_rows);
    for (size_t i = 1; i < e->count; i++)
        if (strcmp(e->row[i - 1].image, e->row[i].image) == 0)
            return vj_fail(
                err, -EINVAL,
                "%s: rows of image '%s' stand in more than one place; keep them together "
                "and name each image once",
                path, e->row[i].image);
    e->folder = common_folder(e->row[0].image, e->row[e->count - 1].image);
    e->stem = vj_calloc(e->count, sizeof(*e->stem));
    if (!e->stem)
        return vj_fail(err, -ENOMEM, "%s: out of memory", path);
    for (size_t i = 0; i < e->count; i++)
        e->stem[i] = stem_of(e->row[i].image, i);
    qsort(e->stem, e->count, sizeof(*e->stem), compare_stems);
    return 0;
}

int vj_external_read(struct vj_external *external, const char *path, struct vj_error *err)
{
    struct vj_csv *csv;
    int r = vj_csv_open(&csv, path, err);
    if (r)
        return r;
    r = hash_file(external->sha256, path, err);
    if (!r)
        r = read_rows(external, csv, err);
    vj_csv_close(csv);
    forget_empty(external);
    return r ? r : sort_rows(external, path, err);
}

static const struct vj_external_row *find_exact(const struct vj_external *external,
                                                const char *image)
{
    struct vj_external_row key = {.image = (char *)image};
    return bsearch(&key, external->row, external->count, sizeof(key), compare_rows);
}

/* Any row of the image's stem. *other: another one, or NULL */
static const struct vj_external_row *find_stem(const struct vj_external *external,
                                               const char *image,
                                               const struct vj_external_row **other)
{
    const struct vj_external_stem key = stem_of(image, 0), *first = external->stem;
    const struct vj_external_stem *last = first + external->count - 1;
    const struct vj_external_stem *stem =
        bsearch(&key, first, external->count, sizeof(key), compare_stems);
    *other = NULL;
    if (!stem)
        return NULL;
    if (stem > first && compare_stems(stem - 1, stem) == 0)
        *other = &external->row[stem[-1].row];
    else if (stem < last && compare_stems(stem, stem + 1) == 0)
        *other = &external->row[stem[1].row];
    return &external->row[stem->row];
}

/* An image in one of the folders that all rows lie in. */
struct below {
    const char *folder; /* the first `length` bytes, with the slash */
    size_t length;
    const char *image;
};

static int compare_below(const void *key, const void *row)
{
    const struct below *below = key;
    const char *name = ((const struct vj_external_row *)row)->image;
    int order = strncmp(below->folder, name, below->length);
    return order ? order : strcmp(below->image, name + below->length);
}

/* Length of the folder above one, with the slash. */
static size_t folder_above(const char *name, size_t length)
{
    length--;
    while (length > 0 && name[length - 1] != '/')
        length--;
    return length;
}

/* Any row of the image in a folder that all rows have. *other: another one, or NULL */
static const struct vj_external_row *find_below(const struct vj_external *external,
                                                const char *image,
                                                const struct vj_external_row **other)
{
    const struct vj_external_row *row = NULL;
    struct below key = {
        .folder = external->row[0].image, .length = external->folder, .image = image};
    *other = NULL;
    for (; key.length > 0; key.length = folder_above(key.folder, key.length)) {
        const struct vj_external_row *found =
            bsearch(&key, external->row, external->count, sizeof(*external->row), compare_below);
        *other = row && found ? row : *other;
        row = found ? found : row;
    }
    return row;
}

/* *other: another row that fits the image as well, or NULL */
static const struct vj_external_row *find(const struct vj_external *external, const char *image,
                                          const struct vj_external_row **other)
{
    const struct vj_external_row *row = find_exact(external, image);
    *other = NULL;
    if (!row)
        row = find_below(external, image, other);
    return row ? row : find_stem(external, image, other);
}

const struct vj_external_row *vj_external_find(const struct vj_external *external,
                                               const char *image)
{
    const struct vj_external_row *other, *row = find(external, image, &other);
    return other ? NULL : row;
}

/* taken: [rows], the image that has each row; `image` takes its own */
static int take_row(const char **taken, const struct vj_external *external, const char *path,
                    const char *image, struct vj_error *err)
{
    const struct vj_external_row *other, *row = find(external, image, &other);
    if (other)
        return vj_fail(err, -EINVAL,
                       "%s: images '%s' and '%s' can both be %s of the data set; write its name "
                       "in full",
                       path, row < other ? row->image : other->image,
                       row < other ? other->image : row->image, image);
    if (!row)
        return 0;
    const char **by = &taken[row - external->row];
    if (*by)
        return vj_fail(err, -EINVAL,
                       "%s: image '%s' can be %s or %s of the data set; write their names in full",
                       path, row->image, *by, image);
    *by = image;
    return 1;
}

int vj_external_check(const struct vj_external *external, const char *path, char *const *image,
                      size_t count, struct vj_error *err)
{
    const char **taken = vj_calloc(external->count, sizeof(*taken));
    size_t found = 0;
    int r = taken ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; r >= 0 && i < count; i++) {
        r = take_row(taken, external, path, image[i], err);
        found += r > 0;
    }
    free(taken);
    if (r >= 0 && count && found == 0)
        return vj_fail(err, -EINVAL,
                       "%s: none of its %zu images is one of this run's %zu; its first one is "
                       "'%s', the run's '%s'",
                       path, external->count, count, external->row[0].image, image[0]);
    return r < 0 ? r : 0;
}

void vj_external_free(struct vj_external *external)
{
    for (size_t i = 0; i < external->count; i++) {
        free(external->row[i].image);
        free(external->row[i].score);
    }
    free(external->row);
    free(external->stem);
    *external = (struct vj_external){0};
}
