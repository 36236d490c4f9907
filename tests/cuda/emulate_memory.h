/* SPDX-License-Identifier: MIT */
/*
 * Whose memory is whose in the emulation, where all of it is the CPU's and any mistake would work:
 * blocks of the GPU (cudaMalloc) and pinned ones of the host (cudaHostAlloc). What a GPU would not
 * reach, or a copy would take from the wrong side, ends the program with a sentence.
 */
#ifndef VJ_TESTS_CUDA_EMULATE_MEMORY_H
#define VJ_TESTS_CUDA_EMULATE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

enum vj_emulate_side { VJ_EMULATE_HOST, VJ_EMULATE_GPU };

/* A block of bytes of 0xff, which are NaN as a float: fresh memory of a GPU is not zero either.
 * NULL when there is no memory. What touches a page behind it is a segmentation fault, with the
 * address sanitizer any byte. */
void *vj_emulate_allocate(size_t bytes, enum vj_emulate_side side);

/* Ends the program when no block of that side begins there. */
void vj_emulate_free(void *block, enum vj_emulate_side side);

/* Ends the program unless bytes from p on lie in one block of the GPU. what: the caller's name */
void vj_emulate_need_gpu(const void *p, size_t bytes, const char *what);

/* Ends the program where any of them lies in the GPU's memory. */
void vj_emulate_need_host(const void *p, size_t bytes, const char *what);

/* false in tests of kernels alone, which give them memory of their own. */
extern bool vj_emulate_checks_arguments;

/*
 * An argument of a kernel: every pointer in it must lie in a block of the GPU, just behind one, or
 * be NULL. In a struct a word is taken for a pointer when there is memory where it points to.
 */
void vj_emulate_check_argument(const void *argument, size_t bytes, bool is_pointer);

#endif
