/* SPDX-License-Identifier: MIT */
/*
 * Both heads and the loss, forward and backward. With the foldings 2 and 3 of spec network.md the
 * hidden layers are
 *   quality  z = (W1 + W3) f_r + (W2 - W3) f_d + b        weight  z = W1 f_r + W2 f_d + W3 f_d f_j
 * + b and the derivatives of the rows of the file follow from those of the folded matrices: quality
 * dW1 = f_r^T dz_r, dW2 = f_d^T dz, dW3 = dW1 - dW2 where dz_r is dz summed over the pairs of a
 * reference. Without a map the weight head folds as the quality head does, and there is no product.
 * `released` has every feature twice, so both of its rows have the same derivative.
 *
 * Matrix products are cut into pieces of fixed size, one thread each, so that no result depends on
 * the number of threads.
 */
#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/train_net.h"

enum {
    QUALITY = VJ_DROPOUT_QUALITY,
    WEIGHT = VJ_DROPOUT_WEIGHT,
    HEADS,
    PARTS = VJ_FOLD_PARTS,
    HIDDEN = VJ_NET_HIDDEN,
    COLUMNS = 64,   /* hidden units of one piece of the forward products */
    FEATURES = 128, /* rows of weights of one piece of the backward products */
};

static const char *const scopes[HEADS] = {"regressions", "weightings"};

struct vj_train_heads {
    struct vj_net_shape shape;
    size_t features, patches;
    int parts; /* vj_net_fold_parts(); the matrix of the product is the last one */
    float keep;
    uint64_t seed;
    int threads;
    float *folded[PARTS];       /* [features][HIDDEN] */
    float *d_folded[PARTS];     /* the same */
    const float *bias_1[HEADS]; /* views: [HIDDEN] */
    const float *kernel_2[HEADS];
    float bias_2[HEADS];
    float *z_r[HEADS], *dz_r[HEADS]; /* [references * P][HIDDEN] */
    float *z_d[HEADS];               /* [pairs * P][HIDDEN]; becomes the derivative */
    float *product, *d_product; /* [pairs * P][features]: f_d f_j and its derivative; or NULL */
    double *output[HEADS];      /* [pairs * P] q_p, a_p */
    double *d_output[HEADS];
    size_t bytes;
};

static float *take(struct vj_train_heads *h, size_t rows, size_t columns)
{
    size_t floats;
    if (!vj_size_mul(rows, columns, &floats))
        return NULL;
    h->bytes += floats * sizeof(float);
    return vj_alloc_aligned(floats, sizeof(float));
}

static bool has_product(const struct vj_train_heads *h)
{
    return h->parts > VJ_FOLD_WEIGHT_PRODUCT;
}

static bool allocate(struct vj_train_heads *h, size_t r_rows, size_t d_rows)
{
    bool ok = true;
    for (int p = 0; p < h->parts; p++) {
        ok = ok && (h->folded[p] = take(h, h->features, HIDDEN));
        ok = ok && (h->d_folded[p] = take(h, h->features, HIDDEN));
    }
    for (int i = 0; i < HEADS; i++) {
        ok = ok && (h->z_r[i] = take(h, r_rows, HIDDEN));
        ok = ok && (h->dz_r[i] = take(h, r_rows, HIDDEN));
        ok = ok && (h->z_d[i] = take(h, d_rows, HIDDEN));
        ok = ok && (h->output[i] = vj_calloc(d_rows, sizeof(double)));
        ok = ok && (h->d_output[i] = vj_calloc(d_rows, sizeof(double)));
    }
    if (!has_product(h))
        return ok;
    ok = ok && (h->product = take(h, d_rows, h->features));
    return ok && (h->d_product = take(h, d_rows, h->features));
}

int vj_train_heads_create(struct vj_train_heads **heads, const struct vj_net_shape *shape,
                          const struct vj_trainer_plan *plan, struct vj_error *err)
{
    struct vj_train_heads *h = vj_calloc(1, sizeof(*h));
    *heads = h;
    if (!h)
        return vj_fail(err, -ENOMEM, "out of memory for the heads");
    h->shape = *shape;
    h->features = vj_net_features(shape);
    h->parts = vj_net_fold_parts(shape);
    h->patches = plan->patches;
    h->keep = (float)plan->keep;
    h->seed = plan->seed;
    h->threads = plan->threads;
    if (!allocate(h, plan->max_references * plan->patches, plan->max_pairs * plan->patches))
        return vj_fail(err, -ENOMEM, "out of memory for the heads (%zu MiB)", h->bytes >> 20);
    return 0;
}

