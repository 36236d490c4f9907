/* SPDX-License-Identifier: MIT */
#include "cuda/launch.h"

extern "C" {
#include "cuda/patch.h"
#include "cuda/patch_body.h"
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    gather_kernel(const __grid_constant__ struct vj_cuda_gather_job job)
{
    vj_cuda_gather_pixel(&job, vj_cuda_here(), threadIdx.x);
}

int vj_cuda_gather(cudaStream_t stream, const uint8_t *d_pictures, size_t width, size_t height,
                   int channels, int count, const int32_t (*d_origin)[2], size_t patches,
                   size_t side, int out_channels, uint8_t *d_out, struct vj_error *err)
{
    if ((channels != 1 && channels != 3) || (out_channels != 1 && out_channels != 3) ||
        out_channels < channels)
        return vj_fail(err, -EINVAL,
                       "patches of %d channels from pictures of %d: 1 and 3 are known",
                       out_channels, channels);
    if (count < 1 || count > VJ_CUDA_LEVELS)
        return vj_fail(err, -EINVAL, "patches of %d pictures asked for, 1 to %d are possible",
                       count, (int)VJ_CUDA_LEVELS);
    int rc = vj_cuda_check_patches(patches, side, width, height, err);
    if (rc || patches == 0)
        return rc;
    struct vj_cuda_gather_job job;
    memset(&job, 0, sizeof(job));
    job.pictures = d_pictures;
    job.width = width;
    job.height = height;
    job.channels = channels;
    job.origin = d_origin;
    job.patches = patches;
    job.side = side;
    job.out_channels = out_channels;
    job.out = d_out;
    vj_cuda_launch(gather_kernel, vj_cuda_dim(vj_cuda_gather_grid(patches, side, count)),
                   VJ_CUDA_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("patches", err);
}
