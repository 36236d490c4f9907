/* SPDX-License-Identifier: MIT */
/* The feature extractor in training: one picture forward, everything kept, and back. */
#include "cuda/train_internal.h"

#include "cuda/check.h"
#include "cuda/net_kernels.h"
#include "cuda/train_kernels.h"

typedef const struct vj_cuda_train_pass pass_t;

static float *kept(pass_t *p, int which)
{
    return vj_cuda_train_kept_at(p->t, p->picture, which);
}

/* Buffer of the pass's stream, `each` of them per stream. */
static float *of_stream(pass_t *p, int buffer, int each)
{
    return vj_cuda_train_at(p->t, buffer + each * vj_cuda_train_stream_of(&p->t->plan, p->stream));
}

static const struct vj_cuda_train_stream *tensors(pass_t *p)
{
    return &p->t->plan.tensors.stream[p->stream];
}

/* ---- forward ---- */

static int make_input(pass_t *p)
{
    const struct vj_cuda_trainer *t = p->t;
    return VJ_CUDA(vj_cuda_net_input(&t->plan.net, t->stream, p->patches, p->channels,
                                     t->plan.net.rows, vj_cuda_train_at(t, VJ_CUDA_TRAIN_INPUT)),
                   p->err);
}

/* What is kept of convolution i's output. */
static float *map_of(pass_t *p, int i)
{
    return kept(p, vj_cuda_train_map_of(&p->t->plan, i));
}

static int run_conv(pass_t *p, int i)
{
    const struct vj_cuda_trainer *t = p->t;
    const struct vj_cuda_net_conv_memory m = {vj_cuda_train_conv_input(t, p->picture, i),
                                              of_stream(p, VJ_CUDA_TRAIN_KERNEL + i, VJ_NET_LAYERS),
                                              vj_cuda_train_weight(t, tensors(p)->bias[i]),
                                              map_of(p, i), t->workspace};
    return vj_cuda_net_conv_run(&t->conv[i], t->dnn, t->stream, &m, p->err);
}

/* The convolutions of block b; answers the last one's map. */
static int run_convs(pass_t *p, int b, float **map)
{
    const struct vj_net_form *form = p->t->plan.net.form;
    const int end = vj_net_block_end(form, b);
    int r = 0;
    for (int i = end + 1 - form->convs; i <= end && !r; i++)
        r = run_conv(p, i);
    *map = map_of(p, end);
    return r;
}

static struct vj_cuda_net_attention attention(pass_t *p, int i)
{
    const size_t *offset = tensors(p)->attention[i];
    const struct vj_cuda_net_attention a = {
        vj_cuda_train_weight(p->t, offset[0]), vj_cuda_train_weight(p->t, offset[1]),
        vj_cuda_train_weight(p->t, offset[2]), vj_cuda_train_weight(p->t, offset[3])};
    return a;
}

/* What is kept of block b's last convolution. */
static float *block_map(pass_t *p, int b)
{
    return map_of(p, vj_net_block_end(p->t->plan.net.form, b));
}

/* Output of block b, pooled: the last one's is the features, where they are flattened. */
static float *pooled_of(pass_t *p, int b)
{
    const bool last = b == p->t->plan.net.form->blocks - 1;
    return kept(p, last ? (int)VJ_CUDA_TRAIN_LAST : VJ_CUDA_TRAIN_POOLED + b);
}

/* Block b without attention. */
static int run_plain_block(pass_t *p, int b)
{
    const struct vj_cuda_trainer *t = p->t;
    float *map;
    int r = run_convs(p, b, &map);
    return r ? r
             : VJ_CUDA(vj_cuda_net_halve(&t->plan.net, b, t->stream, map, pooled_of(p, b),
                                         vj_cuda_train_flags(t)),
                       p->err);
}

