#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes metrics.txt: small made-up runs and what every metric must be, from plain NumPy.

The bootstrap is redone too, with its own Philox4x32-10, so intervals are compared digit by digit.
Development only; needs NumPy and SciPy.
"""
import pathlib

import numpy as np
from scipy import stats

from make_stats import expanded_tail

SEED = 77
RESAMPLES = 300
M32 = 0xFFFFFFFF


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & M32, (p0 >> 32) ^ c[3] ^ k[1], p0 & M32]
        k = [(k[0] + 0x9E3779B9) & M32, (k[1] + 0xBB67AE85) & M32]
    return c


def draw(n, stream, resample):
    words = []
    for i in range((n + 3) // 4):
        words += philox((resample, stream, i, 3), (SEED & M32, SEED >> 32))
    return np.array([(w * n) >> 32 for w in words[:n]])


def ratio(a, b):
    return a / b if b > 0 else np.nan


def moments(sur, qf):
    sur = np.maximum.accumulate(sur)
    mass = np.diff(np.concatenate([[0.0], sur, [1.0]]))
    at = np.concatenate([[qf[0] - 1], qf])
    mean = (mass * at).sum()
    return mean, (mass * (at - mean) ** 2).sum()


def metrics(run, idx, distances=True):
    """All metrics over the images idx (with repeats), as {name: (value, n)}."""
    qf, out = run["qf"], {}
    true, pred = run["true"][idx], run["pred"][idx]
    e = (pred - true)[true >= 0].astype(float)
    n = len(e)
    if n:
        out["mad"] = np.abs(e).mean(), n
        out["rmse"] = np.sqrt(np.mean(e * e)), n
        out["bias"] = e.mean(), n
        out["median_abs"] = np.median(np.abs(e)), n
        out["p90_abs"] = np.percentile(np.abs(e), 90), n
        t, p = true[true >= 0], pred[true >= 0]
        if n >= 3 and len(set(t)) > 1 and len(set(p)) > 1:
            out["plcc"] = stats.pearsonr(t, p)[0], n
            out["srocc"] = stats.spearmanr(t, p)[0], n
            out["krocc"] = stats.kendalltau(t, p)[0], n
        out["dqf"] = np.maximum(-e, 0).mean(), n
        out["past_jnd_share"] = (e < 0).mean(), n
        anchor = run["anchor"][idx]
        pair = (qf[None, :-1] < np.where(anchor > 0, anchor, 10**6)[:, None])[true >= 0]
        is_lossy = (qf[None, :-1] <= true[:, None])[true >= 0][pair]
        if run["from_answers"]:
            called = (run["lossy"][idx][:, :-1] == 1)[true >= 0][pair]
        else:
            called = (qf[None, :-1] <= pred[:, None])[true >= 0][pair]
        n_pairs = pair.any(axis=1).sum()
        tp, fp = (is_lossy & called).sum(), (~is_lossy & called).sum()
        fn, tn = (is_lossy & ~called).sum(), (~is_lossy & ~called).sum()
        pl, rl = ratio(tp, tp + fp), ratio(tp, tp + fn)
        pn, rn = ratio(tn, tn + fn), ratio(tn, tn + fp)
        out["pair_accuracy"] = (tp + tn) / is_lossy.size, n_pairs
        out["precision_lossy"], out["precision_lossless"] = (pl, n_pairs), (pn, n_pairs)
        out["recall_lossy"], out["recall_lossless"] = (rl, n_pairs), (rn, n_pairs)
        out["f1_lossy"] = (2 / (1 / pl + 1 / rl) if tp else ratio(0, fp + fn), n_pairs)
        out["f1_lossless"] = (2 / (1 / pn + 1 / rn) if tn else ratio(0, fp + fn), n_pairs)

    def at(array, q):
        inside = (q >= qf[0]) & (q <= qf[-1])
        v = array[idx, np.clip(q - qf[0], 0, len(qf) - 1)].astype(float)
        return np.where(inside, v, np.nan)

    def mean(name, values):
        values = values[np.isfinite(values)]
        if len(values):
            out[name] = values.mean(), len(values)

    with np.errstate(invalid="ignore"):
        for name, array in (("dpsnr_y", run["psnr"]), ("dms_ssim", run["ms_ssim"])):
            a, b = at(array, true), at(array, pred)
            d = np.where(a == b, 0.0, a - b)
            mean(name, np.where(np.isnan(d), np.nan, np.maximum(d, 0)))
            if name == "dpsnr_y":
                mean("abs_dpsnr_y", np.abs(d))
    rate = np.where(run["bytes"] == 0, np.nan, run["bytes"].astype(float))
    r, top, rt = at(rate, pred), rate[idx, -1], at(rate, true)
    mean("saving_mean", 1 - r / top)
    mean("saving_at_truth", 1 - rt / top)
    ok = np.isfinite(r / top)
    if ok.any():
        out["saving_of_sums"] = 1 - r[ok].sum() / top[ok].sum(), ok.sum()
    mean("sur_at_prediction", at(run["sur"], pred))
    mean("sur_at_truth", at(run["sur"], true))
    medians = []
    for a, b, quality in zip(run["sur"][idx], run["sur_pred"][idx], run["psnr"][idx]):
        if not np.isnan(a + b).any() and (a >= 0.5).any() and (b >= 0.5).any():
            u, v = (float(quality[np.flatnonzero(c >= 0.5)[0]]) for c in (a, b))
            medians.append(0.0 if u == v else abs(u - v))
    mean("abs_dpsnr_y_sur50", np.array(medians))
    mean("sur_mae", np.abs(run["sur"][idx].astype(float) - run["sur_pred"][idx]).mean(axis=1))
    bd = []
    for a, b in zip(run["sur"][idx].astype(float), run["sur_pred"][idx].astype(float)):
        if not distances or np.isnan(a + b).any():
            continue
        (m1, v1), (m2, v2) = moments(a, qf), moments(b, qf)
        if v1 > 1e-9 and v2 > 1e-9:
            # -log of the integral of sqrt(p q), by quadrature rather than by formula
            x = np.linspace(-200, 300, 200001)
            pq = stats.norm.pdf(x, m1, np.sqrt(v1)) * stats.norm.pdf(x, m2, np.sqrt(v2))
            bd.append(-np.log(np.trapz(np.sqrt(pq), x)))
    if bd:
        out["bhattacharyya"] = np.mean(bd), len(bd)
    return {k: v for k, v in out.items() if not np.isnan(v[0])}


def with_intervals(run, members, stream):
    """Every metric with its interval; that of the Bhattacharyya distance is left out (slow)."""
    base = metrics(run, members)
    replicates = {name: [] for name in base}
    for b in range(RESAMPLES):
        for name, (value, _) in metrics(run, members[draw(len(members), stream, b)], False).items():
            if name in base:
                replicates[name].append(value)
    rows = []
    for name, (value, count) in base.items():
        low = high = np.nan
        if count >= 2 and 2 * len(replicates[name]) > RESAMPLES:
            tail = 100 * expanded_tail(count, 0.95)
            low, high = np.percentile(replicates[name], [tail, 100 - tail])
        rows.append((name, value, low, high, count))
    return rows


def make_run(rng, n, levels, first, from_answers, odd):
    qf = np.arange(first, first + levels)
    true = rng.integers(first, first + levels - 3, n)
    pred = np.clip(true + rng.integers(-4, 5, n), first, qf[-1])
    if odd:
        true[[3, 11]] = -1
        pred[[5, 11]] = -1
        true[7] = first + levels + 2    # a label outside the candidates
        pred[8] = qf[-1]                # PSNR there is infinite
        true[9] = pred[9] = qf[-1]
    lossy = (qf[None] <= (pred + rng.integers(-1, 2, n))[:, None]).astype(int)
    lossy ^= rng.random(lossy.shape) < 0.05
    lossy[pred < 0] = 255
    psnr = np.sort(rng.uniform(25, 45, (n, levels)), axis=1).astype(np.float32)
    psnr[:, -1] = np.inf
    ms = np.sort(rng.uniform(0.8, 1, (n, levels)), axis=1).astype(np.float32)
    size = np.sort(rng.integers(1000, 90000, (n, levels)), axis=1)
    sur = np.sort(rng.random((n, levels)), axis=1).astype(np.float32)
    sur_pred = np.clip(sur + rng.normal(0, 0.1, sur.shape), 0, 1).astype(np.float32)
    if odd:
        ms[4] = np.nan
        size[6, -1] = 0
        sur[10] = np.nan
        sur_pred[12] = np.nan
        sur_pred[13] = (qf > 10).astype(np.float32)   # a step: variance 0
    fold = 1 + rng.permutation(n) % 3
    if odd:
        fold[0] = -1
    anchor = np.zeros(n, int)
    if odd:
        anchor[15:20] = true[15:20] + 2     # searched from an earlier JND
        anchor[20] = first                  # no level below
        anchor[21] = qf[-1] + 50            # above all
    return dict(qf=qf, true=true, pred=pred, lossy=lossy, psnr=psnr, ms_ssim=ms, bytes=size, sur=sur,
                sur_pred=sur_pred, fold=fold, anchor=anchor, from_answers=from_answers)


def emit(f, run, rows_by_fold):
    n, levels = run["psnr"].shape
    f.write(f"run {n} {levels} {run['qf'][0]} {int(run['from_answers'])} {SEED} {RESAMPLES}\n")
    for i in range(n):
        f.write(f"{run['true'][i]} {run['pred'][i]} {run['fold'][i]} {run['anchor'][i]}\n")
        for key, fmt in (("lossy", "%d"), ("bytes", "%d"), ("psnr", "%.9g"), ("ms_ssim", "%.9g"),
                         ("sur", "%.9g"), ("sur_pred", "%.9g")):
            f.write(" ".join(fmt % v for v in run[key][i]) + "\n")
    for fold, rows in rows_by_fold:
        for name, value, lo, hi, count in rows:
            f.write(f"metric {fold} {name} {value:.17g} {lo:.17g} {hi:.17g} {count}\n")
    f.write("end\n")


def main():
    rng = np.random.default_rng(5)
    out = pathlib.Path(__file__).with_name("metrics.txt")
    with out.open("w") as f:
        f.write("# see make_metrics.py; the interval of bhattacharyya is not given\n")
        for from_answers, odd in ((True, True), (False, False)):
            run = make_run(rng, 24, 14, 3, from_answers, odd)
            seen = np.flatnonzero(run["pred"] >= 0)
            folds = [(-1, with_intervals(run, seen, 0))]
            for k in sorted({int(k) for k in run["fold"] if k >= 0}):
                inside = seen[run["fold"][seen] == k]
                folds.append((k, with_intervals(run, inside, k + 1)))
            emit(f, run, folds)


if __name__ == "__main__":
    main()
