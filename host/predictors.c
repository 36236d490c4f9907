/* SPDX-License-Identifier: MIT */
#include "host/predictors.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets/dataset.h"
#include "datasets/folds.h"
#include "datasets/pattern.h"
#include "eval/text.h"
#include "host/checked.h"
#include "host/image.h"
#include "host/net_form.h"
#include "host/quality_math.h"
#include "host/ranges.h"
#include "host/ssimulacra2_math.h"
#include "host/utf8.h"

enum { PREDICTORS_MAX = 64 };

enum argument { ARGUMENT_NONE, ARGUMENT_THRESHOLD, ARGUMENT_QF, ARGUMENT_FILE, ARGUMENT_PATTERN };

/* The luminance and chrominance tables of the standard as they are printed. */
enum { RATIO_QF = 50 };

/* What may stand before the ':'; pixel-MODEL is handled apart. */
static const struct kind {
    const char *name;
    enum vj_predictor_kind kind;
    enum argument argument;
    double threshold, bpg; /* without an argument, for candidates of JPEG and BPG; NaN: fitted */
} kinds[] = {
    {"constant", VJ_PREDICTOR_CONSTANT, ARGUMENT_NONE, 0, 0},
    /* means at the PJND over KonJND-1k's JPEG and BPG pictures, CID22 paper, table 4 */
    {"psnr-threshold", VJ_PREDICTOR_PSNR, ARGUMENT_THRESHOLD, 36.70, 39.61},
    {"ms-ssim-threshold", VJ_PREDICTOR_MS_SSIM, ARGUMENT_THRESHOLD, 0.9922, 0.9921},
    {"ssimulacra2-threshold", VJ_PREDICTOR_SSIMULACRA2, ARGUMENT_THRESHOLD, 63.10, 65.38},
    /* no published figure */
    {"ssim-threshold", VJ_PREDICTOR_SSIM, ARGUMENT_THRESHOLD, NAN, NAN},
    {"compression-ratio", VJ_PREDICTOR_RATIO, ARGUMENT_QF, 0, 0},
    {"external", VJ_PREDICTOR_EXTERNAL, ARGUMENT_FILE, 0, 0},
    {"vpjnd", VJ_PREDICTOR_NETWORK, ARGUMENT_FILE, 0, 0},
    {"vpjnd-folds", VJ_PREDICTOR_FOLDS, ARGUMENT_PATTERN, 0, 0},
};
enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]) };

