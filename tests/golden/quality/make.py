#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Expected values of PSNR, SSIM and MS-SSIM, from an independent float64 implementation.

Writes formula.txt (pictures made by the formulas below, which tests/host/test_quality.c repeats)
and, where the optional real data are found, real.txt (pairs of files, by name).

    make.py [FOLDER_OF_REAL_DATA]

The implementation is the textbook one, on purpose unlike the program's: the full 11 x 11 window as a
two-dimensional convolution, plain moments of both pictures, no difference form, no separability.
"""
import os
import sys

import numpy as np
from PIL import Image
from scipy.signal import convolve2d

HERE = os.path.dirname(os.path.abspath(__file__))


def window():
    k = np.arange(-5, 6)
    g = np.exp(-(k[:, None] ** 2 + k[None, :] ** 2) / (2 * 1.5**2))
    return g / g.sum()


def luma(a):
    a = a.astype(np.float64)
    return a[..., 0] if a.shape[2] == 1 else a @ np.array([0.299, 0.587, 0.114])


def ssim_factors(x, y):
    w = window()
    f = lambda a: convolve2d(a, w, mode="valid")
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = f(x), f(y)
    vx, vy, cov = f(x * x) - mx * mx, f(y * y) - my * my, f(x * y) - mx * my
    cs = (2 * cov + c2) / (vx + vy + c2)
    lum = (2 * mx * my + c1) / (mx * mx + my * my + c1)
    return (lum * cs).mean(), cs.mean()


def half(a):
    h, w = a.shape[0] // 2 * 2, a.shape[1] // 2 * 2
    return a[:h, :w].reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3))


def psnr(a, b):
    mse = np.mean((a - b) ** 2)
    return np.inf if mse == 0 else 10 * np.log10(255**2 / mse)


def metrics(r, d):
    """r, d: uint8 [H, W, C] -> psnr_y, psnr_rgb, ssim, ms_ssim."""
    x, y = luma(r), luma(d)
    py, prgb = psnr(x, y), psnr(r.astype(np.float64), d.astype(np.float64))
    if np.array_equal(x, y):
        py = np.inf
    side = min(x.shape)
    ssim = ssim_factors(x, y)[0] if side >= 11 else np.nan
    ms = np.nan
    if side >= 176:
        power = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
        ms = 1.0
        for s in range(5):
            full, cs = ssim_factors(x, y)
            ms *= max(0.0, full if s == 4 else cs) ** power[s]
            x, y = half(x), half(y)
    return py, prgb, ssim, ms


# Pictures by formula, uint32 arithmetic; the same in C.
def hash_bytes(w, h, c, seed):
    y, x, k = np.meshgrid(np.arange(h), np.arange(w), np.arange(c), indexing="ij")
    m = 0xFFFFFFFF
    v = (x * 374761393 + y * 668265263 + k * 2246822519 + seed * 3266489917) & m
    v = ((v ^ (v >> 13)) * 1274126177) & m
    return (v ^ (v >> 16)) & 255


def reference(kind, arg, w, h, c):
    y, x, k = np.meshgrid(np.arange(h), np.arange(w), np.arange(c), indexing="ij")
    if kind == "smooth":
        v = (3 * x + 2 * y + 40 * k + ((x * y) >> 5)) & 255
    elif kind == "noise":
        v = hash_bytes(w, h, c, arg)
    elif kind == "mixed":
        v = 64 + ((3 * x + 5 * y + 31 * k) >> 2) % 128 + (hash_bytes(w, h, c, arg) & 15)
        v = v + (((x >> 4) ^ (y >> 4)) & 1) * 40
    elif kind == "constant":
        v = np.full((h, w, c), arg)
    return v.astype(np.uint8)


def distort(img, kind, arg):
    v = img.astype(np.int64)
    h, w, c = v.shape
    if kind == "coarse":
        v = v // arg * arg + arg // 2
    elif kind == "noise":
        v = v + hash_bytes(w, h, c, 77) % (2 * arg + 1) - arg
    elif kind == "invert":
        v = 255 - v
    elif kind == "offset":
        v = v + arg
    elif kind == "constant":
        v = np.full_like(v, arg)
    elif kind == "blur":
        left = v[:, np.maximum(np.arange(w) - 1, 0)]
        right = v[:, np.minimum(np.arange(w) + 1, w - 1)]
        v = (left + 2 * v + right) // 4
    elif kind == "pixel":
        v = v.copy()
        v[h // 2, w // 3] += arg
    elif kind == "half":
        v = v.copy()
        v[:, : w // 2] += arg
    return np.clip(v, 0, 255).astype(np.uint8)


CASES = [
    # width, height, channels, reference, its argument, distortion, its argument
    (1, 1, 3, "noise", 3, "offset", 5),
    (10, 64, 1, "noise", 4, "noise", 20),
    (11, 11, 1, "mixed", 5, "coarse", 16),
    (11, 12, 3, "mixed", 5, "noise", 9),
    (12, 11, 3, "smooth", 0, "invert", 0),
    (37, 53, 3, "mixed", 6, "coarse", 8),
    (64, 48, 1, "constant", 0, "constant", 255),
    (64, 48, 3, "constant", 255, "noise", 30),
    (175, 300, 3, "mixed", 7, "blur", 0),
    (176, 176, 1, "mixed", 8, "coarse", 16),
    (176, 176, 3, "mixed", 9, "same", 0),
    (177, 190, 3, "mixed", 10, "noise", 12),
    (200, 333, 3, "smooth", 0, "coarse", 32),
    (200, 333, 1, "noise", 11, "noise", 128),
    (333, 200, 3, "noise", 12, "blur", 0),
    (333, 200, 3, "mixed", 13, "pixel", 1),
    (320, 240, 3, "mixed", 14, "half", 60),
    (320, 240, 3, "smooth", 0, "offset", 9),
    (271, 181, 1, "smooth", 0, "invert", 0),
    (200, 180, 1, "constant", 255, "constant", 40),
    (200, 180, 1, "constant", 255, "constant", 254),
    (200, 180, 3, "constant", 128, "noise", 2),
    (200, 180, 3, "constant", 0, "noise", 100),
    (527, 180, 3, "mixed", 15, "coarse", 64),
    (200, 180, 1, "noise", 16, "half", 120),
    (200, 180, 1, "noise", 17, "constant", 200),
]

LADDER = [1, 2, 5, 10, 20, 35, 50, 65, 80, 90, 95, 99, 100]
REAL = [
    ("konjnd/locjnd/Study_SRC0013.png", "konjnd/locjnd/Study_SRC0013_JPEG_%03d.jpg"),
    ("konjnd/gui/Study_SRC0366.png", "konjnd/gui/Study_SRC0366_JPEG_%03d.jpg"),
]
PHOTOS = [
    ("photos/kodak/kodim05.png", "coarse", 24),
    ("photos/kodak/kodim20.png", "noise", 10),
    ("photos/kodak/kodim22.png", "half", 40),
    ("photos/scikit-image/camera.png", "coarse", 10),
    ("photos/scikit-image/gravel.png", "blur", 0),
    ("photos/gb82/city-lossless.png", "invert", 0),
]


def load(path):
    a = np.asarray(Image.open(path))
    return a[..., None] if a.ndim == 2 else a


def text(values):
    return " ".join("%.17g" % v for v in values)


def main():
    with open(os.path.join(HERE, "formula.txt"), "w") as out:
        for w, h, c, rk, ra, dk, da in CASES:
            r = reference(rk, ra, w, h, c)
            print(w, h, c, rk, ra, dk, da, text(metrics(r, distort(r, dk, da))), file=out)

    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "../../../../shared/data")
    if not os.path.isdir(root):
        print("no real data in %s: real.txt left as it is" % root)
        return
    with open(os.path.join(HERE, "real.txt"), "w") as out:
        for source, pattern in REAL:
            r = load(os.path.join(root, source))
            for qf in LADDER:
                d = load(os.path.join(root, pattern % qf))
                print(source, pattern % qf, "file", 0, text(metrics(r, d)), file=out)
        for name, kind, arg in PHOTOS:
            r = load(os.path.join(root, name))
            print(name, "-", kind, arg, text(metrics(r, distort(r, kind, arg))), file=out)


if __name__ == "__main__":
    main()
