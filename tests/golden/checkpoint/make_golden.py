#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a small TensorFlow V2 checkpoint with nothing but the standard library.

A second implementation of the format, so that the reader in host/checkpoint.c is not only held
against a writer by the same hand: golden.index and its two shards, golden-snappy.index (the same
table with Snappy blocks, for the same shards) and golden.txt, what is in it, one tensor a line.

    python3 make_golden.py            write the files beside this script
    python3 make_golden.py --list F   print any raw (not Snappy) index file in golden.txt's form
"""
import os
import struct
import sys

MAGIC = 0xDB4775248B80FB57
DTYPES = {"float32": (1, "f"), "float64": (2, "d"), "int32": (3, "i"), "int64": (9, "q"), "uint8": (4, "B")}
NAMES = {number: name for name, (number, _) in DTYPES.items()}

# name, type, shape, shard
TENSORS = [
    ("beta1_power", "float32", [], 0),
    ("encoder/conv/biases", "float32", [7], 0),
    ("encoder/conv/biases/Adam", "float32", [7], 0),
    ("encoder/conv/weights", "float32", [3, 3, 2, 7], 1),
    ("encoder/conv/weights/Adam", "float32", [3, 3, 2, 7], 0),
    ("encoder/empty", "float32", [4, 0], 1),
    ("encoder/steps", "int64", [2], 1),
    ("flags", "uint8", [5], 0),
    ("global_step", "int32", [], 1),
    ("head/dense", "float32", [130], 1),
    ("head/dense/Adam", "float32", [130], 1),
    ("mean", "float64", [3], 0),
    ("o", "float32", [1, 1, 1, 1, 1, 1, 1, 2], 1),
]


def values(index, dtype, count):
    """The numbers of tensor `index`; the C test computes the same."""
    if dtype.startswith("float"):
        return [((37 * i) % 101 - 50) / 8 + index for i in range(count)]
    return [(37 * i) % 101 + index for i in range(count)]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def mask(crc):
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def unmask(masked):
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def number_field(field, n):
    return varint(field << 3) + varint(n) if n else b""


def bytes_field(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def entry_proto(dtype, shape, shard, offset, data):
    dims = b"".join(bytes_field(2, number_field(1, n)) for n in shape)
    return (number_field(1, DTYPES[dtype][0]) + bytes_field(2, dims) + number_field(3, shard) +
            number_field(4, offset) + number_field(5, len(data)) +
            varint(6 << 3 | 5) + struct.pack("<I", mask(crc32c(data))))


def shared_prefix(a, b):
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return n


def block(pairs, interval):
    out, restarts, previous = bytearray(), [], b""
    for i, (key, value) in enumerate(pairs):
        shared = 0
        if i % interval == 0:
            restarts.append(len(out))
        else:
            shared = shared_prefix(previous, key)
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    restarts = restarts or [0]
    return bytes(out) + struct.pack("<%dI" % (len(restarts) + 1), *restarts, len(restarts))


def snappy_literal(data):
    out = bytearray()
    for at in range(0, len(data), 60):
        piece = data[at:at + 60]
        out.append(len(piece) - 1 << 2)
        out += piece
    return bytes(out)


def snappy(data):
    """Snappy's raw format: length, then literals (tag 0) and copies with 2-byte offsets (tag 2)."""
    out, at, literal = bytearray(varint(len(data))), 0, 0
    while at < len(data):
        found, length = -1, 0
        for n in range(min(64, len(data) - at), 3, -1):
            found = data.rfind(data[at:at + n], max(0, at - 65535), at)
            if found >= 0:
                length = n
                break
        if length == 0:
            at += 1
            continue
        out += snappy_literal(data[literal:at])
        out += bytes([length - 1 << 2 | 2]) + struct.pack("<H", at - found)
        at += length
        literal = at
    return bytes(out + snappy_literal(data[literal:]))


def separator(last, following):
    """A short key that is not below `last` and below `following`, as LevelDB makes it."""
    if following is None:
        for i, byte in enumerate(last):
            if byte != 0xFF:
                return last[:i] + bytes([byte + 1])
        return last
    n = shared_prefix(last, following)
    if n < min(len(last), len(following)) and last[n] < 0xFF and last[n] + 1 < following[n]:
        return last[:n] + bytes([last[n] + 1])
    return last


