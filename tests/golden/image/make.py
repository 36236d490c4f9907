#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the picture files of this folder, which tests/host/test_image.c and test_image_write.c read.

PNG, BMP and PNM files are put together here byte by byte, from the formulas below, which the test
repeats; Pillow then has to read the same samples from them. JPEG files come from Pillow and cjpeg,
the expected pixels (*.raw) from Pillow, and djpeg has to agree.

Needs numpy, Pillow and libjpeg-turbo's programs. Usage: make.py (writes beside itself).
"""
import io
import os
import struct
import subprocess
import zlib

import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, HEIGHT = 21, 13
JPEG_WIDTH, JPEG_HEIGHT = 37, 29


def sample(x, y, c):
    return (11 * x + 7 * y + 85 * c + 3 * x * y) & 255


def opacity(x, y):
    return (37 * x + 90 * y) & 255


def entry(i):
    return ((3 * i) & 255, (255 - 5 * i) & 255, (7 * i + 1) & 255)


def grid(f):
    return np.array([[f(x, y) for x in range(WIDTH)] for y in range(HEIGHT)], np.uint8)


GREY = grid(lambda x, y: sample(x, y, 0))
RGB = np.stack([grid(lambda x, y, c=c: sample(x, y, c)) for c in range(3)], axis=2)
ALPHA = grid(opacity)


def save(name, data):
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(data)
    return data


def agree(data, expected, mode):
    got = np.asarray(Image.open(io.BytesIO(data)).convert(mode))
    assert got.shape == expected.shape and (got == expected).all(), mode


# ---- PNG ----


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def pack_row(row, depth):
    """One row of samples (a list of integers) at 1, 2, 4, 8 or 16 bits each."""
    bits = "".join(format(int(v), "0%db" % depth) for v in row)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def pack_image(samples, depth):
    """Filter byte 0 in front of each row; a height x width x channels array."""
    return b"".join(b"\0" + pack_row(row.reshape(-1), depth) for row in samples)


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def pack_interlaced(samples, depth):
    parts = [samples[y0::dy, x0::dx] for x0, y0, dx, dy in ADAM7]
    return b"".join(pack_image(p, depth) for p in parts if p.size)


SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(samples, kind, depth=8, interlace=0, before=b""):
    """kind: PNG colour type; `before`: chunks between IHDR and IDAT."""
    samples = samples.reshape(HEIGHT, WIDTH, -1)
    rows = (pack_interlaced if interlace else pack_image)(samples, depth)
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, kind, 0, 0, interlace)
    return (SIGNATURE + chunk(b"IHDR", head) + before + chunk(b"IDAT", zlib.compress(rows, 9))
            + chunk(b"IEND", b""))


def palette(count):
    return chunk(b"PLTE", b"".join(bytes(entry(i)) for i in range(count)))


def make_png():
    grey_alpha = np.dstack([GREY, ALPHA])
    rgb_alpha = np.dstack([RGB, ALPHA])
    agree(save("grey8.png", png(GREY, 0)), GREY, "L")
    agree(save("grey8_i.png", png(GREY, 0, interlace=1)), GREY, "L")
    for depth, scale in (1, 255), (2, 85), (4, 17):
        low = GREY & ((1 << depth) - 1)
        agree(save("grey%d.png" % depth, png(low, 0, depth)), low * scale, "L")
    agree(save("rgb.png", png(RGB, 2)), RGB, "RGB")
    agree(save("rgb_i.png", png(RGB, 2, interlace=1)), RGB, "RGB")
    # Colour chunks and texts, to be ignored: gamma 0.1, a "profile" of rubbish, a comment.
    extras = (chunk(b"gAMA", struct.pack(">I", 10000)) + chunk(b"iCCP", b"x\0\0" + zlib.compress(b"rubbish"))
              + chunk(b"tEXt", b"Comment\0ignored"))
    agree(save("rgb_extras.png", png(RGB, 2, before=extras)), RGB, "RGB")
    for depth in 1, 4, 8:
        count = min(1 << depth, 200)
        index = GREY % count
        colours = np.array([entry(i) for i in range(count)], np.uint8)[index]
        agree(save("palette%d.png" % depth, png(index, 3, depth, before=palette(count))), colours, "RGB")
    agree(save("palette4_i.png", png(GREY % 16, 3, 4, 1, palette(16))),
          np.array([entry(i) for i in range(16)], np.uint8)[GREY % 16], "RGB")
    agree(save("grey_alpha.png", png(grey_alpha, 4)), grey_alpha, "LA")
    agree(save("rgb_alpha.png", png(rgb_alpha, 6)), rgb_alpha, "RGBA")
    agree(save("rgb_alpha_i.png", png(rgb_alpha, 6, interlace=1)), rgb_alpha, "RGBA")
    # Transparent: grey 40, the colour of pixel (3, 2), palette entries 0..9 by opacity 20*i.
    save("grey_trns.png", png(GREY, 0, before=chunk(b"tRNS", struct.pack(">H", 40))))
    save("rgb_trns.png", png(RGB, 2, before=chunk(b"tRNS", struct.pack(">3H", *map(int, RGB[2, 3])))))
    save("palette_trns.png", png(GREY % 16, 3, before=palette(16)
                                 + chunk(b"tRNS", bytes(20 * i for i in range(10)))))
    # Opaque in spite of an alpha channel, or of a transparent entry that no pixel has.
    opaque = np.full_like(ALPHA, 255)
    agree(save("grey_opaque.png", png(np.dstack([GREY, opaque]), 4)), GREY, "L")
    agree(save("rgb_opaque.png", png(np.dstack([RGB, opaque]), 6)), RGB, "RGB")
    agree(save("palette_opaque.png", png(GREY % 16, 3, before=palette(17)
                                         + chunk(b"tRNS", b"\xff" * 16 + b"\0"))),
          np.array([entry(i) for i in range(16)], np.uint8)[GREY % 16], "RGB")
    save("grey16.png", png(GREY.astype(int) * 257, 0, 16))
    save("rgb16.png", png(RGB.astype(int) * 257, 2, 16))
    save("animated.png", png(RGB, 2, before=chunk(b"acTL", struct.pack(">II", 1, 0))))
    save("palette_index.png", png(GREY % 17, 3, before=palette(16)))
    save("palette_index1.png", png(GREY & 1, 3, 1, before=palette(1)))
    save("palette_missing.png", png(GREY % 16, 3))
    save("critical.png", png(RGB, 2, before=chunk(b"ABCD", b"?")))


# ---- BMP ----


def bmp_rows(rows, top_down=False):
    """Rows of bytes, padded to 4."""
    padded = [r + b"\xee" * (-len(r) % 4) for r in rows]
    return b"".join(padded if top_down else padded[::-1])


def bmp(header, middle, rows, gap=b""):
    """`middle`: masks or palette; `gap`: bytes before the pixels that belong to nothing."""
    offset = 14 + len(header) + len(middle) + len(gap)
    size = offset + len(rows)
    return b"BM" + struct.pack("<IHHI", size, 0, 0, offset) + header + middle + gap + rows


def info_header(depth, compression=0, colours=0, size=40, height=HEIGHT, tail=b""):
    head = struct.pack("<IiiHHIIiiII", size, WIDTH, height, 1, depth, compression, 0, 0, 0, colours, 0)
    return (head + tail).ljust(size, b"\0")


def core_header(depth):
    return struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, depth)


def bgr(i):
    return bytes(entry(i)[::-1])


def make_bmp():
    rows24 = [RGB[y, :, ::-1].tobytes() for y in range(HEIGHT)]
    rows8 = [(GREY[y] % 200).tobytes() for y in range(HEIGHT)]
    greys = [GREY[y].tobytes() for y in range(HEIGHT)]
    filler = np.full_like(ALPHA, 77)
    rows32 = [np.dstack([RGB[..., ::-1], filler])[y].tobytes() for y in range(HEIGHT)]
    # Masked: bytes in the order alpha, red, green, blue.
    rows_argb = [np.dstack([ALPHA, RGB])[y].tobytes() for y in range(HEIGHT)]
    masks = struct.pack("<III", 0x0000FF00, 0x00FF0000, 0xFF000000)
    colours = np.array([entry(i) for i in range(200)], np.uint8)[GREY % 200]
    ramp = b"".join(bytes((i, i, i, 0)) for i in range(256))
    palette4 = b"".join(bgr(i) + b"\0" for i in range(200))
    palette3 = b"".join(bgr(i) for i in range(200))

    agree(save("rgb24.bmp", bmp(info_header(24), b"", bmp_rows(rows24))), RGB, "RGB")
    # What vj_image_write_bmp() writes: the same with zeroed padding and the size of the pixels.
    zeroed = b"".join((r + b"\0" * (-len(r) % 4)) for r in rows24[::-1])
    head = bytearray(info_header(24))
    head[20:24] = struct.pack("<I", len(zeroed))
    agree(save("written.bmp", bmp(bytes(head), b"", zeroed)), RGB, "RGB")
    agree(save("rgb24_top.bmp", bmp(info_header(24, height=-HEIGHT), b"", bmp_rows(rows24, True))), RGB, "RGB")
    agree(save("rgb24_core.bmp", bmp(core_header(24), b"", bmp_rows(rows24))), RGB, "RGB")
    agree(save("rgb24_gap.bmp", bmp(info_header(24, size=124), b"", bmp_rows(rows24), b"gap!")), RGB, "RGB")
    agree(save("pal8.bmp", bmp(info_header(8, colours=200), palette4, bmp_rows(rows8))), colours, "RGB")
    save("pal8_core.bmp", bmp(core_header(8), palette3, bmp_rows(rows8)))
    agree(save("grey8.bmp", bmp(info_header(8), ramp, bmp_rows(greys))), GREY, "L")
    agree(save("rgb32.bmp", bmp(info_header(32), b"", bmp_rows(rows32))), RGB, "RGB")
    save("masks.bmp", bmp(info_header(32, 3), masks, bmp_rows(rows_argb)))
    save("masks_v4.bmp", bmp(info_header(32, 3, size=108, tail=masks + b"\0" * 4), b"", bmp_rows(rows_argb)))
    save("alpha_v5.bmp", bmp(info_header(32, 3, size=124, tail=masks + struct.pack("<I", 0xFF)), b"",
                             bmp_rows(rows_argb)))
    rows_opaque = [np.dstack([np.full_like(ALPHA, 255), RGB])[y].tobytes() for y in range(HEIGHT)]
    save("alpha_opaque.bmp", bmp(info_header(32, 6), masks + struct.pack("<I", 0xFF),
                                 bmp_rows(rows_opaque)))
    save("alpha_appended.bmp", bmp(info_header(32, 6), masks + struct.pack("<I", 0xFF), bmp_rows(rows_argb)))


# ---- PPM and PGM ----


def text_samples(values):
    words = [str(v) for v in values]
    lines = [" ".join(words[i : i + 15]) for i in range(0, len(words), 15)]
    return "\n".join(lines).encode() + b"\n"


def make_pnm():
    size = b"%d %d" % (WIDTH, HEIGHT)
    agree(save("p5.pgm", b"P5\n" + size + b"\n255\n" + GREY.tobytes()), GREY, "L")
    agree(save("p6.ppm", b"P6\n# a comment\n" + size + b" # another\n255\n" + RGB.tobytes()), RGB, "RGB")
    agree(save("p2.pgm", b"P2\n" + size + b"\n255\n" + text_samples(GREY.reshape(-1))), GREY, "L")
    agree(save("p3.ppm", b"P3 # text\r\n" + size + b"\t255\n" + text_samples(RGB.reshape(-1))), RGB, "RGB")


# ---- JPEG ----


def run(*command, data):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def ppm(pixels):
    kind = b"P6" if pixels.ndim == 3 else b"P5"
    return kind + b"\n%d %d\n255\n" % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes()


def decoded(data):
    im = Image.open(io.BytesIO(data))
    assert im.mode in ("L", "RGB")
    pixels = np.asarray(im).tobytes()
    assert run("djpeg", "-pnm", data=data).split(b"\n255\n", 1)[1] == pixels
    return pixels


def pillow_jpeg(pixels, **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", **options)
    return out.getvalue()


def segments(data):
    """(marker, start, end) up to and with SOS; `end` of SOS is where its coded data begin."""
    at, found = 2, []
    while True:
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        found.append((marker, at, at + 2 + length))
        at += 2 + length
        if marker == 0xDA:
            return found


def two_components(data):
    """A grey file whose frame and scan name a second component like the first."""
    out = data[:2]
    for marker, start, end in segments(data):
        body = data[start + 4 : end]
        if marker == 0xC0:
            body = body[:5] + b"\2" + body[6:9] + b"\x02\x11\0"
        if marker == 0xDA:
            body = b"\2\1\0\2\0" + body[3:]
        out += bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body
    return out + data[segments(data)[-1][2] :]


def wide_tables(data):
    """The same file with 16-bit entries in its quantisation tables."""
    out = data[:2]
    for marker, start, end in segments(data):
        body = data[start + 4 : end]
        if marker == 0xDB:
            assert len(body) == 65
            body = bytes((body[0] | 0x10,)) + b"".join(b"\0" + bytes((v,)) for v in body[1:])
        out += bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body
    return out + data[segments(data)[-1][2] :]


def make_jpeg():
    rng = np.random.default_rng(20240611)
    y, x = np.mgrid[0:JPEG_HEIGHT, 0:JPEG_WIDTH]
    smooth = np.stack([128 + 100 * np.sin(x / 5 + c) * np.cos(y / (4 + c)) for c in range(3)], axis=2)
    picture = np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
    grey = picture[..., 1].copy()
    save("source.raw", picture.tobytes())

    for sampling, name in (2, "420"), (0, "444"), (1, "422"):
        data = save("j%s.jpg" % name, pillow_jpeg(picture, quality=75, subsampling=sampling))
        save("j%s.raw" % name, decoded(data))
    data = save("jgrey.jpg", pillow_jpeg(grey, quality=60))
    save("jgrey.raw", decoded(data))

    same = decoded(pillow_jpeg(picture, quality=75, subsampling=2))  # other codings of j420.jpg
    source = ppm(picture)
    script = os.path.join(HERE, "scans.txt")
    with open(script, "w") as f:
        f.write("0;\n1;\n2;\n")
    for name, options in (("jprogressive", ["-progressive"]), ("jarithmetic", ["-arithmetic"]),
                          ("jrestart", ["-restart", "1B"]), ("jscans", ["-scans", script])):
        data = save(name + ".jpg", run("cjpeg", "-quality", "75", *options, data=source))
        assert decoded(data) == same, name
    os.remove(script)
    data = save("jrgb.jpg", run("cjpeg", "-rgb", "-quality", "90", data=source))
    save("jrgb.raw", decoded(data))

    small = picture[:8, :8].copy()
    save("q5_wide.jpg", run("cjpeg", "-quality", "5", data=ppm(small)))  # entries above 255
    q30 = pillow_jpeg(small, quality=30, subsampling=2)
    save("q30_wide.jpg", wide_tables(q30))
    tables = [list(t) for t in Image.open(io.BytesIO(q30)).quantization.values()]
    tables[1][5] += 1
    save("q30_chroma.jpg", pillow_jpeg(small, qtables=tables, subsampling=2))
    tables[0][9] += 1
    save("q_custom.jpg", pillow_jpeg(small, qtables=tables, subsampling=2))

    cmyk = io.BytesIO()
    Image.fromarray(np.dstack([small, small[..., 0]]), "CMYK").save(cmyk, "JPEG")
    save("cmyk.jpg", cmyk.getvalue())
    small_grey = pillow_jpeg(grey[:8, :8].copy(), quality=60)
    save("two.jpg", two_components(small_grey))
    keep = [(m, a, b) for m, a, b in segments(small_grey) if m in (0xDB, 0xC4)]
    save("tables.jpg", small_grey[:2] + b"".join(small_grey[a:b] for _, a, b in keep) + b"\xff\xd9")


if __name__ == "__main__":
    make_png()
    make_bmp()
    make_pnm()
    make_jpeg()
