/* SPDX-License-Identifier: MIT */
/* Eigenvalues and eigenvectors of small symmetric matrices. */
#ifndef VJ_HOST_EIGEN_H
#define VJ_HOST_EIGEN_H

#include <stddef.h>

/*
 * Jacobi's method: rotations that clear one element after the other, row by row, until nothing is
 * left. The order is fixed, so that the same matrix gives the same bits everywhere. Errors are
 * those of rounding times the largest eigenvalue; eigenvectors of eigenvalues that are equal up to
 * that are any basis of their common space, and every eigenvector's sign is arbitrary.
 *
 * n:      >= 1; meant for n up to a few hundred (about 8 sweeps of 2 n^3 multiplications)
 * a:      n x n, row-major, symmetric; its contents are lost
 * value:  out, n eigenvalues in descending order
 * vector: out, n x n; row i is the eigenvector of value[i], of unit length
 */
void vj_eigen_symmetric(size_t n, double *a, double *value, double *vector);

#endif
