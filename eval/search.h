/* SPDX-License-Identifier: MIT */
/*
 * From answers at every quality factor to one quality factor: the picture-wise JND.
 *
 * Levels. A picture has n candidates, level 0 .. n-1 with rising quality; level i is the quality
 * factor qf_first + i. An answer says whether the candidate can be told from the reference (lossy)
 * or not (lossless). Answers are meant to be lossy up to some level and lossless above it; a
 * classifier's are not always.
 *
 * Result. The predicted PW-JND is the largest level still called lossy, so the smallest lossless
 * level is one above it. Every search below is total: it ends on each of the 2^n answer vectors
 * with a level in -1 .. n-1. -1 means "nothing is lossy"; n - 1 means "nothing is lossless". On
 * answers that are lossy up to a level and lossless above it every search returns exactly that
 * level.
 *
 * One convention makes them total: below the range every candidate would be lossy, above it every
 * candidate would be lossless. A step stays a step under it, and no search needs a special case at
 * the ends.
 */
#ifndef VJ_EVAL_SEARCH_H
#define VJ_EVAL_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

enum {
    VJ_SEARCH_LEVELS_MAX = 101, /* as VJ_LEVELS_MAX of the data sets */
};

enum vj_search_kind {
    /*
     * VP-JND's search (Zhang et al., IEEE TCSVT 2025, as described in words). The number of lossy
     * levels lies in [lo, hi], at first [0, n]. At the middle m, R counts the lossy answers among
     * the B levels m .. m+B-1 and L among the B levels m-B .. m-1 (B = block, t = threshold):
     *
     *     R = B              go right: lo = m + B
     *     R = 0, L < t       go left: hi = m - 1
     *     R = 0, L = B       m - 1
     *     R = 0, t <= L < B  the last lossy level of the left block
     *     0 < R < B, L = B   R = 1: the one lossy level of the right block; else the last lossy
     *                        level before the first lossless one of the right block
     *     0 < R < B, L < B   noisy: the mean, rounded down, of the nearest lossy level on each
     *                        side of m
     *
     * Where this goes beyond the description, or departs from the authors' file, which cannot run,
     * is said at its implementation in search.c.
     *
     * It asks for about 25 of 100 answers on a clean step (36 at most), and pays for that: a single
     * wrong answer among 100 leaves it exact in 81 % of all cases and may move it by 50 levels,
     * where sliding-window and max-likelihood move by at most 2.
     */
    VJ_SEARCH_BINARY_BLOCK = 0,
    /*
     * PW-JND (Liu et al., IEEE TIP 29:641, 2020): a window of W levels moves down from the highest
     * quality one level at a time and stops where at least T answers in it are lossy; the result is
     * the highest lossy level in that window. W = window, T = window_threshold.
     */
    VJ_SEARCH_SLIDING_WINDOW,
    /* Up from the lowest quality to the first lossless answer; the result is the level below it. */
    VJ_SEARCH_FIRST_CROSSING,
    /*
     * The step that maximises the summed log-likelihood of the answers' probabilities, each kept
     * within [1e-6, 1 - 1e-6]. Log-odds are summed as integers in units of 2^-32, so that equal
     * likelihoods are found equal whatever the order. Of equal ones the highest level is taken
     * whose own answer is lossy, the side on which a wrong prediction does no visible damage; an
     * answer of exactly one half, which no likelihood depends on, thus is lossless as it is
     * elsewhere.
     */
    VJ_SEARCH_MAX_LIKELIHOOD,
    VJ_SEARCH_KINDS,
};

struct vj_search_options {
    enum vj_search_kind kind;
    int block;            /* B, 1 .. 50; binary-block */
    int threshold;        /* t, 1 .. B; binary-block */
    int window;           /* W, 1 .. 101; sliding-window */
    int window_threshold; /* T, 1 .. W; sliding-window */
};

/*
 * Asks a classifier for the answers at levels first .. first + count - 1.
 * p_lossy: filled with the probability that each candidate is lossy, in [0, 1]; a hard answer is 0
 * or 1 Returns 0 or a negative errno with a text, which ends the search. No level is asked for
 * twice.
 */
typedef int (*vj_search_ask)(void *user, int first, int count, float *p_lossy,
                             struct vj_error *err);

struct vj_search_result {
    int level; /* -1 .. n-1, see above */
    int asked; /* levels whose answer was asked for */
    int calls; /* calls of the classifier that took */
};

/* The one place that turns a probability into an answer: lossy above a half, a tie is lossless. */
static inline bool vj_is_lossy(float p_lossy)
{
    return p_lossy > 0.5f;
}

/*
 * The quality factor that a result stands for in results files, metrics and encoders: that of the
 * level, and for "nothing is lossy" (-1) the lowest candidate's. A codec can only be told to use a
 * candidate that exists, and so every image whose search ran has a rate, a damage and an error; -1
 * in a results file is left to mean "not evaluated". (qf_first - 1 instead would move the error by
 * one QF at most, and would name a candidate that nobody can encode.)
 *
 * This QF alone does not tell "nothing is lossy" from "only the lowest is":
 * vj_search_lossless_qf().
 */
static inline int vj_search_qf(int level, int qf_first)
{
    return qf_first + (level < 0 ? 0 : level);
}

/*
 * The smallest lossless quality factor that follows from a prediction, -1 where the run has none:
 * the one above it; but the lowest candidate's where that is the prediction and was itself called
 * lossless, so that nothing is lossy.
 * qf_pred:         qf_first .. qf_last, as vj_search_qf() gives it
 * lowest_lossless: the predictor was asked about the lowest candidate and called it lossless
 */
static inline int vj_search_lossless_qf(int qf_pred, bool lowest_lossless, int qf_first,
                                        int qf_last)
{
    if (qf_pred <= qf_first && lowest_lossless)
        return qf_first;
    return qf_pred < qf_last ? qf_pred + 1 : -1;
}

/* binary-block with B = 5, t = 4 (the authors' values); window W = 5, T = 4 (ours, no source). */
struct vj_search_options vj_search_default(void);

const char *vj_search_name(enum vj_search_kind kind); /* "binary-block", "sliding-window", ... */

/* 0 and *kind, or -EINVAL with the list of known names. */
int vj_search_parse(enum vj_search_kind *kind, const char *name, struct vj_error *err);

/* -EINVAL unless every option, used by the kind or not, is in its range. */
int vj_search_check(const struct vj_search_options *opt, struct vj_error *err);

/*
 * The kind with the options that it uses, for the `search` attribute of a results file, e.g.
 * "binary-block (B = 5, t = 4)". Returns text.
 */
const char *vj_search_describe(const struct vj_search_options *opt, char *text, size_t size);

/*
 * Searches, asking for nothing but the answers it needs. Neighbouring levels are asked for in one
 * call where the search wants them together.
 *
 * n:   levels, 1 .. VJ_SEARCH_LEVELS_MAX
 * ask: see vj_search_ask
 * out: filled on success
 *
 * Errors: -EINVAL for options or n out of range, -EDOM when an answer is no probability (NaN or
 * outside [0, 1]), and whatever `ask` returned.
 */
int vj_search_lazy(const struct vj_search_options *opt, int n, vj_search_ask ask, void *user,
                   struct vj_search_result *out, struct vj_error *err);

/* The same search on answers at hand: p_lossy[n]. Same answers, same result. */
int vj_search_full(const struct vj_search_options *opt, int n, const float *p_lossy,
                   struct vj_search_result *out, struct vj_error *err);

#endif
