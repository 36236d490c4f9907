#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes windows.csv: which windows `vpjnd synth --photos` cuts from stand-in photographs.

A second implementation, with nothing but the standard library, of the random numbers (Philox4x32-10
keyed by the seed, on the hash of the name and the number of the crop), of the choice of windows and
of the box average. The pixels of a photograph follow from pixel(); the C test computes the same.

    python3 make_windows.py           write windows.csv beside this script
"""
import fractions
import hashlib
import math
import os

WIDTH, HEIGHT, CROPS = 208, 177, 6  # of crops 4 and 5 may get grain
PURPOSE = 9  # VJ_RNG_CROPS
EXPOSURE = 10  # VJ_RNG_EXPOSURE
GRAIN = 11  # VJ_RNG_GRAIN
NOISE = 12  # VJ_RNG_NOISE
M32 = 0xFFFFFFFF

# name, width, height
PHOTOS = [
    ("landscape.ppm", 640, 540),
    ("just a window.png", 208, 177),
    ("Zürich.bmp", 417, 355),
    ("narrow.png", 209, 700),
    ("wide.ppm", 1000, 360),
]
SEEDS = [1, 0x8000000000000005]


def pixel(x, y, c):
    return (3 * x * x + 5 * x * y + y * y + 31 * c + (x ^ y)) & 255


def name_hash(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def philox(counter, key):
    for turn in range(10):
        k0, k1 = (key[0] + turn * 0x9E3779B9) & M32, (key[1] + turn * 0xBB67AE85) & M32
        high0, low0 = divmod(0xD2511F53 * counter[0], 2**32)
        high1, low1 = divmod(0xCD9E8D57 * counter[2], 2**32)
        counter = [high1 ^ counter[1] ^ k0, low1, high0 ^ counter[3] ^ k1, low0]
    return counter


def random4(seed, purpose, stream, index):
    return philox([stream & M32, stream >> 32, index, purpose], [seed & M32, seed >> 32])


def windows(name, width, height, seed, shrink, fade, expose, grain):
    stream = name_hash(name)
    found = []
    for crop in range(CROPS):
        word, other, noise = (random4(seed, purpose, stream, crop) for purpose in (PURPOSE, EXPOSURE, GRAIN))
        factors = [f for f in (1, 2, 3) if width // f >= WIDTH and height // f >= HEIGHT]
        factor = factors[word[2] * len(factors) >> 32] if shrink else 1
        x = word[0] * (width // factor - WIDTH + 1) >> 32
        y = word[1] * (height // factor - HEIGHT + 1) >> 32
        contrast = 24 + (word[3] * 160 >> 32) if fade and crop % 2 else 256
        clipped = (26 + (other[1] * 129 >> 32)) * (1 if other[0] >> 31 else -1) if expose and crop % 4 in (2, 3) else 0
        strength, key = (8 + (noise[0] * 73 >> 32), noise[2] << 32 | noise[1]) if grain and crop & 4 else (0, 0)
        if (x, y, factor, clipped, contrast, strength, key) not in found:
            found.append((x, y, factor, clipped, contrast, strength, key))
    return found


def cut(x0, y0, f):
    out = bytearray()
    for y in range(y0, y0 + HEIGHT):
        for x in range(x0, x0 + WIDTH):
            for c in range(3):
                total = sum(pixel(x * f + i, y * f + j, c) for j in range(f) for i in range(f))
                out.append((2 * total + f * f) // (2 * f * f))
    return out


def exposed(pixels, clipped):
    if not clipped:
        return pixels
    order = sorted(pixels, reverse=clipped > 0)
    level = order[-(-abs(clipped) * len(pixels) // 256) - 1]
    shift = 255 - level if clipped > 0 else -level
    return bytes(min(max(v + shift, 0), 255) for v in pixels)


def faded(pixels, contrast):
    n = len(pixels) // 3
    means = [(2 * sum(pixels[c::3]) + n) // (2 * n) for c in range(3)]
    return bytes((v * contrast + means[i % 3] * (256 - contrast) + 128) // 256 for i, v in enumerate(pixels))


def grainy(pixels, strength, key):
    if not strength:
        return pixels
    out = bytearray()
    for i in range(0, len(pixels), 3):
        y, x = divmod(i // 3, WIDTH)
        total = sum(byte for word in random4(key, NOISE, y, x) for byte in word.to_bytes(4, "little"))
        shift = math.floor(fractions.Fraction((total - 2040) * strength, 16 * 296) + fractions.Fraction(1, 2))
        out.extend(min(max(v + shift, 0), 255) for v in pixels[i : i + 3])
    return bytes(out)


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, "windows.csv"), "w", encoding="utf-8") as out:
        out.write("seed,shrink,fade,expose,grain,name,width,height,x,y,factor,clipped,contrast,strength,sha256\n")
        for seed in SEEDS:
            for options in ((0, 0, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0), (0, 0, 1, 0), (1, 1, 1, 0), (0, 0, 0, 1), (1, 1, 1, 1)):
                for name, width, height in PHOTOS:
                    for x, y, f, clipped, contrast, strength, key in windows(name, width, height, seed, *options):
                        window = grainy(faded(exposed(cut(x, y, f), clipped), contrast), strength, key)
                        digest = hashlib.sha256(window).hexdigest()
                        row = (seed, *options, name, width, height, x, y, f, clipped, contrast, strength, digest)
                        out.write(",".join(map(str, row)) + "\n")


if __name__ == "__main__":
    main()