static const struct kind *find_kind(const char *name)
{
    for (int i = 0; i < KIND_COUNT; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

static const char pixel_prefix[] = "pixel-";
static const char fold_key[] = "fold"; /* in patterns: {fold} */

static bool parse_qf(const char *text, int *qf)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (end == text || *end || errno || n < 1 || n > VJ_QF_MAX)
        return false;
    *qf = (int)n;
    return true;
}

/* "a/b/weights.h5" -> "weights", with what HDF5 or a table could stumble over replaced. */
static void file_stem(const char *path, char *stem, size_t size)
{
    const char *slash = strrchr(path, '/');
    snprintf(stem, size, "%.*s", (int)size - 1, slash ? slash + 1 : path);
    char *dot = strrchr(stem, '.');
    if (dot && dot != stem)
        *dot = '\0';
    for (char *c = stem; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == '/' || *c == ',')
            *c = '_';
}

enum { STEM_BYTES = 79 };

/* Cuts a stem to what a predictor's name has room for. */
static void cut_stem(char *stem)
{
    stem[vj_utf8_cut(stem, STEM_BYTES)] = '\0';
}

/* Values that a threshold may have, and how an error names them. */
struct threshold_range {
    double low, high;
    const char *text;
};

static struct threshold_range threshold_range(const struct vj_predictor *p)
{
    static const struct threshold_range pixel[VJ_JND_RULES] = {
        [VJ_JND_SHARE] = {0, 1, "a share of pixels from 0 to 1"},
        [VJ_JND_EXCESS] = {0, 255.0 * 255, "a mean square in grey levels from 0 to 65025"},
        [VJ_JND_NOISE] = {-200, 200, "a difference of PSNR in dB from -200 to 200"},
    };
    switch (p->kind) {
    case VJ_PREDICTOR_PSNR:
        return (struct threshold_range){0, 200, "a PSNR in dB from 0 to 200"};
    case VJ_PREDICTOR_PIXEL:
        return pixel[p->jnd_rule];
    case VJ_PREDICTOR_SSIMULACRA2:
        return (struct threshold_range){-1e6, 100, "a score of at most 100"};
    default:
        return (struct threshold_range){-1, 1, "a similarity from -1 to 1"};
    }
}

static int parse_threshold(struct vj_predictor *p, const char *text, struct vj_error *err)
{
    if (strcmp(text, "fit") == 0) {
        p->fit = true;
        return 0;
    }
    char *end;
    double value = strtod(text, &end);
    const struct threshold_range range = threshold_range(p);
    if (end == text || *end || !(value >= range.low && value <= range.high))
        return vj_fail(err, -EINVAL, "predictor %s: '%s' is neither fit nor %s", p->kind_name, text,
                       range.text);
    p->threshold = value;
    p->fit = false;
    return 0;
}

/*
 * "MODEL[-VARIANT][@RULE]", what follows "pixel-". Without a rule it is @share, and a predictor
 * with @share is called as one without.
 */
static int parse_pixel(struct vj_predictor *p, const char *text, struct vj_error *err)
{
    char model[64];
    snprintf(model, sizeof(model), "%s", text);
    char *rule = strchr(model, '@');
    if (rule)
        *rule++ = '\0';
    char *dash = strchr(model, '-');
    if (dash)
        *dash++ = '\0';
    p->kind = VJ_PREDICTOR_PIXEL;
    p->jnd_rule = VJ_JND_SHARE;
    if (rule && vj_jnd_rule_find(&p->jnd_rule, rule, err))
        return vj_fail_prefix(err, "predictor %s", p->kind_name);
    if (rule && p->jnd_rule == VJ_JND_SHARE) {
        *strchr(p->kind_name, '@') = '\0';
        *strchr(p->name, '@') = '\0';
    }
    p->jnd_model = vj_jnd_find(model, err);
    return p->jnd_model ? vj_jnd_variant_find(&p->jnd_variant, p->jnd_model, dash, err) : -EINVAL;
}

static int unknown_kind(const char *name, struct vj_error *err)
{
    char known[512] = "";
    for (int i = 0; i < KIND_COUNT; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof(known) - used, "%s, ", kinds[i].name);
    }
    return vj_fail(err, -EINVAL, "unknown predictor '%s'; known are %sand pixel-MODEL", name,
                   known);
}

static int keep_path(struct vj_predictor *p, const char *path, struct vj_error *err)
{
    if (strlen(path) >= sizeof(p->path))
        return vj_fail(err, -ENAMETOOLONG, "predictor %s: the file name is too long", p->kind_name);
    strcpy(p->path, path);
    return 0;
}

static int parse_file(struct vj_predictor *p, const char *path, struct vj_error *err)
{
    char stem[sizeof(p->path)];
    int r = keep_path(p, path, err);
    if (r)
        return r;
    file_stem(path, stem, sizeof(stem));
    cut_stem(stem);
    snprintf(p->name, sizeof(p->name), "%s-%.*s", p->kind_name, STEM_BYTES, stem);
    if (p->kind != VJ_PREDICTOR_EXTERNAL)
        return 0;
    r = vj_external_read(&p->external, path, err);
    p->fit = vj_external_is_measure(&p->external);
    return r;
}

/*
 * Takes the placeholders out of a pattern's stem, with the separators that then stand at an end or
 * beside another: "net-{fold}" -> "net", "{fold}-net-{fold}-b" -> "net-b".
 */
