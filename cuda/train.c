/* SPDX-License-Identifier: MIT */
#include "cuda/train.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/net.h"
#include "cuda/train_internal.h"

#include "cuda/check.h"
#include "cuda/train_kernels.h"
#include "host/checked.h"

/* ---- opening ---- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static int take_memory(struct vj_cuda_trainer *t, struct vj_error *err)
{
    const struct vj_cuda_train_plan *p = &t->plan;
    size_t free_bytes = 0, all = 0;
    int r = VJ_CUDA(cudaMemGetInfo(&free_bytes, &all), err);
    if (r)
        return r;
    if (p->total > free_bytes)
        return vj_fail(err, -ENOMEM,
                       "training on %zu pairs and %zu references of %zu patches takes %zu MiB on "
                       "the GPU, %.1f MiB for each patch, and %zu MiB are free: use fewer pairs or "
                       "patches, or device cpu",
                       p->max_pairs, p->max_references, p->net.rows, p->total >> 20,
                       (double)p->picture / (double)p->net.rows / (1 << 20), free_bytes >> 20);
    r = VJ_CUDA(cudaMalloc((void **)&t->memory, p->total), err);
    return r ? r : VJ_CUDA(cudaMemset(t->memory, 0, p->total), err);
}

/* Nothing for a product that the variant does not have. */
static int prepare_product(struct vj_cuda_trainer *t, struct vj_cuda_net_matmul_op *op,
                           const struct vj_cuda_net_matmul *product, struct vj_error *err)
{
    if (!product->batch)
        return 0;
    return vj_cuda_net_matmul_prepare(op, t->lt, product, VJ_CUDA_FP32, NULL, err);
}

static int prepare_products(struct vj_cuda_trainer *t, struct vj_error *err)
{
    static const enum vj_cuda_net_product forward[] = {
        VJ_CUDA_NET_AFFINITY, VJ_CUDA_NET_ATTEND, VJ_CUDA_NET_HEAD_PAIR, VJ_CUDA_NET_HEAD_PRODUCT};
    const struct vj_cuda_train_plan *p = &t->plan;
    int r = 0;
    for (int s = 0; s < vj_cuda_train_streams(t) && p->net.form->non_local; s++) {
        const struct vj_cuda_train_stream *at = &p->tensors.stream[s];
        const float *const bias[VJ_CUDA_TRAIN_PROJECTIONS] = {
            vj_cuda_train_weight(t, at->theta_bias), vj_cuda_train_weight(t, at->phi_bias),
            vj_cuda_train_at(t, VJ_CUDA_TRAIN_MERGED_BIAS + s)};
        for (int i = 0; i < VJ_CUDA_TRAIN_PROJECTIONS && !r; i++)
            r = vj_cuda_net_matmul_prepare(&t->projection[s][i], t->lt,
                                           &p->net.product[VJ_CUDA_NET_PROJECTION], VJ_CUDA_FP32,
                                           bias[i], err);
    }
    for (size_t i = 0; i < sizeof(forward) / sizeof(forward[0]) && !r; i++)
        r = prepare_product(t, &t->forward[forward[i]], &p->net.product[forward[i]], err);
    for (int i = 0; i < VJ_CUDA_TRAIN_PRODUCTS && !r; i++)
        r = prepare_product(t, &t->product[i], &p->product[i], err);
    return r;
}

