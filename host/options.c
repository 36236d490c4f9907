/* SPDX-License-Identifier: MIT */
#include "host/options.h"

#include <errno.h>
#include <inttypes.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/config_text.h"

enum {
    EVAL = VJ_USE_EVAL,
    TRAIN = VJ_USE_TRAIN,
    BOTH = VJ_USE_EVAL | VJ_USE_TRAIN,
};

/* clang-format off: the formatter pulls '#' to the margin */
#define FIELD(name) offsetof(struct vj_config, name), sizeof(((struct vj_config *)0)->name)
#define OPTION(key, type, fallback, min, max, choices, affects, use, help)                         \
    {                                                                                              \
#key, help, type, fallback, min, max, choices, NULL, FIELD(key), affects, use              \
    }
#define STRING(key, fallback, affects, use, help)                                                  \
    OPTION(key, VJ_OPTION_STRING, fallback, 0, 0, NULL, affects, use, help)
#define INT(key, fallback, min, max, affects, use, help)                                           \
    OPTION(key, VJ_OPTION_INT, fallback, min, max, NULL, affects, use, help)
#define UINT64(key, fallback, affects, use, help)                                                  \
    OPTION(key, VJ_OPTION_UINT64, fallback, 0, 0, NULL, affects, use, help)
#define CHOICE(key, fallback, choices, affects, use, help)                                         \
    OPTION(key, VJ_OPTION_CHOICE, fallback, 0, 0, choices, affects, use, help)
#define BOOL(key, fallback, affects, use, help)                                                    \
    OPTION(key, VJ_OPTION_BOOL, fallback, 0, 0, NULL, affects, use, help)
#define REAL(key, fallback, min, max, affects, use, help)                                          \
    OPTION(key, VJ_OPTION_REAL, fallback, min, max, NULL, affects, use, help)
#define BYTES(key, fallback, affects, use, help)                                                   \
    OPTION(key, VJ_OPTION_BYTES, fallback, 0, 0, NULL, affects, use, help)
#define HEADING(text, use)                                                                         \
    {                                                                                              \
        NULL, NULL, VJ_OPTION_STRING, NULL, 0, 0, NULL, text, 0, 0, false, use                     \
    }
/* clang-format on */