static void drop_placeholders(char *stem)
{
    static const char separators[] = "-_.";
    char *to = stem;
    for (const char *p = stem; *p;) {
        int width;
        size_t length = vj_pattern_placeholder(p, fold_key, &width);
        bool bare = to == stem || strchr(separators, to[-1]);
        if (length)
            p += length + (bare ? strspn(p + length, separators) : 0);
        else
            *to++ = *p++;
    }
    while (to > stem && strchr(separators, to[-1]))
        to--;
    *to = '\0';
}

/* One name for all folds; a pattern that is nothing but {fold} is called by the kind alone. */
static int parse_pattern(struct vj_predictor *p, const char *pattern, struct vj_error *err)
{
    char stem[sizeof(p->path)];
    int r = keep_path(p, pattern, err);
    if (!r)
        r = vj_pattern_check(pattern, fold_key, "predictor vpjnd-folds:", err);
    if (r)
        return r;
    file_stem(pattern, stem, sizeof(stem));
    drop_placeholders(stem);
    cut_stem(stem);
    if (stem[0])
        snprintf(p->name, sizeof(p->name), "vpjnd-%.*s", STEM_BYTES, stem);
    return 0;
}

static int parse_ratio(struct vj_predictor *p, const char *argument, struct vj_error *err)
{
    p->ratio_qf = RATIO_QF;
    if (argument && !parse_qf(argument, &p->ratio_qf))
        return vj_fail(err, -EINVAL, "predictor %s: '%s' is not a quality factor from 1 to %d",
                       p->kind_name, argument, VJ_QF_MAX);
    return 0;
}

static double default_threshold(const struct kind *kind, const char *codec)
{
    if (kind->argument != ARGUMENT_THRESHOLD || strcmp(codec, "jpeg") == 0)
        return kind->threshold;
    return strcmp(codec, "bpg") == 0 ? kind->bpg : NAN;
}

/* text: what stands before the ':'; argument: what stands behind it, or NULL */
static int parse_one(struct vj_predictor *p, const char *text, const char *argument,
                     const char *codec, struct vj_error *err)
{
    if (strlen(text) >= sizeof(p->kind_name))
        return unknown_kind(text, err);
    strcpy(p->kind_name, text);
    strcpy(p->name, text);

    if (strncmp(text, pixel_prefix, sizeof(pixel_prefix) - 1) == 0) {
        int r = parse_pixel(p, text + sizeof(pixel_prefix) - 1, err);
        return r ? r : parse_threshold(p, argument ? argument : "fit", err);
    }
    const struct kind *kind = find_kind(text);
    if (!kind)
        return unknown_kind(text, err);
    p->kind = kind->kind;
    p->threshold = default_threshold(kind, codec);
    p->fit = isnan(p->threshold);
    switch (kind->argument) {
    case ARGUMENT_NONE:
        return argument ? vj_fail(err, -EINVAL, "predictor %s takes no ':%s'", text, argument) : 0;
    case ARGUMENT_THRESHOLD:
        return argument ? parse_threshold(p, argument, err) : 0;
    case ARGUMENT_QF:
        return parse_ratio(p, argument, err);
    case ARGUMENT_FILE:
    case ARGUMENT_PATTERN:
        break;
    }
    bool pattern = kind->argument == ARGUMENT_PATTERN;
    if (!argument || !*argument)
        return vj_fail(err, -EINVAL, "predictor %s needs a %s: %s:%s", text,
                       pattern ? "pattern of weight files" : "file", text,
                       pattern ? "net-{fold}.h5" : "FILE");
    return pattern ? parse_pattern(p, argument, err) : parse_file(p, argument, err);
}

static bool has_name(const struct vj_predictors *p, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(p->list[i].name, name) == 0)
            return true;
    return false;
}

/*
 * A name used before becomes "NAME:ARGUMENT" where that tells rules apart; whatever is still not
 * unique gets "-2", then "-3".
 */
