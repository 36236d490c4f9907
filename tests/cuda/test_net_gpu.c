/* SPDX-License-Identifier: MIT */
/*
 * The network on a GPU against the network on the CPU: every layer of every stream, scores, all
 * variants, all precisions; repeatability, batches, streams and graphs. Skipped without a device.
 * What it refuses and describes: test_net_trouble_gpu.c.
 *
 * VPJND_TEST_SMALL=1 in the environment leaves out the networks of full size, as does the emulation
 * of the run-time and the libraries in emulate_runtime.c, emulate_dnn.c and emulate_blas.c.
 */
#include "tests/vj_test.h"

#include "tests/cuda/net_gpu_rig.h"

/*
 * Largest error over the largest magnitude of a layer. fp32: what two orders of summation may
 * differ by (emulated on the CPU: 7e-6). tf32 and fp16: operands of 10 bits of mantissa, 2^-11
 * each, and a softmax over sharp affinities (fp16 emulated on the CPU: 5e-3).
 */
static const double layer_limit[] = {1e-4, 2e-2, 2e-2};
static const double score_limit[] = {1e-4, 2e-2, 2e-2};

/* ---- layer by layer ---- */

enum { MAX_LAYERS = 20 };

/* Layers of one patch, kept on the host. */
struct layers {
    const struct rig *rig;
    size_t row; /* of the batch */
    int count;
    char name[MAX_LAYERS][16];
    float *data[MAX_LAYERS];
    size_t numbers[MAX_LAYERS];
};

static float *layers_add(struct layers *l, const char *name, size_t numbers)
{
    assert_true(l->count < MAX_LAYERS);
    snprintf(l->name[l->count], sizeof(l->name[0]), "%s", name);
    l->numbers[l->count] = numbers;
    l->data[l->count] = malloc(numbers * sizeof(float));
    return l->data[l->count++];
}

static void layers_free(struct layers *l)
{
    for (int i = 0; i < l->count; i++)
        free(l->data[i]);
    l->count = 0;
}

static void from_cpu(void *user, const char *layer, const float *data, size_t count)
{
    memcpy(layers_add(user, layer, count), data, count * sizeof(float));
}

/* A layer that is so many channels of a stage's numbers, from the first of them on. */
static void add_columns(struct layers *l, const char *layer, const struct vj_cuda_net_stage *s,
                        const float *first, size_t channels)
{
    float *out = layers_add(l, layer, s->pixels * channels);
    for (size_t i = 0; i < s->pixels; i++)
        memcpy(out + i * channels, first + i * s->ld, channels * sizeof(float));
}

static int from_gpu(void *user, cudaStream_t stream, const struct vj_cuda_net_stage *s,
                    struct vj_error *e)
{
    struct layers *l = user;
    const size_t count = s->pixels * s->ld;
    const bool half = l->rig->precision == VJ_CUDA_FP16 && !s->single;
    const char *row = (const char *)s->data + l->row * count * (half ? 2 : 4);
    float *wide = malloc(count * sizeof(float)), *device = on_device(NULL, count * sizeof(float));
    cuda(vj_cuda_net_widen(half ? VJ_CUDA_FP16 : VJ_CUDA_FP32, stream, row, device, count));
    cuda(cudaStreamSynchronize(stream));
    cuda(cudaMemcpy(wide, device, count * sizeof(float), cudaMemcpyDeviceToHost));
    if (strcmp(s->layer, "projections") == 0) {
        static const char *const names[] = {"theta", "phi", "value"};
        for (size_t i = 0; i < 3; i++)
            add_columns(l, names[i], s, wide + i * s->channels / 3, s->channels / 3);
    } else {
        add_columns(l, s->layer, s, wide, s->channels);
    }
    free(wide);
    cuda(cudaFree(device));
    (void)e; /* failures end the test above */
    return 0;
}

/* Layers that are not there by themselves (struct vj_cuda_net_stage). */
static bool is_part_of_another(const struct vj_cuda_net_plan *plan, const char *layer)
{
    char pool[16];
    if (plan->first && (strcmp(layer, "input") == 0 || strcmp(layer, "conv1") == 0))
        return true;
    if (plan->non_local && (strcmp(layer, "affinity") == 0 || strcmp(layer, "softmax") == 0 ||
                            strcmp(layer, "attended") == 0))
        return true;
    for (int i = 0; i < plan->layers; i++) {
        const struct vj_cuda_net_conv *c = &plan->conv[i];
        snprintf(pool, sizeof(pool), "pool%d", i); /* of the block before conv i + 1 */
        if ((c->pooled && strcmp(layer, c->name) == 0) || (c->scaled && strcmp(layer, pool) == 0))
            return true;
    }
    return false;
}

