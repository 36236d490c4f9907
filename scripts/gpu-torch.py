#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The program's networks in PyTorch: checks their scores against the program's and times them.

    gpu-torch.py WEIGHTS.h5 DUMP.h5 [--device cuda|cpu] [--patches P] [--candidates N] [--ours LOG]

WEIGHTS.h5 is a weight file of the program, DUMP.h5 what tests/cuda/dump_scores made with it. Two
forms are timed in fp32, tf32 and fp16 (on a CPU fp32 alone), layers channels_last:

    shared   features of the reference (and of its pixel-JND map, where the network sees one) are
             there once, candidates pass in batches (the fastest of several sizes counts); what
             bench_net_gpu times of the program
    naive    one candidate after the other, all streams of it, as VP-JND's graph does

Medians of CUDA events after warm-up. --ours reads the output of bench_net_gpu and adds how many
times faster the program is.
"""
import argparse
import re
import statistics
import sys
import time

import h5py
import numpy as np
import torch
import torch.nn.functional as F

LIMIT = {"fp32": 1e-4, "tf32": 2e-2, "fp16": 2e-2}  # of scores, over the largest; as in the suite


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def kernel3x3(weights, kind):
    """HWIO as the weight file has it -> OIHW."""
    return weights.permute(3, 2, 0, 1).to(**kind, memory_format=torch.channels_last)


class Blocks:
    """Extractor of pw-jnd: five blocks of two convolutions and a pool."""

    def __init__(self, tensor, kind):
        names = [f"extract_feature/conv{block}_{k}" for block in range(1, 6) for k in (1, 2)]
        self.conv = [(kernel3x3(tensor(f"{name}/weights"), kind),
                      tensor(f"{name}/biases").to(**kind)) for name in names]

    def __call__(self, h):
        for i, (kernel, bias) in enumerate(self.conv):
            h = torch.relu(F.conv2d(h, kernel, bias, padding=1))
            h = F.max_pool2d(h, 2) if i % 2 else h
        return h


class Extractor:
    """Extractor of VP-JNDnet: channel attention behind three convolutions, a non-local block."""

    def __init__(self, tensor, scope, transpose, kind):
        def get(name):
            return tensor(f"{scope}/{name}")

        self.transpose = transpose
        self.kernel = [kernel3x3(get(f"conv{i}/weights"), kind) for i in range(1, 5)]
        self.bias = [get(f"conv{i}/biases").to(**kind) for i in range(1, 5)]
        self.mlp = [[get(f"conv{i}/ch_at/mlp_{k}/{part}").to(**kind)
                     for k in range(2) for part in ("kernel", "bias")] for i in range(1, 4)]
        self.one = {}
        for name in ("theta", "phi", "g", "w"):
            at = f"conv4/Non-local4/{name}/{name}_conv"
            k = get(f"{at}/kernel")
            self.one[name] = (k.reshape(k.shape[-2:]).t().contiguous().to(**kind),
                              get(f"{at}/bias").to(**kind))

    @staticmethod
    def attention(h, weights):
        k0, b0, k1, b1 = weights
        logit = sum(torch.relu(v @ k0 + b0) @ k1 + b1 for v in (h.mean((2, 3)), h.amax((2, 3))))
        return h * torch.sigmoid(logit)[:, :, None, None]

    def non_local(self, h):
        b, c, y, x = h.shape
        tokens = h.permute(0, 2, 3, 1).reshape(b, y * x, c)
        theta, phi, g = (F.linear(tokens, *self.one[name]) for name in ("theta", "phi", "g"))
        phi = phi.transpose(1, 2) if self.transpose else phi.reshape(b, c, y * x)
        out = F.linear(torch.softmax(theta @ phi, -1) @ g, *self.one["w"])
        return out.reshape(b, y, x, c).permute(0, 3, 1, 2)

    def __call__(self, h):
        for i in range(3):
            h = torch.relu(F.conv2d(h, self.kernel[i], self.bias[i], padding=1))
            h = F.max_pool2d(self.attention(h, self.mlp[i]), 2)
        h = torch.relu(F.conv2d(h, self.kernel[3], self.bias[3], padding=1))
        return F.max_pool2d(h + self.non_local(h), 2)


class Network:
    def __init__(self, path, device, dtype):
        kind = dict(device=device, dtype=dtype)
        self.kind = kind
        with h5py.File(path) as f:
            self.variant = text(f.attrs["variant"])
            self.size = int(f.attrs["patch_size"])

            def tensor(name):
                return torch.from_numpy(f[name][()])

            if self.variant == "pw-jnd":
                self.picture = Blocks(tensor, kind)
            else:
                transpose = text(f.attrs["non_local"]) == "transpose"
                self.picture = Extractor(tensor, "extract_feature", transpose, kind)
            self.maps = self.picture
            if self.variant == "released":
                self.maps = Extractor(tensor, "extract_jnd_feature", transpose, kind)
            self.heads = [[(tensor(f"{scope}/block{k}/weights").t().contiguous().to(**kind),
                            tensor(f"{scope}/block{k}/biases").to(**kind)) for k in (1, 2)]
                          for scope in ("regressions", "weightings")]

    def input(self, u8):
        """[n][S][S][1 or 3] u8 as the layers take it."""
        x = u8.to(**self.kind) * (1.0 / 255.0) - 0.5
        x = x.permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
        return x.contiguous(memory_format=torch.channels_last)

    def features(self, extractor, u8):
        last = extractor(self.input(u8)).permute(0, 2, 3, 1)
        if self.variant != "figure":
            f = last.reshape(last.shape[0], -1)
            return f if self.variant == "pw-jnd" else torch.cat([f, f], 1)
        flat = last.reshape(last.shape[0], -1, last.shape[3]).float()
        deviation = torch.sqrt(flat.var(1, unbiased=False) + 1e-6)
        return torch.cat([flat.mean(1), deviation], 1).to(self.kind["dtype"])

    @staticmethod
    def head(head, x):
        return F.linear(torch.relu(F.linear(x, *head[0])), *head[1])[:, 0]

    def patches(self, f_r, f_d, f_j):
        """f_j: None for pw-jnd, whose weights come from what its qualities come from."""
        difference = torch.cat([f_r, f_d, f_r - f_d], 1)
        product = difference if f_j is None else torch.cat([f_r, f_d, f_d * f_j], 1)
        quality = self.head(self.heads[0], difference)
        weight = torch.relu(self.head(self.heads[1], product))
        return quality.float(), weight.float() + 1e-6

    def reference(self, r, j):
        f_j = None if self.variant == "pw-jnd" else self.features(self.maps, j)
        return self.features(self.picture, r), f_j

    def shared(self, sides, d, rows):
        """d: [n][P][S][S][3]; rows: candidates of a batch. Scores [n], qualities and weights."""
        n, patches = d.shape[:2]
        f_r, f_j = sides
        out = []
        for first in range(0, n, rows):
            part = d[first:first + rows]
            f_d = self.features(self.picture, part.flatten(0, 1))
            times = part.shape[0]
            q, a = self.patches(f_r.repeat(times, 1), f_d,
                                None if f_j is None else f_j.repeat(times, 1))
            q, a = q.reshape(-1, patches), a.reshape(-1, patches)
            out.append(((q * a).sum(1) / a.sum(1), q, a))
        return tuple(torch.cat(part) for part in zip(*out))

    def naive(self, r, j, d):
        """One candidate at a time, everything from the start."""
        out = []
        for part in d:
            f_r, f_j = self.reference(r, j)
            q, a = self.patches(f_r, self.features(self.picture, part), f_j)
            out.append(((q * a).sum() / a.sum(), q, a))
        return tuple(torch.stack(part) for part in zip(*out))


def timed(device, run, repeats, warm_up=3):
    """Median milliseconds."""
    ms = []
    for i in range(warm_up + repeats):
        if device == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            run()
            end.record()
            end.synchronize()
            elapsed = start.elapsed_time(end)
        else:
            begin = time.perf_counter()
            run()
            elapsed = 1e3 * (time.perf_counter() - begin)
        if i >= warm_up:
            ms.append(elapsed)
    return statistics.median(ms)


def check(network, dump, precision, device):
    """Whether both forms give the program's values in fp32; other precisions are only shown."""
    r, d = (torch.from_numpy(dump[k][()].astype(np.uint8)).to(device) for k in ("r", "d"))
    j = torch.from_numpy(dump["j"][()].astype(np.uint8)).to(device)[..., None]
    want = [dump[k][()] for k in ("score", "quality", "weight")]
    good = True
    with torch.inference_mode():
        forms = {"shared": network.shared(network.reference(r, j), d, 2),
                 "naive": network.naive(r, j, d)}
    for form, have in forms.items():
        have = [part.cpu().numpy() for part in have]
        error = np.max([np.abs(h - w).max() / np.abs(w).max() for h, w in zip(have, want)])
        fine = bool(error <= LIMIT[precision])  # not when it is NaN
        good = good and (fine or precision != "fp32")
        print(f"  {form}: values differ from the program's by {error:.1e} of the largest"
              f"{'' if fine else f', more than {LIMIT[precision]:.0e}'}")
    return good


