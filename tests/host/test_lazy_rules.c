/* SPDX-License-Identifier: MIT */
/* `lazy` for rules on pixel-JND maps: the same predictions from the candidates that are asked for.
 */
#include "tests/host/run_rig.h"

#include "eval/rules.h"
#include "host/weights.h"
#include "tests/host/small_network.h"
#include <math.h>

enum { PICTURES = 5, PHOTOS = 4, PHOTO_SIDE = 112, IMAGES_MAX = 8 };

#define RULES                                                                                      \
    "pixel-chou95:0.05,pixel-chou95@excess:2,pixel-chou95@noise:0.5,pixel-yang05-paper@noise:1"
static const char *const names[] = {"pixel-chou95", "pixel-chou95@excess", "pixel-chou95@noise",
                                    "pixel-yang05-paper@noise"};
static const double tolerances[] = {0.05, 2, 0.5, 1};
static const enum vj_rule sides[] = {VJ_RULE_ABOVE_IS_LOSSY, VJ_RULE_ABOVE_IS_LOSSY,
                                     VJ_RULE_BELOW_IS_LOSSY, VJ_RULE_BELOW_IS_LOSSY};
enum { NAMES = 4 };

static const char *const searches[] = {"binary-block", "sliding-window", "first-crossing",
                                       "max-likelihood"};
static char weights[4096];

