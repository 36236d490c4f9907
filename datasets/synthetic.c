/* SPDX-License-Identifier: MIT */
/*
 * `synthetic`: pictures with labels from a stated synthetic observer, in the layout of MCL-JCI (see
 * mcl_jci.c) plus SYNTHETIC.txt in the root, with lines `key = value` (# starts a comment line):
 *     observer   what made the labels, in words (required; goes into the label definition)
 *     count      number of sources; those that are not there become broken items
 *     subjects   rows of the JND_samples files; any number when it is not said
 * and, where pictures are windows of photographs,
 *     procedural, windows   pictures 1..procedural are painted, the other ones cut; `count` is both
 *     photograph            WIDTHxHEIGHT sha256 DIGEST NAME: where the windows below it come from
 *     window                NUMBER x X y Y factor F, what was done to it, of NAME; one line per
 *                           window, in order. What may be done, in this order:
 *                           white|black S/256, contrast C/256, enlarged E/16, grain G/16,
 *                           sharpened S/16, grey, jpeg QF 420|444 left L above A
 *
 * These are checked: a list with holes would hide which pictures share a photograph, and splits of
 * training are made by item numbers. Other keys (seed, size, ...) are for the reader. The items are
 * the sources found, and those that `count` says should be there. Never presented as human data:
 * info.human_labels is false.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/dataset_internal.h"
#include "datasets/files.h"
#include "datasets/labels.h"
#include "host/checked.h"
#include "host/image.h"
#include "host/utf8.h"

#define NOTE_MAX    ((size_t)1 << 27) /* 9999 windows of the longest names */
#define SOURCES_MAX 9999

struct note {
    char observer[160]; /* cut off when longer */
    int count;          /* 0 = not said */
    int subjects;       /* 0 = not said */
    int procedural;
    int windows; /* 0 = no windows of photographs */
};

/* Cuts blanks off both ends, in place. */
static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

/* How far the file has been read. */
struct reading {
    const char *path;
    size_t line;            /* number of the line at hand, from 1 */
    int windows;            /* lines `window` so far */
    const char *photograph; /* name on the last such line; NULL before the first */
};

static int read_number(int *out, const char *value, int min, int max, const char *key,
                       const struct reading *at, struct vj_error *err)
{
    double number;
    if (!vj_parse_number(value, &number) || number < min || number > max || number != (int)number)
        return vj_fail(err, -EINVAL, "%s:%zu: %s '%.40s' is not a whole number %d..%d", at->path,
                       at->line, key, value, min, max);
    *out = (int)number;
    return 0;
}

static int read_photograph(const char *value, struct reading *at, struct vj_error *err)
{
    int digest = 0, end = 0;
    sscanf(value, "%*9[0-9]x%*9[0-9] sha256 %n%*64[0-9a-f]%n", &digest, &end);
    if (end - digest != 64 || value[end] != ' ' || !value[end + 1])
        return vj_fail(err, -EINVAL,
                       "%s:%zu: photograph '%.100s' is not of the form WIDTHxHEIGHT sha256 DIGEST "
                       "NAME",
                       at->path, at->line, value);
    at->photograph = value + end + 1;
    return 0;
}

/* The text behind " WORD N/PARTS", or the text itself where it does not begin so. */
static const char *skip_share(const char *text, const char *word, int parts)
{
    const size_t length = strlen(word);
    int stated = 0, end = 0;
    if (*text == ' ' && strncmp(text + 1, word, length) == 0)
        sscanf(text + 1 + length, " %*3[0-9]/%3d%n", &stated, &end);
    return stated == parts ? text + 1 + length + end : text;
}

/* What was done to a window, in the order of its steps; the text behind the last of them. */
static const char *skip_steps(const char *text)
{
    static const struct {
        const char *word;
        int parts;
    } shares[] = {{"white", 256},   {"black", 256}, {"contrast", 256},
                  {"enlarged", 16}, {"grain", 16},  {"sharpened", 16}};
    int end = 0;
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
        text = skip_share(text, shares[i].word, shares[i].parts);
    if (strncmp(text, " grey ", 6) == 0)
        text += 5;
    sscanf(text, " jpeg %*2[0-9] 4%*1[24]%*1[04] left %*2[0-9] above %*2[0-9]%n", &end);
    return text + end;
}