/* Chooses convolution i's algorithms by running them in the first picture's memory, all zeros. */
static int prepare_conv(struct vj_cuda_trainer *t, int i, struct vj_error *err)
{
    const struct vj_cuda_net_plan *net = &t->plan.net;
    const float *x = vj_cuda_train_conv_input(t, 0, i);
    float *y = vj_cuda_train_kept_at(t, 0, vj_cuda_train_map_of(&t->plan, i));
    const float *kernel = vj_cuda_train_at(t, VJ_CUDA_TRAIN_KERNEL + i);
    const float *bias = vj_cuda_train_weight(t, t->plan.tensors.stream[0].bias[i]);
    const struct vj_cuda_net_conv_memory forward = {x, kernel, bias, y, NULL};
    const struct vj_cuda_train_data_memory data = {
        kernel, y, vj_cuda_train_at(t, VJ_CUDA_TRAIN_INPUT_GRADIENT)};
    const struct vj_cuda_train_filter_memory filter = {x, y,
                                                       vj_cuda_train_at(t, VJ_CUDA_TRAIN_FRESH)};
    int r = vj_cuda_net_conv_prepare(&t->conv[i], &net->conv[i], net->rows, VJ_CUDA_FP32, err);
    if (!r)
        r = vj_cuda_net_conv_choose(&t->conv[i], t->dnn, &forward, err);
    t->back[i].forward = &t->conv[i];
    if (!r)
        r = vj_cuda_train_filter_choose(&t->back[i], t->dnn, &filter, err);
    if (!r && i)
        r = vj_cuda_train_data_choose(&t->back[i], t->dnn, &data, err);
    return r;
}

static int take_workspace(struct vj_cuda_trainer *t, struct vj_error *err)
{
    size_t bytes = VJ_CUDA_NET_ALIGNMENT;
    for (int i = 0; i < t->plan.net.layers; i++) {
        bytes = larger(bytes, t->conv[i].workspace);
        bytes = larger(bytes, larger(t->back[i].data_workspace, t->back[i].filter_workspace));
    }
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < VJ_CUDA_TRAIN_PROJECTIONS; i++)
            bytes = larger(bytes, t->projection[s][i].workspace);
    for (int i = 0; i < VJ_CUDA_NET_PRODUCTS; i++)
        bytes = larger(bytes, t->forward[i].workspace);
    for (int i = 0; i < VJ_CUDA_TRAIN_PRODUCTS; i++)
        bytes = larger(bytes, t->product[i].workspace);
    t->workspace_bytes = bytes;
    return VJ_CUDA(cudaMalloc(&t->workspace, bytes), err);
}

static int check_set(const struct vj_cuda_trainer *t, const struct vj_weights *set,
                     struct vj_error *err)
{
    if (set->count != t->plan.tensors.count)
        return vj_fail(err, -EINVAL, "the set has %zu tensors, the trainer %zu", set->count,
                       t->plan.tensors.count);
    for (size_t i = 0; i < set->count; i++) {
        const struct vj_tensor *have = &set->tensors[i], *want = &t->tensor[i];
        if (strcmp(have->name, want->name) != 0 || have->count != want->count)
            return vj_fail(err, -EINVAL,
                           "tensor %zu of the set is %s of %zu values, the trainer's %s of %zu", i,
                           have->name, have->count, want->name, want->count);
    }
    return 0;
}

/* After a failure: what is on its way still uses the caller's memory. */
static void let_go(const struct vj_cuda_trainer *t)
{
    (void)cudaStreamSynchronize(t->stream);
    vj_cuda_forget_error();
}

static int copy_in(const struct vj_cuda_trainer *t, enum vj_train_set which,
                   const struct vj_weights *set, struct vj_error *err)
{
    float *to = vj_cuda_train_at(t, VJ_CUDA_TRAIN_SET + (int)which);
    int r = check_set(t, set, err);
    for (size_t i = 0; i < set->count && !r; i++) {
        const struct vj_tensor *from = &set->tensors[i];
        r = VJ_CUDA(cudaMemcpyAsync(to, from->data, from->count * sizeof(float),
                                    cudaMemcpyHostToDevice, t->stream),
                    err);
        to += vj_cuda_train_step_over(from->count);
    }
    if (r)
        let_go(t);
    return r ? r : VJ_CUDA(cudaStreamSynchronize(t->stream), err);
}

