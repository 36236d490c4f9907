/* SPDX-License-Identifier: MIT */
/* The training step's tensors, memory and products, without a GPU. */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "cuda/train_plan.h"
#include "host/net_fold.h"
#include "host/weights.h"

static struct vj_error err;

static void ok(int r)
{
    if (r)
        fail_msg("%d: %s", r, err.text);
}

static struct vj_net_shape make_shape(enum vj_variant variant, enum vj_non_local non_local,
                                      int size, int c1, int c2, int c3, int c4)
{
    struct vj_net_shape s = vj_net_shape_default(variant);
    s.non_local = non_local;
    s.patch_size = size;
    s.channels[0] = c1;
    s.channels[1] = c2;
    s.channels[2] = c3;
    s.channels[3] = c4;
    return s;
}

/* Weights of the shape and a plan for them. */
struct rig {
    struct vj_weights w;
    struct vj_trainer_plan trainer;
    struct vj_cuda_train_plan plan;
};

static void rig_make(struct rig *rig, const struct vj_net_shape *shape, size_t patches,
                     size_t references, size_t pairs)
{
    memset(rig, 0, sizeof(*rig));
    ok(vj_weights_alloc(&rig->w, shape, &err));
    rig->trainer = (struct vj_trainer_plan){.weights = &rig->w,
                                            .patches = patches,
                                            .max_references = references,
                                            .max_pairs = pairs,
                                            .adam = {0.9, 0.999, 1e-8},
                                            .average = 0.9999,
                                            .keep = 0.5,
                                            .threads = 1};
    ok(vj_cuda_train_plan_make(&rig->plan, &rig->trainer, &err));
}

static const struct {
    enum vj_variant variant;
    enum vj_non_local non_local;
    int size, channels[5];
} cases[] = {
    {VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 128, {32, 64, 128, 256}},
    {VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 128, {32, 64, 128, 256}},
    {VJ_VARIANT_RELEASED, VJ_NON_LOCAL_TRANSPOSE, 48, {16, 48, 32, 21}},
    {VJ_VARIANT_FIGURE, VJ_NON_LOCAL_TRANSPOSE, 16, {16, 16, 16, 1}},
    {VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 16, {16, 32, 16, 1024}},
    {VJ_VARIANT_PW_JND, VJ_NON_LOCAL_RESHAPE, 32, {32, 64, 128, 256, 512}},
    {VJ_VARIANT_PW_JND, VJ_NON_LOCAL_RESHAPE, 96, {48, 16, 32, 112, 80}},
};

static bool is_pw(size_t i)
{
    return cases[i].variant == VJ_VARIANT_PW_JND;
}

static void rig_make_case(struct rig *rig, size_t i)
{
    const int *c = cases[i].channels;
    struct vj_net_shape shape =
        make_shape(cases[i].variant, cases[i].non_local, cases[i].size, c[0], c[1], c[2], c[3]);
    shape.channels[4] = c[4];
    rig_make(rig, &shape, 3, 2, 5);
}

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

/* ---- tensors ---- */

/* Takes the tensor of that name at that offset off the list of those that nobody has named. */
static void expect_tensor(const struct rig *rig, bool *named, size_t offset, const char *name)
{
    size_t at = 0;
    for (size_t i = 0; i < rig->w.count; i++) {
        if (strcmp(rig->w.tensors[i].name, name) == 0) {
            assert_int_equal(at, offset);
            assert_false(named[i]);
            named[i] = true;
            return;
        }
        at += (rig->w.tensors[i].count + 63) / 64 * 64;
    }
    fail_msg("the weights have no %s", name);
}

static void expect_stream(const struct rig *rig, bool *named, const char *scope,
                          const struct vj_cuda_train_stream *s)
{
    static const char *const units[] = {"mlp_0/kernel", "mlp_0/bias", "mlp_1/kernel", "mlp_1/bias"};
    const struct {
        const char *name;
        size_t kernel, bias;
    } maps[] = {{"theta", s->theta, s->theta_bias},
                {"phi", s->phi, s->phi_bias},
                {"g", s->g, s->g_bias},
                {"w", s->w, s->w_bias}};
    char name[128];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "%s/conv%d/weights", scope, i + 1);
        expect_tensor(rig, named, s->kernel[i], name);
        snprintf(name, sizeof(name), "%s/conv%d/biases", scope, i + 1);
        expect_tensor(rig, named, s->bias[i], name);
        snprintf(name, sizeof(name), "%s/conv4/Non-local4/%s/%s_conv/kernel", scope, maps[i].name,
                 maps[i].name);
        expect_tensor(rig, named, maps[i].kernel, name);
        snprintf(name, sizeof(name), "%s/conv4/Non-local4/%s/%s_conv/bias", scope, maps[i].name,
                 maps[i].name);
        expect_tensor(rig, named, maps[i].bias, name);
        for (int k = 0; k < 4 && i < 3; k++) {
            snprintf(name, sizeof(name), "%s/conv%d/ch_at/%s", scope, i + 1, units[k]);
            expect_tensor(rig, named, s->attention[i][k], name);
        }
    }
}

