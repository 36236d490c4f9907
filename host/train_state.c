/* SPDX-License-Identifier: MIT */
#include "host/train_state.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/checked.h"
#include "host/h5.h"
#include "host/version.h"
#include "host/weights_h5.h"

#define STATE_SCHEMA "vpjnd-training-state"

enum { SCHEMA_VERSION = 1, ROWS_MAX = 1 << 28, TEXT_MAX = 60000 };

static const char *const set_groups[VJ_TRAIN_SETS] = {"weights", "moment_1", "moment_2", "average"};

static int write_schema(hid_t file, const char *schema, const char *config, struct vj_error *err)
{
    int r = vj_h5_write_text(file, "schema", schema, err);
    if (!r)
        r = vj_h5_write_int(file, "schema_version", SCHEMA_VERSION, err);
    if (!r)
        r = vj_h5_write_text(file, "program_version", VJ_VERSION, err);
    return r ? r : vj_h5_write_text(file, "config", config, err);
}

static int check_schema(hid_t file, const char *wanted, struct vj_error *err)
{
    char schema[64];
    int64_t version;
    int r = vj_h5_read_text(file, "schema", schema, sizeof(schema), err);
    if (!r && strcmp(schema, wanted) != 0)
        r = vj_fail(err, -EINVAL, "attribute schema is '%s', not '%s'", schema, wanted);
    if (!r)
        r = vj_h5_read_int(file, "schema_version", &version, err);
    if (!r && version != SCHEMA_VERSION)
        r = vj_fail(err, -EINVAL, "schema_version is %lld, this program reads %d",
                    (long long)version, SCHEMA_VERSION);
    return r;
}

/* ---- learning curves ---- */

void vj_train_log_free(struct vj_train_log *log)
{
    free(log->step);
    free(log->loss);
    free(log->accuracy);
    free(log->rate);
    free(log->seconds);
    free(log->validation_step);
    free(log->mad);
    free(log->bias);
    memset(log, 0, sizeof(*log));
}

static int grow(void *array, size_t room, size_t size)
{
    void **p = array;
    void *larger = realloc(*p, room * size);
    if (!larger)
        return -ENOMEM;
    *p = larger;
    return 0;
}

static int room_for_row(struct vj_train_log *log, size_t rows)
{
    if (rows <= log->rows_room)
        return 0;
    size_t room = rows + rows / 2 + 64;
    if (grow(&log->step, room, sizeof(int64_t)) || grow(&log->loss, room, sizeof(double)) ||
        grow(&log->accuracy, room, sizeof(double)) || grow(&log->rate, room, sizeof(double)) ||
        grow(&log->seconds, room, sizeof(double)))
        return -ENOMEM;
    log->rows_room = room;
    return 0;
}

static int room_for_validation(struct vj_train_log *log, size_t count)
{
    if (count <= log->validations_room)
        return 0;
    size_t room = count + count / 2 + 16;
    if (grow(&log->validation_step, room, sizeof(int64_t)) ||
        grow(&log->mad, room, sizeof(double)) || grow(&log->bias, room, sizeof(double)))
        return -ENOMEM;
    log->validations_room = room;
    return 0;
}

int vj_train_log_add(struct vj_train_log *log, int64_t step, double loss, double accuracy,
                     double rate, double seconds, struct vj_error *err)
{
    const size_t i = log->rows;
    if (room_for_row(log, i + 1))
        return vj_fail(err, -ENOMEM, "out of memory for the learning curve");
    log->step[i] = step;
    log->loss[i] = loss;
    log->accuracy[i] = accuracy;
    log->rate[i] = rate;
    log->seconds[i] = seconds;
    log->rows++;
    return 0;
}

int vj_train_log_validation(struct vj_train_log *log, int64_t step, double mad, double bias,
                            struct vj_error *err)
{
    const size_t i = log->validations;
    if (room_for_validation(log, i + 1))
        return vj_fail(err, -ENOMEM, "out of memory for the learning curve");
    log->validation_step[i] = step;
    log->mad[i] = mad;
    log->bias[i] = bias;
    log->validations++;
    return 0;
}

void vj_train_log_cut(struct vj_train_log *log, int64_t step)
{
    while (log->rows > 0 && log->step[log->rows - 1] > step)
        log->rows--;
    while (log->validations > 0 && log->validation_step[log->validations - 1] > step)
        log->validations--;
}

/* One column of a curve: its dataset, description and units. */
struct column {
    const char *path, *description, *units;
    void *data; /* int64_t or double */
    hid_t type;
};

enum { ROW_COLUMNS = 5, VALIDATION_COLUMNS = 3 };