static void make_unique(struct vj_predictors *p, size_t index, const char *argument)
{
    struct vj_predictor *mine = &p->list[index];
    char base[sizeof(mine->name)];
    strcpy(base, mine->name);
    const bool file = mine->kind == VJ_PREDICTOR_EXTERNAL || mine->kind == VJ_PREDICTOR_NETWORK ||
                      mine->kind == VJ_PREDICTOR_FOLDS;
    if (has_name(p, index, mine->name) && argument && !file) {
        snprintf(mine->name, sizeof(mine->name), "%.60s:%.40s", base, argument);
        strcpy(base, mine->name);
    }
    for (int number = 2; has_name(p, index, mine->name); number++)
        snprintf(mine->name, sizeof(mine->name), "%.110s-%d", base, number);
}

static void choose_positive(struct vj_predictor *mine, const struct vj_weights *w,
                            enum vj_positive_class positive_class)
{
    mine->positive_class = positive_class == VJ_POSITIVE_AUTO ? w->positive_class : positive_class;
    mine->positive_auto = mine->positive_class == VJ_POSITIVE_AUTO;
}

/* Patches are cut once, for all networks. */
static int check_patch_sizes(const struct vj_predictors *p, struct vj_error *err)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct vj_predictor *mine = &p->list[i];
        if (vj_predictor_networks(mine) == 0)
            continue;
        int size = p->weights[mine->network].shape.patch_size;
        if (size != p->weights[0].shape.patch_size)
            return vj_fail(err, -EINVAL,
                           "%s was made for patches of %d pixels, the first network of the run for "
                           "%d; evaluate them in separate runs",
                           mine->path, size, p->weights[0].shape.patch_size);
    }
    return 0;
}

static int read_networks(struct vj_predictors *p, enum vj_positive_class positive_class,
                         struct vj_error *err)
{
    p->weights = vj_calloc(p->networks, sizeof(*p->weights));
    if (!p->weights)
        return vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < p->count; i++) {
        struct vj_predictor *mine = &p->list[i];
        if (mine->kind != VJ_PREDICTOR_NETWORK)
            continue;
        struct vj_weights *w = &p->weights[mine->network];
        int r = vj_weights_read(w, mine->path, err);
        if (r)
            return r;
        choose_positive(mine, w, positive_class);
    }
    return check_patch_sizes(p, err);
}

static bool takes_file(const struct vj_predictor *p)
{
    const struct kind *kind = find_kind(p->kind_name);
    return kind && (kind->argument == ARGUMENT_FILE || kind->argument == ARGUMENT_PATTERN);
}

/*
 * A comma in a file's name ends the entry: its first part is no file, or its second no predictor.
 * more: whether a comma follows the last entry, which failed
 */
static int explain_comma(const struct vj_predictors *p, bool more, struct vj_error *err)
{
    const struct vj_predictor *last = &p->list[p->count - 1];
    const bool first_part = more && takes_file(last) && vj_error_code(err) == -ENOENT;
    const bool second_part = p->count > 1 && takes_file(last - 1) && !find_kind(last->kind_name) &&
                             strncmp(last->kind_name, pixel_prefix, sizeof(pixel_prefix) - 1) != 0;
    if (!err || (!first_part && !second_part))
        return vj_error_code(err);
    char text[VJ_ERROR_TEXT];
    memcpy(text, err->text, sizeof(text));
    return vj_fail(err, err->code,
                   "%s; a comma ends an entry of option predictors, so a file whose name has one "
                   "must be renamed or linked to",
                   text);
}

