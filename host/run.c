/* SPDX-License-Identifier: MIT */
#include "host/run.h"
#include "host/positive.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/dataset.h"
#include "eval/sur.h"
#include "eval/text.h"
#include "host/checked.h"
#include "host/engine.h"
#include "host/finish.h"
#include "host/h5.h"
#include "host/pipeline.h"
#include "host/progress.h"
#include "host/report_source.h"
#include "host/results.h"
#include "host/rows_from.h"
#include "host/schema.h"
#include "host/stream.h"

/* ---- the writer thread: one row is written while the next ones are evaluated ---- */

struct writer {
    struct vj_results *results;
    const struct vj_engine *engine;
    struct vj_row *rows;     /* [slots + 1] */
    struct vj_row **of_slot; /* the row that each slot's picture fills */
    struct vj_row *spare;    /* the one left: being written, or free */
    bool busy, stop;
    struct vj_error error; /* of the first write that failed */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool started;
};

static void *write_rows(void *arg)
{
    struct writer *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->busy && !w->stop)
            pthread_cond_wait(&w->changed, &w->lock);
        if (!w->busy)
            break;
        bool bad = w->error.code != 0;
        pthread_mutex_unlock(&w->lock);
        struct vj_error mine = {0};
        if (!bad && vj_schema_write_row(w->results, w->engine, w->spare, &mine) && !mine.code)
            mine.code = -EIO;
        pthread_mutex_lock(&w->lock);
        if (mine.code)
            w->error = mine;
        w->busy = false;
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static int writer_start(struct writer *w, struct vj_results *results,
                        const struct vj_engine *engine, struct vj_error *err)
{
    size_t slots = (size_t)engine->plan.slots;
    *w = (struct writer){.results = results, .engine = engine};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->rows = vj_calloc(slots + 1, sizeof(*w->rows));
    w->of_slot = vj_calloc(slots, sizeof(*w->of_slot));
    int r = w->rows && w->of_slot ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; !r && i <= slots; i++)
        r = vj_row_alloc(&w->rows[i], engine, err);
    if (r)
        return r;
    for (size_t i = 0; i < slots; i++)
        w->of_slot[i] = &w->rows[i];
    w->spare = &w->rows[slots];
    r = pthread_create(&w->thread, NULL, write_rows, w);
    w->started = r == 0;
    return r ? vj_fail(err, -r, "cannot start the writer thread: %s", strerror(r)) : 0;
}

/* Waits until everything handed over is written. */
static int writer_drain(struct writer *w, struct vj_error *err)
{
    pthread_mutex_lock(&w->lock);
    while (w->busy)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    return w->error.code ? vj_fail(err, w->error.code, "%s", w->error.text) : 0;
}

/* Hands a slot's row over to be written; the slot gets another one. */
static int writer_put(struct writer *w, int slot, struct vj_error *err)
{
    int r = writer_drain(w, err);
    if (r)
        return r;
    pthread_mutex_lock(&w->lock);
    struct vj_row *row = w->of_slot[slot];
    w->of_slot[slot] = w->spare;
    w->spare = row;
    w->busy = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    return 0;
}

static void writer_stop(struct writer *w)
{
    if (!w->engine)
        return;
    if (w->started) {
        pthread_mutex_lock(&w->lock);
        w->stop = true;
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    for (int i = 0; w->rows && i <= w->engine->plan.slots; i++)
        vj_row_free(&w->rows[i], w->engine);
    free(w->rows);
    free(w->of_slot);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->changed);
}

/* ---- the run ---- */

struct run {
    const struct vj_run_options *options;
    const struct vj_config *config;
    struct vj_run_summary *summary;
    char part[4096];
    struct vj_dataset *dataset;
    struct vj_image_list images;
    struct vj_predictors predictors;
    struct vj_engine engine;
    struct vj_results *results;
    size_t *pending,
        *pending_item; /* rows still to be evaluated, and their items in the data set */
    size_t pending_count;
    double busy[VJ_STAGE_COUNT]; /* seconds, of the images evaluated by this process */
    struct {
        size_t all, live;
    } * weights; /* [predictors]: patch weights of these images */
};

