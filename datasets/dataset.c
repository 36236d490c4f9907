/* SPDX-License-Identifier: MIT */
/*
 * Registry, and what is the same for every data set: checking options, folds, the fingerprint.
 *
 * The fingerprint is the SHA-256 of a text, each line of it ending in "\n", without paths or times:
 *   - vpjnd-dataset 1
 *   - a line each: the registry name, the label definition, the folds as asked for, the candidates
 *     mode, the codec;
 *   - <qf_first> <qf_last> <anchor QF> <number of items>
 *   - per item: <bytes of the name> <name> <id> <0 ok, 1 broken> <qf_true> <qf_exact in millionths,
 *     or -1> <anchor QF> <source bytes> <reference bytes> <candidate bytes>..., where a missing
 *     file has -1 bytes; candidates are listed unless they are synthesised, and where they are
 *     decoded pictures each is followed by the bytes of its stream; then, where subjects' data
 *     exist, "sur" and SUR(1..100) in millionths;
 *   - per item: <fold>
 * Two machines with the same data set give the same fingerprint wherever it lies.
 */
#include "datasets/dataset.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "datasets/dataset_internal.h"
#include "datasets/files.h"
#include "datasets/folds.h"
#include "datasets/labels.h"
#include "host/checked.h"

const struct vj_dataset_ops *const vj_datasets[] = {
    &vj_dataset_mcl_jci, &vj_dataset_konjnd_1k, &vj_dataset_manifest,
    &vj_dataset_folder,  &vj_dataset_synthetic, NULL,
};

struct vj_dataset {
    const struct vj_dataset_ops *ops;
    void *state;
    struct vj_dataset_info info;
    size_t count;
    int *fold; /* owned, one per item */
};

/* ---- items ---- */

void vj_item_init(struct vj_item *item)
{
    memset(item, 0, sizeof(*item));
    item->qf_true = VJ_QF_UNKNOWN;
    item->qf_exact = NAN;
    item->fold = VJ_FOLD_NONE;
}

void vj_item_free(struct vj_item *item)
{
    free(item->name);
    free(item->source);
    free(item->reference);
    free(item->error);
    for (size_t q = 0; q < sizeof(item->candidate) / sizeof(item->candidate[0]); q++) {
        free(item->candidate[q]);
        free(item->stream[q]);
    }
    vj_item_init(item);
}

int vj_item_break(struct vj_item *item, const struct vj_error *cause, struct vj_error *err)
{
    if (item->status)
        return 0;
    item->error = strdup(cause->text);
    if (!item->error)
        return vj_fail(err, -ENOMEM, "%s: out of memory", item->name);
    item->status = cause->code ? cause->code : -EIO;
    return 0;
}

/* Breaks the item unless `path` is a file. */
static int check_file(struct vj_item *item, const char *what, const char *path,
                      struct vj_error *err)
{
    int64_t size;
    int rc = vj_file_size(path, &size);
    if (!rc)
        return 0;
    struct vj_error cause = {0};
    vj_fail(&cause, rc, "%s: no %s %s: %s", item->name, what, path, strerror(-rc));
    return vj_item_break(item, &cause, err);
}

/* what, remedy: "candidate files", "restore them, ..."; paths that are NULL are not asked for */
static int check_ladder(struct vj_item *item, char **path, int qf_first, int qf_last,
                        const char *what, const char *remedy, struct vj_error *err)
{
    struct vj_error cause = {0};
    int missing = 0, first = 0;
    char *first_path = NULL;
    int rc = 0;
    for (int q = qf_first; q <= qf_last; q++) {
        int64_t size;
        int found = path[q] ? vj_file_size(path[q], &size) : 0;
        if (!found)
            continue;
        if (missing++ == 0) {
            rc = found;
            first = q;
            first_path = path[q];
        } else {
            free(path[q]);
        }
        path[q] = NULL;
    }
    if (!missing)
        return 0;
    vj_fail(&cause, rc, "%s: %d of %d %s are missing, the first for %s %d: %s: %s; %s", item->name,
            missing, qf_last - qf_first + 1, what, item->decoded ? "level" : "QF", first,
            first_path, strerror(-rc), remedy);
    free(first_path);
    return vj_item_break(item, &cause, err);
}

int vj_item_check_files(struct vj_item *item, bool candidates, int qf_first, int qf_last,
                        struct vj_error *err)
{
    int rc = check_file(item, "source picture", item->source, err);
    if (!rc && item->reference)
        rc = check_file(item, "reference picture", item->reference, err);
    if (!rc && candidates)
        rc = check_ladder(item, item->candidate, qf_first, qf_last, "candidate files",
                          item->decoded ? "restore them, or narrow the range qf_first..qf_last"
                                        : "restore them, narrow the range of QFs, or set "
                                          "candidates=synthesize",
                          err);
    if (!rc && candidates)
        rc = check_ladder(item, item->stream, qf_first, qf_last, "compressed files",
                          "restore them, or name none, which leaves the rates unknown", err);
    return rc;
}