int vj_predictors_open(struct vj_predictors *p, const char *list, const char *codec,
                       enum vj_positive_class positive_class, struct vj_error *err)
{
    char *text = strdup(list);
    p->list = vj_calloc(PREDICTORS_MAX, sizeof(*p->list));
    int r = text && p->list ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    char *rest = text;
    while (!r && rest) {
        char *one = strsep(&rest, ",");
        one += strspn(one, " ");
        for (size_t n = strlen(one); n > 0 && one[n - 1] == ' '; n--)
            one[n - 1] = '\0';
        char *argument = strchr(one, ':');
        if (argument)
            *argument++ = '\0';
        if (!*one)
            r = vj_fail(err, -EINVAL, "option predictors: an empty entry in '%s'", list);
        else if (p->count == PREDICTORS_MAX)
            r = vj_fail(err, -E2BIG, "option predictors: more than %d entries", PREDICTORS_MAX);
        else if ((r = parse_one(&p->list[p->count++], one, argument, codec, err)))
            r = explain_comma(p, rest != NULL, err);
        if (!r) {
            struct vj_predictor *mine = &p->list[p->count - 1];
            make_unique(p, p->count - 1, argument);
            if (mine->kind == VJ_PREDICTOR_NETWORK)
                mine->network = p->networks++;
        }
    }
    free(text);
    return r ? r : read_networks(p, positive_class, err);
}

/* ---- one weight file for each fold ---- */

size_t vj_predictor_network(const struct vj_predictor *p, int fold)
{
    if (p->kind == VJ_PREDICTOR_NETWORK)
        return p->network;
    for (size_t i = 0; i < p->folds; i++)
        if (p->fold[i] == fold)
            return p->network + i;
    return VJ_NETWORK_NONE;
}

static int list_folds(struct vj_predictor *mine, const struct vj_fold_images *images,
                      struct vj_error *err)
{
    bool occurs[VJ_FOLDS_MAX + 1] = {false};
    for (size_t i = 0; i < images->count; i++)
        if (images->fold[i] != VJ_FOLD_NONE)
            occurs[images->fold[i]] = true;
    mine->fold = vj_calloc(VJ_FOLDS_MAX, sizeof(*mine->fold));
    if (!mine->fold)
        return vj_fail(err, -ENOMEM, "out of memory");
    for (int f = 1; f <= VJ_FOLDS_MAX; f++)
        if (occurs[f])
            mine->fold[mine->folds++] = f;
    if (mine->folds == 0)
        return vj_fail(err, -EINVAL,
                       "predictor %s:%s: no image has a test fold, which says what file scores it; "
                       "set option folds, e.g. to surfeatnet10, random:K or manifest",
                       mine->kind_name, mine->path);
    return 0;
}

static int fold_path(char path[PATH_MAX], const struct vj_predictor *mine, size_t index,
                     struct vj_error *err)
{
    return vj_pattern_expand(path, PATH_MAX, mine->path, fold_key, mine->fold[index],
                             "predictor vpjnd-folds", err);
}

/* Looks for all files before the first is read, and names all that are not there. */
static int check_files(const struct vj_predictor *mine, struct vj_error *err)
{
    struct vj_text missing = {0};
    size_t count = 0;
    int r = 0;
    for (size_t i = 0; !r && i < mine->folds; i++) {
        char path[PATH_MAX];
        r = fold_path(path, mine, i, err);
        if (r || access(path, F_OK) == 0)
            continue;
        vj_text_add(&missing, "%s%s", count++ ? ", " : "", path);
    }
    if (!r)
        r = vj_text_status(&missing, err);
    if (!r && count)
        r = vj_fail(err, -ENOENT,
                    "predictor %s: %zu of the %zu weight files, one for each fold of the images, "
                    "are missing: %s",
                    mine->kind_name, count, mine->folds, missing.data);
    vj_text_free(&missing);
    return r;
}

/* What the files of one predictor must have in common, as text. */
enum trait { VARIANT, NON_LOCAL, PATCH_SIZE, PATCHES, CHANNELS, POSITIVE_CLASS, ORIGIN, TRAITS };
static const char *const trait_names[TRAITS] = {
    "variant", "non_local", "patch_size", "patches", "channels", "positive_class", "origin"};