static int open_dataset(struct run *run, struct vj_error *err)
{
    const struct vj_config *c = run->config;
    int r = vj_config_dataset(&run->dataset, c, c->jnd, err);
    if (!r)
        r = vj_image_list_read(&run->images, run->dataset, c->ids, c->part, c->limit, c->max_pixels,
                               err);
    if (!r && run->images.count == 0)
        r = vj_fail(err, -ENODATA, "data set %s at %s has no images", c->dataset, c->root);
    if (!r && c->sur != VJ_SUR_EMPIRICAL && !run->images.sur)
        r = vj_fail(err, -EINVAL,
                    "sur=%s fits a curve to the subjects' answers, and data set %s at %s has none; "
                    "leave the option out",
                    vj_sur_model_name((enum vj_sur_model)c->sur), c->dataset, c->root);
    return r;
}

static int open_folds(struct run *run, enum vj_positive_class positive, struct vj_error *err)
{
    const struct vj_dataset_info *info = vj_dataset_info(run->dataset);
    const struct vj_fold_images images = {.dataset = info->dataset,
                                          .fingerprint = info->fingerprint,
                                          .count = run->images.count,
                                          .fold = run->images.fold,
                                          .id = run->images.id};
    return vj_predictors_open_folds(&run->predictors, &images, positive, err);
}

static int check_part(const struct run *run, bool *exists, struct vj_error *err)
{
    *exists = access(run->part, F_OK) == 0;
    if (*exists && !run->options->resume)
        return vj_fail(err, -EEXIST,
                       "%s is there: a run that did not finish. Add --resume to go on with it, or "
                       "remove it",
                       run->part);
    return 0;
}

/* Gives `fresh` its name, unless another run has been faster. */
static int place_part(const struct run *run, const char *fresh, struct vj_error *err)
{
    int r = link(fresh, run->part) == 0 ? 0 : -errno;
    if (r == -EPERM || r == -ENOTSUP || r == -ENOSYS) /* file systems without links */
        return rename(fresh, run->part) == 0 ? 0
                                             : vj_fail(err, -errno, "cannot rename %s to %s: %s",
                                                       fresh, run->part, strerror(errno));
    if (r == 0)
        unlink(fresh); /* its other name stays */
    if (r == -EEXIST)
        return vj_fail(err, r, "%s has just been made by another run; name another output",
                       run->part);
    return r ? vj_fail(err, r, "cannot make %s: %s", run->part, strerror(-r)) : 0;
}

/*
 * Makes the .part under a name of its own first, so that a kill leaves a whole one or none.
 * again: in place of the one that is there, whose images it takes over
 */
static int create_part(struct run *run, const struct vj_run_facts *facts, bool again,
                       struct vj_error *err)
{
    char *fresh;
    struct vj_results *results = NULL;
    size_t taken;
    int fd = vj_h5_temporary(&fresh, run->options->output, err);
    if (fd < 0)
        return fd;
    vj_h5_usual_mode(fd);
    close(fd);
    int r = vj_schema_create(&results, fresh, &run->engine, &run->images, facts, err);
    if (!r && again)
        r = vj_rows_from_take(results, &run->engine, &run->images, facts, run->part, &taken, err);
    vj_results_close(results);
    if (!r && again)
        r = rename(fresh, run->part) == 0 ? 0
                                          : vj_fail(err, -errno, "cannot rename %s to %s: %s",
                                                    fresh, run->part, strerror(errno));
    else if (!r)
        r = place_part(run, fresh, err);
    if (r)
        unlink(fresh);
    free(fresh);
    if (r)
        return r;
    vj_results_close(run->results);
    run->results = NULL;
    return vj_results_open(&run->results, run->part, true, err);
}

/*
 * What no report could be made of is told before the rest is evaluated, and while the .part is
 * there: published, it would be an output that nothing reads.
 */
static int check_reportable(const char *path, struct vj_error *err)
{
    struct vj_report_source source = {0};
    int r = vj_report_source_open(&source, path, err);
    vj_report_source_close(&source);
    return r;
}

/* Opens the .part that is there. *rows_from: what it says of files that images came from */
static int reopen_part(struct run *run, const struct vj_run_facts *facts, struct vj_text *rows_from,
                       struct vj_error *err)
{
    char *text = NULL;
    int r = vj_results_open(&run->results, run->part, true, err);
    if (!r)
        r = vj_schema_match(run->results, &run->engine, &run->images, facts, false, err);
    if (!r)
        r = check_reportable(run->part, err);
    if (!r && vj_results_has_attribute(run->results, "/", "rows_from"))
        r = vj_results_get_text(run->results, "/", "rows_from", &text, err);
    if (!r && text)
        vj_text_add(rows_from, "%s", text);
    free(text);
    return r ? vj_fail_prefix(err,
                              "cannot resume %s, which wants the program, options and inputs that "
                              "it was begun with (or remove it)",
                              run->part)
             : 0;
}