static void compare_layers(const struct layers *cpu, const struct layers *gpu, double limit,
                           const char *what)
{
    double worst = 0;
    const char *where = "";
    const struct vj_cuda_net_plan *plan = vj_cuda_net_get_plan(gpu->rig->gpu);
    int left_out = 0;
    assert_int_equal(cpu->count, sees_map(cpu->rig) ? 19 : 17);
    for (int i = 0; i < cpu->count; i++) {
        double error = 0, largest = 0;
        if (is_part_of_another(plan, cpu->name[i])) {
            left_out++;
            continue;
        }
        const int g = i - left_out;
        assert_true(g < gpu->count);
        assert_string_equal(cpu->name[i], gpu->name[g]);
        assert_int_equal(cpu->numbers[i], gpu->numbers[g]);
        for (size_t k = 0; k < cpu->numbers[i]; k++) {
            const float have = gpu->data[g][k];
            if (!isfinite(have))
                fail_msg("%s: %s[%zu] is not a number", what, cpu->name[i], k);
            error = fmax(error, fabs((double)have - (double)cpu->data[i][k]));
            largest = fmax(largest, fabs((double)cpu->data[i][k]));
        }
        assert_true(largest > 0);
        if (error / largest > worst) {
            worst = error / largest;
            where = cpu->name[i];
        }
        if (error / largest > limit)
            print_error("%s: %s is off by %.1e\n", what, cpu->name[i], error / largest);
    }
    assert_int_equal(gpu->count, cpu->count - left_out);
    print_message("%-40s worst layer %-11s %.1e\n", what, where, worst);
    assert_true(worst <= limit);
}

/* One patch in the middle of a batch of others, all streams. */
static void compare_streams(struct rig *rig, const char *what)
{
    enum { COUNT = 3, ROW = 1 };
    const size_t size = (size_t)rig->w.shape.patch_size, features = vj_net_features(&rig->w.shape);
    for (int s = 0; s < vj_net_streams(rig->cpu); s++) {
        const int channels = s == VJ_CUDA_NET_PICTURE ? 3 : 1;
        const size_t bytes = rig->pixels * (size_t)channels;
        uint8_t *patches = malloc(COUNT * bytes);
        float *out = malloc(features * sizeof(float));
        char name[80];
        for (size_t k = 0; k < COUNT; k++)
            formula_patch(patches + k * bytes, s, k, size, (size_t)channels);
        struct layers cpu = {.rig = rig}, gpu = {.rig = rig, .row = ROW};
        ok(vj_extractor_run(&rig->cpu_work->thread[0], rig->cpu, (enum vj_net_stream)s,
                            patches + ROW * bytes, (size_t)channels, out, from_cpu, &cpu, &err));
        uint8_t *d_patches = on_device(patches, COUNT * bytes);
        vj_cuda_net_set_hook(rig->gpu_work, from_gpu, &gpu);
        ok(vj_cuda_net_extract(rig->gpu_work, rig->stream, (enum vj_cuda_net_stream)s, d_patches,
                               channels, COUNT, &err));
        vj_cuda_net_set_hook(rig->gpu_work, NULL, NULL);
        snprintf(name, sizeof(name), "%s %s", what, s ? "maps" : "pictures");
        compare_layers(&cpu, &gpu, layer_limit[rig->precision], name);
        layers_free(&cpu);
        layers_free(&gpu);
        cuda(cudaFree(d_patches));
        free(patches);
        free(out);
    }
}

/* ---- scores ---- */

static double worst_of(const float *have, const float *want, size_t count)
{
    double error = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(have[i]))
            return INFINITY;
        error = fmax(error, fabs((double)have[i] - (double)want[i]));
        largest = fmax(largest, fabs((double)want[i]));
    }
    return error / largest;
}

static void compare_values(const struct values *have, const struct values *want, size_t patches,
                           size_t n, enum vj_cuda_precision precision, const char *what)
{
    const double q = worst_of(have->quality, want->quality, n * patches);
    const double a = worst_of(have->weight, want->weight, n * patches);
    const double s = worst_of(have->score, want->score, n);
    print_message("%-40s quality %.1e weight %.1e score %.1e\n", what, q, a, s);
    assert_true(q <= score_limit[precision]);
    assert_true(a <= score_limit[precision]);
    assert_true(s <= score_limit[precision]);
}

