/* SPDX-License-Identifier: MIT */
/* The CPU trainer: oneDNN and OpenMP. */
#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/train_net.h"

enum { PICTURE = 0, JND = 1, STREAMS = 2 };

/* Pixels of a chunk: what keeps a thread's maps in its second-level cache. */
enum { CHUNK_PIXELS = 8 * 64 * 64, CHUNK_MAX = 16 };

struct trainer {
    struct vj_trainer_plan plan;
    struct vj_weights set[VJ_TRAIN_SETS];
    struct vj_weights gradient;
    struct vj_dnn *dnn;
    struct vj_train_extractor extractor[STREAMS];
    int streams; /* with weights of their own: 2 released, 1 others */
    struct vj_train_layout layout;
    struct vj_train_heads *heads;
    struct vj_train_thread *thread; /* [plan.threads] */
    size_t picture_chunks, jnd_chunks;
    float *storage;           /* [chunks][layout.keep.total] */
    float *features[STREAMS]; /* PICTURE: [(references + pairs) * P][features], references first */
    float *d_features[STREAMS];
    float *sum[STREAMS]; /* [layout.gradient.total], by streams with weights of their own */
    size_t bytes;
};

static const char *const stream_names[STREAMS] = {"extract_feature", "extract_jnd_feature"};

/* Which weights a stream passes through. */
static int weights_of(const struct trainer *t, int stream)
{
    return stream < t->streams ? stream : PICTURE;
}

static int copy_weights(struct vj_weights *to, const struct vj_weights *from, struct vj_error *err)
{
    int r = vj_weights_alloc(to, &from->shape, err);
    for (size_t i = 0; i < to->count && !r; i++) {
        const struct vj_tensor *source = vj_weights_find(from, to->tensors[i].name);
        if (!source || source->count != to->tensors[i].count)
            return vj_fail(err, -EINVAL, "the weights have no tensor %s of %zu values",
                           to->tensors[i].name, to->tensors[i].count);
        memcpy(to->tensors[i].data, source->data, source->count * sizeof(float));
    }
    return r;
}

static void cpu_close(void *state)
{
    struct trainer *t = state;
    if (!t)
        return;
    for (int i = 0; t->thread && i < t->plan.threads; i++)
        vj_train_thread_release(&t->thread[i]);
    free(t->thread);
    vj_train_heads_free(t->heads);
    for (int s = 0; s < STREAMS; s++) {
        vj_train_extractor_release(&t->extractor[s]);
        free(t->features[s]);
        free(t->d_features[s]);
        free(t->sum[s]);
    }
    free(t->storage);
    for (int s = 0; s < VJ_TRAIN_SETS; s++)
        vj_weights_free(&t->set[s]);
    vj_weights_free(&t->gradient);
    vj_dnn_free(t->dnn);
    free(t);
}

static int check_plan(const struct vj_trainer_plan *p, struct vj_error *err)
{
    if (p->patches < 1 || p->max_references < 1 || p->max_pairs < 1 || p->threads < 1)
        return vj_fail(err, -EINVAL, "a trainer needs patches, references, pairs and threads");
    const size_t most = (VJ_DROPOUT_ROWS - 1) / p->patches; /* no product below overflows, either */
    if (p->max_pairs > most || p->max_references > most)
        return vj_fail(err, -EINVAL,
                       "%zu pairs or %zu references of %zu patches are more than %d in one step",
                       p->max_pairs, p->max_references, p->patches, VJ_DROPOUT_ROWS - 1);
    if (!(p->keep > 0 && p->keep <= 1) || !(p->average >= 0 && p->average <= 1))
        return vj_fail(err, -EINVAL, "keep = %g must be in (0, 1], average = %g in [0, 1]", p->keep,
                       p->average);
    const struct vj_adam_step s = vj_adam_at(&p->adam, p->average, 1, 1); /* rounded to float */
    if (!(s.beta_1 >= 0 && s.beta_1 < 1) || !(s.beta_2 >= 0 && s.beta_2 < 1) ||
        !(s.epsilon > 0 && isfinite(s.epsilon)))
        return vj_fail(err, -EINVAL,
                       "Adam's beta_1 = %g and beta_2 = %g must be in [0, 1), epsilon = %g above 0",
                       p->adam.beta_1, p->adam.beta_2, p->adam.epsilon);
    return vj_net_shape_check(&p->weights->shape, err);
}