/* Adds what is to be said of every part, but for what the text already says. */
static int add_parts(struct vj_text *rows_from, const struct run *run,
                     const struct vj_run_facts *facts, struct vj_error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < run->options->rows_from_count; i++) {
        struct vj_text one = {0};
        r = vj_rows_from_check(&one, &run->engine, &run->images, facts, run->options->rows_from[i],
                               err);
        if (!r && (!rows_from->data || !strstr(rows_from->data, one.data)))
            vj_text_add(rows_from, "%s%s", rows_from->size ? "; " : "", one.data);
        vj_text_free(&one);
    }
    return r ? r : vj_text_status(rows_from, err);
}

static int take_rows(struct run *run, const struct vj_run_facts *facts, struct vj_error *err)
{
    const struct vj_run_options *o = run->options;
    int r = 0;
    for (size_t i = 0; !r && i < o->rows_from_count; i++) {
        size_t taken;
        r = vj_rows_from_take(run->results, &run->engine, &run->images, facts, o->rows_from[i],
                              &taken, err);
        char line[4200];
        snprintf(line, sizeof(line), "vpjnd: %zu %s taken from %s", taken,
                 taken == 1 ? "image" : "images", o->rows_from[i]);
        if (!r)
            vj_line_keep(stderr, line);
    }
    return r;
}

/*
 * Makes the .part, or goes on with the one that is there. Where that does not know of a part it is
 * made again: an attribute that is added to it while rows are still missing may be torn by a kill.
 */
static int open_results(struct run *run, struct vj_error *err)
{
    struct vj_text rows_from = {0};
    struct vj_run_facts facts = {.command_line = run->options->command_line,
                                 .dataset = vj_dataset_info(run->dataset)};
    bool exists;
    int r = check_part(run, &exists, err);
    if (!r && exists)
        r = reopen_part(run, &facts, &rows_from, err);
    const size_t said = rows_from.size;
    if (!r)
        r = add_parts(&rows_from, run, &facts, err);
    facts.rows_from = rows_from.data;
    if (!r && (!exists || rows_from.size != said))
        r = create_part(run, &facts, exists, err);
    if (!r)
        r = take_rows(run, &facts, err);
    vj_text_free(&rows_from);
    return r;
}

static int list_todo(struct run *run, struct vj_error *err)
{
    size_t count = run->images.count;
    int32_t *status = vj_calloc(count, sizeof(*status));
    run->pending = vj_calloc(count, sizeof(*run->pending));
    run->pending_item = vj_calloc(count, sizeof(*run->pending_item));
    int r =
        status && run->pending && run->pending_item ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    if (!r)
        r = vj_results_read(run->results, "/images/status", VJ_COLUMN_I32, 0, count, status, err);
    for (size_t i = 0; !r && i < count; i++) {
        run->summary->failed += status[i] == VJ_STATUS_FAILED;
        if (status[i] != VJ_STATUS_PENDING)
            continue;
        run->pending_item[run->pending_count] = run->images.item[i];
        run->pending[run->pending_count++] = i;
    }
    run->summary->images = count;
    run->summary->resumed = count - run->pending_count;
    free(status);
    return r;
}

/*
 * Whether --resume finds the output itself finished: scripts that repeat a command until it
 * succeeds must not begin a sweep of days again.
 */
static int check_done(struct run *run, bool *done, struct vj_error *err)
{
    const struct vj_run_facts facts = {.command_line = run->options->command_line,
                                       .dataset = vj_dataset_info(run->dataset)};
    const char *output = run->options->output;
    struct stat st;
    *done = run->options->resume && access(run->part, F_OK) != 0 && stat(output, &st) == 0 &&
            st.st_size > 0;
    if (!*done)
        return 0;
    int r = vj_results_open(&run->results, output, false, err);
    if (!r)
        r = vj_schema_match(run->results, &run->engine, &run->images, &facts, false, err);
    if (!r)
        r = list_todo(run, err);
    if (r)
        return vj_fail_prefix(err,
                              "%s is finished, and not the run that is to be resumed (without "
                              "--resume it is replaced)",
                              output);
    fprintf(stderr, "vpjnd: %s is complete; there is nothing to resume\n", output);
    return 0;
}

