/* SPDX-License-Identifier: MIT */
/*
 * A device evaluates whole stages of one picture at a time: source, pixel-JND maps, reference
 * features, candidates at many quality factors, network scores. It owns its memory, all of it taken
 * in open().
 *
 * CPU (oneDNN + OpenMP) is always there and is the reference. Stages of a picture are called in the
 * order of the functions below; a picture lives in a slot, and the host may load slot s+1 while
 * slot s computes (the CPU device computes when called and keeps one working set).
 */
#ifndef VJ_HOST_DEVICE_H
#define VJ_HOST_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"
#include "host/image.h"
#include "host/jnd_map.h"
#include "host/quality.h"
#include "host/ssimulacra2.h"
#include "host/weights.h"

enum {
    /* version of struct vj_device_ops and vj_trainer_ops and of what passes through them; a module
     * of another one is refused */
    VJ_DEVICE_API = 6,
    VJ_DEVICE_JND_MAX = 8,  /* pixel-JND maps per picture */
    VJ_DEVICE_GPU_MAX = 16, /* GPUs of one run */
};

/* Arithmetic of the networks on a GPU; the CPU computes in single precision only. */
enum vj_precision {
    VJ_PRECISION_FP32 = 0, /* single precision throughout */
    VJ_PRECISION_TF32,     /* products of operands rounded to 10 bits of mantissa */
    VJ_PRECISION_FP16,     /* half precision in memory, single precision sums */
};

struct vj_jnd_choice {
    const struct vj_jnd_model *model;
    size_t variant; /* index into model->variants */
};

/* Everything a run needs from a device; open() takes all memory from it. Pointers are borrowed. */
struct vj_device_plan {
    size_t max_width, max_height; /* largest picture, pixels */
    int slots;                    /* pictures in flight, >= 1 */
    int threads;                  /* CPU threads, >= 1 */
    int levels;                   /* most quality factors per candidates() call, 1..101 */
    enum vj_subsampling sampling; /* of synthesised candidates */
    int quality;                  /* VJ_QUALITY_* wanted, joined with | */
    struct vj_jnd_choice jnd[VJ_DEVICE_JND_MAX];
    size_t jnd_count;
    /* What is wanted of map i for every candidate (host/jnd_rules.h). */
    bool jnd_share[VJ_DEVICE_JND_MAX], jnd_excess[VJ_DEVICE_JND_MAX], jnd_noise[VJ_DEVICE_JND_MAX];
    bool jnd_from_anchor; /* maps are made from the reference, not from the source */
    int net_jnd;          /* index of the map that feeds the networks; -1: none of them sees one */
    enum vj_jnd_scale net_scale; /* how that map becomes 8-bit */
    const struct vj_weights *const *weights;
    size_t weights_count;
    int patches;    /* patches per picture and draw; 0 when there is no network */
    int draws;      /* sets of positions per picture */
    int patch_size; /* pixels; the same for all networks of a run */
    enum vj_precision precision;
    enum vj_ssimulacra2_mode ssimulacra2; /* of every candidate */
};

struct vj_device_info {
    char name[128];      /* "CPU: AMD EPYC, 2 threads" */
    char libraries[256]; /* "oneDNN 2.6.3 (AVX2), OpenMP 4.5" */
    size_t memory;       /* bytes taken by open() */
};

/*
 * Pixels of a candidate file. Called from several threads at once.
 * img:   filled by the callee, released by the device
 * Returns 0 or a negative errno with a text that names the file.
 */
typedef int (*vj_candidate_fetch)(void *user, int qf, struct vj_image *img, int64_t *bytes,
                                  struct vj_error *err);

struct vj_candidate_request {
    const int *qf; /* count quality factors */
    int count;
    vj_candidate_fetch fetch; /* NULL: candidates are synthesised from the source, exactly */
    void *user;
    bool sizes;   /* fill bytes */
    bool metrics; /* fill quality, ssimulacra2 and what is wanted of the maps */
    bool patches; /* keep patches for scores() */
};

/* Arrays of request->count entries, owned by the caller. */
struct vj_candidate_values {
    int64_t *bytes;
    struct vj_quality_values *quality;
    double *ssimulacra2; /* where the plan asked for it */
    /* As in struct vj_jnd_statistics, each where the plan asked for it. */
    double *share[VJ_DEVICE_JND_MAX], *excess[VJ_DEVICE_JND_MAX], *noise_gain[VJ_DEVICE_JND_MAX];
};

struct vj_device_ops {
    int api; /* VJ_DEVICE_API */
    const char *name;

    int (*open)(void **state, const struct vj_device_plan *plan, int ordinal, struct vj_error *err);
    void (*close)(void *state);
    void (*info)(const void *state, struct vj_device_info *info);

    /*
     * Loads a picture: its source and what candidates are compared with.
     * reference: file given by the data set, same size and channels as the source, or NULL: then
     * the exact JPEG candidate at anchor_qf, or the source itself when anchor_qf is 0
     */
    int (*source)(void *state, int slot, const struct vj_image *source,
                  const struct vj_image *reference, int anchor_qf, struct vj_error *err);

    /* Computes all maps of the plan. */
    int (*jnd_maps)(void *state, int slot, struct vj_error *err);

    /*
     * Places the patches and computes what does not depend on the quality factor.
     * origin, jnd_origin: [draws][patches][2] (y, x) top left corners; jnd_origin NULL = origin
     * wanted: [weights_count] networks that will score this picture, the others are not computed;
     * NULL = all of them
     */
    int (*positions)(void *state, int slot, const int32_t (*origin)[2],
                     const int32_t (*jnd_origin)[2], const bool *wanted, struct vj_error *err);

    int (*candidates)(void *state, int slot, const struct vj_candidate_request *request,
                      const struct vj_candidate_values *out, struct vj_error *err);

    /*
     * Scores of the last candidates() call that kept patches, by a network that the last
     * positions() call wanted (-EINVAL for any other).
     * score:           [count] logits
     * quality, weight: [count][patches], or both NULL
     */
    int (*scores)(void *state, int slot, size_t network, int draw, int count, float *score,
                  float *quality, float *weight, struct vj_error *err);

    /* Waits until everything asked of the slot is done; reports what failed on the way. */
    int (*wait)(void *state, int slot, struct vj_error *err);

    /*
     * How a network of the plan is computed, for the results file: a line for the libraries, then
     * one or two for each layer. Cut off at `size`, always ended.
     */
    void (*algorithms)(const void *state, size_t network, char *text, size_t size);
};

extern const struct vj_device_ops vj_device_cpu;

/* An open device: the table, its state and its plan's copy. */
struct vj_device {
    const struct vj_device_ops *ops;
    void *state;
};

/*
 * Opens the device that `selector` names: "auto", "cpu", "cuda" (the first GPU), "cuda:N", several
 * GPUs as "cuda:0,1" or "cuda:all" (see host/device_group.h). A device that is asked for by name
 * and is not there is an error, never a silent fallback; "auto" takes the first GPU or falls back
 * to the CPU and says why in `note` (empty when there is nothing to say).
 *
 * The CUDA device is a module, cuda/module.h: the file that VPJND_CUDA_MODULE names in the
 * environment, else vpjnd_cuda.so beside the program, else ../lib/vpjnd/vpjnd_cuda.so from there.
 */
int vj_device_open(struct vj_device *device, const char *selector,
                   const struct vj_device_plan *plan, char note[256], struct vj_error *err);
void vj_device_close(struct vj_device *device);

/*
 * What `vpjnd devices` prints: one line per device that this program knows, used or not, and why.
 */
int vj_device_list(char **text, struct vj_error *err);

#endif
