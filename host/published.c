/* SPDX-License-Identifier: MIT */
#include "host/published.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets/csv.h"
#include "datasets/labels.h"
#include "host/checked.h"

/* ---- where the file lies ---- */

/* "<folder of the program>/name"; false when that cannot be told. */
static bool beside_program(char *path, size_t size, const char *name)
{
    char program[2048];
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (n <= 0)
        return false;
    program[n] = '\0';
    char *slash = strrchr(program, '/');
    if (!slash)
        return false;
    *slash = '\0';
    int wanted = snprintf(path, size, "%s/%s", program, name);
    return wanted > 0 && (size_t)wanted < size;
}

static int find_file(char *path, size_t size, struct vj_error *err)
{
    static const char *const places[] = {"../results/published.csv",
                                         "../share/vpjnd/published.csv"};
    snprintf(path, size, "results/published.csv");
    if (access(path, R_OK) == 0)
        return 0;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char *real = beside_program(path, size, places[i]) ? realpath(path, NULL) : NULL;
        bool found = real && strlen(real) < size && access(real, R_OK) == 0;
        if (found)
            strcpy(path, real);
        free(real);
        if (found)
            return 0;
    }
    return vj_fail(err, -ENOENT,
                   "no published.csv: neither results/published.csv here, nor %s or %s beside the "
                   "program; name the file with --published-file=FILE",
                   places[0], places[1]);
}

/* ---- rows ---- */

enum column {
    MODEL,
    DATASET,
    CODEC,
    METRIC,
    VALUE,
    UNITS,
    LABELS,
    SOURCE,
    NOTE,
    UNCERTAINTY,
    STRINGS, /* up to here fields are kept as text */
    JND = STRINGS,
    POINT,
    RELATION,
    COLUMNS,
};

static const char *const column_names[COLUMNS] = {
    [MODEL] = "model",
    [DATASET] = "data_set",
    [CODEC] = "codec",
    [METRIC] = "metric",
    [VALUE] = "value",
    [UNITS] = "units",
    [LABELS] = "labels",
    [SOURCE] = "source",
    [NOTE] = "note",
    [JND] = "jnd",
    [POINT] = "point",
    [RELATION] = "relation",
    [UNCERTAINTY] = "uncertainty",
};

/* The fields of a row that are strings, in the order of the columns. */
static void strings_of(struct vj_report_published *p, const char **field[STRINGS])
{
    field[MODEL] = &p->model;
    field[DATASET] = &p->dataset;
    field[CODEC] = &p->codec;
    field[METRIC] = &p->metric;
    field[VALUE] = &p->printed;
    field[UNITS] = &p->units;
    field[LABELS] = &p->labels;
    field[SOURCE] = &p->source;
    field[NOTE] = &p->note;
    field[UNCERTAINTY] = &p->spread;
}

static void free_row(struct vj_report_published *p)
{
    const char **field[STRINGS];
    strings_of(p, field);
    for (int i = 0; i < STRINGS; i++)
        free((char *)*field[i]);
}

static int refuse(const struct vj_csv *csv, const int *at, enum column column, const char *what,
                  struct vj_error *err)
{
    return vj_fail(err, -EINVAL, "%s:%zu: %s '%.60s' %s", vj_csv_name(csv), vj_csv_line(csv),
                   column_names[column], vj_csv_field(csv, at[column]), what);
}

/* A whole number 1..most, or 0 for an empty field. */
static int read_count(int *count, const struct vj_csv *csv, const int *at, enum column column,
                      int most, struct vj_error *err)
{
    const char *text = vj_csv_field(csv, at[column]);
    double value;
    *count = 0;
    if (!*text)
        return 0;
    if (!vj_parse_number(text, &value) || value != floor(value) || value < 1 || value > most)
        return refuse(csv, at, column, "is no whole number in its range", err);
    *count = (int)value;
    return 0;
}

static int read_numbers(struct vj_report_published *p, const struct vj_csv *csv, const int *at,
                        struct vj_error *err)
{
    const char *relation = vj_csv_field(csv, at[RELATION]);
    const char *uncertainty = vj_csv_field(csv, at[UNCERTAINTY]);
    if (!vj_parse_number(vj_csv_field(csv, at[VALUE]), &p->value))
        return refuse(csv, at, VALUE, "is no number", err);
    p->uncertainty = NAN;
    if (*uncertainty && !vj_parse_number(uncertainty, &p->uncertainty))
        return refuse(csv, at, UNCERTAINTY, "is no number", err);
    if (*relation && strcmp(relation, "<") != 0)
        return refuse(csv, at, RELATION, "is neither empty nor <", err);
    p->below = *relation != '\0';
    int r = read_count(&p->jnd, csv, at, JND, VJ_JND_MAX, err);
    return r ? r : read_count(&p->point, csv, at, POINT, 1000, err);
}

static int read_row(struct vj_report_published *p, const struct vj_csv *csv, const int *at,
                    struct vj_error *err)
{
    const char **field[STRINGS];
    *p = (struct vj_report_published){0};
    strings_of(p, field);
    static const enum column required[] = {MODEL, DATASET, METRIC, SOURCE};
    for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++)
        if (!*vj_csv_field(csv, at[required[i]]))
            return refuse(csv, at, required[i], "is empty", err);
    int r = read_numbers(p, csv, at, err);
    for (int i = 0; !r && i < STRINGS; i++)
        if (!(*field[i] = strdup(vj_csv_field(csv, at[i]))))
            r = vj_fail(err, -ENOMEM, "%s: out of memory", vj_csv_name(csv));
    return r;
}

static int add_row(struct vj_published *published, const struct vj_csv *csv, const int *at,
                   struct vj_error *err)
{
    if (published->count == published->capacity) {
        size_t more = published->capacity ? 2 * published->capacity : 64;
        struct vj_report_published *grown = reallocarray(published->row, more, sizeof(*grown));
        if (!grown)
            return vj_fail(err, -ENOMEM, "%s: out of memory", vj_csv_name(csv));
        published->row = grown;
        published->capacity = more;
    }
    return read_row(&published->row[published->count++], csv, at, err);
}

int vj_published_read(struct vj_published *published, const char *file, const char *dataset,
                      struct vj_error *err)
{
    struct vj_csv *csv;
    int at[COLUMNS], r = 0;
    if (file)
        snprintf(published->file, sizeof(published->file), "%s", file);
    else
        r = find_file(published->file, sizeof(published->file), err);
    if (!r)
        r = vj_csv_open(&csv, published->file, err);
    if (r)
        return r;
    for (int i = 0; !r && i < COLUMNS; i++)
        r = vj_csv_column(csv, column_names[i], true, &at[i], err);
    for (bool more = true; !r && more;) {
        r = vj_csv_next(csv, &more, err);
        if (r || !more)
            break;
        if (vj_csv_fields(csv) != vj_csv_columns(csv))
            r = vj_fail(err, -EINVAL, "%s:%zu: %zu fields where the first line names %zu columns",
                        vj_csv_name(csv), vj_csv_line(csv), vj_csv_fields(csv),
                        vj_csv_columns(csv));
        else if (!dataset || strcmp(dataset, vj_csv_field(csv, at[DATASET])) == 0)
            r = add_row(published, csv, at, err);
    }
    vj_csv_close(csv);
    return r;
}

void vj_published_free(struct vj_published *published)
{
    for (size_t i = 0; i < published->count; i++)
        free_row(&published->row[i]);
    free(published->row);
    *published = (struct vj_published){0};
}