static void expect_pw_stream(const struct rig *rig, bool *named,
                             const struct vj_cuda_train_stream *s)
{
    char name[128];
    for (int i = 0; i < 10; i++) {
        const int block = i / 2 + 1, conv = i % 2 + 1;
        snprintf(name, sizeof(name), "extract_feature/conv%d_%d/weights", block, conv);
        expect_tensor(rig, named, s->kernel[i], name);
        snprintf(name, sizeof(name), "extract_feature/conv%d_%d/biases", block, conv);
        expect_tensor(rig, named, s->bias[i], name);
    }
}

static void every_tensor_has_a_place_of_its_own_in_a_set(void **state)
{
    (void)state;
    static const char *const heads[] = {"regressions", "weightings"};
    for (size_t i = 0; i < CASES; i++) {
        struct rig rig;
        rig_make_case(&rig, i);
        const struct vj_cuda_train_tensors *t = &rig.plan.tensors;
        bool *named = calloc(rig.w.count, sizeof(*named));
        if (is_pw(i))
            expect_pw_stream(&rig, named, &t->stream[0]);
        else
            expect_stream(&rig, named, "extract_feature", &t->stream[0]);
        if (cases[i].variant == VJ_VARIANT_RELEASED)
            expect_stream(&rig, named, "extract_jnd_feature", &t->stream[1]);
        else
            assert_memory_equal(&t->stream[0], &t->stream[1], sizeof(t->stream[0]));
        for (int h = 0; h < 2; h++) {
            char name[4][64];
            for (int k = 0; k < 4; k++)
                snprintf(name[k], sizeof(name[k]), "%s/block%d/%s", heads[h], k / 2 + 1,
                         k % 2 ? "biases" : "weights");
            expect_tensor(&rig, named, t->head[h].kernel_1, name[0]);
            expect_tensor(&rig, named, t->head[h].bias_1, name[1]);
            expect_tensor(&rig, named, t->head[h].kernel_2, name[2]);
            expect_tensor(&rig, named, t->head[h].bias_2, name[3]);
        }
        size_t total = 0;
        for (size_t k = 0; k < rig.w.count; k++) {
            assert_true(named[k]);
            total += vj_cuda_train_step_over(rig.w.tensors[k].count);
        }
        assert_int_equal(t->count, rig.w.count);
        assert_int_equal(t->total, total);
        free(named);
        vj_weights_free(&rig.w);
    }
}

/* ---- memory ---- */

static void buffers_lie_one_behind_the_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct rig rig;
        rig_make_case(&rig, i);
        const struct vj_cuda_train_plan *p = &rig.plan;
        size_t end = 0;
        for (int b = 0; b < VJ_CUDA_TRAIN_BUFFERS; b++) {
            assert_int_equal(p->offset[b] % 256, 0);
            assert_true(p->offset[b] >= end);
            end = p->offset[b] + p->bytes[b];
        }
        assert_true(p->first >= end && p->first % 256 == 0 && p->picture % 256 == 0);
        assert_int_equal(p->total, p->first + ((is_pw(i) ? 2 : 2 * 2) + 5) * p->picture);
        end = 0;
        for (int k = 0; k < VJ_CUDA_TRAIN_KEPT; k++) {
            if (k == VJ_CUDA_TRAIN_LAST && cases[i].variant != VJ_VARIANT_FIGURE) {
                assert_int_equal(p->kept[k], p->kept[VJ_CUDA_TRAIN_FEATURES]);
                continue;
            }
            assert_int_equal(p->kept[k] % 256, 0);
            assert_true(p->kept[k] >= end);
            end = p->kept[k] + p->kept_bytes[k];
        }
        assert_true(end <= p->picture);
        vj_weights_free(&rig.w);
    }
}

