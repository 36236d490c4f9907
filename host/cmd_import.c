/* SPDX-License-Identifier: MIT */
/*
 * vpjnd import: a TensorFlow checkpoint of the VP-JND network, or a PyTorch file of ResJND, becomes
 * a weight file.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/checkpoint.h"
#include "host/commands.h"
#include "host/progress.h"
#include "host/pth.h"
#include "host/resjnd.h"
#include "host/weights.h"

struct arguments {
    const char *prefix, *output;
    struct vj_checkpoint_import_options import;
    bool list, network_options; /* the latter: one that only VP-JND's network has */
};

enum { KEY_RAW = 256, KEY_POSITIVE_CLASS, KEY_PATCHES, KEY_PATCH_SIZE, KEY_LIST };

static const struct argp_option options[] = {
    {"output", 'o', "W.h5", 0, "weight file to write", 0},
    {"raw", KEY_RAW, NULL, 0, "take the variables themselves, not their moving averages", 0},
    {"positive-class", KEY_POSITIVE_CLASS, "CLASS", 0,
     "what a positive score means: lossy, lossless, or auto, decided on the first evaluated images "
     "[auto]",
     0},
    {"patches", KEY_PATCHES, "N", 0, "patches per picture recorded in the file [32]", 0},
    {"patch-size", KEY_PATCH_SIZE, "PIXELS", 0,
     "side of a patch, needed only where the checkpoint does not tell [128]", 0},
    {"list", KEY_LIST, NULL, 0, "print the tensors of the index and write nothing", 0},
    {0},
};

static int positive_number(const char *text, const char *option, struct argp_state *state)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (end == text || *end || errno || n < 1 || n > INT_MAX)
        argp_error(state, "%s: '%s' is not a whole number from 1", option, text);
    return (int)n;
}

static enum vj_positive_class positive_class(const char *text, struct argp_state *state)
{
    for (int c = VJ_POSITIVE_AUTO; c <= VJ_POSITIVE_LOSSLESS; c++)
        if (strcmp(text, vj_positive_class_name((enum vj_positive_class)c)) == 0)
            return (enum vj_positive_class)c;
    argp_error(state, "--positive-class: '%s' is not auto, lossy or lossless", text);
    return VJ_POSITIVE_AUTO;
}

/* What the options must have said together. */
static void check(const struct arguments *a, struct argp_state *state)
{
    if (!a->prefix)
        argp_error(state, "say which checkpoint: the path in front of .index, or a .pth file");
    else if (!a->list && !a->output)
        argp_error(state, "say where to write the weights: -o W.h5");
    else if (a->list && a->output)
        argp_error(state, "--list writes no weights; leave out -o or --list");
    else if (a->network_options && vj_pth_is_name(a->prefix))
        argp_error(state, "a PyTorch file holds ResJND, which takes no option but -o or --list");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 'o':
        a->output = arg;
        return 0;
    case KEY_RAW:
        a->import.raw = a->network_options = true;
        return 0;
    case KEY_POSITIVE_CLASS:
        a->network_options = true;
        a->import.positive_class = positive_class(arg, state);
        return 0;
    case KEY_PATCHES:
        a->network_options = true;
        a->import.patches = positive_number(arg, "--patches", state);
        return 0;
    case KEY_PATCH_SIZE:
        a->network_options = true;
        a->import.patch_size = positive_number(arg, "--patch-size", state);
        return 0;
    case KEY_LIST:
        a->list = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->prefix)
            argp_error(state, "unexpected argument '%s'", arg);
        a->prefix = arg;
        return 0;
    case ARGP_KEY_END:
        check(a, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "PREFIX\nFILE.pth",
    .doc = "Turns a TensorFlow checkpoint of the VP-JND network into a weight file. PREFIX is the "
           "path in front of \".index\" and \".data-00000-of-00001\"; both files must be there "
           "(for --list the index will do). The checksums of the index and of every tensor taken "
           "are verified.\n"
           "\n"
           "FILE.pth (or .pt), as torch.save() writes it, becomes a weight file of pixel-JND model "
           "resjnd24. It must hold ResJND's four kernels, told by their shapes, and nothing else; "
           "nothing in it is executed.\v"
           "The released checkpoint is logs/best_model.ckpt of github.com/SYSU-Video/VP-JND. Its "
           "data shard (1.6 GB) is on Git LFS: a clone made without Git LFS has a text file of a "
           "few lines in its place. ResJND's weights are with its authors and carry no licence, so "
           "they come from your own copy.\n"
           "\n"
           "Examples:\n"
           "  vpjnd import logs/best_model.ckpt -o released.h5\n"
           "  vpjnd import logs/best_model.ckpt --list\n"
           "  vpjnd import resjnd.pth -o resjnd.h5",
};