/* from: a set on the device */
static int copy_out(const struct vj_cuda_trainer *t, const float *from, struct vj_weights *set,
                    struct vj_error *err)
{
    int r = check_set(t, set, err);
    for (size_t i = 0; i < set->count && !r; i++) {
        struct vj_tensor *to = &set->tensors[i];
        r = VJ_CUDA(cudaMemcpyAsync(to->data, from, to->count * sizeof(float),
                                    cudaMemcpyDeviceToHost, t->stream),
                    err);
        from += vj_cuda_train_step_over(to->count);
    }
    if (r)
        let_go(t);
    return r ? r : VJ_CUDA(cudaStreamSynchronize(t->stream), err);
}

static int copy_names(struct vj_cuda_trainer *t, const struct vj_weights *weights,
                      struct vj_error *err)
{
    t->tensor = vj_calloc(weights->count, sizeof(*t->tensor));
    if (!t->tensor)
        return vj_fail(err, -ENOMEM, "out of memory for %zu tensors", weights->count);
    for (size_t i = 0; i < weights->count; i++) {
        t->tensor[i] = weights->tensors[i];
        t->tensor[i].data = NULL;
    }
    return 0;
}

static int prepare(struct vj_cuda_trainer *t, const struct vj_weights *weights,
                   struct vj_error *err)
{
    int r = copy_names(t, weights, err);
    if (!r)
        r = VJ_CUDA(cudaSetDevice(t->ordinal), err);
    if (!r)
        r = take_memory(t, err);
    if (!r)
        r = VJ_CUDA(cudaStreamCreateWithFlags(&t->stream, cudaStreamNonBlocking), err);
    if (!r)
        r = VJ_CUDNN(cudnnCreate(&t->dnn), err);
    if (!r)
        r = VJ_CUBLAS(cublasLtCreate(&t->lt), err);
    for (int i = 0; i < t->plan.net.layers && !r; i++)
        r = prepare_conv(t, i, err);
    if (!r)
        r = prepare_products(t, err);
    if (!r)
        r = take_workspace(t, err);
    if (!r)
        r = VJ_CUDA(cudaDeviceSynchronize(), err);
    if (!r)
        r = VJ_CUDNN(cudnnSetStream(t->dnn, t->stream), err);
    if (!r)
        r = copy_in(t, VJ_TRAIN_WEIGHTS, weights, err);
    return r ? r : copy_in(t, VJ_TRAIN_AVERAGE, weights, err);
}

static void cuda_close(void *state)
{
    struct vj_cuda_trainer *t = state;
    if (!t)
        return;
    /* The statuses of what tidies up say nothing that anyone could act on. */
    cudaSetDevice(t->ordinal);
    cudaDeviceSynchronize(); /* for the clearing of memory too, which is not on the stream */
    vj_cuda_forget_error();
    for (int i = 0; i < VJ_NET_LAYERS; i++)
        vj_cuda_net_conv_free(&t->conv[i]);
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < VJ_CUDA_TRAIN_PROJECTIONS; i++)
            vj_cuda_net_matmul_free(&t->projection[s][i]);
    for (int i = 0; i < VJ_CUDA_NET_PRODUCTS; i++)
        vj_cuda_net_matmul_free(&t->forward[i]);
    for (int i = 0; i < VJ_CUDA_TRAIN_PRODUCTS; i++)
        vj_cuda_net_matmul_free(&t->product[i]);
    if (t->lt)
        cublasLtDestroy(t->lt);
    if (t->dnn)
        cudnnDestroy(t->dnn);
    if (t->stream)
        cudaStreamDestroy(t->stream);
    cudaFree(t->workspace);
    cudaFree(t->memory);
    free(t->tensor);
    free(t);
}

static int cuda_open(void **state, const struct vj_trainer_plan *plan, int ordinal,
                     struct vj_error *err)
{
    *state = NULL;
    struct vj_cuda_trainer *t = vj_calloc(1, sizeof(*t));
    if (!t)
        return vj_fail(err, -ENOMEM, "out of memory for the trainer");
    t->options = *plan;
    t->options.weights = NULL;
    t->ordinal = ordinal;
    int r = vj_cuda_train_plan_make(&t->plan, plan, err);
    if (!r)
        r = prepare(t, plan->weights, err);
    if (r) {
        cuda_close(t);
        return r;
    }
    *state = t;
    return 0;
}