/* The sizes that the documentation tells, from the layers of the network as they stand there. */
static void memory_is_what_the_documentation_says(void **state)
{
    (void)state;
    for (int variant = VJ_VARIANT_RELEASED; variant <= VJ_VARIANT_FIGURE; variant++) {
        const struct vj_net_shape shape = vj_net_shape_default((enum vj_variant)variant);
        const bool released = variant == VJ_VARIANT_RELEASED;
        struct rig rig;
        rig_make(&rig, &shape, 32, 4, 4);
        size_t parameters = 0;
        for (size_t i = 0; i < rig.w.count; i++)
            parameters += rig.w.tensors[i].count;
        const size_t features = released ? 16384 : 512;
        const size_t maps = 128 * 128 * 32 + 64 * 64 * 64 + 32 * 32 * 128; /* conv1..conv3 */
        const size_t pooled = maps / 4, block = 6 * 256 * 256; /* conv4, 4 maps of it, softmax */
        const size_t patch = 4 * (maps + pooled + block + (released ? 0 : 64 * 256) + 2 * features);
        const double per_patch = (double)rig.plan.picture / 32;
        assert_true(per_patch >= (double)patch && per_patch <= 1.01 * (double)patch);
        const size_t folded = 4 * features * (1024 + 1024 + 512);
        const size_t weights = 5 * 4 * parameters + 2 * folded;
        assert_true(rig.plan.first > weights && rig.plan.first < weights + (120u << 20));
        print_message(
            "%s: %.2f MB a patch, weights %.0f MB, other %.0f MB, batch of 4 x 32 patches "
            "and 4 references %.2f GB\n",
            vj_variant_name((enum vj_variant)variant), per_patch * 1e-6, (double)weights * 1e-6,
            (double)(rig.plan.first - weights) * 1e-6, (double)rig.plan.total * 1e-9);
        vj_weights_free(&rig.w);
    }
}

/* The same of pw-jnd: ten maps of two convolutions a block, and what is pooled of them. */
static void memory_of_pw_jnd_is_what_the_documentation_says(void **state)
{
    (void)state;
    const struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_PW_JND);
    struct rig rig;
    rig_make(&rig, &shape, 32, 4, 4);
    size_t maps = 0, parameters = 0;
    for (size_t i = 0; i < rig.w.count; i++)
        parameters += rig.w.tensors[i].count;
    assert_int_equal(parameters, 6287138);
    for (size_t side = 32, c = 32; side >= 2; side /= 2, c *= 2)
        maps += side * side * c;
    const size_t patch = 4 * (2 * maps + maps / 4 + 512); /* the features' gradient, too */
    const double per_patch = (double)rig.plan.picture / 32;
    assert_true(per_patch >= (double)patch && per_patch <= 1.01 * (double)patch);
    const size_t folded = 4 * 512 * (1024 + 1024);
    const size_t weights = 5 * 4 * parameters + 2 * folded;
    assert_true(rig.plan.first > weights && rig.plan.first < weights + (80u << 20));
    assert_int_equal(rig.plan.total, rig.plan.first + (4 + 4) * rig.plan.picture);
    print_message(
        "pw-jnd: %.2f MB a patch, weights %.0f MB, other %.0f MB, batch of 4 x 32 patches "
        "and 4 references %.2f GB\n",
        per_patch * 1e-6, (double)weights * 1e-6, (double)(rig.plan.first - weights) * 1e-6,
        (double)rig.plan.total * 1e-9);
    vj_weights_free(&rig.w);
}