static void list_columns(const struct vj_train_log *log,
                         struct column column[ROW_COLUMNS + VALIDATION_COLUMNS])
{
    const struct column all[] = {
        {"step", "last step of the row, which is a mean over 10 steps", NULL, log->step,
         H5T_NATIVE_INT64},
        {"loss", "mean loss of a pair", NULL, log->loss, H5T_NATIVE_DOUBLE},
        {"accuracy", "share of training pairs on the right side, with dropout", NULL, log->accuracy,
         H5T_NATIVE_DOUBLE},
        {"learning_rate", "learning rate", NULL, log->rate, H5T_NATIVE_DOUBLE},
        {"seconds", "since the start of the process that made the row", "s", log->seconds,
         H5T_NATIVE_DOUBLE},
        {"validation_step", "steps before the validation", NULL, log->validation_step,
         H5T_NATIVE_INT64},
        {"validation_mad", "mean |QF_pred - QF_true| of the validation items", "QF", log->mad,
         H5T_NATIVE_DOUBLE},
        {"validation_bias", "mean QF_pred - QF_true of the validation items", "QF", log->bias,
         H5T_NATIVE_DOUBLE},
    };
    memcpy(column, all, sizeof(all));
}

static int write_column(hid_t file, const struct column *c, size_t rows, struct vj_error *err)
{
    hsize_t dim = rows;
    hid_t space = H5Screate_simple(1, &dim, NULL);
    hid_t set = H5Dcreate2(
        file, c->path, H5Tequal(c->type, H5T_NATIVE_DOUBLE) > 0 ? H5T_IEEE_F64LE : H5T_STD_I64LE,
        space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    int r = set < 0 ? vj_h5_fail(err, "dataset %s cannot be made", c->path) : 0;
    if (!r && rows > 0 && H5Dwrite(set, c->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, c->data) < 0)
        r = vj_h5_fail(err, "dataset %s cannot be written", c->path);
    if (!r)
        r = vj_h5_write_text(set, "description", c->description, err);
    if (!r && c->units)
        r = vj_h5_write_text(set, "units", c->units, err);
    if (set >= 0)
        H5Dclose(set);
    H5Sclose(space);
    return r;
}

int vj_train_log_write(const struct vj_train_log *log, const char *path, const char *config,
                       struct vj_error *err)
{
    struct column column[ROW_COLUMNS + VALIDATION_COLUMNS];
    struct vj_h5_part part;
    int r = vj_h5_part_open(&part, path, err);
    if (r)
        return r;
    list_columns(log, column);
    r = write_schema(part.file, VJ_TRAIN_LOG_SCHEMA, config, err);
    for (int i = 0; i < ROW_COLUMNS + VALIDATION_COLUMNS && !r; i++)
        r = write_column(part.file, &column[i], i < ROW_COLUMNS ? log->rows : log->validations,
                         err);
    if (r)
        vj_fail_prefix(err, "%s", path);
    return vj_h5_part_end(&part, r, err);
}

static int read_length(hid_t file, const char *name, size_t *rows, struct vj_error *err)
{
    struct vj_h5_info info;
    hid_t set;
    int r = vj_h5_dataset_open(&set, file, name, &info, err);
    if (r)
        return r;
    H5Dclose(set);
    /* one that is not stored in full could claim any number of rows */
    if (info.rank != 1 || info.dims[0] > ROWS_MAX || !info.is_plain)
        return vj_fail(err, -EINVAL,
                       "dataset %s is not a column of at most %d rows, contiguous and in full",
                       name, ROWS_MAX);
    *rows = info.dims[0];
    return 0;
}

static int read_column(hid_t file, const struct column *c, size_t rows, struct vj_error *err)
{
    size_t there = 0;
    int r = read_length(file, c->path, &there, err);
    if (!r && there != rows)
        r = vj_fail(err, -EINVAL, "dataset %s has %zu rows, the others of its curve %zu", c->path,
                    there, rows);
    if (r || rows == 0)
        return r;
    hid_t set = H5Dopen2(file, c->path, H5P_DEFAULT);
    if (set < 0 || H5Dread(set, c->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, c->data) < 0)
        r = vj_h5_fail(err, "dataset %s cannot be read", c->path);
    if (set >= 0)
        H5Dclose(set);
    return r;
}

static int read_log(hid_t file, struct vj_train_log *log, struct vj_error *err)
{
    struct column column[ROW_COLUMNS + VALIDATION_COLUMNS];
    size_t rows = 0, validations = 0;
    int r = check_schema(file, VJ_TRAIN_LOG_SCHEMA, err);
    if (!r)
        r = read_length(file, "step", &rows, err);
    if (!r)
        r = read_length(file, "validation_step", &validations, err);
    if (!r && (room_for_row(log, rows) || room_for_validation(log, validations)))
        r = vj_fail(err, -ENOMEM, "out of memory for the learning curve");
    list_columns(log, column);
    for (int i = 0; i < ROW_COLUMNS + VALIDATION_COLUMNS && !r; i++)
        r = read_column(file, &column[i], i < ROW_COLUMNS ? rows : validations, err);
    if (!r) {
        log->rows = rows;
        log->validations = validations;
    }
    return r;
}

int vj_train_log_read(struct vj_train_log *log, const char *path, struct vj_error *err)
{
    hid_t file;
    int r = vj_h5_open(&file, path, err);
    if (r)
        return r;
    r = read_log(file, log, err);
    vj_h5_close(file, path, NULL);
    return r ? vj_fail_prefix(err, "%s", path) : 0;
}

/* ---- checkpoint ---- */

int vj_train_get(const struct vj_trainer *trainer, enum vj_train_set set, struct vj_weights *to,
                 struct vj_error *err)
{
    int r = trainer->ops->get(trainer->state, set, to, err);
    if (r)
        return r;
    r = vj_weights_check_finite(to, err);
    return r ? vj_fail_prefix(err, "training has run away, lower option learning_rate: in set %s",
                              set_groups[set])
             : 0;
}

static int write_set(hid_t file, const struct vj_trainer *trainer, int set,
                     struct vj_weights *scratch, struct vj_error *err)
{
    int r = vj_train_get(trainer, (enum vj_train_set)set, scratch, err);
    if (r)
        return r;
    hid_t group = H5Gcreate2(file, set_groups[set], H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (group < 0)
        return vj_h5_fail(err, "group %s cannot be made", set_groups[set]);
    r = vj_weights_write_tensors(group, scratch, err);
    H5Gclose(group);
    return r;
}

static int write_progress(hid_t file, const struct vj_train_progress *p, struct vj_error *err)
{
    const struct {
        const char *name;
        int64_t value;
    } ints[] = {
        {"step", p->step},
        {"best_step", p->best_step},
        {"since_best", p->since_best},
        {"partial_right", p->partial_right},
        {"partial_pairs", p->partial_pairs},
    };
    int r = vj_h5_write_doubles(file, "best_mad", &p->best_mad, 1, err);
    if (!r)
        r = vj_h5_write_doubles(file, "partial_loss", &p->partial_loss, 1, err);
    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]) && !r; i++)
        r = vj_h5_write_int(file, ints[i].name, ints[i].value, err);
    return r;
}

