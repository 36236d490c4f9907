/* SPDX-License-Identifier: MIT */
/*
 * Asks the cuDNN that the module is linked with, without a GPU and without a driver, whether it has
 * engines for every 3x3 convolution of the program. Since 9.8 cuDNN takes the description of a card
 * instead of one; 9.19 plans for it, 9.10.2 ends in an internal error. Shapes are those of the
 * plans (cuda/net_plan.h, cuda/train_plan.h).
 *
 * An engine's numerical notes say whether it would keep the promises of cuda/net_ops.h: no rounding
 * to tensor-core formats in fp32, tensor cores in tf32 and fp16, single precision sums, the same
 * bits in every run. What the test cannot say: which engine the convolution calls of the program
 * choose on a card, whether it runs there, and how fast.
 *
 * The argument names the card, h200 without one. One per process: answers for an A100 have been
 * seen to lack engines after questions about an older card.
 */
#include "tests/vj_test.h"

#include <cudnn.h>
#include <dlfcn.h>

#if CUDNN_VERSION >= 91900

#include "cuda/plan.h"
#include "cuda/train_plan.h"
#include "host/net_form.h"
#include "host/weights.h"
#include "tests/cuda/cudnn_graph.h"

static void graph_failed(const char *call, const char *status, const char *why)
{
    fail_msg("%s: %s: %s", call, status, why);
}

#ifdef __SANITIZE_ADDRESS__
/* cuDNN keeps tables of its own until the program ends. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libcudnn";
}
#endif

/* ---- cards ---- */

/* What tensor cores know of it; a T4's know nothing, so that the others' answers say something. */
enum tf32 { NONE, OF_COPIES /* of input and kernel, in the workspace */, OF_FLOATS };

/*
 * NVIDIA's figures: data sheets (processors, memory), the tables of compute capabilities in the
 * CUDA C++ Programming Guide (shared memory, threads, blocks), and what the run-time reports of
 * the cards (clocks, level 2 cache).
 */
struct card {
    const char *key, *name;
    int version;             /* 900 for sm_90 */
    enum tf32 tf32;          /* what its tensor cores know of it */
    int processors;          /* streaming multiprocessors */
    int shared, reserved;    /* bytes of shared memory: at most of a block, taken by the system */
    int threads, blocks;     /* of a processor, at most */
    int memory, cache;       /* MiB */
    int clock, memory_clock; /* MHz */
};
static const struct card cards[] = {
    {"h200", "NVIDIA H200", 900, OF_FLOATS, 132, 227 << 10, 1024, 2048, 32, 143771, 60, 1980, 3201},
    {"a100", "NVIDIA A100-SXM4-80GB", 800, OF_COPIES, 108, 163 << 10, 1024, 2048, 32, 81920, 40,
     1410, 1593},
    {"t4", "Tesla T4", 750, NONE, 40, 64 << 10, 0, 1024, 16, 15360, 4, 1590, 5001},
};

/* Done, with *properties in the bag, or why the library takes no description of a card. */
static cudnnStatus_t describe(struct bag *b, const struct card *c, descriptor *properties)
{
    char json[1024];
    const int length =
        snprintf(json, sizeof(json),
                 "{\"deviceName\":\"%s\",\"deviceVer\":%d,\"multiProcessorCount\":%d,"
                 "\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":%d,"
                 "\"reservedSharedMemoryPerBlock\":%d,\"maxThreadsPerSM\":%d,\"maxCtasPerSM\":%d,"
                 "\"totalGlobalMem\":%lld,\"l2CacheSize\":%d,\"smClockRateKHz\":%d,"
                 "\"memClockRateKHz\":%d,\"maxGridSize\":[2147483647,65535,65535],"
                 "\"maxBlockSize\":[1024,1024,64],\"maxThreadsPerBlock\":1024,\"warpSize\":32,"
                 "\"regsPerBlock\":65536,\"maxRegistersPerSM\":65536,\"supportCoopLaunch\":1,"
                 "\"isTccDriver\":0,\"pciDeviceId\":0,\"cudaDeviceId\":0,\"driverVer\":%zu}",
                 c->name, c->version, c->processors, c->shared, c->reserved, c->threads, c->blocks,
                 (long long)c->memory << 20, c->cache << 20, c->clock * 1000,
                 c->memory_clock * 1000, cudnnGetCudartVersion());
    cudnnStatus_t status =
        cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, properties);
    if (status != CUDNN_STATUS_SUCCESS)
        return status;
    b->item[b->count++] = *properties;
    status = cudnnBackendSetAttribute(*properties, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                      CUDNN_TYPE_CHAR, length + 1, json);
    return status == CUDNN_STATUS_SUCCESS ? cudnnBackendFinalize(*properties) : status;
}

