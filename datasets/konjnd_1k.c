/* SPDX-License-Identifier: MIT */
/*
 * `konjnd-1k`: KonJND-1k (Lin et al., "Large-scale crowdsourced subjective assessment of
 * picturewise just noticeable difference", 2022): 1,008 sources of 640x480, 504 of them compressed
 * by JPEG, 504 by BPG. `root` is the folder KonJND-1k as unpacked:
 *     subjective_ratings.csv            image_id,Compression type,No. of ratings,mean,std,ratings
 *     source_image/SRC0001.png
 *     jpeg/SRC0001_JPEG_001.jpg .. _100.jpg
 *     bpg/SRC0505_BPG_001.png .. _051.png      decoded; the release has no .bpg files
 * `codec` says which half: jpeg (default) or bpg. Which sources belong to it is said by the CSV's
 * column, not by their numbers. Rows of the other half, and of any other type, are no items;
 * info.excluded counts and names them.
 *
 * Labels: mean by default; median, sur50, sur75. All are computed from the row's list of ratings,
 * each rating being one subject's JND in file-index units. Ratings are of the flicker between
 * source and candidate, so candidates are compared with the source picture (anchor_qf 0).
 *
 * Which way the file index runs is found from the files (konjnd_axis.c); names and ratings are
 * turned so that an item is in QF, or in BPG's levels, throughout. Without any JPEG file
 * (candidates=synthesize) index = QF is assumed, and recorded as assumed.
 *
 * BPG's rates: `streams` names a folder of BPG files made by the user, SRC0505_q29.bpg being what
 * `bpgenc -q 29` makes of SRC0505.png; without it the rates are unknown.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "datasets/csv.h"
#include "datasets/files.h"
#include "datasets/konjnd_internal.h"
#include "host/checked.h"
#include "host/int_order.h"

#define RATINGS_FILE "subjective_ratings.csv"

static const struct konjnd_half halves[] = {
    {"JPEG", "jpeg", VJ_QF_MAX, VJ_QF_MAX, false},
    {"BPG", "bpg", 51, KONJND_BPG_LEVELS, true},
};

struct columns {
    int image, type, number, ratings;
};

static void konjnd_close(void *state)
{
    struct konjnd *k = state;
    for (size_t i = 0; i < k->count; i++) {
        free(k->rows[i].name);
        free(k->rows[i].error);
        free(k->rows[i].ratings);
    }
    free(k->rows);
    free(k->other_half.id);
    free(k->unknown.id);
    free(k->streams);
    free(k->root);
    free(k->file);
    free(k);
}

/* ---- the CSV ---- */

/* Reads the JSON list "[34, 41, 29]" of whole numbers 1..most into rating[0..VJ_SUBJECTS_MAX-1]. */
static int parse_ratings(int *rating, size_t *count, const char *text, int most,
                         struct vj_error *err)
{
    const char *p = text + strspn(text, " \t\r\n");
    if (*p != '[')
        return vj_fail(err, -EINVAL, "ratings '%.40s' is not a list in square brackets", text);
    *count = 0;
    for (char separator = '['; separator != ']';) {
        p++;
        p += strspn(p, " \t\r\n");
        size_t length = strcspn(p, ",]");
        char number[64];
        double value;
        snprintf(number, sizeof(number), "%.*s", (int)(length < 63 ? length : 63), p);
        /* one that does not fit may go on behind what would be read */
        if (length >= sizeof(number) || !vj_parse_number(number, &value) || value != floor(value))
            return vj_fail(err, -EINVAL, "ratings: '%.40s' is not a whole number", number);
        if (value < 1 || value > most)
            return vj_fail(err, -EINVAL, "ratings: %.40s outside 1..%d", number, most);
        if (*count == VJ_SUBJECTS_MAX)
            return vj_fail(err, -EINVAL, "ratings: more than %d", VJ_SUBJECTS_MAX);
        rating[(*count)++] = (int)value;
        p += length;
        separator = *p;
        if (separator == '\0')
            return vj_fail(err, -EINVAL, "ratings: the list is not closed");
    }
    p++;
    if (p[strspn(p, " \t\r\n")] != '\0')
        return vj_fail(err, -EINVAL, "ratings: '%.40s' after the list", p);
    return 0;
}