enum { COMPARED_PATCHES = 3 };

static void compare_scores(struct rig *rig, const char *what)
{
    enum { P = COMPARED_PATCHES, N = 4 };
    struct pictures p = pictures_make(rig, P, N);
    const struct values want = cpu_values(rig, &p, P, N), have = gpu_values(rig, &p, P, N);
    compare_values(&have, &want, P, N, rig->precision, what);
    pictures_free(&p);
}

static void compare_shape(const struct vj_net_shape *shape, enum vj_cuda_precision precision)
{
    struct rig rig;
    char what[64], text[8192];
    rig_make(&rig, shape, 5, precision, COMPARED_PATCHES);
    snprintf(what, sizeof(what), "%s %s %d px %zu ch", vj_cuda_precision_name(precision),
             vj_variant_name(shape->variant), shape->patch_size, vj_net_last_channels(shape));
    vj_cuda_net_describe(rig.gpu, text, sizeof(text));
    print_message("%s", text);
    compare_streams(&rig, what);
    compare_scores(&rig, what);
    rig_free(&rig);
}

static void compare_all(enum vj_cuda_precision precision)
{
    const struct vj_net_shape shapes[] = {
        vj_net_shape_default(VJ_VARIANT_RELEASED),
        vj_net_shape_default(VJ_VARIANT_FIGURE),
        vj_net_shape_default(VJ_VARIANT_PW_JND),
        small_shape(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_TRANSPOSE, 32, 16, 32, 16, 24),
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 48, 32, 16, 48, 21),
        small_shape(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 16, 16, 48, 32, 24),
        pw_shape(32, 16, 48, 32, 16, 80),
        pw_shape(64, 16, 16, 16, 16, 48),
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_TRANSPOSE, 16, 48, 16, 16, 1),
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 64, 32, 64, 16, 24),    /* one block */
        small_shape(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 32, 16, 16, 16, 512), /* 2 slices */
    };
    /* The last one takes the emulation as long as all others. */
    const size_t left_out = EMULATED && precision != VJ_CUDA_FP32;
    for (size_t i = small_only() ? 3 : 0; i < sizeof(shapes) / sizeof(shapes[0]) - left_out; i++)
        compare_shape(&shapes[i], precision);
}

/* All four blocks as they are by default, which emulated shapes leave out for their size. */
static void blocks_that_are_one_kernel_agree_with_the_cpu(void **state)
{
    (void)state;
    if (SANITIZED) /* sees each kernel by itself */
        skip();
    const struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    struct rig rig;
    rig_make(&rig, &shape, 3, VJ_CUDA_FP16, 1);
    compare_streams(&rig, "fp16, default shape");
    rig_free(&rig);
}

static void every_layer_and_score_agrees_with_the_cpu_in_fp32(void **state)
{
    (void)state;
    compare_all(VJ_CUDA_FP32);
}

static void every_layer_and_score_agrees_with_the_cpu_in_tf32(void **state)
{
    (void)state;
    compare_all(VJ_CUDA_TF32);
}

static void every_layer_and_score_agrees_with_the_cpu_in_fp16(void **state)
{
    (void)state;
    compare_all(VJ_CUDA_FP16);
}

/* ---- bits ---- */

/* Twelve rows in batches of 5: every patch appears in several places of a batch. */
static void repeated_calls_and_places_in_a_batch_give_the_same_bits(void **state)
{
    (void)state;
    enum { P = 3, N = 4, PRECISIONS = 3 };
    for (int k = 0; k < USUAL * PRECISIONS; k++) {
        const struct vj_net_shape shape = usual_shape(k / PRECISIONS);
        const int precision = k % PRECISIONS;
        struct rig rig;
        rig_make(&rig, &shape, 5, (enum vj_cuda_precision)precision, P);
        struct pictures p = pictures_make(&rig, P, N);
        const size_t bytes = P * rig.pixels * 3;
        for (size_t i = 1; i < N; i++)
            memcpy(p.d + i * bytes, p.d, bytes);
        const struct values first = gpu_values(&rig, &p, P, N), again = gpu_values(&rig, &p, P, N);
        assert_memory_equal(&first, &again, sizeof(first));
        for (size_t i = 1; i < N; i++) {
            assert_true(first.score[i] == first.score[0]);
            assert_memory_equal(first.quality + i * P, first.quality, P * sizeof(float));
            assert_memory_equal(first.weight + i * P, first.weight, P * sizeof(float));
        }
        pictures_free(&p);
        rig_free(&rig);
    }
}

