/* SPDX-License-Identifier: MIT */
/*
 * Shapes, buffers and launch geometry of the network on a CUDA device, in plain C: everything about
 * it that can be wrong without a GPU is here and tested without one.
 *
 * A pass takes `rows` patches through the layers. R is rows, S patch_size, L the side of the last
 * pooled map, C its channels, F vj_net_features(), N the positions of the non-local block
 * ((patch_size / 8) squared). Maps are NHWC. What a variant does not have (host/net_form.h) takes
 * no memory and has no products.
 */
#ifndef VJ_CUDA_NET_PLAN_H
#define VJ_CUDA_NET_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "host/error.h"
#include "host/net_form.h"
#include "host/weights.h"

enum vj_cuda_precision {
    VJ_CUDA_FP32 = 0, /* single precision throughout: the default, for reproducing */
    VJ_CUDA_TF32,     /* single precision in memory, tensor cores' 10-bit mantissas in products */
    VJ_CUDA_FP16,     /* half precision in memory, single precision sums */
};

const char *vj_cuda_precision_name(enum vj_cuda_precision precision); /* "fp32", "tf32", "fp16" */

/* 0 and *precision, or -EINVAL with the list of known names. */
int vj_cuda_precision_parse(enum vj_cuda_precision *precision, const char *name,
                            struct vj_error *err);

enum {
    VJ_CUDA_NET_MAX_ROWS = 4096,
    VJ_CUDA_NET_THREADS = 256,   /* of a block, where a kernel does not say otherwise */
    VJ_CUDA_NET_ALIGNMENT = 256, /* of every buffer, bytes */
    VJ_CUDA_NET_MATMUL_WORKSPACE =
        32 << 20, /* bytes offered to cuBLASLt; NVIDIA's advice for Hopper */
    VJ_CUDA_NET_TILE_BYTES =
        256 << 20, /* of tiles in work, unless one patch takes more: few enough launches of kernels
                      that are long enough; what is fastest, bench_conv_gpu tells */
};

/* What a first block must be like to be one kernel (cuda/net_first_body.h, net_first_fp32_body.h).
 */
enum {
    VJ_CUDA_FIRST_CHANNELS = 32,
    VJ_CUDA_FIRST_ROWS = 16, /* of the map, of a thread block; the side is a multiple of it */
    VJ_CUDA_FIRST_MOST_SIDE = 128,
    VJ_CUDA_FIRST_PRODUCTS = VJ_CUDA_FIRST_CHANNELS / 8,
    VJ_CUDA_FIRST_STEPS_HALF = 3,  /* of 4 taps */
    VJ_CUDA_FIRST_STEPS_FLOAT = 5, /* of 2 */
    VJ_CUDA_FIRST_WORDS = VJ_CUDA_FIRST_STEPS_FLOAT * VJ_CUDA_FIRST_PRODUCTS * 32 * 2,
};

enum { VJ_CUDA_NET_PROJECTIONS = 3 }; /* of a non-local block: theta, phi, value */

/* Positions and channels of one that is one kernel behind them (cuda/net_non_local_body.h). */
enum { VJ_CUDA_NON_LOCAL_N = 256 };

/*
 * How cuDNN may compute a convolution. Tried in order when a network is created; the first form
 * that the library runs for a layer is that layer's from then on, and is recorded. All are implicit
 * matrix products over NHWC maps, each sum formed in a fixed order.
 */
struct vj_cuda_net_form {
    const char *name; /* of cuDNN's algorithm */
    bool precomputed; /* IMPLICIT_PRECOMP_GEMM, otherwise IMPLICIT_GEMM */
    bool fused;       /* with bias and relu in cuDNN, otherwise in a kernel behind it */
};
enum { VJ_CUDA_NET_FORMS = 4 };
extern const struct vj_cuda_net_form vj_cuda_net_forms[VJ_CUDA_NET_FORMS];

/*
 * How a convolution is computed, a function of precision and shape. In single precision arithmetic
 * holds layers back, not memory, and there are ways with less of it; with tensor cores it is the
 * other way round.
 */
enum vj_cuda_net_way {
    VJ_CUDA_NET_DIRECT = 0, /* by cuDNN */
    VJ_CUDA_NET_TILED, /* Winograd's F(4x4, 3x3), host/winograd.h: a quarter of the products, 36
                          matrices of tiles by channels */
    VJ_CUDA_NET_DENSE, /* a map of 2x2 as one row, every pixel of which is every other's neighbour:
                          16 products for each pair of channels, where padding makes 36 of them */
    VJ_CUDA_NET_BLOCK, /* on tensor cores, with scaling before it and pooling behind it in one
                          kernel (cuda/net_block_body.h) */
};

