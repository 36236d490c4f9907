/* SPDX-License-Identifier: MIT */
/* A device of host/device.h with everything asked of it, pictures, and all that it answers. */
#ifndef VJ_TESTS_CUDA_DEVICE_RIG_H
#define VJ_TESTS_CUDA_DEVICE_RIG_H

#include "tests/vj_test.h"

#include <errno.h>

#include "host/checked.h"
#include "host/jpeg_plan.h"
#include "host/net_form.h"
#include "host/rng.h"
#include "tests/cuda/device_there.h"
#include "tests/cuda/emulated.h"

enum { NETWORKS = 2, DRAWS = 2 };
#ifdef VJ_TEST_EMULATED
enum { LEVELS = 7, PATCHES = 3, SIDE = 16 };
static const int levels_qf[LEVELS] = {1, 23, 37, 64, 75, 88, 100};
#else
enum { LEVELS = 12, PATCHES = 5, SIDE = 48 };
static const int levels_qf[LEVELS] = {1, 3, 10, 23, 37, 49, 50, 64, 75, 88, 99, 100};
#endif

/* Pictures' sides, which go with those of patches. */
#define PIXELS(of_48) ((of_48) * (size_t)SIDE / 48)

struct setup {
    struct vj_weights weights[NETWORKS];
    const struct vj_weights *list[NETWORKS];
    struct vj_device_plan plan;
};

/* Everything that a device says about one picture. */
struct answers {
    int64_t bytes[LEVELS];
    struct vj_quality_values quality[LEVELS];
    double ssimulacra2[LEVELS];
    double share[2][LEVELS], excess[2][LEVELS], noise_gain[2][LEVELS];
    float score[NETWORKS][DRAWS][LEVELS];
    float patch_quality[NETWORKS][DRAWS][LEVELS][PATCHES];
    float patch_weight[NETWORKS][DRAWS][LEVELS][PATCHES];
};

static inline const char *selector(void)
{
    const char *given = getenv("VPJND_TEST_SELECTOR");
    return given ? given : "cuda";
}

static inline void make_narrow(struct vj_net_shape *shape)
{
    static const int channels[] = {16, 32, 16, 48, 32};
    for (int i = 0; i < vj_net_form(shape->variant)->blocks; i++)
        shape->channels[i] = channels[i];
}

static inline void setup_open(struct setup *s, size_t width, size_t height,
                              enum vj_subsampling sampling, int slots)
{
    struct vj_error err = {0};
    memset(s, 0, sizeof(*s));
    for (int i = 0; i < NETWORKS; i++) {
        struct vj_net_shape shape =
            vj_net_shape_default(i ? VJ_VARIANT_RELEASED : VJ_VARIANT_FIGURE);
        shape.patch_size = SIDE;
        if (EMULATED)
            make_narrow(&shape);
        if (vj_weights_init(&s->weights[i], &shape, 7 + (uint64_t)i, &err))
            fail_msg("%s", err.text);
        s->list[i] = &s->weights[i];
    }
    s->plan = (struct vj_device_plan){.max_width = width,
                                      .max_height = height,
                                      .slots = slots,
                                      .threads = 4,
                                      .levels = LEVELS,
                                      .sampling = sampling,
                                      .quality = VJ_QUALITY_ALL,
                                      .ssimulacra2 = VJ_SSIMULACRA2_EXACT,
                                      .jnd_count = 2,
                                      .net_jnd = 1,
                                      .net_scale = VJ_JND_MINMAX,
                                      .weights = s->list,
                                      .weights_count = NETWORKS,
                                      .patches = PATCHES,
                                      .draws = DRAWS,
                                      .patch_size = SIDE};
    s->plan.jnd[0].model = vj_jnd_find("chou95", NULL);
    s->plan.jnd[1].model = vj_jnd_find("epc17", NULL);
    s->plan.jnd_share[0] = s->plan.jnd_share[1] = true;
    s->plan.jnd_excess[0] = s->plan.jnd_excess[1] = true;
    s->plan.jnd_noise[1] = true; /* one map without, so that places of results are gone through */
}