/* What a batch is padded with, and what was computed before, must not show. */
static void other_patches_of_the_batch_do_not_matter(void **state)
{
    (void)state;
    enum { P = 2, N = 3 };
    for (int i = 0; i < USUAL; i++) {
        const struct vj_net_shape shape = usual_shape(i);
        struct rig rig;
        rig_make(&rig, &shape, 8, VJ_CUDA_FP32, P);
        struct pictures p = pictures_make(&rig, P, N);
        const struct values all = gpu_values(&rig, &p, P, N), one = gpu_values(&rig, &p, P, 1);
        assert_true(all.score[0] == one.score[0]);
        assert_memory_equal(all.quality, one.quality, P * sizeof(float));
        assert_memory_equal(all.weight, one.weight, P * sizeof(float));
        pictures_free(&p);
        rig_free(&rig);
    }
}

/* Of a new network that takes so many rows, and of reference sides so many, at a time. */
static struct values values_in_batches(const struct vj_net_shape *shape, size_t rows,
                                       size_t side_rows, enum vj_cuda_precision precision,
                                       size_t patches, size_t n)
{
    char text[4096];
    struct rig rig;
    rig_make_with(&rig, shape, rows, side_rows, precision, patches);
    struct pictures p = pictures_make(&rig, patches, n);
    const struct values v = gpu_values(&rig, &p, patches, n);
    vj_cuda_net_describe(rig.gpu, text, sizeof(text));
    assert_int_equal(strstr(text, "batch of reference sides") != NULL, side_rows < rows);
    pictures_free(&p);
    rig_free(&rig);
    return v;
}

/* Other shapes may have other algorithms on a GPU; the emulation has one. */
static void sizes_of_batches_change_no_more_than_the_order_of_sums(void **state)
{
    (void)state;
    enum { P = 5, N = 3 };
    static const size_t rows[][2] = {{7, 7}, {7, 3}, {1, 1}};
    for (int k = 0; k < 2 * USUAL; k++) {
        const struct vj_net_shape shape = usual_shape(k / 2);
        const enum vj_cuda_precision precision = k % 2 ? VJ_CUDA_FP16 : VJ_CUDA_FP32;
        const struct values all =
            values_in_batches(&shape, rows[0][0], rows[0][1], precision, P, N);
        for (size_t i = 1; i < sizeof(rows) / sizeof(rows[0]); i++) {
            const struct values v =
                values_in_batches(&shape, rows[i][0], rows[i][1], precision, P, N);
            if (EMULATED)
                assert_memory_equal(&v, &all, sizeof(v));
            else
                compare_values(&v, &all, P, N, precision, "in other batches");
        }
    }
}

/* Nothing in a call synchronises or allocates, or capturing would fail. */
static void capture(const struct vj_net_shape *shape)
{
    enum { P = 3, N = 4 };
    struct rig rig;
    rig_make(&rig, shape, 5, VJ_CUDA_FP32, P);
    struct pictures p = pictures_make(&rig, P, N);
    const struct values want = gpu_values(&rig, &p, P, N); /* loads every kernel, too */
    struct device_side s = device_side_make(&rig, &p, P, N);
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    const cudaError_t begun = cudaStreamBeginCapture(rig.stream, cudaStreamCaptureModeThreadLocal);
    if (begun == cudaErrorNotSupported) {
        device_side_free(&s);
        pictures_free(&p);
        rig_free(&rig);
        print_message("skipped: graphs are not emulated\n");
        skip();
    }
    cuda(begun);
    ok(vj_cuda_net_reference(rig.gpu_work, rig.stream, 1, s.r, s.j, P, &err));
    ok(vj_cuda_net_scores(rig.gpu_work, rig.stream, 1, s.d, N, P, s.score, s.quality, s.weight,
                          &err));
    cuda(cudaStreamEndCapture(rig.stream, &graph));
    cuda(cudaGraphInstantiate(&exec, graph, 0));
    for (int i = 0; i < 2; i++) {
        cuda(cudaMemset(s.score, 0xff, N * sizeof(float)));
        cuda(cudaDeviceSynchronize());
        cuda(cudaGraphLaunch(exec, rig.stream));
        const struct values have = fetch(&rig, &s, P, N);
        assert_memory_equal(&have, &want, sizeof(want));
    }
    cuda(cudaGraphExecDestroy(exec));
    cuda(cudaGraphDestroy(graph));
    device_side_free(&s);
    pictures_free(&p);
    rig_free(&rig);
}

