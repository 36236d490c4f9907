#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Golden outputs of the network, computed by PyTorch in double precision from the unfolded formulas.

Writes golden.h5 and, variant pw-jnd, pw_jnd.h5 beside this file, or those named as arguments. Needs torch, numpy and h5py; the project's build and tests do not:
tests/host/test_net_golden.c makes the same weights and patches from the same integer formulas
(tests/host/net_formula.h) and compares layer by layer.

File: one group per case, attributes = the network's shape; in it one group per pass (r0, d0_0, j0,
... = picture of patch 0, candidate 0 of patch 0, pixel-JND map of patch 0), in it one float32 dataset
per layer with samples of the NHWC output at (7919 k + 13) mod count, and attributes count, sum,
sum_abs over all of it. Scores of a case: datasets quality [n, P], weight [n, P], score [n];
quality_terms and weight_terms [n, P] are the sums of the magnitudes of what the heads' second layers
add up, by which rounding errors are to be judged.
"""
import os
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F

SAMPLES = 97
FILES = {"golden.h5": {
    "released_full": dict(variant="released", non_local="reshape", patch_size=128,
                          channels=(32, 64, 128, 256), patches=2, candidates=2),
    "figure_full": dict(variant="figure", non_local="reshape", patch_size=128,
                        channels=(32, 64, 128, 256), patches=2, candidates=2),
    "released_small_transpose": dict(variant="released", non_local="transpose", patch_size=32,
                                     channels=(16, 32, 48, 40), patches=3, candidates=2),
    "figure_small_reshape": dict(variant="figure", non_local="reshape", patch_size=48,
                                 channels=(32, 16, 64, 20), patches=3, candidates=2),
    "released_tiny_reshape": dict(variant="released", non_local="reshape", patch_size=16,
                                  channels=(16, 16, 16, 16), patches=3, candidates=2),
}, "pw_jnd.h5": {
    "pw_jnd_full": dict(variant="pw-jnd", patch_size=32, channels=(32, 64, 128, 256, 512), patches=2, candidates=2),
    "pw_jnd_small": dict(variant="pw-jnd", patch_size=64, channels=(16, 32, 16, 48, 32), patches=2, candidates=1),
}}


def mix(x):
    """MurmurHash3's 32-bit finaliser (A. Appleby) on a uint32 array."""
    x = np.asarray(x, np.uint32).copy()
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return x


