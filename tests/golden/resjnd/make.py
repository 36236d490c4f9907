#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Golden files of resjnd24: PyTorch's own file format, convolutions and arithmetic.

    python3 tests/golden/resjnd/make.py          writes the files beside this script
    python3 tests/golden/resjnd/make.py --full W H FILE.pth FILE.ppm FILE.f32
                                                 published width, for timing and checks by hand

The network is random (seed 24), 8 channels wide, and in double precision where maps are made: our
maps are held against exact ones. Weights are scaled so that 25 recursions neither die nor explode.

    net.pth        the state dictionary, in the order of DRRN's layers, names with "module."
    nested.pth     the same numbers under "state_dict" beside other things, in another order, with
                   conv1 a view into a larger storage
    biased.pth, larger.pth, twice.pth, nan.pth, three.pth
                   no ResJND, each for its own reason
    picture.ppm    70x61
    map.f32        float32 [61][70]
    cpl.f32        float32 [3][61][70]
"""
import collections
import pathlib
import sys

import numpy as np
import torch

HERE = pathlib.Path(__file__).parent
RECURSIONS = 25


class ResJND(torch.nn.Module):
    """x in 0..1; rectifiers work in place, so `residual` is relu(a) from the first recursion on."""

    def __init__(self, width):
        super().__init__()
        self.input = torch.nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.output = torch.nn.Conv2d(width, 3, 3, padding=1, bias=False)
        self.conv1 = torch.nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv2 = torch.nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.relu = torch.nn.ReLU(inplace=True)

    def forward(self, x):
        residual = self.input(x)
        out = residual
        for _ in range(RECURSIONS):
            out = self.conv2(self.relu(self.conv1(self.relu(out))))
            out = out + torch.relu(residual)
        return self.output(self.relu(out)) + x


def random_network(width):
    torch.manual_seed(24)
    net = ResJND(width)
    with torch.no_grad():
        for name, p in net.named_parameters():
            gain = {"input.weight": 1.0, "output.weight": 0.05}.get(name, 0.75)
            p.normal_(0, gain * (2.0 / (9 * p.shape[1])) ** 0.5)
    return net


def picture(width, height):
    rng = np.random.default_rng(24)
    y, x = np.mgrid[0:height, 0:width]
    base = np.stack([127 + 100 * np.sin(x / 5.0), 255.0 * y / height, 40.0 * ((x // 9 + y // 7) % 5)])
    return np.clip(base + rng.normal(0, 12, base.shape), 0, 255).astype(np.uint8)


def run(net, rgb, dtype):
    x = torch.from_numpy(rgb.astype(np.float64)).to(dtype)[None] / 255
    with torch.no_grad():
        cpl = net.to(dtype)(x)
        jnd = (255 * (cpl - x).abs()).pow(2).mean(1).sqrt()
    return jnd[0].numpy().astype("<f4"), (255 * cpl[0]).numpy().astype("<f4")


def write_ppm(path, rgb):
    with open(path, "wb") as f:
        f.write(b"P6\n%d %d\n255\n" % (rgb.shape[2], rgb.shape[1]))
        f.write(rgb.transpose(1, 2, 0).tobytes())


def save_nested(net, path):
    s = net.state_dict()
    pool = torch.zeros(2 * s["conv1.weight"].numel())
    conv1 = pool[7 : 7 + s["conv1.weight"].numel()].view(s["conv1.weight"].shape)
    conv1.copy_(s["conv1.weight"])
    state = collections.OrderedDict(
        [("c.1", conv1), ("first", s["input.weight"]), ("c.2", s["conv2.weight"]),
         ("last", s["output.weight"])])
    torch.save({"epoch": 300, "lr": 1e-4, "done": True, "steps": [1, 2.5, None],
                "big": -(1 << 40), "state_dict": state}, path)


def save_others(net):
    """What the importer must refuse."""
    state = net.state_dict()

    def save(name, **other):
        torch.save(collections.OrderedDict({**state, **other}), HERE / name)

    save("biased.pth", bias=torch.zeros(8))
    save("nan.pth", **{"output.weight": torch.full((3, 8, 3, 3), float("nan"))})
    small = {k: v for k, v in state.items() if k != "conv2.weight"}
    torch.save({**small, "conv2.weight": torch.zeros(8, 8, 5, 5)}, HERE / "larger.pth")
    torch.save({**small, "again": torch.zeros(8, 3, 3, 3)}, HERE / "twice.pth")
    torch.save(ResJND(3).state_dict(), HERE / "three.pth")


def main():
    if sys.argv[1:2] == ["--full"]:
        width, height = int(sys.argv[2]), int(sys.argv[3])
        net, rgb = random_network(128), picture(width, height)
        torch.save(net.state_dict(), sys.argv[4])
        write_ppm(sys.argv[5], rgb)
        run(net, rgb, torch.float32)[0].tofile(sys.argv[6])
        return
    net, rgb = random_network(8), picture(70, 61)
    state = net.state_dict()
    torch.save(collections.OrderedDict(("module." + k, v) for k, v in state.items()), HERE / "net.pth")
    save_nested(net, HERE / "nested.pth")
    save_others(net)
    write_ppm(HERE / "picture.ppm", rgb)
    jnd, cpl = run(net, rgb, torch.float64)
    jnd.tofile(HERE / "map.f32")
    cpl.tofile(HERE / "cpl.f32")
    print(jnd.min(), jnd.mean(), jnd.max(), np.abs(jnd - run(net, rgb, torch.float32)[0]).max())


main()