struct traffic {
    int count;
    char name[MAX_LAYERS][16];
    double bytes[MAX_LAYERS];
};

static int note_bytes(void *user, cudaStream_t stream, const struct vj_cuda_net_stage *s,
                      struct vj_error *e)
{
    struct traffic *t = user;
    (void)stream;
    (void)e;
    assert_true(t->count < MAX_LAYERS);
    snprintf(t->name[t->count], sizeof(t->name[0]), "%s", s->layer);
    t->bytes[t->count++] = s->bytes;
    return 0;
}

/* Counted by hand: numbers read and written, times 4, and the picture's 3 x 32 x 32 bytes; of conv2
 * to conv4, which have 16, 4 and 1 tiles, 36 for each tile and channel too, written and read. The
 * first two write pooled maps, their attention being part of them, and all read what is not scaled
 * yet. */
static void layers_say_what_bytes_they_move(void **state)
{
    static const struct {
        const char *layer;
        double bytes;
    } want[] = {{"input", 19456},       {"conv1", 81920},      {"attention1", 81920},
                {"attention2", 245760}, {"attention3", 64512}, {"conv4", 14080},
                {"theta", 3072},        {"phi", 3072},         {"value", 3072},
                {"affinity", 4096},     {"softmax", 2048},     {"attended", 4096},
                {"pool4", 3456},        {"features", 576}};
    (void)state;
    const struct vj_net_shape shape =
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 32, 16, 32, 16, 24);
    struct rig rig;
    struct traffic t = {0};
    rig_make(&rig, &shape, 2, VJ_CUDA_FP32, 2);
    uint8_t *patches = calloc(2, rig.pixels * 3);
    uint8_t *d_patches = on_device(patches, 2 * rig.pixels * 3);
    vj_cuda_net_set_hook(rig.gpu_work, note_bytes, &t);
    ok(vj_cuda_net_extract(rig.gpu_work, rig.stream, VJ_CUDA_NET_PICTURE, d_patches, 3, 2, &err));
    cuda(cudaStreamSynchronize(rig.stream));
    assert_int_equal(t.count, sizeof(want) / sizeof(want[0]));
    for (int i = 0; i < t.count; i++) {
        assert_string_equal(t.name[i], want[i].layer);
        if (t.bytes[i] != want[i].bytes)
            fail_msg("%s: %.0f bytes, not %.0f", t.name[i], t.bytes[i], want[i].bytes);
    }
    cuda(cudaFree(d_patches));
    free(patches);
    rig_free(&rig);
}

/* Where the next convolution does not scale what it reads, a kernel reads and writes it. */
static void pooled_maps_that_are_scaled_alone_say_what_bytes_they_move(void **state)
{
    static const double want[] = {2 * 4096, 2 * 2048, 2 * 256}; /* numbers, read and written */
    (void)state;
    const struct vj_net_shape shape =
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 32, 16, 32, 16, 24);
    for (int precision = VJ_CUDA_TF32; precision <= VJ_CUDA_FP16; precision++) {
        struct rig rig;
        struct traffic t = {0};
        int pooled = 0;
        rig_make(&rig, &shape, 2, (enum vj_cuda_precision)precision, 2);
        uint8_t *patches = calloc(2, rig.pixels * 3);
        uint8_t *d_patches = on_device(patches, 2 * rig.pixels * 3);
        vj_cuda_net_set_hook(rig.gpu_work, note_bytes, &t);
        ok(vj_cuda_net_extract(rig.gpu_work, rig.stream, VJ_CUDA_NET_PICTURE, d_patches, 3, 2,
                               &err));
        cuda(cudaStreamSynchronize(rig.stream));
        for (int i = 0; i < t.count; i++)
            if (strncmp(t.name[i], "pool", 4) == 0 && pooled < 3)
                assert_true(t.bytes[i] == want[pooled++] * (precision == VJ_CUDA_FP16 ? 2 : 4));
        assert_int_equal(pooled, 3);
        cuda(cudaFree(d_patches));
        free(patches);
        rig_free(&rig);
    }
}