/* Block i with attention. */
static int run_block(pass_t *p, int i)
{
    const struct vj_cuda_net_plan *net = &p->t->plan.net;
    const struct vj_cuda_net_attention a = attention(p, i);
    const cudaStream_t stream = p->t->stream;
    float *map, *pooled = pooled_of(p, i);
    float *sums = kept(p, VJ_CUDA_TRAIN_SUMS + i), *peaks = kept(p, VJ_CUDA_TRAIN_PEAKS + i);
    float *scale = kept(p, VJ_CUDA_TRAIN_SCALE + i);
    int *flags = vj_cuda_train_flags(p->t);
    int r = run_convs(p, i, &map);
    if (!r)
        r = VJ_CUDA(vj_cuda_net_pool(net, i, stream, map, pooled, sums, peaks, flags), p->err);
    if (!r)
        r = VJ_CUDA(vj_cuda_net_attend(net, i, stream, &a, sums, peaks, scale), p->err);
    return r ? r : VJ_CUDA(vj_cuda_net_scale(net, i, stream, pooled, scale), p->err);
}

static int multiply(pass_t *p, const struct vj_cuda_net_matmul_op *op, const float *a,
                    const float *b, float *d)
{
    return vj_cuda_train_multiply(p->t, op, a, b, d, p->err);
}

/* Kernels of theta, phi and value. */
struct projections {
    const float *kernel[VJ_CUDA_TRAIN_PROJECTIONS];
};

static struct projections projections(pass_t *p)
{
    const struct vj_cuda_train_stream *s = tensors(p);
    const struct projections k = {{vj_cuda_train_weight(p->t, s->theta),
                                   vj_cuda_train_weight(p->t, s->phi),
                                   of_stream(p, VJ_CUDA_TRAIN_MERGED, 1)}};
    return k;
}

/* conv4 and the non-local block. */
static int run_non_local(pass_t *p)
{
    const struct vj_cuda_trainer *t = p->t;
    const struct projections k = projections(p);
    const int stream = vj_cuda_train_stream_of(&t->plan, p->stream);
    float *tokens, *chances = kept(p, VJ_CUDA_TRAIN_CHANCES);
    int *flags = vj_cuda_train_flags(t);
    int r = run_convs(p, t->plan.net.form->blocks - 1, &tokens);
    for (int i = 0; i < VJ_CUDA_TRAIN_PROJECTIONS && !r; i++)
        r = multiply(p, &t->projection[stream][i], tokens, k.kernel[i],
                     kept(p, VJ_CUDA_TRAIN_THETA + i));
    if (!r)
        r = multiply(p, &t->forward[VJ_CUDA_NET_AFFINITY], kept(p, VJ_CUDA_TRAIN_THETA),
                     kept(p, VJ_CUDA_TRAIN_PHI), chances);
    if (!r)
        r = VJ_CUDA(vj_cuda_net_softmax(&t->plan.net, t->stream, chances, chances, flags), p->err);
    if (!r)
        r = multiply(p, &t->forward[VJ_CUDA_NET_ATTEND], chances, kept(p, VJ_CUDA_TRAIN_VALUE),
                     kept(p, VJ_CUDA_TRAIN_ATTENDED));
    return r;
}

static int run_join(pass_t *p)
{
    const struct vj_cuda_trainer *t = p->t;
    const struct vj_cuda_net_plan *net = &t->plan.net;
    float *last = kept(p, VJ_CUDA_TRAIN_LAST);
    int *flags = vj_cuda_train_flags(t);
    int r = VJ_CUDA(vj_cuda_net_join(net, t->stream, kept(p, VJ_CUDA_TRAIN_TOKENS),
                                     kept(p, VJ_CUDA_TRAIN_ATTENDED), last, flags),
                    p->err);
    if (!r && net->form->statistics)
        r = VJ_CUDA(vj_cuda_net_statistics(net, t->stream, last, kept(p, VJ_CUDA_TRAIN_FEATURES)),
                    p->err);
    return r;
}

int vj_cuda_train_extract(const struct vj_cuda_train_pass *p)
{
    const struct vj_net_form *form = p->t->plan.net.form;
    const int attentions = vj_net_attentions(form), plain = form->blocks - form->non_local;
    int r = make_input(p);
    for (int b = 0; b < plain && !r; b++)
        r = b < attentions ? run_block(p, b) : run_plain_block(p, b);
    if (r || !form->non_local)
        return r;
    r = run_non_local(p);
    return r ? r : run_join(p);
}

/* ---- sums ---- */

