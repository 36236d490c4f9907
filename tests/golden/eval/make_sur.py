#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes sur.txt: made-up subjects and the distributions that fit them best, from SciPy.

Densities and distribution functions are those of scipy.stats, the optimum is found by scipy.optimize from
several starts; the program has its own formulas and its own optimiser. SciPy's shape c is -xi.
Development only; needs NumPy and SciPy.
"""
import pathlib

import numpy as np
from scipy import optimize, stats


def log_likelihood(kind, p, x, censored):
    if kind == "gev" and p[2] < -1:
        return -np.inf
    d = stats.norm if kind == "normal" else stats.genextreme
    args = ([] if kind == "normal" else [-p[2]]) + [p[0], np.exp(p[1])]
    value = d.logpdf(x, *args).sum()
    if censored:
        value += censored * d.logcdf(1.0, *args)
    return value


def best(kind, x, censored):
    def cost(p):
        v = -log_likelihood(kind, p, x, censored) / (len(x) + censored)
        return v if np.isfinite(v) else 1e10

    options = dict(xatol=1e-11, fatol=1e-14, maxiter=20000, maxfev=20000)
    starts = [[x.mean(), np.log(x.std())]] if kind == "normal" else [
        [x.mean() - 0.45 * x.std(), np.log(0.78 * x.std()), xi] for xi in (-0.2, 0.2)]
    found = None
    for start in starts:
        r = optimize.minimize(cost, start, method="Nelder-Mead", options=options)
        for _ in range(2):
            r = optimize.minimize(cost, r.x, method="Nelder-Mead", options=options)
        if found is None or r.fun < found.fun:
            found = r
    return found.x, -found.fun


def emit(f, kind, sample):
    with np.errstate(all="ignore"):
        p, value = best(kind, sample[sample > 0].astype(float), int((sample == 0).sum()))
    at = (1, 5, 10, 20, 25, 30, 40, 60, 80, 100)
    d = stats.norm(p[0], np.exp(p[1])) if kind == "normal" else stats.genextreme(-p[2], p[0], np.exp(p[1]))
    shape = 0.0 if kind == "normal" else p[2]
    f.write("fit %s %.12g %.12g %.12g %.15g" % (kind, p[0], np.exp(p[1]), shape, value))
    for q in at:
        f.write(" %.12g" % d.cdf(q))
    f.write(" %d %s\n" % (len(sample), " ".join(map(str, sample))))


def main():
    rng = np.random.default_rng(20)
    samples = []
    for xi, mu, sigma, n, lost in ((0.25, 22, 6, 30, 0), (-0.2, 40, 9, 30, 0), (0.0, 18, 4, 42, 0),
                                   (0.4, 8, 4, 30, 3), (0.1, 6, 5, 30, 7), (-0.35, 55, 12, 120, 0),
                                   (0.3, 12, 5, 1000, 40)):
        x = np.rint(stats.genextreme(-xi, mu, sigma).rvs(n, random_state=rng)).astype(int)
        x = np.clip(x, 1, 100)
        x[:lost] = 0
        samples.append(rng.permutation(x))
    samples.append(np.array([23, 23, 23, 23, 29, 31, 17, 23, 20, 35]))     # ties
    samples.append(np.array([11, 12, 11, 14, 0, 12, 0, 0, 12, 15, 0]))     # more than a third has none
    with pathlib.Path(__file__).with_name("sur.txt").open("w") as f:
        f.write("# see make_sur.py: kind, location, scale, shape, mean log-likelihood, F(1 5 10 20 25 30 40 60 "
                "80 100), subjects\n")
        for sample in samples:
            for kind in ("normal", "gev"):
                emit(f, kind, sample)


if __name__ == "__main__":
    main()