const struct vj_option vj_options[] = {
    HEADING("Data", BOTH),
    STRING(dataset, "folder", true, BOTH,
           "data set: mcl-jci, konjnd-1k, manifest, folder, synthetic"),
    STRING(root, "", true, BOTH, "folder of the data set; for manifest its CSV file"),
    STRING(
        labels, "", true, BOTH,
        "label definition: sqf, sur50, sur75, median, mean, or none; empty = data set's default"),
    STRING(candidates, "", true, BOTH,
           "files (the data set's own JPEGs), synthesize (exact model), of a manifest also mixed "
           "(by the "
           "row); empty = default"),
    STRING(
        codec, "jpeg", true, BOTH,
        "of the candidates: jpeg; konjnd-1k also bpg; of a manifest's decoded pictures any name, "
        "qf_first..qf_last being levels of quality then"),
    STRING(streams, "", true, BOTH,
           "konjnd-1k with codec = bpg: folder of the BPG files, SRC0505_q29.bpg, whose sizes are "
           "the rates; empty = rates unknown"),
    STRING(folds, "none", true, BOTH, "none, surfeatnet10, random:K, manifest"),
    INT(jnd, "1", 1, 3, true, BOTH, "which JND is the target"),
    CHOICE(sur, "empirical", "empirical,normal,gev", true, EVAL,
           "subjects' SUR curves that predicted ones are held against: as counted, or fitted"),
    STRING(ids, "", true, BOTH,
           "evaluate, or train with, only items with these numbers, e.g. 5-8,10; empty = all"),
    STRING(part, "", true, EVAL,
           "I/N: only the I-th of N equal shares of them, for N machines; see --rows-from"),
    INT(limit, "0", 0, 1e9, true, EVAL, "evaluate only the first N items; 0 = all"),
    CHOICE(alpha, "refuse", "refuse,black,white", true, BOTH,
           "transparent pixels: refuse the picture, or blend over a colour"),
    CHOICE(sampling, "420", "420,444", true, BOTH, "chroma sampling of synthesised candidates"),
    CHOICE(jnd_source, "source", "source,anchor", true, BOTH,
           "picture the pixel-JND map is made from"),
    BYTES(max_pixels, "256M", true, BOTH,
          "larger pictures are refused (pixels; K, M, G allowed); 0 = 256M"),

    HEADING("Prediction", BOTH),
    STRING(predictors, "constant", true, EVAL,
           "list of constant, psnr-threshold[:DB|fit], ssim-threshold[:X|fit], "
           "ms-ssim-threshold[:X|fit], ssimulacra2-threshold[:X|fit], "
           "pixel-MODEL[-VARIANT][@RULE][:TOLERANCE|fit] (RULE: share, excess or noise), "
           "compression-ratio[:QF], external:FILE.csv, vpjnd:W.h5, "
           "vpjnd-folds:W-{fold}.h5 (file N scores the images of test fold N); "
           "constant is added where there are labels"),
    INT(qf_first, "1", 1, VJ_QF_MAX, true, BOTH, "lowest quality factor"),
    INT(qf_last, "100", 1, VJ_QF_MAX, true, BOTH, "highest quality factor"),
    CHOICE(search, "binary-block", "binary-block,sliding-window,first-crossing,max-likelihood",
           true, BOTH, "how answers at many QFs become one PW-JND"),
    INT(block, "5", 1, 50, true, BOTH, "binary-block: answers looked at on each side (B)"),
    INT(block_threshold, "4", 1, 50, true, BOTH,
        "binary-block: lossy answers that stop the search (t)"),
    INT(window, "5", 1, VJ_QF_MAX, true, BOTH, "sliding-window: width (W)"),
    INT(window_threshold, "4", 1, VJ_QF_MAX, true, BOTH,
        "sliding-window: lossy answers that stop it (T)"),
    BOOL(lazy, "false", true, EVAL,
         "score only the QFs that the search asks for (same answer): networks, and rules on maps "
         "where all tolerances are given and image_metrics = none"),

    HEADING("Network input", BOTH),
    INT(patches, "0", 0, 4096, true, BOTH,
        "patches per picture; 0 = the number in the weight file"),
    INT(draws, "1", 1, 64, true, EVAL,
        "independent sets of patch positions; the spread is reported, unless lazy"),
    UINT64(seed, "1", true, BOTH, "seed of patch positions, random folds and bootstrap"),
    STRING(jnd_model, "epc17", true, BOTH,
           "pixel-JND model that feeds the network; `vpjnd map --list`"),
    STRING(jnd_variant, "", true, BOTH, "its variant; empty = the model's default"),
    STRING(jnd_weights, "", true, BOTH,
           "weight file of pixel-JND model resjnd24, wherever the run uses it; `vpjnd import`"),
    CHOICE(jnd_scale, "minmax", "minmax,max,none", true, BOTH, "how the map becomes 8-bit"),
    CHOICE(positions, "auto", "uniform,even,auto", true, BOTH,
           "of patches: drawn independently, or covering the picture evenly from a random start; "
           "auto = as the weights were trained, else uniform"),
    CHOICE(jnd_patches, "aligned", "aligned,independent", true, BOTH,
           "positions of the map's patches: those of the picture's, or their own"),
    CHOICE(positive_class, "file", "file,lossy,lossless", true, EVAL,
           "what a positive score means; file = what the weight file says"),

    HEADING("Output", EVAL),
    STRING(image_metrics, "psnr,ssim,ms_ssim", true, EVAL,
           "metrics of every candidate: list of psnr, ssim, ms_ssim, ssimulacra2 (costs more than "
           "the others together), or none"),
    CHOICE(ssimulacra2_mode, "exact", "exact,parity", true, EVAL,
           "SSIMULACRA2 as defined, or with the rounding noise of the reference program"),
    BOOL(store_patches, "false", true, EVAL,
         "keep quality and weight of every patch in the results"),
    INT(bootstrap, "2000", 0, 1e6, true, EVAL,
        "resamples behind the 95 % intervals, 40 or more; 0 = no intervals"),

    HEADING("Training: network and data", TRAIN),
    STRING(start, "", true, TRAIN, "weight file to start from; empty = fresh random weights"),
    CHOICE(variant, "figure", "released,figure,pw-jnd", true, TRAIN,
           "network, when start is empty"),
    CHOICE(non_local, "reshape", "reshape,transpose", true, TRAIN,
           "how phi is read in the non-local block, when start is empty"),
    INT(patch_size, "0", 0, 256, true, TRAIN,
        "side of a patch in pixels, a multiple of 16 (pw-jnd: of 32) up to 256, when start is "
        "empty; 0 = the variant's own: 128, pw-jnd 32"),
    INT(fold, "0", 0, 1000, true, TRAIN,
        "fold K is left for testing, the next one validates, the others train; 0 = ids, valid_ids"),
    STRING(valid_ids, "", true, TRAIN,
           "items to validate with, which then do not train; empty = no validation"),
    CHOICE(
        anchors, "levels", "levels,first", true, TRAIN,
        "what lower QFs are compared with: the picture at each JND level (needs labels of JND 1, "
        "2, ...), or the first anchor alone"),
    CHOICE(pairs, "balanced", "uniform,balanced,boundary", true, TRAIN,
           "how the QFs of a step are drawn: all alike; half of them lossy; half of them lossy and "
           "nearer to the JND"),
    INT(batch, "4", 1, 1024, true, TRAIN, "reference pictures per step"),
    INT(batch_levels, "1", 1, VJ_QF_MAX, true, TRAIN, "QFs per reference picture"),
    BOOL(flip, "true", true, TRAIN, "mirror patches at random, both ways"),

    HEADING("Training: optimisation", TRAIN),
    INT(steps, "70000", 1, 1e9, false, TRAIN, "steps in all; a resumed run may have more"),
    REAL(learning_rate, "1e-4", 0, 1, true, TRAIN, "Adam's learning rate"),
    INT(decay_steps, "7162500", 1, 1e9, true, TRAIN, "every so many steps the rate is multiplied"),
    REAL(decay_rate, "0.1", 0, 1, true, TRAIN, "by this"),
    REAL(average, "0.9999", 0, 1, true, TRAIN,
         "largest decay of the weights' moving average, which is what is saved and validated"),
    REAL(keep, "0.5", 0.01, 1, true, TRAIN, "share of hidden units that dropout keeps; 1 = none"),
    REAL(weight_bias, "0", 0, 1000, true, TRAIN,
         "bias that the patch weights' output begins with, in place of that of `start` too; 0 = as "
         "released (and as in `start`), which some seeds leave dead: 1 keeps it alive"),
    CHOICE(loss, "cross-entropy", "cross-entropy,visual-importance", true, TRAIN,
           "loss of a pair; visual-importance weighs it by 1 + importance (1 - SSIM to the picture "
           "at the PW-JND)"),
    REAL(importance, "1", 0, 1000, true, TRAIN, "factor lambda of loss = visual-importance"),
    REAL(label_spread, "0", 0, 100, true, TRAIN,
         "0 = a pair is lossy or not; else observers whose JNDs are normal around the label with "
         "this "
         "standard deviation (QF), and a pair's target is the share of them that see a difference"),
    INT(validate_every, "500", 0, 1e9, true, TRAIN, "steps between validations; 0 = at the end"),
    INT(validate_patches, "0", 0, 4096, true, TRAIN,
        "patches per picture in validation; 0 = as in training"),
    INT(patience, "0", 0, 1e9, true, TRAIN,
        "stop after so many validations without a better one; 0 = never"),
    INT(checkpoint_every, "500", 1, 1e9, false, TRAIN, "steps between checkpoints"),
    BYTES(cache, "4G", false, TRAIN, "memory for decoded pictures; the rest is read again"),

    HEADING("Machine", BOTH),
    /* Which device it was says another attribute, and that is compared. */
    STRING(device, "auto", false, BOTH,
           "auto, cpu, cuda[:N]; several GPUs as cuda:0,1 or cuda:all"),
    CHOICE(precision, "fp32", "fp32,tf32,fp16", true, EVAL, "arithmetic of the networks on a GPU"),
    INT(threads, "0", 0, 4096, false, BOTH, "compute threads; 0 = one per core"),
    INT(decode_threads, "2", 1, 256, false, EVAL, "threads that read and decode pictures"),
    INT(slots, "3", 1, 64, false, EVAL, "pictures in flight"),
    BYTES(max_memory, "0", false, EVAL, "refuse to start above this many bytes; 0 = no limit"),
};
const size_t vj_option_count = sizeof(vj_options) / sizeof(vj_options[0]);