static int read_window(const struct note *note, const char *value, struct reading *at,
                       struct vj_error *err)
{
    int number = 0, end = 0;
    sscanf(value, "%9d x %*9[0-9] y %*9[0-9] factor %*1[123]%n", &number, &end);
    const char *rest = skip_steps(value + end);
    if (!end || strncmp(rest, " of ", 4) != 0 || !rest[4])
        return vj_fail(err, -EINVAL,
                       "%s:%zu: window '%.100s' is not of the form NUMBER x X y Y factor F "
                       "[white|black S/256] [contrast C/256] [enlarged E/16] [grain G/16] "
                       "[sharpened S/16] [grey] [jpeg QF 420|444 left L above A] of NAME",
                       at->path, at->line, value);
    if (number != note->procedural + at->windows + 1)
        return vj_fail(err, -EINVAL, "%s:%zu: window %d stands where %d is expected", at->path,
                       at->line, number, note->procedural + at->windows + 1);
    const char *name = rest + 4;
    if (!at->photograph || strcmp(name, at->photograph) != 0)
        return vj_fail(
            err, -EINVAL, "%s:%zu: window %d is of '%.80s', but stands below photograph '%.80s'",
            at->path, at->line, number, name, at->photograph ? at->photograph : "(none)");
    at->windows++;
    return 0;
}