static int prepare_primitives(struct trainer *t, struct vj_error *err)
{
    const struct vj_net_shape *shape = &t->plan.weights->shape;
    const size_t side = (size_t)shape->patch_size;
    size_t batch = CHUNK_PIXELS / (side * side);
    batch = batch < 1 ? 1 : batch > CHUNK_MAX ? CHUNK_MAX : batch;
    t->streams = vj_net_form(shape->variant)->jnd_stream ? 2 : 1;
    int r = vj_dnn_create(&t->dnn, err);
    for (int s = 0; s < t->streams && !r; s++)
        r = vj_train_extractor_prepare(&t->extractor[s], t->dnn, shape, stream_names[s], batch,
                                       err);
    if (r)
        return r;
    vj_train_layout_make(&t->layout, shape, &t->extractor[PICTURE], batch);
    t->thread = vj_calloc((size_t)t->plan.threads, sizeof(*t->thread));
    if (!t->thread)
        return vj_fail(err, -ENOMEM, "out of memory for %d threads", t->plan.threads);
    for (int i = 0; i < t->plan.threads && !r; i++) {
        r = vj_train_thread_create(&t->thread[i], &t->layout, t->extractor, t->streams, err);
        t->bytes += t->thread[i].bytes;
    }
    return r;
}

static float *take(struct trainer *t, size_t rows, size_t columns)
{
    size_t floats;
    if (!vj_size_mul(rows, columns, &floats))
        return NULL;
    float *p = vj_alloc_aligned(floats, sizeof(float));
    if (p)
        memset(p, 0, floats * sizeof(float));
    t->bytes += floats * sizeof(float);
    return p;
}

static int take_memory(struct trainer *t, struct vj_error *err)
{
    const struct vj_trainer_plan *p = &t->plan;
    const size_t batch = t->layout.batch, n = t->layout.features;
    const size_t pictures = (p->max_references + p->max_pairs) * p->patches;
    const bool jnd = t->layout.form->jnd;
    const size_t references = p->max_references * p->patches, jnds = jnd ? references : 0;
    const size_t chunks = (references + batch - 1) / batch + (jnds + batch - 1) / batch +
                          (p->max_pairs * p->patches + batch - 1) / batch;
    t->storage = take(t, chunks, t->layout.keep.total);
    t->features[PICTURE] = take(t, pictures, n);
    t->d_features[PICTURE] = take(t, pictures, n);
    bool ok = t->storage && t->features[PICTURE] && t->d_features[PICTURE];
    if (jnd) {
        t->features[JND] = take(t, jnds, n);
        t->d_features[JND] = take(t, jnds, n);
        ok = ok && t->features[JND] && t->d_features[JND];
    }
    for (int s = 0; s < t->streams && ok; s++)
        ok = (t->sum[s] = take(t, 1, t->layout.gradient.total)) != NULL;
    if (!ok)
        return vj_fail(err, -ENOMEM,
                       "out of memory for %zu patches of %d pixels in one step (%zu MiB); lower "
                       "batch, batch_levels or patches",
                       pictures + jnds, t->layout.shape.patch_size, t->bytes >> 20);
    return 0;
}

static int open_trainer(struct trainer *t, struct vj_error *err)
{
    int r = copy_weights(&t->set[VJ_TRAIN_WEIGHTS], t->plan.weights, err);
    if (!r)
        r = copy_weights(&t->set[VJ_TRAIN_AVERAGE], t->plan.weights, err);
    if (!r)
        r = vj_weights_alloc(&t->set[VJ_TRAIN_MOMENT_1], &t->plan.weights->shape, err);
    if (!r)
        r = vj_weights_alloc(&t->set[VJ_TRAIN_MOMENT_2], &t->plan.weights->shape, err);
    if (!r)
        r = vj_weights_alloc(&t->gradient, &t->plan.weights->shape, err);
    if (r)
        return r;
    for (size_t i = 0; i < t->gradient.count; i++)
        t->bytes += (VJ_TRAIN_SETS + 1) * t->gradient.tensors[i].count * sizeof(float);
    t->plan.weights = &t->set[VJ_TRAIN_WEIGHTS]; /* the caller's may go */
    /* A primitive keeps the number of threads it was made under. */
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    r = prepare_primitives(t, err);
    omp_set_num_threads(threads);
    if (!r)
        r = take_memory(t, err);
    if (!r)
        r = vj_train_heads_create(&t->heads, &t->layout.shape, &t->plan, err);
    if (!r)
        t->bytes += vj_train_heads_bytes(t->heads);
    return r;
}