/* What a variant does not have takes nothing and is never run. */
static void what_pw_jnd_does_not_have_takes_no_memory(void **state)
{
    (void)state;
    static const int none[] = {VJ_CUDA_TRAIN_KERNEL + VJ_NET_LAYERS,
                               VJ_CUDA_TRAIN_MERGED,
                               VJ_CUDA_TRAIN_PRODUCT,
                               VJ_CUDA_TRAIN_PRODUCT_GRADIENT,
                               VJ_CUDA_TRAIN_J,
                               VJ_CUDA_TRAIN_SCALE_PARTS,
                               VJ_CUDA_TRAIN_PEAK_PARTS,
                               VJ_CUDA_TRAIN_PEAK,
                               VJ_CUDA_TRAIN_ATTENTION,
                               VJ_CUDA_TRAIN_LAST_GRADIENT,
                               VJ_CUDA_TRAIN_JOINED,
                               VJ_CUDA_TRAIN_THETA_GRADIENT,
                               VJ_CUDA_TRAIN_CHANCES_GRADIENT,
                               VJ_CUDA_TRAIN_SQUARES,
                               VJ_CUDA_TRAIN_OF_TIMES,
                               VJ_CUDA_TRAIN_TIMES,
                               VJ_CUDA_TRAIN_TIMES_GRADIENT};
    for (size_t i = 0; i < CASES; i++) {
        struct rig rig;
        rig_make_case(&rig, i);
        for (size_t k = 0; k < sizeof(none) / sizeof(none[0]) && is_pw(i); k++)
            assert_int_equal(rig.plan.bytes[none[k]], 0);
        for (int k = VJ_CUDA_TRAIN_SUMS; k < VJ_CUDA_TRAIN_FEATURES && is_pw(i); k++)
            assert_int_equal(rig.plan.kept_bytes[k], 0);
        for (int k = 0; k < VJ_CUDA_TRAIN_PRODUCTS && is_pw(i); k++)
            assert_int_equal(rig.plan.product[k].batch,
                             k == VJ_CUDA_TRAIN_OF_PAIR || k == VJ_CUDA_TRAIN_OF_FEATURES);
        vj_weights_free(&rig.w);
    }
}

/* Gradients at inputs of convolutions, and sums of columns, fit where all of them are put. */
static void gradients_of_every_convolution_fit(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct rig rig;
        rig_make_case(&rig, i);
        const struct vj_cuda_net_plan *net = &rig.plan.net;
        for (int k = 0; k < net->layers; k++) {
            const struct vj_cuda_net_conv *c = &net->conv[k];
            const size_t pixels = 3 * (size_t)c->side * (size_t)c->side * sizeof(float);
            const size_t kernel = 9 * (size_t)c->in * (size_t)c->out * sizeof(float);
            if (k)
                assert_true(rig.plan.bytes[VJ_CUDA_TRAIN_INPUT_GRADIENT] >= pixels * (size_t)c->in);
            assert_true(rig.plan.kept_bytes[vj_cuda_train_map_of(&rig.plan, k)] ==
                        pixels * (size_t)c->out);
            assert_true(rig.plan.bytes[VJ_CUDA_TRAIN_FRESH] >= kernel);
            assert_int_equal(rig.plan.bytes[VJ_CUDA_TRAIN_KERNEL + k], kernel);
            assert_true(rig.plan.bytes[VJ_CUDA_TRAIN_COLUMNS] >=
                        VJ_CUDA_TRAIN_COLUMN_PARTS * (size_t)c->out * sizeof(float));
        }
        assert_true(rig.plan.bytes[VJ_CUDA_TRAIN_COLUMNS] >=
                    VJ_CUDA_TRAIN_COLUMN_PARTS * VJ_NET_HIDDEN * sizeof(float));
        vj_weights_free(&rig.w);
    }
}

/*
 * Buffers that a step divides itself have the size that it divides: the gaps in front of the next
 * ones would hide what is missing. Of attention: in and its gradient, [rows][2][c] each, the
 * logits' one, [rows][c], hidden units and their gradients, [rows][2][c / 16] each.
 */
