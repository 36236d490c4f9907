/* SPDX-License-Identifier: MIT */
#include "host/rows_from.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"

#ifndef VJ_ROWS_COPY_BYTES
#define VJ_ROWS_COPY_BYTES (1 << 24)
#endif

enum { COPY_BYTES = VJ_ROWS_COPY_BYTES }; /* of one column at a time; a test has smaller pieces */

/* Another run's file. */
struct part {
    struct vj_results *results;
    size_t count;
    int32_t *id, *status, *fold; /* [count] */
    size_t *by_id;               /* rows in the order of their ids */
};

static void part_close(struct part *part)
{
    vj_results_close(part->results);
    free(part->id);
    free(part->status);
    free(part->fold);
    free(part->by_id);
}

static int read_ints(int32_t **values, struct vj_results *results, const char *path, size_t count,
                     struct vj_error *err)
{
    int r = vj_results_check(results, path, count, 0, err);
    if (r)
        return r;
    *values = vj_calloc(count, sizeof(**values));
    if (!*values)
        return vj_fail(err, -ENOMEM, "out of memory for the %zu rows of %s", count, path);
    return vj_results_read(results, path, VJ_COLUMN_I32, 0, count, *values, err);
}

static int check_status(const struct part *part, struct vj_error *err)
{
    for (size_t i = 0; i < part->count; i++)
        if (part->status[i] < VJ_STATUS_PENDING || part->status[i] > VJ_STATUS_FAILED)
            return vj_fail(err, -EINVAL, "row %zu of /images/status is %d; the file is damaged", i,
                           (int)part->status[i]);
    return 0;
}

static int by_id(const void *a, const void *b, void *user)
{
    const int32_t *id = user, x = id[*(const size_t *)a], y = id[*(const size_t *)b];
    return (x > y) - (x < y);
}

static int sort_rows(struct part *part, struct vj_error *err)
{
    part->by_id = vj_calloc(part->count, sizeof(*part->by_id));
    if (!part->by_id)
        return vj_fail(err, -ENOMEM, "out of memory for %zu rows", part->count);
    for (size_t i = 0; i < part->count; i++)
        part->by_id[i] = i;
    qsort_r(part->by_id, part->count, sizeof(*part->by_id), by_id, part->id);
    for (size_t i = 1; i < part->count; i++)
        if (part->id[part->by_id[i]] == part->id[part->by_id[i - 1]])
            return vj_fail(err, -EINVAL, "two of its rows have the id %d; the file is damaged",
                           (int)part->id[part->by_id[i]]);
    return 0;
}

static int check_positive(const struct vj_engine *engine, struct vj_error *err)
{
    for (size_t i = 0; engine->config.lazy && i < engine->predictors->count; i++) {
        const struct vj_predictor *p = &engine->predictors->list[i];
        if (vj_predictor_is_network(p) && p->positive_auto)
            return vj_fail(err, -EINVAL,
                           "with lazy=true and positive_class=auto each run decides on its own "
                           "images where it asks %s; give all runs positive_class=lossy or "
                           "lossless",
                           p->name);
    }
    return 0;
}

/* Opens a file and checks that its rows may stand beside this run's. */
static int part_open(struct part *part, const struct vj_engine *engine,
                     const struct vj_image_list *images, const struct vj_run_facts *facts,
                     const char *path, struct vj_error *err)
{
    size_t dim[VJ_COLUMN_RANK_MAX], string_size;
    int rank;
    *part = (struct part){0};
    int r = vj_results_open(&part->results, path, false, err);
    if (!r)
        r = vj_schema_match(part->results, engine, images, facts, true, err);
    if (!r)
        r = check_positive(engine, err);
    if (!r)
        r = vj_results_shape(part->results, "/images/id", &part->count, &rank, dim, &string_size,
                             err);
    if (!r)
        r = read_ints(&part->id, part->results, "/images/id", part->count, err);
    if (!r)
        r = read_ints(&part->status, part->results, "/images/status", part->count, err);
    if (!r)
        r = read_ints(&part->fold, part->results, "/images/fold", part->count, err);
    if (!r)
        r = check_status(part, err);
    return r ? r : sort_rows(part, err);
}