/* What a convolution must be like to be one kernel with what lies around it. */
enum {
    VJ_CUDA_BLOCK_PIXELS = 256,  /* of the map, of a thread block: whole rows of 64 or 32 */
    VJ_CUDA_BLOCK_CHANNELS = 64, /* likewise; there may be a multiple of it */
    VJ_CUDA_BLOCK_WORDS = 16,    /* of a pixel that are read at a time; likewise */
    VJ_CUDA_BLOCK_STEPS = VJ_CUDA_BLOCK_WORDS / 8,
    VJ_CUDA_BLOCK_PRODUCTS = VJ_CUDA_BLOCK_CHANNELS / 8,
};

/* A 3x3 convolution, padded by one, of [R][side][side][in] into [R][side][side][out]. */
struct vj_cuda_net_conv {
    const char *name;
    int side;
    int in, out;           /* channels in memory, padding included */
    int real_in, real_out; /* channels of the weights; the rest is zero */
    enum vj_cuda_net_way way;
    int across;   /* TILED: tiles of a row of the map */
    size_t group; /* TILED: patches whose tiles are in memory at a time; else R */
    bool scaled;  /* TILED, BLOCK: multiplies by the scale of the attention before it as it reads */
    bool pooled;  /* TILED, BLOCK: writes 2x2 maxima in place of a map, and for attention behind it
                     sums  and maxima of the tiles or of a thread block's pixels */
    int pair;     /* BLOCK: numbers of a word, 1 or, of halves, 2 */
};

/*
 * Attention and pooling of a [side][side][channels] map, per patch. A block takes `span` pooled
 * pixels of one patch, a thread 16 bytes of channels of every `groups`th of them. Where the
 * convolution pools by itself, or is one kernel with all of the first block, `groups` and `span`
 * mean nothing.
 */
struct vj_cuda_net_pool_shape {
    int side, channels;
    int groups; /* pixels in work at a time in a block of VJ_CUDA_NET_THREADS */
    int span;   /* pooled pixels of a block; the last block of a patch may have fewer */
    int blocks; /* partial sums of a patch */
};

/*
 * Row-major products D[m][n] = A[m][k] B[k][n], `batch` of them; ld_* are elements between rows,
 * stride_* between products. a_transposed: A is stored as [k][m]; b_transposed: B as [n][k].
 */
struct vj_cuda_net_matmul {
    const char *name;
    size_t m, n, k;
    size_t ld_a, ld_b, ld_d;
    size_t batch, stride_a, stride_b, stride_d;
    bool b_transposed;
    bool bias;       /* a vector of n is added to every row of D */
    bool single_out; /* D is single precision even when A and B are half */
    bool a_transposed;
    bool accumulate; /* the product is added to what D holds */
};

/*
 * The same for a library that stores matrices by columns: its A is our B, its B our A, its D our D
 * transposed, and nothing moves in memory. Its product is D'[m][n] = op(A')[m][k] op(B')[k][n],
 * with m, n exchanged.
 */
struct vj_cuda_net_columns {
    size_t rows, cols, ld, stride; /* as stored, before op */
};
struct vj_cuda_net_column_matmul {
    size_t m, n, k;
    bool a_transposed, b_transposed;
    struct vj_cuda_net_columns a, b, d;
};

enum vj_cuda_net_product {
    VJ_CUDA_NET_PROJECTION =
        0,                 /* tokens times one 1x1 kernel, with bias: theta, phi and value, each
                              by itself or, where what follows is one kernel, side by side */
    VJ_CUDA_NET_AFFINITY,  /* theta phi, in single precision */
    VJ_CUDA_NET_ATTEND,    /* softmax times value */
    VJ_CUDA_NET_HEAD_PAIR, /* f_r or f_d times both heads' 2 x 512 columns, in `slices` partial sums
                            */
    VJ_CUDA_NET_HEAD_PRODUCT, /* f_d * f_j times the weight head's 512 columns, likewise; only where
                                 a pixel-JND map is seen */
    VJ_CUDA_NET_PRODUCTS,
};

