#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes pairs.csv: what training draws, worked out from the description in host/train_pairs.h.

Philox4x32-10 is written out here and checked against its published test vector; distances on the
logarithmic scale are found by counting, in 50 digits. Development only; needs nothing but Python.
"""
import decimal
import pathlib
import random

decimal.getcontext().prec = 50
PAIRS = 8  # purpose, host/rng.h


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


assert philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def words(seed, stream, index):
    low = 0xFFFFFFFF
    return philox([stream & low, stream >> 32, index, PAIRS], [seed & low, seed >> 32])


def below(word, n):
    return word * n >> 32


def picture(seed, element, count):
    epoch = element // count
    order = sorted(range(count), key=lambda i: (words(seed, 1 << 63 | epoch, i)[0], i))
    return order[element % count]


def quality_factor(seed, element, l, sampling, first, last, boundary):
    word = words(seed, element, 5000 + l)[0]
    if sampling == "uniform":
        return first + below(word, last - first + 1)
    lossy = [q for q in range(last, first - 1, -1) if q <= boundary]  # nearest first
    lossless = [q for q in range(first, last + 1) if q > boundary]
    first_is_lossy = words(seed, element, 4096)[0] >> 31 == 1
    side = lossy if first_is_lossy == (l % 2 == 0) else lossless
    side = side or lossy or lossless
    n = len(side)
    if sampling == "balanced":
        return side[below(word, n)]
    u = (decimal.Decimal(word) + decimal.Decimal("0.5")) / 2**32
    reach = (u * decimal.Decimal(n + 1).ln()).exp()
    return side[sum(1 for d in range(1, n) if d + 1 <= reach)]


def patch(seed, element, p, width, height, side, independent, flip):
    w = words(seed, element, p)
    place = [below(w[0], height - side + 1), below(w[1], width - side + 1)]
    own = list(place)
    if independent:
        v = words(seed, element, 8192 + p)
        own = [below(v[0], height - side + 1), below(v[1], width - side + 1)]
    return place + own + [w[2] >> 30 & 1 if flip else 0, w[2] >> 31 if flip else 0]


def main():
    rng = random.Random(1)
    rows = []
    for i in range(400):
        seed = rng.choice([0, 1, 7, rng.getrandbits(64)])
        element = rng.choice([rng.randrange(50), rng.randrange(10**6), rng.randrange(10**12)])
        count, levels = rng.choice([1, 2, 5, 40]), rng.randint(1, 3)
        l, p = rng.randrange(100), rng.randrange(4096)
        sampling = rng.choice(["uniform", "balanced", "boundary"])
        first = rng.choice([1, 1, rng.randint(1, 60)])
        last = rng.choice([99, 100, rng.randint(first, 100)])
        boundary = rng.randint(1, 100)
        side = rng.choice([16, 64, 128])
        width, height = side + rng.randrange(2000), side + rng.choice([0, rng.randrange(2000)])
        independent, flip = rng.randrange(2), rng.randrange(2)
        rows.append(
            [seed, element, count, picture(seed, element, count),
             levels, below(words(seed, element, 4096)[1], levels),
             l, ["uniform", "balanced", "boundary"].index(sampling), first, last, boundary,
             quality_factor(seed, element, l, sampling, first, last, boundary),
             p, width, height, side, independent, flip]
            + patch(seed, element, p, width, height, side, independent, flip))
    with open(pathlib.Path(__file__).with_name("pairs.csv"), "w") as f:
        f.write("seed,element,pictures,picture,levels,level,l,sampling,first,last,boundary,qf,"
                "p,width,height,side,independent,flip,y,x,jnd_y,jnd_x,mirror_x,mirror_y\n")
        for row in rows:
            f.write(",".join(map(str, row)) + "\n")


main()