static void note_failure(struct vj_progress *progress, const struct run *run,
                         const struct vj_row *row)
{
    char line[1024];
    snprintf(line, sizeof(line), "vpjnd: image %s failed: %s", run->images.name[row->index],
             row->error);
    vj_progress_note(progress, line);
}

/* Nothing there, nothing that can be read, or the empty folder that stays of a disk's mount. */
static bool is_gone(const char *root)
{
    DIR *folder = opendir(root);
    if (!folder)
        return errno != ENOTDIR || access(root, R_OK) != 0;
    int entries = 0;
    while (entries <= 2 && readdir(folder))
        entries++;
    closedir(folder);
    return entries <= 2; /* . and .. */
}

/*
 * A failure of the machine says nothing of the picture: the run stops, with its rows for --resume,
 * where it would publish that every picture from here on is broken. An error of a single file is
 * that picture's while the rest of the data set is there: it would stop every --resume.
 */
static int check_machine(const struct run *run, const struct vj_row *row, struct vj_error *err)
{
    static const int of_files[] = {-ENOENT,   -EIO,       -ESTALE,   -ENODEV,
                                   -ENOTCONN, -EHOSTDOWN, -ETIMEDOUT};
    const int code = row->status;
    const char *root = run->config->root;
    const bool exhausted = code == -ENOMEM || code == -EMFILE || code == -ENFILE;
    bool gone = false;
    for (size_t i = 0; i < sizeof(of_files) / sizeof(of_files[0]); i++)
        gone = gone || (code == of_files[i] && is_gone(root));
    if (!gone && !exhausted)
        return 0;
    return vj_fail(err, code,
                   "image %s could not be evaluated, not by its own fault%s%s: %s; the run stops "
                   "and keeps %s: when this is mended, go on with --resume",
                   run->images.name[row->index], gone ? ", as the data set is gone from " : "",
                   gone ? root : "", row->error, run->part);
}

/* The pictures of a run on their way into its file. */
struct rows {
    struct run *run;
    struct writer writer;
    struct vj_progress progress;
    size_t open, taken; /* networks whose positive class is open; pictures that are done */
};

/*
 * Networks whose positive class is open are scored in full until enough images are there to decide.
 */
static int ask_in_full(void *user, bool *full, struct vj_error *err)
{
    struct rows *rows = user;
    struct run *run = rows->run;
    int r = 0;
    if (rows->open > 0)
        r = writer_drain(&rows->writer, err);
    if (!r && rows->open > 0)
        r = vj_decide_positive(&run->engine, run->results, false, &rows->open, err);
    *full = rows->open > 0;
    return r;
}

/* Hands the row of a picture that is done to the writer. */
static int take_row(void *user, size_t item, int slot, struct vj_error *err)
{
    (void)item;
    struct rows *rows = user;
    struct run *run = rows->run;
    struct vj_row *row = rows->writer.of_slot[slot];
    row->index = run->pending[rows->taken++];
    int r = check_machine(run, row, err);
    if (r)
        return r;
    if (row->status) {
        run->summary->failed++;
        note_failure(&rows->progress, run, row);
    }
    for (int s = 0; s < VJ_STAGE_COUNT; s++)
        run->busy[s] += row->seconds[s];
    for (size_t p = 0; p < run->predictors.count && !row->status; p++) {
        size_t all;
        run->weights[p].live += vj_row_live_weights(row, &run->engine, p, &all);
        run->weights[p].all += all;
    }
    vj_progress_step(&rows->progress, row->status != 0);
    return writer_put(&rows->writer, slot, err);
}

static void load_item(struct vj_loaded *loaded, const void *dataset,
                      const struct vj_stream_options *options)
{
    vj_load_item(loaded, dataset, options);
}

static void note_dead_weights(struct run *run)
{
    for (size_t p = 0; p < run->predictors.count; p++)
        if (run->weights[p].all > 0 && run->weights[p].live == 0) {
            run->summary->dead++;
            fprintf(stderr,
                    "vpjnd: %s: every patch weight is the smallest there is: the output that makes "
                    "them is dead, all patches count alike, and a pixel-JND map has no effect "
                    "(docs/network.md)\n",
                    run->predictors.list[p].name);
        }
}

