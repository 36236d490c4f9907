/* SPDX-License-Identifier: MIT */
#include "host/eigen.h"

#include <math.h>
#include <string.h>

#include "host/simd.h"

/* Convergence is quadratic; real matrices of this size take six to ten sweeps. */
enum { MAX_SWEEPS = 60 };

/* Off-diagonal elements count as cleared when their squares sum up to this share of all squares. */
#define CLEARED 1e-34

/* Rows p and q become c p - s q and s p + c q. */
VJ_SIMD static void rotate_rows(double *restrict p, double *restrict q, size_t n, double c,
                                double s)
{
    for (size_t k = 0; k < n; k++) {
        double x = p[k], y = q[k];
        p[k] = c * x - s * y;
        q[k] = s * x + c * y;
    }
}

static void rotate_columns(double *a, size_t n, size_t p, size_t q, double c, double s)
{
    for (size_t k = 0; k < n; k++) {
        double *row = a + k * n, x = row[p], y = row[q];
        row[p] = c * x - s * y;
        row[q] = s * x + c * y;
    }
}

/* The smaller of the two rotations that clear element (p, q). */
static void clear_element(double *a, double *vector, size_t n, size_t p, size_t q)
{
    double element = a[p * n + q];
    if (element == 0)
        return;
    double theta = (a[q * n + q] - a[p * n + p]) / (2 * element);
    double tangent = 1 / (fabs(theta) + sqrt(theta * theta + 1));
    tangent = theta < 0 ? -tangent : tangent;
    double c = 1 / sqrt(tangent * tangent + 1), s = tangent * c;
    rotate_rows(a + p * n, a + q * n, n, c, s);
    rotate_columns(a, n, p, q, c, s);
    a[p * n + q] = a[q * n + p] = 0;
    rotate_rows(vector + p * n, vector + q * n, n, c, s);
}

static void sum_squares(const double *a, size_t n, double *diagonal, double *rest)
{
    *diagonal = *rest = 0;
    for (size_t i = 0; i < n * n; i++) {
        if (i % (n + 1) == 0)
            *diagonal += a[i] * a[i];
        else
            *rest += a[i] * a[i];
    }
}

/* Selection sort: stable enough, as equal values have no order. */
static void sort_descending(size_t n, double *value, double *vector)
{
    for (size_t i = 0; i < n; i++) {
        size_t best = i;
        for (size_t k = i + 1; k < n; k++)
            best = value[k] > value[best] ? k : best;
        double v = value[i];
        value[i] = value[best];
        value[best] = v;
        for (size_t k = 0; best != i && k < n; k++) {
            v = vector[i * n + k];
            vector[i * n + k] = vector[best * n + k];
            vector[best * n + k] = v;
        }
    }
}

void vj_eigen_symmetric(size_t n, double *a, double *value, double *vector)
{
    memset(vector, 0, n * n * sizeof(*vector));
    for (size_t i = 0; i < n; i++)
        vector[i * n + i] = 1;
    for (int sweep = 0; sweep < MAX_SWEEPS; sweep++) {
        double diagonal, rest;
        sum_squares(a, n, &diagonal, &rest);
        if (rest <= CLEARED * (diagonal + rest))
            break;
        for (size_t p = 0; p + 1 < n; p++)
            for (size_t q = p + 1; q < n; q++)
                clear_element(a, vector, n, p, q);
    }
    for (size_t i = 0; i < n; i++)
        value[i] = a[i * n + i];
    sort_descending(n, value, vector);
}
