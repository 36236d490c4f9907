/* SPDX-License-Identifier: MIT */
/*
 * What the host decides before it starts kernels: room, limits, parts; and sums over segments that
 * pictures seldom have. Needs no device.
 */
#include "tests/vj_test.h"

#include "cuda/geometry.h"
#include "cuda/jpeg_size_body.h"

/* As the one thread block that a candidate has. */
static void add_up(const struct vj_cuda_size_job *job)
{
    const struct vj_cuda_place at = {0, 0, 0};
    struct vj_cuda_scan_shared s;
    for (unsigned t = 0; t < VJ_CUDA_SCAN_THREADS; t++)
        vj_cuda_total_sums(job, &s, at, t);
    for (unsigned half = VJ_CUDA_SCAN_THREADS / 2; half > 0; half /= 2)
        for (unsigned t = 0; t < VJ_CUDA_SCAN_THREADS; t++)
            vj_cuda_total_add(&s, half, t);
    vj_cuda_total_store(job, &s, at, 0);
}

static void a_byte_shared_by_two_segments_counts_when_it_is_ff(void **state)
{
    (void)state;
    /* Three segments: one byte in common between the first two, one between the last two. */
    uint32_t bits[3] = {1004, 805, 7}, stuffed[3] = {1, 2, 0};
    uint64_t start[3] = {0, 1004, 1809};
    uint8_t common[3][2] = {{0, 0xF0}, {0x0F, 0x80}, {0x7F, 0}};
    int64_t bytes = 0;
    struct vj_cuda_size_job job = {.segments = 3,
                                   .segment_bits = bits,
                                   .start = start,
                                   .stuffed = stuffed,
                                   .common = common,
                                   .overhead = 10,
                                   .bytes = &bytes};
    add_up(&job);
    assert_int_equal(bytes, (1004 + 805 + 7 + 7) / 8 + 3 + 2 + 10);
    common[1][1] = 0;
    add_up(&job);
    assert_int_equal(bytes, (1004 + 805 + 7 + 7) / 8 + 3 + 1 + 10);
}

static void room_for_the_largest_picture_is_room_for_every_smaller_one(void **state)
{
    (void)state;
    static const enum vj_subsampling samplings[] = {VJ_SUBSAMPLING_420, VJ_SUBSAMPLING_444};
    for (size_t s = 0; s < 2; s++) {
        size_t room = vj_cuda_max_scan_blocks(37, 41, 3, samplings[s]);
        for (size_t width = 1; width <= 37; width++) {
            for (size_t height = 1; height <= 41; height++) {
                struct vj_jpeg_geometry g = vj_jpeg_geometry(width, height, 3, VJ_SUBSAMPLING_420);
                assert_true(vj_cuda_scan_blocks(&g) <= room);
                g = vj_jpeg_geometry(width, height, 3, samplings[s]);
                assert_true(vj_cuda_scan_blocks(&g) <= room);
                g = vj_jpeg_geometry(width, height, 1, samplings[s]);
                assert_true(vj_cuda_scan_blocks(&g) <= room);
            }
        }
    }
}

static void quality_factors_and_patches_out_of_range_are_refused_by_name(void **state)
{
    (void)state;
    struct vj_error err;
    struct vj_cuda_levels levels;
    int qf[VJ_CUDA_LEVELS + 1] = {1};
    qf[1] = 101;
    assert_int_equal(vj_cuda_levels_set(&levels, qf, 2, 5, &err), -EINVAL);
    vj_assert_contains(err.text, "101");
    assert_int_equal(vj_cuda_levels_set(&levels, qf, 0, 5, &err), -EINVAL);
    assert_int_equal(vj_cuda_levels_set(&levels, qf, 6, 5, &err), -EINVAL);
    vj_assert_contains(err.text, "1 to 5");
    assert_int_equal(vj_cuda_levels_set(&levels, qf, 102, 1000, &err), -EINVAL);
    assert_int_equal(vj_cuda_levels_set(&levels, qf, 1, 5, &err), 0);

    const int32_t origin[][2] = {{0, 0}, {5, 7}, {-1, 0}, {6, 0}, {0, 8}};
    assert_int_equal(vj_cuda_check_origins(origin, 2, 3, 10, 8, &err), 0);
    for (size_t i = 2; i < 5; i++) {
        assert_int_equal(vj_cuda_check_origins(origin + i, 1, 3, 10, 8, &err), -EINVAL);
        vj_assert_contains(err.text, "patch 1 of 1");
    }
    assert_int_equal(vj_cuda_check_origins(origin, 1, 9, 10, 8, &err), -EINVAL);
    assert_int_equal(vj_cuda_check_origins(origin, 1, 0, 10, 8, &err), -EINVAL);
    /* The limits of grids: sides up to 4095, and numbers of patches of 31 bits. */
    const size_t most = INT32_MAX, wide = 5000;
    assert_int_equal(vj_cuda_check_patches(most, 4095, wide, wide, &err), 0);
    assert_int_equal(vj_cuda_check_patches(most + 1, 4095, wide, wide, &err), -EINVAL);
    assert_int_equal(vj_cuda_check_patches(1, 4096, wide, wide, &err), -EINVAL);
    assert_int_equal(vj_cuda_check_patches(1, 9, 9, 9, &err), 0);
    assert_int_equal(vj_cuda_check_patches(1, 9, 8, 9, &err), -EINVAL);
    assert_int_equal(vj_cuda_check_patches(1, 9, 9, 8, &err), -EINVAL);
}