/* Counts go on from here, and no validation is better than a best one that is no number. */
static int read_progress(hid_t file, struct vj_train_progress *p, struct vj_error *err)
{
    static const int64_t most = INT32_MAX;
    const struct {
        const char *name;
        int64_t *value;
        const int64_t *most;
    } ints[] = {
        {"step", &p->step, &most},
        {"best_step", &p->best_step, &p->step},
        {"since_best", &p->since_best, &most},
        {"partial_pairs", &p->partial_pairs, &most},
        {"partial_right", &p->partial_right, &p->partial_pairs},
    };
    int r = vj_h5_read_doubles(file, "best_mad", &p->best_mad, 1, err);
    if (!r)
        r = vj_h5_read_doubles(file, "partial_loss", &p->partial_loss, 1, err);
    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]) && !r; i++) {
        r = vj_h5_read_int(file, ints[i].name, ints[i].value, err);
        if (!r && (*ints[i].value < 0 || *ints[i].value > *ints[i].most))
            r = vj_fail(err, -EINVAL, "attribute %s is %lld, it must be 0 to %lld", ints[i].name,
                        (long long)*ints[i].value, (long long)*ints[i].most);
    }
    if (!r && !(p->best_mad >= 0 && isfinite(p->best_mad)))
        r = vj_fail(err, -EINVAL, "attribute best_mad is %g, it must be a number from 0 on",
                    p->best_mad);
    return r;
}

int vj_train_state_write(const char *path, const struct vj_trainer *trainer,
                         const struct vj_train_progress *progress, const char *config,
                         const char *fingerprint, struct vj_weights *scratch, struct vj_error *err)
{
    struct vj_h5_part part;
    int r = vj_h5_part_open(&part, path, err);
    if (r)
        return r;
    r = write_schema(part.file, STATE_SCHEMA, config, err);
    if (!r)
        r = vj_h5_write_text(part.file, "dataset_fingerprint", fingerprint, err);
    if (!r)
        r = vj_h5_write_text(part.file, "trainer", trainer->ops->name, err);
    if (!r)
        r = write_progress(part.file, progress, err);
    for (int s = 0; s < VJ_TRAIN_SETS && !r; s++)
        r = write_set(part.file, trainer, s, scratch, err);
    if (r)
        vj_fail_prefix(err, "%s", path);
    return vj_h5_part_end(&part, r, err);
}