static const struct vj_option *find_option(const char *key)
{
    for (size_t i = 0; i < vj_option_count; i++)
        if (vj_options[i].key && strcmp(vj_options[i].key, key) == 0)
            return &vj_options[i];
    return NULL;
}

/* Levenshtein distance, for "did you mean"; keys are short. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[64];
    size_t nb = strlen(b);
    if (nb >= 64)
        return SIZE_MAX;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < nb; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            if (row[j] + 1 < best)
                best = row[j] + 1;
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    return row[nb];
}

static int unknown_key(const struct vj_config *config, const char *key, struct vj_error *err)
{
    const char *near = NULL;
    size_t best = 4;
    for (size_t i = 0; i < vj_option_count; i++) {
        if (!vj_options[i].key || !(vj_options[i].use & config->use))
            continue;
        size_t d = edit_distance(key, vj_options[i].key);
        if (d < best && 2 * d <= strlen(key)) { /* what is nothing like it is no help */
            best = d;
            near = vj_options[i].key;
        }
    }
    if (near)
        return vj_fail(err, -EINVAL, "unknown option '%s'; did you mean '%s'?", key, near);
    return vj_fail(err, -EINVAL, "unknown option '%s'; `vpjnd %s --help` lists them", key,
                   config->use == VJ_USE_TRAIN ? "train" : "eval");
}