static int cpu_open(void **state, const struct vj_trainer_plan *plan, int ordinal,
                    struct vj_error *err)
{
    *state = NULL;
    if (ordinal != 0)
        return vj_fail(err, -ENODEV, "device cpu:%d: there is one CPU device, cpu", ordinal);
    int r = check_plan(plan, err);
    if (r)
        return r;
    struct trainer *t = vj_calloc(1, sizeof(*t));
    if (!t)
        return vj_fail(err, -ENOMEM, "out of memory for a trainer");
    t->plan = *plan;
    r = open_trainer(t, err);
    if (r) {
        cpu_close(t);
        return r;
    }
    *state = t;
    return 0;
}

/* ---- a step ---- */

static int check_batch(const struct trainer *t, const struct vj_train_batch *b,
                       struct vj_error *err)
{
    if (b->references < 1 || b->references > t->plan.max_references || b->pairs < 1 ||
        b->pairs > t->plan.max_pairs)
        return vj_fail(err, -EINVAL,
                       "a batch of %zu references and %zu pairs; planned are %zu and "
                       "%zu at most",
                       b->references, b->pairs, t->plan.max_references, t->plan.max_pairs);
    for (size_t i = 0; i < b->pairs; i++) {
        if (b->reference[i] >= b->references)
            return vj_fail(err, -EINVAL, "pair %zu: there is no reference %u", i, b->reference[i]);
        if (!(b->target[i] >= 0 && b->target[i] <= 1))
            return vj_fail(err, -EINVAL, "pair %zu: target %g is not in [0, 1]", i,
                           (double)b->target[i]);
        if (!(b->importance[i] >= 0 && isfinite(b->importance[i])))
            return vj_fail(err, -EINVAL, "pair %zu: importance %g is not a number >= 0", i,
                           (double)b->importance[i]);
    }
    return 0;
}

/* A run of neighbouring rows of one source of patches: chunk c of it. */
struct rows {
    const struct vj_train_batch *batch;
    size_t r_rows, d_rows; /* patches of the references and of the pairs */
    size_t r_chunks, d_chunks, j_chunks;
};

static struct rows rows_of(const struct trainer *t, const struct vj_train_batch *b)
{
    const size_t m = t->layout.batch;
    struct rows r = {.batch = b,
                     .r_rows = b->references * t->plan.patches,
                     .d_rows = b->pairs * t->plan.patches};
    r.r_chunks = (r.r_rows + m - 1) / m;
    r.j_chunks = t->layout.form->jnd ? r.r_chunks : 0;
    r.d_chunks = (r.d_rows + m - 1) / m;
    return r;
}

/* Chunks of R, then D, then J where a map is seen; none mixes them, so each lies in one array. */
static struct vj_train_chunk chunk_at(const struct trainer *t, const struct rows *rows, size_t c)
{
    const size_t m = t->layout.batch, n = t->layout.features;
    const size_t side = (size_t)t->layout.shape.patch_size;
    const uint8_t *patches = rows->batch->r;
    size_t total = rows->r_rows, row_before = 0, index = c;
    int source = PICTURE;
    size_t channels = 3;
    if (c >= rows->r_chunks + rows->d_chunks) {
        index = c - rows->r_chunks - rows->d_chunks;
        patches = rows->batch->j;
        channels = 1;
        source = JND;
    } else if (c >= rows->r_chunks) {
        index = c - rows->r_chunks;
        patches = rows->batch->d;
        total = rows->d_rows;
        row_before = rows->r_rows;
    }
    const size_t first = index * m, row = row_before + first;
    return (struct vj_train_chunk){
        .stream = weights_of(t, source),
        .count = total - first < m ? total - first : m,
        .channels = channels,
        .patches = patches + first * side * side * channels,
        .features = t->features[source] + row * n,
        .d_features = t->d_features[source] + row * n,
        .storage = t->storage + c * t->layout.keep.total,
    };
}