int vj_cuda_train_add_columns(const struct vj_cuda_trainer *t, const float *x, size_t rows,
                              size_t columns, size_t ld, float *to, struct vj_error *err)
{
    float *parts = vj_cuda_train_at(t, VJ_CUDA_TRAIN_COLUMNS);
    struct vj_cuda_train_columns_job job = {.x = x, .parts = parts};
    vj_cuda_train_columns_make(&job.shape, rows, columns, ld);
    const struct vj_cuda_train_add_job add = {parts, to, job.shape.parts, columns};
    int r = VJ_CUDA(vj_cuda_train_columns_launch(t->stream, &job), err);
    return r ? r : VJ_CUDA(vj_cuda_train_add_launch(t->stream, &add), err);
}

/* ---- back: conv4 and behind it ---- */

/* Gradient at the last pooled map: that at the features, through the statistics of `figure`. */
static int back_features(pass_t *p, const float **last_gradient)
{
    const struct vj_cuda_trainer *t = p->t;
    const struct vj_cuda_net_plan *net = &t->plan.net;
    const size_t c = (size_t)net->shape.channels[3];
    float *out = vj_cuda_train_at(t, VJ_CUDA_TRAIN_LAST_GRADIENT);
    const float *at_features = kept(p, VJ_CUDA_TRAIN_FEATURES_GRADIENT);
    *last_gradient = at_features;
    if (!net->form->statistics)
        return 0;
    const struct vj_cuda_train_deviation_job job = {.last = kept(p, VJ_CUDA_TRAIN_LAST),
                                                    .features = kept(p, VJ_CUDA_TRAIN_FEATURES),
                                                    .gradient = at_features,
                                                    .out = out,
                                                    .positions = net->positions / 4,
                                                    .channels = c,
                                                    .count = net->rows * c};
    *last_gradient = out;
    return VJ_CUDA(vj_cuda_train_deviation_launch(t->stream, &job), p->err);
}

static int back_join(pass_t *p, const float *last_gradient)
{
    const struct vj_cuda_net_plan *net = &p->t->plan.net;
    const size_t c = (size_t)net->shape.channels[3];
    const struct vj_cuda_train_unjoin_job job = {.tokens = kept(p, VJ_CUDA_TRAIN_TOKENS),
                                                 .attended = kept(p, VJ_CUDA_TRAIN_ATTENDED),
                                                 .gradient = last_gradient,
                                                 .joined =
                                                     vj_cuda_train_at(p->t, VJ_CUDA_TRAIN_JOINED),
                                                 .side = (size_t)net->conv[3].side,
                                                 .channels = c,
                                                 .padded = (size_t)net->conv[3].out,
                                                 .count = net->rows * (net->positions / 4) * c};
    return VJ_CUDA(vj_cuda_train_unjoin_launch(p->t->stream, &job), p->err);
}

/* Gradients at theta, phi and value from the one behind the block. */
static int back_block(pass_t *p)
{
    const struct vj_cuda_trainer *t = p->t;
    const struct vj_cuda_net_plan *net = &t->plan.net;
    const bool transpose = net->shape.non_local == VJ_NON_LOCAL_TRANSPOSE;
    const float *joined = vj_cuda_train_at(t, VJ_CUDA_TRAIN_JOINED);
    const float *theta = kept(p, VJ_CUDA_TRAIN_THETA);
    float *affinity = vj_cuda_train_at(t, VJ_CUDA_TRAIN_CHANCES_GRADIENT);
    const struct vj_cuda_train_softmax_job softmax = {kept(p, VJ_CUDA_TRAIN_CHANCES), affinity,
                                                      net->rows * net->positions, net->positions};
    int r = multiply(p, &t->product[VJ_CUDA_TRAIN_OF_VALUE], softmax.chances, joined,
                     vj_cuda_train_at(t, VJ_CUDA_TRAIN_VALUE_GRADIENT));
    if (!r)
        r = multiply(p, &t->product[VJ_CUDA_TRAIN_OF_CHANCES], joined, kept(p, VJ_CUDA_TRAIN_VALUE),
                     affinity);
    if (!r)
        r = VJ_CUDA(vj_cuda_train_softmax_launch(t->stream, &softmax), p->err);
    if (!r)
        r = multiply(p, &t->product[VJ_CUDA_TRAIN_OF_THETA], affinity, kept(p, VJ_CUDA_TRAIN_PHI),
                     vj_cuda_train_at(t, VJ_CUDA_TRAIN_THETA_GRADIENT));
    if (!r)
        r = multiply(p, &t->product[VJ_CUDA_TRAIN_OF_PHI], transpose ? affinity : theta,
                     transpose ? theta : affinity, vj_cuda_train_at(t, VJ_CUDA_TRAIN_PHI_GRADIENT));
    return r;
}