static void describe_channels(const struct vj_net_shape *s, char text[64])
{
    size_t used = 0;
    for (int i = 0; i < vj_net_form(s->variant)->blocks && used < 64; i++)
        used += (size_t)snprintf(text + used, 64 - used, "%s%d", i ? " " : "", s->channels[i]);
}

static void describe(const struct vj_weights *w, enum trait trait, char text[64])
{
    const struct vj_net_shape *s = &w->shape;
    switch (trait) {
    case VARIANT:
        snprintf(text, 64, "%s", vj_variant_name(s->variant));
        break;
    case NON_LOCAL:
        snprintf(text, 64, "%s", vj_non_local_name(s->non_local));
        break;
    case PATCH_SIZE:
        snprintf(text, 64, "%d", s->patch_size);
        break;
    case PATCHES:
        snprintf(text, 64, "%d", s->patches);
        break;
    case CHANNELS:
        describe_channels(s, text);
        break;
    case POSITIVE_CLASS:
        snprintf(text, 64, "%s", vj_positive_class_name(w->positive_class));
        break;
    case ORIGIN:
        snprintf(text, 64, "%s", vj_weights_origin_name(w->origin));
        break;
    case TRAITS:
        break;
    }
}

static int check_alike(const struct vj_weights *a, const char *a_path, const struct vj_weights *b,
                       const char *b_path, struct vj_error *err)
{
    for (int i = 0; i < TRAITS; i++) {
        char of_a[64] = "", of_b[64] = "";
        describe(a, (enum trait)i, of_a);
        describe(b, (enum trait)i, of_b);
        if (strcmp(of_a, of_b) != 0)
            return vj_fail(err, -EINVAL,
                           "predictor vpjnd-folds: %s is %s in %s, but %s in %s; the weight files "
                           "of all folds must agree in it",
                           trait_names[i], of_a, a_path, of_b, b_path);
    }
    return 0;
}

/* Looks for images of the fold among the items that trained or validated. */
static int check_unseen(const struct vj_trained *trained, const char *path, int fold,
                        const struct vj_fold_images *images, struct vj_error *err)
{
    struct vj_ranges seen;
    int r = vj_ranges_parse(&seen, trained->ids, 1, INT_MAX);
    if (r == -ENOMEM)
        return vj_fail(err, r, "out of memory");
    if (r)
        return vj_fail(err, r, "%s: trained_ids '%.80s' is not a list of different numbers", path,
                       trained->ids);
    for (size_t i = 0; !r && i < images->count; i++)
        if (images->fold[i] == fold && vj_ranges_has(&seen, images->id[i]))
            r = vj_fail(err, -EINVAL,
                        "%s was trained with item %d of %s, which lies in fold %d, whose images "
                        "it is to score; give the options folds and seed of its training",
                        path, images->id[i], images->dataset, fold);
    vj_ranges_free(&seen);
    return r;
}

/* A file may say what it was trained with; of another data set it has seen no image of ours. */
static int check_fold_of_file(const struct vj_weights *w, const char *path, int fold,
                              const struct vj_fold_images *images, struct vj_error *err)
{
    const struct vj_trained *trained = w->trained;
    if (!trained || !vj_trained_with(trained, images->dataset, images->fingerprint))
        return 0;
    if (trained->fold != 0 && trained->fold != fold)
        return vj_fail(err, -EINVAL,
                       "%s is to score the images of fold %d, but fold %d was left for testing "
                       "when it was trained",
                       path, fold, trained->fold);
    return check_unseen(trained, path, fold, images, err);
}

