/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "host/checkpoint.h"
#include "tests/host/checkpoint_model.h"

static void assert_same_tensors(const struct vj_weights *a, const struct vj_weights *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_string_equal(a->tensors[i].name, b->tensors[i].name);
        assert_int_equal(a->tensors[i].count, b->tensors[i].count);
        assert_memory_equal(a->tensors[i].data, b->tensors[i].data,
                            a->tensors[i].count * sizeof(float));
    }
}

static void check_import(struct model *m, const struct vj_checkpoint_import_options *opt,
                         const struct vj_weights *expected)
{
    writer_save(&m->writer, m->place.prefix);
    struct vj_weights w = {0};
    struct vj_error err = {0};
    if (vj_checkpoint_import(&w, m->place.prefix, opt, &err))
        fail_msg("%s", err.text);
    assert_same_tensors(&w, expected);
    assert_memory_equal(w.shape.channels, expected->shape.channels, sizeof(w.shape.channels));
    assert_int_equal(w.shape.variant, expected->shape.variant);
    assert_int_equal(w.shape.patch_size, expected->shape.patch_size);
    assert_int_equal(w.shape.non_local, VJ_NON_LOCAL_RESHAPE);
    assert_int_equal(w.shape.patches, opt && opt->patches ? opt->patches : 32);
    assert_int_equal(w.positive_class, opt ? opt->positive_class : VJ_POSITIVE_AUTO);
    assert_int_equal(w.origin, VJ_ORIGIN_IMPORTED);
    assert_string_equal(w.origin_text, opt && opt->raw ? "checkpoint model.ckpt, raw variables"
                                                       : "checkpoint model.ckpt, moving averages");
    char hash[65];
    memcpy(hash, w.sha256, sizeof(hash));
    assert_int_equal(strlen(hash), 64);
    assert_int_equal(vj_weights_hash(&w, NULL), 0);
    assert_string_equal(w.sha256, hash);
    vj_weights_free(&w);
}

static void moving_averages_of_a_released_checkpoint_become_weights(void **state)
{
    (void)state;
    static const int patch_sizes[] = {16, 48};
    for (size_t i = 0; i < COUNT(patch_sizes); i++) {
        struct vj_net_shape shape = small_shape(VJ_VARIANT_RELEASED, patch_sizes[i]);
        shape.channels[1] = 32;
        shape.channels[3] = 20;
        struct model m;
        model_make(&m, &shape, 1);
        assert_int_equal(m.averages.count, 64);
        check_import(&m, NULL, &m.averages);
        model_free(&m);
    }
}

/* 200 bytes of its name are recorded, or as many as do not end within a character. */
static void a_long_name_is_cut_between_characters(void **state)
{
    (void)state;
    struct vj_net_shape shape = small_shape(VJ_VARIANT_FIGURE, 16);
    struct vj_weights w = {0};
    struct vj_error err = {0};
    struct model m;
    char prefix[4096], name[256] = "a", expected[256];
    for (int i = 0; i < 110; i++)
        strcat(name, "\xc3\xa9");
    model_make(&m, &shape, 1);
    snprintf(prefix, sizeof(prefix), "%.3500s/%s", m.place.folder, name);
    writer_save(&m.writer, prefix);
    if (vj_checkpoint_import(&w, prefix, NULL, &err))
        fail_msg("%s", err.text);
    snprintf(expected, sizeof(expected), "checkpoint %.199s, moving averages", name);
    assert_string_equal(w.origin_text, expected);
    vj_weights_free(&w);
    model_free(&m);
}

static void raw_variables_become_weights_when_asked_for(void **state)
{
    (void)state;
    struct vj_net_shape shape = small_shape(VJ_VARIANT_RELEASED, 16);
    struct vj_checkpoint_import_options opt = {
        .raw = true, .positive_class = VJ_POSITIVE_LOSSLESS, .patches = 64};
    struct model m;
    model_make(&m, &shape, 3);
    check_import(&m, &opt, &m.variables);
    writer_remove(&m.writer, "regressions/block2/biases" AVERAGE);
    check_import(&m, &opt, &m.variables);
    model_free(&m);
}

