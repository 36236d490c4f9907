#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes windows.csv: which windows `vpjnd synth --photos` cuts from stand-in photographs.

A second implementation, with nothing but the standard library, of the random numbers (Philox4x32-10
keyed by the seed, on the hash of the name and the number of the crop), of the choice of windows and
of the box average, and of what `--camera` does; only the JPEG among it comes from Pillow's libjpeg.
The pixels of a photograph follow from pixel(); the C test computes the same.

    python3 make_windows.py           write windows.csv beside this script
"""
import fractions
import hashlib
import io
import math
import os

from PIL import Image

WIDTH, HEIGHT, CROPS = 208, 177, 6  # crops 4 and 5 may go through a camera
PURPOSE = 9  # VJ_RNG_CROPS
EXPOSURE = 10  # VJ_RNG_EXPOSURE
CAMERA = 11  # VJ_RNG_CAMERA
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


NO_CAMERA = (16, 0, 0, 0, False, 0, 420, 0, 0)


def drawn_camera(seed, stream, crop):
    """enlargement, grain and its key, sharpening, grey, QF, sampling, columns and rows beside the window"""
    lens, sensor, file = (random4(seed, CAMERA, stream, 3 * crop + i) for i in range(3))
    enlarge = 17 + (lens[1] * 16 >> 32) if lens[0] * 3 >> 32 else 16
    strength, key = (8 + (lens[3] * 41 >> 32), sensor[1] << 32 | sensor[0]) if lens[2] * 3 >> 32 == 0 else (0, 0)
    sharpen = 5 + (sensor[3] * 20 >> 32) if sensor[2] < 2**31 else 0
    grey = file[0] < 2**29
    if file[1] * 3 >> 32 == 0:
        return enlarge, strength, key, sharpen, grey, 0, 420, 0, 0
    sampling = 420 if file[3] >> 30 else 444
    return enlarge, strength, key, sharpen, grey, 70 + (file[2] * 26 >> 32), sampling, file[3] & 15, file[3] >> 4 & 15


def windows(name, width, height, seed, shrink, fade, expose, camera):
    stream = name_hash(name)
    found = []
    for crop in range(CROPS):
        word, other = (random4(seed, purpose, stream, crop) for purpose in (PURPOSE, EXPOSURE))
        factors = [f for f in (1, 2, 3) if width // f >= WIDTH and height // f >= HEIGHT]
        factor = factors[word[2] * len(factors) >> 32] if shrink else 1
        x = word[0] * (width // factor - WIDTH + 1) >> 32
        y = word[1] * (height // factor - HEIGHT + 1) >> 32
        contrast = 24 + (word[3] * 160 >> 32) if fade and crop % 2 else 256
        clipped = (26 + (other[1] * 129 >> 32)) * (1 if other[0] >> 31 else -1) if expose and crop % 4 in (2, 3) else 0
        steps = drawn_camera(seed, stream, crop) if camera and crop & 4 else NO_CAMERA
        if (x, y, factor, clipped, contrast, steps) not in found:
            found.append((x, y, factor, clipped, contrast, steps))
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


def half_up(value):
    return math.floor(value + fractions.Fraction(1, 2))


def at(pixels, x, y, c):
    x, y = min(max(x, 0), WIDTH - 1), min(max(y, 0), HEIGHT - 1)
    return pixels[(y * WIDTH + x) * 3 + c]


def enlarged(pixels, enlarge):
    if enlarge == 16:
        return pixels

    unit = 2 * enlarge

    def taps(count):
        for i in range(count):
            yield divmod(16 * (2 * i + 1) - enlarge, unit)  # (i + 1/2) 16/enlarge - 1/2, in units

    across, down = list(taps(WIDTH)), list(taps(HEIGHT))
    out = bytearray()
    for y, q in down:
        for x, p in across:
            for c in range(3):
                upper = at(pixels, x, y, c) * (unit - p) + at(pixels, x + 1, y, c) * p
                lower = at(pixels, x, y + 1, c) * (unit - p) + at(pixels, x + 1, y + 1, c) * p
                out.append((upper * (unit - q) + lower * q + unit * unit // 2) // (unit * unit))
    return bytes(out)


def sharpened(pixels, amount):
    if not amount:
        return pixels
    kernel = (1, 4, 6, 4, 1)
    out = bytearray()
    for y in range(HEIGHT):
        for x in range(WIDTH):
            for c in range(3):
                mean = sum(
                    a * b * at(pixels, x + i - 2, y + j - 2, c) for i, a in enumerate(kernel) for j, b in enumerate(kernel)
                )
                v = at(pixels, x, y, c)
                change = (amount * (256 * v - mean) + 2048) // 4096  # halves up
                out.append(min(max(v + change, 0), 255))
    return bytes(out)


def grey_only(pixels, grey):
    if not grey:
        return pixels
    out = bytearray()
    for i in range(0, len(pixels), 3):
        luma = (299 * pixels[i] + 587 * pixels[i + 1] + 114 * pixels[i + 2] + 500) // 1000
        out.extend((luma, luma, luma))
    return bytes(out)


def through_jpeg(pixels, qf, sampling, left, above):
    if not qf:
        return pixels
    wide = bytearray()
    for y in range(-above, HEIGHT):
        for x in range(-left, WIDTH):
            wide.extend(at(pixels, x, y, c) for c in range(3))
    file = io.BytesIO()
    picture = Image.frombytes("RGB", (WIDTH + left, HEIGHT + above), bytes(wide))
    picture.save(file, "JPEG", quality=qf, subsampling=2 if sampling == 420 else 0)
    return Image.open(file).convert("RGB").crop((left, above, left + WIDTH, above + HEIGHT)).tobytes()


def through_camera(pixels, enlarge, strength, key, sharpen, grey, qf, sampling, left, above):
    pixels = sharpened(grainy(enlarged(pixels, enlarge), strength, key), sharpen)
    return through_jpeg(grey_only(pixels, grey), qf, sampling, left, above)


def grainy(pixels, strength, key):
    if not strength:
        return pixels
    out = bytearray()
    for i in range(0, len(pixels), 3):
        y, x = divmod(i // 3, WIDTH)
        total = sum(byte for word in random4(key, NOISE, y, x) for byte in word.to_bytes(4, "little"))
        shift = half_up(fractions.Fraction((total - 2040) * strength, 16 * 296))
        out.extend(min(max(v + shift, 0), 255) for v in pixels[i : i + 3])
    return bytes(out)


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, "windows.csv"), "w", encoding="utf-8") as out:
        out.write("seed,shrink,fade,expose,camera,name,width,height,x,y,factor,clipped,contrast,")
        out.write("enlarge,grain,sharpen,grey,qf,sampling,left,above,sha256\n")
        for seed in SEEDS:
            for options in ((0, 0, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0), (0, 0, 1, 0), (1, 1, 1, 0), (0, 0, 0, 1), (1, 1, 1, 1)):
                for name, width, height in PHOTOS:
                    for x, y, f, clipped, contrast, steps in windows(name, width, height, seed, *options):
                        window = through_camera(faded(exposed(cut(x, y, f), clipped), contrast), *steps)
                        digest = hashlib.sha256(window).hexdigest()
                        enlarge, strength, _, sharpen, grey, *jpeg = steps
                        done = (f, clipped, contrast, enlarge, strength, sharpen, int(grey), *jpeg)
                        row = (seed, *options, name, width, height, x, y, *done, digest)
                        out.write(",".join(map(str, row)) + "\n")


if __name__ == "__main__":
    main()
