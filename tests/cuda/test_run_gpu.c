/* SPDX-License-Identifier: MIT */
/*
 * Whole runs on the CUDA device against whole runs on the CPU: what is measured of pictures and
 * candidates is equal to the last bit, scores lie within a limit, answers are the same. And within
 * the CUDA device: pictures in flight and a second device change nothing.
 */
#include "tests/host/run_network.h"

#include <math.h>

#include "tests/cuda/device_there.h"
#include "tests/cuda/emulated.h"

enum { IMAGES = 5, FIRST = 31, LAST = 42, QFS = LAST - FIRST + 1 };

static const int32_t labels[IMAGES] = {40, 33, 36, 31, 38};

static const char *const predictors[] = {"constant",          "psnr-threshold",
                                         "ssim-threshold",    "ms-ssim-threshold",
                                         "pixel-chou95",      "ssimulacra2-threshold",
                                         "pixel-epc17@noise", "compression-ratio",
                                         "pixel-fep13",       "vpjnd-w"};
enum { PREDICTORS = sizeof(predictors) / sizeof(*predictors) };

static int set_up(void **state)
{
    (void)state;
    set_up_network(IMAGES, labels);
    return 0;
}

/* Runs on a device with more options; the results file open for reading. */
static struct vj_results *results_on(const char *device, const char *output,
                                     const char *const *more)
{
    char list[8192], device_pair[64];
    const char *pairs[16] = {device_pair, "qf_first=31", "qf_last=42",
                             "draws=2",   "threads=2",   "folds=manifest"};
    size_t count = 6;
    snprintf(device_pair, sizeof(device_pair), "device=%s", device);
    for (; *more && count < 15; more++)
        pairs[count++] = *more;
    snprintf(list, sizeof(list),
             "constant,psnr-threshold:30,ssim-threshold:fit,ms-ssim-threshold:fit,pixel-chou95,"
             "ssimulacra2-threshold:fit,pixel-epc17@noise:fit,compression-ratio:35,"
             "pixel-fep13:fit,vpjnd:%s",
             weights);
    return open_run(output, list, pairs);
}

static void expect_equal_columns(struct vj_results *a, struct vj_results *b)
{
    static const struct {
        const char *path;
        enum vj_column_type type;
        size_t of_image, size;
    } columns[] = {
        {"/candidates/bytes", VJ_COLUMN_I64, QFS, 8},
        {"/candidates/psnr_y", VJ_COLUMN_F64, QFS, 8},
        {"/candidates/psnr_rgb", VJ_COLUMN_F64, QFS, 8},
        {"/candidates/ssim", VJ_COLUMN_F64, QFS, 8},
        {"/candidates/ms_ssim", VJ_COLUMN_F64, QFS, 8},
        {"/candidates/ssimulacra2", VJ_COLUMN_F64, QFS, 8},
        {"/patches/origin", VJ_COLUMN_I32, 2 * 2 * PATCHES, 4},
    };
    for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++) {
        const size_t bytes = IMAGES * columns[i].of_image * columns[i].size;
        void *one = malloc(bytes), *other = malloc(bytes);
        read_rows(a, columns[i].path, columns[i].type, 0, IMAGES, one);
        read_rows(b, columns[i].path, columns[i].type, 0, IMAGES, other);
        if (memcmp(one, other, bytes) != 0)
            fail_msg("%s differs", columns[i].path);
        free(one);
        free(other);
    }
}

static void expect_equal_answers(struct vj_results *a, struct vj_results *b)
{
    for (size_t p = 0; p < PREDICTORS; p++) {
        char path[128];
        int32_t one[IMAGES], other[IMAGES];
        snprintf(path, sizeof(path), "/predictors/%s/qf_pred", predictors[p]);
        read_rows(a, path, VJ_COLUMN_I32, 0, IMAGES, one);
        read_rows(b, path, VJ_COLUMN_I32, 0, IMAGES, other);
        for (size_t i = 0; i < IMAGES; i++)
            if (one[i] != other[i])
                fail_msg("%s of picture %zu: %d and %d", path, i, one[i], other[i]);
    }
}

/* Largest difference of the network's scores in units of their largest. */
static double scores_apart(struct vj_results *a, struct vj_results *b)
{
    float one[IMAGES * QFS], other[IMAGES * QFS];
    double most = 0, largest = 0;
    read_rows(a, "/predictors/vpjnd-w/score", VJ_COLUMN_F32, 0, IMAGES, one);
    read_rows(b, "/predictors/vpjnd-w/score", VJ_COLUMN_F32, 0, IMAGES, other);
    for (size_t i = 0; i < IMAGES * QFS; i++) {
        assert_true(isfinite(one[i]) && isfinite(other[i]));
        most = fmax(most, fabs((double)one[i] - (double)other[i]));
        largest = fmax(largest, fabs((double)one[i]));
    }
    assert_true(largest > 0);
    return most / largest;
}

static const char *const everything[] = {"image_metrics=psnr,ssim,ms_ssim,ssimulacra2", NULL};

static void a_run_measures_and_answers_as_on_the_cpu(void **state)
{
    (void)state;
    struct vj_results *cpu = results_on("cpu", "cpu.h5", everything);
    struct vj_results *gpu = results_on("cuda", "gpu.h5", everything);
    expect_equal_columns(cpu, gpu);
    expect_equal_answers(cpu, gpu);
    const double apart = scores_apart(cpu, gpu);
    print_message("scores differ by %.1e of the largest\n", apart);
    assert_true(apart > 0 && apart <= 1e-4); /* 0: both ran on the CPU */
    vj_results_close(cpu);
    vj_results_close(gpu);
}

static void pictures_in_flight_and_two_devices_change_nothing(void **state)
{
    (void)state;
    const char *const one[] = {everything[0], "slots=1", "decode_threads=1", NULL};
    const char *const many[] = {everything[0], "slots=4", "decode_threads=3", NULL};
    struct vj_results *first = results_on("cuda", "one.h5", one);
    struct vj_results *second = results_on("cuda:0,0", "many.h5", many);
    expect_equal_columns(first, second);
    expect_equal_answers(first, second);
    assert_true(scores_apart(first, second) == 0);
    vj_results_close(first);
    vj_results_close(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_measures_and_answers_as_on_the_cpu),
        cmocka_unit_test(pictures_in_flight_and_two_devices_change_nothing),
    };
    if (!device_is_there("cuda"))
        return VJ_TEST_SKIPPED;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