void vj_train_heads_free(struct vj_train_heads *h)
{
    if (!h)
        return;
    for (int p = 0; p < PARTS; p++) {
        free(h->folded[p]);
        free(h->d_folded[p]);
    }
    for (int i = 0; i < HEADS; i++) {
        free(h->z_r[i]);
        free(h->dz_r[i]);
        free(h->z_d[i]);
        free(h->output[i]);
        free(h->d_output[i]);
    }
    free(h->product);
    free(h->d_product);
    free(h);
}

size_t vj_train_heads_bytes(const struct vj_train_heads *h)
{
    return h->bytes;
}

int vj_train_heads_load(struct vj_train_heads *h, const struct vj_weights *w, struct vj_error *err)
{
    int r = 0;
    for (int p = 0; p < h->parts && !r; p++)
        r = vj_net_fold_head(w, (enum vj_fold_part)p, h->folded[p], err);
    for (int i = 0; i < HEADS && !r; i++) {
        h->bias_1[i] = vj_net_tensor(w, HIDDEN, err, "%s/block1/biases", scopes[i]);
        h->kernel_2[i] = vj_net_tensor(w, HIDDEN, err, "%s/block2/weights", scopes[i]);
        const float *bias = vj_net_tensor(w, 1, err, "%s/block2/biases", scopes[i]);
        if (!h->bias_1[i] || !h->kernel_2[i] || !bias)
            return -EINVAL;
        h->bias_2[i] = *bias;
    }
    return r;
}

/* ---- hidden layers ---- */

/* One of the independent products of a stage; c[rows][...] (+)= op(a) op(b). */
struct piece {
    bool a_transposed, b_transposed;
    size_t rows, columns, depth;
    const float *a;
    size_t lda;
    const float *b;
    size_t ldb;
    float beta;
    float *c;
    size_t ldc;
};

static int multiply(const struct piece *p, struct vj_error *err)
{
    return vj_dnn_gemm(p->a_transposed, p->b_transposed, p->rows, p->columns, p->depth, p->a,
                       p->lda, p->b, p->ldb, p->beta, p->c, p->ldc, err);
}

/* What a stage does with one slice of columns or features. */
typedef int (*slice_fn)(struct vj_train_heads *h, const struct vj_train_batch *batch,
                        const struct vj_train_features *f, size_t first, size_t count,
                        struct vj_error *err);

static int for_slices(struct vj_train_heads *h, const struct vj_train_batch *batch,
                      const struct vj_train_features *f, size_t total, size_t slice, slice_fn run,
                      struct vj_error *err)
{
    int failed = 0;
#pragma omp parallel num_threads(h->threads)
    {
        omp_set_num_threads(1); /* of this task only: a lone thread's products would be cut, too */
#pragma omp for schedule(dynamic, 1)
        for (size_t first = 0; first < total; first += slice) {
            struct vj_error own = {0};
            int r = run(h, batch, f, first, total - first < slice ? total - first : slice, &own);
            if (r)
#pragma omp critical(vj_train_error)
                failed = vj_fail(err, r, "%s", own.text);
        }
    }
    return failed;
}