def table(pairs, compress, block_size=160, interval=4):
    out, index, start = bytearray(), [], 0

    def add(contents):
        kind = 1 if compress else 0
        stored = (snappy(contents) if compress else contents) + bytes([kind])
        handle = varint(len(out)) + varint(len(stored) - 1)
        out.extend(stored + struct.pack("<I", mask(crc32c(stored))))
        return handle

    for end in range(1, len(pairs) + 1):
        size = len(block(pairs[start:end], interval))
        if size < block_size and end < len(pairs):
            continue
        following = pairs[end][0] if end < len(pairs) else None
        index.append((separator(pairs[end - 1][0], following), add(block(pairs[start:end], interval))))
        start = end
    metaindex = add(block([], interval))
    handles = metaindex + add(block(index, 1))
    return bytes(out) + handles.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def read_varint(data, at):
    n = shift = 0
    while True:
        n |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return n, at


def read_block(data, offset, size):
    """Pairs of a raw block, in order."""
    stored = data[offset:offset + size + 1]
    assert stored[-1] == 0 and unmask(struct.unpack_from("<I", data, offset + size + 1)[0]) == crc32c(stored)
    end = size - 4 - 4 * struct.unpack_from("<I", stored, size - 4)[0]
    at, key, pairs = 0, b"", []
    while at < end:
        shared, at = read_varint(stored, at)
        fresh, at = read_varint(stored, at)
        length, at = read_varint(stored, at)
        key = key[:shared] + stored[at:at + fresh]
        pairs.append((key, stored[at + fresh:at + fresh + length]))
        at += fresh + length
    return pairs


def read_proto(data):
    fields, at = [], 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 0:
            n, at = read_varint(data, at)
        elif tag & 7 == 5:
            n, at = struct.unpack_from("<I", data, at)[0], at + 4
        else:
            assert tag & 7 == 2
            size, at = read_varint(data, at)
            n, at = data[at:at + size], at + size
        fields.append((tag >> 3, n))
    return fields


def listing(data):
    assert struct.unpack_from("<Q", data, len(data) - 8)[0] == MAGIC
    at, handles = len(data) - 48, []
    for _ in range(4):
        n, at = read_varint(data, at)
        handles.append(n)
    lines = []
    for _, handle in read_block(data, handles[2], handles[3]):
        offset, at = read_varint(handle, 0)
        for key, value in read_block(data, offset, read_varint(handle, at)[0]):
            if not key:
                continue
            e = dict(read_proto(value))
            dims = [dict(read_proto(dim)).get(1, 0) for field, dim in read_proto(e.get(2, b""))]
            lines.append("%s %s %s %d %d %d %08x\n" % (
                key.decode(), NAMES.get(e[1], "unknown"), "[" + ",".join(map(str, dims)) + "]",
                e.get(3, 0), e.get(4, 0), e.get(5, 0), unmask(e[6])))
    return "".join(lines)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    if len(sys.argv) == 3 and sys.argv[1] == "--list":
        with open(sys.argv[2], "rb") as f:
            sys.stdout.write(listing(f.read()))
        return
    shards = [bytearray(), bytearray()]
    header = number_field(1, len(shards)) + bytes_field(3, number_field(1, 1))
    pairs, lines = [(b"", header)], []
    for index, (name, dtype, shape, shard) in enumerate(TENSORS):
        count = 1
        for n in shape:
            count *= n
        data = struct.pack("<%d%s" % (count, DTYPES[dtype][1]), *values(index, dtype, count))
        offset = len(shards[shard])
        pairs.append((name.encode(), entry_proto(dtype, shape, shard, offset, data)))
        shards[shard] += data
        lines.append("%s %s %s %d %d %d %08x\n" % (name, dtype, "[" + ",".join(map(str, shape)) + "]",
                                                  shard, offset, len(data), crc32c(data)))
    files = {"golden.index": table(pairs, False), "golden-snappy.index": table(pairs, True),
             "golden.txt": "".join(lines).encode()}
    for i, data in enumerate(shards):
        files["golden.data-%05d-of-%05d" % (i, len(shards))] = bytes(data)
    for name, data in files.items():
        with open(os.path.join(here, name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
