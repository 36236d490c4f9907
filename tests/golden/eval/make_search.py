#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes search.csv: random answer vectors and the level each search must find.

An independent statement of the four searches, written from the protocol's text: the answers are padded
with lossy ones below and lossless ones above, and every rule is a slice of that string. Development
only; needs NumPy.
"""
import math
import pathlib

import numpy as np

PAD = 128


def binary_block(a, block, t):
    n = len(a)
    s = "1" * PAD + a + "0" * PAD
    lo, hi = 0, n
    while True:
        m = (lo + hi) // 2
        left, right = s[PAD + m - block:PAD + m], s[PAD + m:PAD + m + block]
        nl, nr = left.count("1"), right.count("1")
        if nr == block:
            lo = m + block
        elif nr == 0 and nl < t:
            hi = m - 1
        elif nr == 0 and nl == block:
            return m - 1
        elif nr == 0:
            return m - block + left.rindex("1")
        elif nl == block:
            return m + (right.index("1") if nr == 1 else right.index("0") - 1)
        else:
            return (s.rindex("1", 0, PAD + m) - PAD + m + right.index("1")) // 2


def sliding_window(a, window, t):
    s = "1" * PAD + a
    for end in range(len(s), 0, -1):
        part = s[end - window:end]
        if part.count("1") >= t:
            return end - window + part.rindex("1") - PAD
    raise AssertionError


def first_crossing(a):
    return (a + "0").index("0") - 1


def max_likelihood(p):
    p = [min(max(float(x), 1e-6), 1 - 1e-6) for x in p]
    best = [math.fsum([math.log(x) for x in p[:k]] + [math.log1p(-x) for x in p[k:]])
            for k in range(len(p) + 1)]
    top = max(best)
    return max(k for k, v in enumerate(best) if v >= top - 1e-9) - 1


def main():
    rng = np.random.default_rng(20250101)
    rows = ["# kind,a,b,level,answers (a,b = block,threshold or window,threshold)"]
    for i in range(1200):
        n = int(rng.choice([1, 2, 3, 7, 12, 25, 51, 100, 101]))
        k = int(rng.integers(0, n + 1))
        flip = rng.choice([0.0, 0.03, 0.15, 0.5])
        bits = [(j < k) != (rng.random() < flip) for j in range(n)]
        a = "".join("1" if b else "0" for b in bits)
        block = int(rng.choice([5, 5, 5, 1, 2, 3, 8]))
        t = 4 if block == 5 else int(rng.integers(1, block + 1))
        rows.append(f"binary-block,{block},{t},{binary_block(a, block, t)},{a}")
        if i % 3 == 0:
            w = int(rng.integers(1, 12))
            t = int(rng.integers(1, w + 1))
            rows.append(f"sliding-window,{w},{t},{sliding_window(a, w, t)},{a}")
            rows.append(f"first-crossing,0,0,{first_crossing(a)},{a}")
        if i % 6 == 0 and n <= 51:
            # one hexadecimal digit d = a probability of (2 d + 1) / 32, exact in float32, never 1/2
            p = rng.integers(0, 16, n)
            level = max_likelihood((2 * p + 1) / 32)
            rows.append("max-likelihood,0,0,%d,%s" % (level, "".join("%x" % d for d in p)))
    out = pathlib.Path(__file__).with_name("search.csv")
    out.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