static int read_value(struct note *note, const char *key, const char *value, struct reading *at,
                      struct vj_error *err)
{
    const struct {
        const char *key;
        int *out;
        int min, max;
    } numbers[] = {
        {"count", &note->count, 1, SOURCES_MAX},
        {"subjects", &note->subjects, 1, VJ_SUBJECTS_MAX},
        {"procedural", &note->procedural, 0, SOURCES_MAX},
        {"windows", &note->windows, 1, SOURCES_MAX},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (strcmp(key, numbers[i].key) == 0)
            return read_number(numbers[i].out, value, numbers[i].min, numbers[i].max, key, at, err);
    if (strcmp(key, "photograph") == 0)
        return read_photograph(value, at, err);
    if (strcmp(key, "window") == 0)
        return read_window(note, value, at, err);
    if (strcmp(key, "observer") == 0)
        snprintf(note->observer, sizeof(note->observer), "%s", value);
    return 0;
}

static int read_line(struct note *note, char *line, struct reading *at, struct vj_error *err)
{
    char *text = trim(line);
    if (*text == '\0' || *text == '#')
        return 0;
    char *equals = strchr(text, '=');
    if (!equals)
        return vj_fail(err, -EINVAL, "%s:%zu: '%.40s' is not of the form key = value", at->path,
                       at->line, text);
    *equals = '\0';
    return read_value(note, trim(text), trim(equals + 1), at, err);
}

static int check_windows(const struct note *note, const struct reading *at, struct vj_error *err)
{
    if (at->windows != note->windows)
        return vj_fail(err, -EINVAL,
                       "%s: lists %d windows of photographs where windows = %d; was it cut short?",
                       at->path, at->windows, note->windows);
    if (note->windows && note->procedural + note->windows != note->count)
        return vj_fail(err, -EINVAL, "%s: %d procedural pictures and %d windows are not count = %d",
                       at->path, note->procedural, note->windows, note->count);
    return 0;
}

/* Reads the settings in `text`, which is cut up. */
static int read_settings(struct note *note, char *text, const char *path, struct vj_error *err)
{
    struct reading at = {.path = path};
    for (char *line = text; line;) {
        char *end = strchr(line, '\n');
        if (end)
            *end = '\0';
        at.line++;
        int rc = read_line(note, line, &at, err);
        if (rc)
            return rc;
        line = end ? end + 1 : NULL;
    }
    if (!*note->observer)
        return vj_fail(err, -EINVAL, "%s: does not name the observer that made the labels", path);
    return check_windows(note, &at, err);
}

static int read_note(struct note *note, const char *root, struct vj_error *err)
{
    memset(note, 0, sizeof(*note));
    uint8_t *data = NULL;
    size_t size;
    int64_t found;
    char *path, *text;
    int rc = vj_text(&path, err, "%s/" VJ_SYNTHETIC_FILE, root);
    if (!rc && vj_file_size(path, &found) == -ENOENT)
        rc = vj_fail(err, -ENOENT,
                     "%s: no such file, so this is not a tree of procedural pictures or of "
                     "windows of photographs; make one with `vpjnd synth`, or use dataset=mcl-jci",
                     path);
    if (!rc)
        rc = vj_file_read(&data, &size, path, NOTE_MAX, err);
    if (rc)
        goto out;
    text = realloc(data, size + 1);
    if (!text) {
        rc = vj_fail(err, -ENOMEM, "%s: out of memory", path);
        goto out;
    }
    data = (uint8_t *)text;
    text[size] = '\0';
    rc = read_settings(note, text, path, err);
out:
    free(data);
    free(path);
    return rc;
}

static bool is_source(const char *name)
{
    int id = vj_mcl_source_id(name);
    return id != 0 && id <= SOURCES_MAX;
}

/* ids: SOURCES_MAX of them; *count is at least 1 on success. */
static int find_sources(int *ids, size_t *count, const struct note *note, const char *root,
                        struct vj_error *err)
{
    char *folder;
    struct vj_names names = {0};
    bool there[SOURCES_MAX + 1] = {false};
    int rc = vj_mcl_source_folder(&folder, root, err);
    if (!rc)
        rc = vj_names_list(&names, folder, is_source, err);
    for (size_t i = 0; i < names.count; i++)
        there[vj_mcl_source_id(names.name[i])] = true;
    vj_names_free(&names);
    *count = 0;
    for (int id = 1; id <= SOURCES_MAX; id++)
        if (there[id] || id <= note->count)
            ids[(*count)++] = id;
    if (!rc && *count == 0)
        rc = vj_fail(err, -ENOENT, "%s: holds no ImageJND_SRC<n>.bmp", folder);
    free(folder);
    return rc;
}

static int synthetic_open(void **state, const struct vj_dataset_options *opt,
                          struct vj_dataset_info *info, struct vj_error *err)
{
    struct note note;
    int *ids = vj_calloc(SOURCES_MAX, sizeof(*ids));
    if (!ids)
        return vj_fail(err, -ENOMEM, "%s: out of memory", opt->root);
    size_t count = 0;
    int rc = vj_mcl_check_root(opt->root, err);
    if (!rc)
        rc = read_note(&note, opt->root, err);
    if (!rc)
        rc = find_sources(ids, &count, &note, opt->root, err);
    if (!rc) {
        const struct vj_mcl_tree tree = {
            .ids = ids, .count = count, .subjects = (size_t)note.subjects, .labels = "sqf"};
        rc = vj_mcl_open(state, &tree, opt, info, err);
    }
    free(ids);
    if (rc)
        return rc;
    if (info->human_labels) {
        enum vj_label label = VJ_LABEL_NONE;
        vj_label_parse(&label, opt->labels, VJ_LABEL_SQF, NULL);
        snprintf(info->label_definition, sizeof(info->label_definition),
                 "%s of JND %d, synthetic observer: %.*s", vj_label_name(label), opt->jnd,
                 (int)vj_utf8_cut(note.observer, 110), note.observer);
    }
    info->human_labels = false;
    return 0;
}

const struct vj_dataset_ops vj_dataset_synthetic = {
    .name = "synthetic",
    .description = "pictures of `vpjnd synth`, labels of a stated synthetic observer",
    .open = synthetic_open,
    .count = vj_mcl_count,
    .item = vj_mcl_item,
    .close = vj_mcl_close,
};
