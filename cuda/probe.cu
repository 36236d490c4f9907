/* SPDX-License-Identifier: MIT */
/* Whether there is a GPU, and whether code of this module runs on it. */
#include <cstdio>

#include "cuda/check.h"
#include "cuda/kernel.h"

extern "C" {
int vj_cuda_count(int *count, struct vj_error *err);
int vj_cuda_probe(int ordinal, char *text, size_t size, struct vj_error *err);
}

enum { PROBE_THREADS = 256, PROBE_BLOCKS = 4, PROBE_COUNT = PROBE_THREADS * PROBE_BLOCKS };

/* Something that neither fresh memory nor a skipped launch would hold. */
static __host__ __device__ unsigned probe_value(unsigned i, unsigned key)
{
    return (i + 1) * 2654435761u ^ key;
}

static __global__ void probe_kernel(unsigned *out, unsigned key)
{
    unsigned i = blockIdx.x * PROBE_THREADS + threadIdx.x;
    out[i] = probe_value(i, key);
}

/* The driver's version, or 0 without a driver. */
static int driver_version(void)
{
    int version = 0;
    return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

int vj_cuda_count(int *count, struct vj_error *err)
{
    int driver = driver_version();
    *count = 0;
    if (driver == 0)
        return vj_fail(err, -ENODEV, "no NVIDIA driver is installed (there is no libcuda.so.1)");
    cudaError_t status = cudaGetDeviceCount(count);
    if (status == cudaErrorInsufficientDriver)
        return vj_fail(err, -ENODEV, "the driver is made for CUDA %d.%d, this program for %d.%d",
                       driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000,
                       CUDART_VERSION % 1000 / 10);
    if (status == cudaErrorNoDevice || (status == cudaSuccess && *count == 0))
        return vj_fail(err, -ENODEV, "the driver shows no GPU (CUDA_VISIBLE_DEVICES may hide it)");
    return vj_cuda_status(status, "cudaGetDeviceCount", err);
}

static int describe(int ordinal, char *text, size_t size, struct vj_error *err)
{
    cudaDeviceProp p;
    int driver = driver_version();
    int r = VJ_CUDA(cudaGetDeviceProperties(&p, ordinal), err);
    if (r)
        return r;
    snprintf(text, size, "%.80s, %.0f GiB, compute capability %d.%d, driver for CUDA %d.%d", p.name,
             (double)p.totalGlobalMem / (1 << 30), p.major, p.minor, driver / 1000,
             driver % 1000 / 10);
    return 0;
}

static int run_probe(unsigned *device, unsigned key, struct vj_error *err)
{
    unsigned back[PROBE_COUNT] = {0};
    vj_cuda_launch(probe_kernel, PROBE_BLOCKS, PROBE_THREADS, NULL, device, key);
    int r = VJ_CUDA_LAUNCHED("probe kernel", err);
    if (!r)
        r = VJ_CUDA(cudaMemcpy(back, device, sizeof(back), cudaMemcpyDeviceToHost), err);
    for (unsigned i = 0; !r && i < PROBE_COUNT; i++)
        if (back[i] != probe_value(i, key))
            r = vj_fail(err, -EIO, "the probe kernel gave a wrong result (%#x for %#x at %u)",
                        back[i], probe_value(i, key), i);
    return r;
}

int vj_cuda_probe(int ordinal, char *text, size_t size, struct vj_error *err)
{
    unsigned *device = NULL;
    text[0] = '\0';
    int r = describe(ordinal, text, size, err);
    if (!r)
        r = VJ_CUDA(cudaSetDevice(ordinal), err);
    if (!r)
        r = VJ_CUDA(cudaMalloc((void **)&device, PROBE_COUNT * sizeof(unsigned)), err);
    /* Twice with different keys: what is left over from one run cannot pass for the other's. */
    if (!r)
        r = run_probe(device, 0x5bd1e995u, err);
    if (!r)
        r = run_probe(device, 0x1b873593u + (unsigned)ordinal, err);
    cudaFree(device);
    return r;
}
