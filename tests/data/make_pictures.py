#!/usr/bin/env python3
"""Writes tests/data/pictures: one small file of every kind, and the pixels that Pillow reads from it.

Needs, in a throw-away environment: pip install pillow==13.0.0 numpy safetensors
    make_pictures.py [FOLDER]
expected.safetensors: "{file}" uint8 [height, width, 3], upright.
"""
import pathlib
import struct
import sys

import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import save_file

root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "pictures"
root.mkdir(parents=True, exist_ok=True)
y, x = np.mgrid[0:16, 0:24]
colours = np.stack([x * 10, y * 15, 255 - x * 5 - y * 5], axis=-1).astype(np.uint8)
picture = Image.fromarray(colours)
expected = {}


def keep(name, pixels=None):
    if pixels is None:
        pixels = np.asarray(ImageOps.exif_transpose(Image.open(root / name)).convert("RGB"))
    expected[name] = np.ascontiguousarray(pixels)


picture.save(root / "colours.png"), keep("colours.png")
picture.convert("L").save(root / "grey.png"), keep("grey.png")
picture.quantize(16).save(root / "palette.png"), keep("palette.png")
picture.save(root / "colours.bmp"), keep("colours.bmp")
seen = picture.copy()
seen.putalpha(Image.fromarray((x * 10).astype(np.uint8)))
seen.save(root / "transparent.png"), keep("transparent.png", colours)
Image.fromarray((colours[:, :, 0].astype(np.uint16) * 257)).save(root / "grey16.png")
keep("grey16.png", np.repeat(colours[:, :, :1], 3, axis=2))
picture.save(root / "colours.jpg", quality=95), keep("colours.jpg")
picture.convert("CMYK").save(root / "cmyk.jpg", quality=95), keep("cmyk.jpg")
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(root / f"turned{orientation}.jpg", quality=95, exif=exif), keep(f"turned{orientation}.jpg")
frames = [picture.quantize(16), Image.new("RGB", (24, 16), (255, 0, 0)).quantize(16)]
frames[0].save(root / "animated.gif", save_all=True, append_images=frames[1:]), keep("animated.gif")
frames[0].save(root / "interlaced.gif", interlace=1), keep("interlaced.gif")
picture.convert("L").save(root / "grey.gif"), keep("grey.gif")
# Noise fills the LZW table; a row of one colour makes the strings long.
noise = Image.fromarray(np.random.default_rng(3).integers(0, 256, (96, 128), dtype=np.uint8), "L")
noise.paste(7, (0, 0, 128, 16)), noise.save(root / "noise.gif"), keep("noise.gif")


def moved(name, screen, left, top, **settings):
    """The first picture elsewhere on a screen of another size: what Pillow does not write itself."""
    frames[0].save(root / "moved.gif", interlace=0, **settings)
    data = bytearray((root / "moved.gif").read_bytes())
    (root / "moved.gif").unlink()
    at = 13 + 3 * (2 << (data[10] & 7))
    while data[at] == ord("!"):
        at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    data[6:10] = struct.pack("<HH", *screen)
    data[at + 1:at + 5] = struct.pack("<HH", left, top)
    (root / name).write_bytes(data)
    keep(name)


moved("offset.gif", (30, 20), 5, 3)
moved("offset_transparent.gif", (30, 20), 5, 3, transparency=9)
moved("beyond.gif", (8, 9), 2, 1)
picture.save(root / "animated.png", save_all=True, append_images=[frames[1].convert("RGB")]), keep("animated.png")
save_file(expected, root / "expected.safetensors")