static int set_up(void **state)
{
    (void)state;
    static const int32_t labels[PICTURES] = {20, 30, 40, 50, 60};
    const struct vj_net_shape shape = {
        .variant = VJ_VARIANT_FIGURE, .patch_size = 32, .patches = 2, .channels = {16, 16, 16, 16}};
    folder = vj_test_mkdir();
    write_labelled_pictures(PICTURES, labels);
    write_network(in_folder(weights, "w.h5"), &shape, 7, VJ_POSITIVE_LOSSY, VJ_ORIGIN_RANDOM);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

/* What a run says of one predictor. */
struct said {
    float score[IMAGES_MAX * LEVELS];
    uint8_t lossy[IMAGES_MAX * LEVELS];
    int32_t qf[IMAGES_MAX];
};

static void read_said(struct vj_results *r, const char *name, size_t images, struct said *out)
{
    char path[200];
    snprintf(path, sizeof(path), "/predictors/%s/score", name);
    read_rows(r, path, VJ_COLUMN_F32, 0, images, out->score);
    snprintf(path, sizeof(path), "/predictors/%s/lossy", name);
    read_rows(r, path, VJ_COLUMN_U8, 0, images, out->lossy);
    snprintf(path, sizeof(path), "/predictors/%s/qf_pred", name);
    read_rows(r, path, VJ_COLUMN_I32, 0, images, out->qf);
}

static bool has(struct vj_results *r, const char *name, const char *what)
{
    char path[200];
    snprintf(path, sizeof(path), "/predictors/%s/%s", name, what);
    return vj_results_has(r, path);
}

/* Which levels the search of answers at hand asks for. */
struct oracle {
    const uint8_t *lossy;
    bool asked[LEVELS];
};

static int ask(void *user, int first, int count, float *p_lossy, struct vj_error *err)
{
    struct oracle *o = user;
    (void)err;
    for (int k = 0; k < count; k++) {
        o->asked[first + k] = true;
        p_lossy[k] = o->lossy[first + k];
    }
    return 0;
}

/* A lazy run holds what its own search asks for, bit by bit, and nothing else. Returns how many. */
static size_t compare(const struct said *full, const struct said *lazy, size_t images, int rule,
                      const struct vj_search_options *search)
{
    size_t asked = 0;
    assert_memory_equal(full->qf, lazy->qf, images * sizeof(int32_t));
    for (size_t i = 0; i < images; i++) {
        const size_t row = i * LEVELS;
        struct oracle oracle = {.lossy = full->lossy + row};
        struct vj_search_result found;
        assert_int_equal(vj_search_lazy(search, LEVELS, ask, &oracle, &found, NULL), 0);
        assert_int_equal(full->qf[i], vj_search_qf(found.level, 1));
        for (size_t k = row; k < row + LEVELS; k++) {
            assert_int_equal(full->lossy[k],
                             vj_rule_lossy(sides[rule], full->score[k], tolerances[rule]));
            assert_int_equal(!isnan(lazy->score[k]), oracle.asked[k - row]);
            if (isnan(lazy->score[k])) {
                assert_int_equal(lazy->lossy[k], VJ_LOSSY_UNANSWERED);
                continue;
            }
            assert_memory_equal(&lazy->score[k], &full->score[k], sizeof(float));
            assert_int_equal(lazy->lossy[k], full->lossy[k]);
            asked++;
        }
    }
    return asked;
}

/* The note says how many quality factors of a picture the search asked for. */
static void assert_asked(struct vj_results *r, const char *name, double mean)
{
    char group[100], expected[100], *note;
    struct vj_error err = {0};
    snprintf(group, sizeof(group), "/predictors/%s", name);
    snprintf(expected, sizeof(expected), "; its search asked for %.1f of 100 quality factors of ",
             mean);
    assert_int_equal(vj_results_get_text(r, group, "note", &note, &err), 0);
    vj_assert_contains(note, expected);
    free(note);
}

/* By every search; returns how many scores the binary-block search asked for. */
static size_t compare_by_every_search(const char *root, size_t images)
{
    static struct said full, lazy;
    size_t by_default = 0;
    for (int s = 0; s < VJ_SEARCH_KINDS; s++) {
        char kind[64];
        snprintf(kind, sizeof(kind), "search=%s", searches[s]);
        const char *a[] = {kind, root, "image_metrics=none", NULL};
        const char *b[] = {kind, root, "image_metrics=none", "lazy=true", NULL};
        struct vj_search_options search = vj_search_default();
        search.kind = (enum vj_search_kind)s;
        struct vj_results *r = open_run("full.h5", RULES, a);
        struct vj_results *l = open_run("lazy.h5", RULES, b);
        for (int i = 0; i < NAMES; i++) {
            read_said(r, names[i], images, &full);
            read_said(l, names[i], images, &lazy);
            size_t asked = compare(&full, &lazy, images, i, &search);
            if (s == VJ_SEARCH_MAX_LIKELIHOOD)
                assert_int_equal(asked, images * LEVELS);
            assert_asked(l, names[i], (double)asked / (double)images);
            by_default += s == VJ_SEARCH_BINARY_BLOCK ? asked : 0;
            assert_true(has(r, names[i], "qf_pred_tolerance"));
            assert_false(has(l, names[i], "qf_pred_tolerance"));
            assert_false(has(l, names[i], "tolerance_sweep"));
        }
        vj_results_close(r);
        vj_results_close(l);
    }
    return by_default;
}

static void a_rule_is_measured_where_its_search_asks_and_predicts_the_same(void **state)
{
    (void)state;
    char path[4096], root[4200];
    snprintf(root, sizeof(root), "root=%s", in_folder(path, "all.csv"));
    size_t asked = compare_by_every_search(root, PICTURES);
    vj_assert_in_range(asked, 1, NAMES * PICTURES * LEVELS / 2);
}

static void crop(const char *from, const char *to)
{
    struct vj_image photo, middle;
    struct vj_error err = {0};
    if (vj_image_read(&photo, from, NULL, &err))
        fail_msg("%s", err.text);
    assert_int_equal(vj_image_alloc(&middle, PHOTO_SIDE, PHOTO_SIDE, photo.channels, &err), 0);
    size_t pixel = (size_t)photo.channels, row = PHOTO_SIDE * pixel;
    size_t top = (photo.height - PHOTO_SIDE) / 2, left = (photo.width - PHOTO_SIDE) / 2;
    for (size_t y = 0; y < PHOTO_SIDE; y++)
        memcpy(middle.data + y * row, photo.data + ((top + y) * photo.width + left) * pixel, row);
    assert_int_equal(vj_image_write_png(&middle, to, &err), 0);
    vj_image_free(&photo);
    vj_image_free(&middle);
}

static void photographs_are_predicted_the_same(void **state)
{
    (void)state;
    static const char *const photos[PHOTOS] = {"kodim01", "kodim05", "kodim08", "kodim14"};
    char path[4096], root[4200], csv[1024] = "image,candidates,qf_true,fold\n";
    vj_require_data("photos/kodak/kodim14.png");
    for (int i = 0; i < PHOTOS; i++) {
        char file[64], name[32];
        snprintf(file, sizeof(file), "photos/kodak/%s.png", photos[i]);
        snprintf(name, sizeof(name), "%s.png", photos[i]);
        crop(vj_test_data(file), in_folder(path, name));
        snprintf(csv + strlen(csv), 64, "%s,,,\n", name);
    }
    write_text(in_folder(path, "photos.csv"), csv);
    snprintf(root, sizeof(root), "root=%s", path);
    size_t asked = compare_by_every_search(root, PHOTOS);
    vj_assert_in_range(asked, 1, NAMES * PHOTOS * LEVELS / 2);
}

/* A fit needs all scores, an image metric all pixels: then one pass measures the rules as well. */
static void what_needs_every_candidate_measures_all_rules_in_one_pass(void **state)
{
    (void)state;
    static struct said full, lazy;
    static const struct {
        const char *predictors, *metrics;
    } cases[] = {
        {"pixel-chou95:0.05,pixel-chou95@noise:fit", "image_metrics=none"},
        {"pixel-chou95:0.05,psnr-threshold:36", "image_metrics=none"},
        {"pixel-chou95:0.05", "image_metrics=ssim"},
        {"pixel-chou95:0.05", "image_metrics=ssimulacra2"},
    };
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        const char *a[] = {"folds=manifest", cases[c].metrics, NULL};
        const char *b[] = {"folds=manifest", cases[c].metrics, "lazy=true", NULL};
        struct vj_results *r = open_run("full.h5", cases[c].predictors, a);
        struct vj_results *l = open_run("lazy.h5", cases[c].predictors, b);
        for (int i = 0; i < (c == 0 ? 2 : 1); i++) {
            const char *name = i == 0 ? "pixel-chou95" : "pixel-chou95@noise";
            read_said(r, name, PICTURES, &full);
            read_said(l, name, PICTURES, &lazy);
            assert_memory_equal(&full, &lazy, sizeof(full));
            assert_false(isnan(lazy.score[PICTURES * LEVELS - 1]));
            assert_true(has(l, name, "tolerance_sweep"));
        }
        vj_results_close(r);
        vj_results_close(l);
    }
}