static int set_choice(int *field, const struct vj_option *o, const char *value,
                      struct vj_error *err)
{
    const char *p = o->choices;
    size_t length = strlen(value);
    for (int index = 0; *p; index++) {
        size_t n = strcspn(p, ",");
        if (n == length && strncmp(p, value, n) == 0) {
            *field = index;
            return 0;
        }
        p += n + (p[n] == ',');
    }
    return vj_fail(err, -EINVAL, "option %s: '%s' is not one of %s", o->key, value, o->choices);
}

static int set_bool(bool *field, const struct vj_option *o, const char *value, struct vj_error *err)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < 4; i++) {
        if (strcasecmp(value, yes[i]) == 0 || strcasecmp(value, no[i]) == 0) {
            *field = strcasecmp(value, yes[i]) == 0;
            return 0;
        }
    }
    return vj_fail(err, -EINVAL, "option %s: '%s' is not true or false", o->key, value);
}

static int set_bytes(size_t *field, const struct vj_option *o, const char *value,
                     struct vj_error *err)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(value, &end, 10);
    int shift = 0;
    if (end != value && *end) {
        const char *suffix = strchr("KMGkmg", *end);
        if (suffix && end[1] == '\0')
            shift = 10 * (1 + (int)(suffix - "KMGkmg") % 3);
        else
            end = (char *)value;
    }
    if (end == value || errno || strchr(value, '-') || n > (SIZE_MAX >> shift))
        return vj_fail(err, -EINVAL, "option %s: '%s' is not a size such as 8G, 512M or 1000000",
                       o->key, value);
    *field = (size_t)n << shift;
    return 0;
}

static int set_int(int *field, const struct vj_option *o, const char *value, struct vj_error *err)
{
    char *end;
    errno = 0;
    long n = strtol(value, &end, 10);
    if (end == value || *end || errno || (double)n < o->min || (double)n > o->max)
        return vj_fail(err, -EINVAL, "option %s: '%s' is not a whole number from %.0f to %.0f",
                       o->key, value, o->min, o->max);
    *field = (int)n;
    return 0;
}

static int set_real(double *field, const struct vj_option *o, const char *value,
                    struct vj_error *err)
{
    char *end;
    errno = 0;
    double x = strtod(value, &end);
    if (end == value || *end || errno == ERANGE || !(x >= o->min && x <= o->max))
        return vj_fail(err, -EINVAL, "option %s: '%s' is not a number from %g to %g", o->key, value,
                       o->min, o->max);
    *field = x;
    return 0;
}

static int set_uint64(uint64_t *field, const struct vj_option *o, const char *value,
                      struct vj_error *err)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(value, &end, 10);
    if (end == value || *end || errno || strchr(value, '-'))
        return vj_fail(err, -EINVAL, "option %s: '%s' is not a whole number from 0 to 2^64-1",
                       o->key, value);
    *field = n;
    return 0;
}