/* A part may have been put together itself. */
static int add_its_parts(struct vj_text *text, const struct part *part, struct vj_error *err)
{
    char *value;
    if (!vj_results_has_attribute(part->results, "/", "rows_from"))
        return 0;
    int r = vj_results_get_text(part->results, "/", "rows_from", &value, err);
    if (!r)
        vj_text_add(text, " (with those of %s)", value);
    free(value);
    return r;
}

int vj_rows_from_check(struct vj_text *text, const struct vj_engine *engine,
                       const struct vj_image_list *images, const struct vj_run_facts *facts,
                       const char *path, struct vj_error *err)
{
    static const char *const origin[] = {"created_utc", "host", "device"};
    struct part part;
    size_t evaluated = 0;
    int r = part_open(&part, engine, images, facts, path, err);
    for (size_t i = 0; !r && i < part.count; i++)
        evaluated += part.status[i] != VJ_STATUS_PENDING;
    if (!r)
        vj_text_add(text, "%s: %zu images", path, evaluated);
    for (size_t i = 0; !r && i < sizeof(origin) / sizeof(origin[0]); i++) {
        char *value;
        r = vj_results_get_text(part.results, "/", origin[i], &value, err);
        if (!r)
            vj_text_add(text, ", %s", value);
        free(value);
    }
    if (!r)
        r = add_its_parts(text, &part, err);
    part_close(&part);
    if (!r)
        r = vj_text_status(text, err);
    return r ? vj_fail_prefix(err, "cannot take rows from %s", path) : 0;
}

/* ---- taking ---- */

/* The part's evaluated row of an image; part->count when it has none. */
static size_t find_row(const struct part *part, int32_t id)
{
    size_t first = 0, end = part->count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (part->id[part->by_id[middle]] < id)
            first = middle + 1;
        else
            end = middle;
    }
    const bool there = first < part->count && part->id[part->by_id[first]] == id &&
                       part->status[part->by_id[first]] != VJ_STATUS_PENDING;
    return there ? part->by_id[first] : part->count;
}

/* Neighbouring rows of the part that are neighbours in the results, too. */
struct span {
    size_t from, to, count;
};

/* The first span from `at` on; count = 0 when there is none. status: of the results' rows */
static struct span next_span(const struct part *part, const struct vj_image_list *images,
                             const int32_t *status, size_t at)
{
    struct span span = {.to = at};
    for (; span.to < images->count; span.to++) {
        span.from = status[span.to] == VJ_STATUS_PENDING ? find_row(part, images->id[span.to])
                                                         : part->count;
        if (span.from < part->count)
            break;
    }
    for (size_t j = span.to; j < images->count && status[j] == VJ_STATUS_PENDING; j++) {
        if (find_row(part, images->id[j]) != span.from + span.count ||
            span.from + span.count == part->count)
            break;
        span.count++;
    }
    return span;
}

static size_t value_bytes(const struct vj_column *column)
{
    switch (column->type) {
    case VJ_COLUMN_F32:
        return sizeof(float);
    case VJ_COLUMN_F64:
        return sizeof(double);
    case VJ_COLUMN_I32:
        return sizeof(int32_t);
    case VJ_COLUMN_I64:
        return sizeof(int64_t);
    case VJ_COLUMN_U8:
        return sizeof(uint8_t);
    case VJ_COLUMN_STRING:
        break;
    }
    return column->string_size;
}

/* Rows of a column that are copied at a time. */
static size_t rows_at_once(size_t row_bytes, size_t count)
{
    const size_t most = row_bytes < COPY_BYTES ? COPY_BYTES / row_bytes : 1;
    return most < count ? most : count;
}

static int copy_span(struct vj_results *to, struct vj_results *from, const struct vj_column *column,
                     const struct span *span, struct vj_error *err)
{
    size_t row = value_bytes(column);
    for (int k = 0; k < column->rank; k++)
        row *= column->dim[k];
    const size_t most = rows_at_once(row, span->count);
    void *values = vj_calloc(most, row);
    int r = values ? 0 : vj_fail(err, -ENOMEM, "out of memory for rows of %s", column->path);
    for (size_t at = 0; !r && at < span->count; at += most) {
        const size_t count = span->count - at < most ? span->count - at : most;
        r = vj_results_read(from, column->path, column->type, span->from + at, count, values, err);
        if (!r)
            r = vj_results_write(to, column->path, column->type, span->to + at, count, values, err);
    }
    free(values);
    return r;
}