static int run_chunk(struct trainer *t, const struct rows *rows, size_t c, bool backward,
                     struct vj_error *err)
{
    const struct vj_train_chunk chunk = chunk_at(t, rows, c);
    struct vj_train_thread *thread = &t->thread[omp_get_thread_num()];
    const struct vj_train_extractor *e = &t->extractor[chunk.stream];
    return backward ? vj_train_extractor_backward(thread, &t->layout, e, &chunk, err)
                    : vj_train_extractor_forward(thread, &t->layout, e, &chunk, err);
}

static void add_gradient(struct trainer *t, const struct rows *rows, size_t c)
{
    const float *from = t->thread[omp_get_thread_num()].gradient;
    float *to = t->sum[chunk_at(t, rows, c).stream];
    for (size_t i = 0; i < t->layout.gradient.total; i++)
        to[i] += from[i];
}

/* All chunks of a batch on all threads; sums of gradients are formed in the chunks' order. */
static int run_chunks(struct trainer *t, const struct vj_train_batch *batch, bool backward,
                      struct vj_error *err)
{
    const struct rows rows = rows_of(t, batch);
    const size_t chunks = rows.r_chunks + rows.d_chunks + rows.j_chunks;
    int failed = 0;
#pragma omp parallel num_threads(t->plan.threads)
    {
        omp_set_num_threads(1); /* of this task only: what the primitives were prepared for */
#pragma omp for ordered schedule(dynamic, 1)
        for (size_t c = 0; c < chunks; c++) {
            struct vj_error own = {0};
            int r = run_chunk(t, &rows, c, backward, &own);
#pragma omp ordered
            {
                if (r)
                    failed = vj_fail(err, r, "%s", own.text);
                else if (backward)
                    add_gradient(t, &rows, c);
            }
        }
    }
    return failed;
}

static int check_finite(const struct vj_weights *gradient, uint64_t step, struct vj_error *err)
{
    for (size_t i = 0; i < gradient->count; i++) {
        const struct vj_tensor *tensor = &gradient->tensors[i];
        float sum = 0; /* of x - x: 0, or NaN when a value is not finite */
        for (size_t k = 0; k < tensor->count; k++)
            sum += tensor->data[k] - tensor->data[k];
        if (!(sum == 0))
            return vj_fail(err, -EDOM,
                           "step %llu: the gradient of %s is not finite; lower learning_rate",
                           (unsigned long long)step, tensor->name);
    }
    return 0;
}

/* Rewriting a layer's weights takes less time than waking threads does: both on one thread. */
static int load_weights(struct trainer *t, struct vj_error *err)
{
    const int threads = omp_get_max_threads();
    int r = 0;
    omp_set_num_threads(1);
    for (int s = 0; s < t->streams && !r; s++)
        r = vj_train_extractor_load(&t->extractor[s], &t->set[VJ_TRAIN_WEIGHTS], err);
    omp_set_num_threads(t->plan.threads);
    if (!r)
        r = vj_train_heads_load(t->heads, &t->set[VJ_TRAIN_WEIGHTS], err);
    omp_set_num_threads(threads);
    return r;
}

static int unpack_gradient(struct trainer *t, struct vj_error *err)
{
    const int threads = omp_get_max_threads();
    int r = 0;
    omp_set_num_threads(1);
    for (int s = 0; s < t->streams && !r; s++)
        r = vj_train_extractor_unpack(&t->layout, &t->extractor[s], t->sum[s],
                                      &t->set[VJ_TRAIN_WEIGHTS], &t->gradient, err);
    omp_set_num_threads(threads);
    return r;
}

/* Fills t->gradient. */
static int compute_gradient(struct trainer *t, const struct vj_train_batch *batch, uint64_t step,
                            double *loss, float *logit, struct vj_error *err)
{
    const size_t r_floats = batch->references * t->plan.patches * t->layout.features;
    const struct vj_train_features f = {.r = t->features[PICTURE],
                                        .d = t->features[PICTURE] + r_floats,
                                        .j = t->features[JND],
                                        .d_r = t->d_features[PICTURE],
                                        .d_d = t->d_features[PICTURE] + r_floats,
                                        .d_j = t->d_features[JND]};
    int r = check_batch(t, batch, err);
    if (!r)
        r = load_weights(t, err);
    if (!r)
        r = run_chunks(t, batch, false, err);
    if (!r)
        r = vj_train_heads_run(t->heads, batch, step, &f, loss, logit, &t->gradient, err);
    if (r)
        return r;
    for (int s = 0; s < t->streams; s++)
        memset(t->sum[s], 0, t->layout.gradient.total * sizeof(float));
    r = run_chunks(t, batch, true, err);
    if (!r)
        r = unpack_gradient(t, err);
    return r ? r : check_finite(&t->gradient, step, err);
}