static void a_checkpoint_without_a_jnd_stream_is_of_the_figure_variant(void **state)
{
    (void)state;
    struct vj_net_shape shape = small_shape(VJ_VARIANT_FIGURE, 128);
    struct vj_checkpoint_import_options opt = {.positive_class = VJ_POSITIVE_LOSSY};
    struct model m;
    model_make(&m, &shape, 2);
    check_import(&m, &opt, &m.averages);
    model_free(&m);

    shape.patch_size = opt.patch_size = 64;
    model_make(&m, &shape, 2);
    check_import(&m, &opt, &m.averages);
    model_free(&m);
}

static void snappy_and_tiny_blocks_import_the_same(void **state)
{
    (void)state;
    struct vj_net_shape shape = small_shape(VJ_VARIANT_RELEASED, 16);
    struct model m;
    model_make(&m, &shape, 4);
    m.writer.block_size = 1;
    check_import(&m, NULL, &m.averages);
    m.writer.snappy = true;
    writer_save(&m.writer, m.place.prefix);
    struct vj_checkpoint *c;
    int ret = vj_checkpoint_open(&c, m.place.prefix, NULL);
    vj_checkpoint_close(c);
    if (ret != -ENOTSUP) /* a build without Snappy */
        check_import(&m, NULL, &m.averages);
    model_free(&m);
}

static void refuse_import(struct model *m, int code, const char *part)
{
    writer_save(&m->writer, m->place.prefix);
    struct vj_weights w = {0};
    struct vj_error err = {0};
    int ret = vj_checkpoint_import(&w, m->place.prefix, NULL, &err);
    vj_weights_free(&w);
    if (ret != code || !strstr(err.text, part))
        fail_msg("expected %d with \"%s\", found %d: %s", code, part, ret, err.text);
    vj_assert_contains(err.text, m->place.prefix);
}

/* Replaces a tensor by zeros of another shape. */
static void reshape(struct model *m, const char *name, int rank, const size_t *shape)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= shape[i];
    float *zeros = calloc(count, sizeof(float));
    writer_tensor(&m->writer, name, WRITER_FLOAT32, rank, shape, 0, zeros, count * sizeof(float));
    free(zeros);
}

static void a_checkpoint_that_is_not_the_network_is_refused_with_expected_and_found(void **state)
{
    (void)state;
    const char *conv2 = "extract_feature/conv2/weights" AVERAGE;
    const char *head = "regressions/block1/weights" AVERAGE;
    const char *other_head = "weightings/block1/weights" AVERAGE;
    struct vj_net_shape shape = small_shape(VJ_VARIANT_RELEASED, 16);
    struct model m;

    model_make(&m, &shape, 1);
    reshape(&m, other_head, 2, (size_t[]){97, 512});
    refuse_import(&m, -EINVAL, "has shape [97,512], expected [96,512]");
    reshape(&m, head, 2, (size_t[]){97, 512});
    refuse_import(&m, -EINVAL,
                  "found 97 inputs, which 16 channels of conv4 give at no patch size; "
                  "expected e.g. 6144 for patches of 128 pixels");
    reshape(&m, head, 2, (size_t[]){96, 511});
    refuse_import(&m, -EINVAL, "has shape [96,511], expected [96,512]");
    reshape(&m, head, 1, (size_t[]){96});
    refuse_import(&m, -EINVAL, "has shape [96], expected 2 dimensions");
    reshape(&m, conv2, 4, (size_t[]){3, 3, 15, 16});
    refuse_import(&m, -EINVAL, "has shape [3,3,15,16], expected [3,3,16,16]");
    reshape(&m, conv2, 4, (size_t[]){3, 3, 16, 0});
    refuse_import(&m, -EINVAL, "dimension 3 is 0");
    model_free(&m);

    model_make(&m, &shape, 1);
    reshape(&m, conv2, 4, (size_t[]){3, 3, 16, 15});
    reshape(&m, "extract_feature/conv3/weights" AVERAGE, 4, (size_t[]){3, 3, 15, 16});
    refuse_import(&m, -EINVAL, "channels");
    model_free(&m);

    shape = small_shape(VJ_VARIANT_FIGURE, 128);
    model_make(&m, &shape, 1);
    reshape(&m, head, 2, (size_t[]){98304, 512});
    refuse_import(&m, -EINVAL,
                  "found 98304 inputs, expected 96 for 16 channels of conv4 in the figure");
    model_free(&m);
}