static int parse_row(struct konjnd_row *row, const struct vj_csv *csv, const struct columns *at,
                     int most, struct vj_error *err)
{
    const char *image = vj_csv_field(csv, at->image);
    if (vj_csv_fields(csv) != vj_csv_columns(csv))
        return vj_fail(err, -EINVAL, "%zu fields where the first line names %zu columns",
                       vj_csv_fields(csv), vj_csv_columns(csv));
    row->id = vj_numbered_name(image, "SRC", 4, ".png");
    if (!row->id)
        return vj_fail(err, -EINVAL, "image_id '%.40s' is not of the form SRC0001.png", image);
    int rating[VJ_SUBJECTS_MAX];
    size_t count = 0;
    int rc = parse_ratings(rating, &count, vj_csv_field(csv, at->ratings), most, err);
    if (rc)
        return rc;
    double said;
    if (at->number >= 0 &&
        (!vj_parse_number(vj_csv_field(csv, at->number), &said) || said != (double)count))
        return vj_fail(err, -EINVAL, "'No. of ratings' is '%.40s', the list has %zu",
                       vj_csv_field(csv, at->number), count);
    row->ratings = vj_calloc(count, sizeof(*row->ratings));
    if (!row->ratings)
        return vj_fail(err, -ENOMEM, "out of memory");
    memcpy(row->ratings, rating, count * sizeof(*row->ratings));
    row->count = count;
    return 0;
}

/* "SRC0001" for "SRC0001.png"; a text that is no such name is kept whole. */
static int name_row(struct konjnd_row *row, const char *image, size_t line, struct vj_error *err)
{
    if (row->id)
        return vj_text(&row->name, err, "SRC%04d", row->id);
    return vj_text(&row->name, err, "%.200s (line %zu)", image, line);
}

static int add_row(struct konjnd *k, size_t *room, const struct vj_csv *csv,
                   const struct columns *at, struct vj_error *err)
{
    if (k->count == *room) {
        size_t wanted = *room ? *room * 2 : 512;
        struct konjnd_row *grown = reallocarray(k->rows, wanted, sizeof(*grown));
        if (!grown)
            return vj_fail(err, -ENOMEM, "%s: out of memory", k->file);
        k->rows = grown;
        *room = wanted;
    }
    struct konjnd_row *row = &k->rows[k->count++];
    memset(row, 0, sizeof(*row));
    struct vj_error cause = {0};
    int rc = parse_row(row, csv, at, k->half->files, &cause);
    if (rc == -ENOMEM)
        return vj_fail(err, rc, "%s: %s", k->file, cause.text);
    if (rc)
        rc = vj_text(&row->error, err, "%s:%zu: %s", k->file, vj_csv_line(csv), cause.text);
    if (!rc)
        rc = name_row(row, vj_csv_field(csv, at->image), vj_csv_line(csv), err);
    return rc;
}

/* ---- rows that are no items ---- */

/* Keeps the number of the row's source; 0 where its name is none. */
static int exclude_row(struct konjnd *k, struct konjnd_numbers *list, const struct vj_csv *csv,
                       const struct columns *at, struct vj_error *err)
{
    if (list->count == list->capacity) {
        size_t more = list->capacity ? 2 * list->capacity : 512;
        int *grown = reallocarray(list->id, more, sizeof(*grown));
        if (!grown)
            return vj_fail(err, -ENOMEM, "%s: out of memory", k->file);
        list->id = grown;
        list->capacity = more;
    }
    list->id[list->count++] = vj_numbered_name(vj_csv_field(csv, at->image), "SRC", 4, ".png");
    return 0;
}

/* "504 rows of type BPG: SRC0505-SRC1008" */
static void describe_excluded(char *text, size_t size, const struct konjnd_numbers *list,
                              const char *type)
{
    size_t nameless = 0;
    const char *separator = ": ";
    if (!list->count)
        return;
    qsort(list->id, list->count, sizeof(*list->id), vj_compare_ints);
    vj_append(text, size, "%s%zu row%s of %s", *text ? "; " : "", list->count,
              list->count == 1 ? "" : "s", type);
    while (nameless < list->count && list->id[nameless] == 0)
        nameless++;
    for (size_t i = nameless; i < list->count;) {
        size_t end = i + 1;
        while (end < list->count && list->id[end] <= list->id[end - 1] + 1)
            end++;
        vj_append(text, size, "%sSRC%04d", separator, list->id[i]);
        if (list->id[end - 1] != list->id[i])
            vj_append(text, size, "-SRC%04d", list->id[end - 1]);
        separator = ", ";
        i = end;
    }
    if (nameless)
        vj_append(text, size, "%s%zu without such a name", separator, nameless);
}

static int find_columns(struct columns *at, const struct vj_csv *csv, struct vj_error *err)
{
    int rc = vj_csv_column(csv, "image_id", true, &at->image, err);
    if (!rc)
        rc = vj_csv_column(csv, "Compression type", true, &at->type, err);
    if (!rc)
        rc = vj_csv_column(csv, "ratings", true, &at->ratings, err);
    if (!rc)
        rc = vj_csv_column(csv, "No. of ratings", false, &at->number, err);
    return rc;
}

