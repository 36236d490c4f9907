/* SPDX-License-Identifier: MIT */
#include "datasets/labels.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/image.h"

#define LABEL_FILE_MAX ((size_t)1 << 20) /* bytes; the official files have a few hundred */

static const char *const label_names[] = {
    [VJ_LABEL_NONE] = "none",   [VJ_LABEL_SQF] = "sqf",       [VJ_LABEL_SUR50] = "sur50",
    [VJ_LABEL_SUR75] = "sur75", [VJ_LABEL_MEDIAN] = "median", [VJ_LABEL_MEAN] = "mean",
};

int vj_label_parse(enum vj_label *label, const char *name, enum vj_label fallback,
                   struct vj_error *err)
{
    *label = fallback;
    if (!name)
        return 0;
    for (size_t i = 0; i < sizeof(label_names) / sizeof(label_names[0]); i++) {
        if (strcmp(name, label_names[i]) == 0) {
            *label = (enum vj_label)i;
            return 0;
        }
    }
    return vj_fail(err, -EINVAL,
                   "labels: unknown definition '%s'; known are sqf, sur50, sur75, median, mean, "
                   "none",
                   name);
}

const char *vj_label_name(enum vj_label label)
{
    return label_names[label];
}

void vj_label_describe(char *text, size_t size, enum vj_label label, int jnd)
{
    switch (label) {
    case VJ_LABEL_NONE:
        snprintf(text, size, "none");
        break;
    case VJ_LABEL_SQF:
        snprintf(text, size, "sqf: JND %d of the official stair quality function", jnd);
        break;
    case VJ_LABEL_SUR50:
    case VJ_LABEL_SUR75:
        snprintf(text, size,
                 "%s: smallest QF at which at least %d %% of the subjects see no difference "
                 "(subject JND %d < QF%s)",
                 vj_label_name(label), label == VJ_LABEL_SUR50 ? 50 : 75, jnd,
                 jnd > 1 ? ", or without one" : "");
        break;
    case VJ_LABEL_MEDIAN:
    case VJ_LABEL_MEAN:
        snprintf(text, size, "%s: %s of the subjects' JND %d%s, to the nearest QF, halves upwards",
                 vj_label_name(label), vj_label_name(label), jnd,
                 jnd == 1                   ? ""
                 : label == VJ_LABEL_MEDIAN ? " (below QF 1 for those without one)"
                                            : " (of those who have one)");
        break;
    }
}

static struct vj_label_value unknown_label(void)
{
    return (struct vj_label_value){.qf = VJ_QF_UNKNOWN, .exact = NAN};
}

static struct vj_label_value rounded_label(double exact)
{
    return (struct vj_label_value){.qf = (int)floor(exact + 0.5), .exact = exact};
}

/* ---- text files, line by line ---- */

struct text {
    char *data; /* owned, NUL-terminated */
    char *next; /* start of the next line, NULL after the last */
    char separator;
    size_t line; /* number of the line last given out */
};

static int text_open(struct text *text, const char *path, struct vj_error *err)
{
    memset(text, 0, sizeof(*text));
    uint8_t *data;
    size_t size;
    int rc = vj_file_read(&data, &size, path, LABEL_FILE_MAX, err);
    if (rc)
        return rc;
    if (memchr(data, '\0', size)) {
        free(data);
        return vj_fail(err, -EINVAL, "%s: holds NUL bytes; an 8-bit text file is expected", path);
    }
    char *copy = realloc(data, size + 1);
    if (!copy) {
        free(data);
        return vj_fail(err, -ENOMEM, "%s: out of memory", path);
    }
    copy[size] = '\0';
    text->data = text->next = copy;
    if (strncmp(copy, "\xEF\xBB\xBF", 3) == 0)
        text->next += 3; /* the mark that some editors write in front of UTF-8 */
    /* CR is a stray blank beside LF, and the line end of files that have no LF at all. */
    text->separator = memchr(copy, '\n', size) ? '\n' : '\r';
    return 0;
}

