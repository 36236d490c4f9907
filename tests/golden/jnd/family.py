#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Second implementation of the later pixel-JND models, and of epc17's variant `paper`, in NumPy and
SciPy, in double precision, whole planes at a time; building blocks and pictures are make.py's.

    family.py --data FOLDER                 writes family.txt and family.f32, which
                                            tests/host/test_jnd_family.c reads; format: make.py
    family.py --data FOLDER --compare VPJND [--side N] [PICTURE ...]
                                            largest differences, stage by stage, between these models
                                            and the program's on all photographs of the data (or the
                                            named files), their middle N pixels each way
    family.py --time BENCH_JND              processor time of these models and the best time of the
                                            program's, one thread each
"""
import argparse
import math
import pathlib
import subprocess
import tempfile
import time

import numpy as np
import scipy.ndimage as ndi
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

import make
from make import adaptation, away, background, canny, corr0, edge_weight, gauss, gradient, lift, namm

HERE = pathlib.Path(__file__).resolve().parent


class Picture:
    """Luma, and chroma of 4:2:0."""

    def __init__(self, luma, cb, cr):
        self.luma, self.cb, self.cr = luma, cb, cr

    @classmethod
    def procedural(cls, kind, width, height):
        half = (width + 1) // 2, (height + 1) // 2
        return cls(make.picture(kind, width, height), make.picture("steps", *half), make.picture("ramp", *half))

    @classmethod
    def of_array(cls, a):
        if a.ndim == 2:
            half = ((a.shape[0] + 1) // 2, (a.shape[1] + 1) // 2)
            return cls(a, np.full(half, 128, np.uint8), np.full(half, 128, np.uint8))
        r, g, b = (a[..., k].astype(np.int64) for k in range(3))
        luma = ((2989 * r + 5870 * g + 1140 * b + 5000) // 10000).astype(np.uint8)
        half = 128 * 65536 + 32767
        return cls(luma, halve((-11059 * r - 21709 * g + 32768 * b + half) >> 16),
                   halve((32768 * r - 27439 * g - 5329 * b + half) >> 16))

    @classmethod
    def file(cls, path):
        from PIL import Image
        return cls.of_array(np.asarray(Image.open(path)))


def four(a):
    """The four pixels under each sample of half the resolution; a last row or column stands twice."""
    a = np.pad(a, ((0, a.shape[0] % 2), (0, a.shape[1] % 2)), mode="edge")
    return a[::2, ::2], a[::2, 1::2], a[1::2, ::2], a[1::2, 1::2]


def halve(a):
    """As libjpeg takes chroma to half the resolution."""
    total = sum(four(a))
    return ((total + 1 + np.arange(total.shape[1]) % 2) >> 2).astype(np.uint8)


def join(a, b, overlap):
    return a + b - overlap * np.minimum(a, b)


# --- yang05 -----------------------------------------------------------------------------------------

def yang05(picture, variant):
    img = np.asarray(picture.luma, float)
    bg, g, la = background(img), gradient(img), adaptation(background(img))
    edge = canny(img, 0.5)
    if variant == "authors":
        w = edge_weight(edge, np.ones((11, 11)), 0.95, 7, 0.8)
        tt = g * w * (0.0001 * bg + 0.115) + 0.5 - 0.01 * bg
    else:
        w = corr0(np.where(edge, 0.1, 1.0), gauss(7, 0.8))
        tt = 0.117 * g * w
    out = {"background": bg, "gradient": g, "edge": edge, "weight": w, "texture": tt, "luminance": la,
           "map": namm(tt, la)}
    if variant == "paper":
        out["weight_chroma"] = sum(four(w)) / 4
        out["luminance_chroma"] = adaptation(sum(four(bg)) / 4)
        for name, plane, slope, overlap in [("cb", picture.cb, 0.65, 0.25), ("cr", picture.cr, 0.45, 0.2)]:
            out["gradient_" + name] = gradient(plane)
            out["jnd_" + name] = join(slope * gradient(plane) * out["weight_chroma"], out["luminance_chroma"],
                                      overlap)
    return out


# --- fep13 ------------------------------------------------------------------------------------------

def box7(a):
    """Sums over 7x7 where they fit, exact for integers."""
    s = np.cumsum(np.cumsum(np.pad(a, ((1, 0), (1, 0))), 0), 1)
    return s[7:, 7:] - s[:-7, 7:] - s[7:, :-7] + s[:-7, :-7]


def autoregression(img, h):
    """Weighted mean of the 440 neighbours and the pixel itself, before rounding."""
    height, width = img.shape
    big = np.pad(np.asarray(img, np.int64), 13, mode="symmetric")
    offsets = [(dy, dx) for dy in range(-10, 11) for dx in range(-10, 11) if dy or dx]

    def window(dy, dx, more):
        return big[13 + dy - more:13 + dy + height + more, 13 + dx - more:13 + dx + width + more]

    def distance(dy, dx):
        return box7((window(0, 0, 3) - window(dy, dx, 3)) ** 2) / 49

    least = np.full(img.shape, np.inf)
    for o in offsets:
        least = np.minimum(least, distance(*o))
    total, weights, largest = np.zeros(img.shape), np.zeros(img.shape), np.zeros(img.shape)
    for o in offsets:
        w = np.exp(-(distance(*o) - least) / h ** 2)
        total += w * window(*o, 0)
        weights += w
        largest = np.maximum(largest, w)
    return (total + largest * window(0, 0, 0)) / (weights + largest)


TIE = 1e-9


def fep13(picture, variant, predicted=None):
    """predicted: goes on from this prediction; None: from its own."""
    assert variant == "authors"
    img = np.asarray(picture.luma, np.int64)
    height, width = img.shape
    s0 = np.maximum(adaptation(lift(np.floor(background(img)))), 8)
    ones = np.ones((7, 7))
    sd = np.sqrt(np.maximum(49 * corr0(img * img, ones) - corr0(img, ones) ** 2, 0)) / 49
    h = np.where(sd > s0, s0 * np.sqrt(s0 / np.maximum(sd, 1e-9)), s0)
    if predicted is None:
        mean = autoregression(img, h)
        fep13.margin = np.abs(mean - np.floor(mean) - 0.5)  # that of exact halves is 0, and they are rounded up
        predicted = away(mean)
    residual = np.abs(img - predicted)
    bp, g = np.floor(background(predicted)), gradient(predicted)
    la = adaptation(lift(bp))
    contrast = np.abs(80 * np.log10(1 + g / 80) / math.log10(4) * (0.0001 * bp + 0.115) + 0.5 - 0.01 * bp)
    edge = canny(img, 0.7)
    diamond = np.abs(np.arange(-2, 3))[:, None] + np.abs(np.arange(-2, 3))[None, :] <= 2
    w = edge_weight(edge, diamond, 0.8, 5, 0.8)
    smooth = corr0(residual, gauss(7, 7 / 3))
    disorder = w * np.where(sd < 10, np.minimum(residual, smooth), residual)
    out = namm(namm(la, contrast), disorder)
    inside = np.zeros(img.shape, bool)
    inside[2:max(height - 3, 2), 2:max(width - 3, 2)] = True
    return {"deviation": sd, "bandwidth": h, "prediction": predicted, "residual": residual, "luminance": la,
            "contrast": contrast, "edge": edge, "weight": w, "disorder": disorder, "map": out * inside}


# --- liu10 ------------------------------------------------------------------------------------------

def not_reaching_sink(f, level):
    """{u >= level}: the pixels that cannot reach the sink once the flow is at its maximum."""
    height, width = f.shape
    n = height * width
    index = np.arange(n).reshape(f.shape)
    pairs = np.concatenate([np.stack([index[:, :-1].ravel(), index[:, 1:].ravel()]),
                            np.stack([index[:-1].ravel(), index[1:].ravel()])], axis=1)
    above = index[f >= level]
    below = index[f < level]
    start = np.concatenate([pairs[0], pairs[1], np.full(above.size, n), below])
    end = np.concatenate([pairs[1], pairs[0], above, np.full(below.size, n + 1)])
    capacity = np.concatenate([np.full(2 * pairs.shape[1], 5), np.full(n, 4)]).astype(np.int32)
    graph = csr_matrix((capacity, (start, end)), shape=(n + 2, n + 2))
    residual = graph - maximum_flow(graph, n, n + 1).flow
    residual.eliminate_zeros()
    reaches = breadth_first_order(residual.T.tocsr(), n + 1, return_predecessors=False)
    out = np.ones(n + 2, bool)
    out[reaches] = False
    return out[:n].reshape(f.shape)


def structure(f):
    """The largest minimiser of the total variation with an absolute data term."""
    f = np.asarray(f, np.int64)
    u = np.full(f.shape, f.min())
    for level in range(f.min() + 1, f.max() + 1):
        u += not_reaching_sink(f, level)
    return u


# How far primal_dual() in single precision may be from double, and so round the other way: on photographs (camera.png:
# 1.3e-3), and on the small pictures of the golden files (1.8e-4).
SINGLE, SINGLE_SMALL = 2e-3, 3e-4
ITERATIONS, LONGEST, HALVED = 256, 16, 24  # halved: after so many iterations, down to 1


def primal_dual(f):
    """The same energy's structure by Chambolle and Pock's iterations, before rounding."""
    f = np.asarray(f, float)
    u, right, below = f, np.zeros((f.shape[0], f.shape[1] - 1)), np.zeros((f.shape[0] - 1, f.shape[1]))
    for k in range(ITERATIONS):
        step = max(LONGEST / 2 ** (k // HALVED), 1)
        flow = -np.diff(right, axis=1, prepend=0, append=0) - np.diff(below, axis=0, prepend=0, append=0)
        off = u - step * flow - f
        now = f + np.sign(off) * np.maximum(np.abs(off) - 0.8 * step, 0)
        ahead, u = 2 * now - u, now
        right = np.clip(right + np.diff(ahead, axis=1) / (8 * step), -1, 1)
        below = np.clip(below + np.diff(ahead, axis=0) / (8 * step), -1, 1)
    return u


def liu10(picture, variant, u=None):
    """u: goes on from this structure; None: from its own."""
    f = np.asarray(picture.luma, np.int64)
    liu10.margin = np.ones(f.shape)  # of the structure from where it would be rounded differently
    if u is None and variant.endswith("-pd"):
        unrounded = primal_dual(f)
        u = away(unrounded).astype(np.int64)
        liu10.margin = np.abs(unrounded - np.floor(unrounded) - 0.5)
    elif u is None:
        u = structure(f)
    v = f - u
    bg, gu, gv = background(f), gradient(u), gradient(v)
    if variant.startswith("authors"):
        alpha, beta = 0.0001 * bg + 0.115, 0.5 - 0.01 * bg
        em, tm = np.clip(gu * alpha + beta, 0, 10), np.clip(gv * alpha + beta, 0, 10)
        cm = 0.7 * em + 1.4 * tm
    else:
        em, tm = 0.117 * gu, 3 * 0.117 * gv
        cm = em + tm
    la = adaptation(bg)
    return {"structure": u, "texture": v, "background": bg, "luminance": la, "edge_masking": em,
            "texture_masking": tm, "contrast": cm, "map": namm(la, cm)}


# --- epc17, variant `paper` -------------------------------------------------------------------------

def epc17(picture, variant):
    if variant == "authors":
        return make.epc17(picture.luma, variant)
    img = np.asarray(picture.luma, np.int64)
    height, width = img.shape
    bg = background(img)
    p = np.pad(img, 1, mode="symmetric")
    column = p[:-2] + p[1:-1] + p[2:]
    row = p[:, :-2] + p[:, 1:-1] + p[:, 2:]
    sx, sy = column[:, 2:] - column[:, :-2], row[2:] - row[:-2]
    cl = np.hypot(sx, sy) / 3
    o = away(np.degrees(np.arctan2(sy, sx)))
    o = np.where(o > 90, o - 180, o)
    o = np.where(o < -90, o + 180, o) + 90
    bins = np.where(sx ** 2 + sy ** 2 >= 225, (o.astype(int) + 6) // 12, 16)
    merged = np.pad(np.where(bins == 15, 0, bins), 1, constant_values=16)
    count = np.zeros(img.shape, int)
    for b in range(15):
        here = merged == b
        count += np.any([here[dy:dy + height, dx:dx + width] for dy in range(3) for dx in range(3)], axis=0)
    pattern = np.log2(1 + cl) * 0.8 * count ** 2.7 / (count ** 2 + 0.01)
    contrast = 0.115 * 16 * cl ** 2.4 / (cl ** 2 + 676)
    la = adaptation(bg)
    return {"luminance": la, "gradient": cl, "contrast": contrast, "bin": bins, "count": count,
            "pattern": pattern, "map": namm(la, np.maximum(contrast, pattern))}


# --- klt22 ------------------------------------------------------------------------------------------

def klt22(picture, variant):
    full = np.asarray(picture.luma, float)
    img = full[:full.shape[0] // 8 * 8, :full.shape[1] // 8 * 8]
    rows, columns = img.shape[0] // 8, img.shape[1] // 8
    # one column per block, in it the block's columns one below the other
    blocks = img.reshape(rows, 8, columns, 8).transpose(3, 1, 0, 2).reshape(64, rows * columns)
    if blocks.shape[1] < 65:
        return None
    value, basis = np.linalg.eigh(np.cov(blocks, bias=True))
    value, basis = value[::-1], basis[:, ::-1]
    coefficients = basis.T @ blocks
    energy = (coefficients ** 2).mean(axis=1)
    share = np.cumsum(energy) / energy.sum()
    share[-1] = 1
    b, n = 894.16, 0.99805
    w = b / n * (share / n) ** (b - 1) * np.exp(-(share / n) ** b)
    centre = (np.arange(1, 65) * w).sum() / w.sum()
    components = math.ceil(centre)
    klt22.margin = min(centre - components + 1, components - centre)
    klt22.gap = (value[components - 1] - value[min(components, 63)]) / value[0]
    kept = basis[:, :components] @ coefficients[:components]
    critical = kept.reshape(8, 8, rows, columns).transpose(2, 1, 3, 0).reshape(img.shape)
    psnr = 10 * math.log10(255 ** 2 / ((img - critical) ** 2).mean())
    inner = gradient(img)[2:-2, 2:-2].max()
    edge = canny(img, min(60 / inner, 0.8) if inner > 0 else 0.8)
    weight = edge_weight(edge, np.ones((5, 5)), 1, 5, 0.8)
    out = np.abs(img - critical) * (weight if variant == "authors" else 1)
    more = ((0, full.shape[0] - img.shape[0]), (0, full.shape[1] - img.shape[1]))
    extended = {name: np.pad(a, more, mode="symmetric")
                for name, a in {"critical": critical, "edge": edge, "weight": weight, "map": out}.items()
                if variant == "authors" or name in ("critical", "map")}
    return {"variance": value[None], "share": share[None], "components": np.array([[components]]),
            "psnr": np.array([[psnr]]), **extended}


AUTHORS_PAPER = ("authors", "paper")
MODELS = {"yang05": (yang05, AUTHORS_PAPER), "fep13": (fep13, ("authors",)), "klt22": (klt22, ("authors", "raw")),
          "liu10": (liu10, AUTHORS_PAPER + ("authors-pd", "paper-pd")), "epc17": (epc17, ("paper",))}
# whole numbers from 0 to 255, which have to be the same in every pixel
COUNTED = {"bin", "count", "edge", "prediction", "residual", "structure", "components"}
SAMPLES = 16
# what would take SciPy too long on a whole photograph
SLOW = {"fep13": 320, "liu10": 96}


# --- golden files -----------------------------------------------------------------------------------

class Golden(make.Golden):
    """As make.py's, with one set of results at a time and these models' stages."""

    def results(self, name, shape, model, variant, results, full):
        for stage, a in results.items():
            head = f"{name} {shape[1]} {shape[0]} {model} {variant} {stage}"
            a = np.asarray(a)
            if stage in COUNTED:
                self.lines.append(f"{head} digest {make.fnv1a64(a.astype(np.uint8).tobytes()):016x}")
            elif full == "stages" or (full == "map" and stage == "map"):
                self.lines.append(f"{head} full {len(self.values)}")
                self.values += a.astype("<f4").tobytes()
            else:
                flat = a.ravel().astype(float)
                where = sorted({(k * 2654435761 + 12345) % flat.size for k in range(SAMPLES)})
                self.lines.append(f"{head} samples " + " ".join(f"{i} {flat[i]:.9g}" for i in where))

    def picture(self, name, picture, models, full):
        for model in models:
            function, variants = MODELS[model]
            for variant in variants:
                results = function(picture, variant)
                if model == "fep13" and np.any((fep13.margin > 0) & (fep13.margin < TIE)):
                    raise SystemExit(f"{name} {picture.luma.shape}: fep13's prediction comes too near to a half")
                if model == "liu10" and np.any(liu10.margin < SINGLE_SMALL):
                    raise SystemExit(f"{name} {picture.luma.shape}: liu10's structure comes too near to a half")
                if model == "klt22":
                    print(f"{name} klt22: components {klt22.margin:.2g} from the next, spectral gap {klt22.gap:.2g}")
                # what depends on the structure is that of the exact variants but for the structure itself
                kept = {"stages": "map", "map": "samples"}.get(full, full) if variant.endswith("-pd") else full
                self.results(name, picture.luma.shape, model, variant, results, kept)

    def write(self):
        (HERE / "family.txt").write_text("\n".join(self.lines) + "\n")
        (HERE / "family.f32").write_bytes(self.values)


def write_golden(data, models):
    small = [m for m in models if m != "klt22"]
    golden = Golden()
    for kind, width, height in [("night", 31, 26), ("noise", 5, 7), ("scene", 3, 40), ("ramp", 1, 1),
                                ("noise", 40, 2), ("noise", 6, 6)]:
        golden.picture(kind, Picture.procedural(kind, width, height), small, "stages")
    for kind, width, height, full in [("night", 61, 47, "map"), ("steps", 50, 36, "samples")]:
        golden.picture(kind, Picture.procedural(kind, width, height), small, full)
    klt = [m for m in models if m == "klt22"]
    for kind, width, height, full in [("scene", 80, 72, "map"), ("night", 87, 79, "samples"),
                                      ("noise", 8, 520, "samples")]:
        golden.picture(kind, Picture.procedural(kind, width, height), klt, full)
    golden.picture("scene", Picture.procedural("scene", 300, 111), [m for m in models if m not in SLOW], "samples")
    for name in make.PHOTOS:
        golden.picture("@" + name, Picture.file(data / name), [m for m in models if m not in SLOW], "samples")
    golden.write()


# --- comparison with the program --------------------------------------------------------------------

def program(vpjnd, path, model, variant, folder):
    import h5py
    out = folder / "map.h5"
    subprocess.run([vpjnd, "map", "--model", model, "--variant", variant, "--stages", path, "-o", out], check=True)
    with h5py.File(out) as f:
        return {"map": f["map"][:], **{name: plane[:] for name, plane in f["stages"].items()}}


def middle(a, side):
    height, width = a.shape[:2]
    top, left = max(height - side, 0) // 2, max(width - side, 0) // 2
    return a[top:top + side, left:left + side]


class Worst:
    """Largest difference per stage, and in how many values whole numbers differ."""

    def __init__(self):
        self.table, self.pictures = {}, 0

    def add(self, key, stage, got, wanted, name):
        wanted = np.asarray(wanted, float)
        if got.shape != wanted.shape:
            raise SystemExit(f"{name} {key} {stage}: {got.shape}, not {wanted.shape}")
        off = np.abs(got - wanted)
        relative = (off / np.maximum(np.abs(wanted), 10)).max()
        row = self.table.setdefault((key, stage), [0, "", 0, 0, 0])
        if off.max() >= row[0]:
            row[:2] = off.max(), name
        row[2] = max(row[2], relative)
        row[3] += int((off > 1e-3).sum())
        row[4] += off.size

    def print(self):
        print(f"{'model variant':15} {'stage':18} {'largest':>9} {'of values':>9}  {'above 1e-3':>10} {'of':>10}  picture")
        for (key, stage), (off, name, relative, count, size) in self.table.items():
            print(f"{key:15} {stage:18} {off:9.2g} {relative:9.2g}  {count:10} {size:10}  {name}")


def compare(data, vpjnd, side, names):
    from PIL import Image
    paths = [pathlib.Path(n) for n in names] or sorted((data / "photos").rglob("*.png"))
    models = {"chou95": (lambda p, v: make.chou95(p.luma, v), AUTHORS_PAPER), **MODELS}
    models["epc17"] = (epc17, AUTHORS_PAPER)
    worst, margins, ties, halves = Worst(), [1.0, 1.0], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for path in paths:
            a = np.asarray(Image.open(path))
            if a.dtype != np.uint8 or (a.ndim == 3 and a.shape[2] != 3):
                print("left out:", path)
                continue
            for model, (function, variants) in models.items():
                part = middle(a, min(side, SLOW.get(model, side)))
                Image.fromarray(part).save(folder / "part.png")
                for variant in variants:
                    wanted = function(Picture.of_array(part), variant)
                    got = program(vpjnd, folder / "part.png", model, variant, folder)
                    if model == "fep13":
                        tied = (fep13.margin < TIE) & (got["prediction"] != wanted["prediction"])
                        ties += int(tied.sum())
                        wanted = function(Picture.of_array(part), variant,
                                          np.where(tied, got["prediction"], wanted["prediction"]))
                    if model == "liu10":
                        off = got["structure"] - wanted["structure"]
                        tied = (liu10.margin < SINGLE) & (np.abs(off) == 1)
                        halves += int(tied.sum())
                        wanted = function(Picture.of_array(part), variant, wanted["structure"] + (off * tied).astype(int))
                    if set(got) != set(wanted):
                        raise SystemExit(f"{model} {variant}: stages {sorted(set(got) ^ set(wanted))}")
                    for stage in wanted:
                        worst.add(f"{model} {variant}", stage, got[stage], wanted[stage], path.name)
            margins = [min(a) for a in zip(margins, (klt22.margin, klt22.gap))]
            worst.pictures += 1
    worst.print()
    print(f"{worst.pictures} pictures; fep13: {ties} predictions rounded differently, all within {TIE:g} of a half and "
          f"taken over; liu10: {halves} levels of -pd likewise, within {SINGLE:g}; klt22: components at least "
          f"{margins[0]:.2g} from the next, relative spectral gap at least {margins[1]:.2g}")


# --- time -------------------------------------------------------------------------------------------

def measure(bench):
    print(f"{'model':8} {'variant':8} {'picture':>10} {'NumPy/SciPy s':>14} {'program s':>10} {'ratio':>8}")
    models = {"chou95": (lambda p, v: make.chou95(p.luma, v), AUTHORS_PAPER), **MODELS}
    models["epc17"] = (epc17, AUTHORS_PAPER)
    sizes = {"liu10": (160, 120)}
    for model, (function, variants) in models.items():
        width, height = sizes.get(model, (960, 540))
        picture = Picture.procedural("scene", width, height)
        lines = subprocess.run([bench, str(width), str(height), "1", model], check=True, capture_output=True,
                               text=True).stdout.split("\n")
        rows = {tuple(line.split()[:3]): line.split() for line in lines if len(line.split()) == 8}
        for variant in variants:
            start = time.process_time()
            function(picture, variant)
            own = time.process_time() - start
            theirs = float(rows[model, variant, "1"][4]) / 1000
            print(f"{model:8} {variant:8} {width:5}x{height:<4} {own:14.3f} {theirs:10.4f} {own / theirs:8.1f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=pathlib.Path, help="folder of the optional test data")
    parser.add_argument("--compare", metavar="VPJND", help="the program")
    parser.add_argument("--side", type=int, default=100000)
    parser.add_argument("--time", metavar="BENCH_JND", help="the benchmark program")
    parser.add_argument("--models", default=",".join(MODELS), help="golden files of these only")
    parser.add_argument("pictures", nargs="*")
    a = parser.parse_args()
    if a.time:
        measure(a.time)
    elif a.compare:
        compare(a.data, a.compare, a.side, a.pictures)
    else:
        write_golden(a.data, a.models.split(","))


if __name__ == "__main__":
    main()