static inline void setup_close(struct setup *s)
{
    for (int i = 0; i < NETWORKS; i++)
        vj_weights_free(&s->weights[i]);
}

static inline struct vj_device device_open(const char *name, const struct vj_device_plan *plan)
{
    struct vj_device device;
    struct vj_error err = {0};
    char note[256];
    if (vj_device_open(&device, name, plan, note, &err))
        fail_msg("%s", err.text);
    return device;
}

/* Smooth shading, an edge and noise, so that every stage has something to do. */
static inline struct vj_image picture(size_t width, size_t height, int channels, uint64_t seed)
{
    struct vj_image img;
    assert_int_equal(vj_image_alloc(&img, width, height, channels, NULL), 0);
    size_t i = 0;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            for (int c = 0; c < channels; c++, i++) {
                uint32_t word =
                    vj_random4(seed, VJ_RNG_TEST, (uint64_t)c, (uint32_t)(y * width + x)).v[0];
                size_t shade = (x * (2 + (size_t)c) + y * 3) / 4 % 200;
                size_t edge = x * 5 > y * 7 + width ? 40 : 0;
                img.data[i] = (uint8_t)(shade + edge + word % 14);
            }
    return img;
}

static inline void place(const struct vj_image *img, uint64_t seed, int32_t (*origin)[2])
{
    for (uint32_t p = 0; p < PATCHES * DRAWS; p++) {
        struct vj_u32x4 word = vj_random4(seed, VJ_RNG_PATCHES, 0, p);
        origin[p][0] = (int32_t)vj_random_below(word.v[0], (uint32_t)img->height - SIDE + 1);
        origin[p][1] = (int32_t)vj_random_below(word.v[1], (uint32_t)img->width - SIDE + 1);
    }
    origin[0][0] = origin[0][1] = 0; /* corners */
    origin[1][0] = (int32_t)img->height - SIDE;
    origin[1][1] = (int32_t)img->width - SIDE;
}

/* How a picture is put through a device. */
struct course {
    const struct vj_image *img, *reference;
    int anchor_qf;
    uint64_t seed;            /* of the positions */
    int step;                 /* levels per candidates() call */
    bool own_jnd;             /* the map's patches lie elsewhere */
    const bool *wanted;       /* [NETWORKS] which score it; NULL = all */
    vj_candidate_fetch fetch; /* candidates are files */
    void *user;
};

static inline void must(int r, const struct vj_error *err)
{
    if (r)
        fail_msg("%d: %s", r, err->text);
}

/* Asks for everything; the answers are complete after wait(). Returns the first failure. */
static inline int try_to_ask(const struct vj_device *device, int slot, const struct course *c,
                             struct answers *answers, struct vj_error *err)
{
    const struct vj_device_ops *ops = device->ops;
    int32_t origin[PATCHES * DRAWS][2], jnd_origin[PATCHES * DRAWS][2];
    place(c->img, c->seed, origin);
    place(c->img, c->seed + 1, jnd_origin);
    int r = ops->source(device->state, slot, c->img, c->reference, c->anchor_qf, err);
    if (!r)
        r = ops->jnd_maps(device->state, slot, err);
    if (!r)
        r = ops->positions(device->state, slot, (const int32_t(*)[2])origin,
                           c->own_jnd ? (const int32_t(*)[2])jnd_origin : NULL, c->wanted, err);
    memset(origin, 0x7f, sizeof(origin)); /* the caller's arrays are free to be reused */
    memset(jnd_origin, 0x7f, sizeof(jnd_origin));
    for (int first = 0; !r && first < LEVELS; first += c->step) {
        int count = LEVELS - first < c->step ? LEVELS - first : c->step;
        const struct vj_candidate_request request = {.qf = levels_qf + first,
                                                     .count = count,
                                                     .fetch = c->fetch,
                                                     .user = c->user,
                                                     .sizes = true,
                                                     .metrics = true,
                                                     .patches = true};
        const struct vj_candidate_values out = {
            .bytes = answers->bytes + first,
            .quality = answers->quality + first,
            .ssimulacra2 = answers->ssimulacra2 + first,
            .share = {answers->share[0] + first, answers->share[1] + first},
            .excess = {answers->excess[0] + first, answers->excess[1] + first},
            .noise_gain = {NULL, answers->noise_gain[1] + first}};
        r = ops->candidates(device->state, slot, &request, &out, err);
        for (size_t n = 0; n < NETWORKS; n++)
            for (int d = 0; d < DRAWS && !r && (!c->wanted || c->wanted[n]); d++)
                r = ops->scores(device->state, slot, n, d, count, answers->score[n][d] + first,
                                answers->patch_quality[n][d][first],
                                answers->patch_weight[n][d][first], err);
    }
    return r;
}