/* ---- a step ---- */

static int check_batch(const struct vj_cuda_trainer *t, const struct vj_train_batch *b,
                       struct vj_error *err)
{
    const struct vj_cuda_train_plan *p = &t->plan;
    if (p->net.form->jnd && !b->j)
        return vj_fail(err, -EINVAL, "variant %s sees a pixel-JND map, the batch has none",
                       vj_variant_name(p->net.shape.variant));
    if (b->references < 1 || b->references > p->max_references || b->pairs < 1 ||
        b->pairs > p->max_pairs)
        return vj_fail(err, -EINVAL,
                       "a batch of %zu references and %zu pairs, the trainer has room for 1 to %zu "
                       "and 1 to %zu",
                       b->references, b->pairs, p->max_references, p->max_pairs);
    for (size_t i = 0; i < b->pairs; i++) {
        if (b->reference[i] >= b->references)
            return vj_fail(err, -EINVAL, "pair %zu belongs to reference %u of %zu", i,
                           (unsigned)b->reference[i], b->references);
        if (!(b->target[i] >= 0 && b->target[i] <= 1))
            return vj_fail(err, -EINVAL, "pair %zu has target %g, must be 0 to 1", i,
                           (double)b->target[i]);
        if (!(b->importance[i] >= 0 && isfinite(b->importance[i])))
            return vj_fail(err, -EINVAL, "pair %zu has importance %g, must be finite and 0 or more",
                           i, (double)b->importance[i]);
    }
    return 0;
}

static int upload(const struct vj_cuda_trainer *t, int buffer, const void *from, size_t bytes,
                  struct vj_error *err)
{
    return VJ_CUDA(cudaMemcpyAsync(vj_cuda_train_bytes_at(t, buffer), from, bytes,
                                   cudaMemcpyHostToDevice, t->stream),
                   err);
}

static size_t picture_pixels(const struct vj_cuda_trainer *t)
{
    const size_t side = (size_t)t->plan.net.shape.patch_size;
    return t->plan.net.rows * side * side;
}

static int upload_batch(const struct vj_cuda_trainer *t, const struct vj_train_batch *b,
                        struct vj_error *err)
{
    const size_t pixels = picture_pixels(t);
    int r = upload(t, VJ_CUDA_TRAIN_R, b->r, b->references * pixels * 3, err);
    if (!r && t->plan.net.form->jnd)
        r = upload(t, VJ_CUDA_TRAIN_J, b->j, b->references * pixels, err);
    if (!r)
        r = upload(t, VJ_CUDA_TRAIN_D, b->d, b->pairs * pixels * 3, err);
    if (!r)
        r = upload(t, VJ_CUDA_TRAIN_REFERENCE_OF, b->reference, b->pairs * sizeof(*b->reference),
                   err);
    if (!r)
        r = upload(t, VJ_CUDA_TRAIN_TARGET, b->target, b->pairs * sizeof(*b->target), err);
    return r ? r
             : upload(t, VJ_CUDA_TRAIN_IMPORTANCE, b->importance, b->pairs * sizeof(*b->importance),
                      err);
}

/* Sums start at zero: every gradient, and the flag behind the flags. */
static int clear(const struct vj_cuda_trainer *t, struct vj_error *err)
{
    const struct vj_cuda_train_plan *p = &t->plan;
    const size_t first = p->offset[VJ_CUDA_TRAIN_GRADIENT];
    const size_t end =
        p->offset[VJ_CUDA_TRAIN_PRODUCT_GRADIENT] + p->bytes[VJ_CUDA_TRAIN_PRODUCT_GRADIENT];
    int r = VJ_CUDA(cudaMemsetAsync(t->memory + first, 0, end - first, t->stream), err);
    return r ? r
             : VJ_CUDA(cudaMemsetAsync(vj_cuda_train_flags(t), 0, p->bytes[VJ_CUDA_TRAIN_FLAGS],
                                       t->stream),
                       err);
}

