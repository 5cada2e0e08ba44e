#!/usr/bin/env python3
"""Writes tests/data/gguf: blocks of every quantised type with what they stand for, and a small complete file.

Needs, in a throw-away environment: pip install gguf numpy safetensors
blocks.safetensors: "TYPE.blocks" (bytes, random but for finite scales) and "TYPE.numbers" (float32, by that package).
"""
import pathlib

import gguf
import numpy as np
from safetensors.numpy import save_file

N_BLOCK = 5
# Where the half-precision scales stand in a block.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def blocks_of(name, random):
    kind = gguf.GGMLQuantizationType[name]
    _, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (N_BLOCK, size), dtype=np.uint8)
    for at in SCALES[name]:
        scales = random.normal(0, 0.1, N_BLOCK).astype(np.float16)
        scales[0] = np.float16(3e-6)  # subnormal
        blocks[:, at:at + 2] = scales.view(np.uint8).reshape(N_BLOCK, 2)
    return blocks, gguf.quants.dequantize(blocks, kind).astype(np.float32).reshape(-1)


# Three small tokenizers, one of each kind: seeds for the fuzz target.
TOKENIZERS = {
    "gpt2": {"tokens": ["a", "b", "\u0120", "ab", "\u0120a", "<|end|>"], "types": [1, 1, 1, 1, 1, 3], "merges": ["a b", "\u0120 a"]},
    "llama": {"tokens": ["<unk>", "<s>", "</s>", "<0x0A>", "\u2581", "a", "\u2581a"], "types": [2, 3, 3, 6, 1, 1, 1],
              "scores": [0.0, 0.0, 0.0, 0.0, -3.0, -2.0, -1.0]},
    "bert": {"tokens": ["[UNK]", "[CLS]", "[SEP]", "\u2581hello", "ing", "\u2581!"], "types": [3, 3, 3, 1, 1, 1]},
}


def write_tokenizer(folder, kind, parts):
    writer = gguf.GGUFWriter(folder / f"tokens_{kind}.gguf", "llama")
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(parts["tokens"])
    writer.add_token_types(parts["types"])
    if "scores" in parts:
        writer.add_token_scores(parts["scores"])
    if "merges" in parts:
        writer.add_token_merges(parts["merges"])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    folder = pathlib.Path(__file__).parent / "gguf"
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(3)
    tensors = {}
    for name in SCALES:
        tensors[f"{name}.blocks"], tensors[f"{name}.numbers"] = blocks_of(name, random)
    save_file(tensors, folder / "blocks.safetensors")
    writer = gguf.GGUFWriter(folder / "small.gguf", "llama")
    writer.add_block_count(2)
    writer.add_array("words", ["a", "bc", ""])
    writer.add_array("scores", [0.5, -1.5])
    writer.add_array("kinds", [1, 3, 6])
    writer.add_float64("wide", 1.25)
    writer.add_bool("yes", True)
    writer.add_int64("negative", -7)
    writer.add_tensor("matrix", np.arange(12, dtype=np.float32).reshape(3, 4))
    writer.add_tensor("halves", np.arange(5, dtype=np.float16))
    writer.add_tensor("packed", tensors["Q8_0.blocks"], raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for kind, parts in TOKENIZERS.items():
        write_tokenizer(folder, kind, parts)
    for path in sorted(folder.iterdir()):
        print(path.name, path.stat().st_size)
