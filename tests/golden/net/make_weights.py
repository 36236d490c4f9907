#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A small weight file made by h5py and hashlib alone, for tests/host/test_weights_file.c to read.

Written from the format's description in host/weights.h: variable-length and fixed-length text
attributes, both of which readers must take, and the SHA-256 over name, NUL, rank, shape, data.
"""
import hashlib
import os
import struct

import h5py
import numpy as np

from make_golden import tensor

CHANNELS = (16, 16, 16, 2)


def names_and_shapes():
    ci = 3
    for i, c in enumerate(CHANNELS[:3], 1):
        yield f"extract_feature/conv{i}/weights", (3, 3, ci, c)
        yield f"extract_feature/conv{i}/biases", (c,)
        for name, a, b in (("mlp_0", c, c // 16), ("mlp_1", c // 16, c)):
            yield f"extract_feature/conv{i}/ch_at/{name}/kernel", (a, b)
            yield f"extract_feature/conv{i}/ch_at/{name}/bias", (b,)
        ci = c
    c = CHANNELS[3]
    yield "extract_feature/conv4/weights", (3, 3, ci, c)
    yield "extract_feature/conv4/biases", (c,)
    for part in ("g", "phi", "theta", "w"):
        yield f"extract_feature/conv4/Non-local4/{part}/{part}_conv/kernel", (1, 1, c, c)
        yield f"extract_feature/conv4/Non-local4/{part}/{part}_conv/bias", (c,)
    for head in ("regressions", "weightings"):
        yield f"{head}/block1/weights", (3 * 2 * c, 512)
        yield f"{head}/block1/biases", (512,)
        yield f"{head}/block2/weights", (512, 1)
        yield f"{head}/block2/biases", (1,)


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "weights.h5")
    digest = hashlib.sha256()
    with h5py.File(path, "w") as out:
        for name, shape in names_and_shapes():
            data = tensor(name, shape).numpy().astype("<f4")
            digest.update(name.encode() + b"\0" + struct.pack("<Q", len(shape)))
            digest.update(struct.pack(f"<{len(shape)}Q", *shape) + data.tobytes())
            out.create_dataset(name, data=data)
        out.attrs["schema"] = "vpjnd-weights"
        out.attrs["schema_version"] = np.int32(1)
        out.attrs["variant"] = np.bytes_("figure")
        out.attrs["patch_size"] = np.uint16(32)
        out.attrs["patches"] = 7
        out.attrs["channels"] = np.asarray(CHANNELS, ">i4")
        out.attrs["non_local"] = "reshape"
        out.attrs["positive_class"] = np.bytes_("lossless")
        out.attrs["origin"] = "imported"
        out.attrs["origin_text"] = "formula, written by h5py \u2014 \u00fc"
        out.attrs["sha256"] = digest.hexdigest()
        out.attrs["program_version"] = "none"
    print(path, os.path.getsize(path), "bytes", digest.hexdigest())


if __name__ == "__main__":
    main()