/* ---- questions: convolutions of the plans ---- */

struct questions {
    struct question q[512];
    size_t count;
};

/* Variants share convolutions: those that are there already are not asked for again. */
static void add(struct questions *all, const struct vj_cuda_net_plan *plan, int layer,
                enum kind kind)
{
    const struct vj_cuda_net_conv *c = &plan->conv[layer];
    struct question q = {.kind = kind,
                         .precision = plan->precision,
                         .rows = (int64_t)plan->rows,
                         .side = c->side,
                         .in = c->in,
                         .out = c->out};
    for (size_t i = 0; i < all->count; i++) {
        const struct question *o = &all->q[i];
        if (o->kind == kind && o->precision == q.precision && o->rows == q.rows &&
            o->side == q.side && o->in == q.in && o->out == q.out)
            return;
    }
    snprintf(q.name, sizeof(q.name), "%s %s", plan->form->name, c->name);
    assert_true(all->count < sizeof(all->q) / sizeof(all->q[0]));
    all->q[all->count++] = q;
}

/* Both ways in which cuda/net_ops.cu may compute a layer. */
static void add_rows(struct questions *all, const struct vj_net_shape *shape, size_t rows)
{
    for (int precision = VJ_CUDA_FP32; precision <= VJ_CUDA_FP16; precision++) {
        struct vj_cuda_net_plan plan;
        struct vj_error err = {0};
        if (vj_cuda_net_plan_make(&plan, shape, rows, (enum vj_cuda_precision)precision, &err))
            fail_msg("%s", err.text);
        for (int layer = 0; layer < plan.layers; layer++)
            for (int kind = FUSED; kind <= PLAIN; kind++)
                add(all, &plan, layer, (enum kind)kind);
    }
}

/* Batches of candidates, and those of reference sides. */
static void add_evaluation(struct questions *all, const struct vj_net_shape *shape)
{
    const size_t patches = (size_t)shape->patches;
    add_rows(all, shape, vj_cuda_net_rows(shape, vj_cuda_rows(patches), patches));
    add_rows(all, shape, patches);
}

/* Forward and back; nobody asks for the gradient at the patches themselves. */
static void add_training(struct questions *all, const struct vj_net_shape *shape)
{
    struct vj_weights weights = {0};
    struct vj_cuda_train_plan plan;
    struct vj_error err = {0};
    const struct vj_trainer_plan trainer = {
        &weights, (size_t)shape->patches, 4, 4, {0.9, 0.999, 1e-8}, 0.9999, 0.5, 1, 1};
    if (vj_weights_alloc(&weights, shape, &err) || vj_cuda_train_plan_make(&plan, &trainer, &err))
        fail_msg("%s", err.text);
    for (int layer = 0; layer < plan.net.layers; layer++)
        for (int kind = FUSED; kind < KINDS; kind++)
            if (kind != DATA || layer > 0)
                add(all, &plan.net, layer, (enum kind)kind);
    vj_weights_free(&weights);
}

/* Default channels with the patches that are in use, and channels that the plan must pad. */
static void list(struct questions *all)
{
    static const struct {
        enum vj_variant variant;
        int size, channels[VJ_NET_BLOCKS];
    } of[] = {{VJ_VARIANT_RELEASED, 128, {32, 64, 128, 256}},
              {VJ_VARIANT_RELEASED, 64, {32, 64, 128, 256}},
              {VJ_VARIANT_FIGURE, 128, {32, 64, 128, 256}},
              {VJ_VARIANT_FIGURE, 64, {32, 64, 128, 256}},
              {VJ_VARIANT_FIGURE, 48, {16, 48, 32, 21}},
              {VJ_VARIANT_PW_JND, 32, {32, 64, 128, 256, 512}}};
    for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
        struct vj_net_shape shape = vj_net_shape_default(of[i].variant);
        shape.patch_size = of[i].size;
        memcpy(shape.channels, of[i].channels, sizeof(shape.channels));
        add_evaluation(all, &shape);
        add_training(all, &shape);
    }
}

