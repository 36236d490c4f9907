/* SPDX-License-Identifier: MIT */
#include "cuda/net_kernels.h"

#include <cuda_fp16.h>
#include <cuda_runtime.h>

extern "C" {
#include "host/net_fold.h"
}

namespace
{

constexpr int threads = VJ_CUDA_NET_THREADS;
constexpr int warp = 32;
constexpr int max_channels = 1024, max_hidden = 64; /* of struct vj_net_shape's ranges */
constexpr unsigned everyone = 0xffffffffu;

/* ---- element types ---- */

template <typename T> __device__ T narrow(float v);

template <> __device__ float narrow<float>(float v)
{
    return v;
}

template <> __device__ __half narrow<__half>(float v)
{
    return __float2half_rn(v);
}

__device__ float widen(float v)
{
    return v;
}

__device__ float widen(__half v)
{
    return __half2float(v);
}

__device__ float4 load4(const float *p)
{
    return *reinterpret_cast<const float4 *>(p);
}

__device__ float4 load4(const __half *p)
{
    const __half2 *h = reinterpret_cast<const __half2 *>(p);
    const float2 a = __half22float2(h[0]), b = __half22float2(h[1]);
    return make_float4(a.x, a.y, b.x, b.y);
}

__device__ void store4(float *p, float4 v)
{
    *reinterpret_cast<float4 *>(p) = v;
}

__device__ void store4(__half *p, float4 v)
{
    __half2 *h = reinterpret_cast<__half2 *>(p);
    h[0] = __floats2half2_rn(v.x, v.y);
    h[1] = __floats2half2_rn(v.z, v.w);
}

/* Neither may be NaN; what could not be held in half is found by guard(). */
__device__ float larger(float a, float b)
{
    return a < b ? b : a;
}

/* Keeps a NaN. */
__device__ float relu(float v)
{
    return v < 0.0f ? 0.0f : v;
}

__device__ float4 larger4(float4 a, float4 b)
{
    return make_float4(larger(a.x, b.x), larger(a.y, b.y), larger(a.z, b.z), larger(a.w, b.w));
}

__device__ float4 add4(float4 a, float4 b)
{
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

/* Marks a row whose value left half's range; single precision has no such limit here. */
template <typename T> __device__ void guard(float v, int *flags, size_t row)
{
    if (sizeof(T) == sizeof(__half) && !isfinite(v))
        atomicOr(&flags[row], 1);
}

__device__ size_t global_index()
{
    return (size_t)blockIdx.x * blockDim.x + threadIdx.x;
}

/* ---- input ---- */

__device__ float input_value(uint8_t v)
{
    return (float)v * (1.0f / 255.0f) - 0.5f;
}

__device__ void store_pixel(float *to, const float v[3])
{
    store4(to, make_float4(v[0], v[1], v[2], 0.0f));
}

__device__ void store_pixel(__half *to, const float v[3])
{
    store4(to, make_float4(v[0], v[1], v[2], 0.0f));
    store4(to + 4, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
}

template <typename T>
__global__ void input_kernel(const uint8_t *patches, int channels, size_t filled, size_t pixels,
                             T *input)
{
    constexpr size_t padded = 16 / sizeof(T);
    const size_t i = global_index();
    if (i >= pixels)
        return;
    float v[3] = {0.0f, 0.0f, 0.0f};
    if (i < filled)
        for (int c = 0; c < 3; c++)
            v[c] = input_value(patches[i * (size_t)channels + (channels == 3 ? c : 0)]);
    store_pixel(input + i * padded, v);
}

/* ---- convolution without fusion ---- */

template <typename T>
__global__ void bias_relu_kernel(T *x, const T *bias, size_t count, size_t channels)
{
    const size_t i = global_index() * 4;
    if (i >= count)
        return;
    float4 v = add4(load4(x + i), load4(bias + i % channels));
    store4(x + i, make_float4(relu(v.x), relu(v.y), relu(v.z), relu(v.w)));
}

/* ---- pooling and attention ---- */

/*
 * Block (part, row): pooled pixels part * span ... of one patch. Thread = (group, 4 channels); the
 * groups' sums and maxima meet in shared memory and are put together in order.
 */
template <typename T>
__global__ void __launch_bounds__(threads)
    pool_kernel(struct vj_cuda_net_pool_shape pool, const T *map, T *pooled, float *sums,
                float *peaks, int *flags)
{
    __shared__ float4 sum_of[threads], peak_of[threads];
    const int quads = pool.channels / 4, half = pool.side / 2;
    const int quad = (int)threadIdx.x % quads, group = (int)threadIdx.x / quads;
    const size_t row = blockIdx.y;
    const size_t across = (size_t)pool.channels, down = (size_t)pool.side * across;
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f), peak = sum;
    if (group < pool.groups) {
        const int first = (int)blockIdx.x * pool.span;
        const int end = min(first + pool.span, half * half);
        map += row * pool.side * down + 4 * quad;
        pooled += row * half * half * across + 4 * quad;
        for (int i = first + group; i < end; i += pool.groups) {
            const T *at = map + (size_t)(i / half * 2) * down + (size_t)(i % half * 2) * across;
            const float4 a = load4(at), b = load4(at + across);
            const float4 c = load4(at + down), d = load4(at + down + across);
            const float4 top = larger4(larger4(a, b), larger4(c, d));
            sum = add4(sum, add4(add4(a, b), add4(c, d)));
            peak = larger4(peak, top);
            store4(pooled + (size_t)i * across, top);
        }
    }
    sum_of[threadIdx.x] = sum;
    peak_of[threadIdx.x] = peak;
    __syncthreads();
    if ((int)threadIdx.x >= quads)
        return;
    for (int g = 1; g < pool.groups; g++) {
        sum = add4(sum, sum_of[g * quads + quad]);
        peak = larger4(peak, peak_of[g * quads + quad]);
    }
    const size_t out = (row * gridDim.x + blockIdx.x) * across + 4 * (size_t)quad;
    store4(sums + out, sum);
    store4(peaks + out, peak);
    guard<T>((sum.x + sum.y) + (sum.z + sum.w), flags, row);
}

/* Block = patch. Sums run over parts, channels and hidden units in their order. */
__global__ void __launch_bounds__(threads)
    attend_kernel(struct vj_cuda_net_pool_shape pool, struct vj_cuda_net_attention a,
                  const float *sums, const float *peaks, float *scale)
{
    __shared__ float in[2][max_channels], hidden[2][max_hidden];
    const int channels = pool.channels, units = channels / 16;
    const size_t row = blockIdx.x;
    const float pixels = (float)(pool.side * pool.side);
    sums += row * pool.blocks * channels;
    peaks += row * pool.blocks * channels;
    for (int c = (int)threadIdx.x; c < channels; c += threads) {
        float sum = 0.0f, peak = 0.0f;
        for (int part = 0; part < pool.blocks; part++) {
            sum += sums[(size_t)part * channels + c];
            peak = larger(peak, peaks[(size_t)part * channels + c]);
        }
        in[0][c] = sum / pixels;
        in[1][c] = peak;
    }
    __syncthreads();
    if ((int)threadIdx.x < 2 * units) {
        const int which = (int)threadIdx.x / units, unit = (int)threadIdx.x % units;
        float sum = 0.0f;
        for (int c = 0; c < channels; c++)
            sum += in[which][c] * a.kernel_0[c * units + unit];
        hidden[which][unit] = relu(sum + a.bias_0[unit]);
    }
    __syncthreads();
    for (int c = (int)threadIdx.x; c < channels; c += threads) {
        float of_mean = 0.0f, of_peak = 0.0f;
        for (int unit = 0; unit < units; unit++) {
            const float k = a.kernel_1[unit * channels + c];
            of_mean += hidden[0][unit] * k;
            of_peak += hidden[1][unit] * k;
        }
        const float logit = (of_mean + a.bias_1[c]) + (of_peak + a.bias_1[c]);
        scale[row * channels + c] = 1.0f / (1.0f + expf(-logit));
    }
}

template <typename T>
__global__ void scale_kernel(T *pooled, const float *scale, size_t count, size_t patch,
                             size_t channels)
{
    const size_t i = global_index() * 4;
    if (i >= count)
        return;
    const float4 v = load4(pooled + i), s = load4(scale + i / patch * channels + i % channels);
    store4(pooled + i, make_float4(v.x * s.x, v.y * s.y, v.z * s.z, v.w * s.w));
}

/* ---- non-local block ---- */

__device__ float warp_max(float v)
{
    for (int step = warp / 2; step > 0; step /= 2)
        v = larger(v, __shfl_xor_sync(everyone, v, step));
    return v;
}

__device__ float warp_sum(float v)
{
    for (int step = warp / 2; step > 0; step /= 2)
        v += __shfl_xor_sync(everyone, v, step);
    return v;
}

/* Warp = row of the matrix. In place is fine: a lane reads only what it will overwrite itself. */
template <typename T>
__global__ void softmax_kernel(const float *scores, T *chances, size_t rows, int n, int *flags)
{
    const size_t row = global_index() / warp;
    const int lane = (int)threadIdx.x % warp;
    if (row >= rows)
        return;
    const float *from = scores + row * n;
    T *to = chances + row * n;
    float top = -INFINITY, sum = 0.0f;
    bool bad = false;
    for (int i = lane; i < n; i += warp) {
        bad = bad || !isfinite(from[i]);
        top = larger(top, from[i]);
    }
    top = warp_max(top);
    for (int i = lane; i < n; i += warp)
        sum += expf(from[i] - top);
    sum = warp_sum(sum);
    for (int i = lane; i < n; i += warp)
        to[i] = narrow<T>(expf(from[i] - top) / sum);
    guard<T>(bad ? NAN : 0.0f, flags, row / n);
}

template <typename T>
__global__ void join_kernel(const T *tokens, const T *attended, T *last, size_t count, int side,
                            int channels, int padded, int *flags)
{
    const size_t i = global_index();
    if (i >= count)
        return;
    const int half = side / 2;
    const int c = (int)(i % channels);
    const size_t pixel = i / channels, row = pixel / (half * half);
    const int x = (int)(pixel % half), y = (int)(pixel / half % half);
    float v[4];
    for (int k = 0; k < 4; k++) {
        const size_t at = (row * side + (2 * y + k / 2)) * side + (2 * x + k % 2);
        v[k] = widen(tokens[at * padded + c]) + widen(attended[at * channels + c]);
        guard<T>(v[k], flags, row);
    }
    const T top = narrow<T>(larger(larger(v[0], v[1]), larger(v[2], v[3])));
    guard<T>(widen(top), flags, row);
    last[i] = top;
}

/* Thread = channel of a patch; two passes in double, as on the CPU. */
template <typename T>
__global__ void statistics_kernel(const T *last, T *features, size_t count, int positions,
                                  int channels)
{
    const size_t i = global_index();
    if (i >= count)
        return;
    const size_t row = i / channels, c = i % channels;
    const T *from = last + row * positions * channels + c;
    double mean = 0.0, square = 0.0;
    for (int p = 0; p < positions; p++)
        mean += (double)widen(from[(size_t)p * channels]);
    mean /= (double)positions;
    for (int p = 0; p < positions; p++) {
        const double d = (double)widen(from[(size_t)p * channels]) - mean;
        square += d * d;
    }
    T *to = features + row * 2 * channels;
    to[c] = narrow<T>((float)mean);
    to[channels + c] = narrow<T>((float)sqrt(square / (double)positions + 1e-6));
}

/* ---- heads ---- */

template <typename T>
__global__ void times_kernel(const T *features, const T *jnd, size_t first, size_t patches,
                             T *times, size_t count, size_t width, int *flags)
{
    const size_t i = global_index();
    if (i >= count)
        return;
    const size_t row = i / width, k = i % width;
    const T v = narrow<T>(widen(features[i]) * widen(jnd[(first + row) % patches * width + k]));
    guard<T>(widen(v), flags, row);
    times[i] = v;
}

template <typename T>
__global__ void keep_kernel(const T *features, const int *flags, size_t count, size_t width,
                            T *kept)
{
    const size_t i = global_index();
    if (i < count)
        kept[i] = flags[i / width] ? narrow<T>(NAN) : features[i];
}

__global__ void constant_kernel(const float *pair, const float *bias, const int *flags, size_t rows,
                                size_t slices, size_t count, float *constant)
{
    constexpr size_t width = 2 * VJ_NET_HIDDEN;
    const size_t i = global_index();
    if (i >= count)
        return;
    float sum = 0.0f;
    for (size_t s = 0; s < slices; s++)
        sum += pair[s * rows * width + i];
    constant[i] = flags[i / width] ? NAN : sum + bias[i % width];
}

/* Block = patch, warp 0 = quality, warp 1 = weight. */
__global__ void __launch_bounds__(2 * warp)
    finish_kernel(const float *pair, const float *product, const float *constant,
                  struct vj_cuda_net_second second, const int *flags, size_t rows, size_t slices,
                  size_t first, size_t patches, float *quality, float *weight)
{
    constexpr int hidden = VJ_NET_HIDDEN;
    const size_t row = blockIdx.x;
    const int head = (int)threadIdx.x / warp, lane = (int)threadIdx.x % warp;
    constant += (first + row) % patches * 2 * hidden + head * hidden;
    float sum = 0.0f;
    for (int i = lane; i < hidden; i += warp) {
        float v = 0.0f, of_product = 0.0f;
        for (size_t s = 0; s < slices; s++)
            v += pair[(s * rows + row) * 2 * hidden + head * hidden + i];
        for (size_t s = 0; head == 1 && s < slices; s++)
            of_product += product[(s * rows + row) * hidden + i];
        sum += relu(constant[i] + (v + of_product)) * second.kernel[head * hidden + i];
    }
    sum = warp_sum(sum) + second.bias[head];
    if (lane != 0)
        return;
    if (flags[row])
        sum = NAN;
    if (head == 0)
        quality[row] = sum;
    else
        weight[row] = relu(sum) + 1e-6f;
}

__global__ void mean_kernel(const float *quality, const float *weight, size_t n, size_t patches,
                            float *score)
{
    const size_t i = global_index();
    if (i >= n)
        return;
    double weighted = 0.0, weights = 0.0;
    for (size_t p = 0; p < patches; p++) {
        const double a = (double)weight[i * patches + p];
        weighted += (double)quality[i * patches + p] * a;
        weights += a;
    }
    score[i] = (float)(weighted / weights);
}

/* ---- conversions ---- */

template <typename T>
__global__ void convert_kernel(const float *from, T *to, size_t count, int *flags)
{
    const size_t i = global_index();
    if (i >= count)
        return;
    to[i] = narrow<T>(from[i]);
    guard<T>(widen(to[i]), flags, 0);
}

template <typename T> __global__ void widen_kernel(const T *from, float *to, size_t count)
{
    const size_t i = global_index();
    if (i < count)
        to[i] = widen(from[i]);
}

/* ---- launchers ---- */

bool is_half(enum vj_cuda_precision precision)
{
    return precision == VJ_CUDA_FP16;
}

template <typename T>
void launch_input(const struct vj_cuda_net_plan *plan, cudaStream_t stream, const uint8_t *patches,
                  int channels, size_t count, void *input)
{
    const size_t side = (size_t)plan->shape.patch_size, pixels = plan->rows * side * side;
    input_kernel<T><<<vj_cuda_net_blocks(pixels), threads, 0, stream>>>(
        patches, channels, count * side * side, pixels, static_cast<T *>(input));
}

template <typename T>
void launch_pool(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                 const void *map, void *pooled, float *sums, float *peaks, int *flags)
{
    const struct vj_cuda_net_pool_shape pool = plan->pool[layer];
    const dim3 grid((unsigned)pool.blocks, (unsigned)plan->rows);
    pool_kernel<T><<<grid, threads, 0, stream>>>(pool, static_cast<const T *>(map),
                                                 static_cast<T *>(pooled), sums, peaks, flags);
}

template <typename T>
void launch_scale(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream, void *pooled,
                  const float *scale)
{
    const size_t half = (size_t)plan->pool[layer].side / 2;
    const size_t channels = (size_t)plan->pool[layer].channels, patch = half * half * channels;
    const size_t count = plan->rows * patch;
    scale_kernel<T><<<vj_cuda_net_blocks(count / 4), threads, 0, stream>>>(
        static_cast<T *>(pooled), scale, count, patch, channels);
}

template <typename T>
void launch_softmax(const struct vj_cuda_net_plan *plan, cudaStream_t stream, const float *scores,
                    void *chances, int *flags)
{
    const size_t rows = plan->rows * plan->positions;
    softmax_kernel<T><<<vj_cuda_net_blocks(rows * warp), threads, 0, stream>>>(
        scores, static_cast<T *>(chances), rows, (int)plan->positions, flags);
}

template <typename T>
void launch_join(const struct vj_cuda_net_plan *plan, cudaStream_t stream, const void *tokens,
                 const void *attended, void *last, int *flags)
{
    const int channels = plan->shape.channels[3];
    const size_t count = plan->rows * (plan->positions / 4) * (size_t)channels;
    join_kernel<T><<<vj_cuda_net_blocks(count), threads, 0, stream>>>(
        static_cast<const T *>(tokens), static_cast<const T *>(attended), static_cast<T *>(last),
        count, plan->conv[3].side, channels, plan->conv[3].out, flags);
}

template <typename T>
void launch_statistics(const struct vj_cuda_net_plan *plan, cudaStream_t stream, const void *last,
                       void *features)
{
    const int channels = plan->shape.channels[3];
    const size_t count = plan->rows * (size_t)channels;
    statistics_kernel<T><<<vj_cuda_net_blocks(count), threads, 0, stream>>>(
        static_cast<const T *>(last), static_cast<T *>(features), count, (int)(plan->positions / 4),
        channels);
}

template <typename T>
void launch_times(const struct vj_cuda_net_plan *plan, cudaStream_t stream, const void *features,
                  const void *jnd, size_t first, size_t patches, void *times, int *flags)
{
    const size_t count = plan->rows * plan->features;
    times_kernel<T><<<vj_cuda_net_blocks(count), threads, 0, stream>>>(
        static_cast<const T *>(features), static_cast<const T *>(jnd), first, patches,
        static_cast<T *>(times), count, plan->features, flags);
}

template <typename T>
void launch_keep(const struct vj_cuda_net_plan *plan, cudaStream_t stream, const void *features,
                 const int *flags, size_t rows, void *kept)
{
    const size_t count = rows * plan->features;
    keep_kernel<T><<<vj_cuda_net_blocks(count), threads, 0, stream>>>(
        static_cast<const T *>(features), flags, count, plan->features, static_cast<T *>(kept));
}

template <typename T>
void launch_bias_relu(cudaStream_t stream, void *x, const void *bias, size_t count, size_t channels)
{
    bias_relu_kernel<T><<<vj_cuda_net_blocks(count / 4), threads, 0, stream>>>(
        static_cast<T *>(x), static_cast<const T *>(bias), count, channels);
}

} // namespace

cudaError_t vj_cuda_net_input(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                              const uint8_t *patches, int channels, size_t count, void *input)
{
    if (is_half(plan->precision))
        launch_input<__half>(plan, stream, patches, channels, count, input);
    else
        launch_input<float>(plan, stream, patches, channels, count, input);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_bias_relu(enum vj_cuda_precision precision, cudaStream_t stream, void *x,
                                  const void *bias, size_t pixels, size_t channels)
{
    if (is_half(precision))
        launch_bias_relu<__half>(stream, x, bias, pixels * channels, channels);
    else
        launch_bias_relu<float>(stream, x, bias, pixels * channels, channels);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_pool(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                             const void *map, void *pooled, float *sums, float *peaks, int *flags)
{
    if (is_half(plan->precision))
        launch_pool<__half>(plan, layer, stream, map, pooled, sums, peaks, flags);
    else
        launch_pool<float>(plan, layer, stream, map, pooled, sums, peaks, flags);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_attend(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                               const struct vj_cuda_net_attention *attention, const float *sums,
                               const float *peaks, float *scale)
{
    attend_kernel<<<(unsigned)plan->rows, threads, 0, stream>>>(plan->pool[layer], *attention, sums,
                                                                peaks, scale);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_scale(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                              void *pooled, const float *scale)
{
    if (is_half(plan->precision))
        launch_scale<__half>(plan, layer, stream, pooled, scale);
    else
        launch_scale<float>(plan, layer, stream, pooled, scale);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_softmax(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                const float *scores, void *chances, int *flags)
{
    if (is_half(plan->precision))
        launch_softmax<__half>(plan, stream, scores, chances, flags);
    else
        launch_softmax<float>(plan, stream, scores, chances, flags);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_join(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                             const void *tokens, const void *attended, void *last, int *flags)
{
    if (is_half(plan->precision))
        launch_join<__half>(plan, stream, tokens, attended, last, flags);
    else
        launch_join<float>(plan, stream, tokens, attended, last, flags);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_statistics(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                   const void *last, void *features)
{
    if (is_half(plan->precision))
        launch_statistics<__half>(plan, stream, last, features);
    else
        launch_statistics<float>(plan, stream, last, features);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_times(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                              const void *features, const void *jnd, size_t first, size_t patches,
                              void *times, int *flags)
{
    if (is_half(plan->precision))
        launch_times<__half>(plan, stream, features, jnd, first, patches, times, flags);
    else
        launch_times<float>(plan, stream, features, jnd, first, patches, times, flags);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_keep(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                             const void *features, const int *flags, size_t count, void *kept)
{
    if (is_half(plan->precision))
        launch_keep<__half>(plan, stream, features, flags, count, kept);
    else
        launch_keep<float>(plan, stream, features, flags, count, kept);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_constant(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                 const float *pair, const float *bias, const int *flags,
                                 size_t count, float *constant)
{
    const size_t numbers = count * 2 * VJ_NET_HIDDEN;
    constant_kernel<<<vj_cuda_net_blocks(numbers), threads, 0, stream>>>(
        pair, bias, flags, plan->rows, plan->slices, numbers, constant);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_finish(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                               const float *pair, const float *product, const float *constant,
                               const struct vj_cuda_net_second *second, const int *flags,
                               size_t first, size_t patches, size_t count, float *quality,
                               float *weight)
{
    finish_kernel<<<(unsigned)count, 2 * warp, 0, stream>>>(pair, product, constant, *second, flags,
                                                            plan->rows, plan->slices, first,
                                                            patches, quality, weight);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_mean(cudaStream_t stream, const float *quality, const float *weight,
                             size_t n, size_t patches, float *score)
{
    mean_kernel<<<vj_cuda_net_blocks(n), threads, 0, stream>>>(quality, weight, n, patches, score);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_convert(enum vj_cuda_precision precision, cudaStream_t stream,
                                const float *from, void *to, size_t count, int *flags)
{
    if (is_half(precision))
        convert_kernel<<<vj_cuda_net_blocks(count), threads, 0, stream>>>(
            from, static_cast<__half *>(to), count, flags);
    else
        convert_kernel<<<vj_cuda_net_blocks(count), threads, 0, stream>>>(
            from, static_cast<float *>(to), count, flags);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_widen(enum vj_cuda_precision precision, cudaStream_t stream,
                              const void *from, float *to, size_t count)
{
    if (is_half(precision))
        widen_kernel<<<vj_cuda_net_blocks(count), threads, 0, stream>>>(
            static_cast<const __half *>(from), to, count);
    else
        widen_kernel<<<vj_cuda_net_blocks(count), threads, 0, stream>>>(
            static_cast<const float *>(from), to, count);
    return cudaGetLastError();
}
