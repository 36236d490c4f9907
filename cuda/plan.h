/* SPDX-License-Identifier: MIT */
/*
 * Memory of the CUDA device in plain C: how much of everything a run takes, and where each buffer
 * lies in the few allocations made at start-up. No CUDA in here, so that tests without a GPU can
 * check the formula (docs/gpu.md) and the layout.
 *
 * Per slot one allocation on the GPU and one pinned one on the host; shared by the slots two
 * buffers of whole candidates on the GPU and two pinned ones, so that one is filled while the other
 * is in use. Beside these come the objects of cuda/jpeg.h, jnd.h, quality.h, ssimulacra2.h (per
 * slot) and net.h.
 */
#ifndef VJ_CUDA_PLAN_H
#define VJ_CUDA_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/device.h"
#include "host/error.h"

struct vj_cuda_quality_sums;  /* cuda/geometry.h */
struct vj_ssimulacra2_totals; /* host/ssimulacra2_score.h */

enum {
    VJ_CUDA_RING = 2, /* buffers of whole candidates */
    /* Bytes that one of them takes at most, unless one picture is larger. */
    VJ_CUDA_RING_BYTES = 128 << 20,
    VJ_CUDA_ROWS = 320, /* patches per batch of the network, at most, where pictures have fewer */
};

/* Numbers that follow from a run's plan. */
struct vj_cuda_sizes {
    struct vj_device_plan plan; /* copy; pointers borrowed */
    size_t pixels;              /* of the largest picture */
    size_t picture;             /* its bytes, 3 channels */
    size_t patch;               /* bytes of an RGB patch */
    size_t positions;           /* draws x patches */
    int ring;                   /* whole candidates per ring buffer, 1..plan.levels */
    size_t rows;                /* patches per batch of the networks; 0 without networks */
    int rules;                  /* numbers wanted of a candidate, by all rules on all maps */
    int noises;                 /* of them those by @noise */
    size_t result_bytes;        /* pinned memory for one slot's results on their way */
    int results;                /* calls whose results may be on their way in one slot */
};

/*
 * Checks the plan and fills the sizes.
 * Errors: -EINVAL (names the field), -EOVERFLOW.
 */
int vj_cuda_sizes_make(struct vj_cuda_sizes *sizes, const struct vj_device_plan *plan,
                       struct vj_error *err);

/*
 * Patches per batch: whole pictures' worth, vj_cuda_net_pictures() of them; a picture with more
 * patches than VJ_CUDA_ROWS is cut into equal batches. A function of the number of patches alone:
 * the batch shape, hence every bit of a score, does not depend on anything else.
 */
size_t vj_cuda_rows(size_t patches);

/* A slot's memory on the GPU. NULL where the plan has no use for a buffer. */
struct vj_cuda_slot_buffers {
    uint8_t *source;    /* [H][W][C] */
    uint8_t *reference; /* [H][W][C], where it is not the source itself */
    uint8_t *jnd_luma;  /* [H][W], what maps are made from */
    uint8_t *luma;      /* [H][W], of the reference, for rules on maps */
    float *map[VJ_DEVICE_JND_MAX];
    uint8_t *map8;              /* the networks' map */
    uint32_t *not_finite;       /* whether that map could not be made 8-bit */
    int32_t (*origin)[2];       /* [draws][patches] (y, x) */
    int32_t (*jnd_origin)[2];   /* the same for the map */
    uint8_t *patches_reference; /* [draws][patches][S][S][3] */
    uint8_t *patches_jnd;       /* [draws][patches][S][S] */
    uint8_t *patches;           /* [draws][count][patches][S][S][3], count of the last call */
    int64_t *bytes;             /* [levels] */
    struct vj_cuda_quality_sums *sums;                            /* [levels] */
    struct vj_ssimulacra2_totals *totals;                         /* [levels] */
    double *share[VJ_DEVICE_JND_MAX], *excess[VJ_DEVICE_JND_MAX]; /* [levels] */
    uint64_t *square[VJ_DEVICE_JND_MAX]; /* [levels] squared differences of luma, for @noise */
    double *noise_energy;    /* [VJ_DEVICE_JND_MAX] of the maps that @noise is wanted of */
    float *score;            /* [levels] */
    float *quality, *weight; /* [levels][patches] */
};

/* A slot's pinned memory on the host. */
struct vj_cuda_slot_staging {
    uint8_t *source, *reference;
    int32_t (*origin)[2], (*jnd_origin)[2];
    uint32_t *not_finite;
    double *noise_energy; /* [VJ_DEVICE_JND_MAX] */
    uint8_t *results;     /* result_bytes, handed out by vj_cuda_results_take() */
};

/*
 * Lays a slot out from `base`; returns the bytes it takes, 0 when they do not fit a size_t. With
 * base NULL it only counts and all pointers become NULL.
 */
size_t vj_cuda_slot_buffers_place(const struct vj_cuda_sizes *sizes, uint8_t *base,
                                  struct vj_cuda_slot_buffers *buffers);
size_t vj_cuda_slot_staging_place(const struct vj_cuda_sizes *sizes, uint8_t *base,
                                  struct vj_cuda_slot_staging *staging);

/* Bytes of the ring: on the GPU, and once more pinned. 0 when they do not fit a size_t. */
size_t vj_cuda_ring_bytes(const struct vj_cuda_sizes *sizes);

/* What the results of one call take in staging.results. */
size_t vj_cuda_candidate_result_bytes(const struct vj_cuda_sizes *sizes, int count);
size_t vj_cuda_score_result_bytes(const struct vj_cuda_sizes *sizes, int count);

/* What the parts take that are not laid out here, bytes on the GPU unless said otherwise. */
struct vj_cuda_object_bytes {
    size_t jpeg, jnd, quality, ssimulacra2; /* per slot */
    size_t networks;                        /* all weights */
    size_t network_work; /* all batch buffers and reference sides, of every slot */
    size_t jnd_pinned;   /* per slot, on the host */
};

/* The whole: the memory formula. Errors: -EOVERFLOW. */
int vj_cuda_memory(const struct vj_cuda_sizes *sizes, const struct vj_cuda_object_bytes *objects,
                   size_t *on_gpu, size_t *pinned, struct vj_error *err);

/*
 * Results of calls wait for their delivery in the order of the calls. A record's memory is handed
 * out front to back and taken back all at once, when everything was delivered.
 */
struct vj_cuda_results {
    size_t used, size; /* bytes of staging.results */
    int count, most;   /* records */
};

/*
 * Room for one more record of `bytes`: true and its offset, on a 64-byte boundary; false when the
 * records there are must be delivered first.
 */
bool vj_cuda_results_take(struct vj_cuda_results *results, size_t bytes, size_t *offset);

#endif
