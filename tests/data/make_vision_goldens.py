#!/usr/bin/env python3
"""Writes tests/data/vision_goldens: tiny random checkpoints that read pictures and what Transformers computes.

Needs, in a throw-away environment: pip install torch transformers==5.23.0 safetensors pillow
    make_vision_goldens.py [FOLDER] [NAME...]
All weights are random, the numbers are float32 from the eager attention path. Names in expected.safetensors:
  pixels [3, height, width]: what enters; answer [n]: logits, or features before they are normalised;
  attn.{l} [head, query, key], hidden.{l} [n, width] (what enters layer l)
  of pairs also text.ids, text.answer, text.attn.{l}, text.hidden.{l} and similarity [1]
  of decoders ids [n] (placeholders as often as the picture has positions) and logits [n, n_vocab] instead of answer,
  and, where the prompt is seen in both directions, generated_from [1]: the first token that is not
  of decoders that cut pictures into tiles picture [height, width, 3] instead of pixels, and prompt [n]: ids with one
  placeholder for each picture
  pixels.{i} where there is more than one picture; decoded.ids [m] and decoded.logits [m, n_vocab]: the m tokens that
  greedy decoding with a cache goes on with, and the logits that each was taken from
index.json lists the variants: name, model_type, special.
"""
import json
import pathlib
import shutil
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (CLIPConfig, CLIPModel, CLIPVisionConfig, DeiTConfig, DeiTForImageClassification,
                          DeiTForImageClassificationWithTeacher, Dinov2Config, Dinov2ForImageClassification,
                          Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersForImageClassification,
                          Gemma2Config, GemmaConfig, Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor,
                          LlamaConfig, LlavaConfig, LlavaForConditionalGeneration,
                          LlavaNextConfig, LlavaNextForConditionalGeneration, MistralConfig,
                          PaliGemmaConfig, PaliGemmaForConditionalGeneration, PreTrainedTokenizerFast, Qwen2_5_VLConfig,
                          Qwen2_5_VLForConditionalGeneration, Qwen2Config, Qwen2VLConfig, Qwen2VLForConditionalGeneration,
                          SiglipConfig, SiglipForImageClassification, SiglipModel, SiglipVisionConfig, SmolVLMConfig,
                          SmolVLMForConditionalGeneration, ViTConfig, ViTForImageClassification)
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

EAGER = dict(attn_implementation="eager")
VIT = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, patch_size=8)
DINO = dict(hidden_size=32, mlp_ratio=2, num_hidden_layers=2, num_attention_heads=4, patch_size=8, image_size=24)
TEXT = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, vocab_size=96,
            max_position_embeddings=12, bos_token_id=90, eos_token_id=91, pad_token_id=1)
DECODER = dict(vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
               num_key_value_heads=2, max_position_embeddings=64)
NAMES = {i: name for i, name in enumerate(["cat", "dog", "owl", "elk", "fox"])}
SHAPES = dict(num_labels=5, id2label=NAMES, label2id={name: i for i, name in NAMES.items()})
IMAGE_TOKEN = 92
QWEN_TEXT = dict(DECODER, num_attention_heads=2, num_key_value_heads=1, bos_token_id=1, eos_token_id=None,
                 rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[2, 3, 3]))
QWEN_TOKENS = dict(image_token_id=IMAGE_TOKEN, video_token_id=93, vision_start_token_id=94, vision_end_token_id=95)
QWEN_SIDES = dict(patch_size=4, temporal_patch_size=2)
QWEN_VISION = dict(spatial_merge_size=2, num_heads=2, **QWEN_SIDES)
QWEN_SECOND_PICTURE = (16, 8)
LONGER = dict(DECODER, max_position_embeddings=160)
PINPOINTS = [[24, 48], [48, 24], [48, 48], [72, 24]]


def pair(config, vision, text, **more):
    return config(vision_config=vision, text_config=text, **more)


def llava(vision, text, **more):
    return LlavaForConditionalGeneration._from_config(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=IMAGE_TOKEN, **more), **EAGER)


def qwen(model, config, vision, tied=False):
    return model._from_config(config(vision_config=dict(QWEN_VISION, **vision), text_config=QWEN_TEXT, tie_word_embeddings=tied,
                                     **QWEN_TOKENS), **EAGER)