def name_hash(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h & 0xFFFFFFFF


def tensor(name, shape):
    count = int(np.prod(shape))
    key = mix(np.array([name_hash(name)], np.uint32))[0]
    word = mix(key + np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9))
    unit = ((word >> np.uint32(8)).astype(np.float32) - np.float32(2**23)) / np.float32(2**23)
    if len(shape) == 1:
        scale = 0.1
    else:
        # theta and phi large enough for a softmax that is neither flat nor one-hot
        gain = 60.0 if "theta" in name or "phi" in name else 6.0
        scale = np.sqrt(gain / (count // shape[-1]))
    return torch.from_numpy((unit * np.float32(scale)).reshape(shape)).double()


def pixels(kind, patch, size, channels):
    """u8 [size, size, channels]: a slope with texture. kind: 0 reference, 1 JND, 2 + i candidate i."""
    y, x, c = np.meshgrid(np.arange(size), np.arange(size), np.arange(channels), indexing="ij")
    at = ((y * size + x) * channels + c).astype(np.uint32)
    slope = 40 * patch + (3 + patch) * x + 2 * y + 31 * c
    if kind == 1:
        texture = mix(at + np.uint32(977 * (patch + 1))) % 24
        return ((slope // 3 + texture) % 61).astype(np.uint8)
    texture = mix(at + np.uint32(131071 * (patch + 1))) % 48
    value = (slope // 2 + texture) % 256
    if kind >= 2:  # coarser the further the candidate
        step = 4 * (kind - 1) + 3
        value = value // step * step
    return value.astype(np.uint8)


class Extractor:
    def __init__(self, scope, case):
        self.scope, self.case = scope, case

    def weights(self, name, *shape):
        return tensor(f"{self.scope}/{name}", shape)

    def conv(self, h, name, ci, co, size, kernel="weights", bias="biases"):
        k = self.weights(f"{name}{kernel}", size, size, ci, co).permute(3, 2, 0, 1)
        return F.conv2d(h, k, self.weights(f"{name}{bias}", co), padding=size // 2)

    def attention(self, h, name, c):
        k0, b0 = self.weights(f"{name}mlp_0/kernel", c, c // 16), self.weights(f"{name}mlp_0/bias", c // 16)
        k1, b1 = self.weights(f"{name}mlp_1/kernel", c // 16, c), self.weights(f"{name}mlp_1/bias", c)

        def mlp(v):
            return F.relu(v @ k0 + b0) @ k1 + b1

        return torch.sigmoid(mlp(h.mean((2, 3))) + mlp(h.amax((2, 3))))

    def non_local(self, h, c, record):
        def one_by_one(v, part):
            name = f"conv4/Non-local4/{part}/{part}_conv/"
            return self.conv(v, name, c, c, 1, "kernel", "bias")

        def rows(v):  # NHWC memory as N x C
            return v.permute(0, 2, 3, 1).reshape(-1, c)

        g, phi, theta = (rows(one_by_one(h, part)) for part in ("g", "phi", "theta"))
        n = g.shape[0]
        other = phi.t() if self.case["non_local"] == "transpose" else phi.reshape(c, n)
        affinity = theta @ other
        soft = torch.softmax(affinity, 1)
        y = (soft @ g).t().reshape(1, c, h.shape[2], h.shape[3])
        out = one_by_one(y, "w")
        for name, value in (("theta", theta), ("phi", phi), ("affinity", affinity),
                            ("softmax", soft), ("attended", rows(out))):
            record(name, value)
        return out

    def __call__(self, patch, record):
        def record_map(name, value):
            record(name, value.permute(0, 2, 3, 1))

        value = patch.astype(np.float32) * np.float32(1 / 255) - np.float32(0.5)
        h = torch.from_numpy(value).double().permute(2, 0, 1)[None]
        record_map("input", h)
        ci = 3
        for i, c in enumerate(self.case["channels"][:3], 1):
            h = F.relu(self.conv(h, f"conv{i}/", ci, c, 3))
            record_map(f"conv{i}", h)
            s = self.attention(h, f"conv{i}/ch_at/", c)
            record(f"attention{i}", s)
            h = F.max_pool2d(h * s[:, :, None, None], 2)
            record_map(f"pool{i}", h)
            ci = c
        c = self.case["channels"][3]
        h = F.relu(self.conv(h, "conv4/", ci, c, 3))
        record_map("conv4", h)
        h = F.max_pool2d(h + self.non_local(h, c, record), 2)
        record_map("pool4", h)
        flat = h.permute(0, 2, 3, 1).reshape(-1)
        if self.case["variant"] == "released":
            record("features", flat)  # once; the second half is the same again
            return torch.cat((flat, flat))
        per_channel = h.reshape(c, -1)
        std = torch.sqrt(per_channel.var(1, unbiased=False) + 1e-6)
        flat = torch.cat((per_channel.mean(1), std))
        record("features", flat)
        return flat


class PwJnd(Extractor):
    """Ten convolutions in five blocks (Liu et al. 2020), the last pooled map flattened in HWC order."""

    def __call__(self, patch, record):
        value = patch.astype(np.float32) * np.float32(1 / 255) - np.float32(0.5)
        h = torch.from_numpy(value).double().permute(2, 0, 1)[None]
        record("input", h.permute(0, 2, 3, 1))
        for i, c in enumerate(self.case["channels"], 1):
            for k in (1, 2):
                h = F.relu(self.conv(h, f"conv{i}_{k}/", h.shape[1], c, 3))
                record(f"conv{i}_{k}", h.permute(0, 2, 3, 1))
            h = F.max_pool2d(h, 2)
            record(f"pool{i}", h.permute(0, 2, 3, 1))
        flat = h.permute(0, 2, 3, 1).reshape(-1)
        record("features", flat)
        return flat


class Head:
    def __init__(self, scope, inputs):
        self.k1 = tensor(f"{scope}/block1/weights", (inputs, 512))
        self.b1 = tensor(f"{scope}/block1/biases", (512,))
        self.k2 = tensor(f"{scope}/block2/weights", (512, 1))
        self.b2 = tensor(f"{scope}/block2/biases", (1,))

    def __call__(self, *features):
        hidden = F.relu(torch.cat(features) @ self.k1 + self.b1)
        terms = hidden * self.k2[:, 0]
        return terms.sum() + self.b2[0], terms.abs().sum() + self.b2[0].abs()


def write_layer(group, name, value):
    flat = value.reshape(-1).numpy()
    at = (7919 * np.arange(min(SAMPLES, flat.size)) + 13) % flat.size
    data = group.create_dataset(name, data=flat[at].astype("<f4"))
    data.attrs["count"] = np.int64(flat.size)
    data.attrs["sum"] = flat.sum()
    data.attrs["sum_abs"] = np.abs(flat).sum()


def write_case(out, case):
    size, patches, candidates = case["patch_size"], case["patches"], case["candidates"]
    for key in ("variant", "non_local"):
        if key in case:
            out.attrs[key] = case[key]
    for key in ("patch_size", "patches", "candidates", "channels"):
        out.attrs[key] = np.asarray(case[key], np.int64)
    sees_map = case["variant"] != "pw-jnd"
    picture = (Extractor if sees_map else PwJnd)("extract_feature", case)
    jnd = Extractor("extract_jnd_feature", case) if case["variant"] == "released" else picture

    def features(extractor, name, patch):
        group = out.create_group(name)
        return extractor(patch, lambda layer, value: write_layer(group, layer, value))

    def replicated(patch):
        return np.repeat(patch, 3, axis=2)

    f_r = [features(picture, f"r{p}", pixels(0, p, size, 3)) for p in range(patches)]
    if sees_map:
        f_j = [features(jnd, f"j{p}", replicated(pixels(1, p, size, 1))) for p in range(patches)]
    quality, weight = Head("regressions", 3 * f_r[0].numel()), Head("weightings", 3 * f_r[0].numel())
    q, q_terms, a, a_terms = torch.zeros(4, candidates, patches).double()
    for i in range(candidates):
        for p in range(patches):
            f_d = features(picture, f"d{i}_{p}", pixels(2 + i, p, size, 3))
            q[i, p], q_terms[i, p] = quality(f_r[p], f_d, f_r[p] - f_d)
            third = f_d * f_j[p] if sees_map else f_r[p] - f_d
            a[i, p], a_terms[i, p] = weight(f_r[p], f_d, third)
    a = F.relu(a) + 1e-6
    score = (q * a).sum(1) / a.sum(1)
    for name, value in (("quality", q), ("quality_terms", q_terms), ("weight", a),
                        ("weight_terms", a_terms), ("score", score)):
        out.create_dataset(name, data=value.numpy().astype("<f4"))
    print(out.name, "q", q.numpy(), "a", a.numpy(), "score", score.numpy())


def main():
    torch.set_num_threads(2)
    for file in sys.argv[1:] or FILES:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), file)
        with h5py.File(path, "w", libver="latest") as out, torch.no_grad():
            for name, case in FILES[file].items():
                write_case(out.create_group(name), case)
        print(path, os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