/* By the CSV's word or the option's, in capitals or not; NULL for any other one. */
static const struct konjnd_half *find_half(const char *type)
{
    for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++)
        if (strcasecmp(type, halves[i].type) == 0)
            return &halves[i];
    return NULL;
}

static int read_rows(struct konjnd *k, struct vj_error *err)
{
    struct vj_csv *csv;
    int rc = vj_csv_open(&csv, k->file, err);
    if (rc)
        return rc;
    struct columns at;
    size_t room = 0;
    rc = find_columns(&at, csv, err);
    for (bool more = true; !rc && more;) {
        rc = vj_csv_next(csv, &more, err);
        if (rc || !more)
            break;
        const struct konjnd_half *half = find_half(vj_csv_field(csv, at.type));
        if (half == k->half)
            rc = add_row(k, &room, csv, &at, err);
        else
            rc = exclude_row(k, half ? &k->other_half : &k->unknown, csv, &at, err);
    }
    vj_csv_close(csv);
    if (!rc && k->count == 0)
        rc =
            vj_fail(err, -EINVAL, "%s: no row has the Compression type %s", k->file, k->half->type);
    return rc;
}

/* Breaks row `again` of the source of row `first` and gives it a name of its own. */
static int break_repeat(const struct konjnd *k, const struct konjnd_row *first,
                        struct konjnd_row *again, struct vj_error *err)
{
    char *error, *name;
    int rc = vj_text(&error, err, "%s: %s has two %s rows; the first one counts", k->file,
                     first->name, k->half->type);
    if (rc)
        return rc;
    free(again->error);
    again->error = error;
    rc = vj_text(&name, err, "%s (%s row %zu)", first->name, k->half->type,
                 (size_t)(again - k->rows) + 1);
    if (rc)
        return rc;
    free(again->name);
    again->name = name;
    again->id = 0;
    return 0;
}

static int check_repeats(struct konjnd *k, struct vj_error *err)
{
    size_t *first = vj_calloc(k->count, sizeof(*first));
    char **names = vj_calloc(k->count, sizeof(*names));
    int rc;
    if (!first || !names) {
        rc = vj_fail(err, -ENOMEM, "%s: out of memory", k->file);
        goto out;
    }
    for (size_t i = 0; i < k->count; i++)
        names[i] = k->rows[i].name;
    rc = vj_first_equals(first, names, k->count, err);
    for (size_t i = 0; i < k->count && !rc; i++)
        if (first[i] != i)
            rc = break_repeat(k, &k->rows[first[i]], &k->rows[i], err);
out:
    free(first);
    free(names);
    return rc;
}

/* ---- the data set ---- */

static int choose_half(struct konjnd *k, const struct vj_dataset_options *opt, struct vj_error *err)
{
    k->half = find_half(opt->codec);
    k->qf_first = opt->qf_first;
    k->qf_last = opt->qf_last;
    if (!k->half)
        return vj_fail(err, -EINVAL, "codec: '%s', but konjnd-1k has jpeg and bpg", opt->codec);
    if (k->qf_last > k->half->levels)
        return vj_fail(err, -EINVAL,
                       "qf_last: %d, but the BPG half of konjnd-1k has levels 1..%d (52 - q; q 1 "
                       "to 3 are one picture); set qf_last=%d",
                       k->qf_last, k->half->levels, k->half->levels);
    return vj_require_files(opt, k->candidates, err);
}

static int parse_options(struct konjnd *k, const struct vj_dataset_options *opt,
                         struct vj_error *err)
{
    int rc = vj_label_parse(&k->label, opt->labels, VJ_LABEL_MEAN, err);
    if (!rc && k->label == VJ_LABEL_SQF)
        rc = vj_fail(err, -EINVAL,
                     "labels: sqf, but konjnd-1k has no stair quality function; use mean, median, "
                     "sur50 or sur75");
    if (!rc)
        rc = vj_candidates_parse(&k->candidates, opt->candidates, false, err);
    if (!rc)
        rc = vj_require_first_jnd(opt, "konjnd-1k", err);
    if (k->candidates == VJ_CANDIDATES_UNSAID)
        k->candidates = VJ_CANDIDATES_FILES;
    if (!rc)
        rc = choose_half(k, opt, err);
    if (!rc && opt->streams)
        rc = vj_text(&k->streams, err, "%s", opt->streams);
    if (!rc)
        rc = vj_text(&k->root, err, "%s", opt->root);
    if (!rc)
        rc = vj_text(&k->file, err, "%s/" RATINGS_FILE, opt->root);
    return rc;
}

