/* SPDX-License-Identifier: MIT */
/*
 * The network on the CPU, layer by layer and score by score, against PyTorch's in double precision
 * and unfolded (golden.h5, pw_jnd.h5 and their script in tests/golden/net).
 */
#include "tests/vj_test.h"

#include <math.h>

#include "host/h5.h"
#include "host/net.h"
#include "host/net_internal.h"
#include "tests/host/net_formula.h"
#include "tests/host/net_rig.h"

/* Largest error over the largest magnitude, layer by layer; measured: below 3e-5. */
#define LAYER_LIMIT 1e-4

struct compare {
    hid_t group;
    const char *pass;
    int layers;
    double worst;
    char worst_layer[64];
};

static void note(struct compare *c, const char *layer, double error)
{
    if (error > c->worst) {
        c->worst = error;
        snprintf(c->worst_layer, sizeof(c->worst_layer), "%s/%s", c->pass, layer);
    }
}

static void compare_layer(void *user, const char *layer, const float *data, size_t count)
{
    struct compare *c = user;
    if (strcmp(layer, "value") == 0) /* exists in the folded form only; `attended` covers it */
        return;
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", c->pass, layer);
    hid_t set;
    struct vj_h5_info info;
    ok(vj_h5_dataset_open(&set, c->group, path, &info, &err));
    assert_int_equal(info.rank, 1);
    int64_t golden_count;
    double golden_sum, golden_abs;
    float *golden = calloc(info.dims[0], sizeof(float));
    ok(vj_h5_dataset_read_floats(set, path, golden, &err));
    ok(vj_h5_read_int(set, "count", &golden_count, &err));
    ok(vj_h5_read_doubles(set, "sum", &golden_sum, 1, &err));
    ok(vj_h5_read_doubles(set, "sum_abs", &golden_abs, 1, &err));
    H5Dclose(set);

    assert_int_equal(count, golden_count);
    double error = 0, largest = 0, sum = 0;
    for (size_t k = 0; k < info.dims[0]; k++) {
        double want = golden[k];
        error = fmax(error, fabs(data[(7919 * k + 13) % count] - want));
        largest = fmax(largest, fabs(want));
    }
    for (size_t i = 0; i < count; i++)
        sum += data[i];
    free(golden);
    assert_true(largest > 0);
    note(c, layer, error / largest);
    note(c, layer, fabs(sum - golden_sum) / golden_abs);
    c->layers++;
}

static void compare_pass(struct rig *rig, struct compare *c, enum vj_net_stream stream, int kind,
                         size_t patch, size_t channels)
{
    const size_t features = vj_net_features(&rig->w.shape);
    uint8_t *pixels = malloc(rig->pixels * channels);
    float *out = calloc(features, sizeof(float));
    formula_patch(pixels, kind, patch, (size_t)rig->w.shape.patch_size, channels);
    c->layers = 0;
    ok(vj_extractor_run(&rig->work->thread[0], rig->net, stream, pixels, channels, out,
                        compare_layer, c, &err));
    /* input, 4 layers, 3 attentions, 4 pools, 5 of the non-local block; or 10 layers and 5 pools */
    assert_int_equal(c->layers, rig->w.shape.variant == VJ_VARIANT_PW_JND ? 17 : 18);
    free(pixels);
    free(out);
}

static void read_case_shape(hid_t group, struct vj_net_shape *s, size_t *patches, size_t *n)
{
    char text[32];
    int64_t size, p, candidates, channels[VJ_NET_BLOCKS];
    ok(vj_h5_read_text(group, "variant", text, sizeof(text), &err));
    ok(vj_variant_parse(&s->variant, text, &err));
    const struct vj_net_form *form = vj_net_form(s->variant);
    if (form->non_local)
        ok(vj_h5_read_text(group, "non_local", text, sizeof(text), &err));
    s->non_local = strcmp(text, "transpose") == 0 ? VJ_NON_LOCAL_TRANSPOSE : VJ_NON_LOCAL_RESHAPE;
    ok(vj_h5_read_int(group, "patch_size", &size, &err));
    ok(vj_h5_read_int(group, "patches", &p, &err));
    ok(vj_h5_read_int(group, "candidates", &candidates, &err));
    ok(vj_h5_read_ints(group, "channels", channels, (size_t)form->blocks, &err));
    s->patch_size = (int)size;
    s->patches = (int)p;
    for (int i = 0; i < form->blocks; i++)
        s->channels[i] = (int)channels[i];
    *patches = (size_t)p;
    *n = (size_t)candidates;
}

enum { VALUES = 8 };

static void read_values(hid_t group, const char *name, float *values, size_t count)
{
    hid_t set;
    struct vj_h5_info info;
    ok(vj_h5_dataset_open(&set, group, name, &info, &err));
    size_t held = 1;
    for (int i = 0; i < info.rank; i++)
        held *= (size_t)info.dims[i];
    assert_int_equal(held, count);
    assert_true(count <= VALUES);
    ok(vj_h5_dataset_read_floats(set, name, values, &err));
    H5Dclose(set);
}