static void sums_of_memory_that_overflow_give_nothing(void **state)
{
    (void)state;
    struct vj_cuda_arena arena = {NULL, 0};
    vj_cuda_take(&arena, 1, 1);
    vj_cuda_take(&arena, 257, 1);
    assert_int_equal(vj_cuda_taken(&arena), 256 + 512);
    vj_cuda_take(&arena, SIZE_MAX / 2, 3);
    assert_int_equal(vj_cuda_taken(&arena), 0);
    arena.used = 0;
    vj_cuda_take(&arena, SIZE_MAX - 10, 1);
    assert_int_equal(vj_cuda_taken(&arena), 0);
}

static void as_many_candidates_of_ssimulacra2_are_in_work_as_fit(void **state)
{
    (void)state;
    const struct vj_cuda_ssimulacra2_shape small = vj_cuda_ssimulacra2_shape(640, 480);
    const struct vj_cuda_ssimulacra2_shape full = vj_cuda_ssimulacra2_shape(1920, 1080);
    const struct vj_cuda_ssimulacra2_shape large = vj_cuda_ssimulacra2_shape(16384, 16384);
    const size_t lights = 960 * 540 + 480 * 270 + 240 * 135 + 120 * 68 + 60 * 34;
    const size_t exact = vj_cuda_ssimulacra2_planes(&full, VJ_SSIMULACRA2_EXACT);
    const size_t parity = vj_cuda_ssimulacra2_planes(&full, VJ_SSIMULACRA2_PARITY);
    assert_int_equal(exact, 12 * lights);
    assert_int_equal(parity, 12 * lights + 48 * 1920 * 1080);
    assert_int_equal(vj_cuda_ssimulacra2_batch(&full, VJ_SSIMULACRA2_EXACT, 21), 21);
    assert_int_equal(vj_cuda_ssimulacra2_batch(&full, VJ_SSIMULACRA2_EXACT, 100), 32);
    assert_int_equal(vj_cuda_ssimulacra2_batch(&full, VJ_SSIMULACRA2_PARITY, 21), 9);
    assert_int_equal(vj_cuda_ssimulacra2_batch(&small, VJ_SSIMULACRA2_EXACT, 100), 100);
    assert_int_equal(vj_cuda_ssimulacra2_batch(&large, VJ_SSIMULACRA2_EXACT, 100), 1);
    /* Parts of equal size, one apart at most, and all of them together. */
    for (int count = 1; count <= VJ_CUDA_LEVELS; count++)
        for (int most = 1; most <= count; most++) {
            int left = count, smallest = most, largest = 0;
            while (left > 0) {
                int n = vj_cuda_even_part(left, most);
                smallest = n < smallest ? n : smallest;
                largest = n > largest ? n : largest;
                left -= n;
            }
            assert_int_equal(left, 0);
            assert_true(largest <= most && smallest + 1 >= largest);
        }
}

static void ssimulacra2_of_a_larger_picture_leaves_no_smaller_one_without_room(void **state)
{
    (void)state;
    const struct vj_cuda_ssimulacra2_shape most = vj_cuda_ssimulacra2_shape(130, 120);
    for (size_t width = 1; width <= 130; width++)
        for (size_t height = 1; height <= 120; height++) {
            const struct vj_cuda_ssimulacra2_shape shape = vj_cuda_ssimulacra2_shape(width, height);
            assert_true(shape.pixels <= most.pixels && shape.columns <= most.columns);
            assert_true(vj_cuda_ssimulacra2_lights(&shape) <= vj_cuda_ssimulacra2_lights(&most));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_byte_shared_by_two_segments_counts_when_it_is_ff),
        cmocka_unit_test(room_for_the_largest_picture_is_room_for_every_smaller_one),
        cmocka_unit_test(quality_factors_and_patches_out_of_range_are_refused_by_name),
        cmocka_unit_test(sums_of_memory_that_overflow_give_nothing),
        cmocka_unit_test(as_many_candidates_of_ssimulacra2_are_in_work_as_fit),
        cmocka_unit_test(ssimulacra2_of_a_larger_picture_leaves_no_smaller_one_without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
