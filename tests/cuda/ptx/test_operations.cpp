/* SPDX-License-Identifier: MIT */
/*
 * The corners of PTX's operations, as its description has them ("Instruction Set"); what is within
 * them the suites see, whose kernels are made of these operations.
 *
 * With the name of a fault: that one, which has to end the program with a sentence.
 */
extern "C" {
#include "tests/vj_test.h"
}

#include "tests/cuda/ptx/operations.h"

namespace vj_ptx
{

template <typename... Any> static void never_heard_of(const Any &...)
{
    unknown("never.heard.of");
}

namespace known
{

static void shifts_end_at_the_register(void **)
{
    uint32_t d;
    shl_b32(d, 1, 31);
    assert_int_equal(d, 0x80000000u);
    shl_b32(d, 1, 32);
    assert_int_equal(d, 0);
    shr_u32(d, 0x80000000u, 31);
    assert_int_equal(d, 1);
    shr_u32(d, 0x80000000u, 33);
    assert_int_equal(d, 0);
    shr_s32(d, 0x80000000u, 40);
    assert_int_equal(d, 0xffffffffu);
}

static void products_have_signs_where_they_are_wide(void **)
{
    uint32_t d;
    uint64_t e;
    mul_wide_s32(e, (uint32_t)-3, 5);
    assert_true(e == (uint64_t)-15);
    mul_wide_u32(e, (uint32_t)-3, 5);
    assert_true(e == 0x4fffffff1u);
    mul_hi_s32(d, 0x55555556, (uint32_t)-9); /* a division by three */
    assert_int_equal(d, (uint32_t)-3 - 1);
    mul_hi_u64(e, ~(uint64_t)0, ~(uint64_t)0);
    assert_true(e == ~(uint64_t)1);
    mul_wide_s16(d, (uint16_t)-2, 3);
    assert_int_equal(d, (uint32_t)-6);
    div_s32(d, (uint32_t)-7, 2);
    assert_int_equal(d, (uint32_t)-3);
    rem_s32(d, (uint32_t)-7, 2);
    assert_int_equal(d, (uint32_t)-1);
    abs_s32(d, 0x80000000u);
    assert_int_equal(d, 0x80000000u);
}

static void bits_are_put_and_picked(void **)
{
    uint32_t d;
    uint64_t e;
    bfi_b32(d, 0xab, 0xffffffff, 8, 8);
    assert_int_equal(d, 0xffffabff);
    bfi_b32(d, 7, 0, 30, 8);
    assert_int_equal(d, 0xc0000000);
    bfi_b64(e, 1, 0, 63, 1);
    assert_true(e == (uint64_t)1 << 63);
    prmt_b32(d, 0x33221100, 0x77665544, 0x7604);
    assert_int_equal(d, 0x77660044);
    prmt_b32(d, 0x80, 0x7f00, 0x85); /* 8: the sign of byte 0 */
    assert_int_equal(d, 0x8080ff7f);
    clz_b32(d, 0);
    assert_int_equal(d, 32);
    popc_b32(d, 0xf0f);
    assert_int_equal(d, 8);
    dp2a_lo_s32_u32(d, 0x0002ffff, 0x63c8ff0a, 100); /* -1 * 10 + 2 * 255 */
    assert_int_equal(d, 600);
    dp2a_lo_u32_u32(d, 0x0002ffff, 0x63c8ff0a, 100);
    assert_int_equal(d, 100 + 65535 * 10 + 2 * 255);
}

static void what_is_no_number_goes_its_way(void **)
{
    float d;
    bool p;
    min_f32(d, NAN, 1);
    assert_true(d == 1);
    max_f32(d, 1, NAN);
    assert_true(d == 1);
    max_f32(d, NAN, NAN);
    assert_true(isnan(d));
    max_NaN_f32(d, 1, NAN);
    assert_true(isnan(d));
    max_NaN_f32(d, NAN, 1);
    assert_true(isnan(d));
    max_NaN_f32(d, -2, -1);
    assert_true(d == -1);
    max_NaN_f32(d, -0.0f, 0.0f);
    assert_true(d == 0 && !signbit(d));
    min_f32(d, 0.0f, -0.0f);
    assert_true(d == 0 && signbit(d));
    max_f32(d, -0.0f, 0.0f);
    assert_true(d == 0 && !signbit(d));
    setp_lt_f32(p, NAN, 1);
    assert_false(p);
    setp_ltu_f32(p, NAN, 1);
    assert_true(p);
    setp_ne_f32(p, NAN, 1);
    assert_false(p);
    setp_neu_f32(p, NAN, 1);
    assert_true(p);
    setp_equ_f32(p, NAN, 1);
    assert_true(p);
}

static void conversions_stay_in_range(void **)
{
    uint32_t d;
    float f;
    cvt_rzi_s32_f32(d, 3e9f);
    assert_int_equal(d, 0x7fffffff);
    cvt_rzi_s32_f32(d, -3e9f);
    assert_int_equal(d, 0x80000000u);
    cvt_rzi_s32_f32(d, -2.9f);
    assert_int_equal(d, (uint32_t)-2);
    cvt_rzi_u32_f32(d, -1.5f);
    assert_int_equal(d, 0);
    cvt_rzi_u32_f32(d, 5e9f);
    assert_int_equal(d, 0xffffffffu);
    cvt_rzi_s32_f64(d, NAN);
    assert_int_equal(d, 0);
    cvt_sat_f32_f32(f, NAN);
    assert_true(f == 0);
    cvt_sat_f32_f32(f, 7);
    assert_true(f == 1);
    cvt_s32_s16(d, (uint16_t)0x8000);
    assert_int_equal(d, 0xffff8000u);
    cvt_u32_u16(d, (uint16_t)0x8000);
    assert_int_equal(d, 0x8000);
    cvt_rn_f16x2_f32(d, 1, -2);
    assert_int_equal(d, 0x3c00c000);
}

static void rounding_has_its_direction(void **)
{
    float d;
    fma_rn_f32(d, 1, 0x1p-24f, 1); /* halfway: to even */
    assert_true(d == 1);
    fma_rn_f32(d, 3, 0x1p-24f, 1);
    assert_true(d == 1 + 0x1p-22f);
    fma_rm_f32(d, 3, 0x1p-24f, 1);
    assert_true(d == 1 + 0x1p-23f);
    fma_rm_f32(d, -1, 0x1p-60f, 1);
    assert_true(d == 1 - 0x1p-24f);
    fma_rn_f32(d, -1, 0x1p-60f, 1); /* as before */
    assert_true(d == 1);
    ex2_approx_ftz_f32(d, -140);
    assert_true(d == 0);
    ex2_approx_ftz_f32(d, -3);
    assert_true(d == 0.125f);
}

static void fault(const char *name)
{
    static const uint32_t words[8] = {0};
    const uint64_t start = ((uint64_t)(uintptr_t)words + 15) / 16 * 16;
    uint32_t a, b, c, d;
    if (!strcmp(name, "aligned"))
        ld_global_u32(a, start + 2);
    if (!strcmp(name, "vector"))
        ld_global_v4_u32(a, b, c, d, start + 8);
    vj_ptx_shared_bytes = 16;
    if (!strcmp(name, "shared"))
        ld_shared_u32(a, 16);
    if (!strcmp(name, "end"))
        st_shared_v2_u32(16, 1u, 2u);
    if (!strcmp(name, "unknown"))
        never_heard_of(a, b);
    if (!strcmp(name, "lanes"))
        bar_warp_sync(0xffff);
}

} // namespace known
} // namespace vj_ptx

int main(int argc, char **argv)
{
    using namespace vj_ptx::known;
    if (argc > 1) {
        fault(argv[1]);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shifts_end_at_the_register),
        cmocka_unit_test(products_have_signs_where_they_are_wide),
        cmocka_unit_test(bits_are_put_and_picked),
        cmocka_unit_test(what_is_no_number_goes_its_way),
        cmocka_unit_test(conversions_stay_in_range),
        cmocka_unit_test(rounding_has_its_direction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
