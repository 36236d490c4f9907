#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes line.txt: lines of least squares per fold from numpy.polyfit, and what they predict.
Development only.

    case COUNT QF_FIRST LEVELS
    COUNT lines: x label fold predicted     label -1 = none, x nan = unknown, predicted -1 = none
    fits N
    N lines: fold intercept slope trained_on mad
"""
import pathlib

import numpy as np


def case(rng, count, first, levels, spread, steep):
    x = rng.normal(2.5, spread, count)
    label = np.clip(np.round(30 + steep * (x - 2.5) + rng.normal(0, 6, count)), 0, 100).astype(int)
    fold = rng.integers(1, 4, count)
    fold[0] = -1
    label[3] = -1
    x[5] = np.nan
    predicted = np.full(count, -1)
    fits = []
    for f in sorted(set(fold[fold > 0])):
        train = (fold != f) & (label >= 0) & ~np.isnan(x)
        slope, intercept = np.polyfit(x[train], label[train], 1)
        say = lambda v: np.clip(np.floor(intercept + slope * v + 0.5), first, first + levels - 1).astype(int)
        mine = (fold == f) & ~np.isnan(x)
        predicted[mine] = say(x[mine])
        fits.append("%d %.15g %.15g %d %.15g" % (f, intercept, slope, train.sum(),
                                               np.abs(say(x[train]) - label[train]).mean()))
    rows = ["%.17g %d %d %d" % row for row in zip(x, label, fold, predicted)]
    return [f"case {count} {first} {levels}"] + rows + [f"fits {len(fits)}"] + fits


def main():
    rng = np.random.default_rng(5)
    lines = case(rng, 40, 1, 100, 0.5, 20) + case(rng, 23, 10, 31, 0.01, -300) + case(rng, 12, 1, 100, 2, 60)
    pathlib.Path(__file__).with_name("line.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
