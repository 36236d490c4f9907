/* SPDX-License-Identifier: MIT */
#include "tests/cuda/ptx/kernels.h"

#include <stdio.h>
#include <stdlib.h>

extern "C" {
#include "tests/cuda/emulate_threads.h"
}

alignas(16) VJ_EMULATE_SHARED unsigned char vj_ptx_shared[VJ_PTX_SHARED];
size_t vj_ptx_shared_bytes;

/* Set before any constructor runs. */
static const vj_ptx_registration *registered;

vj_ptx_registration::vj_ptx_registration(const vj_ptx_kernel *k, size_t n)
    : kernels(k), count(n), next(registered)
{
    registered = this;
}

static __attribute__((noreturn)) void stop(const char *kernel, const char *what)
{
    fprintf(stderr, "kernel %s: %s\n", kernel, what);
    _Exit(1);
}

const vj_ptx_kernel *vj_ptx_find(void (*source)(), const size_t *parameter, unsigned count,
                                 unsigned threads)
{
    const vj_ptx_kernel *found = NULL;
    for (const vj_ptx_registration *r = registered; r && !found; r = r->next)
        for (size_t i = 0; i < r->count && !found; i++)
            if (r->kernels[i].source == source)
                found = &r->kernels[i];
    if (!found)
        stop("of unknown name", "is not among those that nvcc compiled");
    if (found->shared > VJ_PTX_SHARED)
        stop(found->name, "declares more shared memory than a block has");
    if (found->threads && threads > found->threads)
        stop(found->name, "is started with more threads than it was compiled for");
    if (found->parameter_count != count)
        stop(found->name, "takes another number of arguments");
    for (unsigned i = 0; i < count; i++)
        if (found->parameter[i] != parameter[i])
            stop(found->name, "takes an argument of another size");
    return found;
}