/* Every picture of the batch through the extractor, or back: D, then R, then J where it is seen. */
static int all_pictures(const struct vj_cuda_trainer *t, const struct vj_cuda_train_batch *b,
                        int (*pass)(const struct vj_cuda_train_pass *), struct vj_error *err)
{
    const size_t pixels = picture_pixels(t);
    struct vj_cuda_train_pass p = {.t = t, .stream = 0, .channels = 3, .err = err};
    int r = 0;
    for (size_t i = 0; i < b->pairs && !r; i++) {
        p.picture = vj_cuda_train_pair_picture(t, i);
        p.patches = vj_cuda_train_bytes_at(t, VJ_CUDA_TRAIN_D) + i * pixels * 3;
        r = pass(&p);
    }
    for (size_t i = 0; i < b->references && !r; i++) {
        p.picture = i;
        p.patches = vj_cuda_train_bytes_at(t, VJ_CUDA_TRAIN_R) + i * pixels * 3;
        r = pass(&p);
    }
    p.stream = 1;
    p.channels = 1;
    for (size_t i = 0; i < b->references && t->plan.net.form->jnd && !r; i++) {
        p.picture = vj_cuda_train_map_picture(t, i);
        p.patches = vj_cuda_train_bytes_at(t, VJ_CUDA_TRAIN_J) + i * pixels;
        r = pass(&p);
    }
    return r;
}

/* Everything of a step but the update, enqueued. */
static int enqueue(const struct vj_cuda_trainer *t, const struct vj_train_batch *batch,
                   uint64_t step, struct vj_error *err)
{
    const struct vj_cuda_train_batch b = {batch->references, batch->pairs, batch->reference, step};
    const struct vj_cuda_train_finite_job finite = {vj_cuda_train_gradient(t, 0),
                                                    vj_cuda_train_flags(t) + t->plan.net.rows,
                                                    t->plan.tensors.total};
    int r = upload_batch(t, batch, err);
    if (!r)
        r = clear(t, err);
    if (!r)
        r = vj_cuda_train_fold(t, err);
    if (!r)
        r = all_pictures(t, &b, vj_cuda_train_extract, err);
    if (!r)
        r = vj_cuda_train_heads(t, &b, err);
    if (!r)
        r = vj_cuda_train_heads_back(t, &b, err);
    if (!r)
        r = all_pictures(t, &b, vj_cuda_train_extract_back, err);
    if (!r)
        r = vj_cuda_train_unfold(t, err);
    return r ? r : VJ_CUDA(vj_cuda_train_finite_launch(t->stream, &finite), err);
}

static int download(const struct vj_cuda_trainer *t, void *to, const void *from, size_t bytes,
                    struct vj_error *err)
{
    return VJ_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, t->stream), err);
}

/* Says which tensor's gradient is not finite. */
static int blame(const struct vj_cuda_trainer *t, uint64_t step, struct vj_error *err)
{
    int *flag = vj_cuda_train_flags(t) + t->plan.net.rows;
    size_t offset = 0;
    for (size_t i = 0; i < t->plan.tensors.count; i++) {
        const struct vj_tensor *tensor = &t->tensor[i];
        const struct vj_cuda_train_finite_job job = {vj_cuda_train_gradient(t, offset), flag,
                                                     tensor->count};
        int found = 0;
        int r = VJ_CUDA(cudaMemsetAsync(flag, 0, sizeof(*flag), t->stream), err);
        if (!r)
            r = VJ_CUDA(vj_cuda_train_finite_launch(t->stream, &job), err);
        if (!r)
            r = download(t, &found, flag, sizeof(found), err);
        if (!r)
            r = VJ_CUDA(cudaStreamSynchronize(t->stream), err);
        if (r)
            return r;
        if (found)
            return vj_fail(err, -EDOM,
                           "step %llu: the gradient of %s is not finite; lower learning_rate",
                           (unsigned long long)step, tensor->name);
        offset += vj_cuda_train_step_over(tensor->count);
    }
    return vj_fail(err, -EIO, "step %llu: a gradient was not finite and is now",
                   (unsigned long long)step);
}

