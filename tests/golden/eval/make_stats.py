#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes stats.txt: quantiles, signed-rank and binomial tests from NumPy and SciPy.

Tied signed-rank cases are counted by enumerating all sign patterns, since SciPy's exact method takes no
account of ties. Development only.
"""
import itertools
import pathlib

import numpy as np
from scipy import stats


def wilcoxon_by_enumeration(d):
    d = d[d != 0]
    rank = stats.rankdata(np.abs(d))
    low = min(rank[d > 0].sum(), rank[d < 0].sum())
    hits = sum(np.dot(rank, s) <= low + 1e-9 for s in itertools.product((0, 1), repeat=len(d)))
    return min(1.0, 2 * hits / 2 ** len(d))


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
    pathlib.Path(__file__).with_name("stats.txt").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
