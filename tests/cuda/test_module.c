/* SPDX-License-Identifier: MIT */
/* The loader of the CUDA module, with modules made for it, and the real module without a GPU. */
#include "tests/vj_test.h"

#include <dlfcn.h>
#include <errno.h>

#include "cuda/module.h"
#include "host/device.h"
#include "host/trainer.h"
#include "host/weights.h"

static void use_module(const char *path)
{
    assert_int_equal(setenv("VPJND_CUDA_MODULE", path, 1), 0);
}

static void use_fake(const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/fake_%s.so", VJ_FAKE_MODULES, name);
    use_module(path);
}

/* The least that the CPU device can be opened with. */
static struct vj_device_plan small_plan(int slots)
{
    return (struct vj_device_plan){.max_width = 16,
                                   .max_height = 16,
                                   .slots = slots,
                                   .threads = 1,
                                   .levels = 1,
                                   .sampling = VJ_SUBSAMPLING_420,
                                   .draws = 1};
}

static int try_open(struct vj_device *device, const char *selector, int slots, char note[256],
                    struct vj_error *err)
{
    const struct vj_device_plan plan = small_plan(slots);
    *err = (struct vj_error){0};
    return vj_device_open(device, selector, &plan, note, err);
}

static void expect_name(const struct vj_device *device, const char *name)
{
    struct vj_device_info info = {0};
    device->ops->info(device->state, &info);
    assert_string_equal(info.name, name);
}

static void expect_refused(const char *selector, int slots, int code, const char *text)
{
    struct vj_device device;
    struct vj_error err;
    char note[256];
    int r = try_open(&device, selector, slots, note, &err);
    if (r != code)
        print_error("device %s: %d, \"%s\"\n", selector, r, err.text);
    assert_int_equal(r, code);
    assert_int_equal(err.code, code);
    vj_assert_contains(err.text, text);
    assert_null(device.ops);
}

/* `auto` takes the CPU, says why in one line, and asking for cuda by name is an error. */
static void expect_unusable(const char *reason)
{
    struct vj_device device;
    struct vj_error err;
    char note[256], *text;
    expect_refused("cuda", 1, -ENODEV, reason);
    assert_int_equal(try_open(&device, "auto", 1, note, &err), 0);
    assert_ptr_equal(device.ops, &vj_device_cpu);
    vj_assert_contains(note, "device auto: using the CPU, ");
    vj_assert_contains(note, reason);
    assert_null(strchr(note, '\n'));
    vj_device_close(&device);
    assert_int_equal(vj_device_list(&text, NULL), 0);
    vj_assert_contains(text, "cpu     usable      CPU: ");
    vj_assert_contains(text, reason);
    free(text);
}

static void no_module_is_said_and_the_cpu_is_used(void **state)
{
    (void)state;
    use_module("/nonexistent/vpjnd_cuda.so");
    expect_unusable("there is no /nonexistent/vpjnd_cuda.so, which VPJND_CUDA_MODULE names");
    expect_refused("cuda:1", 1, -ENODEV, "device cuda:1: there is no /nonexistent");
    expect_refused("cuda:all", 1, -ENODEV, "use --device cpu");
}

static void without_the_variable_the_module_is_looked_for_beside_the_program(void **state)
{
    (void)state;
    unsetenv("VPJND_CUDA_MODULE");
    char *text;
    expect_unusable("no vpjnd_cuda.so beside the program"); /* the test's own folder has none */
    assert_int_equal(vj_device_list(&text, NULL), 0);
    vj_assert_contains(text, "cuda    not built   this build has no CUDA device");
    free(text);
}

/* Links fake_good.so to where the program looks for its module; path: the link's */
static void put_module_beside_program(char path[4096])
{
    ssize_t n = readlink("/proc/self/exe", path, 4000);
    assert_true(n > 0);
    path[n] = '\0';
    strcpy(strrchr(path, '/') + 1, "vpjnd_cuda.so");
    unlink(path); /* of a killed test */
    assert_int_equal(symlink(VJ_FAKE_MODULES "/fake_good.so", path), 0);
}

