/* SPDX-License-Identifier: MIT */
#include "host/device_module.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- selectors ---- */

/* "0" or "0,1,..." into a list; false when it is something else. */
static bool parse_ordinals(const char *text, struct vj_device_selection *s)
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

int vj_device_select(struct vj_device_selection *s, const char *selector, struct vj_error *err)
{
    static const struct {
        const char *name;
        enum vj_device_kind kind;
    } kinds[] = {{"auto", VJ_DEVICE_AUTO}, {"cpu", VJ_DEVICE_CPU}, {"cuda", VJ_DEVICE_CUDA}};
    size_t length = strcspn(selector, ":");
    const char *list = selector[length] ? selector + length + 1 : NULL;
    bool known = false;
    *s = (struct vj_device_selection){0};
    for (size_t i = 0; i < 3; i++)
        if (strlen(kinds[i].name) == length && strncmp(selector, kinds[i].name, length) == 0) {
            s->kind = kinds[i].kind;
            known = true;
        }
    if (known && !list)
        s->count = 1;
    else if (known && s->kind == VJ_DEVICE_CUDA && strcmp(list, "all") == 0)
        s->all = true;
    else if (known)
        known = s->kind != VJ_DEVICE_AUTO && parse_ordinals(list, s);
    if (!known || (s->kind == VJ_DEVICE_CPU && s->count != 1))
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

/*
 * The driver before the module: cuBLASLt, which comes with the module, takes memory as it is loaded
 * and crashes where an address-space limit leaves none, on machines that have no use for it.
 */
static int find_driver(struct vj_error *err)
{
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (!driver)
        return vj_fail(err, -ENODEV, "no NVIDIA driver is installed (%.150s)", dlerror());
    dlclose(driver);
    return 0;
}

/* The module that the environment names, or NULL. */
static const char *named_module(void)
{
    const char *given = getenv("VPJND_CUDA_MODULE");
    return given && given[0] ? given : NULL;
}

static int find_module(char *path, size_t size, struct vj_error *err)
{
    static const char *const places[] = {VJ_MODULE_FILE, "../lib/vpjnd/" VJ_MODULE_FILE};
    const char *given = named_module();
    if (given) {
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

static int load_module(const struct vj_device_module **module, const char *path,
                       struct vj_error *err)
{
    /* Never unloaded: CUDA's libraries keep threads and exit handlers of their own. */
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle)
        return vj_fail(err, -ENODEV, "cannot load the CUDA module: %s", dlerror());
    int r = check_module(handle, path, module, err);
    if (r)
        *module = NULL;
    dlclose(handle);
    return r;
}

int vj_device_module_load(const struct vj_device_module **module, char path[4096],
                          struct vj_error *err)
{
    *module = NULL;
    path[0] = '\0';
    int r = find_module(path, 4096, err);
    return r ? r : load_module(module, path, err);
}

int vj_device_module_gpus(struct vj_device_selection *s, const struct vj_device_module **module,
                          struct vj_error *err)
{
    char path[4096];
    int gpus;
    *module = NULL;
    int r = find_module(path, sizeof(path), err);
    if (!r && !named_module()) /* one that is named may be an emulation, which needs no driver */
        r = find_driver(err);
    if (!r)
        r = load_module(module, path, err);
    if (!r)
        r = (*module)->count(&gpus, err);
    if (r)
        return r;
    if (s->all) {
        s->count = gpus < VJ_DEVICE_GPU_MAX ? gpus : VJ_DEVICE_GPU_MAX;
        for (int i = 0; i < s->count; i++)
            s->ordinal[i] = i;
    }
    for (int i = 0; i < s->count; i++) {
        char text[256];
        if (s->ordinal[i] >= gpus)
            return vj_fail(err, -ENODEV, "there is no GPU %d, the driver shows %d (0..%d)",
                           s->ordinal[i], gpus, gpus - 1);
        r = (*module)->probe(s->ordinal[i], text, sizeof(text), err);
        if (r)
            return r;
    }
    return 0;
}
