#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Recomputes what the pixel-JND rules said in a run on candidate files: check_rules.py RESULTS.h5 CSV [QF...]

Development-time check on real pictures: candidates decoded by Pillow, maps by NumPy/SciPy (make.py and family.py of
tests/golden/jnd), rules by NumPy, the noise of @noise really drawn. CSV is the manifest of the run. fep13 and liu10 are left
out, for their second implementations take too long. Prints the largest differences per predictor.
"""
import csv
import pathlib
import sys

import h5py
import numpy as np
from PIL import Image

GOLDEN = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(GOLDEN / "jnd"))
import family  # noqa: E402
import make  # noqa: E402

MAPS = {"chou95": lambda p, v: make.chou95(p.luma, v), "epc17": family.epc17, "yang05": family.yang05,
        "klt22": family.klt22}


def luma(path):
    return family.Picture.file(path)


def numbers(reference, candidate, jnd, random):
    difference = np.abs(candidate.astype(float) - reference)
    noisy = jnd * random.choice([-1, 1], jnd.shape)
    with np.errstate(divide="ignore"):
        gain = 10 * np.log10(np.mean(noisy ** 2) / np.mean(difference ** 2))
    return {"share": np.mean(difference > jnd), "excess": np.mean(np.clip(difference - jnd, 0, None) ** 2),
            "noise": gain}


def main():
    f = h5py.File(sys.argv[1])
    base = pathlib.Path(sys.argv[2]).parent
    wanted = [int(q) for q in sys.argv[3:]] or [1, 10, 25, 50, 75, 90, 100]
    qfs = list(f["candidates/qf"][:])
    random = np.random.default_rng(2)
    worst = {}
    for i, row in enumerate(csv.DictReader(open(sys.argv[2]))):
        source = luma(base / row["image"])
        maps = {}
        for name, group in f["predictors"].items():
            if not name.startswith("pixel-"):
                continue
            model = name[len("pixel-"):].split("@")[0].split("-")[0]
            variant, rule = group.attrs["variant"], group.attrs["rule"]
            variant, rule = (t.decode() if isinstance(t, bytes) else str(t) for t in (variant, rule))
            if model not in MAPS:
                continue
            if (model, variant) not in maps:
                maps[model, variant] = MAPS[model](source, variant)["map"]
            for qf in wanted:
                path = base / row["candidates"].replace("{qf:03d}", f"{qf:03d}")
                value = numbers(source.luma.astype(float), luma(path).luma, maps[model, variant], random)[rule]
                got = float(group["score"][i, qfs.index(qf)])
                off = abs(got - value) / max(1, abs(value)) if np.isfinite(value) else float(got != value)
                worst[name] = max(worst.get(name, 0), off)
    for name, off in worst.items():
        print(f"{name}: {off:.2g}")
    if max(worst.values()) > 1e-4:
        raise SystemExit("differs")


if __name__ == "__main__":
    main()