/* Gradients of one projection's kernel and bias, and at the tokens. */
static int back_projection(pass_t *p, const float *gradient, const float *kernel,
                           float *kernel_gradient, float *bias_gradient)
{
    const struct vj_cuda_trainer *t = p->t;
    const struct vj_cuda_net_plan *net = &t->plan.net;
    const size_t c = (size_t)net->shape.channels[3];
    float *squares = vj_cuda_train_at(t, VJ_CUDA_TRAIN_SQUARES);
    const struct vj_cuda_train_add_job add = {squares, kernel_gradient, net->rows, c * c};
    int r = multiply(p, &t->product[VJ_CUDA_TRAIN_OF_PROJECTION], kept(p, VJ_CUDA_TRAIN_TOKENS),
                     gradient, squares);
    if (!r)
        r = VJ_CUDA(vj_cuda_train_add_launch(t->stream, &add), p->err);
    if (!r)
        r = vj_cuda_train_add_columns(t, gradient, net->rows * net->positions, c, c, bias_gradient,
                                      p->err);
    return r ? r
             : multiply(p, &t->product[VJ_CUDA_TRAIN_OF_TOKENS], gradient, kernel,
                        vj_cuda_train_at(t, VJ_CUDA_TRAIN_JOINED));
}

static int back_projections(pass_t *p)
{
    const struct vj_cuda_trainer *t = p->t;
    const struct vj_cuda_train_stream *s = tensors(p);
    const struct projections k = projections(p);
    float *const kernel_gradient[VJ_CUDA_TRAIN_PROJECTIONS] = {
        vj_cuda_train_gradient(t, s->theta), vj_cuda_train_gradient(t, s->phi),
        of_stream(p, VJ_CUDA_TRAIN_MERGED_GRADIENT, 1)};
    float *const bias_gradient[VJ_CUDA_TRAIN_PROJECTIONS] = {
        vj_cuda_train_gradient(t, s->theta_bias), vj_cuda_train_gradient(t, s->phi_bias),
        of_stream(p, VJ_CUDA_TRAIN_MERGED_BIAS_GRADIENT, 1)};
    int r = 0;
    for (int i = 0; i < VJ_CUDA_TRAIN_PROJECTIONS && !r; i++)
        r = back_projection(p, vj_cuda_train_at(t, VJ_CUDA_TRAIN_THETA_GRADIENT + i), k.kernel[i],
                            kernel_gradient[i], bias_gradient[i]);
    return r;
}

/* ---- back: convolutions ---- */

/*
 * Gradients of convolution i's kernel and bias, and at its input but for the first, whose input is
 * the picture.
 */
static int back_conv(pass_t *p, int i, const float *gradient)
{
    const struct vj_cuda_trainer *t = p->t;
    const struct vj_cuda_net_conv *c = &t->plan.net.conv[i];
    const size_t pixels = t->plan.net.rows * (size_t)c->side * (size_t)c->side;
    float *fresh = vj_cuda_train_at(t, VJ_CUDA_TRAIN_FRESH);
    const struct vj_cuda_train_filter_memory filter = {vj_cuda_train_conv_input(t, p->picture, i),
                                                       gradient, fresh};
    const struct vj_cuda_train_add_job add = {
        fresh, of_stream(p, VJ_CUDA_TRAIN_KERNEL_GRADIENT + i, VJ_NET_LAYERS), 1,
        9 * (size_t)c->in * (size_t)c->out};
    const struct vj_cuda_train_data_memory data = {
        of_stream(p, VJ_CUDA_TRAIN_KERNEL + i, VJ_NET_LAYERS), gradient,
        vj_cuda_train_at(t, VJ_CUDA_TRAIN_INPUT_GRADIENT)};
    int r = i ? 0 : make_input(p);
    if (!r)
        r = vj_cuda_train_filter_run(&t->back[i], t->dnn, &filter, t->workspace, p->err);
    if (!r)
        r = VJ_CUDA(vj_cuda_train_add_launch(t->stream, &add), p->err);
    if (!r)
        r = vj_cuda_train_add_columns(t, gradient, pixels, (size_t)c->real_out, (size_t)c->out,
                                      vj_cuda_train_gradient(t, tensors(p)->bias[i]), p->err);
    if (!r && i)
        r = vj_cuda_train_data_run(&t->back[i], t->dnn, &data, t->workspace, p->err);
    return r;
}