static int evaluate(struct run *run, struct vj_error *err)
{
    const struct vj_config *c = run->config;
    struct rows rows = {.run = run, .open = 1};
    run->weights = vj_calloc(run->predictors.count, sizeof(*run->weights));
    int r = run->weights ? writer_start(&rows.writer, run->results, &run->engine, err)
                         : vj_fail(err, -ENOMEM, "out of memory");
    vj_progress_start(&rows.progress, stderr, run->images.count, run->summary->resumed);
    const struct vj_pipeline pipeline = {
        .engine = &run->engine,
        .load = load_item,
        .source = run->dataset,
        .index = run->pending_item,
        .count = run->pending_count,
        .read =
            {
                .threads = c->decode_threads,
                .slots = c->slots,
                .image = {.alpha = (enum vj_alpha_mode)c->alpha, .max_pixels = c->max_pixels},
                .max_width = run->engine.plan.max_width,
                .max_height = run->engine.plan.max_height,
                .min_side =
                    run->engine.plan.weights_count ? (size_t)run->engine.plan.patch_size : 1,
            },
        .row = rows.writer.of_slot,
        .full = ask_in_full,
        .take = take_row,
        .user = &rows,
    };
    if (!r)
        r = vj_pipeline_run(&pipeline, err);
    if (!r)
        r = writer_drain(&rows.writer, err);
    run->summary->seconds = vj_progress_finish(&rows.progress);
    if (!r)
        note_dead_weights(run);
    writer_stop(&rows.writer);
    free(run->weights);
    run->weights = NULL;
    return r;
}

/* How long this process took and where; what was done before a resume is not in it. */
static int write_timing(struct run *run, struct vj_error *err)
{
    double seconds = run->summary->seconds;
    int r = vj_results_set_double(run->results, "/timing", "wall_seconds", seconds, err);
    if (!r)
        r = vj_results_set_int(run->results, "/timing", "images_timed", (int64_t)run->pending_count,
                               err);
    if (!r && seconds > 0)
        r = vj_results_set_double(run->results, "/timing", "images_per_second",
                                  (double)run->pending_count / seconds, err);
    for (int s = 0; !r && seconds > 0 && s < VJ_STAGE_COUNT; s++) {
        char name[64];
        double threads = s == VJ_STAGE_READ ? run->config->decode_threads : 1;
        snprintf(name, sizeof(name), "busy_share_%s", vj_stage_names[s]);
        r = vj_results_set_double(run->results, "/timing", name, run->busy[s] / seconds / threads,
                                  err);
    }
    return r;
}

/* A run in which nothing could be evaluated, often for a wrong path, takes no results from anyone.
 */
static int keep_results_there(const struct run *run, struct vj_error *err)
{
    const struct vj_run_summary *s = run->summary;
    if (s->failed < s->images || access(run->options->output, F_OK) != 0)
        return 0;
    return vj_fail(err, -EBADMSG,
                   "no image could be evaluated, %zu failed; %s, which was there, is kept, and "
                   "this run stays in %s: "
                   "see `vpjnd report` for the reasons, then delete it",
                   s->images, run->options->output, run->part);
}

static int warn_of_duplicates(struct run *run, struct vj_error *err)
{
    char *duplicates;
    struct vj_text line = {0};
    int r = vj_results_get_text(run->results, "/", "duplicates", &duplicates, err);
    if (r)
        return r;
    vj_text_add(&line, "vpjnd: %s", duplicates);
    r = vj_text_status(&line, err);
    if (!r && *duplicates)
        vj_line_keep(stderr, line.data);
    vj_text_free(&line);
    free(duplicates);
    return r;
}

static int finish(struct run *run, struct vj_error *err)
{
    int r = vj_finish_predictions(&run->engine, run->results, err);
    if (!r)
        r = warn_of_duplicates(run, err);
    if (!r)
        r = vj_finish_metrics(&run->engine, run->results, err);
    if (!r && (run->pending_count > 0 ||
               !vj_results_has_attribute(run->results, "/timing", "wall_seconds")))
        r = write_timing(run, err);
    if (!r)
        r = vj_results_publish(&run->results, run->options->output, err);
    return r;
}

