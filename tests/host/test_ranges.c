/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <limits.h>

#include "host/ranges.h"

static void lists_are_sets(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int in[4], out[4];
        size_t ranges;
    } cases[] = {
        {"7", {7, 7, 7, 7}, {6, 8, 0, INT_MAX}, 1},
        {"1,35,90-100", {1, 35, 90, 100}, {2, 34, 89, 101}, 3},
        {"90-100,35,1", {1, 35, 95, 100}, {0, 36, 89, 101}, 3},
        {"3-4,5-6", {3, 4, 5, 6}, {1, 2, 7, 8}, 2},
        {"0-2147483647", {0, 1, 1000000000, INT_MAX}, {-1, -2, -3, INT_MIN}, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_ranges ranges;
        assert_int_equal(vj_ranges_parse(&ranges, cases[i].text, 0, INT_MAX), 0);
        assert_int_equal(ranges.count, cases[i].ranges);
        for (size_t k = 0; k < 4; k++) {
            assert_true(vj_ranges_has(&ranges, cases[i].in[k]));
            assert_false(vj_ranges_has(&ranges, cases[i].out[k]));
        }
        vj_ranges_free(&ranges);
        assert_false(vj_ranges_has(&ranges, cases[i].in[0]));
    }
}

static void what_is_no_list_of_different_numbers_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",      ",",     "1,",      ",1",   "1,,2",  "a",          "1a",
        "1-",    "-1",    "5-3",     "1--3", "1-2-3", "7,7",        "1-5,3",
        "3,1-5", "1-5,5", "0",       "101",  "1-101", "2147483648", "99999999999999999999",
        "1 - 2", "1;2",   "1-5,2-3", "0x1",  "1.5",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_ranges ranges;
        if (vj_ranges_parse(&ranges, cases[i], 1, 100) != -EINVAL)
            fail_msg("'%s' was taken", cases[i]);
        assert_null(ranges.range);
        assert_int_equal(ranges.count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_sets),
        cmocka_unit_test(what_is_no_list_of_different_numbers_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