/* Arrays of VJ_CUDA_TRAIN_ATTENTION for a block of c channels. */
static struct vj_cuda_train_units units(const struct vj_cuda_trainer *t, size_t c)
{
    const size_t rows = t->plan.net.rows;
    float *at = vj_cuda_train_at(t, VJ_CUDA_TRAIN_ATTENTION);
    const struct vj_cuda_train_units u = {
        .in = at,
        .in_gradient = at + 2 * rows * c,
        .logit_gradient = at + 4 * rows * c,
        .hidden = at + 5 * rows * c,
        .hidden_gradient = at + 5 * rows * c + 2 * rows * (c / 16),
    };
    return u;
}

/* Gradients of the attention's weights, and what the pixels get through it. */
static int back_attention(pass_t *p, int i, const struct vj_cuda_train_units *u)
{
    const struct vj_cuda_trainer *t = p->t;
    const struct vj_cuda_net_plan *net = &t->plan.net;
    const size_t c = (size_t)net->pool[i].channels, hidden = c / 16;
    const size_t *offset = tensors(p)->attention[i];
    const struct vj_cuda_train_gather_job gather = {
        .shape = net->pool[i],
        .map = block_map(p, i),
        .gradient = vj_cuda_train_at(t, VJ_CUDA_TRAIN_INPUT_GRADIENT),
        .scale_parts = vj_cuda_train_at(t, VJ_CUDA_TRAIN_SCALE_PARTS),
        .peak_parts = (uint32_t *)(void *)vj_cuda_train_bytes_at(t, VJ_CUDA_TRAIN_PEAK_PARTS)};
    const struct vj_cuda_train_attend_job attend = {
        .forward = {net->pool[i], attention(p, i), kept(p, VJ_CUDA_TRAIN_SUMS + i),
                    kept(p, VJ_CUDA_TRAIN_PEAKS + i), kept(p, VJ_CUDA_TRAIN_SCALE + i)},
        .scale_parts = gather.scale_parts,
        .peak_parts = gather.peak_parts,
        .units = *u,
        .peak = (uint32_t *)(void *)vj_cuda_train_bytes_at(t, VJ_CUDA_TRAIN_PEAK)};
    const struct vj_cuda_train_mlp_job mlp = {
        .units = *u,
        .gradient = {vj_cuda_train_gradient(t, offset[0]), vj_cuda_train_gradient(t, offset[1]),
                     vj_cuda_train_gradient(t, offset[2]), vj_cuda_train_gradient(t, offset[3])},
        .rows = net->rows,
        .channels = c,
        .count = 2 * c * hidden + hidden + c};
    int r = VJ_CUDA(vj_cuda_train_gather_launch(t->stream, &gather, net->rows), p->err);
    if (!r)
        r = VJ_CUDA(vj_cuda_train_attend_launch(t->stream, &attend, net->rows), p->err);
    return r ? r : VJ_CUDA(vj_cuda_train_mlp_launch(t->stream, &mlp), p->err);
}

/* Pooling of block b without attention. gradient: at its output */
static int back_plain_pool(pass_t *p, int b, const float *gradient)
{
    const struct vj_cuda_net_plan *net = &p->t->plan.net;
    const int end = vj_net_block_end(net->form, b);
    const size_t side = (size_t)net->conv[end].side, c = (size_t)net->conv[end].out;
    const struct vj_cuda_train_spread_job job = {.map = map_of(p, end),
                                                 .gradient = gradient,
                                                 .side = side,
                                                 .channels = c,
                                                 .count =
                                                     net->rows * (side / 2) * (side / 2) * (c / 4)};
    return VJ_CUDA(vj_cuda_train_spread_launch(p->t->stream, &job), p->err);
}

