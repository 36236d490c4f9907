/* SPDX-License-Identifier: MIT */
#include "eval/search.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[VJ_SEARCH_KINDS] = {
    [VJ_SEARCH_BINARY_BLOCK] = "binary-block",
    [VJ_SEARCH_SLIDING_WINDOW] = "sliding-window",
    [VJ_SEARCH_FIRST_CROSSING] = "first-crossing",
    [VJ_SEARCH_MAX_LIKELIHOOD] = "max-likelihood",
};

struct vj_search_options vj_search_default(void)
{
    return (struct vj_search_options){
        .kind = VJ_SEARCH_BINARY_BLOCK,
        .block = 5,
        .threshold = 4,
        .window = 5,
        .window_threshold = 4,
    };
}

const char *vj_search_name(enum vj_search_kind kind)
{
    return (unsigned)kind < VJ_SEARCH_KINDS ? kind_names[kind] : "unknown";
}

int vj_search_parse(enum vj_search_kind *kind, const char *name, struct vj_error *err)
{
    for (int k = 0; k < VJ_SEARCH_KINDS; k++) {
        if (strcmp(name, kind_names[k]) == 0) {
            *kind = (enum vj_search_kind)k;
            return 0;
        }
    }
    return vj_fail(err, -EINVAL, "search \"%s\" is unknown; use %s, %s, %s or %s", name,
                   kind_names[0], kind_names[1], kind_names[2], kind_names[3]);
}

static int check_range(const char *what, int value, int low, int high, struct vj_error *err)
{
    if (value >= low && value <= high)
        return 0;
    return vj_fail(err, -EINVAL, "search option %s is %d; it must be %d to %d", what, value, low,
                   high);
}

int vj_search_check(const struct vj_search_options *opt, struct vj_error *err)
{
    if ((unsigned)opt->kind >= VJ_SEARCH_KINDS)
        return vj_fail(err, -EINVAL, "search kind %d is unknown", (int)opt->kind);
    int rc = check_range("block", opt->block, 1, 50, err);
    if (!rc)
        rc = check_range("threshold (at most the block)", opt->threshold, 1, opt->block, err);
    if (!rc)
        rc = check_range("window", opt->window, 1, VJ_SEARCH_LEVELS_MAX, err);
    if (!rc)
        rc = check_range("window threshold (at most the window)", opt->window_threshold, 1,
                         opt->window, err);
    return rc;
}

const char *vj_search_describe(const struct vj_search_options *opt, char *text, size_t size)
{
    const char *name = vj_search_name(opt->kind);
    if (opt->kind == VJ_SEARCH_BINARY_BLOCK)
        snprintf(text, size, "%s (B = %d, t = %d)", name, opt->block, opt->threshold);
    else if (opt->kind == VJ_SEARCH_SLIDING_WINDOW)
        snprintf(text, size, "%s (W = %d, T = %d)", name, opt->window, opt->window_threshold);
    else
        snprintf(text, size, "%s", name);
    return text;
}

/* One search in progress: the answers so far and the first failure. */
struct probe {
    int n;
    vj_search_ask ask;
    void *user;
    struct vj_error *err;
    int rc;
    int asked, calls;
    bool known[VJ_SEARCH_LEVELS_MAX];
    float p[VJ_SEARCH_LEVELS_MAX];
};

static void ask_run(struct probe *s, int first, int count)
{
    s->calls++;
    s->asked += count;
    s->rc = s->ask(s->user, first, count, &s->p[first], s->err);
    for (int i = first; !s->rc && i < first + count; i++) {
        if (!(s->p[i] >= 0.0f && s->p[i] <= 1.0f))
            s->rc = vj_fail(s->err, -EDOM,
                            "the answer at level %d is %g, which is no probability; check the "
                            "scores of this image",
                            i, (double)s->p[i]);
        s->known[i] = true;
    }
}

/* Makes the answers of levels [first, first + count) known, as far as they exist. */
static void need(struct probe *s, int first, int count)
{
    int end = first + count < s->n ? first + count : s->n;
    int i = first > 0 ? first : 0;
    while (i < end && !s->rc) {
        int run = i;
        while (run < end && !s->known[run])
            run++;
        if (run > i)
            ask_run(s, i, run - i);
        i = run > i ? run : i + 1;
    }
}

/* Below the range all is lossy, above it all is lossless; inside, the answer must be known. */
static bool is_lossy(const struct probe *s, int level)
{
    if (level < 0)
        return true;
    return level < s->n && vj_is_lossy(s->p[level]);
}

static int count_lossy(struct probe *s, int first, int count)
{
    need(s, first, count);
    int lossy = 0;
    for (int i = first; i < first + count; i++)
        lossy += is_lossy(s, i);
    return lossy;
}

/* The highest lossy level below `level`; -1 at the latest. Asks for `step` levels at a time. */
static int lossy_below(struct probe *s, int level, int step)
{
    int i = level - 1;
    for (; i >= 0 && !s->rc; i--) {
        if (!s->known[i])
            need(s, i - step + 1, step);
        if (is_lossy(s, i))
            break;
    }
    return i;
}

/* The lowest lossy level at or above `level`; one must be known to exist. */
static int lossy_from(const struct probe *s, int level)
{
    while (!is_lossy(s, level))
        level++;
    return level;
}