/* Hidden units first .. first + count - 1 of all rows, without biases. */
static int forward_slice(struct vj_train_heads *h, const struct vj_train_batch *batch,
                         const struct vj_train_features *f, size_t first, size_t count,
                         struct vj_error *err)
{
    const size_t r_rows = batch->references * h->patches, d_rows = batch->pairs * h->patches;
    const struct {
        enum vj_fold_part part;
        size_t rows;
        const float *from;
        float *to;
        float beta;
    } products[] = {
        {VJ_FOLD_QUALITY_REFERENCE, r_rows, f->r, h->z_r[QUALITY], 0},
        {VJ_FOLD_WEIGHT_REFERENCE, r_rows, f->r, h->z_r[WEIGHT], 0},
        {VJ_FOLD_QUALITY_DISTORTED, d_rows, f->d, h->z_d[QUALITY], 0},
        {VJ_FOLD_WEIGHT_DISTORTED, d_rows, f->d, h->z_d[WEIGHT], 0},
        {VJ_FOLD_WEIGHT_PRODUCT, d_rows, h->product, h->z_d[WEIGHT], 1},
    };
    int r = 0;
    for (int i = 0; i < h->parts && !r; i++) {
        const struct piece p = {.rows = products[i].rows,
                                .columns = count,
                                .depth = h->features,
                                .a = products[i].from,
                                .lda = h->features,
                                .b = h->folded[products[i].part] + first,
                                .ldb = HIDDEN,
                                .beta = products[i].beta,
                                .c = products[i].to + first,
                                .ldc = HIDDEN};
        r = multiply(&p, err);
    }
    return r;
}

static void form_products(struct vj_train_heads *h, const struct vj_train_batch *batch,
                          const struct vj_train_features *f)
{
    const size_t row = h->patches * h->features;
#pragma omp parallel for schedule(static) num_threads(h->threads)
    for (size_t i = 0; i < batch->pairs; i++)
        vj_layer_product(f->d + i * row, f->j + batch->reference[i] * row, h->product + i * row,
                         row);
}

/* ---- outputs and loss ---- */

/* Dropout factors of a row: [HIDDEN]. */
static void dropout_row(const struct vj_train_heads *h, uint64_t step, int head, size_t row,
                        float *factor)
{
    if (h->keep >= 1) {
        for (size_t i = 0; i < HIDDEN; i++)
            factor[i] = 1;
        return;
    }
    for (uint32_t group = 0; group < HIDDEN / 4; group++)
        vj_dropout4(h->seed, step, head, (uint32_t)row, group, h->keep, factor + 4 * group);
}

/*
 * Row of hidden units to the head's output. z becomes relu(z) * dropout factor; which units pass
 * derivatives is where it is not 0.
 */
static double finish_row(const struct vj_train_heads *h, uint64_t step, int head, size_t row,
                         const float *constant, float *z)
{
    float factor[HIDDEN];
    double sum = (double)h->bias_2[head];
    dropout_row(h, step, head, row, factor);
    for (size_t i = 0; i < HIDDEN; i++) {
        float v = constant[i] + z[i] + h->bias_1[head][i];
        z[i] = v < 0 ? 0 : v * factor[i]; /* keeps NaN */
        sum += (double)z[i] * (double)h->kernel_2[head][i];
    }
    return sum;
}

/* q_p and, before its relu, a_p of all rows. */
static void finish_rows(struct vj_train_heads *h, const struct vj_train_batch *batch, uint64_t step)
{
    const size_t rows = batch->pairs * h->patches;
#pragma omp parallel for schedule(static) num_threads(h->threads)
    for (size_t row = 0; row < rows; row++) {
        const size_t reference = batch->reference[row / h->patches];
        const size_t from = (reference * h->patches + row % h->patches) * HIDDEN;
        for (int head = 0; head < HEADS; head++)
            h->output[head][row] =
                finish_row(h, step, head, row, h->z_r[head] + from, h->z_d[head] + row * HIDDEN);
    }
}

/* Logit of pair i, its part of the loss, and the derivatives by its patches' outputs. */
static double pair_loss(struct vj_train_heads *h, const struct vj_train_batch *batch, size_t i,
                        float *logit)
{
    const double *q = h->output[QUALITY] + i * h->patches, *a = h->output[WEIGHT] + i * h->patches;
    double *d_q = h->d_output[QUALITY] + i * h->patches;
    double *d_a = h->d_output[WEIGHT] + i * h->patches;
    double weighted = 0, weights = 0;
    for (size_t p = 0; p < h->patches; p++) {
        double weight = (a[p] > 0 ? a[p] : 0) + 1e-6;
        weighted += q[p] * weight;
        weights += weight;
    }
    const double score = weighted / weights, target = (double)batch->target[i];
    const double importance = (double)batch->importance[i];
    const double d_score = importance * (vj_sigmoid(score) - target);
    for (size_t p = 0; p < h->patches; p++) {
        double weight = (a[p] > 0 ? a[p] : 0) + 1e-6;
        d_q[p] = d_score * weight / weights;
        d_a[p] = a[p] > 0 ? d_score * (q[p] - score) / weights : 0;
    }
    if (logit)
        logit[i] = (float)score;
    return importance * vj_cross_entropy(score, target);
}

