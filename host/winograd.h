/* SPDX-License-Identifier: MIT */
/*
 * Winograd's minimal filtering F(4x4, 3x3), the arithmetic that the CPU and CUDA share: sixteen
 * outputs of a 3x3 convolution of stride 1 from 36 products instead of 144,
 *
 *     Y = A^T [(G g G^T) . (B^T d B)] A,
 *
 * with d the 6x6 inputs under 4x4 outputs Y, g the kernel, and . element by element; sums over
 * channels are formed between the brackets. Lavin, Gray, "Fast algorithms for convolutional neural
 * networks", CVPR 2016.
 *
 * The polynomials behind it are interpolated at 0, +-5/8, +-3/2 and infinity, not at the customary
 * 0, +-1, +-2 and infinity: on random data the rounding error of 64 channels is 6.2e-7 of the
 * outputs' root mean square then, where summing up directly has 3.1e-7
 * (tests/host/test_winograd.c); the customary points have 1.4e-6. How points matter: Barabasz,
 * Anderson, Soodhalter, Gregg, "Error analysis and improving the accuracy of Winograd convolution
 * for deep neural networks", ACM TOMS 46(4), 2020. All constants of A and B are exact in binary.
 */
#ifndef VJ_HOST_WINOGRAD_H
#define VJ_HOST_WINOGRAD_H

#include <stddef.h>

#include "host/hostdevice.h"

enum {
    VJ_WINOGRAD_OUT = 4, /* side of a tile of outputs */
    VJ_WINOGRAD_IN = 6,  /* and of the inputs under it, which begin one row and column before it */
    VJ_WINOGRAD_PRODUCTS = VJ_WINOGRAD_IN * VJ_WINOGRAD_IN,
};

#define VJ_WINOGRAD_P       0.625f       /* the points +-p */
#define VJ_WINOGRAD_P2      0.390625f    /* p^2 */
#define VJ_WINOGRAD_P3      0.244140625f /* p^3 */
#define VJ_WINOGRAD_Q       1.5f         /* the points +-q */
#define VJ_WINOGRAD_Q2      2.25f        /* q^2 */
#define VJ_WINOGRAD_Q3      3.375f       /* q^3 */
#define VJ_WINOGRAD_SQUARES 2.640625f    /* p^2 + q^2 */
#define VJ_WINOGRAD_PRODUCT 0.87890625f  /* p^2 q^2 */

/* By value, so that compilers keep the members in registers, of a thread or of vectors. */
struct vj_winograd_six {
    float v0, v1, v2, v3, v4, v5;
};

struct vj_winograd_four {
    float v0, v1, v2, v3;
};

/* B^T d: rows for 0, p, -p, q, -q, infinity. */
static inline VJ_HD struct vj_winograd_six vj_winograd_input(struct vj_winograd_six d)
{
    const float even_p = d.v4 - VJ_WINOGRAD_Q2 * d.v2;
    const float odd_p = VJ_WINOGRAD_P * (d.v3 - VJ_WINOGRAD_Q2 * d.v1);
    const float even_q = d.v4 - VJ_WINOGRAD_P2 * d.v2;
    const float odd_q = VJ_WINOGRAD_Q * (d.v3 - VJ_WINOGRAD_P2 * d.v1);
    struct vj_winograd_six v;
    v.v0 = (VJ_WINOGRAD_PRODUCT * d.v0 - VJ_WINOGRAD_SQUARES * d.v2) + d.v4;
    v.v1 = even_p + odd_p;
    v.v2 = even_p - odd_p;
    v.v3 = even_q + odd_q;
    v.v4 = even_q - odd_q;
    v.v5 = (VJ_WINOGRAD_PRODUCT * d.v1 - VJ_WINOGRAD_SQUARES * d.v3) + d.v5;
    return v;
}

/* A^T m. */
static inline VJ_HD struct vj_winograd_four vj_winograd_output(struct vj_winograd_six m)
{
    const float sum_p = m.v1 + m.v2, difference_p = m.v1 - m.v2;
    const float sum_q = m.v3 + m.v4, difference_q = m.v3 - m.v4;
    struct vj_winograd_four y;
    y.v0 = m.v0 + (sum_p + sum_q);
    y.v1 = VJ_WINOGRAD_P * difference_p + VJ_WINOGRAD_Q * difference_q;
    y.v2 = VJ_WINOGRAD_P2 * sum_p + VJ_WINOGRAD_Q2 * sum_q;
    y.v3 = (VJ_WINOGRAD_P3 * difference_p + VJ_WINOGRAD_Q3 * difference_q) + m.v5;
    return y;
}

/* G g, in double, as it is done once for each kernel. */
static inline void vj_winograd_kernel_line(const double g[3], double u[VJ_WINOGRAD_IN])
{
    const double p = 0.625, q = 1.5;
    const double at_p = 2 * p * p * (p * p - q * q), at_q = 2 * q * q * (q * q - p * p);
    const double even_p = (g[0] + p * p * g[2]) / at_p, odd_p = p * g[1] / at_p;
    const double even_q = (g[0] + q * q * g[2]) / at_q, odd_q = q * g[1] / at_q;
    u[0] = g[0] / (p * p * q * q);
    u[1] = even_p + odd_p;
    u[2] = even_p - odd_p;
    u[3] = even_q + odd_q;
    u[4] = even_q - odd_q;
    u[5] = g[2];
}

/*
 * G g G^T of one pair of channels.
 * g: [3][3], neighbours `step` floats apart; u: [36], neighbours `u_step` floats apart
 */
static inline void vj_winograd_kernel(const float *g, size_t step, float *u, size_t u_step)
{
    double half[3][VJ_WINOGRAD_IN], line[VJ_WINOGRAD_IN];
    for (size_t x = 0; x < 3; x++) {
        const double column[3] = {g[x * step], g[(3 + x) * step], g[(6 + x) * step]};
        vj_winograd_kernel_line(column, half[x]);
    }
    for (size_t i = 0; i < VJ_WINOGRAD_IN; i++) {
        const double row[3] = {half[0][i], half[1][i], half[2][i]};
        vj_winograd_kernel_line(row, line);
        for (size_t j = 0; j < VJ_WINOGRAD_IN; j++)
            u[(i * VJ_WINOGRAD_IN + j) * u_step] = (float)line[j];
    }
}

#endif