/* What any model must beat is evaluated wherever there are labels, asked for or not. */
static int add_constant(struct run *run, struct vj_error *err)
{
    for (size_t i = 0; i < run->images.count; i++)
        if (run->images.qf_true[i] != VJ_QF_UNKNOWN)
            return vj_predictors_add_constant(&run->predictors, err);
    return 0;
}

/* Names of the images that can be evaluated. name: room for all images; the strings are the list's
 */
static int good_names(const struct run *run, char **name, size_t *count, struct vj_error *err)
{
    int r = 0;
    *count = 0;
    for (size_t i = 0; !r && i < run->images.count; i++) {
        struct vj_item item = {0};
        r = vj_dataset_item(run->dataset, run->images.item[i], &item, err);
        if (!r && item.status == 0)
            name[(*count)++] = run->images.name[i];
        vj_item_free(&item);
    }
    return r;
}

static int check_external(const struct run *run, struct vj_error *err)
{
    bool any = false;
    for (size_t i = 0; i < run->predictors.count; i++)
        any = any || run->predictors.list[i].kind == VJ_PREDICTOR_EXTERNAL;
    if (!any)
        return 0;
    size_t count = 0;
    char **name = vj_calloc(run->images.count, sizeof(*name));
    int r = name ? good_names(run, name, &count, err) : vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; !r && i < run->predictors.count; i++) {
        const struct vj_predictor *p = &run->predictors.list[i];
        if (p->kind == VJ_PREDICTOR_EXTERNAL)
            r = vj_external_check(&p->external, p->path, name, count, err);
    }
    free(name);
    return r;
}

/* Behind the error that a run has none: the usual slips are a column of another name, and a folder
 * where a manifest is meant. */
static void say_where_labels_stand(const struct run *run, struct vj_error *err)
{
    const struct vj_error old = *err;
    const char *excluded = vj_dataset_info(run->dataset)->excluded;
    if (strcmp(run->config->labels, "none") == 0)
        return;
    if (strcmp(run->config->dataset, "folder") == 0)
        vj_fail(err, old.code, "%s; data set folder has no labels, a manifest has", old.text);
    else if (strcmp(run->config->dataset, "manifest") == 0 && *excluded)
        vj_fail(err, old.code, "%s; labels stand in column qf_true, and not used are %s", old.text,
                excluded);
}

static int refuse_without_labels(const struct run *run, const struct vj_predictor *fitted,
                                 struct vj_error *err)
{
    char of[32] = "", lower[64] = "";
    if (run->config->jnd > 1) {
        snprintf(of, sizeof(of), " of JND %d", run->config->jnd);
        snprintf(lower, sizeof(lower), "evaluate a JND that is labelled, as with --jnd 1, or ");
    }
    if (fitted)
        vj_fail(err, -EINVAL,
                "predictor %s is fitted to labels, and no image of this run has one%s; %sleave it "
                "out%s",
                fitted->name, of, lower,
                fitted->fit && fitted->kind != VJ_PREDICTOR_EXTERNAL ? " or give it a threshold"
                                                                     : "");
    else
        vj_fail(err, -EINVAL,
                "no image of this run has a label%s, which the constant is the median of; %sname "
                "other predictors, e.g. predictors=vpjnd:W.h5",
                of, lower);
    say_where_labels_stand(run, err);
    return vj_name_first_broken(run->dataset, err);
}

/* Has the data set labels, of the images that this run leaves to the other parts? */
static bool other_parts_have_labels(const struct run *run)
{
    bool has = false;
    for (size_t i = 0; run->config->part[0] && i < run->images.others; i++)
        has = has || run->images.other_qf_true[i] != VJ_QF_UNKNOWN;
    return has;
}

