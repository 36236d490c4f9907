/* SPDX-License-Identifier: MIT */
/* Where patches lie. */
#include "tests/vj_test.h"

#include <math.h>
#include <stdbool.h>

#include "host/engine.h"
#include "host/patch_place.h"

static void positions_are_uniform_and_reach_both_ends(void **state)
{
    (void)state;
    enum { DRAWS = 40000 };
    static int32_t origin[DRAWS][2];
    int seen[4][3] = {{0}};
    vj_patch_positions(1, "name", 0, false, true, 32 + 2, 32 + 3, 32, DRAWS, origin);
    for (int i = 0; i < DRAWS; i++) {
        vj_assert_in_range(origin[i][0], 0, 3);
        vj_assert_in_range(origin[i][1], 0, 2);
        seen[origin[i][0]][origin[i][1]]++;
    }
    /* 12 cells of 3333 expected; six standard deviations are 331 */
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 3; x++)
            vj_assert_in_range(seen[y][x], 3333 - 331, 3333 + 331);
    static int32_t other[DRAWS][2];
    vj_patch_positions(1, "other", 0, false, true, 34, 35, 32, DRAWS, other);
    assert_memory_not_equal(origin, other, sizeof(origin));
    vj_patch_positions(1, "name", 0, false, false, 34, 35, 32, DRAWS, other);
    assert_memory_not_equal(origin, other, sizeof(origin));
    /* The map's own patches have nothing to do with the picture's: 1 of 3 rows or columns agree. */
    int agree[2][2] = {{0}};
    vj_patch_positions(1, "name", 0, false, true, 34, 34, 32, DRAWS, origin);
    vj_patch_positions(1, "name", 0, false, false, 34, 34, 32, DRAWS, other);
    for (int i = 0; i < DRAWS; i++)
        for (int a = 0; a < 2; a++)
            for (int b = 0; b < 2; b++)
                agree[a][b] += origin[i][a] == other[i][b];
    for (int k = 0; k < 4; k++) /* six standard deviations of 13333 */
        vj_assert_in_range(agree[k / 2][k % 2], 13333 - 566, 13333 + 566);
}

/* Standard deviation, over the pixels of 16x16 blocks, of the number of patches that hold them. */
static double coverage_deviation(bool even, int draw, size_t width, size_t height, int patches)
{
    enum { SIDE = 64, STEP = 16 };
    static int32_t origin[256][2];
    vj_patch_positions(3, "picture", draw, even, true, width, height, SIDE, patches, origin);
    double sum = 0, squares = 0, count = 0;
    for (size_t y = STEP / 2; y < height; y += STEP)
        for (size_t x = STEP / 2; x < width; x += STEP) {
            int held = 0;
            for (int p = 0; p < patches; p++)
                held += (size_t)origin[p][0] <= y && y < (size_t)origin[p][0] + SIDE &&
                        (size_t)origin[p][1] <= x && x < (size_t)origin[p][1] + SIDE;
            sum += held;
            squares += (double)held * held;
            count++;
        }
    return sqrt(squares / count - (sum / count) * (sum / count));
}

static void even_positions_cover_the_picture_better_than_uniform_ones(void **state)
{
    (void)state;
    static const struct {
        size_t width, height;
        int patches;
    } picture[] = {{480, 480, 64}, {768, 512, 64}, {192, 192, 9}, {1920, 1080, 256}};
    for (size_t i = 0; i < sizeof(picture) / sizeof(picture[0]); i++) {
        double even = 0, uniform = 0;
        for (int draw = 0; draw < 10; draw++) {
            even += coverage_deviation(true, draw, picture[i].width, picture[i].height,
                                       picture[i].patches);
            uniform += coverage_deviation(false, draw, picture[i].width, picture[i].height,
                                          picture[i].patches);
        }
        assert_true(even < 0.75 * uniform);
    }
}

/* In Python: s = 2**32 / g, g the root of g**3 = g + 1; floor(((s * p + shift) % 2**32) * n /
 * 2**32)
 * - 32, clamped to [0, n - 64]. */
static void even_positions_are_those_of_a_second_implementation(void **state)
{
    (void)state;
    static const int32_t want[6][2] = {{0, 681},   {369, 350}, {243, 20},
                                       {118, 457}, {0, 127},   {379, 565}};
    const uint32_t shift[2] = {123456789, 3987654321};
    for (uint32_t p = 0; p < 6; p++) {
        int32_t origin[2];
        vj_place_even(origin, shift, p, 768, 512, 64);
        assert_int_equal(origin[0], want[p][0]);
        assert_int_equal(origin[1], want[p][1]);
    }
    int32_t only[2];
    vj_place_even(only, shift, 7, 64, 64, 64);
    assert_int_equal(only[0], 0);
    assert_int_equal(only[1], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_are_uniform_and_reach_both_ends),
        cmocka_unit_test(even_positions_cover_the_picture_better_than_uniform_ones),
        cmocka_unit_test(even_positions_are_those_of_a_second_implementation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