/* The first line of a configuration without its ';', or words where it has come to its end. */
static void first_line(char line[VJ_ERROR_TEXT / 3], const char *text)
{
    int size = (int)strcspn(text, "\n");
    size -= size > 0 && text[size - 1] == ';';
    snprintf(line, VJ_ERROR_TEXT / 3, "%.*s", size, text);
    if (size == 0)
        strcpy(line, "nothing more");
}

/*
 * Behind a line that says which device was asked for: earlier programs recorded that, and it is the
 * trainer's own name that counts.
 */
static const char *skip_device(const char *text)
{
    if (strncmp(text, "device = ", 9) != 0)
        return text;
    text += strcspn(text, "\n");
    return text + (*text == '\n');
}

/* The first line in which two configurations differ. */
static int compare_config(const char *then, const char *now, struct vj_error *err)
{
    char had[VJ_ERROR_TEXT / 3], has[VJ_ERROR_TEXT / 3];
    for (then = skip_device(then); *then || *now; then = skip_device(then)) {
        const size_t a = strcspn(then, "\n"), b = strcspn(now, "\n");
        first_line(had, then);
        first_line(has, now);
        if (a != b || memcmp(then, now, a) != 0)
            return vj_fail(err, -EINVAL,
                           "it was made with %s and this run has %s; a resumed run needs the same "
                           "configuration",
                           had, has);
        then += a + (then[a] == '\n');
        now += b + (now[b] == '\n');
    }
    return 0;
}

static int check_same_run(hid_t file, const struct vj_trainer *trainer, const char *config,
                          const char *fingerprint, struct vj_error *err)
{
    char recorded[65], name[32];
    char *then = vj_calloc(TEXT_MAX, 1);
    int r = then ? vj_h5_read_text(file, "config", then, TEXT_MAX, err)
                 : vj_fail(err, -ENOMEM, "out of memory");
    if (!r)
        r = compare_config(then, config, err);
    free(then);
    if (!r)
        r = vj_h5_read_text(file, "dataset_fingerprint", recorded, sizeof(recorded), err);
    if (!r && strcmp(recorded, fingerprint) != 0)
        r = vj_fail(err, -EINVAL,
                    "it was made with a data set of fingerprint %.16s..., this one "
                    "has %.16s...: files or labels have changed",
                    recorded, fingerprint);
    if (!r)
        r = vj_h5_read_text(file, "trainer", name, sizeof(name), err);
    if (!r && strcmp(name, trainer->ops->name) != 0)
        r = vj_fail(err, -EINVAL,
                    "it was made on device %s, this run is on %s: the bits would "
                    "differ; ask for --device %s",
                    name, trainer->ops->name, name);
    return r;
}

/* Means of squares, whose roots are taken. */
static int check_squares(const struct vj_tensor *t, struct vj_error *err)
{
    for (size_t k = 0; k < t->count; k++)
        if (t->data[k] < 0)
            return vj_fail(err, -EINVAL, "dataset %s has %g, it must not be below 0", t->name,
                           (double)t->data[k]);
    return 0;
}

static int read_set(hid_t file, const struct vj_trainer *trainer, int set, size_t file_size,
                    struct vj_weights *scratch, struct vj_error *err)
{
    hid_t group = H5Gopen2(file, set_groups[set], H5P_DEFAULT);
    if (group < 0)
        return vj_h5_fail(err, "there is no group %s", set_groups[set]);
    int r = vj_weights_read_tensors(group, scratch, file_size, err);
    H5Gclose(group);
    for (size_t i = 0; !r && set == VJ_TRAIN_MOMENT_2 && i < scratch->count; i++)
        r = check_squares(&scratch->tensors[i], err);
    if (r)
        return vj_fail_prefix(err, "%s", set_groups[set]);
    return trainer->ops->set(trainer->state, (enum vj_train_set)set, scratch, err);
}

int vj_train_state_read(const char *path, const struct vj_trainer *trainer,
                        struct vj_train_progress *progress, const char *config,
                        const char *fingerprint, struct vj_weights *scratch, struct vj_error *err)
{
    hid_t file;
    struct stat st;
    int r = vj_h5_open(&file, path, err);
    if (r)
        return r;
    if (stat(path, &st) != 0)
        r = vj_fail(err, -errno, "cannot be examined: %s", strerror(errno));
    if (!r)
        r = check_schema(file, STATE_SCHEMA, err);
    if (!r)
        r = check_same_run(file, trainer, config, fingerprint, err);
    if (!r)
        r = read_progress(file, progress, err);
    for (int s = 0; s < VJ_TRAIN_SETS && !r; s++)
        r = read_set(file, trainer, s, (size_t)st.st_size, scratch, err);
    vj_h5_close(file, path, NULL);
    return r ? vj_fail_prefix(err, "%s", path) : 0;
}
