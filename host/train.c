/* SPDX-License-Identifier: MIT */
#include "host/train.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/dataset.h"
#include "eval/text.h"
#include "host/checked.h"
#include "host/engine.h"
#include "host/file_lock.h"
#include "host/h5.h"
#include "host/net_form.h"
#include "host/progress.h"
#include "host/train_data.h"
#include "host/train_items.h"
#include "host/train_list.h"
#include "host/train_seen.h"
#include "host/train_state.h"
#include "host/train_validate.h"
#include "host/trained_config.h"
#include "host/trainer.h"

struct run {
    const struct vj_train_options *options;
    const struct vj_config *config; /* `own` */
    struct vj_config own;           /* with `positions` as they are taken */
    struct vj_train_summary *summary;
    char state_path[4096], log_path[4096];
    struct vj_file_lock lock; /* no other run writes these files */
    char *config_text;        /* what must be the same when the run is resumed */
    char *shared_text;     /* the configuration as others may see it: no folder of this machine */
    char start_sha256[65]; /* of the weights of option start; "" = fresh ones */
    struct vj_dataset *dataset;
    struct vj_train_items items;
    struct vj_seen seen;       /* pictures that made the weights, by their digests */
    struct vj_weights initial; /* also the scratch for sets of tensors */
    struct vj_train_data *data;
    struct vj_trainer trainer;
    struct vj_train_progress progress;
    struct vj_train_log log;
    float *logit; /* [pairs] */
    double start, last_line;
    int64_t first_step;     /* steps that were done when this process began */
    int64_t kept_step;      /* steps that the checkpoint holds */
    bool curves_begin_late; /* the learning curves of the steps before were gone */
    double validation_seconds;
};

/* ---- the next batch is made while the trainer works on this one ---- */

struct maker {
    struct vj_train_data *data;
    uint64_t step;
    struct vj_train_batch batch;
    struct vj_error error;
    pthread_t thread;
    bool running;
};

static void *make_batch(void *arg)
{
    struct maker *m = arg;
    int r = vj_train_data_batch(m->data, m->step, &m->batch, &m->error);
    if (r && !m->error.code)
        m->error.code = r;
    return NULL;
}

static int maker_start(struct maker *m, uint64_t step, struct vj_error *err)
{
    m->step = step;
    m->error = (struct vj_error){0};
    int r = pthread_create(&m->thread, NULL, make_batch, m);
    m->running = r == 0;
    return r ? vj_fail(err, -r, "cannot start a thread: %s", strerror(r)) : 0;
}

static int maker_wait(struct maker *m, struct vj_train_batch *batch, struct vj_error *err)
{
    if (m->running)
        pthread_join(m->thread, NULL);
    m->running = false;
    *batch = m->batch;
    return m->error.code ? vj_fail(err, m->error.code, "%s", m->error.text) : 0;
}

/* ---- opening ---- */

static int warn_of_broken(const struct vj_train_items *items, struct vj_error *err)
{
    if (items->broken == 0)
        return 0;
    struct vj_text line = {0};
    vj_text_add(&line, "vpjnd: %zu broken %s out of training and validation, the first: %s",
                items->broken, items->broken == 1 ? "image is left" : "images are left",
                items->first_broken);
    int r = vj_text_status(&line, err);
    if (!r)
        vj_line_keep(stderr, line.data);
    vj_text_free(&line);
    return r;
}

/* A loop over folds in which the number of the fold was forgotten. */
static void warn_of_folds(const struct vj_config *c)
{
    if (c->fold == 0 && strcmp(c->folds, "none") != 0)
        fprintf(stderr,
                "vpjnd: option folds = %s has no effect on training without fold=K, which leaves "
                "one for testing\n",
                c->folds);
}

static int open_dataset(struct run *run, struct vj_error *err)
{
    const struct vj_config *c = run->config;
    warn_of_folds(c);
    int r = vj_config_dataset(&run->dataset, c, c->jnd, err);
    if (!r)
        r = vj_train_items_select(&run->items, c, run->dataset, err);
    run->summary->train_items = run->items.train_count;
    run->summary->validation_items = run->items.valid_count;
    run->summary->broken_items = run->items.broken;
    return r ? r : warn_of_broken(&run->items, err);
}