static void a_rule_beside_a_network_is_the_rule_alone_and_the_network_alone(void **state)
{
    (void)state;
    static struct said rule, network, beside;
    static const char *const lazy[] = {"image_metrics=none", "lazy=true", NULL};
    char net[4200], both[4400];
    snprintf(net, sizeof(net), "vpjnd:%s", weights);
    snprintf(both, sizeof(both), "pixel-chou95:0.05,%s,pixel-yang05:0.1", net);
    struct vj_results *r = open_run("rule.h5", "pixel-chou95:0.05", lazy);
    read_said(r, "pixel-chou95", PICTURES, &rule);
    vj_results_close(r);
    r = open_run("network.h5", net, lazy);
    read_said(r, "vpjnd-w", PICTURES, &network);
    vj_results_close(r);
    r = open_run("both.h5", both, lazy);
    read_said(r, "pixel-chou95", PICTURES, &beside);
    assert_memory_equal(&rule, &beside, sizeof(rule));
    read_said(r, "vpjnd-w", PICTURES, &beside);
    assert_memory_equal(&network, &beside, sizeof(network));
    vj_results_close(r);
}

static void a_network_whose_class_is_open_is_scored_in_full_and_rules_still_lazily(void **state)
{
    (void)state;
    static struct said rule, beside;
    static const char *const lazy[] = {"image_metrics=none", "lazy=true", NULL};
    char path[4096], both[4200];
    struct vj_error err = {0};
    struct vj_weights w = {0};
    if (vj_weights_read(&w, weights, &err))
        fail_msg("%s", err.text);
    w.positive_class = VJ_POSITIVE_AUTO;
    assert_int_equal(vj_weights_write(&w, in_folder(path, "open.h5"), &err), 0);
    vj_weights_free(&w);
    snprintf(both, sizeof(both), "pixel-chou95:0.05,vpjnd:%s", path);
    struct vj_results *r = open_run("rule.h5", "pixel-chou95:0.05", lazy);
    read_said(r, "pixel-chou95", PICTURES, &rule);
    vj_results_close(r);
    r = open_run("both.h5", both, lazy);
    read_said(r, "pixel-chou95", PICTURES, &beside);
    assert_memory_equal(&rule, &beside, sizeof(rule));
    read_said(r, "vpjnd-open", PICTURES, &beside);
    for (int k = 0; k < LEVELS; k++)
        assert_false(isnan(beside.score[k])); /* the first picture decides */
    vj_results_close(r);
}

