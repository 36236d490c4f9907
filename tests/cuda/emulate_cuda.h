/* SPDX-License-Identifier: MIT */
/*
 * CUDA's language for a C++ compiler: included before a .cu file (-include), it runs the file's
 * kernels on the CPU, every thread of a block as a coroutine of its own (emulate_threads.c), with
 * barriers, shared memory, shuffles and products of warps. What is inside __CUDA_ARCH__ is not run.
 *
 * With VJ_EMULATE_PTX defined, what nvcc made of each kernel runs in its place (ptx/operations.h).
 */
#ifndef VJ_TESTS_CUDA_EMULATE_CUDA_H
#define VJ_TESTS_CUDA_EMULATE_CUDA_H

#include <cuda_runtime.h>
#include <stdint.h>
#include <string.h>

#include <tuple>
#include <type_traits>

#include "cuda/kernel.h"
#include "host/hostdevice.h"

extern "C" {
#include "tests/cuda/emulate_memory.h"
#include "tests/cuda/emulate_runtime.h"
#include "tests/cuda/emulate_threads.h"
}

#ifdef VJ_EMULATE_PTX
#include "tests/cuda/ptx/kernels.h"
#endif

#undef __launch_bounds__
#undef __grid_constant__
#undef __shared__
#define __launch_bounds__(...)
#define __grid_constant__
/* A block's, since blocks run one after the other; see vj_emulate_grid(). */
#define __shared__      static VJ_EMULATE_SHARED
#define __syncthreads() vj_emulate_barrier(VJ_EMULATE_BLOCK, __FILE__, __LINE__)
#define __syncwarp()    vj_emulate_barrier(VJ_EMULATE_WARP, __FILE__, __LINE__)
#define threadIdx       (*vj_emulate_thread())
#define blockIdx        (vj_emulate_place.block)
#define blockDim        (vj_emulate_place.threads)
#define gridDim         (vj_emulate_place.grid)

/* What lies between the members of a struct may look like a pointer. */
template <typename Argument> void vj_emulate_check(Argument argument)
{
#ifdef __has_builtin
#if __has_builtin(__builtin_clear_padding)
    __builtin_clear_padding(&argument);
    vj_emulate_check_argument(&argument, sizeof(argument), std::is_pointer<Argument>::value);
#endif
#endif
}

template <typename... Parameter, typename... Argument>
void vj_cuda_launch(void (*kernel)(Parameter...), dim3 grid, unsigned threads, cudaStream_t stream,
                    const Argument &...arguments)
{
#ifdef VJ_EMULATE_PTX
    const size_t sizes[] = {sizeof(Parameter)...};
    const vj_ptx_kernel *compiled =
        vj_ptx_find(vj_ptx_source(kernel), sizes, sizeof...(Parameter), threads);
    auto one = [=]() {
        const std::tuple<Parameter...> all(arguments...);
        vj_ptx_shared_bytes = compiled->shared;
        std::apply(
            [=](const auto &...argument) {
                const void *const places[] = {&argument...};
                compiled->run(places);
            },
            all);
    };
#else
    auto one = [=]() { kernel(arguments...); };
#endif
    static_assert(std::is_trivially_copyable<decltype(one)>::value,
                  "arguments are copied as bytes");
    static_assert((sizeof(Parameter) + ...) <= 4096, "all that a launch takes");
    (vj_emulate_check(arguments), ...);
    vj_emulate_launch(
        grid, threads, stream, [](void *context) { (*static_cast<decltype(one) *>(context))(); },
        &one, sizeof(one));
}

/* Of the whole warp: no lane may have left it. */
static inline float vj_emulate_shuffle(unsigned lanes, float value, int mask, const char *file,
                                       int line)
{
    float(*all)[VJ_EMULATE_WARP_WORDS] =
        (float(*)[VJ_EMULATE_WARP_WORDS])vj_emulate_warp(&value, 1, file, line);
    const unsigned lane = threadIdx.x % 32;
    if (lanes != 0xffffffffu)
        vj_emulate_stop("a shuffle of some lanes only", file, line);
    return all[lane ^ (unsigned)mask][0];
}

#define __shfl_xor_sync(lanes, value, mask)                                                        \
    vj_emulate_shuffle((lanes), (value), (mask), __FILE__, __LINE__)

/* Number i of a word: the word itself, or one of two halves. */
static inline float vj_emulate_operand(uint32_t word, int i, bool half)
{
    float single;
    memcpy(&single, &word, sizeof(single));
    return half ? vj_emulate_half((uint16_t)(word >> 16 * i)) : single;
}

/*
 * As PTX lays out mma.m16n8k16 for halves and m16n8k8 for floats; sums in the order of k. What a
 * lane gives the others are the numbers of its words, a's first.
 */
template <bool half>
void vj_emulate_multiply(float d[4], const uint32_t a[4], const uint32_t b[2], const char *file,
                         int line)
{
    constexpr int pair = half ? 2 : 1;
    const int group = threadIdx.x % 32 / 4, member = threadIdx.x % 4;
    float mine[6 * pair];
    for (int i = 0; i < 6 * pair; i++)
        mine[i] = vj_emulate_operand(i < 4 * pair ? a[i / pair] : b[i / pair - 4], i % pair, half);
    const float(*all)[VJ_EMULATE_WARP_WORDS] =
        (const float(*)[VJ_EMULATE_WARP_WORDS])vj_emulate_warp(mine, 6 * pair, file, line);
    for (int i = 0; i < 4; i++) {
        const int row = group + 8 * (i / 2), column = 2 * member + i % 2;
        for (int k = 0; k < 8 * pair; k++) {
            const int lane = k / pair % 4, upper = k / (4 * pair);
            d[i] += all[row % 8 * 4 + lane][(row / 8 + 2 * upper) * pair + k % pair] *
                    all[column * 4 + lane][(4 + upper) * pair + k % pair];
        }
    }
}

template <bool half> void vj_cuda_multiply(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    vj_emulate_multiply<half>(d, a, b, __FILE__, __LINE__);
}

#endif