/* What the options say of the network holds for fresh weights; they may not say otherwise here. */
static int check_start(const struct vj_config *c, const struct vj_net_shape *s,
                       struct vj_error *err)
{
    struct vj_config defaults;
    vj_config_defaults(&defaults, VJ_USE_TRAIN);
    if (c->variant != defaults.variant && c->variant != (int)s->variant)
        return vj_fail(err, -EINVAL, "it is a network of variant %s; leave option variant out",
                       vj_variant_name(s->variant));
    if (c->non_local != defaults.non_local && c->non_local != (int)s->non_local)
        return vj_fail(err, -EINVAL, "it was made with another non_local; leave that option out");
    if (c->patch_size != 0 && c->patch_size != s->patch_size)
        return vj_fail(err, -EINVAL,
                       "it is a network for patches of %d pixels; leave option patch_size out",
                       s->patch_size);
    return 0;
}

/* Where the patch weights begin; behind a relu that no patch passes nothing is ever learnt. */
static int set_weight_bias(struct run *run, struct vj_error *err)
{
    const double bias = run->config->weight_bias;
    if (bias <= 0)
        return 0;
    vj_weights_find(&run->initial, "weightings/block2/biases")->data[0] = (float)bias;
    return vj_weights_hash(&run->initial, err);
}

static int open_weights(struct run *run, struct vj_error *err)
{
    const struct vj_config *c = run->config;
    if (c->start[0]) {
        int r = vj_weights_read(&run->initial, c->start, err);
        if (!r && run->initial.positive_class == VJ_POSITIVE_AUTO)
            run->initial.positive_class = VJ_POSITIVE_LOSSY;
        memcpy(run->start_sha256, run->initial.sha256, sizeof(run->start_sha256));
        if (!r)
            r = check_start(c, &run->initial.shape, err);
        if (!r && run->own.positions == VJ_POSITIONS_AUTO)
            r = vj_trained_positions(&run->own.positions, &run->initial, err);
        return r ? vj_fail_prefix(err, "option start = %s", c->start) : set_weight_bias(run, err);
    }
    if (run->own.positions == VJ_POSITIONS_AUTO)
        run->own.positions = VJ_POSITIONS_UNIFORM;
    struct vj_net_shape shape = vj_net_shape_default((enum vj_variant)c->variant);
    shape.non_local = (enum vj_non_local)c->non_local;
    if (c->patch_size > 0)
        shape.patch_size = c->patch_size;
    if (c->patches > 0)
        shape.patches = c->patches;
    int r = vj_weights_init(&run->initial, &shape, c->seed, err);
    return r ? r : set_weight_bias(run, err);
}

static int open_trainer(struct run *run, struct vj_error *err)
{
    const struct vj_config *c = run->config;
    const struct vj_trainer_plan plan = {
        .weights = &run->initial,
        .patches = vj_train_data_patches(run->data),
        .max_references = (size_t)c->batch,
        .max_pairs = (size_t)c->batch * (size_t)c->batch_levels,
        .adam = {.beta_1 = 0.9, .beta_2 = 0.999, .epsilon = 1e-8},
        .average = c->average,
        .keep = c->keep,
        .seed = c->seed,
        .threads = vj_engine_threads(c->threads),
    };
    run->logit = vj_calloc(plan.max_pairs, sizeof(float));
    if (!run->logit)
        return vj_fail(err, -ENOMEM, "out of memory");
    char why[256] = ""; /* `auto` did not take the GPU */
    int r = vj_trainer_open(&run->trainer, c->device, &plan, why, err);
    if (!r && why[0])
        fprintf(stderr, "vpjnd: %s\n", why);
    return r;
}

/* The last name of a path, where it stands. */
static void drop_folders(char *path)
{
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        path[--size] = '\0';
    const char *slash = strrchr(path, '/');
    if (slash && slash[1])
        memmove(path, slash + 1, strlen(slash + 1) + 1);
}