/* ---- engines ---- */

/* Whether the library makes a plan of that configuration for the card. */
static bool plan_of(struct bag *b, descriptor properties, descriptor config, int64_t *workspace)
{
    descriptor d = make(b, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    set_descriptor(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    set_descriptor(d, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, properties);
    if (!supported(cudnnBackendFinalize(d), "plan"))
        return false;
    *workspace = get_number(d, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
    return true;
}

static bool engine_of(struct bag *b, descriptor properties, descriptor graph, int64_t index,
                      struct engine *e)
{
    descriptor d = make(b, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    set_descriptor(d, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph);
    set(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index);
    set_descriptor(d, CUDNN_ATTR_ENGINE_DEVICEPROP, properties);
    if (!supported(cudnnBackendFinalize(d), "engine"))
        return false;
    read_engine(d, e);
    descriptor config = make(b, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    set_descriptor(config, CUDNN_ATTR_ENGINECFG_ENGINE, d);
    return supported(cudnnBackendFinalize(config), "engine configuration") &&
           plan_of(b, properties, config, &e->workspace);
}

struct answer {
    int engines;         /* that keep the promises, number 0 aside */
    struct engine least; /* the one with the smallest workspace */
};

/* Number 0 takes any convolution on any card, slowly: that it is there says nothing. */
static struct answer ask(struct bag *b, descriptor properties, descriptor graph,
                         const struct question *q)
{
    const int64_t all = get_number(graph, CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT);
    struct answer a = {.engines = 0};
    for (int64_t i = 1; i < all; i++) {
        const size_t before = b->count;
        struct engine e;
        if (engine_of(b, properties, graph, i, &e) && keeps(q, e.notes) &&
            (a.engines++ == 0 || e.workspace < a.least.workspace))
            a.least = e;
        destroy_down_to(b, before);
    }
    return a;
}

/* The first engines that keep the promises, with their MiB, in the order of cuDNN's advice. */
static void print_advice(struct bag *b, descriptor properties, descriptor graph,
                         const struct question *q)
{
    enum { SHOWN = 3 };
    descriptor config[ADVISED];
    const int64_t count = advice(b, graph, properties, config);
    int64_t last = -1;
    for (int64_t i = 0, shown = 0; i < count && shown < SHOWN; i++) {
        struct engine e;
        read_config(b, config[i], &e);
        if (e.index == last || !keeps(q, e.notes) ||
            !plan_of(b, properties, config[i], &e.workspace))
            continue;
        last = e.index;
        print_message("%s %lld (%.1f)", shown++ ? "," : "; advised:", (long long)e.index,
                      (double)e.workspace / (1 << 20));
    }
}

/* ---- tests ---- */

enum { LITTLE = 256 }; /* bytes of workspace: what engines add to be aligned */

/*
 * What suffices, in bytes: next to nothing forward, but for copies where the card needs them; back
 * copies of all three tensors, since an H200 has but number 0 to make an input's gradient in fp32
 * from the maps as they lie.
 */
static int64_t workspace_limit(const struct card *card, const struct question *q)
{
    const int64_t pixels = q->rows * q->side * q->side, kernel = 9 * q->in * q->out, bytes = 4;
    if (q->kind == DATA || q->kind == FILTER)
        return LITTLE + (pixels * (q->in + q->out) + kernel) * bytes;
    if (q->precision == VJ_CUDA_TF32 && card->tf32 == OF_COPIES)
        return LITTLE + (pixels * q->in + kernel) * bytes;
    return LITTLE;
}

static struct answer ask_and_print(const struct card *card, const struct question *q)
{
    struct bag b = {.count = 0};
    descriptor properties;
    OK(describe(&b, card, &properties));
    descriptor graph = graph_of(&b, q, NULL);
    const struct answer a = ask(&b, properties, graph, q);
    print_message("%s, %s %s %s, %lld x %lld x %lld, %lld to %lld: %d engines", card->name, q->name,
                  vj_cuda_precision_name(q->precision), kind_names[q->kind], (long long)q->rows,
                  (long long)q->side, (long long)q->side, (long long)q->in, (long long)q->out,
                  a.engines);
    if (a.engines)
        print_message(", least workspace %.2f MiB (%lld)", (double)a.least.workspace / (1 << 20),
                      (long long)a.least.index);
    print_advice(&b, properties, graph, q);
    print_message("\n");
    destroy_down_to(&b, 0);
    return a;
}

static void
the_card_has_engines_for_every_convolution_in_every_precision_that_it_knows(void **state)
{
    const struct card *card = *state;
    struct questions all = {.count = 0};
    int wrong = 0;
    list(&all);
    for (size_t i = 0; i < all.count; i++) {
        const struct question *q = &all.q[i];
        const bool wanted = q->precision != VJ_CUDA_TF32 || card->tf32 != NONE;
        const int64_t limit = workspace_limit(card, q);
        const struct answer a = ask_and_print(card, q);
        if ((a.engines > 0) == wanted && a.least.workspace <= limit)
            continue;
        print_error("%s, %s %s %s: %d engines, wanted: %s; workspace %lld of at most %lld bytes\n",
                    card->name, q->name, vj_cuda_precision_name(q->precision), kind_names[q->kind],
                    a.engines, wanted ? "one or more" : "none", (long long)a.least.workspace,
                    (long long)limit);
        wrong++;
    }
    assert_true(all.count > 0);
    assert_int_equal(wrong, 0);
}

/* So that the limit of the workspace says something; and this is what the plan's padding is for. */
static void three_channels_cost_a_workspace_in_tf32_and_four_do_not(void **state)
{
    const struct card *card = *state;
    if (card->tf32 != OF_FLOATS)
        skip();
    for (int kind = FUSED; kind <= PLAIN; kind++) {
        struct question q = {"conv1", (enum kind)kind, VJ_CUDA_TF32, 256, 128, 4, 32};
        assert_true(ask_and_print(card, &q).least.workspace <= LITTLE);
        q.in = 3;
        assert_true(ask_and_print(card, &q).least.workspace > LITTLE);
    }
}

static bool plans_for(const struct card *card)
{
    struct bag b = {.count = 0};
    descriptor properties;
    const cudnnStatus_t status = describe(&b, card, &properties);
    if (status != CUDNN_STATUS_SUCCESS)
        print_message("skipped: cuDNN %zu plans for no card that is only described (%s)\n",
                      cudnnGetVersion(), cudnnGetErrorString(status));
    destroy_down_to(&b, 0);
    return status == CUDNN_STATUS_SUCCESS;
}

int main(int argc, char **argv)
{
    const struct card *card = NULL;
    for (size_t i = 0; i < sizeof(cards) / sizeof(cards[0]); i++)
        if (strcmp(argc > 1 ? argv[1] : "h200", cards[i].key) == 0)
            card = &cards[i];
    if (!card) {
        print_error("there is no card %s, there are h200, a100 and t4\n", argv[1]);
        return 2;
    }
    if (!plans_for(card))
        return 77;
    /* cuDNN loads the compiler anew for engine after engine, which takes most of the time. */
    char name[32];
    snprintf(name, sizeof(name), "libnvrtc.so.%zu", cudnnGetCudartVersion() / 1000);
    (void)dlopen(name, RTLD_LAZY | RTLD_NODELETE);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(
            the_card_has_engines_for_every_convolution_in_every_precision_that_it_knows,
            (void *)card),
        cmocka_unit_test_prestate(three_channels_cost_a_workspace_in_tf32_and_four_do_not,
                                  (void *)card),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    print_message(
        "skipped: cuDNN %d is not known to plan for a card that is only described, 9.19 is\n",
        CUDNN_VERSION);
    return 77;
}

#endif