static void what_a_step_divides_itself_fits(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct rig rig;
        rig_make_case(&rig, i);
        const size_t *bytes = rig.plan.bytes, patch = 3 * sizeof(float);
        for (int k = 0; k < 3 && !is_pw(i); k++) {
            const struct vj_cuda_net_pool_shape *s = &rig.plan.net.pool[k];
            const size_t c = (size_t)s->channels, parts = (size_t)s->blocks;
            assert_int_equal(c, cases[i].channels[k]);
            assert_true(bytes[VJ_CUDA_TRAIN_ATTENTION] >= patch * (5 * c + 4 * (c / 16)));
            assert_true(bytes[VJ_CUDA_TRAIN_SCALE_PARTS] >= patch * parts * c);
            assert_true(bytes[VJ_CUDA_TRAIN_PEAK_PARTS] >= patch * parts * c);
            assert_true(bytes[VJ_CUDA_TRAIN_PEAK] >= patch * c);
        }
        const size_t slices = rig.plan.net.slices,
                     pixels = 3 * (size_t)cases[i].size * (size_t)cases[i].size;
        assert_int_equal(bytes[VJ_CUDA_TRAIN_R], 2 * pixels * 3);
        assert_int_equal(bytes[VJ_CUDA_TRAIN_J], is_pw(i) ? 0 : 2 * pixels);
        assert_int_equal(bytes[VJ_CUDA_TRAIN_D], 5 * pixels * 3);
        assert_int_equal(bytes[VJ_CUDA_TRAIN_CONSTANT], 2 * patch * 1024);
        assert_int_equal(bytes[VJ_CUDA_TRAIN_PAIR], slices * patch * 1024);
        assert_int_equal(bytes[VJ_CUDA_TRAIN_OF_TIMES], is_pw(i) ? 0 : slices * patch * 512);
        assert_int_equal(bytes[VJ_CUDA_TRAIN_HIDDEN], 5 * patch * 1024);
        assert_int_equal(bytes[VJ_CUDA_TRAIN_HIDDEN_OF_R], 2 * patch * 1024);
        assert_int_equal(bytes[VJ_CUDA_TRAIN_OUT], 2 * 5 * patch);
        assert_int_equal(bytes[VJ_CUDA_TRAIN_OUT_GRADIENT], 2 * 5 * patch);
        assert_int_equal(bytes[VJ_CUDA_TRAIN_LOSS], 5 * sizeof(double));
        assert_int_equal(bytes[VJ_CUDA_TRAIN_FLAGS], (3 + 1) * sizeof(int)); /* one of the batch */
        vj_weights_free(&rig.w);
    }
}

/* ---- products ---- */

/* Elements that a product's operand reaches. */
static size_t reach(size_t rows, size_t cols, size_t ld, size_t stride, size_t batch)
{
    return (batch - 1) * stride + (rows - 1) * ld + cols;
}

static void products_stay_inside_their_buffers(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct rig rig;
        rig_make_case(&rig, i);
        const struct vj_cuda_train_plan *p = &rig.plan;
        const size_t *kept = p->kept_bytes, *bytes = p->bytes;
        const bool transpose = cases[i].non_local == VJ_NON_LOCAL_TRANSPOSE;
        const size_t half = VJ_NET_HIDDEN * sizeof(float); /* where the weight head begins */
        const size_t affinity = bytes[VJ_CUDA_TRAIN_CHANCES_GRADIENT];
        const size_t theta = kept[VJ_CUDA_TRAIN_THETA], joined = bytes[VJ_CUDA_TRAIN_JOINED];
        const size_t hidden = bytes[VJ_CUDA_TRAIN_HIDDEN] / 5, f = kept[VJ_CUDA_TRAIN_FEATURES];
        const size_t square = 4 * (size_t)cases[i].channels[3] * (size_t)cases[i].channels[3];
        const struct {
            int product;
            size_t a, b, d;
        } list[] = {
            {VJ_CUDA_TRAIN_OF_VALUE, kept[VJ_CUDA_TRAIN_CHANCES], joined, theta},
            {VJ_CUDA_TRAIN_OF_CHANCES, joined, theta, affinity},
            {VJ_CUDA_TRAIN_OF_THETA, affinity, theta, theta},
            {VJ_CUDA_TRAIN_OF_PHI, transpose ? affinity : theta, transpose ? theta : affinity,
             theta},
            {VJ_CUDA_TRAIN_OF_TOKENS, theta, square, joined},
            {VJ_CUDA_TRAIN_OF_PROJECTION, kept[VJ_CUDA_TRAIN_TOKENS], theta,
             bytes[VJ_CUDA_TRAIN_SQUARES]},
            {VJ_CUDA_TRAIN_OF_PAIR, f, hidden, bytes[VJ_CUDA_TRAIN_DISTORTED_GRADIENT]},
            {VJ_CUDA_TRAIN_OF_PRODUCT, bytes[VJ_CUDA_TRAIN_TIMES], hidden - half,
             bytes[VJ_CUDA_TRAIN_PRODUCT_GRADIENT]},
            {VJ_CUDA_TRAIN_OF_FEATURES, hidden, bytes[VJ_CUDA_TRAIN_DISTORTED], f},
            {VJ_CUDA_TRAIN_OF_FACTORS, hidden - half, bytes[VJ_CUDA_TRAIN_PRODUCT],
             bytes[VJ_CUDA_TRAIN_TIMES_GRADIENT]},
        };
        assert_int_equal(sizeof(list) / sizeof(list[0]), VJ_CUDA_TRAIN_PRODUCTS);
        for (size_t k = 0; k < VJ_CUDA_TRAIN_PRODUCTS; k++) {
            const struct vj_cuda_net_matmul *m = &p->product[list[k].product];
            if (!m->batch) /* the variant does not have it */
                continue;
            const size_t a_rows = m->a_transposed ? m->k : m->m, a_cols = m->m + m->k - a_rows;
            const size_t b_rows = m->b_transposed ? m->n : m->k, b_cols = m->n + m->k - b_rows;
            assert_true(m->ld_a >= a_cols && m->ld_b >= b_cols && m->ld_d >= m->n);
            assert_true(4 * reach(a_rows, a_cols, m->ld_a, m->stride_a, m->batch) <= list[k].a);
            assert_true(4 * reach(b_rows, b_cols, m->ld_b, m->stride_b, m->batch) <= list[k].b);
            assert_true(4 * reach(m->m, m->n, m->ld_d, m->stride_d, m->batch) <= list[k].d);
        }
        vj_weights_free(&rig.w);
    }
}