/* Files that the configuration names count by what is in them, and so do labels of other JNDs. */
static int add_digests(struct run *run, struct vj_error *err)
{
    const char *jnd = vj_train_data_jnd_sha256(run->data);
    struct vj_text text = {0};
    vj_text_add(&text, "%s", run->config_text);
    if (run->start_sha256[0])
        vj_text_add(&text, "start_sha256 = \"%s\";\n", run->start_sha256);
    if (jnd)
        vj_text_add(&text, "jnd_weights_sha256 = \"%s\";\n", jnd);
    for (int k = 1; k <= VJ_TRAIN_ANCHORS_MAX; k++) {
        const char *level = vj_train_data_level_fingerprint(run->data, k);
        if (level[0])
            vj_text_add(&text, "jnd_%d_fingerprint = \"%s\";\n", k, level);
    }
    int r = vj_text_status(&text, err);
    if (r) {
        vj_text_free(&text);
        return r;
    }
    free(run->config_text);
    run->config_text = text.data;
    return 0;
}

/*
 * Option `steps` may grow when a run is resumed; everything else that decides a bit may not. The
 * text says which patch size was taken, so that naming a variant's own changes nothing. What others
 * see is the network that is trained, also where weights to start from decided on it.
 */
static int describe_config(struct run *run, struct vj_error *err)
{
    struct vj_config c = *run->config;
    if (c.patch_size == 0)
        c.patch_size = vj_net_form((enum vj_variant)c.variant)->patch_size;
    run->config_text = vj_config_text(&c, false);
    c.variant = (int)run->initial.shape.variant;
    c.non_local = (int)run->initial.shape.non_local;
    c.patch_size = run->initial.shape.patch_size;
    drop_folders(c.root);
    drop_folders(c.start);
    drop_folders(c.jnd_weights);
    run->shared_text = vj_config_text(&c, false);
    if (!run->config_text || !run->shared_text)
        return vj_fail(err, -ENOMEM, "out of memory");
    return add_digests(run, err);
}

/* No bit of the weights depends on the curves, so that their loss ends no run. */
static int resume_log(struct run *run, struct vj_error *err)
{
    if (access(run->log_path, F_OK) != 0 && errno == ENOENT) {
        struct vj_error gone;
        vj_fail(&gone, -ENOENT, "%s is gone: the learning curves begin at step %lld", run->log_path,
                (long long)run->progress.step + 1);
        vj_error_show(&gone);
        run->curves_begin_late = true;
        return 0;
    }
    struct vj_error why = {0};
    int r = vj_train_log_read(&run->log, run->log_path, &why);
    vj_train_log_cut(&run->log, run->progress.step);
    return r ? vj_fail(err, r, "%s; remove it to go on without the learning curves so far",
                       why.text)
             : 0;
}

/* The checkpoint holds the latest weights, but only OUT those that were best. */
static int check_best(const struct run *run, struct vj_error *err)
{
    const char *out = run->options->output;
    if (run->progress.best_step == 0 || access(out, F_OK) == 0)
        return 0;
    return vj_fail(
        err, -ENOENT,
        "%s, which held the best weights (of step %lld), is gone; put it back, or remove "
        "%s and train anew",
        out, (long long)run->progress.best_step, run->state_path);
}

static int resume(struct run *run, struct vj_error *err)
{
    const char *fingerprint = vj_dataset_info(run->dataset)->fingerprint;
    if (access(run->state_path, F_OK) != 0)
        return 0;
    int r = vj_train_state_read(run->state_path, &run->trainer, &run->progress, run->config_text,
                                fingerprint, &run->initial, err);
    if (!r)
        r = check_best(run, err);
    if (!r)
        r = resume_log(run, err);
    run->first_step = run->kept_step = run->progress.step;
    return r ? vj_fail_prefix(err, "cannot resume") : 0;
}

/* OUT is replaced while training goes on; what it started from is wanted again by --resume. */
static int check_other_file(const char *start, const char *out, struct vj_error *err)
{
    struct stat a, b;
    if (!start[0] || stat(start, &a) != 0 || stat(out, &b) != 0 || a.st_dev != b.st_dev ||
        a.st_ino != b.st_ino)
        return 0;
    return vj_fail(err, -EINVAL, "output %s is the file of option start = %s; name another output",
                   out, start);
}