def paligemma(text, width=32):
    return PaliGemmaForConditionalGeneration._from_config(
        PaliGemmaConfig(vision_config=SiglipVisionConfig(image_size=24, vision_use_head=False, **dict(VIT, hidden_size=24)),
                        text_config=text, image_token_index=IMAGE_TOKEN, projection_dim=width, hidden_size=width), **EAGER)


def llava_next(vision, text, **more):
    return LlavaNextForConditionalGeneration._from_config(LlavaNextConfig(
        vision_config=vision, text_config=text, image_token_index=IMAGE_TOKEN, image_grid_pinpoints=PINPOINTS, **more), **EAGER)


def idefics(config, model, text, patch=4, scale=2):
    vision = dict(hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=24, patch_size=patch)
    return model._from_config(config(vision_config=vision, text_config=text, image_token_id=IMAGE_TOKEN, scale_factor=scale), **EAGER)


# name: (model, height and width of the picture, what is special about it)
VARIANTS = {
    "vit": (lambda: ViTForImageClassification._from_config(ViTConfig(image_size=[24, 32], **VIT, **SHAPES), **EAGER),
            (24, 32), "classes, a grid of 3 by 4"),
    "vit_resampled": (lambda: ViTForImageClassification._from_config(
        ViTConfig(image_size=24, qkv_bias=False, **VIT, **SHAPES), **EAGER), (40, 32), "positions resampled to 5 by 4"),
    "deit": (lambda: DeiTForImageClassificationWithTeacher._from_config(DeiTConfig(image_size=24, **VIT, **SHAPES), **EAGER),
             (24, 24), "a distillation token, the mean of two heads"),
    "deit_one_head": (lambda: DeiTForImageClassification._from_config(DeiTConfig(image_size=24, **VIT, **SHAPES), **EAGER),
                      (24, 24), "a distillation token that no head reads"),
    "dinov2": (lambda: Dinov2ForImageClassification._from_config(Dinov2Config(**DINO, **SHAPES), **EAGER), (16, 45),
               "layer scale, CLS beside the mean of patches, positions resampled to 2 by 5"),
    "dinov2_swiglu": (lambda: Dinov2Model._from_config(Dinov2Config(use_swiglu_ffn=True, **DINO), **EAGER), (24, 24),
                      "gated MLP in one tensor, features of CLS"),
    "dinov2_registers": (lambda: Dinov2WithRegistersForImageClassification._from_config(
        Dinov2WithRegistersConfig(num_register_tokens=3, **dict(DINO, image_size=40), **SHAPES), **EAGER), (16, 56),
        "registers, positions resampled with antialias to 2 by 7"),
    "clip": (lambda: CLIPModel._from_config(pair(CLIPConfig, dict(image_size=24, **VIT), TEXT, projection_dim=20), **EAGER),
             (24, 24), "norm before the layers, quick gelu, both towers projected"),
    "siglip": (lambda: SiglipModel._from_config(pair(SiglipConfig, dict(image_size=24, **dict(VIT, hidden_size=24)), TEXT), **EAGER),
               (24, 24), "no CLS, pooled by a learned query; texts in both directions"),
    "siglip_classes": (lambda: SiglipForImageClassification._from_config(
        pair(SiglipConfig, dict(image_size=24, **dict(VIT, hidden_size=24)), TEXT, **SHAPES), **EAGER), (24, 24), "the mean of patches"),
    "llava": (lambda: llava(CLIPVisionConfig(image_size=24, **dict(VIT, num_hidden_layers=3)), LlamaConfig(**DECODER)),
              (24, 24), "CLIP's last layer but one without CLS, Llama"),
    "llava_siglip": (lambda: llava(SiglipVisionConfig(image_size=24, **VIT), Qwen2Config(**DECODER),
                                   vision_feature_layer=[1, -1], vision_feature_select_strategy="full",
                                   projector_hidden_act="relu", multimodal_projector_bias=False),
                     (24, 24), "two of SigLIP's layers side by side, Qwen2"),
    "qwen2_vl": (lambda: qwen(Qwen2VLForConditionalGeneration, Qwen2VLConfig, dict(depth=2, embed_dim=32, hidden_size=32, mlp_ratio=2)),
                 (24, 40), "positions of three axes, two pictures, merged grids of 3 by 5 and 2 by 1; the older config and names"),
    "qwen2_5_vl": (lambda: qwen(Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLConfig,
                                dict(depth=3, hidden_size=32, out_hidden_size=32, intermediate_size=48, window_size=16,
                                     fullatt_block_indexes=[1]), tied=True),
                   (24, 40), "a tower with windows, those at the border partial; tied; the newer config and names"),
    "paligemma": (lambda: paligemma(GemmaConfig(head_dim=8, **DECODER)), (24, 24),
                  "SigLIP through its last norm, picture and prompt seen in both directions, Gemma"),
    "paligemma2": (lambda: paligemma(Gemma2Config(head_dim=8, query_pre_attn_scalar=8, sliding_window=6, **DECODER)), (24, 24),
                   "the same with windows and soft caps, Gemma 2"),
    "llava_next": (lambda: llava_next(CLIPVisionConfig(image_size=24, **VIT), LlamaConfig(**LONGER)), (29, 41),
                   "2 by 2 tiles as one grid without padding, a newline after each row, Llama"),
    "llava_next_tall": (lambda: llava_next(SiglipVisionConfig(image_size=24, **VIT), Qwen2Config(**LONGER),
                                           vision_feature_layer=-1, vision_feature_select_strategy="full"), (60, 17),
                        "the same with 3 by 1 tiles, SigLIP, Qwen2"),
    "llava_next_wide": (lambda: llava_next(CLIPVisionConfig(image_size=24, **VIT),
                                           MistralConfig(sliding_window=None, head_dim=8, **LONGER), projector_hidden_act="relu"),
                        (13, 40), "the same with 1 by 2 tiles, Mistral"),
    "idefics3": (lambda: idefics(Idefics3Config, Idefics3ForConditionalGeneration, LlamaConfig(**LONGER)), (15, 60),
                 "1 by 3 tiles and the whole with words between, pixel shuffle, Llama"),
    "idefics3_whole": (lambda: idefics(Idefics3Config, Idefics3ForConditionalGeneration, LlamaConfig(**LONGER), 8, 3), (22, 20),
                       "the same without tiles, nine patches in one position"),
    "smolvlm": (lambda: idefics(SmolVLMConfig, SmolVLMForConditionalGeneration, LlamaConfig(**LONGER)), (38, 23),
                "the same with 2 by 2 tiles"),
}