/* Buffers of a work. E is the element size: 2 for fp16, else 4 bytes. */
enum vj_cuda_net_buffer {
    VJ_CUDA_NET_INPUT = 0, /* E [R][S][S][conv[0].in] */
    VJ_CUDA_NET_BETWEEN,   /* E, output of a block's first convolution of two */
    VJ_CUDA_NET_MAP,       /* E, output of a block's last convolution that does not pool; conv4's is
                              TOKENS */
    VJ_CUDA_NET_POOLED,    /* E, pooled and, but for `scaled` convolutions behind it, scaled */
    VJ_CUDA_NET_OTHER,     /* the same, of every second block: vj_cuda_net_pooled() */
    VJ_CUDA_NET_SUMS,      /* float [R][pool.blocks][channels] */
    VJ_CUDA_NET_PEAKS,     /* the same */
    VJ_CUDA_NET_SCALE,     /* float [R][channels] */
    VJ_CUDA_NET_TOKENS,    /* E [R][N][conv[3].out], output of conv4 */
    VJ_CUDA_NET_PROJECTED, /* E [R][N][3 C]: theta, phi and value where what follows is one kernel,
                              which makes the next six unnecessary */
    VJ_CUDA_NET_THETA,     /* E [R][N][C] */
    VJ_CUDA_NET_PHI,       /* E [R][N][C] */
    VJ_CUDA_NET_VALUE,     /* E [R][N][C] */
    VJ_CUDA_NET_SCORES,    /* float [R][N][N]: affinity */
    VJ_CUDA_NET_CHANCES,   /* E [R][N][N]: softmax; the same memory as SCORES unless fp16 */
    VJ_CUDA_NET_ATTENDED,  /* E [R][N][C] */
    VJ_CUDA_NET_LAST,      /* E [R][L][L][C]; the same memory as FEATURES but for statistics */
    VJ_CUDA_NET_FEATURES,  /* E [R][F] */
    VJ_CUDA_NET_TIMES,     /* E [R][F]: f_d * f_j */
    VJ_CUDA_NET_PAIR,      /* float [slices][R][2 * 512] */
    VJ_CUDA_NET_PRODUCT,   /* float [slices][R][512] */
    VJ_CUDA_NET_FLAGS,     /* int [R]: not 0 where a value left half's range */
    VJ_CUDA_NET_CONSTANT,  /* float [references][max_patches][2 * 512] */
    VJ_CUDA_NET_JND,       /* E [references][max_patches][F] */
    VJ_CUDA_NET_WORKSPACE, /* of the libraries */
    VJ_CUDA_NET_BUFFERS,
};

/* Steps of a pass, in order; a buffer's memory is its own from `first` to `last`. */
enum vj_cuda_net_step {
    VJ_CUDA_NET_STEP_INPUT = 0,
    VJ_CUDA_NET_STEP_BLOCKS, /* convolutions with attention and pooling; all of pw-jnd's */
    VJ_CUDA_NET_STEP_CONV4,
    VJ_CUDA_NET_STEP_PROJECT,
    VJ_CUDA_NET_STEP_AFFINITY,
    VJ_CUDA_NET_STEP_SOFTMAX,
    VJ_CUDA_NET_STEP_ATTEND,
    VJ_CUDA_NET_STEP_JOIN,
    VJ_CUDA_NET_STEP_HEADS,
    VJ_CUDA_NET_STEP_ALWAYS, /* outlives the pass */
};

struct vj_cuda_net_place {
    size_t offset, bytes; /* in the one allocation of a work */
    enum vj_cuda_net_step first, last;
};

struct vj_cuda_net_plan {
    struct vj_net_shape shape;
    const struct vj_net_form *form; /* of the variant */
    enum vj_cuda_precision precision;
    size_t rows;
    size_t element;   /* bytes of a number in maps, features and weights */
    size_t positions; /* N; 0 without a non-local block */
    size_t last;      /* L squared */
    size_t features;  /* F */
    size_t slices;    /* partial sums of a head's first layer */
    int layers;       /* convolutions */
    bool first;       /* the first block is one kernel, without input, first convolution and map */
    bool non_local;   /* from projections to the last pooled map is one kernel */
    struct vj_cuda_net_conv conv[VJ_NET_LAYERS];
    struct vj_cuda_net_pool_shape pool[VJ_NET_BLOCKS - 1]; /* of blocks with attention */
    struct vj_cuda_net_matmul product[VJ_CUDA_NET_PRODUCTS];
};

/* Channel attention's two dense layers, float; hidden = channels / 16. */
struct vj_cuda_net_attention {
    const float *kernel_0; /* [channels][hidden] */
    const float *bias_0;   /* [hidden] */
    const float *kernel_1; /* [hidden][channels] */
    const float *bias_1;   /* [channels], enters twice */
};

/* The heads' second layers: kernel [2][512], bias [2], quality first. */
struct vj_cuda_net_second {
    const float *kernel, *bias;
};

/*
 * Fills the plan. Errors: -EINVAL, naming what is out of range; among them a map of 2^31 numbers or
 * more, which cuDNN's descriptors cannot say: the text gives the largest `rows`.
 */
int vj_cuda_net_plan_make(struct vj_cuda_net_plan *plan, const struct vj_net_shape *shape,
                          size_t rows, enum vj_cuda_precision precision, struct vj_error *err);