/* ---- options ---- */

int vj_candidates_parse(enum vj_candidates *candidates, const char *text, bool mixed,
                        struct vj_error *err)
{
    *candidates = VJ_CANDIDATES_UNSAID;
    if (!text)
        return 0;
    if (strcmp(text, "files") == 0)
        *candidates = VJ_CANDIDATES_FILES;
    else if (strcmp(text, "synthesize") == 0)
        *candidates = VJ_CANDIDATES_SYNTHESIZE;
    else if (mixed && strcmp(text, "mixed") == 0)
        *candidates = VJ_CANDIDATES_MIXED;
    else
        return vj_fail(err, -EINVAL, "candidates: unknown value '%s'; known are files, %s", text,
                       mixed ? "synthesize, mixed" : "synthesize (and, of a manifest, mixed)");
    return 0;
}

void vj_candidates_record(struct vj_dataset_info *info, enum vj_candidates candidates)
{
    snprintf(info->candidates, sizeof(info->candidates), "%s",
             candidates == VJ_CANDIDATES_FILES   ? "files"
             : candidates == VJ_CANDIDATES_MIXED ? "mixed"
                                                 : "synthesize");
}

bool vj_codec_is_jpeg(const struct vj_dataset_options *opt)
{
    return strcmp(opt->codec, "jpeg") == 0;
}

int vj_require_jpeg(const struct vj_dataset_options *opt, const char *dataset, struct vj_error *err)
{
    if (vj_codec_is_jpeg(opt))
        return 0;
    return vj_fail(err, -EINVAL,
                   "codec: '%s', but the data set '%s' has JPEG candidates; pictures of another "
                   "codec can be described by a manifest",
                   opt->codec, dataset);
}

int vj_require_files(const struct vj_dataset_options *opt, enum vj_candidates candidates,
                     struct vj_error *err)
{
    if (vj_codec_is_jpeg(opt) || candidates == VJ_CANDIDATES_FILES)
        return 0;
    return vj_fail(err, -EINVAL,
                   "codec: '%s', but only JPEG candidates can be synthesised; name decoded "
                   "pictures, with candidates=files",
                   opt->codec);
}

int vj_require_first_jnd(const struct vj_dataset_options *opt, const char *dataset,
                         struct vj_error *err)
{
    if (opt->jnd == 1)
        return 0;
    return vj_fail(err, -EINVAL, "jnd: %d; the data set '%s' knows only JND 1", opt->jnd, dataset);
}

static const struct vj_dataset_ops *find_dataset(const char *name, struct vj_error *err)
{
    char known[256] = "";
    for (size_t i = 0; vj_datasets[i]; i++) {
        if (strcmp(vj_datasets[i]->name, name) == 0)
            return vj_datasets[i];
        size_t used = strlen(known);
        snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", vj_datasets[i]->name);
    }
    vj_fail(err, -EINVAL, "dataset: unknown name '%s'; known are %s", name, known);
    return NULL;
}

/* Fills in the defaults of opt's numbers and checks what needs no data set. */
static int complete_options(struct vj_dataset_options *full, const struct vj_dataset_options *opt,
                            struct vj_error *err)
{
    *full = *opt;
    if (!opt->root || !*opt->root)
        return vj_fail(err, -EINVAL, "root: empty; name the folder (or CSV file) of the data set");
    if (opt->jnd == 0)
        full->jnd = 1;
    if (full->jnd < 1 || full->jnd > VJ_JND_MAX)
        return vj_fail(err, -EINVAL, "jnd: %d outside 1..%d", opt->jnd, VJ_JND_MAX);
    if (opt->qf_first == 0 && opt->qf_last == 0) {
        full->qf_first = 1;
        full->qf_last = VJ_QF_MAX;
    }
    if (full->qf_first < 1 || full->qf_last > VJ_QF_MAX || full->qf_first > full->qf_last)
        return vj_fail(err, -EINVAL, "QF range %d..%d: must be an ascending range within 1..100",
                       opt->qf_first, opt->qf_last);
    if (!opt->codec)
        full->codec = "jpeg";
    const size_t length = strlen(full->codec);
    if (length < 1 || length >= sizeof(((struct vj_dataset_info *)NULL)->codec) ||
        strspn(full->codec, "abcdefghijklmnopqrstuvwxyz0123456789-") != length)
        return vj_fail(err, -EINVAL,
                       "codec: '%.40s' must be 1 to 15 of a-z, 0-9 and '-', e.g. jpeg, bpg",
                       full->codec);
    return 0;
}

