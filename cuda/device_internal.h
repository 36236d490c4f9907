/* SPDX-License-Identifier: MIT */
/*
 * The CUDA device from inside, shared by device.c (pictures, candidates, results), rules.c and
 * networks.c.
 *
 * Streams and events. Host threads fill pinned memory; `copy` brings it to the GPU; `compute` runs
 * every kernel and brings results back into pinned memory. Events order them:
 *
 * slot.arrived, copy -> compute: the slot's picture or positions are on the GPU.
 *
 * slot.done, compute -> host: everything asked of the slot so far is computed and back.
 *
 * ring.filled, copy -> compute and host: candidates are on the GPU, their staging may be refilled.
 *
 * ring.free, compute -> copy: candidates are no longer needed.
 *
 * A slot's pinned memory and GPU memory for pictures are reused only after its `done`. Nothing but
 * recordings of passes (cuda/net_graph.h) is allocated between open() and close().
 */
#ifndef VJ_CUDA_DEVICE_INTERNAL_H
#define VJ_CUDA_DEVICE_INTERNAL_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuda/plan.h"
#include "host/device.h"
#include "host/error.h"

struct vj_cuda_jpeg;
struct vj_cuda_jnd;
struct vj_cuda_quality;
struct vj_cuda_ssimulacra2;
struct vj_cuda_networks;

/* Results of one call, on their way from the GPU to the caller's arrays. */
struct vj_cuda_record {
    bool scores; /* else of candidates() */
    int count;
    size_t offset; /* in the slot's staging.results */
    bool sizes, quality, ssimulacra2, rules;
    struct vj_candidate_values out;
    size_t network;
    float *score, *patch_quality, *patch_weight; /* the last two may be NULL */
};

struct vj_cuda_slot {
    struct vj_cuda_slot_buffers gpu;
    struct vj_cuda_slot_staging host;
    uint8_t *gpu_memory, *host_memory; /* what gpu and host lie in */
    struct vj_cuda_jpeg *jpeg;
    struct vj_cuda_jnd *jnd;
    struct vj_cuda_quality *quality;
    struct vj_cuda_ssimulacra2 *ssimulacra2;
    cudaEvent_t arrived, done;

    bool loaded, mapped, placed; /* stages asked for since the last source() */
    bool *wanted;                /* [weights_count] networks that the last positions() wanted */
    bool map8_unchecked;         /* host.not_finite is on its way */
    size_t width, height;
    int channels;
    const uint8_t *reference; /* gpu.source or gpu.reference */
    int kept;                 /* candidates whose patches lie in gpu.patches */
    struct vj_cuda_results results;
    struct vj_cuda_record *record; /* [sizes.results] */
    bool broken;                   /* a call failed midway: `done` does not cover its work */
};

/* One of the two buffers of whole candidates. */
struct vj_cuda_ring {
    uint8_t *gpu, *host;
    cudaEvent_t filled, free;
};

struct vj_cuda_device {
    struct vj_cuda_sizes sizes;
    int ordinal;
    cudaStream_t copy, compute;
    struct vj_cuda_slot *slot; /* [plan.slots] */
    struct vj_cuda_ring ring[VJ_CUDA_RING];
    int next_ring;
    struct vj_cuda_networks *networks; /* NULL without */
    size_t on_gpu, pinned;             /* bytes */
    char name[128];
};

/*
 * The networks of a run: weights of each, batch buffers, and the reference sides of all slots. They
 * share the one compute stream, so one set of batch buffers per network serves every slot.
 */
int vj_cuda_networks_open(struct vj_cuda_networks **networks, const struct vj_cuda_sizes *sizes,
                          struct vj_error *err);
void vj_cuda_networks_close(struct vj_cuda_networks *networks);

/* Bytes on the GPU. NULL gives zeros. */
void vj_cuda_networks_bytes(const struct vj_cuda_networks *networks, size_t *weights, size_t *work);

/* Reference sides of all draws from the slot's patches. wanted: [weights_count] which networks' */
int vj_cuda_networks_reference(struct vj_cuda_networks *networks, cudaStream_t stream, int slot,
                               const struct vj_cuda_slot_buffers *buffers, const bool *wanted,
                               struct vj_error *err);

/* Scores of `count` kept candidates into the slot's score, quality and weight. */
int vj_cuda_networks_scores(struct vj_cuda_networks *networks, cudaStream_t stream, int slot,
                            const struct vj_cuda_slot_buffers *buffers, size_t network, int draw,
                            int count, struct vj_error *err);

/* Noise energies of the maps that @noise is wanted of, on their way to pinned memory. */
int vj_cuda_rules_energies(struct vj_cuda_device *dev, struct vj_cuda_slot *slot,
                           struct vj_error *err);

/* Holds n whole candidates against the maps; the first is number `first` of the slot's buffers. */
int vj_cuda_rules_measure(struct vj_cuda_device *dev, const struct vj_cuda_slot *slot,
                          const uint8_t *pictures, int first, int n, struct vj_error *err);

/* Asks for the numbers of `count` candidates: to staging.results from offset `at` on. */
int vj_cuda_rules_bring(struct vj_cuda_device *dev, struct vj_cuda_slot *slot, size_t count,
                        size_t at, struct vj_error *err);

/* Hands them over once they are there. from: where bring() put them */
void vj_cuda_rules_deliver(const struct vj_cuda_device *dev, const struct vj_cuda_slot *slot,
                           const struct vj_cuda_record *record, const uint8_t *from);

/* "cuDNN 9.19.0, cuBLASLt 13.1.0" */
void vj_cuda_networks_libraries(char *text, size_t size);

/* As struct vj_device_ops has it. */
void vj_cuda_networks_algorithms(const struct vj_cuda_networks *n, size_t network, char *text,
                                 size_t size);

/* See cuda/module.h. */
int vj_cuda_count(int *count, struct vj_error *err);
int vj_cuda_probe(int ordinal, char *text, size_t size, struct vj_error *err);

extern const struct vj_device_ops vj_device_cuda;

#endif
