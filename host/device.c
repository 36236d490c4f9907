/* SPDX-License-Identifier: MIT */
#include "host/device.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda/module.h"
#include "host/checked.h"
#include "host/device_group.h"

/* ---- selectors ---- */

enum kind { KIND_AUTO, KIND_CPU, KIND_CUDA };

struct selection {
    enum kind kind;
    bool all; /* every GPU; then the list is empty */
    int ordinal[VJ_DEVICE_GPU_MAX];
    int count;
};

/* "0" or "0,1,..." into a list; false when it is something else. */
static bool parse_ordinals(const char *text, struct selection *s)
{
    for (;;) {
        char *end;
        if (*text < '0' || *text > '9' || s->count == VJ_DEVICE_GPU_MAX)
            return false;
        long n = strtol(text, &end, 10);
        if (n >= 1024)
            return false;
        s->ordinal[s->count++] = (int)n;
        if (*end == '\0')
            return true;
        if (*end != ',')
            return false;
        text = end + 1;
    }
}

static int parse_selector(const char *selector, struct selection *s, struct vj_error *err)
{
    static const struct {
        const char *name;
        enum kind kind;
    } kinds[] = {{"auto", KIND_AUTO}, {"cpu", KIND_CPU}, {"cuda", KIND_CUDA}};
    size_t length = strcspn(selector, ":");
    const char *list = selector[length] ? selector + length + 1 : NULL;
    bool known = false;
    *s = (struct selection){0};
    for (size_t i = 0; i < 3; i++)
        if (strlen(kinds[i].name) == length && strncmp(selector, kinds[i].name, length) == 0) {
            s->kind = kinds[i].kind;
            known = true;
        }
    if (known && !list)
        s->count = 1;
    else if (known && s->kind == KIND_CUDA && strcmp(list, "all") == 0)
        s->all = true;
    else if (known)
        known = s->kind != KIND_AUTO && parse_ordinals(list, s);
    if (!known || (s->kind == KIND_CPU && s->count != 1))
        return vj_fail(err, -EINVAL,
                       "device '%s' is not auto, cpu, cuda or cuda:N (N: a number, several as 0,1, "
                       "at most %d, or all)",
                       selector, VJ_DEVICE_GPU_MAX);
    return 0;
}

/* ---- the module ---- */

/* `name` in the program's own folder, or below it; false when that is unknown or too long. */
static bool beside_program(char *path, size_t size, const char *name)
{
    char program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (n <= 0)
        return false;
    program[n] = '\0';
    char *slash = strrchr(program, '/');
    if (!slash)
        return false;
    *slash = '\0';
    int wanted = snprintf(path, size, "%s/%s", program, name);
    return wanted > 0 && (size_t)wanted < size;
}

static int find_module(char *path, size_t size, struct vj_error *err)
{
    static const char *const places[] = {VJ_MODULE_FILE, "../lib/vpjnd/" VJ_MODULE_FILE};
    const char *given = getenv("VPJND_CUDA_MODULE");
    if (given && given[0]) {
        int n = snprintf(path, size, "%s", given);
        if (n > 0 && (size_t)n < size && access(path, F_OK) == 0)
            return 0;
        return vj_fail(err, -ENODEV, "there is no %s, which VPJND_CUDA_MODULE names", given);
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (beside_program(path, size, places[i]) && access(path, F_OK) == 0)
            return 0;
    path[0] = '\0';
    return vj_fail(err, -ENODEV,
                   "this build has no CUDA device (no " VJ_MODULE_FILE " beside the program)");
}

/* A function of the module. ISO C has no cast from void * to a function's address; POSIX does. */
static int find_function(void *handle, const char *path, const char *name, void *function,
                         struct vj_error *err)
{
    void *symbol = dlsym(handle, name);
    if (!symbol)
        return vj_fail(err, -ENODEV, "%s is not a module of vpjnd: it has no %s()", path, name);
    memcpy(function, &symbol, sizeof(symbol));
    return 0;
}

static int check_module(void *handle, const char *path, const struct vj_device_module **module,
                        struct vj_error *err)
{
    int (*api)(void) = NULL;
    const struct vj_device_module *(*get)(int) = NULL;
    int r = find_function(handle, path, VJ_MODULE_API_SYMBOL, &api, err);
    if (!r)
        r = find_function(handle, path, VJ_MODULE_SYMBOL, &get, err);
    if (r)
        return r;
    if (api() != VJ_DEVICE_API || !(*module = get(VJ_DEVICE_API)) ||
        (*module)->ops->api != VJ_DEVICE_API)
        return vj_fail(
            err, -ENODEV,
            "%s has version %d of the device interface, this program %d; build both from "
            "the same sources",
            path, api(), VJ_DEVICE_API);
    return 0;
}

/*
 * Finds, loads and checks the module.
 * path: 4096 bytes, filled as far as it was found
 * Every failure is -ENODEV with one line that says what is missing.
 */
static int load_module(const struct vj_device_module **module, char *path, struct vj_error *err)
{
    *module = NULL;
    path[0] = '\0';
    int r = find_module(path, 4096, err);
    if (r)
        return r;
    /* Never unloaded: CUDA's libraries keep threads and exit handlers of their own. */
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle)
        return vj_fail(err, -ENODEV, "cannot load the CUDA module: %s", dlerror());
    r = check_module(handle, path, module, err);
    if (r)
        *module = NULL;
    dlclose(handle);
    return r;
}

