/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/net.h"
#include "host/net_internal.h"

struct vj_net_reference {
    const struct vj_net *net;
    size_t max_patches, patches;
    float *constant; /* [max_patches][2 * VJ_NET_HIDDEN]: hidden layers' part of f_r and biases */
    float *jnd;      /* [max_patches][features]: f_j; NULL where no map is seen */
};

static int prepare(struct vj_net *net, const struct vj_weights *w, struct vj_error *err)
{
    int r = vj_dnn_create(&net->dnn, err);
    if (!r)
        r = vj_extractor_prepare(&net->extractor[VJ_NET_PICTURE], net->dnn, w, "extract_feature",
                                 err);
    if (!r && net->form->jnd_stream)
        r = vj_extractor_prepare(&net->extractor[VJ_NET_JND], net->dnn, w, "extract_jnd_feature",
                                 err);
    if (!r && net->form->non_local)
        r = vj_non_local_prepare(&net->non_local, net->dnn, &w->shape, err);
    if (!r)
        r = vj_heads_prepare(&net->heads, net->dnn, w, err);
    return r;
}

int vj_net_create(struct vj_net **net, const struct vj_weights *w, struct vj_error *err)
{
    *net = NULL;
    int r = vj_net_shape_check(&w->shape, err);
    if (r)
        return r;
    struct vj_net *n = vj_calloc(1, sizeof(*n));
    if (!n)
        return vj_fail(err, -ENOMEM, "out of memory for the network");
    n->shape = w->shape;
    n->form = vj_net_form(w->shape.variant);
    n->positive_class = w->positive_class;
    n->features = vj_net_features(&w->shape);
    /* A primitive keeps the number of threads it was made under. */
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    r = prepare(n, w, err);
    omp_set_num_threads(threads);
    if (r) {
        vj_net_free(n);
        return r;
    }
    *net = n;
    return 0;
}

void vj_net_free(struct vj_net *net)
{
    if (!net)
        return;
    vj_heads_free(net->heads);
    vj_non_local_release(&net->non_local);
    for (int s = 0; s < VJ_NET_STREAMS; s++)
        vj_extractor_release(&net->extractor[s]);
    vj_dnn_free(net->dnn);
    free(net);
}

const struct vj_net_shape *vj_net_get_shape(const struct vj_net *net)
{
    return &net->shape;
}

enum vj_positive_class vj_net_positive_class(const struct vj_net *net)
{
    return net->positive_class;
}

size_t vj_net_bytes(const struct vj_net *net)
{
    size_t bytes = sizeof(*net) + vj_heads_bytes(net->heads);
    for (int s = 0; s < VJ_NET_STREAMS; s++)
        bytes += vj_extractor_bytes(&net->extractor[s]);
    return bytes;
}

void vj_net_libraries(char *text, size_t size)
{
    vj_dnn_describe(text, size);
}

/* Behind what stands in text, in a line of its own. */
static void add_line(char *text, size_t size, const char *layer, const char *algorithm)
{
    const size_t used = strlen(text);
    snprintf(text + used, size - used, "\n%s %s", layer, algorithm);
}

