#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes stats.txt: quantiles, signed-rank and binomial tests and tails of intervals,
from NumPy and SciPy.

Tied signed-rank cases are counted by enumerating all sign patterns, since SciPy's exact method takes no
account of ties. Development only.
"""
import itertools
import pathlib

import numpy as np
from scipy import optimize, stats


def wilcoxon_by_enumeration(d):
    d = d[d != 0]
    rank = stats.rankdata(np.abs(d))
    low = min(rank[d > 0].sum(), rank[d < 0].sum())
    hits = sum(np.dot(rank, s) <= low + 1e-9 for s in itertools.product((0, 1), repeat=len(d)))
    return min(1.0, 2 * hits / 2 ** len(d))


def expanded_tail(n, confidence):
    """Of Hesterberg's expanded percentile interval; SciPy's t.ppf alone has some nine digits."""
    t = optimize.brentq(lambda t: stats.t.sf(t, n - 1) - (1 - confidence) / 2, 0, 1e4, xtol=1e-15)
    return stats.norm.cdf(-np.sqrt(n / (n - 1)) * t)


def holm(p):
    """Of each hypothesis the lowest level at which Holm's procedure, run as it is defined, rejects it."""
    def rejected(level):
        out, left = set(), sorted(range(len(p)), key=lambda i: p[i])
        while left and p[left[0]] <= level / len(left):
            out.add(left.pop(0))
        return out
    levels = sorted({min(1.0, k * v) for v in p for k in range(1, len(p) + 1)})
    return [next((level for level in levels if i in rejected(level * (1 + 1e-12))), 1.0)
            for i in range(len(p))]


def main():
    rng = np.random.default_rng(11)
    rows = []
    for n in (1, 2, 5, 10, 31):
        x = rng.normal(0, 10, n)
        for q in (0, 0.025, 0.1, 0.5, 0.9, 0.975, 1):
            rows.append("quantile %.17g %.17g %d %s" %
                        (q, np.percentile(x, 100 * q), n, " ".join("%.17g" % v for v in x)))
    for n in (1, 4, 10, 30):
        x = rng.integers(0, 12, n)
        for q in (0.5, 0.9):
            rows.append("histogram %.17g %.17g %d %s" %
                        (q, np.percentile(x, 100 * q), n, " ".join(map(str, x))))

    def add(method, d, p, z=0.0):
        nz = d[d != 0]
        rank = stats.rankdata(np.abs(nz))
        rows.append("wilcoxon %s %.17g %.17g %.17g %.17g %d %s" %
                    (method, rank[nz > 0].sum(), rank[nz < 0].sum(), z, p, len(d),
                     " ".join("%.17g" % v for v in d)))

    for n in (1, 2, 5, 8, 20, 50):          # no ties: SciPy's exact distribution
        d = (rng.permutation(n) + 1.0) * rng.choice([-1, 1], n, p=[0.35, 0.65])
        add("exact", d, stats.wilcoxon(d, mode="exact").pvalue)
    for n in (4, 9, 14):                    # ties and zeros: enumeration
        d = rng.integers(-3, 5, n).astype(float)
        add("exact", d, wilcoxon_by_enumeration(d))
    for n in (70, 400):                     # ties and zeros: SciPy's normal approximation
        d = rng.integers(-8, 11, n).astype(float)
        r = stats.wilcoxon(d, mode="approx", correction=False, zero_method="wilcox")
        nz = d[d != 0]
        k = len(nz)
        rank = stats.rankdata(np.abs(nz))
        t = np.unique(np.abs(nz), return_counts=True)[1].astype(float)
        var = k * (k + 1) * (2 * k + 1) / 24 - (t ** 3 - t).sum() / 48
        add("normal", d, r.pvalue, (rank[nz > 0].sum() - k * (k + 1) / 4) / np.sqrt(var))
    for b, c in ((0, 1), (1, 0), (3, 3), (2, 9), (10, 0), (100, 140), (4000, 4300), (49000, 50000),
                 (300, 2000)):
        rows.append("mcnemar %d %d %.17g" % (b, c, stats.binomtest(min(b, c), b + c, 0.5).pvalue))
    for n in (2, 3, 4, 5, 10, 20, 50, 1000, 1000000):
        for confidence in (0.05, 0.5, 0.9, 0.95, 0.99):
            rows.append("tail %d %.17g %.17g" % (n, confidence, expanded_tail(n, confidence)))
    for n in (1, 2, 5, 11):
        p = rng.uniform(0, 1, n) ** 4
        if n > 2:
            p[1], p[n - 1] = p[0], 1.0      # a tie, a test without a difference
        rows.append("holm %d %s %s" % (n, " ".join("%.17g" % v for v in p),
                                       " ".join("%.17g" % v for v in holm(p))))
    pathlib.Path(__file__).with_name("stats.txt").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