static int make_paths(struct run *run, struct vj_error *err)
{
    const char *out = run->options->output;
    int a = snprintf(run->state_path, sizeof(run->state_path), "%s.state", out);
    int b = snprintf(run->log_path, sizeof(run->log_path), "%s.log", out);
    if (a < 0 || b < 0 || (size_t)a >= sizeof(run->state_path) - 8)
        return vj_fail(err, -ENAMETOOLONG, "the path %s is too long", out);
    int r = vj_h5_check_output(out, VJ_WEIGHTS_SCHEMA, err);
    if (!r)
        r = vj_h5_check_output(run->log_path, VJ_TRAIN_LOG_SCHEMA, err);
    return r ? r : check_other_file(run->config->start, out, err);
}

/* The outputs are this run's alone from here on; that their folder can be written to shows, too. */
static int claim_outputs(struct run *run, struct vj_error *err)
{
    char path[sizeof(run->state_path) + 8];
    snprintf(path, sizeof(path), "%s.lock", run->state_path);
    int r = vj_file_lock(&run->lock, path, err);
    if (r == -EBUSY)
        return vj_fail(err, r,
                       "%s is being made by another training run, which holds %s; wait for its "
                       "end, or name another output",
                       run->options->output, path);
    if (!r && access(run->state_path, F_OK) == 0 && !run->options->resume)
        r = vj_fail(err, -EEXIST,
                    "%s is there: a training run. Add --resume to go on with it, or remove it",
                    run->state_path);
    return r;
}

static int list_seen(struct run *run, struct vj_error *err)
{
    struct vj_text shared = {0}, line = {0};
    int r = vj_train_seen(&run->seen, &run->items, run->config, run->dataset, run->initial.trained,
                          vj_engine_threads(run->config->threads), &shared, err);
    if (!r && shared.size) {
        vj_text_add(&line, "vpjnd: %s", shared.data);
        r = vj_text_status(&line, err);
    }
    if (!r && line.size)
        vj_line_keep(stderr, line.data);
    vj_text_free(&shared);
    vj_text_free(&line);
    return r;
}

static int open_run(struct run *run, struct vj_error *err)
{
    int r = make_paths(run, err);
    if (!r)
        r = vj_config_check(run->config, err);
    if (!r)
        r = claim_outputs(run, err);
    if (!r)
        r = open_dataset(run, err);
    if (!r)
        r = open_weights(run, err);
    if (!r)
        r = vj_train_data_open(&run->data, run->config, run->dataset, run->items.train,
                               run->items.train_count, &run->initial.shape,
                               run->initial.positive_class, err);
    if (!r)
        r = list_seen(run, err);
    if (!r)
        r = describe_config(run, err);
    if (!r)
        r = open_trainer(run, err);
    if (!r && run->items.valid_count > 0)
        r = vj_validate_check(run->config, run->dataset, run->items.valid, run->items.valid_count,
                              &run->initial, err);
    return r ? r : resume(run, err);
}

static void close_run(struct run *run)
{
    vj_trainer_close(&run->trainer);
    vj_train_data_close(run->data);
    vj_weights_free(&run->initial);
    vj_train_items_free(&run->items);
    vj_seen_free(&run->seen);
    vj_dataset_close(run->dataset);
    vj_train_log_free(&run->log);
    free(run->config_text);
    free(run->shared_text);
    free(run->logit);
    vj_file_unlock(&run->lock);
}

/* ---- what is kept ---- */

