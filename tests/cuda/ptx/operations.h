/* SPDX-License-Identifier: MIT */
/*
 * PTX for a C++ compiler: what the operations mean of which nvcc made a kernel
 * (NVIDIA, Parallel Thread Execution ISA, "Instruction Set"). translate.c writes the calls.
 *
 * With these functions in its place a kernel runs as its source does under emulate_cuda.h, with the
 * same coroutines, barriers and exchanges of warps, but with what nvcc, its libraries of
 * mathematical functions and code inside __CUDA_ARCH__ made of it. Besides, every access must lie
 * on a boundary of its size, as a GPU wants it, and within the shared memory that the kernel
 * declares.
 *
 * An operation that nothing here is about ends the program with its name when a thread comes to it.
 */
#ifndef VJ_TESTS_CUDA_PTX_OPERATIONS_H
#define VJ_TESTS_CUDA_PTX_OPERATIONS_H

#include <fenv.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <type_traits>

#include "tests/cuda/ptx/kernels.h"

#define VJ_PTX_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace vj_ptx
{

[[noreturn]] inline void unknown(const char *operation)
{
    char text[128];
    snprintf(text, sizeof(text), "`%s` is missing in tests/cuda/ptx/operations.h", operation);
    vj_emulate_stop(text, "operations.h", 0);
}

namespace known
{

/* ---- bits and places ---- */

template <typename To, typename From> inline To same_bits(From from)
{
    static_assert(sizeof(To) == sizeof(From), "a register of another size");
    To to;
    memcpy(&to, &from, sizeof(to));
    return to;
}

inline float single_bits(uint64_t bits)
{
    return same_bits<float>((uint32_t)bits);
}

inline double double_bits(uint64_t bits)
{
    return same_bits<double>(bits);
}

#define PTX_PLACE(name, value)                                                                     \
    inline uint32_t name()                                                                         \
    {                                                                                              \
        return value;                                                                              \
    }
PTX_PLACE(tid_x, vj_emulate_thread()->x)
PTX_PLACE(tid_y, 0)
PTX_PLACE(tid_z, 0)
PTX_PLACE(ntid_x, vj_emulate_place.threads.x)
PTX_PLACE(ntid_y, 1)
PTX_PLACE(ntid_z, 1)
PTX_PLACE(ctaid_x, vj_emulate_place.block.x)
PTX_PLACE(ctaid_y, vj_emulate_place.block.y)
PTX_PLACE(ctaid_z, vj_emulate_place.block.z)
PTX_PLACE(nctaid_x, vj_emulate_place.grid.x)
PTX_PLACE(nctaid_y, vj_emulate_place.grid.y)
PTX_PLACE(nctaid_z, vj_emulate_place.grid.z)

/* ---- integers ---- */

/* d = expression of a and b, and of c, as numbers of `type` in registers of `bits`. */
#define PTX_2(name, bits, type, expression)                                                        \
    inline void name(bits &d, bits x, bits y)                                                      \
    {                                                                                              \
        const type a = (type)x, b = (type)y;                                                       \
        d = (bits)(expression);                                                                    \
    }
#define PTX_1(name, bits, type, expression)                                                        \
    inline void name(bits &d, bits x)                                                              \
    {                                                                                              \
        const type a = (type)x;                                                                    \
        d = (bits)(expression);                                                                    \
    }
#define PTX_COMPARE(name, bits, type, expression)                                                  \
    inline void name(bool &d, bits x, bits y)                                                      \
    {                                                                                              \
        const type a = (type)x, b = (type)y;                                                       \
        d = expression;                                                                            \
    }
#define PTX_SELECT(name, bits)                                                                     \
    inline void name(bits &d, bits a, bits b, bool first)                                          \
    {                                                                                              \
        d = first ? a : b;                                                                         \
    }

/* Sums, differences and products of as many bits are the same with and without a sign. */
#define PTX_INTEGER(t, bits, type)                                                                 \
    PTX_2(add_##t, bits, bits, a + b)                                                              \
    PTX_2(sub_##t, bits, bits, a - b)                                                              \
    PTX_2(mul_lo_##t, bits, uint64_t, a *b)                                                        \
    PTX_2(div_##t, bits, type, a / b)                                                              \
    PTX_2(rem_##t, bits, type, a % b)                                                              \
    PTX_2(min_##t, bits, type, a < b ? a : b)                                                      \
    PTX_2(max_##t, bits, type, a > b ? a : b)                                                      \
    PTX_COMPARE(setp_eq_##t, bits, type, a == b)                                                   \
    PTX_COMPARE(setp_ne_##t, bits, type, a != b)                                                   \
    PTX_COMPARE(setp_lt_##t, bits, type, a < b)                                                    \
    PTX_COMPARE(setp_le_##t, bits, type, a <= b)                                                   \
    PTX_COMPARE(setp_gt_##t, bits, type, a > b)                                                    \
    PTX_COMPARE(setp_ge_##t, bits, type, a >= b)                                                   \
    PTX_SELECT(selp_##t, bits)                                                                     \
    inline void mov_##t(bits &d, bits a)                                                           \
    {                                                                                              \
        d = a;                                                                                     \
    }                                                                                              \
    inline void shr_##t(bits &d, bits x, uint32_t n)                                               \
    {                                                                                              \
        const uint32_t most = 8 * sizeof(bits) - 1;                                                \
        const type a = (type)x;                                                                    \
        d = (bits)(n <= most ? a >> n : a >> most >> 1);                                           \
    }                                                                                              \
    inline void mad_lo_##t(bits &d, bits a, bits b, bits c)                                        \
    {                                                                                              \
        d = (bits)((uint64_t)a * b + c);                                                           \
    }

PTX_INTEGER(s16, uint16_t, int16_t)
PTX_INTEGER(u16, uint16_t, uint16_t)
PTX_INTEGER(s32, uint32_t, int32_t)
PTX_INTEGER(u32, uint32_t, uint32_t)
PTX_INTEGER(s64, uint64_t, int64_t)
PTX_INTEGER(u64, uint64_t, uint64_t)

#define PTX_SIGNED(t, bits, type)                                                                  \
    PTX_1(neg_##t, bits, bits, 0 - a)                                                              \
    PTX_1(abs_##t, bits, type, a < 0 ? 0 - (bits)a : (bits)a)
PTX_SIGNED(s16, uint16_t, int16_t)
PTX_SIGNED(s32, uint32_t, int32_t)
PTX_SIGNED(s64, uint64_t, int64_t)

#define PTX_WIDE(t, wide, bits, type, wide_type)                                                   \
    inline void mul_wide_##t(wide &d, bits a, bits b)                                              \
    {                                                                                              \
        d = (wide)((wide_type)(type)a * (wide_type)(type)b);                                       \
    }                                                                                              \
    inline void mul_hi_##t(bits &d, bits a, bits b)                                                \
    {                                                                                              \
        d = (bits)(((wide_type)(type)a * (wide_type)(type)b) >> 8 * sizeof(bits));                 \
    }                                                                                              \
    inline void mad_wide_##t(wide &d, bits a, bits b, wide c)                                      \
    {                                                                                              \
        d = (wide)((wide_type)(type)a * (wide_type)(type)b) + c;                                   \
    }
PTX_WIDE(s16, uint32_t, uint16_t, int16_t, int32_t)
PTX_WIDE(u16, uint32_t, uint16_t, uint16_t, uint32_t)
PTX_WIDE(s32, uint64_t, uint32_t, int32_t, int64_t)
PTX_WIDE(u32, uint64_t, uint32_t, uint32_t, uint64_t)

inline void mul_hi_u64(uint64_t &d, uint64_t a, uint64_t b)
{
    d = (uint64_t)((__extension__(unsigned __int128) a * b) >> 64);
}

#define PTX_BITS(t, bits)                                                                          \
    PTX_2(and_##t, bits, bits, a &b)                                                               \
    PTX_2(or_##t, bits, bits, a | b)                                                               \
    PTX_2(xor_##t, bits, bits, a ^ b)                                                              \
    PTX_1(not_##t, bits, bits, ~a)                                                                 \
    PTX_COMPARE(setp_eq_##t, bits, bits, a == b)                                                   \
    PTX_COMPARE(setp_ne_##t, bits, bits, a != b)                                                   \
    PTX_SELECT(selp_##t, bits)                                                                     \
    inline void shl_##t(bits &d, bits a, uint32_t n)                                               \
    {                                                                                              \
        d = n < 8 * sizeof(bits) ? (bits)(a << n) : 0;                                             \
    }
PTX_BITS(b16, uint16_t)
PTX_BITS(b32, uint32_t)
PTX_BITS(b64, uint64_t)

PTX_2(and_pred, bool, bool, a &b)
PTX_2(or_pred, bool, bool, a | b)
PTX_2(xor_pred, bool, bool, a ^ b)
PTX_1(not_pred, bool, bool, !a)
PTX_1(mov_pred, bool, bool, a)

inline void clz_b32(uint32_t &d, uint32_t a)
{
    d = a ? (uint32_t)__builtin_clz(a) : 32;
}

inline void popc_b32(uint32_t &d, uint32_t a)
{
    d = (uint32_t)__builtin_popcount(a);
}

/* b with `count` bits of a from bit `first` on. */
template <typename Bits>
inline void insert_bits(Bits &d, Bits a, Bits b, uint32_t first, uint32_t count)
{
    d = b;
    for (uint32_t i = 0; i < count && first + i < 8 * sizeof(Bits); i++) {
        const Bits bit = (Bits)1 << (first + i);
        d = (d & ~bit) | (a >> i & 1 ? bit : 0);
    }
}

inline void bfi_b32(uint32_t &d, uint32_t a, uint32_t b, uint32_t first, uint32_t count)
{
    insert_bits(d, a, b, first & 255, count & 255);
}

inline void bfi_b64(uint64_t &d, uint64_t a, uint64_t b, uint32_t first, uint32_t count)
{
    insert_bits(d, a, b, first & 255, count & 255);
}

/* Bytes of b:a, each one that a digit of `which` says, or its sign alone. */
inline void prmt_b32(uint32_t &d, uint32_t a, uint32_t b, uint32_t which)
{
    const uint64_t bytes = (uint64_t)b << 32 | a;
    d = 0;
    for (int i = 0; i < 4; i++) {
        const uint32_t digit = which >> 4 * i & 15;
        const uint8_t byte = (uint8_t)(bytes >> 8 * (digit & 7));
        d |= (uint32_t)(digit & 8 ? (byte & 128 ? 255 : 0) : byte) << 8 * i;
    }
}

/* c and the products of a's two halves with the lower two bytes of b. */
inline void dp2a_lo_s32_u32(uint32_t &d, uint32_t a, uint32_t b, uint32_t c)
{
    const int32_t low = (int16_t)a, high = (int16_t)(a >> 16);
    d = c + (uint32_t)(low * (int32_t)(b & 255)) + (uint32_t)(high * (int32_t)(b >> 8 & 255));
}

inline void dp2a_lo_u32_u32(uint32_t &d, uint32_t a, uint32_t b, uint32_t c)
{
    d = c + (a & 0xffff) * (b & 255) + (a >> 16) * (b >> 8 & 255);
}

/* ---- floating-point numbers ---- */

/* The other one where one is no number; -0 is less than +0. */
template <typename Float> inline Float smaller(Float a, Float b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) ? b : a;
    return a < b || (a == b && signbit(a)) ? a : b;
}

template <typename Float> inline Float larger(Float a, Float b)
{
    return -smaller(-a, -b);
}

inline float fused(float a, float b, float c)
{
    return fmaf(a, b, c);
}

inline double fused(double a, double b, double c)
{
    return fma(a, b, c);
}

#define PTX_FLOAT(t, type)                                                                         \
    PTX_2(add_rn_##t, type, type, a + b)                                                           \
    PTX_2(sub_rn_##t, type, type, a - b)                                                           \
    PTX_2(mul_rn_##t, type, type, a *b)                                                            \
    PTX_2(div_rn_##t, type, type, a / b)                                                           \
    PTX_1(rcp_rn_##t, type, type, (type)1 / a)                                                     \
    PTX_1(sqrt_rn_##t, type, type, sqrt(a))                                                        \
    PTX_1(abs_##t, type, type, fabs(a))                                                            \
    PTX_1(neg_##t, type, type, -a)                                                                 \
    PTX_1(mov_##t, type, type, a)                                                                  \
    PTX_2(min_##t, type, type, smaller(a, b))                                                      \
    PTX_2(max_##t, type, type, larger(a, b))                                                       \
    PTX_COMPARE(setp_eq_##t, type, type, a == b)                                                   \
    PTX_COMPARE(setp_lt_##t, type, type, a < b)                                                    \
    PTX_COMPARE(setp_le_##t, type, type, a <= b)                                                   \
    PTX_COMPARE(setp_gt_##t, type, type, a > b)                                                    \
    PTX_COMPARE(setp_ge_##t, type, type, a >= b)                                                   \
    PTX_COMPARE(setp_ne_##t, type, type, a<b || a> b)                                              \
    PTX_COMPARE(setp_equ_##t, type, type, !(a < b || a > b))                                       \
    PTX_COMPARE(setp_neu_##t, type, type, a != b)                                                  \
    PTX_COMPARE(setp_ltu_##t, type, type, !(a >= b))                                               \
    PTX_COMPARE(setp_leu_##t, type, type, !(a > b))                                                \
    PTX_COMPARE(setp_gtu_##t, type, type, !(a <= b))                                               \
    PTX_COMPARE(setp_geu_##t, type, type, !(a < b))                                                \
    PTX_COMPARE(setp_num_##t, type, type, a == a && b == b)                                        \
    PTX_COMPARE(setp_nan_##t, type, type, a != a || b != b)                                        \
    PTX_SELECT(selp_##t, type)                                                                     \
    inline void fma_rn_##t(type &d, type a, type b, type c)                                        \
    {                                                                                              \
        d = fused(a, b, c);                                                                        \
    }
PTX_FLOAT(f32, float)
PTX_FLOAT(f64, double)
PTX_2(max_NaN_f32, float, float, a != a || b != b ? NAN : larger(a, b))

/* Rounded down. */
inline void fma_rm_f32(float &d, float a, float b, float c)
{
    const int before = fegetround();
    fesetround(FE_DOWNWARD);
    const volatile float x = a, y = b, z = c; /* read in between */
    const volatile float sum = fmaf(x, y, z);
    fesetround(before);
    d = sum;
}

inline float flushed(float a)
{
    return fpclassify(a) == FP_SUBNORMAL ? copysignf(0, a) : a;
}

/* A GPU's has an error of up to two units in the last place. */
inline void ex2_approx_ftz_f32(float &d, float a)
{
    d = flushed(exp2f(flushed(a)));
}

/* The upper word of 1 / a; a GPU's may differ in its last bits. */
inline void rcp_approx_ftz_f64(double &d, double a)
{
    d = double_bits(same_bits<uint64_t>(1 / a) >> 32 << 32);
}

/* ---- moves and conversions ---- */

template <typename To, typename From> inline void mov_b32(To &d, From a)
{
    d = same_bits<To>(a);
}

template <typename To, typename From> inline void mov_b64(To &d, From a)
{
    d = same_bits<To>(a);
}

inline void mov_b32(uint16_t &low, uint16_t &high, uint32_t a)
{
    low = (uint16_t)a;
    high = (uint16_t)(a >> 16);
}

inline void mov_b32(uint32_t &d, uint16_t low, uint16_t high)
{
    d = (uint32_t)high << 16 | low;
}

template <typename From> inline void mov_b64(uint32_t &low, uint32_t &high, From a)
{
    low = (uint32_t)same_bits<uint64_t>(a);
    high = (uint32_t)(same_bits<uint64_t>(a) >> 32);
}

template <typename To> inline void mov_b64(To &d, uint32_t low, uint32_t high)
{
    d = same_bits<To>((uint64_t)high << 32 | low);
}

/* A register may be wider than what goes into it; that is extended by its sign then. */
#define PTX_CONVERT(to, from, to_type, from_type)                                                  \
    template <typename To, typename From> inline void cvt_##to##_##from(To &d, From a)             \
    {                                                                                              \
        d = (To)(to_type)(from_type)a;                                                             \
    }
#define PTX_CONVERT_FROM(from, type)                                                               \
    PTX_CONVERT(u8, from, uint8_t, type)                                                           \
    PTX_CONVERT(s8, from, int8_t, type)                                                            \
    PTX_CONVERT(u16, from, uint16_t, type)                                                         \
    PTX_CONVERT(s16, from, int16_t, type)                                                          \
    PTX_CONVERT(u32, from, uint32_t, type)                                                         \
    PTX_CONVERT(s32, from, int32_t, type)                                                          \
    PTX_CONVERT(u64, from, uint64_t, type)                                                         \
    PTX_CONVERT(s64, from, int64_t, type)                                                          \
    PTX_CONVERT(rn_f32, from, float, type)                                                         \
    PTX_CONVERT(rn_f64, from, double, type)
PTX_CONVERT_FROM(u8, uint8_t)
PTX_CONVERT_FROM(s8, int8_t)
PTX_CONVERT_FROM(u16, uint16_t)
PTX_CONVERT_FROM(s16, int16_t)
PTX_CONVERT_FROM(u32, uint32_t)
PTX_CONVERT_FROM(s32, int32_t)
PTX_CONVERT_FROM(u64, uint64_t)
PTX_CONVERT_FROM(s64, int64_t)

inline void cvt_f64_f32(double &d, float a)
{
    d = a;
}

inline void cvt_rn_f32_f64(float &d, double a)
{
    d = (float)a;
}

inline void cvt_sat_f32_f32(float &d, float a)
{
    d = a > 0 ? (a < 1 ? a : 1) : 0;
}

/* Towards zero; the nearest there is where that is too large, 0 of what is no number. */
#define PTX_TRUNCATE(to, from, bits, type, least, most)                                            \
    inline void cvt_rzi_##to##_##from(bits &d, type a)                                             \
    {                                                                                              \
        d = (bits)(isnan(a)             ? 0                                                        \
                   : a <= (type)(least) ? least                                                    \
                   : a >= (type)(most)  ? most                                                     \
                                        : (int64_t)a);                                              \
    }
PTX_TRUNCATE(s32, f32, uint32_t, float, INT32_MIN, INT32_MAX)
PTX_TRUNCATE(u32, f32, uint32_t, float, 0, UINT32_MAX)
PTX_TRUNCATE(s32, f64, uint32_t, double, INT32_MIN, INT32_MAX)
PTX_TRUNCATE(u32, f64, uint32_t, double, 0, UINT32_MAX)

inline void cvt_f32_f16(float &d, uint16_t a)
{
    d = vj_emulate_half(a);
}

inline void cvt_rn_f16_f32(uint16_t &d, float a)
{
    d = vj_emulate_to_half(a);
}

inline void cvt_rn_f16x2_f32(uint32_t &d, float high, float low)
{
    d = (uint32_t)vj_emulate_to_half(high) << 16 | vj_emulate_to_half(low);
}

/* ---- memory ---- */

inline void stop_unless_aligned(uint64_t address, uint64_t bytes, const char *file, int line)
{
    if (address % bytes)
        vj_emulate_stop("an address that is no multiple of what is taken at once", file, line);
}

/* Addresses of shared memory begin with 0 in each kernel. */
inline unsigned char *shared(uint32_t address, uint64_t bytes, const char *file, int line)
{
    if (address > vj_ptx_shared_bytes || bytes > vj_ptx_shared_bytes - address)
        vj_emulate_stop("beyond the kernel's shared memory", file, line);
    return vj_ptx_shared + address;
}

inline unsigned char *there(uint64_t address, uint64_t, const char *, int)
{
    return (unsigned char *)(uintptr_t)address;
}

#define PTX_SPACE_LOAD(space, address_type, find, t, type)                                         \
    template <typename To> inline void ld_##space##_##t(To &d, address_type address, VJ_PTX_HERE)  \
    {                                                                                              \
        stop_unless_aligned(address, sizeof(type), file, line);                                    \
        d = (To)(*(const type *)find(address, sizeof(type), file, line));                          \
    }                                                                                              \
    template <typename To>                                                                         \
    inline void ld_##space##_v2_##t(To &d, To &e, address_type address, VJ_PTX_HERE)               \
    {                                                                                              \
        stop_unless_aligned(address, 2 * sizeof(type), file, line);                                \
        const type *from = (const type *)find(address, 2 * sizeof(type), file, line);              \
        const To first = (To)from[0], second = (To)from[1];                                        \
        d = first;                                                                                 \
        e = second;                                                                                \
    }                                                                                              \
    template <typename To>                                                                         \
    inline void ld_##space##_v4_##t(To &d, To &e, To &f, To &g, address_type address, VJ_PTX_HERE) \
    {                                                                                              \
        stop_unless_aligned(address, 4 * sizeof(type), file, line);                                \
        const type *from = (const type *)find(address, 4 * sizeof(type), file, line);              \
        const To all[4] = {(To)from[0], (To)from[1], (To)from[2], (To)from[3]};                    \
        d = all[0];                                                                                \
        e = all[1];                                                                                \
        f = all[2];                                                                                \
        g = all[3];                                                                                \
    }

#define PTX_SPACE_STORE(space, address_type, find, t, type)                                        \
    template <typename From>                                                                       \
    inline void st_##space##_##t(address_type address, From a, VJ_PTX_HERE)                        \
    {                                                                                              \
        stop_unless_aligned(address, sizeof(type), file, line);                                    \
        *(type *)find(address, sizeof(type), file, line) = (type)a;                                \
    }                                                                                              \
    template <typename From>                                                                       \
    inline void st_##space##_v2_##t(address_type address, From a, From b, VJ_PTX_HERE)             \
    {                                                                                              \
        stop_unless_aligned(address, 2 * sizeof(type), file, line);                                \
        type *to = (type *)find(address, 2 * sizeof(type), file, line);                            \
        to[0] = (type)a;                                                                           \
        to[1] = (type)b;                                                                           \
    }                                                                                              \
    template <typename From>                                                                       \
    inline void st_##space##_v4_##t(address_type address, From a, From b, From c, From e,          \
                                    VJ_PTX_HERE)                                                   \
    {                                                                                              \
        stop_unless_aligned(address, 4 * sizeof(type), file, line);                                \
        type *to = (type *)find(address, 4 * sizeof(type), file, line);                            \
        to[0] = (type)a;                                                                           \
        to[1] = (type)b;                                                                           \
        to[2] = (type)c;                                                                           \
        to[3] = (type)e;                                                                           \
    }

#define PTX_MEMORY(t, type)                                                                        \
    PTX_SPACE_LOAD(global, uint64_t, there, t, type)                                               \
    PTX_SPACE_LOAD(global_nc, uint64_t, there, t, type)                                            \
    PTX_SPACE_LOAD(volatile_global, uint64_t, there, t, type)                                      \
    PTX_SPACE_LOAD(shared, uint32_t, shared, t, type)                                              \
    PTX_SPACE_LOAD(param, uint64_t, there, t, type)                                                \
    PTX_SPACE_LOAD(local, uint64_t, there, t, type)                                                \
    PTX_SPACE_STORE(global, uint64_t, there, t, type)                                              \
    PTX_SPACE_STORE(volatile_global, uint64_t, there, t, type)                                     \
    PTX_SPACE_STORE(shared, uint32_t, shared, t, type)                                             \
    PTX_SPACE_STORE(local, uint64_t, there, t, type)                                               \
    template <typename To> inline void ld_##t(To &d, uint64_t address, VJ_PTX_HERE)                \
    {                                                                                              \
        ld_global_##t(d, address, file, line);                                                     \
    }                                                                                              \
    template <typename From> inline void st_##t(uint64_t address, From a, VJ_PTX_HERE)             \
    {                                                                                              \
        st_global_##t(address, a, file, line);                                                     \
    }
PTX_MEMORY(u8, uint8_t)
PTX_MEMORY(s8, int8_t)
PTX_MEMORY(u16, uint16_t)
PTX_MEMORY(s16, int16_t)
PTX_MEMORY(u32, uint32_t)
PTX_MEMORY(s32, int32_t)
PTX_MEMORY(u64, uint64_t)
PTX_MEMORY(s64, int64_t)
PTX_MEMORY(f32, float)
PTX_MEMORY(f64, double)

/* A pointer to anywhere is the host's. */
inline void cvta_to_global_u64(uint64_t &d, uint64_t a)
{
    d = a;
}

inline void cvta_local_u64(uint64_t &d, uint64_t a)
{
    d = a;
}

inline void cvta_shared_u64(uint64_t &d, uint64_t a)
{
    d = (uint64_t)(uintptr_t)(vj_ptx_shared + a);
}

/* Threads run one after the other: nothing comes between. */
#define PTX_ATOMIC(name, address_type, find, bits, expression)                                     \
    inline void atom_##name(bits &d, address_type address, bits b, VJ_PTX_HERE)                    \
    {                                                                                              \
        stop_unless_aligned(address, sizeof(bits), file, line);                                    \
        bits *place = (bits *)find(address, sizeof(bits), file, line);                             \
        const bits a = *place;                                                                     \
        *place = expression;                                                                       \
        d = a;                                                                                     \
    }
PTX_ATOMIC(global_add_u32, uint64_t, there, uint32_t, a + b)
PTX_ATOMIC(global_add_u64, uint64_t, there, uint64_t, a + b)
PTX_ATOMIC(global_min_u32, uint64_t, there, uint32_t, a < b ? a : b)
PTX_ATOMIC(global_or_b32, uint64_t, there, uint32_t, a | b)
PTX_ATOMIC(shared_or_b32, uint32_t, shared, uint32_t, a | b)

/* ---- blocks and warps ---- */

inline void bar_sync(uint32_t barrier, VJ_PTX_HERE)
{
    if (barrier)
        vj_emulate_stop("a barrier other than 0", file, line);
    vj_emulate_barrier(VJ_EMULATE_BLOCK, file, line);
}

inline void stop_unless_whole_warp(uint32_t lanes, const char *file, int line)
{
    if (lanes != 0xffffffffu)
        vj_emulate_stop("something of some lanes of a warp only", file, line);
}

inline void bar_warp_sync(uint32_t lanes, VJ_PTX_HERE)
{
    stop_unless_whole_warp(lanes, file, line);
    vj_emulate_barrier(VJ_EMULATE_WARP, file, line);
}

inline void shfl_sync_bfly_b32(uint32_t &d, bool &inside, uint32_t a, uint32_t mask, uint32_t clamp,
                               uint32_t lanes, VJ_PTX_HERE)
{
    stop_unless_whole_warp(lanes, file, line);
    if (mask > 31 || clamp != 31)
        vj_emulate_stop("a shuffle within parts of a warp", file, line);
    const uint32_t(*all)[VJ_EMULATE_WARP_WORDS] =
        (const uint32_t(*)[VJ_EMULATE_WARP_WORDS])vj_emulate_warp(&a, 1, file, line);
    d = all[tid_x() % 32 ^ mask][0];
    inside = true;
}

inline void shfl_sync_bfly_b32(uint32_t &d, uint32_t a, uint32_t mask, uint32_t clamp,
                               uint32_t lanes, VJ_PTX_HERE)
{
    bool inside;
    shfl_sync_bfly_b32(d, inside, a, mask, clamp, lanes, file, line);
}

inline void mma_sync_aligned_m16n8k16_row_col_f32_f16_f16_f32(float &d0, float &d1, float &d2,
                                                              float &d3, uint32_t a0, uint32_t a1,
                                                              uint32_t a2, uint32_t a3, uint32_t b0,
                                                              uint32_t b1, float c0, float c1,
                                                              float c2, float c3, VJ_PTX_HERE)
{
    const uint32_t a[4] = {a0, a1, a2, a3}, b[2] = {b0, b1};
    float d[4] = {c0, c1, c2, c3};
    vj_emulate_multiply<true>(d, a, b, file, line);
    d0 = d[0];
    d1 = d[1];
    d2 = d[2];
    d3 = d[3];
}

/* Of the operands tf32's 19 bits are looked at. */
inline void mma_sync_aligned_m16n8k8_row_col_f32_tf32_tf32_f32(
    float &d0, float &d1, float &d2, float &d3, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
    uint32_t b0, uint32_t b1, float c0, float c1, float c2, float c3, VJ_PTX_HERE)
{
    const uint32_t kept = ~0u << 13;
    const uint32_t a[4] = {a0 & kept, a1 & kept, a2 & kept, a3 & kept},
                   b[2] = {b0 & kept, b1 & kept};
    float d[4] = {c0, c1, c2, c3};
    vj_emulate_multiply<false>(d, a, b, file, line);
    d0 = d[0];
    d1 = d[1];
    d2 = d[2];
    d3 = d[3];
}

} // namespace known
} // namespace vj_ptx

#endif