static int check_folds(const struct vj_folds *folds, const struct vj_dataset_ops *ops,
                       struct vj_error *err)
{
    if (folds->kind == VJ_FOLDS_SURFEATNET10 && ops != &vj_dataset_mcl_jci)
        return vj_fail(err, -EINVAL,
                       "folds: surfeatnet10 names sources of mcl-jci, not of '%s'; use random:K",
                       ops->name);
    if (folds->kind == VJ_FOLDS_MANIFEST && ops != &vj_dataset_manifest)
        return vj_fail(err, -EINVAL,
                       "folds: manifest needs a manifest's fold column, '%s' has none; use "
                       "random:K",
                       ops->name);
    return 0;
}

static int check_streams(const struct vj_dataset_options *opt, const struct vj_dataset_ops *ops,
                         struct vj_error *err)
{
    if (!opt->streams || (ops == &vj_dataset_konjnd_1k && !vj_codec_is_jpeg(opt)))
        return 0;
    return vj_fail(err, -EINVAL,
                   "streams: '%.200s', but only konjnd-1k with codec=bpg has such a folder; a "
                   "manifest names compressed files in its column streams",
                   opt->streams);
}

/* ---- one walk over all items: names, fingerprint ---- */

struct survey {
    EVP_MD_CTX *hash;
    bool hash_failed;
    char **names; /* owned, ds->count of them */
    int *ids;
};

__attribute__((format(printf, 2, 3))) static void feed(struct survey *s, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof(text) ||
        !EVP_DigestUpdate(s->hash, text, (size_t)length))
        s->hash_failed = true;
}

static void feed_size(struct survey *s, const char *path)
{
    int64_t size = -1;
    if (!path || vj_file_size(path, &size))
        size = -1;
    feed(s, " %" PRId64, size);
}

static void feed_header(struct survey *s, const struct vj_dataset *ds,
                        const struct vj_dataset_options *opt)
{
    const struct vj_dataset_info *info = &ds->info;
    feed(s, "vpjnd-dataset 1\n%s\n%s\n%s\n%s\n%s\n", info->dataset, info->label_definition,
         info->folds, info->candidates, info->codec);
    feed(s, "%d %d %d %zu\n", opt->qf_first, opt->qf_last, info->anchor_qf, ds->count);
}

static void feed_item(struct survey *s, const struct vj_item *item, bool files,
                      const struct vj_dataset_options *opt)
{
    size_t length = strlen(item->name);
    feed(s, "%zu ", length);
    if (!EVP_DigestUpdate(s->hash, item->name, length))
        s->hash_failed = true;
    feed(s, " %d %d %d %lld %d", item->id, item->status != 0, item->qf_true,
         isnan(item->qf_exact) ? -1LL : llround(item->qf_exact * 1e6), item->anchor_qf);
    feed_size(s, item->source);
    feed_size(s, item->reference);
    for (int q = opt->qf_first; files && q <= opt->qf_last; q++) {
        feed_size(s, item->candidate[q]);
        if (item->decoded)
            feed_size(s, item->stream[q]);
    }
    if (item->has_sur) {
        feed(s, " sur");
        for (int q = 1; q <= VJ_QF_MAX; q++)
            feed(s, " %lld", llround((double)item->sur[q] * 1e6));
    }
    feed(s, "\n");
}

static int survey_items(struct survey *s, struct vj_dataset *ds,
                        const struct vj_dataset_options *opt, struct vj_error *err)
{
    bool files = strcmp(ds->info.candidates, "synthesize") != 0;
    for (size_t i = 0; i < ds->count; i++) {
        struct vj_item item;
        vj_item_init(&item);
        int rc = ds->ops->item(ds->state, i, &item, err);
        if (!rc) {
            feed_item(s, &item, files, opt);
            s->names[i] = item.name;
            item.name = NULL;
            s->ids[i] = item.id;
            ds->fold[i] = item.fold;
        }
        vj_item_free(&item);
        if (rc)
            return rc;
    }
    return 0;
}

/* Names key random numbers and rows of results: two equal ones would mix two pictures. */
static int check_names(char *const *names, size_t count, struct vj_error *err)
{
    size_t *first = vj_calloc(count, sizeof(*first));
    if (!first)
        return vj_fail(err, -ENOMEM, "out of memory for %zu names", count);
    int rc = vj_first_equals(first, names, count, err);
    for (size_t i = 0; i < count && !rc; i++)
        if (first[i] != i)
            rc = vj_fail(err, -EEXIST, "items %zu and %zu are both called '%s'; names must differ",
                         first[i] + 1, i + 1, names[i]);
    free(first);
    return rc;
}