/* Fills in how the weights came about; `w` owns the record. */
static int record_training(const struct run *run, struct vj_weights *w, int64_t step, double mad,
                           struct vj_error *err)
{
    const struct vj_dataset_info *info = vj_dataset_info(run->dataset);
    struct vj_trained *t = w->trained;
    if (!t)
        t = w->trained = vj_calloc(1, sizeof(*t));
    if (!t)
        return vj_fail(err, -ENOMEM, "out of memory");
    free(t->ids);
    free(t->config);
    snprintf(t->dataset, sizeof(t->dataset), "%s", info->dataset);
    snprintf(t->fingerprint, sizeof(t->fingerprint), "%s", info->fingerprint);
    snprintf(t->labels, sizeof(t->labels), "%s", info->label_definition);
    t->fold = run->config->fold;
    t->ids = strdup(run->items.ids);
    t->config = strdup(run->shared_text);
    memcpy(t->start_sha256, run->start_sha256, sizeof(t->start_sha256));
    const char *jnd = vj_train_data_jnd_sha256(run->data);
    snprintf(t->jnd_weights_sha256, sizeof(t->jnd_weights_sha256), "%s", jnd ? jnd : "");
    t->step = step;
    t->validation_mad = mad;
    int r = vj_seen_copy(&t->seen, &run->seen, err);
    const struct vj_config *c = run->config;
    const int patches = c->validate_patches > 0 ? c->validate_patches : c->patches;
    if (patches > 0) /* evaluation's default: what they were chosen with */
        w->shape.patches = patches;
    if (r || !t->ids || !t->config)
        return vj_fail(err, -ENOMEM, "out of memory");
    w->origin = VJ_ORIGIN_TRAINED;
    snprintf(w->origin_text, sizeof(w->origin_text),
             "trained on %s (%s), %zu pictures, step %lld%s", info->dataset,
             info->human_labels ? "labels of people" : "NOT human labels", run->items.train_count,
             (long long)step, run->config->start[0] ? ", fine-tuned" : "");
    return 0;
}

/* The moving average as OUT. `initial` is the scratch that carries shape and class. */
static int write_weights(struct run *run, int64_t step, double mad, struct vj_error *err)
{
    int r = vj_train_get(&run->trainer, VJ_TRAIN_AVERAGE, &run->initial, err);
    if (!r)
        r = record_training(run, &run->initial, step, mad, err);
    return r ? r : vj_weights_write(&run->initial, run->options->output, err);
}

/* All that --resume goes on from, and OUT where no validation decides what it holds. */
static int write_checkpoint(struct run *run, struct vj_error *err)
{
    const char *fingerprint = vj_dataset_info(run->dataset)->fingerprint;
    int r = run->items.valid_count == 0 ? write_weights(run, run->progress.step, NAN, err) : 0;
    if (!r)
        r = vj_train_log_write(&run->log, run->log_path, run->shared_text, err);
    if (!r)
        r = vj_train_state_write(run->state_path, &run->trainer, &run->progress, run->config_text,
                                 fingerprint, &run->initial, err);
    if (!r)
        run->kept_step = run->progress.step;
    return r;
}

/* What could not be written, on a full disk say, leaves the checkpoint before it. */
static int say_kept(const struct run *run, int r, struct vj_error *err)
{
    if (!r || r == -EDOM || run->kept_step == 0)
        return r;
    const struct vj_error why = *err;
    return vj_fail(err, r,
                   "%s; %s keeps the first %lld of %lld steps: when this is mended, go on with "
                   "--resume",
                   why.text, run->state_path, (long long)run->kept_step,
                   (long long)run->progress.step);
}

/* A picture that cannot be read takes no step from those before: they are kept for --resume. */
static int keep_steps(struct run *run, struct vj_error *err)
{
    const struct vj_error why = *err;
    struct vj_error other = {0};
    const long long step = (long long)run->progress.step;
    if (step > run->kept_step && write_checkpoint(run, &other))
        return vj_fail(err, why.code, "%s; nor could the %lld steps so far be kept: %s", why.text,
                       step, other.text);
    return step == 0
               ? why.code
               : vj_fail(err, why.code,
                         "%s; %s keeps the %lld steps so far: when this is mended, go on with "
                         "--resume, unless a file then has another size than when training began",
                         why.text, run->state_path, step);
}

static void note(const struct run *run, const char *text)
{
    if (!run->options->quiet)
        vj_line_keep(stderr, text);
}