static void scores_can_be_captured_in_a_graph(void **state)
{
    (void)state;
    for (int i = 0; i < USUAL; i++) {
        const struct vj_net_shape shape = usual_shape(i);
        capture(&shape);
    }
}

static struct values scores_of(struct rig *rig, struct vj_cuda_net_work *work, size_t reference,
                               const struct device_side *s, size_t patches, size_t n)
{
    cuda(cudaMemset(s->score, 0xff, n * sizeof(float)));
    cuda(cudaMemset(s->quality, 0xff, n * patches * sizeof(float)));
    cuda(cudaMemset(s->weight, 0xff, n * patches * sizeof(float)));
    cuda(cudaDeviceSynchronize());
    ok(vj_cuda_net_scores(work, rig->stream, reference, s->d, n, patches, s->score, s->quality,
                          s->weight, &err));
    return fetch(rig, s, patches, n);
}

/* Other pictures where the last ones were. */
static void send_pictures(const struct rig *rig, const struct pictures *p, size_t round,
                          const struct device_side *s, size_t patches, size_t n)
{
    const struct {
        const uint8_t *from;
        uint8_t *to;
        size_t bytes;
    } list[] = {{p->r, s->r, patches * rig->pixels * 3},
                {p->j, s->j, patches * rig->pixels},
                {p->d, s->d, n * patches * rig->pixels * 3}};
    for (size_t k = 0; k < sizeof(list) / sizeof(list[0]); k++) {
        uint8_t *changed = malloc(list[k].bytes);
        for (size_t i = 0; i < list[k].bytes; i++)
            changed[i] = (uint8_t)(list[k].from[i] / 2 + (i / 7 * (round + 1)) % 64);
        cuda(cudaMemcpy(list[k].to, changed, list[k].bytes, cudaMemcpyHostToDevice));
        free(changed);
    }
    cuda(cudaDeviceSynchronize());
}

static void a_reference_leaves_that_of_the_other_side_alone(void **state)
{
    (void)state;
    enum { P = 3, N = 2 };
    for (int k = 0; k < 2 * USUAL; k++) {
        const struct vj_net_shape shape = usual_shape(k / 2);
        struct rig rig;
        rig_make(&rig, &shape, 4, k % 2 ? VJ_CUDA_FP16 : VJ_CUDA_FP32, P);
        struct pictures p = pictures_make(&rig, P, N);
        const struct values want = gpu_values(&rig, &p, P, N); /* side 1 */
        struct device_side s = device_side_make(&rig, &p, P, N);
        ok(vj_cuda_net_reference(rig.gpu_work, rig.stream, 0, s.d, s.d, P, &err));
        const struct values have = scores_of(&rig, rig.gpu_work, 1, &s, P, N);
        const struct values other = scores_of(&rig, rig.gpu_work, 0, &s, P, N);
        assert_memory_equal(&have, &want, sizeof(want));
        assert_true(other.score[0] != want.score[0]);
        device_side_free(&s);
        pictures_free(&p);
        rig_free(&rig);
    }
}

enum { REPLAYED_PATCHES = 2, REPLAYED = 3 };

/* The next pictures on side `reference` of the work and of one that has seen no call. */
static struct values compare_with_fresh(struct rig *rig, size_t reference,
                                        const struct device_side *s)
{
    enum { P = REPLAYED_PATCHES };
    static const size_t candidates[] = {REPLAYED, 1};
    struct vj_cuda_net_work *fresh;
    struct values have, want;
    ok(vj_cuda_net_work_create(&fresh, rig->gpu, 2, P, &err));
    ok(vj_cuda_net_reference(rig->gpu_work, rig->stream, reference, s->r, s->j, P, &err));
    ok(vj_cuda_net_reference(fresh, rig->stream, reference, s->r, s->j, P, &err));
    for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
        have = scores_of(rig, rig->gpu_work, reference, s, P, candidates[i]);
        want = scores_of(rig, fresh, reference, s, P, candidates[i]);
        assert_memory_equal(&have, &want, sizeof(want));
        assert_true(isfinite(have.score[0]));
    }
    assert_int_equal(vj_cuda_net_replays(fresh), 0);
    vj_cuda_net_work_destroy(fresh);
    return have;
}