static void update(struct trainer *t, uint64_t step, double rate)
{
    const struct vj_adam_step s = vj_adam_at(&t->plan.adam, t->plan.average, step, rate);
    for (size_t i = 0; i < t->gradient.count; i++) {
        const float *g = t->gradient.tensors[i].data;
        float *w = t->set[VJ_TRAIN_WEIGHTS].tensors[i].data;
        float *m = t->set[VJ_TRAIN_MOMENT_1].tensors[i].data;
        float *v = t->set[VJ_TRAIN_MOMENT_2].tensors[i].data;
        float *a = t->set[VJ_TRAIN_AVERAGE].tensors[i].data;
#pragma omp parallel for schedule(static) num_threads(t->plan.threads)
        for (size_t k = 0; k < t->gradient.tensors[i].count; k++)
            vj_adam_update(&s, g[k], &w[k], &m[k], &v[k], &a[k]);
    }
}

static int cpu_step(void *state, const struct vj_train_batch *batch, uint64_t step, double rate,
                    double *loss, float *logit, struct vj_error *err)
{
    struct trainer *t = state;
    int r = compute_gradient(t, batch, step, loss, logit, err);
    if (!r)
        update(t, step, rate);
    return r;
}

static int cpu_gradient(void *state, const struct vj_train_batch *batch, uint64_t step,
                        struct vj_weights *gradient, double *loss, float *logit,
                        struct vj_error *err)
{
    struct trainer *t = state;
    int r = compute_gradient(t, batch, step, loss, logit, err);
    for (size_t i = 0; i < t->gradient.count && !r; i++) {
        struct vj_tensor *to = vj_weights_find(gradient, t->gradient.tensors[i].name);
        if (!to || to->count != t->gradient.tensors[i].count)
            return vj_fail(err, -EINVAL, "the gradient asked for has no tensor %s of %zu values",
                           t->gradient.tensors[i].name, t->gradient.tensors[i].count);
        memcpy(to->data, t->gradient.tensors[i].data, to->count * sizeof(float));
    }
    return r;
}

/* Copies all values; both sides must have the same tensors. */
static int copy_values(struct vj_weights *to, const struct vj_weights *from, struct vj_error *err)
{
    if (to->count != from->count)
        return vj_fail(err, -EINVAL, "a set of %zu tensors, the network has %zu", from->count,
                       to->count);
    for (size_t i = 0; i < to->count; i++)
        if (strcmp(to->tensors[i].name, from->tensors[i].name) != 0 ||
            to->tensors[i].count != from->tensors[i].count)
            return vj_fail(err, -EINVAL, "tensor %s of %zu values where %s of %zu is expected",
                           from->tensors[i].name, from->tensors[i].count, to->tensors[i].name,
                           to->tensors[i].count);
    for (size_t i = 0; i < to->count; i++)
        memcpy(to->tensors[i].data, from->tensors[i].data, to->tensors[i].count * sizeof(float));
    return 0;
}

static int cpu_get(void *state, enum vj_train_set which, struct vj_weights *set,
                   struct vj_error *err)
{
    struct trainer *t = state;
    return copy_values(set, &t->set[which], err);
}

static int cpu_set(void *state, enum vj_train_set which, const struct vj_weights *set,
                   struct vj_error *err)
{
    struct trainer *t = state;
    return copy_values(&t->set[which], set, err);
}

static size_t cpu_bytes(const void *state)
{
    return ((const struct trainer *)state)->bytes;
}

static void cpu_libraries(const void *state, char *text, size_t size)
{
    (void)state;
    vj_dnn_describe(text, size);
}

const struct vj_trainer_ops vj_trainer_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .step = cpu_step,
    .gradient = cpu_gradient,
    .get = cpu_get,
    .set = cpu_set,
    .bytes = cpu_bytes,
    .libraries = cpu_libraries,
};