/* Largest error of a head's outputs over the magnitudes of its terms (datasets NAME, NAME_terms).
 */
static double worst_of_head(hid_t group, const char *name, const float *have, size_t count)
{
    float want[VALUES], terms[VALUES];
    char name_of_terms[32];
    snprintf(name_of_terms, sizeof(name_of_terms), "%s_terms", name);
    read_values(group, name, want, count);
    read_values(group, name_of_terms, terms, count);
    double worst = 0;
    for (size_t i = 0; i < count; i++)
        worst = fmax(worst, fabs((double)have[i] - (double)want[i]) / (double)terms[i]);
    return worst;
}

/* A score is a weighted mean of its patches' qualities: the largest of their terms bounds its. */
static double worst_of_scores(hid_t group, const float *have, size_t n, size_t patches)
{
    float want[VALUES], terms[VALUES];
    read_values(group, "score", want, n);
    read_values(group, "quality_terms", terms, n * patches);
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double most = 0;
        for (size_t p = 0; p < patches; p++)
            most = fmax(most, (double)terms[i * patches + p]);
        worst = fmax(worst, fabs((double)have[i] - (double)want[i]) / most);
    }
    return worst;
}

/* Every layer of every pass, then the scores. */
static void compare_case(struct rig *rig, hid_t group, const char *name, size_t patches, size_t n)
{
    struct compare c = {.group = group};
    char pass[64];
    c.pass = pass;
    for (size_t p = 0; p < patches; p++) {
        snprintf(pass, sizeof(pass), "r%zu", p);
        compare_pass(rig, &c, VJ_NET_PICTURE, FORMULA_REFERENCE, p, 3);
        snprintf(pass, sizeof(pass), "j%zu", p);
        if (rig->w.shape.variant != VJ_VARIANT_PW_JND)
            compare_pass(rig, &c, VJ_NET_JND, FORMULA_JND, p, 1);
        for (size_t i = 0; i < n; i++) {
            snprintf(pass, sizeof(pass), "d%zu_%zu", i, p);
            compare_pass(rig, &c, VJ_NET_PICTURE, FORMULA_CANDIDATE + (int)i, p, 3);
        }
    }
    float score[VALUES], quality[VALUES], weight[VALUES];
    struct pictures pictures = pictures_make(rig, patches, n);
    struct vj_net_reference *ref = reference_make(rig, &pictures, patches);
    ok(vj_net_scores(rig->work, ref, pictures.d, n, score, quality, weight, &err));
    double q = worst_of_head(group, "quality", quality, n * patches);
    double a = worst_of_head(group, "weight", weight, n * patches);
    double s = worst_of_scores(group, score, n, patches);
    print_message("%-26s worst layer %-18s %.1e; quality %.1e weight %.1e score %.1e\n", name,
                  c.worst_layer, c.worst, q, a, s);
    assert_true(c.worst <= LAYER_LIMIT);
    assert_true(q <= SCORE_LIMIT);
    assert_true(a <= SCORE_LIMIT);
    assert_true(s <= SCORE_LIMIT);
    vj_net_reference_free(ref);
    pictures_free(&pictures);
}

static void golden_case(const char *path, const char *name)
{
    hid_t file;
    ok(vj_h5_open(&file, path, &err));
    hid_t group = H5Gopen2(file, name, H5P_DEFAULT);
    assert_true(group >= 0);
    struct vj_net_shape shape = {0};
    size_t patches, n;
    read_case_shape(group, &shape, &patches, &n);
    struct rig rig;
    rig_make(&rig, &shape, 1);
    compare_case(&rig, group, name, patches, n);
    rig_free(&rig);
    H5Gclose(group);
    vj_h5_close(file, path, NULL);
}

#define GOLDEN VJ_TEST_GOLDEN "/net/golden.h5"

static void every_layer_and_score_of_figure_agrees_with_pytorch(void **state)
{
    (void)state;
    golden_case(GOLDEN, "figure_full");
}

static void small_shapes_agree_with_pytorch(void **state)
{
    (void)state;
    golden_case(GOLDEN, "released_small_transpose");
    golden_case(GOLDEN, "figure_small_reshape");
    golden_case(GOLDEN, "released_tiny_reshape");
}

static void every_layer_and_score_of_pw_jnd_agrees_with_pytorch(void **state)
{
    (void)state;
    golden_case(VJ_TEST_GOLDEN "/net/pw_jnd.h5", "pw_jnd_full");
    golden_case(VJ_TEST_GOLDEN "/net/pw_jnd.h5", "pw_jnd_small");
}

static void every_layer_and_score_of_released_agrees_with_pytorch(void **state)
{
    (void)state;
    golden_case(GOLDEN, "released_full");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_and_score_of_released_agrees_with_pytorch),
        cmocka_unit_test(every_layer_and_score_of_figure_agrees_with_pytorch),
        cmocka_unit_test(small_shapes_agree_with_pytorch),
        cmocka_unit_test(every_layer_and_score_of_pw_jnd_agrees_with_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
