/* SPDX-License-Identifier: MIT */
/* Kernels as nvcc compiled them, in the place of those in the source: see operations.h. */
#ifndef VJ_TESTS_CUDA_PTX_KERNELS_H
#define VJ_TESTS_CUDA_PTX_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { VJ_PTX_SHARED = 48 << 10, VJ_PTX_PARAMETERS = 16 };

struct vj_ptx_kernel {
    void (*source)(); /* the same kernel, of the C++ compiler */
    const char *name;
    /* One thread. parameters: where each is */
    void (*run)(const void *const *parameters);
    unsigned threads; /* no block has more; 0: not said */
    size_t shared;    /* bytes */
    unsigned parameter_count;
    size_t parameter[VJ_PTX_PARAMETERS]; /* bytes of each */
};

/* Before main(), for each file: its kernels, a constant table. */
struct vj_ptx_registration {
    const vj_ptx_kernel *kernels;
    size_t count;
    const vj_ptx_registration *next;
    vj_ptx_registration(const vj_ptx_kernel *kernels, size_t count);
};

/* The translation of a kernel; ends the program where there is none, or it wants other arguments.
 */
const vj_ptx_kernel *vj_ptx_find(void (*source)(), const size_t *parameter, unsigned count,
                                 unsigned threads);

/* Of the kernel that runs. */
extern unsigned char vj_ptx_shared[VJ_PTX_SHARED];
extern size_t vj_ptx_shared_bytes;

template <typename... Parameter> void (*vj_ptx_source(void (*kernel)(Parameter...)))()
{
    return (void (*)())kernel;
}

#endif
