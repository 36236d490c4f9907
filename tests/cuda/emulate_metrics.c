/* SPDX-License-Identifier: MIT */
/* The metrics' kernels on the emulated run-time (emulate_device.c): values are the CPU's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/quality.h"
#include "cuda/ssimulacra2.h"
#include "tests/cuda/emulate_device.h"

/* ---- cuda/quality.h ---- */

struct vj_cuda_quality {
    struct vj_quality_reference *reference;
    struct vj_quality_scratch *scratch;
    size_t bytes; /* of a picture; set when the load is carried out */
};

struct quality_call {
    struct vj_cuda_quality *quality;
    struct vj_image img;
    const uint8_t *candidates;
    int count;
    struct vj_cuda_quality_sums *sums;
};

/* Values travel in the place of the sums. */
_Static_assert(sizeof(struct vj_cuda_quality_sums) >= sizeof(struct vj_quality_values), "room");

size_t vj_cuda_quality_bytes(size_t max_width, size_t max_height, int which, int levels)
{
    (void)which;
    (void)levels;
    return max_width * max_height;
}

int vj_cuda_quality_create(struct vj_cuda_quality **quality, size_t max_width, size_t max_height,
                           int which, int levels, struct vj_error *err)
{
    (void)levels;
    *quality = calloc(1, sizeof(**quality));
    if (!*quality)
        return vj_fail(err, -ENOMEM, "out of memory");
    int r = vj_quality_reference_create(&(*quality)->reference, max_width, max_height, which, err);
    if (!r)
        r = vj_quality_scratch_create(&(*quality)->scratch, max_width, max_height, which, err);
    return r;
}

void vj_cuda_quality_destroy(struct vj_cuda_quality *quality)
{
    if (!quality)
        return;
    vj_quality_reference_free(quality->reference);
    vj_quality_scratch_free(quality->scratch);
    free(quality);
}

static void run_quality_load(const void *arguments)
{
    const struct quality_call *a = arguments;
    a->quality->bytes = a->img.width * a->img.height * (size_t)a->img.channels;
    must(vj_quality_reference_load(a->quality->reference, &a->img, NULL));
}

int vj_cuda_quality_load(struct vj_cuda_quality *quality, cudaStream_t stream,
                         const uint8_t *d_pixels, size_t width, size_t height, int channels,
                         struct vj_error *err)
{
    (void)err;
    const struct quality_call a = {.quality = quality,
                                   .img = {width, height, channels, (uint8_t *)d_pixels}};
    PUSH(stream, run_quality_load, a);
    return 0;
}

static void run_quality(const void *arguments)
{
    const struct quality_call *a = arguments;
    for (int i = 0; i < a->count; i++) {
        struct vj_quality_values values;
        must(vj_quality_compute(a->quality->reference,
                                a->candidates + (size_t)i * a->quality->bytes, a->quality->scratch,
                                &values));
        memcpy(&a->sums[i], &values, sizeof(values));
    }
}

int vj_cuda_quality_compute(struct vj_cuda_quality *quality, cudaStream_t stream,
                            const uint8_t *d_candidates, int count,
                            struct vj_cuda_quality_sums *d_sums, struct vj_error *err)
{
    (void)err;
    const struct quality_call a = {
        .quality = quality, .candidates = d_candidates, .count = count, .sums = d_sums};
    PUSH(stream, run_quality, a);
    return 0;
}

void vj_cuda_quality_finish(const struct vj_cuda_quality *quality,
                            const struct vj_cuda_quality_sums *sums, int count,
                            struct vj_quality_values *values)
{
    (void)quality;
    for (int i = 0; i < count; i++)
        memcpy(&values[i], &sums[i], sizeof(values[i]));
}

/* ---- cuda/ssimulacra2.h ---- */

struct vj_cuda_ssimulacra2 {
    struct vj_ssimulacra2_reference *reference;
    struct vj_ssimulacra2_scratch *scratch;
    size_t bytes; /* of a picture; set when the load is carried out */
};