static int set_string(char *field, const struct vj_option *o, const char *value,
                      struct vj_error *err)
{
    size_t n = strlen(value);
    if (n >= o->size)
        return vj_fail(err, -EINVAL, "option %s: value of %zu characters is longer than %zu",
                       o->key, n, o->size - 1);
    for (const char *p = value; *p; p++)
        if ((unsigned char)*p < 0x20)
            return vj_fail(err, -EINVAL, "option %s: control character %#x in its value", o->key,
                           (unsigned)(unsigned char)*p);
    memcpy(field, value, n + 1);
    return 0;
}

int vj_config_set(struct vj_config *config, const char *key, const char *value,
                  struct vj_error *err)
{
    const struct vj_option *o = find_option(key);
    if (!o)
        return unknown_key(config, key, err);
    if (!(o->use & config->use))
        return vj_fail(err, -EINVAL, "option %s belongs to `vpjnd %s` and has no effect here", key,
                       o->use == EVAL ? "eval" : "train");
    void *field = (char *)config + o->offset;
    switch (o->type) {
    case VJ_OPTION_STRING:
        return set_string(field, o, value, err);
    case VJ_OPTION_INT:
        return set_int(field, o, value, err);
    case VJ_OPTION_REAL:
        return set_real(field, o, value, err);
    case VJ_OPTION_UINT64:
        return set_uint64(field, o, value, err);
    case VJ_OPTION_BOOL:
        return set_bool(field, o, value, err);
    case VJ_OPTION_CHOICE:
        return set_choice(field, o, value, err);
    case VJ_OPTION_BYTES:
        return set_bytes(field, o, value, err);
    }
    return vj_fail(err, -EINVAL, "option %s: unknown type", key);
}

/* Behind the predictors that stand there. */
static int add_predictors(struct vj_config *config, const char *key, const char *value,
                          struct vj_error *err)
{
    char list[sizeof(config->predictors)];
    if (strcmp(key, "predictors") != 0)
        return vj_fail(err, -EINVAL, "--set %s+=%s: only predictors can be added to with +=", key,
                       value);
    const char *old = config->predictors;
    const int length = snprintf(list, sizeof(list), "%s%s%s", old, *old ? "," : "", value);
    if ((size_t)length >= sizeof(list))
        return vj_fail(err, -EINVAL, "--set predictors+=%s: all together are longer than %zu",
                       value, sizeof(list) - 1);
    return vj_config_set(config, key, list, err);
}

int vj_config_set_pair(struct vj_config *config, const char *pair, struct vj_error *err)
{
    const char *equals = strchr(pair, '=');
    char key[64];
    const bool add = equals && equals > pair && equals[-1] == '+';
    const size_t length = equals ? (size_t)(equals - pair) - add : 0;
    if (length < 1 || length >= sizeof(key))
        return vj_fail(err, -EINVAL, "--set '%s' is not of the form key=value", pair);
    memcpy(key, pair, length);
    key[length] = '\0';
    return (add ? add_predictors : vj_config_set)(config, key, equals + 1, err);
}

void vj_config_defaults(struct vj_config *config, enum vj_config_use use)
{
    memset(config, 0, sizeof(*config));
    config->use = (enum vj_config_use)BOTH; /* for the while: every field gets a value */
    for (size_t i = 0; i < vj_option_count; i++)
        if (vj_options[i].key)
            vj_config_set(config, vj_options[i].key, vj_options[i].fallback, NULL);
    config->use = use;
}

/* A list or array of strings becomes one comma-separated value. */
static int join_list(const config_setting_t *setting, char *out, size_t size, struct vj_error *err)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < config_setting_length(setting); i++) {
        const char *text = config_setting_get_string_elem(setting, i);
        if (!text)
            return vj_fail(err, -EINVAL, "option %s: element %d is not a string",
                           config_setting_name(setting), i + 1);
        int n = snprintf(out + used, size - used, "%s%s", i ? "," : "", text);
        if (n < 0 || (size_t)n >= size - used)
            return vj_fail(err, -EINVAL, "option %s: the list is longer than %zu characters",
                           config_setting_name(setting), size - 1);
        used += (size_t)n;
    }
    return 0;
}