/* Relu of convolution i, whose output the next one has read. */
static int back_relu(pass_t *p, int i)
{
    const struct vj_cuda_net_plan *net = &p->t->plan.net;
    const size_t side = (size_t)net->conv[i].side, c = (size_t)net->conv[i].out;
    const struct vj_cuda_train_mask_job job = {map_of(p, i),
                                               vj_cuda_train_at(p->t, VJ_CUDA_TRAIN_INPUT_GRADIENT),
                                               map_of(p, i), net->rows * side * side * c / 4};
    return VJ_CUDA(vj_cuda_train_mask_launch(p->t->stream, &job), p->err);
}

/* Attention and pooling of block i. */
static int back_pool(pass_t *p, int i)
{
    const struct vj_cuda_trainer *t = p->t;
    const struct vj_cuda_net_plan *net = &t->plan.net;
    const size_t c = (size_t)net->pool[i].channels, side = (size_t)net->pool[i].side;
    const struct vj_cuda_train_units u = units(t, c);
    const struct vj_cuda_train_scatter_job scatter = {
        .map = block_map(p, i),
        .gradient = vj_cuda_train_at(t, VJ_CUDA_TRAIN_INPUT_GRADIENT),
        .scale = kept(p, VJ_CUDA_TRAIN_SCALE + i),
        .in_gradient = u.in_gradient,
        .peak = (uint32_t *)(void *)vj_cuda_train_bytes_at(t, VJ_CUDA_TRAIN_PEAK),
        .side = side,
        .channels = c,
        .count = net->rows * (side / 2) * (side / 2) * (c / 4)};
    int r = back_attention(p, i, &u);
    return r ? r : VJ_CUDA(vj_cuda_train_scatter_launch(t->stream, &scatter), p->err);
}

/* The block with the non-local part, from the gradient at the last pooled map. */
static int back_non_local(pass_t *p, const float *last_gradient)
{
    const struct vj_cuda_trainer *t = p->t;
    const struct vj_cuda_net_plan *net = &t->plan.net;
    const int layer = net->layers - 1;
    float *joined = vj_cuda_train_at(t, VJ_CUDA_TRAIN_JOINED);
    const struct vj_cuda_train_mask_job mask = {kept(p, VJ_CUDA_TRAIN_TOKENS), joined, joined,
                                                net->rows * net->positions *
                                                    (size_t)net->conv[layer].out / 4};
    int r = back_join(p, last_gradient);
    if (!r)
        r = back_block(p);
    if (!r)
        r = back_projections(p);
    if (!r)
        r = VJ_CUDA(vj_cuda_train_mask_launch(t->stream, &mask), p->err);
    return r ? r : back_conv(p, layer, joined);
}

/*
 * Block b, from the gradient at its output to the one at its input: behind a convolution it takes
 * the place of the map before relu, then the convolution puts it at its own input.
 */
static int back_block_convs(pass_t *p, int b, const float *gradient)
{
    const struct vj_cuda_net_plan *net = &p->t->plan.net;
    const int end = vj_net_block_end(net->form, b), first = end + 1 - net->form->convs;
    int r = b < vj_net_attentions(net->form) ? back_pool(p, b) : back_plain_pool(p, b, gradient);
    for (int i = end; i >= first && !r; i--) {
        if (i < end)
            r = back_relu(p, i);
        if (!r)
            r = back_conv(p, i, map_of(p, i));
    }
    return r;
}

int vj_cuda_train_extract_back(const struct vj_cuda_train_pass *p)
{
    const struct vj_net_form *form = p->t->plan.net.form;
    const float *at_input = vj_cuda_train_at(p->t, VJ_CUDA_TRAIN_INPUT_GRADIENT), *gradient;
    int b = form->blocks - 1;
    int r = back_features(p, &gradient);
    if (!r && form->non_local) {
        r = back_non_local(p, gradient);
        gradient = at_input;
        b--;
    }
    for (; b >= 0 && !r; b--) {
        r = back_block_convs(p, b, gradient);
        gradient = at_input;
    }
    return r;
}
