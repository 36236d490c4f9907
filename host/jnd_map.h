/* SPDX-License-Identifier: MIT */
/*
 * Pixel-wise just noticeable difference: one visibility threshold per pixel, in grey levels.
 *
 * A model is one entry of a registry: chou95, yang05, liu10, fep13, epc17, klt22, resjnd24. Where a
 * paper and its authors' public code part, the model has two variants, `authors` and `paper`; the
 * first one listed is the default. liu10 has both with an exact structure and, ending in `-pd`,
 * with that of host/tvl1.h.
 *
 * Precision: sums over pixels, gradients, orientation bins, counts, patch distances and the total
 * variation of liu10's exact variants are exact integers; the edge detector, the prediction of
 * fep13 and the decomposition of klt22 run in double; everything else in float32. Maps are within
 * 1e-4 grey levels of the same formulas in double, but for pixels where these decide on a rounding
 * error (host/jnd_fep13.c, host/jnd_klt22.c and docs/pixel-jnd.md say when). They do not depend on
 * the number of threads, bit for bit.
 */
#ifndef VJ_HOST_JND_MAP_H
#define VJ_HOST_JND_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"
#include "host/image.h"

/* Memory and threads for maps, taken once and used for any number of pictures, one at a time. */
struct vj_jnd_workspace;
struct vj_resjnd;

/* One map to compute. All pointers belong to the caller. */
struct vj_jnd_job {
    const uint8_t *luma;  /* height x width, 0..255; see vj_jnd_luma() */
    size_t width, height; /* each >= the model's min_side */
    /*
     * Chroma of vj_jnd_chroma(), or both NULL. No map needs it; stages that do (thresholds of
     * chroma) are all zeros without.
     */
    const uint8_t *cb, *cr;
    /* The picture itself, of that size, for models that have weights; others do not look at it. */
    const struct vj_image *picture;
    size_t variant; /* index into the model's `variants` */
    float *map;     /* out: height x width, grey levels */
    /*
     * Intermediate results: NULL, or one pointer for each of the model's `stages`, in that order,
     * each NULL (not wanted) or room for vj_jnd_stage_size() floats. A stage that the variant does
     * not have is filled with zeros.
     */
    float *const *stages;
};

/* Size of an intermediate result, for a picture of height x width. */
enum vj_jnd_extent {
    VJ_JND_PLANE = 0, /* height x width */
    VJ_JND_HALF,      /* ceil(height / 2) x ceil(width / 2), as chroma of 4:2:0 */
    VJ_JND_LIST64,    /* 1 x 64 */
    VJ_JND_ONE,       /* 1 x 1 */
};

struct vj_jnd_stage_info {
    const char *name;
    const char *description;
    const char *units; /* NULL: a number without one */
    enum vj_jnd_extent extent;
    unsigned absent; /* bit v is set when variant number v has no such stage */
};

struct vj_jnd_model {
    const char *name;                       /* as on the command line, e.g. "epc17" */
    const char *reference;                  /* the paper */
    const char *const *variants;            /* NULL-terminated; the first is the default */
    const struct vj_jnd_stage_info *stages; /* intermediate results; the last has no name */
    size_t min_side;                        /* smallest width and height, >= 1 */
    /*
     * Models whose network's weights the user brings: they work only as a copy from vj_jnd_load(),
     * and then the network does what workspace and compute do for the others (host/resjnd.h).
     */
    bool needs_weights;
    struct vj_resjnd *net;      /* of such a copy, owned; else NULL */
    const char *weights_sha256; /* of such a copy: hex digits, within net; else NULL */
    /* Bytes of scratch memory for one picture; 0 when the number does not fit a size_t. */
    size_t (*workspace)(size_t width, size_t height, int threads);
    /* Called through vj_jnd_run(), which has checked the job. */
    int (*compute)(const struct vj_jnd_job *job, struct vj_jnd_workspace *ws, struct vj_error *err);
};

/* Every model, NULL-terminated. */
extern const struct vj_jnd_model *const vj_jnd_models[];

/* Model by name, or NULL with an error that lists the known names. */
const struct vj_jnd_model *vj_jnd_find(const char *name, struct vj_error *err);

/*
 * A working copy of a model that needs weights.
 * loaded: out; owned by the caller, vj_jnd_unload(); must outlive every job and plan it is in
 * path:   weight file that `vpjnd import` wrote; "" is an error that says how to get one
 */