/* ---- opening ---- */

static int open_cuda(struct vj_device *device, const struct selection *selected,
                     const struct vj_device_plan *plan, struct vj_error *err)
{
    const struct vj_device_module *module;
    struct selection s = *selected;
    char path[4096];
    int gpus;
    int r = load_module(&module, path, err);
    if (!r)
        r = module->count(&gpus, err);
    if (r)
        return r;
    if (s.all) {
        s.count = gpus < VJ_DEVICE_GPU_MAX ? gpus : VJ_DEVICE_GPU_MAX;
        for (int i = 0; i < s.count; i++)
            s.ordinal[i] = i;
    }
    for (int i = 0; i < s.count; i++) {
        char text[256];
        if (s.ordinal[i] >= gpus)
            return vj_fail(err, -ENODEV, "there is no GPU %d, the driver shows %d (0..%d)",
                           s.ordinal[i], gpus, gpus - 1);
        r = module->probe(s.ordinal[i], text, sizeof(text), err);
        if (r)
            return r;
    }
    if (s.count > 1)
        return vj_device_group_open(device, module->ops, s.ordinal, s.count, plan, err);
    r = module->ops->open(&device->state, plan, s.ordinal[0], err);
    if (!r)
        device->ops = module->ops;
    return r;
}

static int open_cpu(struct vj_device *device, const struct selection *s,
                    const struct vj_device_plan *plan, struct vj_error *err)
{
    if (plan->precision != VJ_PRECISION_FP32)
        return vj_fail(err, -ENOTSUP, "option precision: the CPU computes in fp32 only");
    int r = vj_device_cpu.open(&device->state, plan, s->ordinal[0], err);
    if (!r)
        device->ops = &vj_device_cpu;
    return r;
}

int vj_device_open(struct vj_device *device, const char *selector,
                   const struct vj_device_plan *plan, char note[256], struct vj_error *err)
{
    struct selection s;
    struct vj_error why = {0};
    *device = (struct vj_device){0};
    note[0] = '\0';
    int r = parse_selector(selector, &s, err);
    if (r)
        return r;
    if (s.kind == KIND_CPU)
        return open_cpu(device, &s, plan, err);
    r = open_cuda(device, &s, plan, &why);
    if (!r)
        return 0;
    if (s.kind == KIND_CUDA)
        return vj_fail(err, r, "device %s: %s; use --device cpu", selector, why.text);
    if (plan->precision != VJ_PRECISION_FP32)
        return vj_fail(err, r, "option precision: fp32 only without a GPU; device auto: %s",
                       why.text);
    snprintf(note, 256, "device auto: using the CPU, %.200s", why.text);
    return open_cpu(device, &s, plan, err);
}

void vj_device_close(struct vj_device *device)
{
    if (device->ops)
        device->ops->close(device->state);
    *device = (struct vj_device){0};
}

/* ---- listing ---- */

static void list_gpus(FILE *out, const struct vj_device_module *module)
{
    struct vj_error err = {0};
    int gpus = 0;
    if (module->count(&gpus, &err))
        fprintf(out, "cuda    not usable  %s\n", err.text);
    for (int i = 0; i < gpus; i++) {
        char text[256] = "";
        int r = module->probe(i, text, sizeof(text), &err);
        fprintf(out, "cuda:%-2d %s  %s%s%s\n", i, r ? "not usable" : "usable    ", text,
                r && text[0] ? ": " : "", r ? err.text : "");
    }
}

static void list_cuda(FILE *out)
{
    const struct vj_device_module *module;
    struct vj_error err = {0};
    char path[4096];
    if (load_module(&module, path, &err)) {
        fprintf(out, "cuda    %s  %s\n", path[0] ? "not usable" : "not built ", err.text);
        return;
    }
    fprintf(out, "cuda    compiled    %s; %s\n", module->built, path);
    list_gpus(out, module);
}

int vj_device_list(char **text, struct vj_error *err)
{
    struct vj_device_info info = {0};
    size_t size;
    *text = NULL;
    FILE *out = open_memstream(text, &size);
    if (!out)
        return vj_fail(err, -ENOMEM, "out of memory");
    vj_device_cpu.info(NULL, &info);
    fprintf(out, "cpu     usable      %s; %s\n", info.name, info.libraries);
    list_cuda(out);
    bool bad = ferror(out) != 0;
    if (fclose(out) == 0 && !bad)
        return 0;
    free(*text);
    *text = NULL;
    return vj_fail(err, -ENOMEM, "out of memory");
}
