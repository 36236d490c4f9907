#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Expected values of SSIMULACRA2 2.1, from an independent float64 implementation.

Writes formula.txt: pictures made by the formulas below, which tests/host/test_ssimulacra2.c repeats,
with the score and every sub-score. Written from the definition alone and on purpose unlike the
program: everything in float64, the cube root of the library, the filter as a matrix of its
impulse response (the sum of three truncated cosines, not the rounded taps), the maps in their plain
form with F(d d) and F(a d), no difference of the two pictures anywhere.

The last column is the score in parity mode, from a second implementation that rounds to float32
after every operation as the reference program does. A fused multiply-add is computed in extended
precision, whose own rounding is off in one case of 2^40.

    make.py            writes formula.txt
    make.py --data DIR prints both scores of DIR/ssimulacra2_examples.csv beside the expected ones
"""
import csv
import io
import os
import sys

import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))

B0 = 0.0037930732552754493
MATRIX = np.array(
    [
        [0.30, 0.622, 0.078],
        [0.23, 0.692, 0.078],
        [0.24342268924547819, 0.20476744424496821, 0.5518098665095536],
    ]
)
C2 = 0.0009

# Rows X 0..5, Y 0..5, B 0..5; SSIM, ringing, blurring of mean1, then of mean4.
WEIGHTS = np.array(
    """
    0 0.0007376606707406586 0 0 0.0007793481682867309 0
    0 0.0004371155730107379 0 1.1041726426657346 0.00066284834129271 0.00015231632783718752
    0 0.0016406437456599754 0 1.8422455520539298 11.441172603757666 0
    0.0007989109436015163 0.000176816438078653 0 1.8787594979546387 10.94906990605142 0
    0.0007289346991508072 0.9677937080626833 0 0.00014003424285435884 0.9981766977854967 0.00031949755934435053
    0.0004550992113792063 0 0 0.0013648766163243398 0 0
    0 0 0 7.466890328078848 0 17.445833984131262
    0.0006235601634041466 0 0 6.683678146179332 0.00037724407979611296 1.027889937768264
    225.20515300849274 0 0 19.213238186143016 0.0011401524586618361 0.001237755635509985
    176.39317598450694 0 0 24.43300999870476 0.28520802612117757 0.0004485436923833408
    0 0 0 34.77906344483772 44.835625328877896 0
    0 0 0 0 0 0
    0 0.0008680556573291698 0 0 0 0
    0 0.0005313191874358747 0 0.00016533814161379112 0 0
    0 0 0 0.0004179171803251336 0.0017290828234722833 0
    0.0020827005846636437 0 0 8.826982764996862 23.19243343998926 0
    95.1080498811086 0.9863978034400682 0.9834382792465353 0.0012286405048278493 171.2667255897307 0.9807858872435379
    0 0 0 0.0005130064588990679 0 0.00010854057858411537
    """.split(),
    dtype=np.float64,
)


def score_of(subscores):
    t = 0.9562382616834844 * float(np.dot(WEIGHTS[: len(subscores)], subscores))
    u = 2.326765642916932 * t - 0.020884521182843837 * t**2 + 6.248496625763138e-05 * t**3
    return 100 - 10 * u**0.6276336467831387 if u > 0 else 100.0


def scale_count(w, h):
    n = 1
    while n < 6 and w >= 8 and h >= 8:
        w, h = (w + 1) // 2, (h + 1) // 2
        n += 1
    return n


# ---- float64 ----


def linear(img):
    v = img.astype(np.float64) / 255
    v = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return np.repeat(v, 3, axis=2) if v.shape[2] == 1 else v


def halve(v):
    padded = np.pad(v, ((0, v.shape[0] % 2), (0, v.shape[1] % 2), (0, 0)), mode="edge")
    return (padded[::2, ::2] + padded[::2, 1::2] + padded[1::2, ::2] + padded[1::2, 1::2]) / 4


def xyb(rgb):
    l, m, s = np.moveaxis(np.cbrt(np.maximum(rgb @ MATRIX.T + B0, 0)) - np.cbrt(B0), 2, 0)
    x, y = (l - m) / 2, (l + m) / 2
    return 14 * x + 0.42, y + 0.01, s - y + 0.55


def impulse():
    """h[0..4] from the filter's construction."""
    beta = {1: 0.17893914164149127, 3: 0.07272614473619018, 5: 0.012955819110517063}
    return [sum(b * np.cos(k * np.pi / 10 * n) for k, b in beta.items()) for n in range(5)]


def band(n):
    h = impulse()
    i = np.arange(n)
    distance = np.abs(i[:, None] - i[None, :])
    return np.where(distance < 5, np.take(h, np.minimum(distance, 4)), 0)