static void a_patch_size_other_than_what_the_heads_tell_is_refused(void **state)
{
    (void)state;
    struct vj_net_shape shape = small_shape(VJ_VARIANT_RELEASED, 16);
    struct vj_checkpoint_import_options opt = {.patch_size = 16};
    struct model m;
    model_make(&m, &shape, 1);
    check_import(&m, &opt, &m.averages);

    struct vj_weights w = {0};
    struct vj_error err = {0};
    opt.patch_size = 32;
    assert_int_equal(vj_checkpoint_import(&w, m.place.prefix, &opt, &err), -EINVAL);
    vj_assert_contains(err.text,
                       "patches are of 16 pixels, as the inputs of the heads tell, not 32");
    vj_weights_free(&w);
    model_free(&m);
}

static void a_missing_moving_average_is_refused_by_name(void **state)
{
    (void)state;
    struct vj_net_shape shape = small_shape(VJ_VARIANT_RELEASED, 16);
    struct model m;
    model_make(&m, &shape, 1);
    for (size_t i = 0; i < m.averages.count; i++) {
        const struct vj_tensor *t = &m.averages.tensors[i];
        char name[200], text[400];
        snprintf(name, sizeof(name), "%s" AVERAGE, t->name);
        writer_remove(&m.writer, name);
        snprintf(text, sizeof(text),
                 "no tensor %s, only the variable without its moving average; "
                 "import the raw variables (--raw)",
                 name);
        refuse_import(&m, -ENOENT, text);
        writer_tensor(&m.writer, name, WRITER_FLOAT32, t->rank, t->shape, 0, t->data,
                      t->count * sizeof(float));
    }
    check_import(&m, NULL, &m.averages);
    writer_remove(&m.writer, "extract_feature/conv1/weights");
    writer_remove(&m.writer, "extract_feature/conv1/weights" AVERAGE);
    refuse_import(&m, -ENOENT, "is this a checkpoint of the VP-JND network?");
    model_free(&m);
}

static void tensors_of_the_network_that_cannot_be_read_are_refused_by_name(void **state)
{
    (void)state;
    const char *name = "weightings/block2/biases" AVERAGE;
    struct vj_net_shape shape = small_shape(VJ_VARIANT_RELEASED, 16);
    struct model m;
    model_make(&m, &shape, 2);
    writer_tensor(&m.writer, name, 2, 1, (size_t[]){1}, 0, "12345678", 8);
    refuse_import(&m, -ENOTSUP,
                  "tensor weightings/block2/biases/ExponentialMovingAverage: has type "
                  "float64 (2), expected float32 (1)");
    float nan = NAN;
    writer_tensor(&m.writer, name, WRITER_FLOAT32, 1, (size_t[]){1}, 0, &nan, 4);
    refuse_import(&m, -EBADMSG,
                  "weightings/block2/biases/ExponentialMovingAverage: holds numbers that are not");
    writer_put(&m.writer, name, "\x08\1\x12\4\x12\2\x08\1\x3a\0", 10);
    refuse_import(&m, -ENOTSUP, "weightings/block2/biases/ExponentialMovingAverage: is stored in");
    reshape(&m, name, 1, (size_t[]){1});
    m.writer.shards[0].n--;
    refuse_import(&m, -EBADMSG, "weightings/block2/biases/ExponentialMovingAverage: lies at bytes");
    model_free(&m);
}

