#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Second implementation of the rules on pixel-JND maps, with the maps of make.py and family.py; writes
rules.txt, which tests/host/test_jnd_rules.c reads.

    make_rules.py

    PICTURE WIDTH HEIGHT MODEL VARIANT CANDIDATE SHARE EXCESS NOISE_GAIN
PICTURE is a procedural picture of make.py; CANDIDATE says how it was made worse (see worse()). The
noise is really drawn and added here, pixel by pixel; NOISE_GAIN is the PSNR of the candidate less
that of the picture with noise, each against the picture.
"""
import pathlib

import numpy as np

import family
import make

HERE = pathlib.Path(__file__).resolve().parent


def worse(luma, how):
    """quantise-N: steps of N grey levels; noise-N: up to N added, where that stays below 256."""
    kind, n = how.split("-")
    n = int(n)
    v = luma.astype(int)
    if kind == "quantise":
        return np.minimum(v // n * n + n // 2, 255)
    more = make.picture("noise", luma.shape[1], luma.shape[0]) % (n + 1)
    return np.where(v + more < 256, v + more, v)


def psnr(a, b):
    return 20 * np.log10(255 / np.sqrt(np.mean((a.astype(float) - b) ** 2)))


def main():
    random = np.random.default_rng(1)
    models = {"chou95": make.chou95, "epc17": make.epc17}
    lines = []
    for kind, width, height, model, variant in [
            ("scene", 61, 47, "chou95", "authors"), ("scene", 61, 47, "chou95", "paper"),
            ("scene", 61, 47, "epc17", "authors"), ("night", 64, 64, "yang05", "authors"),
            ("scene", 80, 72, "klt22", "raw"), ("ramp", 5, 3, "chou95", "authors"), ("steps", 1, 1, "chou95", "authors")]:
        luma = make.picture(kind, width, height)
        if model in models:
            jnd = models[model](luma, variant)["map"]
        else:
            jnd = family.MODELS[model][0](family.Picture.procedural(kind, width, height), variant)["map"]
        noisy = luma + jnd * random.choice([-1, 1], jnd.shape)
        for how in ["quantise-6", "quantise-40", "noise-3", "noise-17"]:
            candidate = worse(luma, how)
            difference = np.abs(candidate - luma.astype(float))
            if not difference.any():
                continue
            share = np.mean(difference > jnd)
            excess = np.mean(np.clip(difference - jnd, 0, None) ** 2)
            gain = psnr(candidate, luma) - psnr(noisy, luma)
            lines.append(f"{kind} {width} {height} {model} {variant} {how} {share:.12g} {excess:.9g} {gain:.9g}")
    (HERE / "rules.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