/* 0 < R < B with the left block all lossy. */
static int boundary_in_right_block(const struct probe *s, int m, int right)
{
    if (right == 1)
        return lossy_from(s, m);
    int i = m;
    while (is_lossy(s, i))
        i++;
    return i - 1;
}

/*
 * VP-JND's binary-block search. The authors' file cannot be run, so there is no output of theirs to
 * agree with; what is kept is their decision table. It is completed where the table alone is
 * silent:
 *
 * 1. Ends. Blocks that reach over an end see lossy answers below the range and lossless ones above
 * it instead of reading outside the array; thus any n will do, 51 and 101 included.
 * 2. The interval. It holds the number of lossy levels rather than a level, 0 .. n, so that
 * "nothing is lossy" and "nothing is lossless" are ends like any other. A step to the right drops
 * the whole block just seen, one to the left the middle.
 * 3. Left block all lossy, several lossy answers on the right, the first of them not at m: no lossy
 *    level of the right block lies before its first lossless one, so the answer is m - 1.
 * 4. Noise with an empty left block: the nearest lossy level on the left lies beyond the block; it
 * is looked for downwards, and below the range at the latest it is found (-1).
 *
 * It ends. After a step right the B levels below lo are lossy; after a step left the B levels above
 * hi are lossless and fewer than t <= B of those just below them are lossy. Hence a step right
 * cannot reach beyond hi, nor a step left below lo: lo <= hi always, the interval shrinks with
 * every step, and where lo = hi = m the left block is all lossy and the right one is not, which is
 * an answer.
 */
static int binary_block(struct probe *s, int block, int threshold)
{
    int lo = 0;
    int hi = s->n;
    while (!s->rc) {
        int m = lo + (hi - lo) / 2;
        int right = count_lossy(s, m, block);
        if (right == block) {
            lo = m + block;
            continue;
        }
        int left = count_lossy(s, m - block, block);
        if (right == 0 && left < threshold) {
            hi = m - 1;
            continue;
        }
        if (right == 0)
            return lossy_below(s, m, block);
        if (left == block)
            return boundary_in_right_block(s, m, right);
        /* Both are -1 or more and their sum is 0 or more: the division is a floor. */
        return (lossy_below(s, m, block) + lossy_from(s, m)) / 2;
    }
    return -1;
}

static int sliding_window(struct probe *s, int window, int threshold)
{
    /* Below the range all is lossy: the window is full enough at the latest when it lies there. */
    for (int top = s->n - 1; !s->rc; top--) {
        if (count_lossy(s, top - window + 1, window) >= threshold)
            return lossy_below(s, top + 1, 1);
    }
    return -1;
}

static int first_crossing(struct probe *s)
{
    int level = 0;
    while (level < s->n && !s->rc && count_lossy(s, level, 1))
        level++;
    return level - 1;
}

static int64_t log_odds(float p_lossy)
{
    const double least = 1e-6;
    double p = fmin(fmax((double)p_lossy, least), 1.0 - least);
    return llrint(log(p / (1.0 - p)) * 4294967296.0);
}

static int max_likelihood(struct probe *s)
{
    need(s, 0, s->n);
    if (s->rc)
        return -1;
    int best = -1;
    int64_t sum = 0; /* log-likelihood of the step at i, less that of "nothing is lossy" */
    int64_t best_sum = 0;
    for (int i = 0; i < s->n; i++) {
        sum += log_odds(s->p[i]);
        /* One half adds 0 and is lossless: of equal sums the highest at a lossy answer counts. */
        if (sum > best_sum || (sum == best_sum && vj_is_lossy(s->p[i]))) {
            best_sum = sum;
            best = i;
        }
    }
    return best;
}

int vj_search_lazy(const struct vj_search_options *opt, int n, vj_search_ask ask, void *user,
                   struct vj_search_result *out, struct vj_error *err)
{
    int rc = vj_search_check(opt, err);
    if (rc)
        return rc;
    if (n < 1 || n > VJ_SEARCH_LEVELS_MAX)
        return vj_fail(err, -EINVAL, "a search over %d levels was asked for; it takes 1 to %d", n,
                       VJ_SEARCH_LEVELS_MAX);

    struct probe s = {.n = n, .ask = ask, .user = user, .err = err};
    int level = -1;
    switch (opt->kind) {
    case VJ_SEARCH_SLIDING_WINDOW:
        level = sliding_window(&s, opt->window, opt->window_threshold);
        break;
    case VJ_SEARCH_FIRST_CROSSING:
        level = first_crossing(&s);
        break;
    case VJ_SEARCH_MAX_LIKELIHOOD:
        level = max_likelihood(&s);
        break;
    default:
        level = binary_block(&s, opt->block, opt->threshold);
        break;
    }
    if (s.rc)
        return s.rc;
    *out = (struct vj_search_result){.level = level, .asked = s.asked, .calls = s.calls};
    return 0;
}

struct array {
    const float *p;
};

static int ask_array(void *user, int first, int count, float *p_lossy, struct vj_error *err)
{
    const struct array *array = user;
    (void)err;
    memcpy(p_lossy, array->p + first, (size_t)count * sizeof(*p_lossy));
    return 0;
}

int vj_search_full(const struct vj_search_options *opt, int n, const float *p_lossy,
                   struct vj_search_result *out, struct vj_error *err)
{
    struct array array = {p_lossy};
    return vj_search_lazy(opt, n, ask_array, &array, out, err);
}