int vj_jnd_load(struct vj_jnd_model **loaded, const struct vj_jnd_model *model, const char *path,
                struct vj_error *err);
void vj_jnd_unload(struct vj_jnd_model *loaded); /* NULL is harmless */

/*
 * Index of a model's variant. name: NULL means the default.
 * 0 and *variant, or -EINVAL with an error that lists the model's variants.
 */
int vj_jnd_variant_find(size_t *variant, const struct vj_jnd_model *model, const char *name,
                        struct vj_error *err);

/* Rows and columns of a stage, for a picture of height x width. */
struct vj_jnd_size {
    size_t rows, columns;
};
struct vj_jnd_size vj_jnd_stage_size(const struct vj_jnd_stage_info *stage, size_t width,
                                     size_t height);

/*
 * Luma as MATLAB's rgb2gray: 0.2989 R + 0.5870 G + 0.1140 B, rounded half away from zero, computed
 * exactly in integers. A grey picture is copied.
 * luma: out, img->height x img->width
 */
void vj_jnd_luma(const struct vj_image *img, uint8_t *luma);

/*
 * Chroma of the picture as 4:2:0 video and JPEG carry it (the arithmetic of host/jpeg_model.h: JFIF
 * colours, means of 2x2 pixels, the last row and column repeated where a side is odd), neutral 128;
 * all 128 for a grey picture.
 * cb, cr: out, ceil(img->height / 2) x ceil(img->width / 2)
 */
void vj_jnd_chroma(const struct vj_image *img, uint8_t *cb, uint8_t *cr);

/*
 * Bytes that a workspace needs for one picture of this size; grows with width, height and threads,
 * so that the workspace for the largest picture of a run serves all of them. 0 when the number does
 * not fit a size_t.
 */
size_t vj_jnd_workspace_bytes(const struct vj_jnd_model *model, size_t width, size_t height,
                              int threads);

/*
 * Takes the memory.
 * ws:      out; owned by the caller, vj_jnd_workspace_free()
 * bytes:   from vj_jnd_workspace_bytes(), the largest over all pictures and models to come
 * threads: OpenMP threads each map is computed with, >= 1
 * -ENOMEM or -EINVAL on failure.
 */
int vj_jnd_workspace_create(struct vj_jnd_workspace **ws, size_t bytes, int threads,
                            struct vj_error *err);

/* NULL is harmless. */
void vj_jnd_workspace_free(struct vj_jnd_workspace *ws);

/*
 * Computes one map without taking memory. One workspace serves one call at a time.
 * -EINVAL: picture below the model's min_side, above 2^32 - 1 pixels, no such variant, or the model
 * needs weights that are not loaded;
 * -ENOBUFS: the workspace is too small for this picture.
 */
int vj_jnd_run(const struct vj_jnd_model *model, const struct vj_jnd_job *job,
               struct vj_jnd_workspace *ws, struct vj_error *err);

/*
 * Everything in one call, for a single picture: finds model and variant, takes memory, computes
 * with all OpenMP threads, and releases the memory. variant: NULL = the model's default map: out,
 * img->height x img->width, grey levels
 */
int vj_jnd_compute(const char *model, const char *variant, const struct vj_image *img, float *map,
                   struct vj_error *err);

/* How a map becomes the 8-bit picture that VP-JNDnet is fed (its authors do not say). */
enum vj_jnd_scale {
    VJ_JND_MINMAX = 0, /* stretched so that minimum and maximum become 0 and 255; constant -> 0 */
    VJ_JND_MAX,        /* times 255 / maximum, negatives to 0; all 0 when no value is positive */
    VJ_JND_NONE,       /* grey levels as they are, clamped to 0..255 */
};

const char *vj_jnd_scale_name(enum vj_jnd_scale scale); /* "minmax", "max", "none" */

/* 0 and *scale, or -EINVAL with an error that lists the known names. */
int vj_jnd_scale_parse(enum vj_jnd_scale *scale, const char *name, struct vj_error *err);

/*
 * map: n values; out: n samples, rounded half away from zero. The scaling is in double.
 * -EDOM when a value is not finite (out is then untouched).
 */
int vj_jnd_to_u8(const float *map, size_t n, enum vj_jnd_scale scale, uint8_t *out,
                 struct vj_error *err);

#endif