static int validate(struct run *run, struct vj_error *err)
{
    struct vj_train_progress *p = &run->progress;
    struct vj_validation v;
    const double start = vj_seconds();
    int r = vj_train_get(&run->trainer, VJ_TRAIN_AVERAGE, &run->initial, err);
    if (r)
        return r;
    if (vj_validate(&v, run->config, run->dataset, run->items.valid, run->items.valid_count,
                    &run->initial, err))
        return keep_steps(run, err);
    r = vj_train_log_validation(&run->log, p->step, v.mad, v.bias, err);
    if (r)
        return r;
    const bool better = p->best_step == 0 || v.mad < p->best_mad;
    p->since_best = better ? 0 : p->since_best + 1;
    if (better) {
        p->best_step = p->step;
        p->best_mad = v.mad;
        r = say_kept(run, write_weights(run, p->step, v.mad, err), err);
    }
    run->validation_seconds += vj_seconds() - start;
    char line[256];
    snprintf(line, sizeof(line), "step %lld: validation MAD %.2f QF, bias %+.2f (%zu pictures)%s",
             (long long)p->step, v.mad, v.bias, v.images, better ? ", the best so far" : "");
    note(run, line);
    run->summary->dead_weights = v.live_weights == 0;
    if (run->summary->dead_weights)
        note(run,
             "every patch weight is the smallest there is: the output that makes them is dead and "
             "learns nothing, and a pixel-JND map has no effect; begin again with another seed "
             "or with option weight_bias = 1");
    return r;
}

/* ---- the loop ---- */

static double rate_at(const struct vj_config *c, int64_t step)
{
    return c->learning_rate * pow(c->decay_rate, (double)((step - 1) / c->decay_steps));
}

static int log_step(struct run *run, const struct vj_train_batch *batch, double loss, double rate,
                    struct vj_error *err)
{
    struct vj_train_progress *p = &run->progress;
    p->partial_loss += loss;
    p->partial_pairs += (int64_t)batch->pairs;
    for (size_t i = 0; i < batch->pairs; i++)
        p->partial_right += (run->logit[i] > 0) == (batch->target[i] > 0.5f);
    if (p->step % VJ_TRAIN_LOG_EVERY != 0)
        return 0;
    const double pairs = (double)p->partial_pairs;
    int r =
        vj_train_log_add(&run->log, p->step, p->partial_loss / pairs,
                         (double)p->partial_right / pairs, rate, vj_seconds() - run->start, err);
    p->partial_loss = 0;
    p->partial_right = p->partial_pairs = 0;
    return r;
}

/* Means over the last rows of the learning curve, for the eye; nothing before the first row. */
static void recent(const struct vj_train_log *log, char *text, size_t size)
{
    enum { ROWS = 20 };
    const size_t first = log->rows > ROWS ? log->rows - ROWS : 0, count = log->rows - first;
    double loss = 0, accuracy = 0;
    for (size_t i = first; i < log->rows; i++) {
        loss += log->loss[i] / (double)count;
        accuracy += log->accuracy[i] / (double)count;
    }
    text[0] = 0;
    if (count > 0)
        snprintf(text, size, "  loss %.4f  right %.1f %%", loss, 100 * accuracy);
}

static void show_progress(struct run *run, size_t pairs)
{
    const struct vj_train_progress *p = &run->progress;
    const double now = vj_seconds();
    if (run->options->quiet || now - run->last_line < (vj_line_can_change(stderr) ? 0.5 : 20.0))
        return;
    const double steps = (double)(p->step - run->first_step), seconds = now - run->start;
    const long left = (long)((double)(run->config->steps - p->step) * seconds / steps);
    char line[256], curve[64], mad[64] = "";
    recent(&run->log, curve, sizeof(curve));
    if (p->best_step > 0 && run->log.validations > 0) /* the curves may begin after it */
        snprintf(mad, sizeof(mad), "  MAD %.2f (best %.2f)", run->log.mad[run->log.validations - 1],
                 p->best_mad);
    snprintf(line, sizeof(line), "step %lld/%d%s%s  %.1f pairs/s  %ld:%02ld:%02ld left",
             (long long)p->step, run->config->steps, curve, mad,
             steps * (double)pairs / (seconds - run->validation_seconds), left / 3600,
             left / 60 % 60, left % 60);
    vj_line_show(stderr, line);
    run->last_line = now;
}