/* w: [folds], zeroed */
static int read_folds(struct vj_predictor *mine, struct vj_weights *w,
                      const struct vj_fold_images *images, enum vj_positive_class positive_class,
                      struct vj_error *err)
{
    char first[PATH_MAX], path[PATH_MAX];
    int r = check_files(mine, err);
    if (!r)
        r = fold_path(first, mine, 0, err);
    for (size_t i = 0; !r && i < mine->folds; i++) {
        r = fold_path(path, mine, i, err);
        if (!r)
            r = vj_weights_read(&w[i], path, err);
        if (!r)
            r = check_alike(&w[0], first, &w[i], path, err);
        if (!r)
            r = check_fold_of_file(&w[i], path, mine->fold[i], images, err);
    }
    if (!r)
        choose_positive(mine, &w[0], positive_class);
    return r;
}

/* Numbers all networks in the order of the list; weights that are there already move along. */
static int number_networks(struct vj_predictors *p, struct vj_error *err)
{
    size_t networks = 0;
    for (size_t i = 0; i < p->count; i++)
        networks += vj_predictor_networks(&p->list[i]);
    struct vj_weights *weights = vj_calloc(networks, sizeof(*weights));
    if (!weights)
        return vj_fail(err, -ENOMEM, "out of memory");
    networks = 0;
    for (size_t i = 0; i < p->count; i++) {
        struct vj_predictor *mine = &p->list[i];
        if (mine->kind == VJ_PREDICTOR_NETWORK)
            weights[networks] = p->weights[mine->network];
        mine->network = networks;
        networks += vj_predictor_networks(mine);
    }
    free(p->weights);
    p->weights = weights;
    p->networks = networks;
    return 0;
}

int vj_predictors_open_folds(struct vj_predictors *p, const struct vj_fold_images *images,
                             enum vj_positive_class positive_class, struct vj_error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < p->count; i++)
        if (p->list[i].kind == VJ_PREDICTOR_FOLDS)
            r = list_folds(&p->list[i], images, err);
    if (!r)
        r = number_networks(p, err);
    for (size_t i = 0; !r && i < p->count; i++) {
        struct vj_predictor *mine = &p->list[i];
        if (mine->kind == VJ_PREDICTOR_FOLDS)
            r = read_folds(mine, &p->weights[mine->network], images, positive_class, err);
    }
    return r ? r : check_patch_sizes(p, err);
}

int vj_predictor_least_side(const struct vj_predictor *p, const char **metric)
{
    switch (p->kind) {
    case VJ_PREDICTOR_SSIM:
        *metric = "SSIM";
        return VJ_SSIM_TAPS;
    case VJ_PREDICTOR_MS_SSIM:
        *metric = "MS-SSIM";
        return VJ_MS_SSIM_MIN_SIDE;
    case VJ_PREDICTOR_SSIMULACRA2:
        *metric = "SSIMULACRA2";
        return VJ_SSIMULACRA2_MIN_SIDE;
    default:
        *metric = NULL;
        return 1;
    }
}

void vj_predictors_drop_tensors(struct vj_predictors *p)
{
    for (size_t n = 0; n < p->networks; n++) {
        struct vj_weights *w = &p->weights[n];
        for (size_t i = 0; i < w->count; i++)
            free(w->tensors[i].data);
        free(w->tensors);
        w->tensors = NULL;
        w->count = 0;
    }
}

int vj_predictors_add_constant(struct vj_predictors *p, struct vj_error *err)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->list[i].kind == VJ_PREDICTOR_CONSTANT)
            return 0;
    if (p->count == PREDICTORS_MAX)
        return vj_fail(err, -E2BIG,
                       "option predictors: %d entries and no constant, which every report needs; "
                       "leave one out",
                       PREDICTORS_MAX);
    return parse_one(&p->list[p->count++], "constant", NULL, "jpeg", err);
}

void vj_predictors_free(struct vj_predictors *p)
{
    for (size_t i = 0; i < p->count; i++) {
        vj_external_free(&p->list[i].external);
        free(p->list[i].fold);
    }
    if (p->weights)
        for (size_t i = 0; i < p->networks; i++)
            vj_weights_free(&p->weights[i]);
    free(p->weights);
    free(p->list);
    *p = (struct vj_predictors){0};
}