static char *text_line(struct text *text)
{
    char *line = text->next;
    if (!line)
        return NULL;
    char *end = strchr(line, text->separator);
    if (end)
        *end = '\0';
    text->next = end ? end + 1 : NULL;
    text->line++;
    return line;
}

static const char *skip_blanks(const char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

/* The next line that is not blank, or NULL. */
static char *text_filled_line(struct text *text)
{
    char *line;
    do {
        line = text_line(text);
    } while (line && *skip_blanks(line) == '\0');
    return line;
}

bool vj_parse_number(const char *text, double *value)
{
    const char *start = skip_blanks(text);
    /* strtod also takes hexadecimal, "inf" and "nan", none of which belongs into a label file. */
    size_t length = strspn(start, "0123456789+-.eE");
    if (!length || *skip_blanks(start + length) != '\0')
        return false;
    char *end;
    *value = strtod(start, &end);
    return end == start + length && isfinite(*value);
}

/* ---- stair quality function ---- */

/* Cuts the next blank-separated token off *cursor; NULL when none is left. */
static char *next_token(char **cursor)
{
    char *p = *cursor;
    while (isspace((unsigned char)*p))
        p++;
    if (!*p)
        return NULL;
    char *token = p;
    while (*p && !isspace((unsigned char)*p))
        p++;
    if (*p)
        *p++ = '\0';
    *cursor = p;
    return token;
}

static int check_stair(const struct vj_stairs *stairs, const char *token, const char *path,
                       size_t line, struct vj_error *err)
{
    size_t i = stairs->count;
    int qf = stairs->qf[i];
    if (qf < 1 || qf > VJ_QF_MAX)
        return vj_fail(err, -EINVAL, "%s:%zu: QF '%.40s' outside 1..100", path, line, token);
    if (i == 0 && qf != VJ_QF_MAX)
        return vj_fail(err, -EINVAL, "%s:%zu: the first QF is %d; it must be the anchor, 100", path,
                       line, qf);
    if (i > 0 && qf >= stairs->qf[i - 1])
        return vj_fail(err, -EINVAL, "%s:%zu: QF %d after %d; the QFs must descend", path, line, qf,
                       stairs->qf[i - 1]);
    return 0;
}

static int read_stair_qfs(struct vj_stairs *stairs, char *line, const char *path, size_t number,
                          struct vj_error *err)
{
    for (char *token; (token = next_token(&line));) {
        double value;
        if (!vj_parse_number(token, &value) || value != floor(value))
            return vj_fail(err, -EINVAL, "%s:%zu: '%.40s' is no QF", path, number, token);
        if (stairs->count == VJ_STAIRS_MAX)
            return vj_fail(err, -EINVAL, "%s:%zu: more than %d QFs", path, number, VJ_STAIRS_MAX);
        stairs->qf[stairs->count] = value >= 1 && value <= VJ_QF_MAX ? (int)value : 0;
        int rc = check_stair(stairs, token, path, number, err);
        if (rc)
            return rc;
        stairs->count++;
    }
    return 0;
}

static int read_stair_heights(struct vj_stairs *stairs, char *line, const char *path, size_t number,
                              struct vj_error *err)
{
    size_t count = 0;
    for (char *token; (token = next_token(&line)); count++) {
        double value;
        if (!vj_parse_number(token, &value))
            return vj_fail(err, -EINVAL, "%s:%zu: '%.40s' is no stair height", path, number, token);
        if (count < stairs->count)
            stairs->height[count] = value;
    }
    if (count != stairs->count)
        return vj_fail(err, -EINVAL, "%s:%zu: %zu stair heights for the %zu QFs of the first line",
                       path, number, count, stairs->count);
    return 0;
}

int vj_stairs_read(struct vj_stairs *stairs, const char *path, struct vj_error *err)
{
    memset(stairs, 0, sizeof(*stairs));
    struct text text;
    int rc = text_open(&text, path, err);
    if (rc)
        return rc;
    char *line = text_filled_line(&text);
    if (!line) {
        rc = vj_fail(err, -EINVAL, "%s: holds no QFs", path);
        goto out;
    }
    rc = read_stair_qfs(stairs, line, path, text.line, err);
    if (rc)
        goto out;
    line = text_filled_line(&text);
    if (!line) {
        rc = vj_fail(err, -EINVAL,
                     "%s: has one line; the second, with %zu stair heights, is missing", path,
                     stairs->count);
        goto out;
    }
    rc = read_stair_heights(stairs, line, path, text.line, err);
out:
    free(text.data);
    return rc;
}

struct vj_label_value vj_stairs_label(const struct vj_stairs *stairs, int jnd)
{
    if (jnd < 1 || (size_t)jnd >= stairs->count)
        return unknown_label();
    return rounded_label(stairs->qf[jnd]);
}

/* ---- answers of single subjects ---- */

/*
 * A sign or a point beside a number belongs to it, and answers have neither. A hyphen right behind
 * another number is no sign: it separates.
 */
static bool has_sign(const char *line, const char *number)
{
    if (number == line || !strchr("-+.", number[-1]))
        return false;
    return !(number[-1] == '-' && number - line > 1 && isdigit((unsigned char)number[-2]));
}

/* Values of one line into value[0..max-1] (the rest stays 0); *count counts all of them. */
static int read_answers(int *value, size_t max, size_t *count, const char *line, const char *path,
                        size_t number, struct vj_error *err)
{
    *count = 0;
    for (const char *p = line; *p;) {
        if (!isdigit((unsigned char)*p)) {
            p++;
            continue;
        }
        const char *start = p;
        int qf = 0;
        for (; isdigit((unsigned char)*p); p++)
            qf = qf > VJ_QF_MAX ? qf : qf * 10 + (*p - '0');
        if (has_sign(line, start) || *p == '+' || *p == '.') {
            start -= has_sign(line, start);
            const size_t length = strcspn(start, " \t\r,;/]");
            return vj_fail(err, -EINVAL, "%s:%zu: '%.*s' is not a whole number from 0 to 100", path,
                           number, (int)(length > 20 ? 20 : length), start);
        }
        if (qf > VJ_QF_MAX)
            return vj_fail(err, -EINVAL, "%s:%zu: QF %.*s outside 1..100 (0 = no such JND)", path,
                           number, (int)(p - start > 20 ? 20 : p - start), start);
        if (*count < max)
            value[*count] = qf;
        ++*count;
    }
    return 0;
}

static int check_answers(const int *value, int jnd, const char *path, size_t line,
                         struct vj_error *err)
{
    for (int k = 1; k < jnd; k++) {
        if (value[k - 1] == 0 && value[k] != 0)
            return vj_fail(err, -EINVAL,
                           "%s:%zu: QF %d follows 0 (no such JND); the QFs must descend", path,
                           line, value[k]);
        if (value[k] != 0 && value[k] >= value[k - 1])
            return vj_fail(err, -EINVAL, "%s:%zu: QF %d after %d; the QFs must descend", path, line,
                           value[k], value[k - 1]);
    }
    return 0;
}

static int read_subject_rows(struct vj_subjects *subjects, struct text *text, const char *path,
                             int jnd, struct vj_error *err)
{
    for (char *line; (line = text_line(text));) {
        int value[VJ_JND_MAX] = {0};
        size_t found;
        int rc = read_answers(value, VJ_JND_MAX, &found, line, path, text->line, err);
        if (!rc && found == 0)
            continue;
        if (!rc)
            rc = check_answers(value, jnd, path, text->line, err);
        if (rc)
            return rc;
        if (subjects->count == VJ_SUBJECTS_MAX)
            return vj_fail(err, -EINVAL, "%s:%zu: more than %d rows", path, text->line,
                           VJ_SUBJECTS_MAX);
        for (int k = 0; k < VJ_JND_MAX; k++)
            subjects->qf[k][subjects->count] = value[k];
        subjects->count++;
    }
    return 0;
}

int vj_subjects_read(struct vj_subjects *subjects, const char *path, size_t rows, int jnd,
                     struct vj_error *err)
{
    memset(subjects, 0, sizeof(*subjects));
    struct text text;
    int rc = text_open(&text, path, err);
    if (rc)
        return rc;
    rc = read_subject_rows(subjects, &text, path, jnd, err);
    if (!rc && rows && subjects->count != rows)
        rc = vj_fail(err, -EINVAL, "%s: %zu rows; %zu subjects, one per row, are expected", path,
                     subjects->count, rows);
    if (!rc && subjects->count == 0)
        rc = vj_fail(err, -EINVAL, "%s: holds no QFs", path);
    free(text.data);
    return rc;
}

/* seen[q]: how many subjects have JND q, q = 0..100. */
static void count_answers(size_t seen[VJ_QF_MAX + 1], const int *answers, size_t count)
{
    memset(seen, 0, (VJ_QF_MAX + 1) * sizeof(seen[0]));
    for (size_t i = 0; i < count; i++)
        seen[answers[i]]++;
}

/* The answer of rank `rank` (from 0), in ascending order. */
static int answer_of_rank(const size_t seen[VJ_QF_MAX + 1], size_t rank)
{
    int q = 0;
    for (size_t below = seen[0]; below <= rank; below += seen[q])
        q++;
    return q;
}

static struct vj_label_value median_label(const size_t seen[VJ_QF_MAX + 1], size_t count)
{
    int low = answer_of_rank(seen, (count - 1) / 2);
    int high = answer_of_rank(seen, count / 2);
    return low ? rounded_label((low + high) / 2.0) : unknown_label();
}

static struct vj_label_value mean_label(const size_t seen[VJ_QF_MAX + 1], size_t count)
{
    size_t sum = 0, with_jnd = count - seen[0];
    for (size_t q = 1; q <= VJ_QF_MAX; q++)
        sum += q * seen[q];
    return with_jnd ? rounded_label((double)sum / (double)with_jnd) : unknown_label();
}

static struct vj_label_value sur_label(const size_t seen[VJ_QF_MAX + 1], size_t count,
                                       size_t percent)
{
    size_t satisfied = 0;
    for (int q = 1; q <= VJ_QF_MAX; q++) {
        satisfied += seen[q - 1];
        if (100 * satisfied >= percent * count)
            return rounded_label(q);
    }
    return unknown_label();
}

struct vj_label_value vj_label_from_answers(enum vj_label label, const int *answers, size_t count)
{
    size_t seen[VJ_QF_MAX + 1];
    if (count == 0)
        return unknown_label();
    count_answers(seen, answers, count);
    switch (label) {
    case VJ_LABEL_SUR50:
        return sur_label(seen, count, 50);
    case VJ_LABEL_SUR75:
        return sur_label(seen, count, 75);
    case VJ_LABEL_MEDIAN:
        return median_label(seen, count);
    case VJ_LABEL_MEAN:
        return mean_label(seen, count);
    case VJ_LABEL_NONE:
    case VJ_LABEL_SQF:
        break;
    }
    return unknown_label();
}

void vj_sur_from_answers(float sur[VJ_QF_MAX + 1], const int *answers, size_t count)
{
    size_t seen[VJ_QF_MAX + 1], satisfied = 0;
    count_answers(seen, answers, count);
    sur[0] = 0;
    for (size_t q = 1; q <= VJ_QF_MAX; q++) {
        satisfied += seen[q - 1];
        sur[q] = (float)((double)satisfied / (double)count);
    }
}
