#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Recomputes a run's numbers with other libraries: check.py RESULTS.h5 WEIGHTS.h5 IMAGE_FOLDER [QF...]

Development-time check of the whole chain on real pictures: JPEG candidates by Pillow, the pixel-JND map by
NumPy/SciPy (tests/golden/jnd/make.py), VP-JNDnet in PyTorch double without any folding
(tests/golden/net/make_golden.py), patches cut at the recorded positions. The run must have been made with
candidates=synthesize or files coded by libjpeg, anchor = the source (folder, manifest), jnd_scale=minmax,
jnd_model=epc17, draws=1 and store_patches=true. Prints the largest differences; fails above 1e-4 relative.
"""
import importlib.util
import io
import pathlib
import sys

import h5py
import numpy as np
import torch
from PIL import Image

GOLDEN = pathlib.Path(__file__).resolve().parent.parent


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def jpeg(image, qf):
    buffer = io.BytesIO()
    image.info = {}
    image.save(buffer, "JPEG", quality=qf, subsampling="4:2:0")
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")), len(buffer.getvalue())


def main():
    results, weights, folder = h5py.File(sys.argv[1]), h5py.File(sys.argv[2]), pathlib.Path(sys.argv[3])
    qfs = [int(q) for q in sys.argv[4:]] or [5, 35, 80]
    jnd = load("jnd", GOLDEN / "jnd" / "make.py")
    net = load("net", GOLDEN / "net" / "make_golden.py")
    net.tensor = lambda name, shape: torch.from_numpy(weights[name][()]).double().reshape(shape)
    case = {"variant": text(weights.attrs["variant"]), "non_local": text(weights.attrs["non_local"]),
            "channels": [int(c) for c in weights.attrs["channels"]]}
    size = int(weights.attrs["patch_size"])
    name = next(n for n in results["predictors"] if n.startswith("vpjnd"))
    predictor, first = results["predictors"][name], int(results.attrs["qf_first"])
    picture = net.Extractor("extract_feature", case)
    stream = net.Extractor("extract_jnd_feature", case) if case["variant"] == "released" else picture
    worst = {}

    def note(what, ours, theirs):
        ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
        relative = np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-30)
        worst[what] = max(worst.get(what, 0), relative)

    def features(extractor, patch):
        return extractor(patch, lambda layer, value: None)

    for row, raw in enumerate(results["images/name"]):
        if results["images/status"][row] != 0:
            continue
        image = Image.open(folder / text(raw)).convert("RGB")
        source = np.asarray(image)
        luma = jnd.away(source.astype(float) @ [0.2989, 0.5870, 0.1140])
        map_ = jnd.epc17(luma, "authors")["map"]
        low, high = map_.min(), map_.max()
        map8 = np.floor((map_ - low) * 255 / (high - low) + 0.5).astype(np.uint8)
        origin = results["patches/origin"][row, 0]
        cut = lambda a, o: a[o[0]:o[0] + size, o[1]:o[1] + size]
        f_r = [features(picture, cut(source, o)) for o in origin]
        f_j = [features(stream, np.repeat(cut(map8, o)[:, :, None], 3, 2)) for o in origin]
        quality, weight = (net.Head(h, 3 * f_r[0].numel()) for h in ("regressions", "weightings"))
        for qf in qfs:
            k = qf - first
            distorted, size_bytes = jpeg(image, qf)
            f_d = [features(picture, cut(distorted, o)) for o in origin]
            q = [quality(r, d, r - d) for r, d in zip(f_r, f_d)]
            a = [torch.relu(weight(r, d, d * j)) + 1e-6 for r, d, j in zip(f_r, f_d, f_j)]
            q, a = np.array([v.item() for v in q]), np.array([v.item() for v in a])
            note("patch quality", predictor["patch_quality"][row, k], q)
            note("patch weight", predictor["patch_weight"][row, k], a)
            note("score", predictor["score"][row, k], (q * a).sum() / a.sum())
            note("bytes", results["candidates/bytes"][row, k], size_bytes)
            y = lambda p: p.astype(float) @ [0.299, 0.587, 0.114]
            mse = ((y(distorted) - y(source)) ** 2).mean()
            note("psnr_y", results["candidates/psnr_y"][row, k], 10 * np.log10(255 ** 2 / mse))
    for what, relative in worst.items():
        print(f"{what:14s} largest relative difference {relative:.2e}")
    sys.exit(any(v > 1e-4 for v in worst.values()) or not worst)


main()