/* Not even one that works: the real one's libraries may take the program down as they load. */
static void a_module_beside_the_program_is_used_only_where_there_is_a_driver(void **state)
{
    (void)state;
    struct vj_device device;
    struct vj_error err;
    char path[4096], note[256], *text;
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    unsetenv("VPJND_CUDA_MODULE");
    put_module_beside_program(path);
    int r = try_open(&device, "auto", 1, note, &err);
    int listed = vj_device_list(&text, NULL);
    unlink(path);
    assert_int_equal(r, 0);
    assert_int_equal(listed, 0);
    vj_assert_contains(text, "cuda    compiled    nothing; "); /* the list looks into it */
    if (driver) {
        assert_string_equal(device.ops->name, "fake");
        dlclose(driver);
    } else {
        assert_ptr_equal(device.ops, &vj_device_cpu);
        vj_assert_contains(note, "device auto: using the CPU, no NVIDIA driver is installed");
        vj_assert_contains(note, "libcuda.so.1");
    }
    vj_device_close(&device);
    free(text);
}

static void what_is_not_a_module_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"wrong_api", "has version 7 of the device interface, this program 6; build both from"},
        {"other_api", "of the device interface, this program 6; build both from"},
        {"no_symbol", "is not a module of vpjnd: it has no vj_device_module()"},
    };
    assert_int_equal(VJ_DEVICE_API, 6); /* as in the texts above */
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        use_fake(cases[i].name);
        expect_unusable(cases[i].text);
    }
    char *folder = vj_test_mkdir(), path[4096];
    snprintf(path, sizeof(path), "%s/text.so", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("This is no shared object.\n", file);
    fclose(file);
    use_module(path);
    expect_unusable("cannot load the CUDA module: ");
    vj_test_rmdir(folder);
}

static void a_module_without_a_gpu_gives_its_reason(void **state)
{
    (void)state;
    use_fake("no_gpu");
    expect_unusable("the driver shows no GPU");
}

static void a_gpu_that_fails_its_probe_is_not_used(void **state)
{
    (void)state;
    struct vj_device device;
    struct vj_error err;
    char note[256], *text;
    use_fake("bad_probe");
    expect_refused("cuda", 1, -EIO, "device cuda: the probe kernel gave a wrong result");
    expect_refused("cuda:0,1", 2, -EIO, "the probe kernel gave a wrong result");
    assert_int_equal(try_open(&device, "auto", 1, note, &err), 0);
    assert_ptr_equal(device.ops, &vj_device_cpu);
    vj_assert_contains(note, "using the CPU, the probe kernel gave a wrong result");
    vj_device_close(&device);
    assert_int_equal(try_open(&device, "cuda:1", 1, note, &err), 0); /* the other one works */
    expect_name(&device, "fake 1 with 1 slots");
    vj_device_close(&device);
    assert_int_equal(vj_device_list(&text, NULL), 0);
    vj_assert_contains(text, "cuda:0  not usable  Fake 0: the probe kernel gave a wrong result\n");
    vj_assert_contains(text, "cuda:1  usable      Fake 1\n");
    free(text);
}

static void a_module_with_gpus_is_listed_and_taken(void **state)
{
    (void)state;
    static const struct {
        const char *selector, *name;
    } cases[] = {
        {"auto", "fake 0 with 3 slots"},
        {"cuda", "fake 0 with 3 slots"},
        {"cuda:0", "fake 0 with 3 slots"},
        {"cuda:1", "fake 1 with 3 slots"},
    };
    char *text;
    use_fake("good");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_device device;
        struct vj_error err;
        char note[256];
        assert_int_equal(try_open(&device, cases[i].selector, 3, note, &err), 0);
        assert_string_equal(note, "");
        assert_string_equal(device.ops->name, "fake");
        expect_name(&device, cases[i].name);
        vj_device_close(&device);
        assert_null(device.state);
    }
    expect_refused("cuda:2", 3, -ENODEV, "device cuda:2: there is no GPU 2, the driver shows 2");
    assert_int_equal(vj_device_list(&text, NULL), 0);
    vj_assert_contains(text, "cuda    compiled    nothing; " VJ_FAKE_MODULES "/fake_good.so\n");
    vj_assert_contains(text, "cuda:0  usable      Fake 0\ncuda:1  usable      Fake 1\n");
    free(text);
}

