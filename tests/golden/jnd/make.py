#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Second implementation of the pixel-JND models in NumPy/SciPy, in double precision, whole planes at a
time; writes the golden files that tests/host/test_jnd.c reads.

    make.py [--data FOLDER]

golden.txt, one result per line:
    PICTURE WIDTH HEIGHT MODEL VARIANT STAGE full OFFSET          all values, float32, in golden.f32
    PICTURE WIDTH HEIGHT MODEL VARIANT STAGE samples INDEX VALUE ...
    PICTURE WIDTH HEIGHT MODEL VARIANT STAGE digest HEX           FNV-1a-64 of the values as bytes
PICTURE is a procedural picture (see picture()) or @FILE, a file of the optional test data; STAGE is
`map` or the name of an intermediate result.
"""
import argparse
import pathlib

import numpy as np
import scipy.ndimage as ndi

HERE = pathlib.Path(__file__).resolve().parent
PHOTOS = [
    "photos/scikit-image/camera.png",
    "photos/scikit-image/coffee.png",
    "photos/konjnd-1k/Quiz_SRC01.png",
    "konjnd/gui/Study_SRC0366.png",
    "photos/_screens/gb82-sc/graph.png",
]


# --- pictures ---------------------------------------------------------------------------------------

def picture(kind, width, height):
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    noise = (((x * 73856093) ^ (y * 19349663)) * 2654435761 % 2 ** 32) >> 24
    if kind == "noise":
        out = noise
    elif kind == "ramp":
        out = (5 * x + 3 * y) % 256
    elif kind == "steps":
        out = ((x // 8) * 40 + (y // 8) * 25) % 256
    elif kind in ("scene", "night"):
        out = 40 + (3 * x + 2 * y) * 60 // (3 * width + 2 * height)
        disc = (x - width // 3) ** 2 + (y - height // 2) ** 2 < (height // 4) ** 2
        out = out + 90 * disc
        checks = (y > 2 * height // 3) & (((x // 3) + (y // 3)) % 2 == 1)
        out = out + 45 * checks
        out = out + np.where(x > 2 * width // 3, noise // 4, noise // 64)
        if kind == "night":
            out = out // 4
    else:
        raise ValueError(kind)
    return np.clip(out, 0, 255).astype(np.uint8)


def photograph(path):
    from PIL import Image
    a = np.asarray(Image.open(path))
    if a.ndim == 2:
        return a
    r, g, b = (a[..., k].astype(np.int64) for k in range(3))
    tenthousandths = 2989 * r + 5870 * g + 1140 * b
    return ((tenthousandths + 5000) // 10000).astype(np.uint8)


# --- building blocks --------------------------------------------------------------------------------

def corr0(a, kernel):
    return ndi.correlate(np.asarray(a, float), np.asarray(kernel, float), mode="constant", cval=0.0)


def away(a):
    return np.sign(a) * np.floor(np.abs(a) + 0.5)


def background(img):
    ring = np.ones((5, 5))
    ring[1:4, 1:4] = 2
    ring[2, 2] = 0
    return corr0(img, ring) / 32


G1 = np.array([[0, 0, 0, 0, 0], [1, 3, 8, 3, 1], [0, 0, 0, 0, 0], [-1, -3, -8, -3, -1], [0, 0, 0, 0, 0]])
G2 = np.array([[0, 0, 1, 0, 0], [0, 8, 3, 0, 0], [1, 3, 0, -3, -1], [0, 0, -3, -8, 0], [0, 0, -1, 0, 0]])
G3 = np.array([[0, 0, 1, 0, 0], [0, 0, 3, 8, 0], [-1, -3, 0, 3, 1], [0, -8, -3, 0, 0], [0, 0, -1, 0, 0]])


def gradient(img):
    return np.max([np.abs(corr0(img, k / 16)) for k in (G1, G2, G3, G1.T)], axis=0)


def adaptation(b):
    b = np.asarray(b, float)
    return np.where(b <= 127, 17 * (1 - np.sqrt(np.minimum(b, 127) / 127)) + 3, 3 / 128 * (b - 127) + 3)


def lift(b):
    return np.where(b <= 127, away(32 + b * 95 / 127), b)


def namm(a, b):
    return a + b - 0.3 * np.minimum(a, b)


def gauss(n, s):
    t = np.arange(n) - n // 2
    k = np.exp(-(t[:, None] ** 2 + t[None, :] ** 2) / (2 * s * s))
    return k / k.sum()


def canny(img, t):
    img = np.asarray(img, float)
    x = np.arange(-6, 7)
    g = np.exp(-x * x / 4)
    g /= g.sum()
    d = np.gradient(g)
    d[d > 0] /= d[d > 0].sum()
    d[d < 0] /= -d[d < 0].sum()
    # correlate1d recognises odd kernels up to rounding; both halves are made exactly equal
    d = (d - d[::-1]) / 2

    def along(a, k, axis):
        return ndi.correlate1d(a, k, axis=axis, mode="nearest")

    gx = along(along(img, g, 0), d, 1)
    gy = along(along(img, g, 1), d, 0)
    m = np.hypot(gx, gy)
    if m.max() < 1e-9:
        return np.zeros(img.shape, bool)
    m = m / m.max()

    big = np.pad(m, 1)
    h, w = m.shape
    at = lambda dy, dx: big[1 + dy:1 + dy + h, 1 + dx:1 + dx + w]
    ax, ay = np.abs(gx), np.abs(gy)
    larger = np.maximum(ax, ay)
    r = np.minimum(ax, ay) / np.where(larger > 0, larger, 1)
    sx, sy = np.where(gx < 0, -1, 1), np.where(gy < 0, -1, 1)
    kept = np.ones(m.shape, bool)
    for side in (1, -1):
        reference = np.zeros(m.shape)
        for ux in (1, -1):
            for uy in (1, -1):
                here = (sx == ux) & (sy == uy)
                axis = np.where(ax >= ay, at(0, side * ux), at(side * uy, 0))
                value = (1 - r) * axis + r * at(side * uy, side * ux)
                reference[here] = value[here]
        kept &= m * (1 + 1e-9) >= reference
    inner = np.zeros(m.shape, bool)
    inner[1:-1, 1:-1] = True
    weak = kept & inner & (m > 0.4 * t)
    labels, count = ndi.label(weak, structure=np.ones((3, 3)))
    strong = np.zeros(count + 1, bool)
    strong[np.unique(labels[weak & (m > t)])] = True
    strong[0] = False
    return strong[labels]


def edge_weight(edge, footprint, a, n, s):
    wide = ndi.binary_dilation(edge, structure=footprint)
    return corr0(1 - a * wide, gauss(n, s))


# --- models -----------------------------------------------------------------------------------------

def chou95(img, variant):
    bg, g = background(img), gradient(img)
    f1 = g * (0.0001 * bg + 0.115) + 0.5 - 0.01 * bg
    f2 = adaptation(bg)
    out = {"authors": namm, "paper": np.maximum}[variant](f1, f2)
    return {"background": bg, "gradient": g, "spatial": f1, "luminance": f2, "map": out}


def epc17(img, variant):
    assert variant == "authors"
    img = np.asarray(img, float)
    h, w = img.shape
    la = 0.7 * adaptation(lift(np.floor(background(img))))

    box = np.ones((5, 5))
    deviation = np.sqrt(np.maximum(25 * corr0(img ** 2, box) - corr0(img, box) ** 2, 0)) / 25
    frame = np.ones(img.shape, bool)
    frame[2:h - 2, 2:w - 2] = False
    if h <= 4 or w <= 4:
        frame[:] = True
    deviation[frame] = 0
    transducer = lambda v, gain, power, c: gain * v ** power / (v * v + c)
    contrast = transducer(deviation, 1.84, 2.4, 676)

    p = np.pad(img, 1, mode="symmetric")
    column = p[:-2] + p[1:-1] + p[2:]
    row = p[:, :-2] + p[:, 1:-1] + p[:, 2:]
    sx, sy = column[:, 2:] - column[:, :-2], row[2:] - row[:-2]
    o = away(np.degrees(np.arctan2(sy, sx)))
    o = np.where(o > 90, o - 180, o)
    o = np.where(o < -90, o + 180, o) + 90
    o = np.where(sx ** 2 + sy ** 2 >= 225, o, 192)
    bins = (o.astype(int) + 6) // 12

    count = np.ones((h, w), int)
    for y in range(1, h - 1):
        for x in range(1, w - 1):
            if bins[y, x] != 16:
                count[y, x] = len(set(bins[y - 1:y + 2, x - 1:x + 2].flat))
    complexity = corr0(count, gauss(3, 1))

    inner = gradient(img)[2:h - 2, 2:w - 2] if h > 4 and w > 4 else np.zeros((1, 1))
    t = min(60 / inner.max(), 0.8) if inner.max() > 0 else 0.8
    edge = canny(img, t)
    weight = edge_weight(edge, np.ones((5, 5)), 1, 5, 0.8)
    pattern = deviation * transducer(complexity, 0.3, 2.7, 1) * weight
    out = namm(la, np.maximum(contrast, pattern))
    return {"luminance": la, "deviation": deviation, "contrast": contrast, "bin": bins, "count": count,
            "complexity": complexity, "edge": edge, "weight": weight, "pattern": pattern, "map": out}


MODELS = {"chou95": (chou95, ("authors", "paper")), "epc17": (epc17, ("authors",))}
COUNTED = {"bin", "count", "edge"}


# --- files ------------------------------------------------------------------------------------------

def fnv1a64(data):
    h = 0xcbf29ce484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001b3 & (2 ** 64 - 1)
    return h


class Golden:
    def __init__(self):
        self.lines, self.values = [], bytearray()

    def add(self, name, shape, model, variant, stage, a, full):
        head = f"{name} {shape[1]} {shape[0]} {model} {variant} {stage}"
        if stage in COUNTED:
            self.lines.append(f"{head} digest {fnv1a64(a.astype(np.uint8).tobytes()):016x}")
        if full:
            self.lines.append(f"{head} full {len(self.values)}")
            self.values += a.astype("<f4").tobytes()
        elif stage not in COUNTED:
            flat = a.ravel()
            where = sorted({(k * 2654435761 + 12345) % flat.size for k in range(40)})
            self.lines.append(f"{head} samples " + " ".join(f"{i} {flat[i]:.9g}" for i in where))

    def picture(self, name, img, stages, full):
        for model, (function, variants) in MODELS.items():
            for variant in variants:
                results = function(img, variant)
                for stage, a in results.items():
                    if variant != variants[0] and stage != "map":
                        continue  # the same in all variants
                    if stage == "map" or stages or stage in COUNTED:
                        self.add(name, img.shape, model, variant, stage, a,
                                 full and (stage not in COUNTED or stages))

    def write(self):
        (HERE / "golden.txt").write_text("\n".join(self.lines) + "\n")
        (HERE / "golden.f32").write_bytes(self.values)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of the optional test data")
    data = parser.parse_args().data
    golden = Golden()
    for kind, width, height, stages in [
            ("scene", 37, 53, True), ("noise", 37, 53, False), ("steps", 37, 53, False),
            ("ramp", 5, 7, True), ("noise", 1, 1, True), ("scene", 3, 40, True), ("noise", 40, 3, True),
            ("noise", 2, 9, True), ("noise", 5, 5, True)]:
        golden.picture(kind, picture(kind, width, height), stages, True)
    for kind, width, height in [("scene", 530, 301), ("night", 257, 260), ("noise", 256, 64),
                                ("steps", 300, 200)]:
        golden.picture(kind, picture(kind, width, height), True, False)
    for name in PHOTOS:
        golden.picture("@" + name, photograph(data / name), True, False)
    golden.write()


if __name__ == "__main__":
    main()