/* Refuses what the run's labels and folds do not allow now, not after hours of work. */
static int check_fits(const struct run *run, struct vj_error *err)
{
    bool folds = false, labels = other_parts_have_labels(run), constants_alone = true;
    for (size_t i = 0; i < run->images.count; i++) {
        labels = labels || run->images.qf_true[i] != VJ_QF_UNKNOWN;
        folds = folds ||
                (strcmp(run->config->folds, "none") != 0 && run->images.fold[i] != VJ_FOLD_NONE);
    }
    for (size_t i = 0; i < run->predictors.count; i++) {
        const struct vj_predictor *p = &run->predictors.list[i];
        constants_alone = constants_alone && p->kind == VJ_PREDICTOR_CONSTANT;
        if (p->kind != VJ_PREDICTOR_RATIO && !p->fit)
            continue;
        if (!labels)
            return refuse_without_labels(run, p, err);
        if (!folds)
            return vj_fail(err, -EINVAL,
                           "predictor %s is fitted on the images outside each fold, and no image "
                           "has a test fold; set option folds, e.g. to surfeatnet10, random:K or "
                           "manifest, or leave it out",
                           p->name);
        if (p->kind == VJ_PREDICTOR_RATIO &&
            (p->ratio_qf < run->config->qf_first || p->ratio_qf > run->config->qf_last))
            return vj_fail(err, -EINVAL,
                           "predictor %s takes the ratio at quality factor %d, outside the run's "
                           "qf_first %d to qf_last %d; name another one as in %s:QF",
                           p->kind_name, p->ratio_qf, run->config->qf_first, run->config->qf_last,
                           p->kind_name);
    }
    if (!labels && constants_alone)
        return refuse_without_labels(run, NULL, err);
    return 0;
}

/* The reports have it, too; but a column of another name is better seen before hours of work. */
static void say_what_is_not_used(const struct run *run)
{
    const struct vj_dataset_info *info = vj_dataset_info(run->dataset);
    struct vj_text line = {0};
    vj_text_plain(&line, run->config->root);
    vj_text_add(&line, ": not used: ");
    vj_text_plain(&line, info->excluded);
    if (*info->excluded && !line.failed)
        fprintf(stderr, "vpjnd: %s\n", line.data);
    vj_text_free(&line);
}

static int open_engine(struct run *run, struct vj_error *err)
{
    /* Patches must fit; a run without any readable picture still reports each failure. */
    size_t width = run->images.max_width ? run->images.max_width : 1;
    size_t height = run->images.max_height ? run->images.max_height : 1;
    int r = vj_engine_open(&run->engine, run->config, &run->predictors, width, height, err);
    if (r)
        return vj_name_largest(width, height, run->images.name[run->images.widest],
                               run->images.name[run->images.tallest], err);
    if (run->engine.device_note[0])
        fprintf(stderr, "vpjnd: %s\n", run->engine.device_note);
    vj_predictors_drop_tensors(&run->predictors);
    return 0;
}

int vj_run_eval(const struct vj_run_options *options, struct vj_run_summary *summary,
                struct vj_error *err)
{
    static const enum vj_positive_class positives[] = {VJ_POSITIVE_AUTO, VJ_POSITIVE_LOSSY,
                                                       VJ_POSITIVE_LOSSLESS};
    enum vj_positive_class positive = positives[options->config->positive_class];
    struct run run = {.options = options, .config = options->config, .summary = summary};
    bool exists, done = false;
    *summary = (struct vj_run_summary){0};
    int n = snprintf(run.part, sizeof(run.part), "%s.part", options->output);
    int r = n < 0 || (size_t)n >= sizeof(run.part)
                ? vj_fail(err, -ENAMETOOLONG, "the path %s is too long", options->output)
                : vj_config_check(run.config, err);
    if (!r)
        r = vj_h5_check_output(options->output, VJ_SCHEMA_NAME, err);
    if (!r)
        r = check_part(&run, &exists, err);
    if (!r)
        r = vj_predictors_open(&run.predictors, run.config->predictors, run.config->codec, positive,
                               err);
    if (!r)
        r = open_dataset(&run, err);
    if (!r)
        r = open_folds(&run, positive, err);
    if (!r)
        r = add_constant(&run, err);
    if (!r)
        r = check_fits(&run, err);
    if (!r)
        r = check_external(&run, err);
    if (!r)
        say_what_is_not_used(&run);
    if (!r)
        r = open_engine(&run, err);
    if (!r)
        r = check_done(&run, &done, err);
    if (!r && !done)
        r = open_results(&run, err);
    if (!r && !done)
        r = list_todo(&run, err);
    if (!r && !done)
        r = evaluate(&run, err);
    if (!r && !done)
        r = keep_results_there(&run, err);
    if (!r && !done)
        r = finish(&run, err);
    vj_results_close(run.results);
    vj_engine_close(&run.engine);
    vj_predictors_free(&run.predictors);
    vj_image_list_free(&run.images);
    vj_dataset_close(run.dataset);
    free(run.pending);
    free(run.pending_item);
    return r;
}