static void print_entry(const struct vj_checkpoint_entry *e, int name_width)
{
    char shape[VJ_CHECKPOINT_SHAPE_TEXT];
    vj_checkpoint_format_shape(shape, e->rank, e->shape);
    printf("%-*s %-16s %-10s %5" PRIu32 " %12" PRIu64 " %12" PRIu64 "%s\n", name_width, e->name,
           shape, vj_checkpoint_dtype_name(e->dtype), e->shard, e->offset, e->size,
           e->sliced ? " (in slices)" : "");
}

/* One line per tensor under a heading: name, shape, type, shard, offset and size in bytes. */
static int list(const char *prefix, struct vj_error *err)
{
    struct vj_checkpoint *c;
    int ret = vj_checkpoint_open(&c, prefix, err);
    if (ret)
        return ret;
    int width = 0;
    for (size_t i = 0; i < vj_checkpoint_count(c); i++) {
        int length = (int)strlen(vj_checkpoint_entry(c, i)->name);
        width = length > width ? length : width;
    }
    printf("# %zu tensors, data shards: %" PRIu32 "\n", vj_checkpoint_count(c),
           vj_checkpoint_shards(c));
    printf("%-*s %-16s %-10s %5s %12s %12s\n", width, "# name", "shape", "type", "shard", "offset",
           "size");
    for (size_t i = 0; i < vj_checkpoint_count(c); i++)
        print_entry(vj_checkpoint_entry(c, i), width);
    vj_checkpoint_close(c);
    return 0;
}

static int import(const struct arguments *a, struct vj_error *err)
{
    struct vj_weights w = {0};
    int ret = vj_checkpoint_import(&w, a->prefix, &a->import, err);
    if (ret == 0)
        ret = vj_weights_write(&w, a->output, err);
    if (ret == 0)
        printf("%s: %s, %zu tensors, patches of %d pixels, %s, positive class %s, "
               "sha256 %.16s...\n",
               a->output, vj_variant_name(w.shape.variant), w.count, w.shape.patch_size,
               w.origin_text, vj_positive_class_name(w.positive_class), w.sha256);
    vj_weights_free(&w);
    return ret;
}

static int list_pth(const char *path, struct vj_error *err)
{
    struct vj_pth pth = {0};
    int ret = vj_pth_open(&pth, path, err);
    if (ret == 0)
        printf("# %zu tensors, sha256 %s\n# name shape\n", pth.count, pth.sha256);
    for (size_t i = 0; ret == 0 && i < pth.count; i++) {
        const struct vj_pth_tensor *t = &pth.tensor[i];
        printf("%s [", t->name);
        for (int d = 0; d < t->rank; d++)
            printf("%s%zu", d ? ", " : "", t->shape[d]);
        printf("]\n");
    }
    vj_pth_close(&pth);
    return ret;
}

static int import_pth(const struct arguments *a, struct vj_error *err)
{
    struct vj_resjnd_file file = {0};
    int ret = vj_resjnd_import(&file, a->prefix, err);
    if (ret == 0)
        ret = vj_resjnd_file_write(&file, a->output, err);
    if (ret == 0)
        printf("%s: ResJND, %zu channels, from %s, sha256 %.16s...\n", a->output, file.width,
               file.source, file.weights.sha256);
    vj_resjnd_file_free(&file);
    return ret;
}

int vj_cmd_import(int argc, char **argv)
{
    struct arguments a = {.prefix = NULL};
    argp_parse(&argp, argc, argv, 0, NULL, &a);

    struct vj_error err = {0};
    bool pth = vj_pth_is_name(a.prefix);
    int ret = a.list ? (pth ? list_pth(a.prefix, &err) : list(a.prefix, &err))
                     : (pth ? import_pth(&a, &err) : import(&a, &err));
    if (ret == 0)
        return VJ_EXIT_OK;
    vj_error_show(&err);
    return VJ_EXIT_USAGE;
}