/* The first block layer by layer and all convolutions direct: training needs every map, and the
 * libraries' gradients. */
void vj_cuda_net_plan_every_map(struct vj_cuda_net_plan *plan);

/*
 * Where the pooled map of a block lies. Where the convolution itself pools, blocks of one take
 * turns with two buffers, since it still reads what the block before has written. conv4 of a
 * non-local block reads POOLED, as that of an even block: what it writes lies over OTHER.
 */
enum vj_cuda_net_buffer vj_cuda_net_pooled(const struct vj_cuda_net_plan *plan, int block);

/* The product that a TILED or DENSE convolution is made of: of `group` patches. */
struct vj_cuda_net_matmul vj_cuda_net_conv_product(const struct vj_cuda_net_conv *conv);

/* TILED: bytes of transformed inputs and of products, on VJ_CUDA_NET_ALIGNMENT; else 0. */
size_t vj_cuda_net_conv_inputs(const struct vj_cuda_net_conv *conv);
size_t vj_cuda_net_conv_products(const struct vj_cuda_net_conv *conv);

/* How many of a picture's 100 candidates, one for each quality factor, make a batch, at most `most`
 * >= 1: the most that leave no batch of them partly empty. */
size_t vj_cuda_net_pictures(size_t most);

/*
 * Rows for patches smaller than 64 pixels, so that a batch keeps a card as busy: `rows` times
 * (64 / S) squared, rounded down to a multiple of rows, at most VJ_CUDA_NET_MAX_ROWS; rows for
 * others. Where that is whole pictures of `patches` patches it is vj_cuda_net_pictures() of them.
 */
size_t vj_cuda_net_rows(const struct vj_net_shape *shape, size_t rows, size_t patches);

/* Where everything lies in one allocation of *total bytes. Errors: -EINVAL, -EOVERFLOW. */
int vj_cuda_net_plan_places(const struct vj_cuda_net_plan *plan, size_t references,
                            size_t max_patches, size_t workspace,
                            struct vj_cuda_net_place place[VJ_CUDA_NET_BUFFERS], size_t *total,
                            struct vj_error *err);

void vj_cuda_net_matmul_by_columns(const struct vj_cuda_net_matmul *rows,
                                   struct vj_cuda_net_column_matmul *columns);

/*
 * Largest power of two, at most VJ_CUDA_NET_ALIGNMENT, that divides the address of every row of
 * every product of a matrix whose buffer starts on VJ_CUDA_NET_ALIGNMENT.
 */
size_t vj_cuda_net_row_alignment(size_t ld_bytes, size_t stride_bytes);

/* Blocks of VJ_CUDA_NET_THREADS for n elements, one each; at least 1. */
unsigned vj_cuda_net_blocks(size_t n);

/* Multiply-accumulates of one patch, counted without padding: candidate, folded 1-5. */
double vj_cuda_net_macs(const struct vj_cuda_net_plan *plan);
double vj_cuda_net_head_macs(const struct vj_cuda_net_plan *plan); /* the heads' share of it */
double vj_cuda_net_conv_macs(const struct vj_cuda_net_conv *conv);

/* Those that its way makes of it, and bytes of a patch that it reads and writes, each once; weights
 * aside. element: the plan's */
double vj_cuda_net_conv_made(const struct vj_cuda_net_conv *conv);
double vj_cuda_net_conv_bytes(const struct vj_cuda_net_conv *conv, size_t element);

/*
 * HWIO kernel [3][3][3][VJ_CUDA_FIRST_CHANNELS] as the first block's kernel reads it: for fp32 as
 * it is, otherwise as the lanes of cuda/net_first_body.h hold it, [step][product][lane][2]; the
 * rest of packed[VJ_CUDA_FIRST_WORDS] is zero.
 */
void vj_cuda_net_first_pack(const float *hwio, enum vj_cuda_precision precision, uint32_t *packed);

/*
 * HWIO kernel [3][3][real_in][real_out] as the convolution's way has it, padding zero: DIRECT KRSC,
 * [out][3][3][in]; TILED [36][in][out]; DENSE [2][2][in][2][2][out], pixel of the source first;
 * BLOCK as the lanes of cuda/net_block_body.h hold it, with the bits that tensor cores see. kernel:
 * [vj_cuda_net_conv_kernel_floats()]
 */
void vj_cuda_net_conv_kernel(const struct vj_cuda_net_conv *conv, const float *hwio, float *kernel);
size_t vj_cuda_net_conv_kernel_floats(const struct vj_cuda_net_conv *conv);

#ifdef __cplusplus
}
#endif

#endif