/* Waits for the step; its loss and logits. each: room for a loss per pair */
static int fetch(const struct vj_cuda_trainer *t, size_t pairs, uint64_t step, double *each,
                 double *loss, float *logit, struct vj_error *err)
{
    int flag = 0;
    int r = download(t, each, vj_cuda_train_at(t, VJ_CUDA_TRAIN_LOSS), pairs * sizeof(*each), err);
    if (!r && logit)
        r = download(t, logit, vj_cuda_train_at(t, VJ_CUDA_TRAIN_LOGIT), pairs * sizeof(*logit),
                     err);
    if (!r)
        r = download(t, &flag, vj_cuda_train_flags(t) + t->plan.net.rows, sizeof(flag), err);
    if (!r)
        r = VJ_CUDA(cudaStreamSynchronize(t->stream), err);
    if (r)
        return r;
    *loss = 0;
    for (size_t i = 0; i < pairs; i++)
        *loss += each[i];
    if (!isfinite(*loss))
        return vj_fail(err, -EDOM, "step %llu: the loss is not finite; lower learning_rate",
                       (unsigned long long)step);
    return flag ? blame(t, step, err) : 0;
}

static int run(struct vj_cuda_trainer *t, const struct vj_train_batch *batch, uint64_t step,
               double *loss, float *logit, struct vj_error *err)
{
    double total = 0, *each;
    int r = check_batch(t, batch, err);
    if (!r)
        r = VJ_CUDA(cudaSetDevice(t->ordinal), err);
    if (r)
        return r;
    each = vj_calloc(batch->pairs, sizeof(*each));
    if (!each)
        return vj_fail(err, -ENOMEM, "out of memory for %zu losses", batch->pairs);
    r = enqueue(t, batch, step, err);
    if (!r)
        r = fetch(t, batch->pairs, step, each, &total, logit, err);
    if (r)
        let_go(t);
    free(each);
    if (!r && loss)
        *loss = total;
    return r;
}

static int cuda_step(void *state, const struct vj_train_batch *batch, uint64_t step, double rate,
                     double *loss, float *logit, struct vj_error *err)
{
    struct vj_cuda_trainer *t = state;
    const struct vj_cuda_train_adam_job adam = {
        .step = vj_adam_at(&t->options.adam, t->options.average, step, rate),
        .gradient = vj_cuda_train_gradient(t, 0),
        .weight = vj_cuda_train_at(t, VJ_CUDA_TRAIN_SET + VJ_TRAIN_WEIGHTS),
        .m = vj_cuda_train_at(t, VJ_CUDA_TRAIN_SET + VJ_TRAIN_MOMENT_1),
        .v = vj_cuda_train_at(t, VJ_CUDA_TRAIN_SET + VJ_TRAIN_MOMENT_2),
        .average = vj_cuda_train_at(t, VJ_CUDA_TRAIN_SET + VJ_TRAIN_AVERAGE),
        .count = t->plan.tensors.total};
    if (step < 1)
        return vj_fail(err, -EINVAL, "step 0: steps are counted from 1");
    int r = run(t, batch, step, loss, logit, err);
    return r ? r : VJ_CUDA(vj_cuda_train_adam_launch(t->stream, &adam), err);
}