static int check_row(const struct part *part, const struct vj_image_list *images, size_t from,
                     size_t to, const char *name, size_t size, struct vj_error *err)
{
    const char *ours = images->name[to];
    const size_t length = strnlen(name, size);
    if (strlen(ours) == length && memcmp(ours, name, length) == 0 &&
        part->fold[from] == images->fold[to])
        return 0;
    return vj_fail(err, -EINVAL, "its image %d is %.*s, of fold %d, this run's %.200s, of fold %d",
                   (int)images->id[to], (int)(length < 200 ? length : 200), name,
                   (int)part->fold[from], ours, (int)images->fold[to]);
}

/* Same data set and options, so these can differ in a damaged file alone. */
static int check_span(const struct part *part, const struct vj_image_list *images,
                      const struct span *span, struct vj_error *err)
{
    size_t rows, dim[VJ_COLUMN_RANK_MAX], size;
    int rank;
    int r = vj_results_shape(part->results, "/images/name", &rows, &rank, dim, &size, err);
    if (!r && size == 0)
        r = vj_fail(err, -EINVAL, "its /images/name are no strings; the file is damaged");
    if (!r)
        r = vj_results_check(part->results, "/images/name", part->count, 0, err);
    if (r)
        return r;
    const size_t most = rows_at_once(size, span->count);
    char *name = vj_calloc(most, size);
    if (!name)
        return vj_fail(err, -ENOMEM, "out of memory for names of %zu bytes", size);
    for (size_t at = 0; !r && at < span->count; at += most) {
        const size_t count = span->count - at < most ? span->count - at : most;
        r = vj_results_read(part->results, "/images/name", VJ_COLUMN_STRING, span->from + at, count,
                            name, err);
        for (size_t i = 0; !r && i < count; i++)
            r = check_row(part, images, span->from + at + i, span->to + at + i, name + i * size,
                          size, err);
    }
    free(name);
    return r;
}

static int take_span(struct vj_results *results, const struct part *part,
                     const struct vj_image_list *images, const struct vj_column *column,
                     size_t columns, const struct span *span, struct vj_error *err)
{
    int r = check_span(part, images, span, err);
    for (size_t i = 0; !r && i < columns; i++)
        if (vj_schema_is_measured(column[i].path))
            r = copy_span(results, part->results, &column[i], span, err);
    return r;
}

/* status: of the results' rows, which it updates, on the disk after everything else */
static int take_all(struct vj_results *results, const struct part *part,
                    const struct vj_image_list *images, const struct vj_column *column,
                    size_t columns, int32_t *status, size_t *taken, struct vj_error *err)
{
    int r = 0;
    for (struct span span = next_span(part, images, status, 0); !r && span.count > 0;
         span = next_span(part, images, status, span.to + span.count)) {
        r = take_span(results, part, images, column, columns, &span, err);
        for (size_t i = 0; i < span.count; i++)
            status[span.to + i] = part->status[span.from + i];
        *taken += span.count;
    }
    if (!r)
        r = vj_results_sync(results, err);
    if (!r)
        r = vj_results_write(results, "/images/status", VJ_COLUMN_I32, 0, images->count, status,
                             err);
    return r ? r : vj_results_flush(results, err);
}

int vj_rows_from_take(struct vj_results *results, const struct vj_engine *engine,
                      const struct vj_image_list *images, const struct vj_run_facts *facts,
                      const char *path, size_t *taken, struct vj_error *err)
{
    struct part part;
    struct vj_column *column = NULL;
    int32_t *status = NULL;
    size_t columns;
    *taken = 0;
    int r = part_open(&part, engine, images, facts, path, err);
    if (!r)
        r = read_ints(&status, results, "/images/status", images->count, err);
    if (!r)
        r = vj_schema_columns(&column, &columns, engine, images, err);
    if (!r)
        r = take_all(results, &part, images, column, columns, status, taken, err);
    part_close(&part);
    free(column);
    free(status);
    return r ? vj_fail_prefix(err, "cannot take rows from %s", path) : 0;
}