static inline void ask(const struct vj_device *device, int slot, const struct course *c,
                       struct answers *answers)
{
    struct vj_error err = {0};
    must(try_to_ask(device, slot, c, answers, &err), &err);
}

static inline void wait_for(const struct vj_device *device, int slot)
{
    struct vj_error err = {0};
    must(device->ops->wait(device->state, slot, &err), &err);
}

/* Poisoned first: a value that never arrives is seen. */
static inline struct answers *fresh(void)
{
    struct answers *a = malloc(sizeof(*a));
    assert_non_null(a);
    memset(a, 0xA5, sizeof(*a));
    return a;
}

static inline struct answers *run(const struct vj_device *device, const struct course *c)
{
    struct answers *a = fresh();
    ask(device, 0, c, a);
    wait_for(device, 0);
    return a;
}

static inline void expect_same(const struct answers *a, const struct answers *b)
{
    assert_memory_equal(a, b, sizeof(*a));
}

struct fixture {
    struct setup s;
    struct vj_image img[3];
    struct course course[3];
};

static inline void fixture_open(struct fixture *f, int slots)
{
    static const size_t size[3][2] = {
        {PIXELS(200), PIXELS(181)}, {PIXELS(99), PIXELS(150)}, {PIXELS(181), PIXELS(64)}};
    setup_open(&f->s, PIXELS(200), PIXELS(200), VJ_SUBSAMPLING_420, slots);
    for (int i = 0; i < 3; i++) {
        f->img[i] = picture(size[i][0], size[i][1], 3, 20 + (uint64_t)i);
        f->course[i] = (struct course){
            .img = &f->img[i], .anchor_qf = 100, .seed = 5 + (uint64_t)i, .step = LEVELS};
    }
}

static inline void fixture_close(struct fixture *f)
{
    for (int i = 0; i < 3; i++)
        vj_image_free(&f->img[i]);
    setup_close(&f->s);
}

/* ---- candidates that are files ---- */

struct shelf {
    struct vj_jpeg_plan *plan;
    struct vj_image img;
    int bad_qf;   /* this one cannot be read */
    int wrong_qf; /* this one has another size */
};

static inline int take_from_shelf(void *user, int qf, struct vj_image *img, int64_t *bytes,
                                  struct vj_error *err)
{
    const struct shelf *shelf = user;
    struct vj_jpeg_scratch *scratch = NULL;
    if (qf == shelf->bad_qf)
        return vj_fail(err, -EBADMSG, "shelf: candidate %d is damaged", qf);
    size_t width = shelf->img.width - (qf == shelf->wrong_qf);
    int r = vj_image_alloc(img, width, shelf->img.height, 3, err);
    if (!r && width == shelf->img.width)
        r = vj_jpeg_scratch_create(&scratch, width, shelf->img.height, 3, VJ_SUBSAMPLING_420, err);
    if (!r && scratch)
        r = vj_jpeg_plan_decode(shelf->plan, qf, img->data, scratch, err);
    if (!r && scratch)
        r = vj_jpeg_plan_size(shelf->plan, qf, VJ_JPEG_CODING_STANDARD, bytes, scratch, err);
    vj_jpeg_scratch_free(scratch);
    return r;
}

#endif