/* A side and two numbers of candidates each time: all calls but the first of their kind. */
static void replay(const struct vj_net_shape *shape, enum vj_cuda_precision precision)
{
    enum { P = REPLAYED_PATCHES, N = REPLAYED, SIDES = 2, ROUNDS = 5, KINDS = 3 };
    struct rig rig;
    float before = NAN;
    rig_make(&rig, shape, 4, precision, P);
    struct pictures p = pictures_make(&rig, P, N);
    struct device_side s = device_side_make(&rig, &p, P, N);
    for (size_t round = 0; round < SIDES * ROUNDS; round++) {
        send_pictures(&rig, &p, round, &s, P, N);
        const struct values v = compare_with_fresh(&rig, round % SIDES, &s);
        assert_true(v.score[0] != before); /* or old pictures would not show */
        before = v.score[0];
    }
    assert_int_equal(vj_cuda_net_replays(rig.gpu_work), SIDES * KINDS * (ROUNDS - 1));
    device_side_free(&s);
    pictures_free(&p);
    rig_free(&rig);
}

static void replayed_calls_give_the_bits_of_calls_made_for_the_first_time(void **state)
{
    (void)state;
    for (int i = 0; i < USUAL; i++) {
        const struct vj_net_shape shape = usual_shape(i);
        replay(&shape, VJ_CUDA_FP32);
        replay(&shape, VJ_CUDA_FP16);
    }
}

/* Two works of one network on two streams at the same time. */
static void works_run_side_by_side(void **state)
{
    (void)state;
    enum { P = 3, N = 4, ROUNDS = 8 };
    const struct vj_net_shape shape = usual_shape(0);
    struct rig rig;
    struct vj_cuda_net_work *other;
    cudaStream_t stream;
    rig_make(&rig, &shape, 5, VJ_CUDA_FP32, P);
    ok(vj_cuda_net_work_create(&other, rig.gpu, 1, P, &err));
    cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    struct pictures p = pictures_make(&rig, P, N);
    const struct values want = gpu_values(&rig, &p, P, N);
    struct device_side a = device_side_make(&rig, &p, P, N), b = device_side_make(&rig, &p, P, N);
    cuda(cudaDeviceSynchronize());
    for (int i = 0; i < ROUNDS; i++) {
        ok(vj_cuda_net_reference(rig.gpu_work, rig.stream, 0, a.r, a.j, P, &err));
        ok(vj_cuda_net_reference(other, stream, 0, b.r, b.j, P, &err));
        ok(vj_cuda_net_scores(rig.gpu_work, rig.stream, 0, a.d, N, P, a.score, a.quality, a.weight,
                              &err));
        ok(vj_cuda_net_scores(other, stream, 0, b.d, N, P, b.score, b.quality, b.weight, &err));
    }
    cuda(cudaStreamSynchronize(stream));
    const struct values of_a = fetch(&rig, &a, P, N), of_b = fetch(&rig, &b, P, N);
    assert_memory_equal(&of_a, &want, sizeof(want));
    assert_memory_equal(&of_b, &want, sizeof(want));
    device_side_free(&a);
    device_side_free(&b);
    vj_cuda_net_work_destroy(other);
    cuda(cudaStreamDestroy(stream));
    pictures_free(&p);
    rig_free(&rig);
}

int main(void)
{
    if (!gpu_is_there())
        return VJ_TEST_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_and_score_agrees_with_the_cpu_in_fp32),
        cmocka_unit_test(every_layer_and_score_agrees_with_the_cpu_in_tf32),
        cmocka_unit_test(every_layer_and_score_agrees_with_the_cpu_in_fp16),
        cmocka_unit_test(blocks_that_are_one_kernel_agree_with_the_cpu),
        cmocka_unit_test(repeated_calls_and_places_in_a_batch_give_the_same_bits),
        cmocka_unit_test(other_patches_of_the_batch_do_not_matter),
        cmocka_unit_test(sizes_of_batches_change_no_more_than_the_order_of_sums),
        cmocka_unit_test(layers_say_what_bytes_they_move),
        cmocka_unit_test(pooled_maps_that_are_scaled_alone_say_what_bytes_they_move),
        cmocka_unit_test(scores_can_be_captured_in_a_graph),
        cmocka_unit_test(a_reference_leaves_that_of_the_other_side_alone),
        cmocka_unit_test(replayed_calls_give_the_bits_of_calls_made_for_the_first_time),
        cmocka_unit_test(works_run_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