static void expect_asked(const struct vj_device *device, int slot, const char *whom)
{
    const struct vj_device_ops *ops = device->ops;
    struct vj_error err[6] = {{0}};
    static const char *const stages[] = {"source",     "jnd_maps", "positions",
                                         "candidates", "scores",   "wait"};
    assert_int_equal(ops->source(device->state, slot, NULL, NULL, 0, &err[0]), -EXDEV);
    assert_int_equal(ops->jnd_maps(device->state, slot, &err[1]), -EXDEV);
    assert_int_equal(ops->positions(device->state, slot, NULL, NULL, NULL, &err[2]), -EXDEV);
    assert_int_equal(ops->candidates(device->state, slot, NULL, NULL, &err[3]), -EXDEV);
    assert_int_equal(ops->scores(device->state, slot, 0, 0, 1, NULL, NULL, NULL, &err[4]), -EXDEV);
    assert_int_equal(ops->wait(device->state, slot, &err[5]), -EXDEV);
    for (int i = 0; i < 6; i++) {
        char text[128];
        snprintf(text, sizeof(text), "%s: %s", stages[i], whom);
        assert_string_equal(err[i].text, text);
    }
}

static void several_gpus_take_the_slots_in_turn(void **state)
{
    (void)state;
    static const char *const selectors[] = {"cuda:0,1", "cuda:all"};
    use_fake("good");
    for (int i = 0; i < 2; i++) {
        struct vj_device device;
        struct vj_device_info info = {0};
        struct vj_error err;
        char note[256];
        assert_int_equal(try_open(&device, selectors[i], 5, note, &err), 0);
        expect_asked(&device, 0, "device 0, slot 0 of 3");
        expect_asked(&device, 1, "device 1, slot 0 of 2");
        expect_asked(&device, 2, "device 0, slot 1 of 3");
        expect_asked(&device, 3, "device 1, slot 1 of 2");
        expect_asked(&device, 4, "device 0, slot 2 of 3");
        device.ops->info(device.state, &info);
        assert_string_equal(info.name, "2 devices, the first: fake 0 with 3 slots");
        assert_int_equal(info.memory, 100 + 101);
        assert_string_equal(device.ops->name, "fake"); /* files of one GPU can be gone on with */
        char text[64];
        device.ops->algorithms(device.state, 3, text, sizeof(text));
        assert_string_equal(text, "fake\nnetwork 3\n");
        vj_device_close(&device);
    }
    expect_refused("cuda:1,0", 1, -EINVAL, "option slots = 1: 2 devices need one each");
    expect_refused("cuda:0,2", 2, -ENODEV, "there is no GPU 2");
}

static void a_gpu_may_be_named_twice(void **state)
{
    (void)state;
    struct vj_device device;
    struct vj_error err;
    char note[256];
    use_fake("good");
    assert_int_equal(try_open(&device, "cuda:1,1", 2, note, &err), 0);
    expect_asked(&device, 0, "device 1, slot 0 of 1");
    expect_asked(&device, 1, "device 1, slot 0 of 1");
    vj_device_close(&device);
}

static void one_failing_of_several_closes_the_others(void **state)
{
    (void)state;
    use_fake("bad_open");
    expect_refused("cuda:0,1", 2, -ENOMEM, "the run needs 99 MiB more on GPU 1"); /* leaks show */
}

static void selectors_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",        "tpu",      "cud",       "cuda:",     "cuda:x",
        "cuda:-1", "cuda:+1",  "cuda: 1",   "cuda:1,",   "cuda:,1",
        "cuda:1x", "cuda:1 2", "cuda:1024", "cuda:alle", "cuda:99999999999999999999",
        "auto:0",  "auto:",    "cpu:",      "cpu:0,1",   "cuda:0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0",
        "cpu:all", "CUDA",
    };
    use_fake("good");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_refused(bad[i], 32, -EINVAL, "is not auto, cpu, cuda or cuda:N");
}