struct ssimulacra2_call {
    struct vj_cuda_ssimulacra2 *ssimulacra2;
    struct vj_image img;
    const uint8_t *candidates;
    int count;
    struct vj_ssimulacra2_totals *totals;
};

size_t vj_cuda_ssimulacra2_bytes(size_t max_width, size_t max_height, enum vj_ssimulacra2_mode mode,
                                 int levels)
{
    (void)levels;
    return vj_ssimulacra2_reference_bytes(max_width, max_height, mode);
}

int vj_cuda_ssimulacra2_create(struct vj_cuda_ssimulacra2 **ssimulacra2, size_t max_width,
                               size_t max_height, enum vj_ssimulacra2_mode mode, int levels,
                               struct vj_error *err)
{
    (void)levels;
    *ssimulacra2 = calloc(1, sizeof(**ssimulacra2));
    if (!*ssimulacra2)
        return vj_fail(err, -ENOMEM, "out of memory");
    int r = vj_ssimulacra2_reference_create(&(*ssimulacra2)->reference, max_width, max_height, mode,
                                            err);
    if (!r)
        r = vj_ssimulacra2_scratch_create(&(*ssimulacra2)->scratch, max_width, max_height, mode,
                                          err);
    return r;
}

void vj_cuda_ssimulacra2_destroy(struct vj_cuda_ssimulacra2 *ssimulacra2)
{
    if (!ssimulacra2)
        return;
    vj_ssimulacra2_reference_free(ssimulacra2->reference);
    vj_ssimulacra2_scratch_free(ssimulacra2->scratch);
    free(ssimulacra2);
}

static void run_ssimulacra2_load(const void *arguments)
{
    const struct ssimulacra2_call *a = arguments;
    a->ssimulacra2->bytes = a->img.width * a->img.height * (size_t)a->img.channels;
    must(vj_ssimulacra2_reference_load(a->ssimulacra2->reference, &a->img, NULL));
}

int vj_cuda_ssimulacra2_load(struct vj_cuda_ssimulacra2 *ssimulacra2, cudaStream_t stream,
                             const uint8_t *d_pixels, size_t width, size_t height, int channels,
                             struct vj_error *err)
{
    (void)err;
    const struct ssimulacra2_call a = {.ssimulacra2 = ssimulacra2,
                                       .img = {width, height, channels, (uint8_t *)d_pixels}};
    PUSH(stream, run_ssimulacra2_load, a);
    return 0;
}

static void run_ssimulacra2(const void *arguments)
{
    const struct ssimulacra2_call *a = arguments;
    for (int i = 0; i < a->count; i++) {
        struct vj_ssimulacra2_result result;
        must(vj_ssimulacra2_compute(a->ssimulacra2->reference,
                                    a->candidates + (size_t)i * a->ssimulacra2->bytes,
                                    a->ssimulacra2->scratch, &result));
        memset(&a->totals[i], 0xDB, sizeof(a->totals[i])); /* all of it travels */
        memcpy(&a->totals[i], &result.score, sizeof(result.score));
    }
}

int vj_cuda_ssimulacra2_compute(struct vj_cuda_ssimulacra2 *ssimulacra2, cudaStream_t stream,
                                const uint8_t *d_candidates, int count,
                                struct vj_ssimulacra2_totals *d_totals, struct vj_error *err)
{
    (void)err;
    const struct ssimulacra2_call a = {
        .ssimulacra2 = ssimulacra2, .candidates = d_candidates, .count = count, .totals = d_totals};
    PUSH(stream, run_ssimulacra2, a);
    return 0;
}

/* Scores travel in the place of the sums. */
void vj_cuda_ssimulacra2_finish(const struct vj_cuda_ssimulacra2 *ssimulacra2,
                                const struct vj_ssimulacra2_totals *totals, int count,
                                double *score)
{
    (void)ssimulacra2;
    for (int i = 0; i < count; i++)
        memcpy(&score[i], &totals[i], sizeof(score[i]));
}