/* Every row and column belongs to exactly one block, and partial sums are few. */
static void columns_are_shared_out_among_blocks(void **state)
{
    (void)state;
    static const size_t rows[] = {1, 63, 64, 65, 1000, 524288, 16777216};
    static const size_t columns[] = {1, 16, 21, 48, 256, 257, 512, 1024};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t k = 0; k < sizeof(columns) / sizeof(columns[0]); k++) {
            struct vj_cuda_train_column_shape s;
            vj_cuda_train_columns_make(&s, rows[i], columns[k], columns[k] + 3);
            assert_true(s.groups >= 1 && s.groups * s.width <= VJ_CUDA_NET_THREADS);
            assert_true(s.span >= VJ_CUDA_TRAIN_COLUMN_SHORTEST * s.groups);
            assert_true(s.parts >= 1 && s.parts <= VJ_CUDA_TRAIN_COLUMN_PARTS);
            assert_true(s.parts * s.span >= rows[i] && (s.parts - 1) * s.span < rows[i]);
            assert_true(s.blocks * s.width >= columns[k] && (s.blocks - 1) * s.width < columns[k]);
        }
}

/* 341.3 M multiply-accumulates of a stream in the specification; folding 5 takes 16.8 M away. */
static void the_work_of_a_step_is_thrice_that_of_its_layers(void **state)
{
    (void)state;
    const struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_RELEASED);
    struct rig rig;
    rig_make(&rig, &shape, 1, 1, 1);
    const double stream = 3 * (341.3e6 - 256 * 256 * 256.0) - 9.0 * 128 * 128 * 3 * 32;
    const double pair = stream + 3 * 3.0 * 16384 * 512;
    const double reference = 2 * stream + 3 * 2.0 * 16384 * 512;
    assert_true(fabs(vj_cuda_train_macs(&rig.plan, 0, 1) - pair) <= 1e-3 * pair);
    assert_true(fabs(vj_cuda_train_macs(&rig.plan, 1, 0) - reference) <= 1e-3 * reference);
    vj_weights_free(&rig.w);
}

/* 67.5 M multiply-accumulates of a patch of pw-jnd in the documentation; there are no maps. */
static void the_work_of_a_step_of_pw_jnd_is_thrice_that_of_its_layers(void **state)
{
    (void)state;
    const struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_PW_JND);
    struct rig rig;
    rig_make(&rig, &shape, 1, 1, 1);
    const double pair = 3 * 67.45e6 - 9.0 * 32 * 32 * 3 * 32;
    assert_true(fabs(vj_cuda_train_macs(&rig.plan, 0, 1) - pair) <= 1e-3 * pair);
    assert_true(fabs(vj_cuda_train_macs(&rig.plan, 1, 0) - pair) <= 1e-3 * pair);
    vj_weights_free(&rig.w);
}

/* ---- refusals ---- */

static void refuse(const struct vj_trainer_plan *trainer, const char *text)
{
    struct vj_cuda_train_plan plan;
    assert_int_equal(vj_cuda_train_plan_make(&plan, trainer, &err), -EINVAL);
    vj_assert_contains(err.text, text);
}