static int read_setting(struct vj_config *config, const config_setting_t *setting,
                        struct vj_error *err)
{
    const char *key = config_setting_name(setting);
    const struct vj_option *o = find_option(key);
    char text[4 * VJ_OPTION_TEXT];
    int r = 0;
    if (o && !(o->use & config->use))
        return 0;
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_STRING:
        return vj_config_set(config, key, config_setting_get_string(setting), err);
    case CONFIG_TYPE_BOOL:
        return vj_config_set(config, key, config_setting_get_bool(setting) ? "true" : "false", err);
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        snprintf(text, sizeof(text), "%lld", (long long)config_setting_get_int64(setting));
        return vj_config_set(config, key, text, err);
    case CONFIG_TYPE_FLOAT:
        snprintf(text, sizeof(text), "%.17g", config_setting_get_float(setting));
        return vj_config_set(config, key, text, err);
    case CONFIG_TYPE_ARRAY:
    case CONFIG_TYPE_LIST:
        r = join_list(setting, text, sizeof(text), err);
        return r ? r : vj_config_set(config, key, text, err);
    default:
        return vj_fail(err, -EINVAL, "option %s: groups are not used in vpjnd's configuration",
                       key);
    }
}

static int take_settings(struct vj_config *config, const config_t *parsed, const char *name,
                         struct vj_error *err)
{
    config_setting_t *root = config_root_setting(parsed);
    for (int i = 0; i < config_setting_length(root); i++) {
        config_setting_t *setting = config_setting_get_elem(root, (unsigned)i);
        if (read_setting(config, setting, err))
            return vj_fail_prefix(err, "%s:%u", name,
                                  (unsigned)config_setting_source_line(setting));
    }
    return 0;
}

int vj_config_read(struct vj_config *config, const char *path, struct vj_error *err)
{
    char *text;
    int r = vj_config_text_read(&text, path, err);
    if (!r)
        r = vj_config_parse(config, text, path, err);
    free(text);
    return r;
}

int vj_config_parse(struct vj_config *config, const char *text, const char *name,
                    struct vj_error *err)
{
    int r = vj_config_text_check(text, name, err);
    if (r)
        return r;
    char *whole; /* libconfig wants a line end behind a comment */
    if (asprintf(&whole, "%s\n", text) < 0)
        return vj_fail(err, -ENOMEM, "out of memory");
    config_t parsed;
    config_init(&parsed);
    r = config_read_string(&parsed, whole) == CONFIG_TRUE
            ? take_settings(config, &parsed, name, err)
            : vj_config_text_explain(text, name, config_error_line(&parsed),
                                     config_error_text(&parsed), err);
    config_destroy(&parsed);
    free(whole);
    return r;
}

int vj_config_check_search(const struct vj_config *config, struct vj_error *err)
{
    if (config->qf_first > config->qf_last)
        return vj_fail(err, -EINVAL, "option qf_first = %d is above qf_last = %d", config->qf_first,
                       config->qf_last);
    if (config->block_threshold > config->block)
        return vj_fail(err, -EINVAL, "option block_threshold = %d is above block = %d",
                       config->block_threshold, config->block);
    if (config->window_threshold > config->window)
        return vj_fail(err, -EINVAL, "option window_threshold = %d is above window = %d",
                       config->window_threshold, config->window);
    return 0;
}

int vj_config_jnd(const struct vj_jnd_model **model, size_t *variant,
                  const struct vj_config *config, struct vj_error *err)
{
    *model = vj_jnd_find(config->jnd_model, err);
    if (!*model)
        return vj_fail_prefix(err, "option jnd_model");
    const char *name = config->jnd_variant[0] ? config->jnd_variant : NULL;
    return vj_jnd_variant_find(variant, *model, name, err)
               ? vj_fail_prefix(err, "option jnd_variant")
               : 0;
}

/* The ends of an interval are at most percentiles 2.5 and 97.5: with fewer resamples they are
 * always the outermost ones. */
enum { RESAMPLES_MIN = 40 };