/* Second layers: their derivatives, and those of z, which replace it. */
static int backward_second_layer(struct vj_train_heads *h, const struct vj_train_batch *batch,
                                 int head, uint64_t step, struct vj_weights *gradient,
                                 struct vj_error *err)
{
    const size_t rows = batch->pairs * h->patches;
    float *d_kernel =
        (float *)vj_net_tensor(gradient, HIDDEN, err, "%s/block2/weights", scopes[head]);
    float *d_bias = (float *)vj_net_tensor(gradient, 1, err, "%s/block2/biases", scopes[head]);
    if (!d_kernel || !d_bias)
        return -EINVAL;
    double sum[HIDDEN] = {0}, bias = 0;
    for (size_t row = 0; row < rows; row++) {
        const float *z = h->z_d[head] + row * HIDDEN;
        const double d = h->d_output[head][row];
        bias += d;
        for (size_t i = 0; i < HIDDEN; i++)
            sum[i] += d * (double)z[i];
    }
    for (size_t i = 0; i < HIDDEN; i++)
        d_kernel[i] = (float)sum[i];
    *d_bias = (float)bias;
#pragma omp parallel for schedule(static) num_threads(h->threads)
    for (size_t row = 0; row < rows; row++) {
        float factor[HIDDEN];
        float *z = h->z_d[head] + row * HIDDEN;
        const float d = (float)h->d_output[head][row];
        dropout_row(h, step, head, row, factor);
        for (size_t i = 0; i < HIDDEN; i++)
            z[i] = z[i] != 0 ? d * h->kernel_2[head][i] * factor[i] : 0;
    }
    return 0;
}

/* dz_r: derivatives of the references' part, summed over their pairs; and of the first biases. */
static int sum_references(struct vj_train_heads *h, const struct vj_train_batch *batch, int head,
                          struct vj_weights *gradient, struct vj_error *err)
{
    const size_t block = h->patches * HIDDEN;
    float *d_bias = (float *)vj_net_tensor(gradient, HIDDEN, err, "%s/block1/biases", scopes[head]);
    if (!d_bias)
        return -EINVAL;
    memset(h->dz_r[head], 0, batch->references * block * sizeof(float));
    for (size_t i = 0; i < batch->pairs; i++) {
        const float *from = h->z_d[head] + i * block;
        float *to = h->dz_r[head] + batch->reference[i] * block;
        for (size_t k = 0; k < block; k++)
            to[k] += from[k];
    }
    memset(d_bias, 0, HIDDEN * sizeof(float));
    vj_add_columns(h->dz_r[head], batch->references * h->patches, HIDDEN, d_bias);
    return 0;
}

/* ---- back to features and first layers ---- */