static void plans_out_of_range_are_refused_by_name(void **state)
{
    (void)state;
    const struct vj_net_shape shape =
        make_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 16, 16, 16, 16, 16);
    struct rig rig;
    rig_make(&rig, &shape, 16, 2, 3);
    struct vj_trainer_plan good = rig.trainer, t = good;
    struct vj_cuda_train_plan plan;
    t.patches = 0;
    refuse(&t, "0 patches per picture");
    t.patches = 5000;
    refuse(&t, "5000 patches per picture, must be 1 to 4096");
    t = good;
    t.max_pairs = 0;
    refuse(&t, "0 pairs of 16 patches, must be 1 to 4095");
    t.max_pairs = 4096; /* dropout tells 65,536 patches apart */
    refuse(&t, "4096 pairs of 16 patches");
    t.max_pairs = 4095;
    ok(vj_cuda_train_plan_make(&plan, &t, &err));
    t.max_pairs = SIZE_MAX / 2;
    refuse(&t, "pairs of 16 patches");
    t = good;
    t.max_references = 0;
    refuse(&t, "0 references of 16 patches");
    t.max_references = 4096;
    refuse(&t, "4096 references of 16 patches, must be 1 to 4095");
    t = good;
    t.keep = 0;
    refuse(&t, "keep is 0");
    t.keep = NAN;
    refuse(&t, "keep is nan");
    t.keep = 1.5;
    refuse(&t, "keep is 1.5");
    t = good;
    t.average = -0.5;
    refuse(&t, "average is -0.5");
    t.average = 1.5;
    refuse(&t, "average is 1.5");
    t = good;
    t.adam.beta_1 = 1;
    refuse(&t, "Adam's beta_1 = 1 and beta_2 = 0.999 must be from 0 to below 1");
    t.adam = (struct vj_adam){0.9, 1 - 1e-9, 1e-8}; /* 1 in single precision */
    refuse(&t, "Adam's beta_1 = 0.9 and beta_2 = 1 must");
    t.adam = (struct vj_adam){0.9, 0.999, 1e-50};
    refuse(&t, "epsilon = 1e-50 above 0");
    t.adam.epsilon = 1e50; /* infinite in single precision */
    refuse(&t, "epsilon = 1e+50 above 0");
    t.adam = (struct vj_adam){-0.5, 0.999, 1e-8};
    refuse(&t, "Adam's beta_1 = -0.5 and");
    t.adam = (struct vj_adam){0.9, -0.5, 1e-8};
    refuse(&t, "beta_2 = -0.5 must");
    t = good;
    strcpy(vj_weights_find(&rig.w, "weightings/block2/biases")->name, "weightings/block2/bias");
    refuse(&t, "the weights have no tensor weightings/block2/biases");
    strcpy(vj_weights_find(&rig.w, "extract_feature/conv2/biases")->name, "another"); /* first */
    refuse(&t, "the weights have no tensor extract_feature/conv2/biases");
    vj_weights_free(&rig.w);
}

static void plans_at_the_ends_of_the_ranges_are_taken(void **state)
{
    (void)state;
    const struct vj_net_shape shape =
        make_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 16, 16, 16, 16, 16);
    struct rig rig;
    struct vj_cuda_train_plan plan;
    rig_make(&rig, &shape, 16, 2, 3);
    struct vj_trainer_plan t = rig.trainer;
    t.max_references = 4095;
    t.keep = 1;
    t.average = 0;
    t.adam = (struct vj_adam){0, 0, 1e-8};
    ok(vj_cuda_train_plan_make(&plan, &t, &err));
    t = rig.trainer;
    t.patches = 4096;
    t.average = 1;
    ok(vj_cuda_train_plan_make(&plan, &t, &err));
    vj_weights_free(&rig.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_has_a_place_of_its_own_in_a_set),
        cmocka_unit_test(buffers_lie_one_behind_the_other),
        cmocka_unit_test(memory_is_what_the_documentation_says),
        cmocka_unit_test(memory_of_pw_jnd_is_what_the_documentation_says),
        cmocka_unit_test(what_pw_jnd_does_not_have_takes_no_memory),
        cmocka_unit_test(gradients_of_every_convolution_fit),
        cmocka_unit_test(what_a_step_divides_itself_fits),
        cmocka_unit_test(products_stay_inside_their_buffers),
        cmocka_unit_test(columns_are_shared_out_among_blocks),
        cmocka_unit_test(the_work_of_a_step_is_thrice_that_of_its_layers),
        cmocka_unit_test(the_work_of_a_step_of_pw_jnd_is_thrice_that_of_its_layers),
        cmocka_unit_test(plans_out_of_range_are_refused_by_name),
        cmocka_unit_test(plans_at_the_ends_of_the_ranges_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
