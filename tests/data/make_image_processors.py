#!/usr/bin/env python3
"""Writes tests/data/image_processors: small pictures, settings of image processors, and what Transformers makes.

Needs, in a throw-away environment: pip install torch transformers==5.23.0 safetensors pillow==13.0.0 numpy
    make_image_processors.py [FOLDER]
cases.json lists cases: name, picture, config (a preprocessor_config.json). expected.safetensors holds the pictures
"picture.{name}" uint8 [height, width, 3], the results "{case}" float32 [3, height, width] (of pictures that become
several [n, 3, height, width]), and Pillow's own resizing
"resize.{picture}.{filter}.{width}x{height}" uint8 [height, width, 3]. Pillow 13 squeezes some pictures vertically first,
which rounds otherwise: of the sizes of "tall" the first and the third are such, the second is the last that is not.
"""
import json
import pathlib
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

CLASSES = {"ViT": ViTImageProcessorPil, "DeiT": DeiTImageProcessorPil, "Bit": BitImageProcessorPil,
           "CLIP": CLIPImageProcessorPil, "Siglip": SiglipImageProcessorPil, "Llava": LlavaImageProcessorPil,
           "LlavaNext": LlavaNextImageProcessorPil, "Idefics3": Idefics3ImageProcessorPil, "SmolVLM": SmolVLMImageProcessorPil,
           "Qwen2VL": Qwen2VLImageProcessorPil}
PINPOINTS = [[12, 24], [24, 12], [24, 24], [36, 12], [12, 36]]
SQUARE = {"height": 12, "width": 12}
QWEN = dict(patch_size=4, merge_size=2, temporal_patch_size=2)
# name: (picture, class, settings)
CASES = {
    "vit": ("wide", "ViT", dict(size=SQUARE)),
    "vit_number": ("tall", "ViT", dict(size=13)),
    "vit_larger": ("tiny", "ViT", dict(size={"height": 17, "width": 20}, resample=3)),
    "vit_lanczos": ("wide", "ViT", dict(size={"height": 9, "width": 14}, resample=1, do_normalize=False)),
    "vit_nearest": ("wide", "ViT", dict(size={"height": 9, "width": 14}, resample=0, do_rescale=False, do_normalize=False)),
    "vit_own_colours": ("tall", "ViT", dict(size=SQUARE, image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6],
                                            rescale_factor=0.01)),
    "deit": ("wide", "DeiT", dict(size={"height": 16, "width": 16}, crop_size=SQUARE)),
    "bit_odd_crop": ("tall", "Bit", dict(size={"shortest_edge": 14}, crop_size={"height": 11, "width": 12})),
    "clip_wide": ("wide", "CLIP", dict(size={"shortest_edge": 12}, crop_size=SQUARE)),
    "clip_tall": ("tall", "CLIP", dict(size=13, crop_size=12)),
    "clip_crop_beyond": ("tiny", "CLIP", dict(do_resize=False, crop_size={"height": 12, "width": 7})),
    "clip_edges": ("wide", "CLIP", dict(size={"shortest_edge": 12, "longest_edge": 15}, do_center_crop=False)),
    "vit_within": ("tall", "ViT", dict(size={"max_height": 12, "max_width": 14})),
    "siglip": ("wide", "Siglip", dict(size=SQUARE)),
    "llava_wide": ("wide", "Llava", dict(do_pad=True, size={"shortest_edge": 12}, crop_size=SQUARE)),
    "llava_tall": ("tall", "Llava", dict(do_pad=True, size={"shortest_edge": 12}, crop_size=SQUARE)),
    "clip_padded": ("tiny", "CLIP", dict(do_resize=False, do_center_crop=False, do_pad=True,
                                         pad_size={"height": 10, "width": 12})),
    "qwen_between": ("wide", "Qwen2VL", dict(size={"shortest_edge": 64, "longest_edge": 4000}, **QWEN)),
    "qwen_smaller": ("tall", "Qwen2VL", dict(min_pixels=64, max_pixels=500, **QWEN)),
    "qwen_larger": ("tiny", "Qwen2VL", dict(min_pixels=700, max_pixels=4000, **QWEN)),
    "qwen_usual": ("wide", "Qwen2VL", dict()),
    "siglip_paligemma": ("tall", "Siglip", dict(size={"height": 16, "width": 16}, resample=3)),
    "next_wide": ("wide", "LlavaNext", dict(size={"shortest_edge": 12}, crop_size=SQUARE, image_grid_pinpoints=PINPOINTS)),
    "next_tall": ("tall", "LlavaNext", dict(size=SQUARE, crop_size=SQUARE, image_grid_pinpoints=PINPOINTS)),
    "next_flat": ("flat", "LlavaNext", dict(size={"shortest_edge": 12}, crop_size=SQUARE, image_grid_pinpoints=PINPOINTS)),
    "next_tiny": ("tiny", "LlavaNext", dict(size={"shortest_edge": 12}, crop_size=SQUARE, image_grid_pinpoints=PINPOINTS)),
    "idefics_wide": ("wide", "Idefics3", dict(size={"longest_edge": 36}, max_image_size={"longest_edge": 12})),
    "idefics_tall": ("tall", "Idefics3", dict(size={"longest_edge": 29}, max_image_size={"longest_edge": 12})),
    "idefics_flat": ("flat", "SmolVLM", dict(size={"longest_edge": 48}, max_image_size={"longest_edge": 12})),
    "idefics_small": ("tiny", "Idefics3", dict(size={"longest_edge": 12}, max_image_size={"longest_edge": 12})),
    "idefics_whole": ("wide", "SmolVLM", dict(size={"longest_edge": 31}, max_image_size={"longest_edge": 12},
                                              do_image_splitting=False)),
    "idefics_as_it_is": ("flat", "Idefics3", dict(do_resize=False, max_image_size={"longest_edge": 16})),
}