/* Features first .. first + count - 1: derivatives of all rows and of these rows of weights. */
static int backward_slice(struct vj_train_heads *h, const struct vj_train_batch *batch,
                          const struct vj_train_features *f, size_t first, size_t count,
                          struct vj_error *err)
{
    const size_t r_rows = batch->references * h->patches, d_rows = batch->pairs * h->patches;
    const size_t n = h->features;
    const struct {
        enum vj_fold_part part;
        size_t rows;
        const float *dz, *from;
        float *d_from;
        float beta;
    } products[] = {
        {VJ_FOLD_QUALITY_REFERENCE, r_rows, h->dz_r[QUALITY], f->r, f->d_r, 0},
        {VJ_FOLD_WEIGHT_REFERENCE, r_rows, h->dz_r[WEIGHT], f->r, f->d_r, 1},
        {VJ_FOLD_QUALITY_DISTORTED, d_rows, h->z_d[QUALITY], f->d, f->d_d, 0},
        {VJ_FOLD_WEIGHT_DISTORTED, d_rows, h->z_d[WEIGHT], f->d, f->d_d, 1},
        {VJ_FOLD_WEIGHT_PRODUCT, d_rows, h->z_d[WEIGHT], h->product, h->d_product, 0},
    };
    int r = 0;
    for (int i = 0; i < h->parts && !r; i++) {
        const struct piece features = {.b_transposed = true,
                                       .rows = products[i].rows,
                                       .columns = count,
                                       .depth = HIDDEN,
                                       .a = products[i].dz,
                                       .lda = HIDDEN,
                                       .b = h->folded[products[i].part] + first * HIDDEN,
                                       .ldb = HIDDEN,
                                       .beta = products[i].beta,
                                       .c = products[i].d_from + first,
                                       .ldc = n};
        const struct piece weights = {.a_transposed = true,
                                      .rows = count,
                                      .columns = HIDDEN,
                                      .depth = products[i].rows,
                                      .a = products[i].from + first,
                                      .lda = n,
                                      .b = products[i].dz,
                                      .ldb = HIDDEN,
                                      .c = h->d_folded[products[i].part] + first * HIDDEN,
                                      .ldc = HIDDEN};
        r = multiply(&features, err);
        if (!r)
            r = multiply(&weights, err);
    }
    if (r || !has_product(h))
        return r;
    for (size_t row = 0; row < r_rows; row++)
        memset(f->d_j + row * n + first, 0, count * sizeof(float));
    for (size_t row = 0; row < d_rows; row++) {
        const size_t reference = batch->reference[row / h->patches];
        const size_t at = (reference * h->patches + row % h->patches) * n + first;
        const float *d = h->d_product + row * n + first;
        for (size_t i = 0; i < count; i++) {
            f->d_d[row * n + first + i] += d[i] * f->j[at + i];
            f->d_j[at + i] += d[i] * f->d[row * n + first + i];
        }
    }
    return 0;
}

/* Derivatives of the folded matrices to those of the file's rows. */
static int unfold(const struct vj_train_heads *h, struct vj_weights *gradient, struct vj_error *err)
{
    const size_t n = h->features, copies = (size_t)vj_net_form(h->shape.variant)->copies;
    for (int head = 0; head < HEADS; head++) {
        float *out = (float *)vj_net_tensor(gradient, 3 * copies * n * HIDDEN, err,
                                            "%s/block1/weights", scopes[head]);
        const bool difference = head == QUALITY || !has_product(h);
        const float *const third[3] = {
            h->d_folded[head == QUALITY ? VJ_FOLD_QUALITY_REFERENCE : VJ_FOLD_WEIGHT_REFERENCE],
            h->d_folded[head == QUALITY ? VJ_FOLD_QUALITY_DISTORTED : VJ_FOLD_WEIGHT_DISTORTED],
            difference ? NULL : h->d_folded[VJ_FOLD_WEIGHT_PRODUCT]};
        if (!out)
            return -EINVAL;
#pragma omp parallel for schedule(static) num_threads(h->threads)
        for (size_t i = 0; i < n * HIDDEN; i++) {
            const float v[3] = {third[0][i], third[1][i],
                                difference ? third[0][i] - third[1][i] : third[2][i]};
            for (size_t t = 0; t < 3; t++)
                for (size_t copy = 0; copy < copies; copy++)
                    out[(t * copies + copy) * n * HIDDEN + i] = v[t];
        }
    }
    return 0;
}

int vj_train_heads_run(struct vj_train_heads *h, const struct vj_train_batch *batch, uint64_t step,
                       const struct vj_train_features *f, double *loss, float *logit,
                       struct vj_weights *gradient, struct vj_error *err)
{
    if (has_product(h))
        form_products(h, batch, f);
    int r = for_slices(h, batch, f, HIDDEN, COLUMNS, forward_slice, err);
    if (r)
        return r;
    finish_rows(h, batch, step);
    *loss = 0;
    for (size_t i = 0; i < batch->pairs; i++)
        *loss += pair_loss(h, batch, i, logit);
    if (!isfinite(*loss))
        return vj_fail(err, -EDOM, "step %llu: the loss is not finite; lower learning_rate",
                       (unsigned long long)step);
    for (int head = 0; head < HEADS && !r; head++) {
        r = backward_second_layer(h, batch, head, step, gradient, err);
        if (!r)
            r = sum_references(h, batch, head, gradient, err);
    }
    if (!r)
        r = for_slices(h, batch, f, h->features, FEATURES, backward_slice, err);
    return r ? r : unfold(h, gradient, err);
}
