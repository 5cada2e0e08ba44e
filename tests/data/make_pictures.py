#!/usr/bin/env python3
"""Writes tests/data/pictures: one small file of every kind, and the pixels that Pillow reads from it.

Needs, in a throw-away environment: pip install pillow numpy safetensors
    make_pictures.py [FOLDER]
expected.safetensors: "{file}" uint8 [height, width, 3], upright.
"""
import pathlib
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
picture.save(root / "animated.png", save_all=True, append_images=[frames[1].convert("RGB")]), keep("animated.png")
save_file(expected, root / "expected.safetensors")