static int check_tree(const struct konjnd *k, struct vj_error *err)
{
    char *folder = NULL;
    int rc = vj_check_root(k->root, err);
    if (!rc)
        rc = vj_text(&folder, err, "%s/source_image", k->root);
    if (!rc && !vj_is_folder(folder))
        rc = vj_fail(err, -ENOENT,
                     "%s: no such folder; root must be the folder KonJND-1k as unpacked", folder);
    free(folder);
    if (rc || k->candidates != VJ_CANDIDATES_FILES)
        return rc;
    rc = vj_text(&folder, err, "%s/%s", k->root, k->half->folder);
    if (!rc && !vj_is_folder(folder))
        rc =
            vj_fail(err, -ENOENT, "%s: no such folder; restore it%s", folder,
                    k->half->decoded ? "" : ", or set candidates=synthesize to encode the sources");
    free(folder);
    if (!rc && k->streams && !vj_is_folder(k->streams))
        rc = vj_fail(err, -ENOENT, "streams: %s: no such folder", k->streams);
    return rc;
}

static int konjnd_open(void **state, const struct vj_dataset_options *opt,
                       struct vj_dataset_info *info, struct vj_error *err)
{
    struct konjnd *k = vj_calloc(1, sizeof(*k));
    if (!k)
        return vj_fail(err, -ENOMEM, "%s: out of memory", opt->root);
    int rc = parse_options(k, opt, err);
    if (!rc)
        rc = check_tree(k, err);
    if (!rc)
        rc = read_rows(k, err);
    if (!rc)
        rc = check_repeats(k, err);
    if (!rc)
        rc = vj_konjnd_orient(k, info, err);
    if (rc) {
        konjnd_close(k);
        return rc;
    }
    vj_label_describe(info->label_definition, sizeof(info->label_definition), k->label, 1);
    vj_candidates_record(info, k->candidates);
    describe_excluded(info->excluded, sizeof(info->excluded), &k->other_half,
                      k->half->decoded ? "type JPEG" : "type BPG");
    describe_excluded(info->excluded, sizeof(info->excluded), &k->unknown, "no known type");
    info->human_labels = k->label != VJ_LABEL_NONE;
    *state = k;
    return 0;
}

static size_t konjnd_count(const void *state)
{
    const struct konjnd *k = state;
    return k->count;
}

static void set_label(const struct konjnd *k, const struct konjnd_row *row, struct vj_item *item)
{
    int answers[VJ_SUBJECTS_MAX];
    for (size_t i = 0; i < row->count; i++)
        answers[i] = vj_konjnd_level(k, row->ratings[i]);
    struct vj_label_value label = vj_label_from_answers(k->label, answers, row->count);
    /* So many see a difference at the best level that it would take one beyond. */
    const bool beyond = label.qf > k->half->levels;
    item->qf_true = beyond ? VJ_QF_UNKNOWN : label.qf;
    item->qf_exact = beyond ? NAN : label.exact;
    item->has_sur = true;
    vj_sur_from_answers(item->sur, answers, row->count);
}

static int konjnd_item(const void *state, size_t index, struct vj_item *item, struct vj_error *err)
{
    const struct konjnd *k = state;
    const struct konjnd_row *row = &k->rows[index];
    item->id = row->id ? row->id : KONJND_ROWS_FROM + (int)index;
    item->decoded = k->half->decoded;
    int rc = vj_text(&item->name, err, "%s", row->name);
    if (rc)
        return rc;
    if (row->error) {
        struct vj_error cause = {0};
        vj_fail(&cause, -EINVAL, "%s", row->error);
        return vj_item_break(item, &cause, err);
    }
    set_label(k, row, item);
    rc = vj_text(&item->source, err, "%s/source_image/%s.png", k->root, row->name);
    bool files = k->candidates == VJ_CANDIDATES_FILES;
    for (int q = k->qf_first; files && q <= k->qf_last && !rc; q++) {
        rc = vj_konjnd_candidate(k, row->name, vj_konjnd_index(k, q), &item->candidate[q], err);
        if (!rc && k->streams)
            rc = vj_text(&item->stream[q], err, "%s/%s_q%02d.bpg", k->streams, row->name,
                         vj_konjnd_bpg_q(q));
    }
    return rc ? rc : vj_item_check_files(item, files, k->qf_first, k->qf_last, err);
}

const struct vj_dataset_ops vj_dataset_konjnd_1k = {
    .name = "konjnd-1k",
    .description = "KonJND-1k: 504 sources with JPEG QF 1..100, or 504 with BPG levels 1..49 "
                   "(codec=bpg); crowd ratings",
    .open = konjnd_open,
    .count = konjnd_count,
    .item = konjnd_item,
    .close = konjnd_close,
};