def ours(path, variant, precision):
    """Patches per second of the program's candidates, from bench_net_gpu's output, or None."""
    found, at = None, (None, None)
    block = None
    with open(path, encoding="utf-8") as log:
        for line in log:
            if line.startswith("precision "):
                block = line.split()[1]
            elif m := re.match(r"(released|figure|pw-jnd), weights", line):
                at = (m[1], block)
            elif (m := re.search(r"candidates .*: (\d+) patches/s", line)) and \
                    at == (variant, precision):
                found = float(m[1])
    return found


def bench(network, args, precision):
    size, patches, n = network.size, args.patches, args.candidates
    noise = torch.Generator().manual_seed(1)

    def make(*shape):
        return torch.randint(0, 256, shape, generator=noise, dtype=torch.uint8).to(args.device)

    r, j, d = make(patches, size, size, 3), make(patches, size, size, 1), make(n, patches, size,
                                                                               size, 3)
    repeats = 11 if args.device == "cuda" else 1
    warm_up = 3 if args.device == "cuda" else 0
    with torch.inference_mode():
        sides = network.reference(r, j)
        best = None
        for rows in sorted({min(n, k) for k in (4, 10, 20, 50)}):
            try:
                ms = timed(args.device, lambda: network.shared(sides, d, rows), repeats, warm_up)
            except torch.cuda.OutOfMemoryError:
                torch.cuda.empty_cache()
                continue
            if best is None or ms < best[0]:
                best = (ms, rows)
        few = d[:max(1, n // 10)]
        naive = timed(args.device, lambda: network.naive(r, j, few), repeats, warm_up)
    naive *= n / few.shape[0]
    speed = {"shared": 1e3 * n * patches / best[0], "naive": 1e3 * n * patches / naive}
    print(f"  shared: {n} candidates of {patches} patches {best[0]:.3f} ms, batches of "
          f"{best[1] * patches}: {speed['shared']:.0f} patches/s")
    print(f"  naive:  {n} candidates of {patches} patches {naive:.3f} ms: "
          f"{speed['naive']:.0f} patches/s")
    mine = ours(args.ours, network.variant, precision) if args.ours else None
    if mine:
        print(f"  the program: {mine:.0f} patches/s, {mine / speed['shared']:.2f} times shared "
              f"(goal 1.5), {mine / speed['naive']:.2f} times naive")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("dump")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--patches", type=int, default=32)
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--ours", metavar="LOG")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu-torch.py: PyTorch sees no GPU; --device cpu checks the scores without one")
    where = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    torch.backends.cudnn.benchmark = True
    good = True
    for precision in ("fp32", "tf32", "fp16") if args.device == "cuda" else ("fp32",):
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
        network = Network(args.weights, args.device,
                          torch.float16 if precision == "fp16" else torch.float32)
        print(f"PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {where}, "
              f"{network.variant}, {precision}")
        with h5py.File(args.dump) as dump:
            good = check(network, dump, precision, args.device) and good
        bench(network, args, precision)
        del network
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