def subscores_of_scale(a, d):
    """Of one plane: SSIM, ringing, blurring; mean1 then mean4."""
    rows, columns = band(a.shape[0]), band(a.shape[1])
    f = lambda p: rows @ p @ columns
    m1, m2, s11, s22, s12 = f(a), f(d), f(a * a), f(d * d), f(a * d)
    numerator = 2 * (s12 - m1 * m2) + C2
    denominator = (s11 - m1 * m1) + (s22 - m2 * m2) + C2
    e = np.maximum(0, 1 - (1 - (m1 - m2) ** 2) * numerator / denominator)
    q = (1 + abs(d - m2)) / (1 + abs(a - m1)) - 1
    maps = e, np.maximum(q, 0), np.maximum(-q, 0)
    return [m.mean() for m in maps] + [(m**4).mean() ** 0.25 for m in maps]


def exact(original, distorted):
    a, d = linear(original), linear(distorted)
    scales = []
    for s in range(scale_count(original.shape[1], original.shape[0])):
        if s:
            a, d = halve(a), halve(d)
        scales.append([subscores_of_scale(p, q) for p, q in zip(xyb(a), xyb(d))])
    subscores = np.array(scales).transpose(1, 0, 2).ravel()  # channel, scale, norm and map
    if np.array_equal(original, distorted):
        subscores[:] = 0
    return score_of(subscores), subscores


# ---- parity: float32 step by step ----

F = np.float32


def fma(a, b, c):
    wide = np.longdouble
    return (wide(a) * wide(b) + wide(c)).astype(F)


def parity_linear(img):
    v = img.astype(F) * F(1 / 255)
    num = [2.200248328e-04, 1.043637593e-02, 1.624820318e-01, 7.961564959e-01, 8.210152774e-01]
    den = [2.631846970e-01, 1.076976492e00, 4.987528350e-01, -5.512498495e-02, 6.521209011e-03]
    p = np.full_like(v, F(num[4]))
    q = np.full_like(v, F(den[4]))
    for i in (3, 2, 1, 0):
        p, q = fma(p, v, F(num[i])), fma(q, v, F(den[i]))
    v = np.where(v <= F(0.04045), v * F(1 / 12.92), p / q)
    return np.repeat(v, 3, axis=2) if v.shape[2] == 1 else v


def parity_halve(v):
    padded = np.pad(v, ((0, v.shape[0] % 2), (0, v.shape[1] % 2), (0, 0)), mode="edge")
    even, odd = padded[::2], padded[1::2]
    return (((even[:, ::2] + even[:, 1::2]) + odd[:, ::2]) + odd[:, 1::2]) * F(0.25)


def parity_root(v):
    bits = v.view(np.int32)
    r = (0x54800000 - (bits >> 23) * 0x2AAAAA).astype(np.int32).view(F)
    r = np.where(bits == 0, F(0), r)
    third = F(1 / 3) * v
    for _ in range(3):
        r = fma(-third, (r * r) * (r * r), F(4 / 3) * r)
    r = fma(F(1 / 3), fma(-v, (r * r) * (r * r), r), r)
    return fma(r * r, v, F(-np.cbrt(B0)))


def parity_xyb(rgb):
    r, g, b = (np.ascontiguousarray(rgb[..., c]) for c in range(3))
    m = MATRIX.astype(F)
    lms = [fma(k[0], r, fma(k[1], g, fma(k[2], b, F(B0)))) for k in m]
    l, m, s = (parity_root(np.maximum(v, F(0))) for v in lms)
    x, y = F(0.5) * (l - m), F(0.5) * (l + m)
    return x * F(14) + F(0.42), y + F(0.01), (s - y) + F(0.55)


POLES = [
    (0.05529523572608661, -1.902113032590307),
    (-0.05883668702694998, -1.1755705045849463),
    (0.012955819110517063, 0.0),
]


def parity_rows(p):
    h, w = p.shape
    u = np.zeros((h, w + 16), F)  # u[:, n + 4] is input n - 6 plus input n + 4
    u[:, : w] += p
    u[:, 10 : w + 10] += p
    outs = []
    for n2, d in POLES:
        I = [F(n2 * v) for v in (1, -d, d * d - 1, 2 * d - d**3)]
        P = [F(v) for v in (-d, d * d - 1, 2 * d - d**3, d**4 - 3 * d * d + 1)]
        Q = [F(v) for v in (-1, d, 1 - d * d, d**3 - 2 * d)]
        y = np.zeros((h, w + 8), F)  # y[:, n + 4]
        y1, y2 = np.zeros(h, F), np.zeros(h, F)
        n = -4
        while n < w:
            count = 4 if 8 <= n < w - 7 else 1
            block = []
            for i in range(count):
                s = u[:, n + 4] * I[i]
                for j in range(1, i + 1):
                    s = fma(I[i - j], u[:, n + 4 + j], s)
                block.append(fma(P[i], y1, fma(Q[i], y2, s)))
            for i, b in enumerate(block):
                y[:, n + 4 + i] = b
                y1, y2 = b, y1
            n += count
        outs.append(y[:, 4 : w + 4])
    return outs[0] + (outs[1] + outs[2])