static int assign_folds(struct vj_dataset *ds, const struct vj_folds *folds, const struct survey *s,
                        uint64_t seed, struct vj_error *err)
{
    if (folds->kind == VJ_FOLDS_RANDOM)
        return vj_folds_random(ds->fold, s->names, ds->count, folds->count, seed, err);
    for (size_t i = 0; i < ds->count; i++) {
        if (folds->kind == VJ_FOLDS_SURFEATNET10)
            ds->fold[i] = vj_folds_surfeatnet(s->ids[i]);
        else if (folds->kind == VJ_FOLDS_NONE)
            ds->fold[i] = VJ_FOLD_NONE;
    }
    return 0;
}

static int finish_fingerprint(struct survey *s, struct vj_dataset *ds, struct vj_error *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    for (size_t i = 0; i < ds->count; i++)
        feed(s, "%d\n", ds->fold[i]);
    if (s->hash_failed || !EVP_DigestFinal_ex(s->hash, digest, &length) || length != 32)
        return vj_fail(err, -EIO, "fingerprint: SHA-256 of OpenSSL failed");
    for (unsigned int i = 0; i < length; i++)
        snprintf(ds->info.fingerprint + (size_t)2 * i, 3, "%02x", digest[i]);
    return 0;
}

static int survey_dataset(struct vj_dataset *ds, const struct vj_dataset_options *opt,
                          const struct vj_folds *folds, struct vj_error *err)
{
    struct survey s = {.hash = EVP_MD_CTX_new(),
                       .names = vj_calloc(ds->count, sizeof(char *)),
                       .ids = vj_calloc(ds->count, sizeof(int))};
    int rc;
    ds->fold = vj_calloc(ds->count, sizeof(*ds->fold));
    if (!s.hash || !s.names || !s.ids || !ds->fold) {
        rc = vj_fail(err, -ENOMEM, "out of memory for %zu items", ds->count);
        goto out;
    }
    if (!EVP_DigestInit_ex(s.hash, EVP_sha256(), NULL))
        s.hash_failed = true;
    feed_header(&s, ds, opt);
    rc = survey_items(&s, ds, opt, err);
    if (!rc)
        rc = check_names(s.names, ds->count, err);
    if (!rc)
        rc = assign_folds(ds, folds, &s, opt->seed, err);
    if (!rc)
        rc = finish_fingerprint(&s, ds, err);
out:
    for (size_t i = 0; s.names && i < ds->count; i++)
        free(s.names[i]);
    free(s.names);
    free(s.ids);
    EVP_MD_CTX_free(s.hash);
    return rc;
}

/* ---- the public functions ---- */

int vj_dataset_open(struct vj_dataset **out, const char *name, const struct vj_dataset_options *opt,
                    struct vj_error *err)
{
    *out = NULL;
    const struct vj_dataset_ops *ops = find_dataset(name, err);
    if (!ops)
        return -EINVAL;
    struct vj_dataset_options full;
    struct vj_folds folds;
    int rc = complete_options(&full, opt, err);
    if (!rc)
        rc = vj_folds_parse(&folds, opt->folds, err);
    if (!rc)
        rc = check_folds(&folds, ops, err);
    if (!rc)
        rc = check_streams(&full, ops, err);
    if (rc)
        return rc;

    struct vj_dataset *ds = vj_calloc(1, sizeof(*ds));
    if (!ds)
        return vj_fail(err, -ENOMEM, "%s: out of memory", name);
    ds->ops = ops;
    snprintf(ds->info.dataset, sizeof(ds->info.dataset), "%s", ops->name);
    snprintf(ds->info.codec, sizeof(ds->info.codec), "%s", full.codec);
    snprintf(ds->info.folds, sizeof(ds->info.folds), "%s", opt->folds ? opt->folds : "none");
    rc = ops->open(&ds->state, &full, &ds->info, err);
    if (rc) {
        ds->state = NULL;
    } else {
        ds->count = ops->count(ds->state);
        rc = survey_dataset(ds, &full, &folds, err);
    }
    if (rc) {
        vj_dataset_close(ds);
        return rc;
    }
    *out = ds;
    return 0;
}

size_t vj_dataset_count(const struct vj_dataset *ds)
{
    return ds->count;
}

const struct vj_dataset_info *vj_dataset_info(const struct vj_dataset *ds)
{
    return &ds->info;
}

int vj_dataset_item(const struct vj_dataset *ds, size_t index, struct vj_item *item,
                    struct vj_error *err)
{
    vj_item_init(item);
    if (index >= ds->count)
        return vj_fail(err, -ERANGE, "%s: item %zu of %zu", ds->info.dataset, index, ds->count);
    int rc = ds->ops->item(ds->state, index, item, err);
    if (rc) {
        vj_item_free(item);
        return rc;
    }
    item->fold = ds->fold[index];
    return 0;
}

void vj_dataset_close(struct vj_dataset *ds)
{
    if (!ds)
        return;
    if (ds->state)
        ds->ops->close(ds->state);
    free(ds->fold);
    free(ds);
}
