#!/usr/bin/env python3
"""Writes tests/data/goldens: tiny random checkpoints and what Transformers computes with them.

Needs, in a throw-away environment: pip install torch transformers==5.23.0 safetensors
Each variant's config switches on what is special about it, all norms and biases are random, and the numbers are
float32 from the eager attention path. Names in expected.safetensors:
  ids [n] int64, logits [n, n_vocab], attn.{l} [head, query, key], hidden.{l} [n, d_model] (what enters layer l)
"""
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

N_VOCAB, N_TOKEN = 96, 24
LLAMA = dict(vocab_size=N_VOCAB, hidden_size=32, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2)

VARIANTS = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(
        vocab_size=N_VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2)),
    "llama_llama3_rope": lambda: LlamaForCausalLM(LlamaConfig(
        **LLAMA, tie_word_embeddings=True,
        rope_parameters={"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 16})),
    "llama_linear_rope_biases": lambda: LlamaForCausalLM(LlamaConfig(
        **LLAMA, tie_word_embeddings=False, attention_bias=True, mlp_bias=True, head_dim=16,
        rope_parameters={"rope_type": "linear", "rope_theta": 5000.0, "factor": 2.5})),
}
# One variant is written with the older spelling of the rotary settings.
OLD_SPELLING = {"llama_llama3_rope"}


def randomise(model, generator):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_norm = "norm" in name or ".ln_" in name
            if is_norm and name.endswith("weight"):
                parameter.copy_(1.0 + 0.2 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.2 * noise)
            else:
                parameter.copy_(0.25 * noise)


def respell(path):
    config = json.loads(path.read_text())
    settings = config.pop("rope_parameters")
    config["rope_theta"] = settings.pop("rope_theta")
    config["rope_scaling"] = settings
    path.write_text(json.dumps(config, indent=1) + "\n")


def write(name, make, folder):
    generator = torch.Generator().manual_seed(len(name))
    model = make().eval()
    model.set_attn_implementation("eager")
    randomise(model, generator)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if name in OLD_SPELLING:
        respell(folder / "config.json")
    ids = torch.randint(3, N_VOCAB, (1, N_TOKEN), generator=generator)
    with torch.no_grad():
        out = model(ids, output_attentions=True, output_hidden_states=True)
    expected = {"ids": ids[0], "logits": out.logits[0]}
    for layer, attention in enumerate(out.attentions):
        expected[f"attn.{layer}"] = attention[0]
        expected[f"hidden.{layer}"] = out.hidden_states[layer][0]
    save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{name}: {size} bytes, {len(load_file(folder / 'expected.safetensors'))} tensors")


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "goldens"
    for variant, maker in VARIANTS.items():
        write(variant, maker, root / variant)