def parity_columns(p):
    h, w = p.shape
    u = np.zeros((h + 16, w), F)
    u[:h] += p
    u[10 : h + 10] += p
    outs = []
    for n2, d in POLES:
        y = np.zeros((h + 4, w), F)
        y1, y2 = np.zeros(w, F), np.zeros(w, F)
        for n in range(h + 4):
            y[n] = fma(F(n2), u[n], fma(F(-d), y1, -y2))
            y1, y2 = y[n], y1
        outs.append(y[4:])
    return outs[0] + (outs[1] + outs[2])


def parity_subscores_of_scale(a, d):
    f = lambda p: parity_columns(parity_rows(p))
    m1, m2, s11, s22, s12 = f(a), f(d), f(a * a), f(d * d), f(a * d)
    numerator = F(2) * (s12 - m1 * m2) + F(C2)
    denominator = ((s11 - m1 * m1) + (s22 - m2 * m2)) + F(C2)
    difference = m1 - m2
    g = F(1) - difference * difference
    e = np.maximum(0, 1 - ((g * numerator) / denominator).astype(np.float64))
    q = (1 + abs(d - m2).astype(np.float64)) / (1 + abs(a - m1).astype(np.float64)) - 1
    maps = e, np.maximum(q, 0), np.maximum(-q, 0)
    return [m.mean() for m in maps] + [(m**4).mean() ** 0.25 for m in maps]


def parity(original, distorted):
    a, d = parity_linear(original), parity_linear(distorted)
    scales = []
    for s in range(scale_count(original.shape[1], original.shape[0])):
        if s:
            a, d = parity_halve(a), parity_halve(d)
        planes = zip(parity_xyb(a), parity_xyb(d))
        scales.append([parity_subscores_of_scale(p, q) for p, q in planes])
    return score_of(np.array(scales).transpose(1, 0, 2).ravel())


# ---- pictures by formula, uint32 arithmetic; the same in C ----


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
    (8, 8, 3, "mixed", 1, "noise", 12),  # two scales
    (8, 9, 1, "noise", 2, "coarse", 24),
    (14, 11, 3, "smooth", 0, "blur", 0),
    (15, 40, 3, "mixed", 3, "coarse", 16),  # three
    (17, 16, 1, "mixed", 4, "noise", 20),
    (28, 31, 3, "noise", 5, "blur", 0),
    (29, 29, 3, "mixed", 6, "half", 25),  # four
    (33, 47, 3, "smooth", 0, "coarse", 32),
    (56, 57, 3, "mixed", 7, "noise", 6),
    (57, 64, 3, "mixed", 8, "coarse", 10),  # five
    (61, 59, 1, "mixed", 9, "blur", 0),
    (105, 103, 3, "mixed", 10, "coarse", 24),
    (112, 60, 3, "smooth", 0, "offset", 9),
    (113, 113, 3, "mixed", 11, "noise", 9),  # six
    (130, 119, 3, "smooth", 0, "coarse", 16),
    (127, 118, 1, "mixed", 12, "coarse", 12),
    (121, 117, 3, "noise", 13, "half", 40),
    (120, 115, 3, "mixed", 14, "pixel", 60),
    (120, 115, 3, "mixed", 15, "same", 0),
    (16, 8, 3, "constant", 0, "constant", 255),
    (40, 30, 1, "constant", 128, "noise", 3),
    (514, 17, 3, "mixed", 16, "blur", 0),  # a little wider than the program's strips
    (523, 9, 3, "mixed", 17, "noise", 4),
]


def write_formula():
    with open(os.path.join(HERE, "formula.txt"), "w") as out:
        for w, h, c, rk, ra, dk, da in CASES:
            r = reference(rk, ra, w, h, c)
            d = distort(r, dk, da)
            score, subscores = exact(r, d)
            row = [score, parity(r, d)] + list(subscores)
            print(w, h, c, rk, ra, dk, da, len(subscores) // 18, file=out, end=" ")
            print(" ".join("%.12g" % v for v in row), file=out)


def examples(root):
    for row in csv.DictReader(open(os.path.join(root, "ssimulacra2_examples.csv"))):
        img = Image.open(os.path.join(root, row["source"])).convert("RGB")
        if row["crop"]:
            x, y, w, h = map(int, row["crop"].split(","))
            img = img.crop((x, y, x + w, y + h))
        file = io.BytesIO()
        img.save(file, "JPEG", quality=int(row["quality"]), subsampling="4:2:0")
        a, d = np.asarray(img), np.asarray(Image.open(file))
        print(row["source"], row["crop"], row["score"], "%.4f %.4f" % (exact(a, d)[0], parity(a, d)))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        examples(sys.argv[2])
    else:
        write_formula()