int vj_config_check(const struct vj_config *config, struct vj_error *err)
{
    if (!config->dataset[0])
        return vj_fail(err, -EINVAL, "option dataset is empty; name a data set");
    if (!config->root[0])
        return vj_fail(err, -EINVAL, "option root is empty; say where data set %s lies (root=DIR)",
                       config->dataset);
    int r = vj_config_check_search(config, err);
    if (r)
        return r;
    if (config->use == VJ_USE_EVAL && !config->predictors[0])
        return vj_fail(err, -EINVAL,
                       "option predictors is empty; name at least one, e.g. constant");
    if (config->bootstrap > 0 && config->bootstrap < RESAMPLES_MIN)
        return vj_fail(
            err, -EINVAL,
            "option bootstrap = %d: an interval of 95 %% takes %d resamples or more; 0 = "
            "no intervals",
            config->bootstrap, RESAMPLES_MIN);
    const struct vj_jnd_model *model;
    size_t variant;
    return vj_config_jnd(&model, &variant, config, err);
}

static void print_value(FILE *out, const struct vj_config *config, const struct vj_option *o)
{
    const void *field = (const char *)config + o->offset;
    switch (o->type) {
    case VJ_OPTION_STRING:
        fputc('"', out);
        for (const char *p = field; *p; p++) {
            if (*p == '"' || *p == '\\')
                fputc('\\', out);
            fputc(*p, out);
        }
        fputc('"', out);
        break;
    case VJ_OPTION_INT:
        fprintf(out, "%d", *(const int *)field);
        break;
    case VJ_OPTION_REAL: /* every digit, and as text: libconfig wants a point in a number */
        fprintf(out, "\"%.17g\"", *(const double *)field);
        break;
    case VJ_OPTION_UINT64: /* as a string: libconfig has no unsigned 64-bit number */
        fprintf(out, "\"%" PRIu64 "\"", *(const uint64_t *)field);
        break;
    case VJ_OPTION_BOOL:
        fputs(*(const bool *)field ? "true" : "false", out);
        break;
    case VJ_OPTION_BYTES:
        fprintf(out, "\"%zu\"", *(const size_t *)field);
        break;
    case VJ_OPTION_CHOICE: {
        const char *p = o->choices;
        for (int i = *(const int *)field; i > 0; i--)
            p += strcspn(p, ",") + 1;
        fprintf(out, "\"%.*s\"", (int)strcspn(p, ","), p);
        break;
    }
    }
}

char *vj_config_text(const struct vj_config *config, bool all)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (size_t i = 0; i < vj_option_count; i++) {
        const struct vj_option *o = &vj_options[i];
        if (!o->key || !(o->use & config->use) || (!all && !o->affects_results))
            continue;
        fprintf(out, "%s = ", o->key);
        print_value(out, config, o);
        fputs(";\n", out);
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Words of `text` wrapped at `width`, continuation lines indented by `indent`. */
static void print_wrapped(FILE *out, const char *text, int indent, int width)
{
    int column = indent;
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (column > indent && column + 1 + n > width) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", n, text);
        column += n;
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void print_help(FILE *out, enum vj_config_use use)
{
    fputs("Options, for --set key=value and configuration files (default in brackets):\n", out);
    for (size_t i = 0; i < vj_option_count; i++) {
        const struct vj_option *o = &vj_options[i];
        if (!(o->use & use))
            continue;
        if (!o->key) {
            fprintf(out, "\n %s\n", o->group);
            continue;
        }
        char line[2 * VJ_OPTION_TEXT];
        if (o->choices && o->type == VJ_OPTION_CHOICE)
            snprintf(line, sizeof(line), "%s: %s [%s]", o->help, o->choices, o->fallback);
        else
            snprintf(line, sizeof(line), "%s [%s]", o->help, o->fallback);
        fprintf(out, "  %-17s ", o->key);
        print_wrapped(out, line, 20, 78); /* argp wraps at 79 */
    }
}

char *vj_config_help(enum vj_config_use use)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    print_help(out, use);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static const char *or_null(const char *text)
{
    return text[0] ? text : NULL;
}

int vj_config_dataset(struct vj_dataset **ds, const struct vj_config *c, int jnd,
                      struct vj_error *err)
{
    const struct vj_dataset_options options = {
        .root = c->root,
        .labels = or_null(c->labels),
        .candidates = or_null(c->candidates),
        .codec = c->codec,
        .streams = or_null(c->streams),
        .folds = c->folds,
        .jnd = jnd,
        .qf_first = c->qf_first,
        .qf_last = c->qf_last,
        .seed = c->seed,
    };
    return vj_dataset_open(ds, c->dataset, &options, err);
}