static void precision_below_single_is_never_dropped_silently(void **state)
{
    (void)state;
    struct vj_device_plan plan = small_plan(1);
    struct vj_device device;
    struct vj_error err = {0};
    char note[256];
    plan.precision = VJ_PRECISION_FP16;
    use_module("/nonexistent/vpjnd_cuda.so");
    assert_int_equal(vj_device_open(&device, "cpu", &plan, note, &err), -ENOTSUP);
    vj_assert_contains(err.text, "option precision: the CPU computes in fp32 only");
    assert_int_equal(vj_device_open(&device, "auto", &plan, note, &err), -ENODEV);
    vj_assert_contains(err.text, "option precision: fp32 only without a GPU; device auto: there");
    use_fake("good");
    assert_int_equal(vj_device_open(&device, "auto", &plan, note, &err), 0);
    assert_string_equal(device.ops->name, "fake");
    vj_device_close(&device);
}

/* ---- training ---- */

/* The least that a trainer can be opened with; w: freed by the caller. */
static struct vj_trainer_plan small_trainer(struct vj_weights *w)
{
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    shape.patch_size = 16;
    for (int i = 0; i < 4; i++)
        shape.channels[i] = 16;
    memset(w, 0, sizeof(*w));
    assert_int_equal(vj_weights_init(w, &shape, 1, NULL), 0);
    return (struct vj_trainer_plan){.weights = w,
                                    .patches = 1,
                                    .max_references = 1,
                                    .max_pairs = 3,
                                    .adam = {0.9, 0.999, 1e-8},
                                    .average = 0.9999,
                                    .keep = 0.5,
                                    .threads = 1};
}

static int try_trainer(struct vj_trainer *t, const char *selector, char note[256],
                       struct vj_error *err)
{
    struct vj_weights w;
    const struct vj_trainer_plan plan = small_trainer(&w);
    *err = (struct vj_error){0};
    const int r = vj_trainer_open(t, selector, &plan, note, err);
    vj_weights_free(&w); /* copied, the header says */
    return r;
}

static void a_trainer_is_chosen_in_the_words_of_a_device(void **state)
{
    (void)state;
    static const struct {
        const char *selector, *libraries;
    } cases[] = {{"auto", "fake 0 for 3 pairs"},
                 {"cuda", "fake 0 for 3 pairs"},
                 {"cuda:1", "fake 1 for 3 pairs"}};
    struct vj_trainer t;
    struct vj_error err;
    char note[256], text[128];
    use_fake("good");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(try_trainer(&t, cases[i].selector, note, &err), 0);
        assert_string_equal(note, "");
        t.ops->libraries(t.state, text, sizeof(text));
        assert_string_equal(text, cases[i].libraries);
        vj_trainer_close(&t);
        assert_null(t.ops);
    }
    assert_int_equal(try_trainer(&t, "cpu", note, &err), 0);
    assert_ptr_equal(t.ops, &vj_trainer_cpu);
    vj_trainer_close(&t);
    vj_trainer_close(&t); /* harmless */
}

static void a_trainer_that_is_not_there_is_an_error_and_several_gpus_are(void **state)
{
    (void)state;
    static const struct {
        const char *fake, *selector, *text;
        int code;
    } cases[] = {
        {"good", "cuda:0,1", "device cuda:0,1: 2 GPUs, training uses one; name it as cuda:N",
         -EINVAL},
        {"good", "cuda:all", "2 GPUs, training uses one", -EINVAL},
        {"good", "cuda:2", "there is no GPU 2", -ENODEV},
        {"good", "tpu", "is not auto, cpu, cuda or cuda:N", -EINVAL},
        {"good", "cpu:1", "device cpu:1: there is one CPU device, cpu", -ENODEV},
        {"no_gpu", "cuda", "the driver shows no GPU", -ENODEV},
        {"bad_probe", "cuda", "the probe kernel gave a wrong result", -EIO},
        {"bad_open", "cuda", "training needs 99 MiB more", -ENOMEM},
        {"wrong_api", "cuda", "of the device interface", -ENODEV},
    };
    struct vj_trainer t;
    struct vj_error err;
    char note[256];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        use_fake(cases[i].fake);
        assert_int_equal(try_trainer(&t, cases[i].selector, note, &err), cases[i].code);
        vj_assert_contains(err.text, cases[i].text);
        assert_null(t.ops);
    }
    use_fake("bad_open");
    assert_int_equal(try_trainer(&t, "auto", note, &err), 0);
    assert_ptr_equal(t.ops, &vj_trainer_cpu);
    vj_assert_contains(note, "device auto: training on the CPU, training needs 99 MiB more");
    vj_trainer_close(&t);
}

