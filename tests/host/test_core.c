/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>

#include "host/checked.h"
#include "host/error.h"
#include "host/rng.h"
#include "host/utf8.h"

/* Known-answer vectors of Philox4x32-10 from the Random123 distribution (tests/kat_vectors). */
static void philox_known_answers(void **state)
{
    (void)state;
    struct vj_u32x4 z = vj_philox(0, 0, 0, 0, 0, 0);
    assert_int_equal(z.v[0], 0x6627e8d5);
    assert_int_equal(z.v[1], 0xe169c58d);
    assert_int_equal(z.v[2], 0xbc57ac4c);
    assert_int_equal(z.v[3], 0x9b00dbd8);
    struct vj_u32x4 p =
        vj_philox(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0);
    assert_int_equal(p.v[0], 0xd16cfe09);
    assert_int_equal(p.v[1], 0x94fdcceb);
    assert_int_equal(p.v[2], 0x5001e420);
    assert_int_equal(p.v[3], 0x24126ea1);
}

static void random_below_stays_in_range_and_reaches_both_ends(void **state)
{
    (void)state;
    assert_int_equal(vj_random_below(0, 7), 0);
    assert_int_equal(vj_random_below(UINT32_MAX, 7), 6);
    assert_int_equal(vj_random_below(UINT32_MAX, 1), 0);
    assert_true(vj_random_unit(0) > 0.0);
    assert_true(vj_random_unit(UINT32_MAX) < 1.0);
}

static void error_text_is_prefixed_and_cut(void **state)
{
    (void)state;
    struct vj_error err = {0};
    assert_int_equal(vj_fail(&err, -EINVAL, "field %s is %d", "qf", 101), -EINVAL);
    assert_int_equal(vj_fail_prefix(&err, "file %s", "a.csv"), -EINVAL);
    assert_string_equal(err.text, "file a.csv: field qf is 101");

    char big[4000];
    memset(big, 'b', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    vj_fail(&err, -EIO, "%s", big);
    assert_int_equal(strlen(err.text), VJ_ERROR_TEXT - 1);
    assert_string_equal(err.text + VJ_ERROR_TEXT - 4, "...");
    vj_fail_prefix(&err, "p");
    assert_int_equal(strncmp(err.text, "p: bbb", 6), 0);
    assert_string_equal(err.text + VJ_ERROR_TEXT - 4, "...");
    assert_int_equal(vj_fail(NULL, -ENOMEM, "nobody listens"), -ENOMEM);
}

static void texts_are_not_cut_within_a_character(void **state)
{
    (void)state;
    static const char *const characters[] = {"a", "\xC3\xA4", "\xE5\x9B\xB3", "\xF0\x9F\x96\xBC"};
    for (size_t n = 1; n <= 4; n++) {
        char text[64] = "";
        struct vj_error err = {0};
        for (size_t i = 0; i < 12; i++)
            strcat(text, characters[n - 1]);
        for (size_t most = 0; most < 60; most++)
            assert_int_equal(vj_utf8_cut(text, most), most < 12 * n ? most / n * n : 12 * n);
        for (size_t offset = 0; offset < n; offset++) {
            char big[2 * VJ_ERROR_TEXT] = "";
            memset(big, '-', offset);
            for (size_t at = offset; at + n < sizeof(big); at += n)
                memcpy(big + at, characters[n - 1], n + 1);
            vj_fail(&err, -EIO, "%s", big);
            const size_t kept = strlen(err.text) - 3;
            assert_string_equal(err.text + kept, "...");
            assert_int_equal((kept - offset) % n, 0);
            assert_true(kept + 3 + n > VJ_ERROR_TEXT - 1);
        }
    }
    assert_int_equal(vj_utf8_cut("\x80\x80\x80\x80\x80\x80\x80\x80", 5), 5); /* no UTF-8 */
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    size_t out;
    assert_false(vj_size_mul((size_t)1 << 40, (size_t)1 << 40, &out));
    assert_true(vj_size_mul(3, 5, &out));
    assert_int_equal(out, 15);
    assert_false(vj_size_add((size_t)-1, 1, &out));
    assert_null(vj_alloc_aligned((size_t)1 << 40, (size_t)1 << 40));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(random_below_stays_in_range_and_reaches_both_ends),
        cmocka_unit_test(error_text_is_prefixed_and_cut),
        cmocka_unit_test(texts_are_not_cut_within_a_character),
        cmocka_unit_test(sizes_that_overflow_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
