#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Golden gradients and training steps, computed by PyTorch in double precision.

Writes golden.h5 and, variant pw-jnd, pw_jnd.h5 beside this file, or those named as arguments. Needs torch, numpy and h5py; the project's build and tests do not.
tests/host/test_trainer.c reads it. The network is written from the specification, unfolded; its
gradients are autograd's; Adam, the moving average, Philox4x32-10 and the dropout masks are written
once more here, from their descriptions. Initial weights are those of tests/host/net_formula.h, the
biases of mlp_0 raised by 0.5, the kernels of theta and phi divided by 4.

File: one group per case. Attributes: the network's shape, the plan and the optimiser's constants,
`tensors` = names, one a line, `rates` of the steps. Datasets: the batch (r, j, d u8; reference,
target, importance), `logit` and attribute `loss` of the gradient at attribute `gradient_step`,
`losses` and `logits` [STEPS][pairs] of the training run, and per set of tensors (gradient; weights,
moment_1, moment_2, average after the run) one float32 array [tensors][1 + SKETCH + SAMPLES]:

  the Euclidean norm of the tensor;
  a sketch: sums of sign(i) * x[i] over the elements with i mod SKETCH = k. It is linear, and the
    squared norm of the sketch of a difference has the expectation of the difference's, so that an
    error anywhere in a large tensor shows at its true size without the tensor being stored;
  samples: the elements (7919 k + 13) mod count;

of weights and average it is what the run added to the initial weights. Where attribute full_gradient
is 1, dataset gradient_full holds every gradient but those of the two block1/weights, one tensor after
the other.

A batch may lie so near a kink of a relu or of a maximum that rounding decides the side; data_seed was
chosen among 30 so that this is not so: float32 runs, from weights with noise of 1e-7 as well, agree with
the double one within 2e-5 of the norm of every gradient and moment.

Step t of the run sees the pairs (k + t) mod pairs, k = 0 .. pairs - 1 - (t even).

    make_golden.py [--check] [FILE ...]    --check: also prints the distance of PyTorch's own float32 run
