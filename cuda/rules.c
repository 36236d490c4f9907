/* SPDX-License-Identifier: MIT */
/*
 * The rules that turn a map and a candidate into a number (host/jnd_rules.h), for cuda/device.c.
 * What the GPU makes are shares, excesses, sums of squared differences and the maps' noise
 * energies; the logarithm of @noise is taken when the results are delivered, by the CPU's function.
 */
#include <string.h>

#include "cuda/check.h"
#include "cuda/device_internal.h"
#include "cuda/jnd.h"
#include "host/jnd_rules.h"

int vj_cuda_rules_energies(struct vj_cuda_device *dev, struct vj_cuda_slot *s, struct vj_error *err)
{
    const struct vj_device_plan *plan = &dev->sizes.plan;
    int r = 0;
    for (size_t j = 0; !r && j < plan->jnd_count; j++) {
        if (!plan->jnd_noise[j])
            continue;
        double *energy = s->gpu.noise_energy + j;
        r = vj_cuda_jnd_noise_energy(s->jnd, dev->compute, s->width, s->height, s->gpu.map[j],
                                     energy, err);
        if (!r)
            r = VJ_CUDA(cudaMemcpyAsync(s->host.noise_energy + j, energy, sizeof(double),
                                        cudaMemcpyDeviceToHost, dev->compute),
                        err);
    }
    return r;
}

int vj_cuda_rules_measure(struct vj_cuda_device *dev, const struct vj_cuda_slot *s,
                          const uint8_t *pictures, int first, int n, struct vj_error *err)
{
    const struct vj_device_plan *plan = &dev->sizes.plan;
    int r = 0;
    for (size_t j = 0; !r && j < plan->jnd_count; j++) {
        double *share = plan->jnd_share[j] ? s->gpu.share[j] + first : NULL;
        double *excess = plan->jnd_excess[j] ? s->gpu.excess[j] + first : NULL;
        uint64_t *square = plan->jnd_noise[j] ? s->gpu.square[j] + first : NULL;
        if (share || excess || square)
            r = vj_cuda_jnd_measure(s->jnd, dev->compute, pictures, n, s->width, s->height,
                                    s->channels, s->gpu.luma, s->gpu.map[j], share, excess, square,
                                    err);
    }
    return r;
}

int vj_cuda_rules_bring(struct vj_cuda_device *dev, struct vj_cuda_slot *s, size_t count, size_t at,
                        struct vj_error *err)
{
    const size_t bytes = count * sizeof(double);
    int r = 0;
    for (size_t j = 0; j < dev->sizes.plan.jnd_count; j++) {
        /* In the order in which they are delivered; NULL where a number is not wanted. */
        const void *const number[] = {s->gpu.share[j], s->gpu.excess[j], s->gpu.square[j]};
        for (size_t k = 0; !r && k < sizeof(number) / sizeof(number[0]); k++) {
            if (!number[k])
                continue;
            r = VJ_CUDA(cudaMemcpyAsync(s->host.results + at, number[k], bytes,
                                        cudaMemcpyDeviceToHost, dev->compute),
                        err);
            at += bytes;
        }
    }
    return r;
}

void vj_cuda_rules_deliver(const struct vj_cuda_device *dev, const struct vj_cuda_slot *s,
                           const struct vj_cuda_record *record, const uint8_t *from)
{
    const size_t count = (size_t)record->count, bytes = count * sizeof(double);
    for (size_t j = 0; j < dev->sizes.plan.jnd_count; j++) {
        if (s->gpu.share[j]) {
            memcpy(record->out.share[j], from, bytes);
            from += bytes;
        }
        if (s->gpu.excess[j]) {
            memcpy(record->out.excess[j], from, bytes);
            from += bytes;
        }
        if (s->gpu.square[j]) {
            const uint64_t *square = (const uint64_t *)(const void *)from;
            for (size_t i = 0; i < count; i++)
                record->out.noise_gain[j][i] =
                    vj_jnd_noise_gain(s->host.noise_energy[j], square[i], s->width * s->height);
            from += bytes;
        }
    }
}
