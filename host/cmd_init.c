/* SPDX-License-Identifier: MIT */
/* vpjnd init: fresh random weights, to start training from or to measure throughput with. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/commands.h"
#include "host/progress.h"
#include "host/weights.h"

struct arguments {
    struct vj_net_shape shape;
    const char *variant;
    unsigned long long seed;
    int patch_size, patches;
    const char *output;
};

enum { KEY_SEED = 256, KEY_PATCH_SIZE, KEY_PATCHES, KEY_VARIANT };

static const struct argp_option options[] = {
    {"variant", KEY_VARIANT, "NAME", 0, "network: released, figure or pw-jnd [figure]", 0},
    {"seed", KEY_SEED, "N", 0, "seed of the random numbers [1]", 0},
    {"patch-size", KEY_PATCH_SIZE, "PIXELS", 0,
     "side of a patch, a multiple of 16 [128]; pw-jnd: of 32 [32]", 0},
    {"patches", KEY_PATCHES, "N", 0, "patches per picture recorded in the file [32]", 0},
    {"output", 'o', "FILE.h5", 0, "weight file to write", 0},
    {0},
};

static long number(const char *text, const char *option, long min, long max,
                   struct argp_state *state)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (end == text || *end || errno || n < min || n > max)
        argp_error(state, "%s: '%s' is not a whole number from %ld to %ld", option, text, min, max);
    return n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    char *end;
    switch (key) {
    case KEY_VARIANT:
        a->variant = arg;
        return 0;
    case KEY_SEED:
        errno = 0;
        a->seed = strtoull(arg, &end, 10);
        if (end == arg || *end || errno || strchr(arg, '-'))
            argp_error(state, "--seed: '%s' is not a whole number from 0 to 2^64-1", arg);
        return 0;
    case KEY_PATCH_SIZE:
        a->patch_size = (int)number(arg, "--patch-size", 16, 256, state);
        return 0;
    case KEY_PATCHES:
        a->patches = (int)number(arg, "--patches", 1, 4096, state);
        return 0;
    case 'o':
        a->output = arg;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'", arg);
        return 0;
    case ARGP_KEY_END:
        if (!a->output)
            argp_error(state, "say where to write the weights: -o FILE.h5");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Writes fresh random weights with the released graph's initial distributions (pw-jnd: "
           "wider ones, docs/network.md). The same seed gives the same file. Predictions of random "
           "weights mean nothing: reports give them a throughput line, never an accuracy row.",
};

int vj_cmd_init(int argc, char **argv)
{
    struct arguments a = {.variant = "figure", .seed = 1};
    argp_parse(&argp, argc, argv, 0, NULL, &a);

    struct vj_error err = {0};
    enum vj_variant variant;
    struct vj_weights weights = {0};
    int r = vj_variant_parse(&variant, a.variant, &err);
    if (!r) {
        struct vj_net_shape shape = vj_net_shape_default(variant);
        if (a.patch_size)
            shape.patch_size = a.patch_size;
        if (a.patches)
            shape.patches = a.patches;
        r = vj_weights_init(&weights, &shape, a.seed, &err);
    }
    if (!r)
        r = vj_weights_write(&weights, a.output, &err);
    if (r)
        vj_error_show(&err);
    else
        printf("%s: %s, %zu tensors, sha256 %.16s...\n", a.output,
               vj_variant_name(weights.shape.variant), weights.count, weights.sha256);
    vj_weights_free(&weights);
    return r ? VJ_EXIT_USAGE : VJ_EXIT_OK;
}