"""
import os
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F

SKETCH, SAMPLES, STEPS = 31, 8, 5
TENSORFLOW = dict(beta_1=0.9, beta_2=0.999, epsilon=1e-8, average=0.9999)
FILES = {"golden.h5": {
    "figure_reshape": dict(variant="figure", non_local="reshape", patch_size=32, channels=(16, 32, 16, 24),
                           patches=2, references=2, pairs=4, keep=1.0, seed=1, data_seed=1014, gradient_step=1,
                           full=False, **TENSORFLOW),
    "figure_transpose_dropout": dict(variant="figure", non_local="transpose", patch_size=16,
                                     channels=(16, 16, 16, 8), patches=3, references=2, pairs=3, keep=0.5,
                                     seed=0x7123456789ABCDEF, data_seed=1017, gradient_step=2**33 + 5, full=True,
                                     beta_1=0.875, beta_2=0.96875, epsilon=2.0**-12, average=0.2),
    "released_reshape_dropout": dict(variant="released", non_local="reshape", patch_size=32,
                                     channels=(16, 16, 32, 12), patches=2, references=2, pairs=3, keep=0.7,
                                     seed=3 * 2**32 + 7, data_seed=1021, gradient_step=3, full=False,
                                     beta_1=0.75, beta_2=0.984375, epsilon=2.0**-14, average=0.9999),
    "released_transpose": dict(variant="released", non_local="transpose", patch_size=16,
                               channels=(32, 16, 16, 20), patches=3, references=2, pairs=4, keep=1.0, seed=4,
                               data_seed=1024, gradient_step=1, full=False, **TENSORFLOW),
}, "pw_jnd.h5": {
    "pw_jnd": dict(variant="pw-jnd", patch_size=32, channels=(16, 16, 32, 16, 16), patches=2, references=2, pairs=4,
                   keep=1.0, seed=5, data_seed=1031, gradient_step=1, full=False, **TENSORFLOW),
    "pw_jnd_dropout": dict(variant="pw-jnd", patch_size=64, channels=(16, 16, 16, 16, 32), patches=2, references=2,
                           pairs=3, keep=0.6, seed=6 * 2**32 + 1, data_seed=1042, gradient_step=4, full=False,
                           beta_1=0.75, beta_2=0.984375, epsilon=2.0**-14, average=0.9999),
}}


# ---- initial weights: the integer formula of tests/host/net_formula.h ----

def mix(x):
    """MurmurHash3's 32-bit finaliser (A. Appleby)."""
    x = np.array(x, np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return x ^ (x >> np.uint32(16))


def initial(name, shape):
    fnv = 0xCBF29CE484222325
    for byte in name.encode():
        fnv = (fnv ^ byte) * 0x100000001B3 & (2**64 - 1)
    count = int(np.prod(shape))
    word = mix(mix([fnv & 0xFFFFFFFF]) + np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9))
    scale = 0.1
    if len(shape) > 1:
        scale = np.sqrt((60.0 if "theta" in name or "phi" in name else 6.0) / (count // shape[-1]))
    value = (word >> np.uint32(8)).astype(np.float32) / np.float32(2**23) - np.float32(1)
    value = value * np.float32(scale)
    if "mlp_0/bias" in name:
        value += np.float32(0.5)  # or whole attentions would be dead
    if "theta_conv/kernel" in name or "phi_conv/kernel" in name:
        value *= np.float32(0.25)  # or rows of the softmax would nearly tie, and with them the pooling's maxima
    return value.reshape(shape)


def shapes(case):
    """Every tensor of the network, by the names and shapes in the specification."""
    out = {}
    if case["variant"] == "pw-jnd":
        ci = 3
        for i, co in enumerate(case["channels"], 1):
            for k in (1, 2):
                out[f"extract_feature/conv{i}_{k}/weights"] = (3, 3, ci, co)
                out[f"extract_feature/conv{i}_{k}/biases"] = (co,)
                ci = co
        return out | head_shapes(3 * (case["patch_size"] // 32) ** 2 * ci)
    c1, c2, c3, c4 = case["channels"]
    for scope in ["extract_feature"] + ["extract_jnd_feature"] * (case["variant"] == "released"):
        for i, ci, co in ((1, 3, c1), (2, c1, c2), (3, c2, c3), (4, c3, c4)):
            out[f"{scope}/conv{i}/weights"] = (3, 3, ci, co)
            out[f"{scope}/conv{i}/biases"] = (co,)
            if i < 4:
                for layer, a, b in (("mlp_0", co, co // 16), ("mlp_1", co // 16, co)):
                    out[f"{scope}/conv{i}/ch_at/{layer}/kernel"] = (a, b)
                    out[f"{scope}/conv{i}/ch_at/{layer}/bias"] = (b,)
        for part in ("g", "phi", "theta", "w"):
            out[f"{scope}/conv4/Non-local4/{part}/{part}_conv/kernel"] = (1, 1, c4, c4)
            out[f"{scope}/conv4/Non-local4/{part}/{part}_conv/bias"] = (c4,)
    inputs = 3 * 2 * c4
    if case["variant"] == "released":
        inputs *= (case["patch_size"] // 16) ** 2
    return out | head_shapes(inputs)


def head_shapes(inputs):
    out = {}
    for head in ("regressions", "weightings"):
        out[f"{head}/block1/weights"], out[f"{head}/block1/biases"] = (inputs, 512), (512,)
        out[f"{head}/block2/weights"], out[f"{head}/block2/biases"] = (512, 1), (1,)
    return out


# ---- dropout ----

def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011). counter: four uint64 arrays below 2^32; key: two integers."""
    c, k = [np.asarray(x, np.uint64) for x in counter], list(key)
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), b & low,
             (a >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]), a & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(np.broadcast_arrays(*c), -1)


assert [hex(int(x)) for x in philox([0] * 4, (0, 0))] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


def dropout(case, step, head, rows):
    """[rows][512]: 1/keep where the upper 24 bits of the unit's word lie below keep * 2^24, else 0."""
    keep = np.float32(case["keep"])
    index = ((np.arange(rows) * 2 + head) * 128)[:, None] + np.arange(128)
    purpose = 7
    word = philox([step & 0xFFFFFFFF, step >> 32, index, purpose],
                  [case["seed"] & 0xFFFFFFFF, case["seed"] >> 32]).reshape(rows, 512)
    kept = (word >> np.uint64(8)) < int(keep * np.float32(2**24))
    return np.where(kept, np.float32(1) / keep, np.float32(0))


# ---- the network, unfolded, patches along the batch dimension ----

def extract(w, scope, case, patches):
    """patches: u8 [n][S][S][1 or 3] -> [n][features], HWC order."""
    def tensor(name):
        return w[f"{scope}/{name}"]

    def convolution(h, kernel, bias):
        k = tensor(kernel)
        return F.conv2d(h, k.permute(3, 2, 0, 1), tensor(bias), padding=k.shape[0] // 2)

    value = patches.astype(np.float32) * np.float32(1 / 255) - np.float32(0.5)
    h = torch.from_numpy(np.broadcast_to(value, value.shape[:3] + (3,)).copy())
    h = h.to(next(iter(w.values())).dtype).permute(0, 3, 1, 2)
    if case["variant"] == "pw-jnd":
        for i in range(1, 6):
            for k in (1, 2):
                h = torch.relu(convolution(h, f"conv{i}_{k}/weights", f"conv{i}_{k}/biases"))
            h = F.max_pool2d(h, 2)
        return h.permute(0, 2, 3, 1).reshape(len(h), -1)
    for i in (1, 2, 3):
        h = torch.relu(convolution(h, f"conv{i}/weights", f"conv{i}/biases"))
        at = f"conv{i}/ch_at/"

        def mlp(v):
            hidden = torch.relu(v @ tensor(at + "mlp_0/kernel") + tensor(at + "mlp_0/bias"))
            return hidden @ tensor(at + "mlp_1/kernel") + tensor(at + "mlp_1/bias")

        s = torch.sigmoid(mlp(h.mean(dim=(2, 3))) + mlp(h.flatten(2).max(dim=2).values))
        h = F.max_pool2d(h * s[:, :, None, None], 2)
    h = torch.relu(convolution(h, "conv4/weights", "conv4/biases"))

    def project(v, part):
        return convolution(v, f"conv4/Non-local4/{part}/{part}_conv/kernel", f"conv4/Non-local4/{part}/{part}_conv/bias")

    n, c, side, _ = h.shape
    g, phi, theta = (project(h, part).permute(0, 2, 3, 1).reshape(n, side * side, c) for part in ("g", "phi", "theta"))
    other = phi.transpose(1, 2) if case["non_local"] == "transpose" else phi.reshape(n, c, side * side)
    y = torch.softmax(torch.bmm(theta, other), dim=2).bmm(g)
    h = h + project(y.reshape(n, side, side, c).permute(0, 3, 1, 2), "w")
    h = F.max_pool2d(h, 2).permute(0, 2, 3, 1)  # NHWC
    if case["variant"] == "released":
        return h.reshape(n, -1).repeat(1, 2)
    mean = h.mean(dim=(1, 2))
    variance = ((h - mean[:, None, None, :]) ** 2).mean(dim=(1, 2))
    return torch.cat((mean, torch.sqrt(variance + 1e-6)), dim=1)


def forward(w, case, batch, step):
    """Logits [pairs], loss, and the margins that say how far the batch is from a kink of the heads."""
    jnd = "extract_jnd_feature" if case["variant"] == "released" else "extract_feature"
    size, p, pairs = case["patch_size"], case["patches"], len(batch["reference"])

    def features(scope, patches, channels):
        return extract(w, scope, case, patches.reshape(-1, size, size, channels)).reshape(len(patches), p, -1)

    f_r = features("extract_feature", batch["r"], 3)[batch["reference"]]
    f_d = features("extract_feature", batch["d"], 3)

    def head(scope, number, third):
        x = torch.cat((f_r, f_d, third), dim=2).reshape(pairs * p, -1)
        hidden = torch.relu(x @ w[f"{scope}/block1/weights"] + w[f"{scope}/block1/biases"])
        hidden = hidden * torch.from_numpy(dropout(case, step, number, pairs * p)).to(hidden.dtype)
        return (hidden @ w[f"{scope}/block2/weights"] + w[f"{scope}/block2/biases"]).reshape(pairs, p)

    q = head("regressions", 0, f_r - f_d)
    if case["variant"] == "pw-jnd":
        third = f_r - f_d
    else:
        third = f_d * features(jnd, batch["j"], 1)[batch["reference"]]
    before = head("weightings", 1, third)
    a = torch.relu(before) + 1e-6
    logit = (q * a).sum(1) / a.sum(1)
    target, importance = (torch.from_numpy(batch[k]).to(logit.dtype) for k in ("target", "importance"))
    loss = (importance * F.binary_cross_entropy_with_logits(logit, target, reduction="none")).sum()
    return logit, loss, before


def gradients(w, case, batch, step):
    leaves = {name: value.detach().clone().requires_grad_(True) for name, value in w.items()}
    logit, loss, before = forward(leaves, case, batch, step)
    loss.backward()
    return {n: v.grad for n, v in leaves.items()}, logit.detach(), loss.detach(), before.detach()


# ---- data ----

def textured(rng, count, size, channels, top):
    """u8 patches [count][size][size][channels]: a level, a slope and noise of its own for each."""
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    level = rng.uniform(0.2, 0.8, (count, 1, 1, channels))
    slope = rng.uniform(-0.3, 0.3, (count, 2, 1, 1, channels))
    noise = rng.uniform(0.02, 0.3, (count, 1, 1, 1)) * rng.uniform(-1, 1, (count, size, size, channels))
    value = level + slope[:, 0] * x[None, :, :, None] + slope[:, 1] * y[None, :, :, None] + noise
    return np.clip(np.round(value * top), 0, top).astype(np.uint8)


def make_batch(case, seed):
    rng = np.random.default_rng(seed)
    size, p, references, pairs = (case[k] for k in ("patch_size", "patches", "references", "pairs"))
    r = textured(rng, references * p, size, 3, 255)
    j = textured(rng, references * p, size, 1, 220)
    reference = np.arange(pairs) % references
    step = rng.integers(3, 40, pairs)
    shape = (-1, p, size, size)
    d = r.reshape(*shape, 3)[reference].astype(np.int64)
    d = d // step[:, None, None, None, None] * step[:, None, None, None, None] + rng.integers(0, 9, d.shape)
    return dict(r=r.reshape(*shape, 3), j=j.reshape(*shape, 1), d=np.clip(d, 0, 255).astype(np.uint8),
                reference=reference, target=(np.arange(pairs) % 3 != 1).astype(np.float32),
                importance=rng.uniform(0.5, 3, pairs).astype(np.float32))


def at_step(batch, t):
    pairs = len(batch["reference"])
    pick = (np.arange(pairs - (t % 2 == 0)) + t) % pairs
    return {k: v if k in "rj" else v[pick] for k, v in batch.items()}


# ---- training ----

def train(w, case, batch, rates):
    """TensorFlow's Adam and the moving average of the weights; returns the four sets and the logs."""
    w = {n: v.clone() for n, v in w.items()}
    m, v = ({n: torch.zeros_like(x) for n, x in w.items()} for _ in range(2))
    average = {n: x.clone() for n, x in w.items()}
    losses, logits = [], []
    for t in range(1, STEPS + 1):
        g, logit, loss, _ = gradients(w, case, at_step(batch, t), t)
        losses.append(float(loss))
        logits.append(np.pad(logit.numpy(), (0, case["pairs"] - len(logit))))
        rate = rates[t - 1] * np.sqrt(1 - case["beta_2"] ** t) / (1 - case["beta_1"] ** t)
        decay = min(case["average"], t / (9 + t))
        for n in w:
            m[n] = case["beta_1"] * m[n] + (1 - case["beta_1"]) * g[n]
            v[n] = case["beta_2"] * v[n] + (1 - case["beta_2"]) * g[n] ** 2
            w[n] = w[n] - rate * m[n] / (torch.sqrt(v[n]) + case["epsilon"])
            average[n] = decay * average[n] + (1 - decay) * w[n]
    return dict(weights=w, moment_1=m, moment_2=v, average=average), np.array(losses), np.array(logits)


# ---- file ----

def sketch(x):
    i = np.arange(x.size)
    signed = np.where(mix(i + 0x5EED) & 1, x, -x)
    return np.bincount(i % SKETCH, signed, SKETCH)


def summary(x):
    flat = x.reshape(-1).numpy()
    samples = flat[(7919 * np.arange(SAMPLES) + 13) % flat.size]
    return np.concatenate(([np.linalg.norm(flat)], sketch(flat), samples))


def distance(have, want, base=None):
    """Largest relative error of a tensor, and whose."""
    worst = (0.0, "")
    for n, x in want.items():
        norm = (x if base is None else x - base[n]).norm()
        if norm > 1e-12:
            worst = max(worst, (float((have[n].double() - x).norm() / norm), n))
    return worst


def write_case(out, case, check):
    w = {n: torch.from_numpy(initial(n, s)).double() for n, s in shapes(case).items()}
    batch = make_batch(case, case["data_seed"])
    rates = [2e-4, 1e-3, 5e-4, 1e-4, 3e-4]
    g, logit, loss, before = gradients(w, case, batch, case["gradient_step"])
    sets, losses, logits = train(w, case, batch, rates)

    for key in ("variant", "non_local"):
        if key in case:
            out.attrs[key] = case[key]
    for key in ("patch_size", "patches", "references", "pairs", "channels", "seed", "gradient_step"):
        out.attrs[key] = np.asarray(case[key], np.int64)
    for key in ("keep", "beta_1", "beta_2", "epsilon", "average"):
        out.attrs[key] = np.float64(case[key])
    out.attrs["rates"] = np.asarray(rates)
    out.attrs["tensors"] = "\n".join(w)
    out.attrs["full_gradient"] = np.int64(case["full"])
    out.attrs["loss"] = float(loss)
    for key in ("r", "j", "d"):
        out.create_dataset(key, data=batch[key])
    for key in ("target", "importance"):
        out.create_dataset(key, data=batch[key])
    out.create_dataset("reference", data=batch["reference"].astype(np.uint8))
    for key, value in (("logit", logit.numpy()), ("losses", losses), ("logits", logits)):
        out.create_dataset(key, data=value.astype("<f4"))
    for key, tensors in (("gradient", g), *sets.items()):
        rows = [summary(x - w[n] if key in ("weights", "average") else x) for n, x in tensors.items()]
        out.create_dataset(key, data=np.asarray(rows, "<f4"))
    if case["full"]:
        every = [x.reshape(-1).numpy() for n, x in g.items() if not n.endswith("block1/weights")]
        out.create_dataset("gradient_full", data=np.concatenate(every).astype("<f4"))

    positive = before > 0
    print(f"{out.name}: loss {float(loss):.6f} logits {logit.numpy()} losses {losses}")
    print(f"  patches with a weight: {int(positive.sum())} of {positive.numel()}, nearest to the kink {before.abs().min():.2e};",
          "tensors without a gradient:", [n for n, x in g.items() if x.norm() < 1e-12])
    if check:
        single = {n: v.float() for n, v in w.items()}
        g32, logit32, _, _ = gradients(single, case, batch, case["gradient_step"])
        print("  float32: gradient", distance(g32, g), "logit", float((logit32 - logit).abs().max()))
        sets32, _, logits32 = train(single, case, batch, rates)
        print("  float32: logits of the run", np.abs(logits32 - logits).max(1))
        for key, have in sets32.items():
            print("  float32:", key, distance(have, sets[key], w if key in ("weights", "average") else None))


def main():
    torch.set_num_threads(1)
    for file in [a for a in sys.argv[1:] if a != "--check"] or FILES:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), file)
        with h5py.File(path, "w", libver="latest") as out:
            for name, case in FILES[file].items():
                write_case(out.create_group(name), case, "--check" in sys.argv)
        print(path, os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