def randomise(model, generator):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            norm = "norm" in name and parameter.dim() == 1
            scale = "lambda1" in name or name == "logit_scale"
            if (norm and name.endswith("weight")) or scale:
                parameter.copy_(1.0 + 0.2 * noise)
            else:
                parameter.copy_((0.2 if parameter.dim() <= 1 else 0.25) * noise)


def keep(expected, out, prefix=""):
    for layer, attention in enumerate(out.attentions):
        expected[f"{prefix}attn.{layer}"] = attention[0]
        expected[f"{prefix}hidden.{layer}"] = out.hidden_states[layer][0]


def of_pair(model, pixels, generator, expected):
    ids = torch.randint(3, 90, (1, 12), generator=generator)
    if model.config.model_type == "clip":
        ids[0, 9:] = torch.tensor([91, 1, 1])  # what follows the end is not seen by it
    more = dict(output_attentions=True, output_hidden_states=True)
    seen, read = model.vision_model(pixels, **more), model.text_model(ids, **more)
    keep(expected, seen)
    keep(expected, read, "text.")
    expected["answer"] = model.get_image_features(pixels).pooler_output[0]
    expected["text.ids"] = ids[0]
    expected["text.answer"] = model.get_text_features(ids).pooler_output[0]
    expected["similarity"] = model(input_ids=ids, pixel_values=pixels).logits_per_image[0]