def unpatched(patches, height, width, patch_size=14, merge_size=2, temporal_patch_size=2):
    """The picture that Qwen's rows of patches were cut from, [3, height, width]; its frames are equal."""
    p, m = patch_size, merge_size
    cells = patches.reshape(height // m, width // m, m, m, 3, temporal_patch_size, p, p)
    assert (cells[..., 0, :, :] == cells[..., -1, :, :]).all()
    return cells[..., 0, :, :].transpose(4, 0, 2, 5, 1, 3, 6).reshape(3, height * p, width * p)


def picture(width, height, generator):
    """Waves, an edge and noise: what filters treat differently."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 90 * np.sin(x / 2.0 + c) * np.cos(y / 3.0 - c) for c in range(3)]
    made = np.stack(waves, axis=-1) + generator.normal(0, 20, (height, width, 3))
    made[height // 3:height // 2, width // 4:width // 2] = (255, 0, 255)
    return np.clip(made, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "image_processors"
    root.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(7)
    pictures = {"wide": picture(41, 29, generator), "tall": picture(23, 38, generator), "tiny": picture(7, 5, generator)}
    pictures["flat"] = picture(61, 11, generator)
    kept = {f"picture.{name}": torch.from_numpy(values) for name, values in pictures.items()}
    rows = []
    for name, (which, kind, settings) in CASES.items():
        processor = CLASSES[kind](**settings)
        made = processor(Image.fromarray(pictures[which]))
        values = made["pixel_values"][0]
        if kind == "Qwen2VL":
            sides = {key: settings[key] for key in QWEN if key in settings}
            values = unpatched(np.asarray(made["pixel_values"]), *np.asarray(made["image_grid_thw"])[0, 1:].tolist(), **sides)
        kept[name] = torch.from_numpy(np.array(values, dtype=np.float32))
        rows.append({"name": name, "picture": which, "config": {"image_processor_type": kind + "ImageProcessor", **settings}})
    for name, sizes in {"wide": ((10, 8), (60, 47), (41, 11)), "tall": ((13, 13), (10, 12), (30, 20), (12, 30))}.items():
        for filter in range(6):
            for width, height in sizes:
                resized = Image.fromarray(pictures[name]).resize((width, height), resample=filter)
                kept[f"resize.{name}.{filter}.{width}x{height}"] = torch.from_numpy(np.array(resized))
    (root / "cases.json").write_text(json.dumps(rows, indent=1) + "\n")
    save_file({key: value.contiguous() for key, value in kept.items()}, root / "expected.safetensors")
    print(len(rows), "cases,", sum(path.stat().st_size for path in root.iterdir()), "bytes")