static void the_released_index_has_exactly_the_tensors_of_the_network(void **state)
{
    (void)state;
    vj_require_data(RELEASED_INDEX);
    struct place p = place_make();
    struct bytes index = {NULL, 0, 0};
    read_whole(&index, vj_test_data(RELEASED_INDEX));
    bytes_save(&index, path_of(&p, ".index"));
    bytes_free(&index);

    struct vj_weights w = {0};
    struct vj_error err = {0};
    assert_int_equal(vj_checkpoint_import(&w, p.prefix, NULL, &err), -ENOENT);
    vj_assert_contains(err.text, "model.ckpt.data-00000-of-00001: no such data shard");
    vj_assert_contains(err.text, "git lfs pull");
    vj_weights_free(&w);

    /*
     * With a shard of the right size and no contents, every name, type, shape and extent passes,
     * for they are checked first; and then the first tensor's CRC fails.
     */
    put_file(&p, ".data-00000-of-00001", "", 0);
    assert_int_equal(truncate(path_of(&p, ".data-00000-of-00001"), RELEASED_SHARD_SIZE), 0);
    assert_int_equal(vj_checkpoint_import(&w, p.prefix, NULL, &err), -EBADMSG);
    vj_assert_contains(err.text, "tensor extract_feature/conv1/weights" AVERAGE ": CRC-32C");
    assert_int_equal(w.count, 64);
    assert_int_equal(w.shape.variant, VJ_VARIANT_RELEASED);
    assert_int_equal(w.shape.patch_size, 128);
    assert_memory_equal(w.shape.channels, ((int[]){32, 64, 128, 256}), 4 * sizeof(int));
    size_t bytes = 0;
    for (size_t i = 0; i < w.count; i++)
        bytes += w.tensors[i].count * sizeof(float);
    assert_int_equal(bytes, 407897464);
    vj_weights_free(&w);

    assert_int_equal(truncate(path_of(&p, ".data-00000-of-00001"), RELEASED_SHARD_SIZE - 1), 0);
    assert_int_equal(vj_checkpoint_import(&w, p.prefix, NULL, &err), -EBADMSG);
    vj_assert_contains(err.text, "which has only 1631589875");
    vj_weights_free(&w);
    place_remove(&p);
}

static void a_checkpoint_of_the_released_size_imports(void **state)
{
    (void)state;
    if (!getenv("VPJND_TEST_FULL")) {
        print_message("skipped: writes 408 MB; set VPJND_TEST_FULL=1\n");
        skip();
    }
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_RELEASED);
    struct model m = {.place = place_make()};
    assert_int_equal(vj_weights_init(&m.averages, &shape, 1, NULL), 0);
    writer_start(&m.writer, 1);
    writer_header(&m.writer);
    put_weights(&m.writer, &m.averages, AVERAGE);
    assert_int_equal(m.writer.shards[0].n, 407897464);
    check_import(&m, NULL, &m.averages);
    model_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moving_averages_of_a_released_checkpoint_become_weights),
        cmocka_unit_test(a_long_name_is_cut_between_characters),
        cmocka_unit_test(raw_variables_become_weights_when_asked_for),
        cmocka_unit_test(a_checkpoint_without_a_jnd_stream_is_of_the_figure_variant),
        cmocka_unit_test(snappy_and_tiny_blocks_import_the_same),
        cmocka_unit_test(a_checkpoint_that_is_not_the_network_is_refused_with_expected_and_found),
        cmocka_unit_test(a_patch_size_other_than_what_the_heads_tell_is_refused),
        cmocka_unit_test(a_missing_moving_average_is_refused_by_name),
        cmocka_unit_test(tensors_of_the_network_that_cannot_be_read_are_refused_by_name),
        cmocka_unit_test(the_released_index_has_exactly_the_tensors_of_the_network),
        cmocka_unit_test(a_checkpoint_of_the_released_size_imports),
    };
    return cmocka_run_group_tests_name("checkpoint import", tests, NULL, NULL);
}