void vj_net_algorithms(const struct vj_net *net, char *text, size_t size)
{
    const struct vj_extractor *e = &net->extractor[VJ_NET_PICTURE];
    const struct {
        const char *layer;
        const struct vj_dnn_op *op;
    } others[] = {{"theta", e->theta},
                  {"phi", e->phi},
                  {"value", e->value},
                  {"affinity", net->non_local.affinity},
                  {"softmax", net->non_local.softmax},
                  {"attend", net->non_local.attend}};
    vj_net_libraries(text, size);
    for (int i = 0; i < vj_net_layers(&net->shape); i++) {
        char conv[128];
        vj_net_conv_describe(e->conv[i], conv, sizeof(conv));
        add_line(text, size, vj_net_layer(&net->shape, i).name, conv);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (others[i].op) /* the variant has it */
            add_line(text, size, others[i].layer, vj_dnn_op_implementation(others[i].op));
}

int vj_net_work_create(struct vj_net_work **work, const struct vj_net *net, int threads,
                       struct vj_error *err)
{
    struct vj_net_work *w = vj_calloc(1, sizeof(*w));
    *work = NULL;
    if (!w)
        return vj_fail(err, -ENOMEM, "out of memory for the network's work");
    w->net = net;
    w->threads = threads > 0 ? threads : omp_get_max_threads();
    w->thread = vj_calloc((size_t)w->threads, sizeof(*w->thread));
    int r = w->thread ? 0 : vj_fail(err, -ENOMEM, "out of memory for the network's threads");
    for (int i = 0; i < w->threads && !r; i++)
        r = vj_extractor_thread_create(&w->thread[i], net, err);
    if (!r)
        r = vj_heads_work_create(&w->heads, net->heads, err);
    if (r) {
        vj_net_work_free(w);
        return r;
    }
    *work = w;
    return 0;
}

void vj_net_work_free(struct vj_net_work *work)
{
    if (!work)
        return;
    for (int i = 0; work->thread && i < work->threads; i++)
        vj_extractor_thread_release(&work->thread[i]);
    free(work->thread);
    vj_heads_work_free(work->heads);
    free(work);
}

size_t vj_net_work_bytes(const struct vj_net_work *work)
{
    size_t bytes = sizeof(*work) + vj_heads_work_bytes(work->heads);
    for (int i = 0; i < work->threads; i++)
        bytes += sizeof(work->thread[i]) + work->thread[i].bytes;
    return bytes;
}

int vj_net_reference_create(struct vj_net_reference **ref, const struct vj_net *net,
                            size_t max_patches, struct vj_error *err)
{
    struct vj_net_reference *n = vj_calloc(1, sizeof(*n));
    *ref = NULL;
    if (!n)
        return vj_fail(err, -ENOMEM, "out of memory for a reference");
    n->net = net;
    n->max_patches = max_patches;
    n->constant = vj_calloc(max_patches, 2 * VJ_NET_HIDDEN * sizeof(float));
    if (net->form->jnd)
        n->jnd = vj_calloc(max_patches, net->features * sizeof(float));
    if (!n->constant || (net->form->jnd && !n->jnd)) {
        vj_net_reference_free(n);
        return vj_fail(err, -ENOMEM, "out of memory for a reference of %zu patches", max_patches);
    }
    *ref = n;
    return 0;
}

void vj_net_reference_free(struct vj_net_reference *ref)
{
    if (!ref)
        return;
    free(ref->constant);
    free(ref->jnd);
    free(ref);
}

size_t vj_net_reference_bytes(const struct vj_net_reference *ref)
{
    const size_t jnd = ref->jnd ? ref->net->features : 0;
    return sizeof(*ref) + ref->max_patches * (2 * VJ_NET_HIDDEN + jnd) * sizeof(float);
}

/* Independent patches of one stream, and where their features go. */
struct batch {
    enum vj_net_stream stream;
    const uint8_t *patches;
    size_t channels, count;
    float *out;           /* [count][features] */
    const float *times;   /* f_j of all reference patches, to be multiplied with, or NULL */
    float *products;      /* [count][features] when there is `times` */
    size_t first, period; /* patch i belongs to reference patch (first + i) % period */
};

static int run_patch(struct vj_net_work *work, const struct batch *b, size_t i,
                     struct vj_error *err)
{
    const struct vj_net *net = work->net;
    const size_t side = (size_t)net->shape.patch_size, features = net->features;
    const uint8_t *patch = b->patches + i * side * side * b->channels;
    float *out = b->out + i * features;
    int r = vj_extractor_run(&work->thread[omp_get_thread_num()], net, b->stream, patch,
                             b->channels, out, NULL, NULL, err);
    if (!r && b->times)
        vj_layer_product(out, b->times + (b->first + i) % b->period * features,
                         b->products + i * features, features);
    return r;
}

static int run_batch(struct vj_net_work *work, const struct batch *b, struct vj_error *err)
{
    int failed = 0;
#pragma omp parallel num_threads(work->threads)
    {
        omp_set_num_threads(1); /* of this task only: what the primitives were prepared for */
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < b->count; i++) {
            struct vj_error own = {0};
            int r = run_patch(work, b, i, &own);
            if (r)
#pragma omp critical(vj_net_error)
                failed = vj_fail(err, r, "%s", own.text);
        }
    }
    return failed;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* f_r of the patches and from it the constant part of the hidden layers. */
static int load_pictures(struct vj_net_reference *ref, struct vj_net_work *work, const uint8_t *r,
                         struct vj_error *err)
{
    const size_t side = (size_t)ref->net->shape.patch_size;
    for (size_t first = 0; first < ref->patches; first += VJ_HEADS_ROWS) {
        const struct batch b = {
            .stream = VJ_NET_PICTURE,
            .patches = r + first * side * side * 3,
            .channels = 3,
            .count = smaller(VJ_HEADS_ROWS, ref->patches - first),
            .out = vj_heads_features(work->heads, 0),
        };
        int failed = run_batch(work, &b, err);
        if (!failed)
            failed = vj_heads_run(work->heads, VJ_HEADS_REFERENCE, b.count, work->threads, err);
        if (failed)
            return failed;
        for (size_t i = 0; i < b.count; i++)
            vj_heads_constant(work->heads, i, ref->constant + (first + i) * 2 * VJ_NET_HIDDEN);
    }
    return 0;
}

int vj_net_reference_load(struct vj_net_reference *ref, struct vj_net_work *work, const uint8_t *r,
                          const uint8_t *jnd, size_t patches, struct vj_error *err)
{
    if (ref->net != work->net)
        return vj_fail(err, -EINVAL, "the reference and the work belong to different networks");
    if (patches < 1 || patches > ref->max_patches)
        return vj_fail(err, -EINVAL, "%zu patches for a reference with room for 1 to %zu", patches,
                       ref->max_patches);
    if (ref->net->form->jnd && !jnd)
        return vj_fail(err, -EINVAL, "variant %s sees a pixel-JND map, none is given",
                       vj_variant_name(ref->net->shape.variant));
    ref->patches = patches;
    const struct batch maps = {
        .stream = VJ_NET_JND,
        .patches = jnd,
        .channels = 1,
        .count = patches,
        .out = ref->jnd,
    };
    int failed = ref->jnd ? run_batch(work, &maps, err) : 0;
    if (!failed)
        failed = load_pictures(ref, work, r, err);
    if (failed)
        ref->patches = 0;
    return failed;
}

/* What a call of vj_net_scores() fills in, and the sums of the picture that it is in. */
struct output {
    float *score, *quality, *weight;
    double weighted, weights;
};

/* Rows first .. first + count - 1 of all candidates' patches, in order. */
static void finish_rows(const struct vj_net_work *work, const struct vj_net_reference *ref,
                        size_t first, size_t count, struct output *out)
{
    for (size_t i = 0; i < count; i++) {
        const size_t row = first + i, p = row % ref->patches;
        float q, a;
        vj_heads_finish(work->heads, i, ref->constant + p * 2 * VJ_NET_HIDDEN, &q, &a);
        if (out->quality)
            out->quality[row] = q;
        if (out->weight)
            out->weight[row] = a;
        if (p == 0)
            out->weighted = out->weights = 0;
        out->weighted += (double)q * (double)a;
        out->weights += (double)a;
        if (p == ref->patches - 1)
            out->score[row / ref->patches] = (float)(out->weighted / out->weights);
    }
}

int vj_net_scores(struct vj_net_work *work, const struct vj_net_reference *ref, const uint8_t *d,
                  size_t n, float *score, float *quality, float *weight, struct vj_error *err)
{
    const size_t side = (size_t)work->net->shape.patch_size;
    struct output out = {.score = score, .quality = quality, .weight = weight};
    size_t rows;
    if (ref->net != work->net)
        return vj_fail(err, -EINVAL, "the reference and the work belong to different networks");
    if (ref->patches == 0)
        return vj_fail(err, -EINVAL, "no patches were loaded into the reference");
    if (n == 0 || !vj_size_mul(n, ref->patches, &rows))
        return vj_fail(err, -EINVAL, "%zu candidates in one call", n);
    for (size_t first = 0; first < rows; first += VJ_HEADS_ROWS) {
        const struct batch b = {
            .stream = VJ_NET_PICTURE,
            .patches = d + first * side * side * 3,
            .channels = 3,
            .count = smaller(VJ_HEADS_ROWS, rows - first),
            .out = vj_heads_features(work->heads, 0),
            .times = ref->jnd,
            .products = vj_heads_products(work->heads, 0),
            .first = first,
            .period = ref->patches,
        };
        int r = run_batch(work, &b, err);
        if (!r)
            r = vj_heads_run(work->heads, VJ_HEADS_DISTORTED, b.count, work->threads, err);
        if (r)
            return r;
        finish_rows(work, ref, first, b.count, &out);
    }
    return 0;
}