/* ---- candidates that are files ---- */

static void write_bytes(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

/* A picture's JPEGs at all quality factors; that of `cut` lacks its end. */
static void write_candidates(int cut)
{
    struct vj_image img;
    struct vj_error err = {0};
    char path[4096], name[32];
    assert_int_equal(vj_image_read(&img, in_folder(path, "p0.png"), NULL, &err), 0);
    for (int qf = 1; qf <= LEVELS; qf++) {
        uint8_t *data;
        size_t size;
        if (vj_jpeg_encode(&data, &size, &img, qf, VJ_SUBSAMPLING_420, &err))
            fail_msg("%s", err.text);
        snprintf(name, sizeof(name), "q%d.jpg", qf);
        write_bytes(in_folder(path, name), data, qf == cut ? size - 40 : size);
        free(data);
    }
    vj_image_free(&img);
}

/* Where /images/error says what is wrong with the only picture; "" when nothing is. */
static void read_error(struct vj_results *r, char error[512])
{
    memset(error, 0, 512);
    read_rows(r, "/images/error", VJ_COLUMN_STRING, 0, 1, error);
}

static void candidate_files_are_decoded_where_a_search_asks(void **state)
{
    (void)state;
    static struct said full, lazy, again;
    char path[4096], root[4200], error[512], cut[32];
    write_text(in_folder(path, "files.csv"),
               "image,candidates,qf_true,fold\np0.png,q{qf}.jpg,30,\n");
    snprintf(root, sizeof(root), "root=%s", path);
    const char *a[] = {root, "candidates=files", "image_metrics=none", NULL};
    const char *b[] = {root, "candidates=files", "image_metrics=none", "lazy=true", NULL};
    const struct vj_search_options search = vj_search_default();
    write_candidates(0);
    struct vj_results *r = open_run("full.h5", "pixel-chou95:0.05", a);
    read_said(r, "pixel-chou95", 1, &full);
    int64_t bytes[LEVELS], sizes[LEVELS];
    read_rows(r, "/candidates/bytes", VJ_COLUMN_I64, 0, 1, sizes);
    vj_results_close(r);
    r = open_run("lazy.h5", "pixel-chou95:0.05", b);
    read_said(r, "pixel-chou95", 1, &lazy);
    read_rows(r, "/candidates/bytes", VJ_COLUMN_I64, 0, 1, bytes);
    vj_results_close(r);
    assert_memory_equal(bytes, sizes, sizeof(sizes));
    vj_assert_in_range(compare(&full, &lazy, 1, 0, &search), 1, LEVELS / 2);
    for (int k = 0; k < LEVELS; k++)
        assert_true(bytes[k] > 0);

    /* A damaged file spoils the picture where it is asked for, and is not noticed elsewhere. */
    for (int asked = 0; asked < 2; asked++) {
        int k = LEVELS - 2;
        while (isnan(lazy.score[k]) == (asked == 1))
            k--;
        write_candidates(k + 1);
        r = open_run(asked ? "asked.h5" : "cut.h5", "pixel-chou95:0.05", b);
        read_error(r, error);
        read_said(r, "pixel-chou95", 1, &again);
        vj_results_close(r);
        snprintf(cut, sizeof(cut), "q%d.jpg", k + 1);
        if (asked) {
            vj_assert_contains(error, cut);
            assert_int_equal(again.qf[0], -1);
        } else {
            assert_string_equal(error, "");
            assert_memory_equal(&again, &lazy, sizeof(lazy));
        }
        r = open_run(asked ? "all_asked.h5" : "all_cut.h5", "pixel-chou95:0.05", a);
        read_error(r, error);
        vj_assert_contains(error, cut);
        vj_results_close(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_is_measured_where_its_search_asks_and_predicts_the_same),
        cmocka_unit_test(photographs_are_predicted_the_same),
        cmocka_unit_test(what_needs_every_candidate_measures_all_rules_in_one_pass),
        cmocka_unit_test(a_rule_beside_a_network_is_the_rule_alone_and_the_network_alone),
        cmocka_unit_test(a_network_whose_class_is_open_is_scored_in_full_and_rules_still_lazily),
        cmocka_unit_test(candidate_files_are_decoded_where_a_search_asks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
