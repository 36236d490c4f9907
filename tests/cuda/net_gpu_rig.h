/* SPDX-License-Identifier: MIT */
/* The network of the same weights on the CPU and on a GPU, or on the emulation of one; pictures for
 * both, and the scores of either. */
#ifndef VJ_TESTS_CUDA_NET_GPU_RIG_H
#define VJ_TESTS_CUDA_NET_GPU_RIG_H

#include <math.h>

#include <cuda_runtime_api.h>

#include "cuda/check.h"
#include "cuda/net_internal.h"
#include "cuda/net_kernels.h"
#include "host/net_internal.h"
#include "tests/cuda/gpu_there.h"
#include "tests/host/net_formula.h"

static struct vj_error err;

static inline void ok(int r)
{
    if (r)
        fail_msg("%d: %s", r, err.text);
}

static inline void cuda(cudaError_t status)
{
    if (status != cudaSuccess)
        fail_msg("%s", cudaGetErrorString(status));
}

static inline void *on_device(const void *from, size_t bytes)
{
    void *to = NULL;
    cuda(cudaMalloc(&to, bytes));
    if (from)
        cuda(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice));
    else
        cuda(cudaMemset(to, 0xff, bytes)); /* NaN */
    cuda(cudaDeviceSynchronize());         /* the stream of the rig does not wait for either */
    return to;
}

/* The same weights on both sides. */
struct rig {
    struct vj_weights w;
    struct vj_net *cpu;
    struct vj_net_work *cpu_work;
    struct vj_cuda_net *gpu;
    struct vj_cuda_net_work *gpu_work;
    enum vj_cuda_precision precision;
    size_t pixels; /* of a patch */
    cudaStream_t stream;
};

static inline void rig_make_with(struct rig *rig, const struct vj_net_shape *shape, size_t rows,
                                 size_t side_rows, enum vj_cuda_precision precision,
                                 size_t max_patches)
{
    memset(rig, 0, sizeof(*rig));
    rig->precision = precision;
    rig->pixels = (size_t)shape->patch_size * (size_t)shape->patch_size;
    ok(formula_weights(&rig->w, shape, &err));
    ok(vj_net_create(&rig->cpu, &rig->w, &err));
    ok(vj_net_work_create(&rig->cpu_work, rig->cpu, 0, &err));
    ok(vj_cuda_net_create(&rig->gpu, &rig->w, rows, side_rows, precision, &err));
    ok(vj_cuda_net_work_create(&rig->gpu_work, rig->gpu, 2, max_patches, &err));
    cuda(cudaStreamCreateWithFlags(&rig->stream, cudaStreamNonBlocking));
}

static inline void rig_make(struct rig *rig, const struct vj_net_shape *shape, size_t rows,
                            enum vj_cuda_precision precision, size_t max_patches)
{
    rig_make_with(rig, shape, rows, max_patches < rows ? max_patches : rows, precision,
                  max_patches);
}

static inline void rig_free(struct rig *rig)
{
    cuda(cudaStreamDestroy(rig->stream));
    vj_cuda_net_work_destroy(rig->gpu_work);
    vj_cuda_net_destroy(rig->gpu);
    vj_net_work_free(rig->cpu_work);
    vj_net_free(rig->cpu);
    vj_weights_free(&rig->w);
}

static inline struct vj_net_shape small_shape(enum vj_variant variant, enum vj_non_local non_local,
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

/* The networks that tests of anything but numbers use: with a pixel-JND map, and without. */
enum { USUAL = 2 };

static inline struct vj_net_shape usual_shape(int i)
{
    if (!small_only())
        return vj_net_shape_default(i ? VJ_VARIANT_PW_JND : VJ_VARIANT_FIGURE);
    return i ? pw_shape(32, 16, 32, 16, 16, 32)
             : small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 32, 16, 32, 16, 24);
}

static inline bool sees_map(const struct rig *rig)
{
    return vj_net_form(rig->w.shape.variant)->jnd;
}

struct pictures {
    uint8_t *r, *j, *d;
};

static inline struct pictures pictures_make(const struct rig *rig, size_t patches, size_t n)
{
    const size_t size = (size_t)rig->w.shape.patch_size, px = rig->pixels;
    struct pictures p = {malloc(patches * px * 3), malloc(patches * px),
                         malloc(n * patches * px * 3)};
    for (size_t k = 0; k < patches; k++) {
        formula_patch(p.r + k * px * 3, FORMULA_REFERENCE, k, size, 3);
        formula_patch(p.j + k * px, FORMULA_JND, k, size, 1);
        for (size_t i = 0; i < n; i++)
            formula_patch(p.d + (i * patches + k) * px * 3, FORMULA_CANDIDATE + (int)i, k, size, 3);
    }
    return p;
}

static inline void pictures_free(struct pictures *p)
{
    free(p->r);
    free(p->j);
    free(p->d);
}

enum { MOST = 64 };

struct values {
    float score[MOST], quality[MOST], weight[MOST];
};

static inline struct values cpu_values(struct rig *rig, const struct pictures *p, size_t patches,
                                       size_t n)
{
    struct values v = {{0}, {0}, {0}};
    struct vj_net_reference *ref;
    assert_true(n * patches <= MOST);
    ok(vj_net_reference_create(&ref, rig->cpu, patches, &err));
    ok(vj_net_reference_load(ref, rig->cpu_work, p->r, p->j, patches, &err));
    ok(vj_net_scores(rig->cpu_work, ref, p->d, n, v.score, v.quality, v.weight, &err));
    vj_net_reference_free(ref);
    return v;
}

/* The pictures and the results on the device. */
struct device_side {
    uint8_t *r, *j, *d;
    float *score, *quality, *weight;
};

static inline struct device_side device_side_make(const struct rig *rig, const struct pictures *p,
                                                  size_t patches, size_t n)
{
    const size_t px = rig->pixels;
    const struct device_side s = {on_device(p->r, patches * px * 3),
                                  on_device(p->j, patches * px),
                                  on_device(p->d, n * patches * px * 3),
                                  on_device(NULL, n * sizeof(float)),
                                  on_device(NULL, n * patches * sizeof(float)),
                                  on_device(NULL, n * patches * sizeof(float))};
    return s;
}

static inline void device_side_free(struct device_side *s)
{
    void *const all[] = {s->r, s->j, s->d, s->score, s->quality, s->weight};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        cuda(cudaFree(all[i]));
}

static inline struct values fetch(const struct rig *rig, const struct device_side *s,
                                  size_t patches, size_t n)
{
    struct values v = {{0}, {0}, {0}};
    cuda(cudaStreamSynchronize(rig->stream));
    cuda(cudaMemcpy(v.score, s->score, n * sizeof(float), cudaMemcpyDeviceToHost));
    cuda(cudaMemcpy(v.quality, s->quality, n * patches * sizeof(float), cudaMemcpyDeviceToHost));
    cuda(cudaMemcpy(v.weight, s->weight, n * patches * sizeof(float), cudaMemcpyDeviceToHost));
    return v;
}

static inline struct values gpu_values(struct rig *rig, const struct pictures *p, size_t patches,
                                       size_t n)
{
    struct device_side s = device_side_make(rig, p, patches, n);
    ok(vj_cuda_net_reference(rig->gpu_work, rig->stream, 1, s.r, sees_map(rig) ? s.j : NULL,
                             patches, &err));
    ok(vj_cuda_net_scores(rig->gpu_work, rig->stream, 1, s.d, n, patches, s.score, s.quality,
                          s.weight, &err));
    const struct values v = fetch(rig, &s, patches, n);
    device_side_free(&s);
    return v;
}

#endif