static int cuda_gradient(void *state, const struct vj_train_batch *batch, uint64_t step,
                         struct vj_weights *gradient, double *loss, float *logit,
                         struct vj_error *err)
{
    struct vj_cuda_trainer *t = state;
    int r = run(t, batch, step, loss, logit, err);
    return r ? r : copy_out(t, vj_cuda_train_gradient(t, 0), gradient, err);
}

/* ---- state ---- */

static int check_which(enum vj_train_set which, struct vj_error *err)
{
    return (unsigned)which < VJ_TRAIN_SETS
               ? 0
               : vj_fail(err, -EINVAL, "there is no set %d of a training state", (int)which);
}

static int cuda_get(void *state, enum vj_train_set which, struct vj_weights *set,
                    struct vj_error *err)
{
    const struct vj_cuda_trainer *t = state;
    int r = check_which(which, err);
    if (!r)
        r = VJ_CUDA(cudaSetDevice(t->ordinal), err);
    return r ? r : copy_out(t, vj_cuda_train_at(t, VJ_CUDA_TRAIN_SET + (int)which), set, err);
}

static int cuda_set(void *state, enum vj_train_set which, const struct vj_weights *set,
                    struct vj_error *err)
{
    const struct vj_cuda_trainer *t = state;
    int r = check_which(which, err);
    if (!r)
        r = VJ_CUDA(cudaSetDevice(t->ordinal), err);
    return r ? r : copy_in(t, which, set, err);
}

static size_t cuda_bytes(const void *state)
{
    const struct vj_cuda_trainer *t = state;
    return t->plan.total + t->workspace_bytes;
}

static void cuda_libraries(const void *state, char *text, size_t size)
{
    (void)state;
    vj_cuda_net_libraries(text, size);
}

/* ---- records ---- */

/* Where the next line goes; stays at the end when the text is full. */
static void advance(char **text, size_t *size, int written)
{
    const size_t step = written < 0 ? 0 : (size_t)written < *size ? (size_t)written : *size - 1;
    *text += step;
    *size -= step;
}

void vj_cuda_train_describe(const void *state, char *text, size_t size)
{
    const struct vj_cuda_trainer *t = state;
    const struct vj_cuda_train_plan *p = &t->plan;
    char libraries[80];
    if (size == 0)
        return;
    vj_cuda_net_libraries(libraries, sizeof(libraries));
    advance(&text, &size,
            snprintf(text, size,
                     "%s\nprecision fp32\n%zu references, %zu pairs, %zu patches\n"
                     "memory %zu bytes, of which %zu a picture, and workspace %zu\n",
                     libraries, p->max_references, p->max_pairs, p->net.rows, p->total, p->picture,
                     t->workspace_bytes));
    for (int i = 0; i < p->net.layers; i++) {
        advance(&text, &size, vj_cuda_net_conv_describe(&t->conv[i], text, size));
        if (i)
            advance(&text, &size, vj_cuda_train_data_describe(&t->back[i], text, size));
        advance(&text, &size, vj_cuda_train_filter_describe(&t->back[i], text, size));
    }
    for (int i = 0; i < VJ_CUDA_NET_PRODUCTS; i++)
        if (t->forward[i].desc) /* there, and not one of the projections */
            advance(&text, &size, vj_cuda_net_matmul_describe(&t->forward[i], text, size));
    for (int i = 0; i < VJ_CUDA_TRAIN_PRODUCTS; i++)
        if (t->product[i].desc)
            advance(&text, &size, vj_cuda_net_matmul_describe(&t->product[i], text, size));
}

double vj_cuda_train_step_macs(const void *state, size_t references, size_t pairs)
{
    const struct vj_cuda_trainer *t = state;
    return vj_cuda_train_macs(&t->plan, references, pairs);
}

const struct vj_trainer_ops vj_trainer_cuda = {
    .name = "cuda",
    .open = cuda_open,
    .close = cuda_close,
    .step = cuda_step,
    .gradient = cuda_gradient,
    .get = cuda_get,
    .set = cuda_set,
    .bytes = cuda_bytes,
    .libraries = cuda_libraries,
};