static bool due(int64_t step, int every)
{
    return every > 0 && step % every == 0;
}

/* What follows a step: validation, weights, checkpoint. *last: set when training ends here, or is
 * interrupted. */
static int after_step(struct run *run, bool *last, struct vj_error *err)
{
    const struct vj_config *c = run->config;
    struct vj_train_progress *p = &run->progress;
    const bool end = p->step >= c->steps;
    int r = 0;
    if (run->items.valid_count > 0 && (due(p->step, c->validate_every) || end))
        r = validate(run, err);
    *last = end || (c->patience > 0 && p->since_best >= c->patience);
    run->summary->stopped = *last && !end;
    run->summary->interrupted = !*last && run->options->stop && *run->options->stop;
    if (!r && (*last || run->summary->interrupted || due(p->step, c->checkpoint_every)))
        r = say_kept(run, write_checkpoint(run, err), err);
    *last = *last || run->summary->interrupted;
    return r;
}

/* Whether the run was cut off by a validation that failed after the last step of the checkpoint. */
static bool lacks_validation(const struct run *run)
{
    const struct vj_train_log *log = &run->log;
    const int64_t step = run->progress.step;
    const bool validated =
        log->validations > 0 && log->validation_step[log->validations - 1] == step;
    const bool wanted = due(step, run->config->validate_every) || step >= run->config->steps;
    return step > 0 && run->items.valid_count > 0 && wanted && !validated &&
           !run->curves_begin_late;
}

static int train(struct run *run, struct vj_error *err)
{
    const struct vj_config *c = run->config;
    struct vj_train_progress *p = &run->progress;
    struct maker maker = {.data = run->data};
    struct vj_train_batch batch;
    bool last = p->step >= c->steps || (c->patience > 0 && p->since_best >= c->patience);
    int r = lacks_validation(run) ? after_step(run, &last, err) : 0;
    if (!r && last && run->items.valid_count == 0 && access(run->options->output, F_OK) != 0)
        r = write_weights(run, p->step, NAN, err); /* the checkpoint has them, OUT is gone */
    if (!r && !last)
        r = maker_start(&maker, (uint64_t)p->step + 1, err);
    while (!r && !last) {
        double loss;
        const uint64_t step = (uint64_t)p->step + 1;
        const double rate = rate_at(c, (int64_t)step);
        r = maker_wait(&maker, &batch, err);
        if (!r && step < (uint64_t)c->steps)
            r = maker_start(&maker, step + 1, err);
        if (r)
            r = keep_steps(run, err);
        if (!r)
            r = run->trainer.ops->step(run->trainer.state, &batch, step, rate, &loss, run->logit,
                                       err);
        if (r)
            break;
        p->step = (int64_t)step;
        r = log_step(run, &batch, loss, rate, err);
        if (!r)
            r = after_step(run, &last, err);
        show_progress(run, batch.pairs);
    }
    struct vj_error ignored = {0};
    if (maker.running)
        maker_wait(&maker, &batch, &ignored);
    return r;
}

static void summarise(struct run *run)
{
    struct vj_train_summary *s = run->summary;
    const double pairs = (double)(run->config->batch * run->config->batch_levels);
    s->steps = run->progress.step;
    s->resumed = run->first_step;
    s->best_step = run->progress.best_step;
    s->best_mad = s->best_step > 0 ? run->progress.best_mad : NAN;
    s->seconds = vj_seconds() - run->start;
    s->pairs_per_second =
        (double)(s->steps - s->resumed) * pairs / (s->seconds - run->validation_seconds);
}

int vj_train_run(const struct vj_train_options *options, struct vj_train_summary *summary,
                 struct vj_error *err)
{
    struct run run = {.options = options, .own = *options->config, .summary = summary};
    run.config = &run.own;
    *summary = (struct vj_train_summary){0};
    int r = open_run(&run, err);
    run.start = run.last_line = vj_seconds();
    if (!r)
        r = train(&run, err);
    summarise(&run);
    close_run(&run);
    return r;
}