#ifdef VJ_REAL_MODULE
/* CUDA_VISIBLE_DEVICES hides every GPU, so that this is the same with and without one. */
static void the_real_module_loads_and_says_that_there_is_no_gpu(void **state)
{
    (void)state;
    struct vj_error err;
    struct vj_device device;
    char note[256], *text;
    assert_int_equal(setenv("CUDA_VISIBLE_DEVICES", "", 1), 0);
    use_module(VJ_REAL_MODULE);
    assert_int_equal(try_open(&device, "cuda", 1, note, &err), -ENODEV);
    if (!strstr(err.text, "no NVIDIA driver is installed"))
        vj_assert_contains(err.text, "the driver shows no GPU");
    assert_int_equal(try_open(&device, "auto", 1, note, &err), 0);
    assert_ptr_equal(device.ops, &vj_device_cpu);
    vj_device_close(&device);
    assert_int_equal(vj_device_list(&text, NULL), 0);
    vj_assert_contains(text, "cuda    compiled    CUDA ");
    vj_assert_contains(text, "cuda    not usable  ");
    print_message("%s", text);
    free(text);
}

static void the_real_module_refuses_another_version(void **state)
{
    (void)state;
    void *handle = dlopen(VJ_REAL_MODULE, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle)
        fail_msg("%s", dlerror());
    const struct vj_device_module *(*get)(int);
    int (*api)(void);
    void *symbol = dlsym(handle, VJ_MODULE_SYMBOL);
    assert_non_null(symbol);
    memcpy(&get, &symbol, sizeof(get));
    symbol = dlsym(handle, VJ_MODULE_API_SYMBOL);
    assert_non_null(symbol);
    memcpy(&api, &symbol, sizeof(api));
    assert_int_equal(api(), VJ_DEVICE_API);
    assert_null(get(VJ_DEVICE_API + 1));
    assert_null(get(0));
    assert_non_null(get(VJ_DEVICE_API));
    assert_int_equal(get(VJ_DEVICE_API)->ops->api, VJ_DEVICE_API);
    assert_string_equal(get(VJ_DEVICE_API)->trainer->name, "cuda");
    dlclose(handle);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_module_is_said_and_the_cpu_is_used),
        cmocka_unit_test(without_the_variable_the_module_is_looked_for_beside_the_program),
        cmocka_unit_test(a_module_beside_the_program_is_used_only_where_there_is_a_driver),
        cmocka_unit_test(what_is_not_a_module_is_refused),
        cmocka_unit_test(a_module_without_a_gpu_gives_its_reason),
        cmocka_unit_test(a_gpu_that_fails_its_probe_is_not_used),
        cmocka_unit_test(a_module_with_gpus_is_listed_and_taken),
        cmocka_unit_test(several_gpus_take_the_slots_in_turn),
        cmocka_unit_test(a_gpu_may_be_named_twice),
        cmocka_unit_test(one_failing_of_several_closes_the_others),
        cmocka_unit_test(selectors_are_checked),
        cmocka_unit_test(precision_below_single_is_never_dropped_silently),
        cmocka_unit_test(a_trainer_is_chosen_in_the_words_of_a_device),
        cmocka_unit_test(a_trainer_that_is_not_there_is_an_error_and_several_gpus_are),
#ifdef VJ_REAL_MODULE
        cmocka_unit_test(the_real_module_loads_and_says_that_there_is_no_gpu),
        cmocka_unit_test(the_real_module_refuses_another_version),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