def of_decoder(model, pixels, generator, expected, folder):
    ids = torch.randint(3, 90, (20,), generator=generator)
    more = {}
    if model.config.model_type == "paligemma":  # the picture comes first; the last five were generated
        ids[:9] = IMAGE_TOKEN
        tiny_tokenizer().save(str(folder / "tokenizer.json"))
        expected["generated_from"] = torch.tensor([15])
        more["token_type_ids"] = (torch.arange(20) >= 15).long()[None]
    else:
        ids[4:13] = IMAGE_TOKEN
    out = model(ids[None], pixel_values=pixels, output_attentions=True, output_hidden_states=True, **more)
    expected["ids"] = ids
    expected["logits"] = out.logits[0]
    keep(expected, out)


def of_qwen(model, pixels, generator, expected):
    """Two pictures among words, then greedy decoding behind them."""
    pictures = [pixels[0], torch.randn((3, *QWEN_SECOND_PICTURE), generator=generator)]
    expected["pixels.1"] = pictures[1]
    cut = [Qwen2VLImageProcessorPil().patchify(picture.numpy(), merge_size=2, **QWEN_SIDES) for picture in pictures]
    grids = torch.tensor([[1, height, width] for _, height, width in cut])
    ids = torch.randint(3, 90, (10,), generator=generator).tolist()
    for at, grid in ((7, grids[1]), (4, grids[0])):  # from behind, so that places stay
        ids[at:at] = [94] + [IMAGE_TOKEN] * int(grid.prod() // 4) + [95]
    ids = torch.tensor([ids])
    more = dict(pixel_values=torch.cat([torch.from_numpy(patches.copy()) for patches, _, _ in cut]), image_grid_thw=grids,
                mm_token_type_ids=(ids == IMAGE_TOKEN).int())
    out = model(ids, output_attentions=True, output_hidden_states=True, **more)
    expected["ids"] = ids[0]
    expected["logits"] = out.logits[0]
    keep(expected, out)
    model.model.rope_deltas = None
    made = model.generate(ids, max_new_tokens=5, do_sample=False, output_logits=True, return_dict_in_generate=True,
                          suppress_tokens=None, **more)
    expected["decoded.ids"] = made.sequences[0, ids.shape[1]:]
    expected["decoded.logits"] = torch.cat(made.logits)


def in_older_layout(folder):
    """What the first published checkpoints look like: the decoder's settings beside vision_config, its tensors in model."""
    config = json.loads((folder / "config.json").read_text())
    text = config.pop("text_config")
    rope = text.pop("rope_parameters")
    vision = config["vision_config"]
    for key in ("rope_parameters", "model_type"):
        vision.pop(key, None)
    config = {**text, **config, "rope_theta": rope["rope_theta"],
              "rope_scaling": {"type": "mrope", "mrope_section": rope["mrope_section"]}}
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    weights = load_file(folder / "model.safetensors")
    assert all(name.startswith(("visual.", "model.layers.", "model.embed", "model.norm", "lm_head")) for name in weights)


def in_newer_names(folder):
    """What Transformers 4.52 and later write: both parts of the model in model."""
    renamed = {}
    for name, value in load_file(folder / "model.safetensors").items():
        for older, newer in (("visual.", "model.visual."), ("model.", "model.language_model.")):
            if name.startswith(older):
                name = newer + name[len(older):]
                break
        renamed[name] = value.contiguous()
    save_file(renamed, folder / "model.safetensors")


def tiny_tokenizer():
    """Letters, line feeds alone and in pairs, and the words that stand between tiles."""
    vocab = {"\u010a": 5, "\u010a\u010a": 6, **{chr(97 + i): 10 + i for i in range(26)}}
    words = {f"<row_{i + 1}_col_{j + 1}>": 70 + 3 * i + j for i in range(3) for j in range(3)}
    words |= {"<image>": IMAGE_TOKEN, "<fake_token_around_image>": 93, "<global-img>": 94, "<end_of_utterance>": 95}
    for i in range(96):
        if i not in vocab.values() and i not in words.values():
            vocab[f"unused{i}"] = i
    made = Tokenizer(models.BPE(vocab=vocab | words, merges=[("\u010a", "\u010a")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in words])
    return made


def of_tiles(model, name, size, generator, expected, folder):
    values = np.random.default_rng(sum(map(ord, name))).integers(0, 256, (*size, 3), dtype=np.uint8)
    values[:, : size[1] // 3] //= 3
    settings = dict(image_mean=[0.5] * 3, image_std=[0.5] * 3)
    if model.config.model_type == "llava_next":
        settings |= dict(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}, image_grid_pinpoints=PINPOINTS)
        inputs = LlavaNextImageProcessorPil(**settings)(Image.fromarray(values), return_tensors="pt")
        features = model.model.get_image_features(**inputs).pooler_output
        count = sum(f.shape[0] for f in features)
        words = torch.randint(3, 90, (9,), generator=generator).tolist()
        prompt = words[:3] + [IMAGE_TOKEN] + words[3:]
        ids = words[:3] + [IMAGE_TOKEN] * count + words[3:]
        kind = "LlavaNext"
    else:
        settings |= dict(size={"longest_edge": {"idefics3": 72, "idefics3_whole": 24}.get(name, 48)}, max_image_size={"longest_edge": 24})
        tokenizer = tiny_tokenizer()
        tokenizer.save(str(folder / "tokenizer.json"))
        processor = Idefics3Processor(Idefics3ImageProcessorPil(**settings), PreTrainedTokenizerFast(tokenizer_object=tokenizer),
                                      image_seq_len=1 if name == "idefics3_whole" else 9)
        inputs = processor(text="see<image>what\n\n\nis", images=[Image.fromarray(values)], return_tensors="pt")
        ids = inputs.pop("input_ids")[0].tolist()
        prompt = tokenizer.encode("see<image>what\n\n\nis").ids
        inputs = {"pixel_values": inputs["pixel_values"], "pixel_attention_mask": inputs["pixel_attention_mask"]}
        kind = "Idefics3" if name.startswith("idefics3") else "SmolVLM"
    out = model(torch.tensor([ids]), output_attentions=True, output_hidden_states=True, **inputs)
    expected |= {"ids": torch.tensor(ids), "prompt": torch.tensor(prompt), "picture": torch.from_numpy(values), "logits": out.logits[0]}
    keep(expected, out)
    return {"image_processor_type": kind + "ImageProcessor", **settings}


def of_pictures(model, name, pixels, expected):
    more = dict(output_attentions=True, output_hidden_states=True)
    if name == "vit_resampled":
        more["interpolate_pos_encoding"] = True
    out = model(pixels, **more)
    if out.hidden_states is None or out.attentions is None:  # SigLIP's classifier keeps them to itself
        keep(expected, model.vision_model(pixels, **more))
    else:
        keep(expected, out)
    expected["answer"] = out.logits[0] if hasattr(out, "logits") else out.pooler_output[0]


def write(name, folder):
    make, size, special = VARIANTS[name]
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    model = make().eval()
    randomise(model, generator)
    pixels = torch.randn((1, 3, *size), generator=generator)
    expected = {"pixels": pixels[0]}
    settings = {"image_processor_type": "ViTImageProcessor", "size": {"height": size[0], "width": size[1]}}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with torch.no_grad():
        if name in ("clip", "siglip"):
            of_pair(model, pixels, generator, expected)
        elif name.startswith("qwen"):
            of_qwen(model, pixels, generator, expected)
        elif name.startswith(("llava_next", "idefics3", "smolvlm")):
            del expected["pixels"]
            settings = of_tiles(model, name, size, generator, expected, folder)
        elif name.startswith(("llava", "paligemma")):
            of_decoder(model, pixels, generator, expected, folder)
        else:
            of_pictures(model, name, pixels, expected)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if name.startswith("qwen"):
        settings = {"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 64, "max_pixels": 2048, "merge_size": 2, **QWEN_SIDES}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    if name == "qwen2_vl":
        in_older_layout(folder)
    if name == "qwen2_5_vl":
        in_newer_names(folder)
    save_file({key: value.clone().contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
    print(f"{name}: {sum(path.stat().st_size for path in folder.iterdir())} bytes, {sorted(expected)}")
    return {"name": name, "model_type": model.config.model_type, "special": special}


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "vision_goldens"
    rows = [write(name, root / name) for name in sys.argv[2:] or VARIANTS]
    if len(sys.argv) <= 2:
        (root / "index.json").write_text(json.dumps(rows, indent=1) + "\n")
