#!/usr/bin/env python3
"""Writes tests/data/goldens: tiny random checkpoints of every family and what Transformers computes with them.

Needs, in a throw-away environment: pip install torch transformers==5.23.0 safetensors
    make_goldens.py [FOLDER] [NAME...]
All norms and biases are random, the numbers are float32 from the eager attention path, and what is special about a
variant is switched off once to see that it matters. Names in expected.safetensors:
  ids [n] int64, logits [n, n_vocab], attn.{l} [head, query, key], hidden.{l} [n, d_model] (what enters layer l)
index.json lists the variants: name, model_type, special.
"""
import json
import pathlib
import shutil
import sys

import torch
from families_goldens import BFLOAT16, N_VOCAB, VARIANTS, make
from safetensors.torch import save_file

N_TOKEN = 24
# One variant is written with the older spelling of the rotary settings.
OLD_SPELLING = {"llama_llama3_rope"}


def randomise(model, generator):
    around_zero = model.config.model_type.startswith("gemma")  # its norms multiply with 1 + weight
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_norm = any(mark in name for mark in ("norm", "ln_", "LayerNorm")) and parameter.dim() == 1
            if is_norm and name.endswith("weight"):
                parameter.copy_((0.0 if around_zero else 1.0) + 0.2 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.2 * noise)
            else:
                parameter.copy_(0.25 * noise)
            if parameter.dtype == torch.float32 and model.saccade_bfloat16:
                parameter.copy_(parameter.bfloat16().float())


def respell(path):
    config = json.loads(path.read_text())
    settings = config.pop("rope_parameters")
    config["rope_theta"] = settings.pop("rope_theta")
    config["rope_scaling"] = settings
    path.write_text(json.dumps(config, indent=1) + "\n")


def add_alibi_once(model, ids):
    """Falcon's eager path adds ALiBi to the scores and, with the mask, once more; its usual path adds it once."""
    with torch.no_grad():
        usual = make("falcon_alibi", attention="sdpa")
        usual.load_state_dict(model.state_dict())
        expected = usual(ids).logits
    for block in model.transformer.h:
        plain = block.self_attention.forward
        block.self_attention.forward = lambda *args, alibi, plain=plain, **more: plain(
            *args, alibi=torch.zeros_like(alibi), **more)
    with torch.no_grad():
        assert (model(ids).logits - expected).abs().max() < 1e-4


def difference(model, name, ids, logits):
    """How far the logits are from those with the special thing switched off."""
    changes = VARIANTS[name][2]
    if changes is None:
        return None
    other = make(name, changes)
    other.load_state_dict(model.state_dict(), strict=False)
    with torch.no_grad():
        return (other(ids).logits - logits).abs().max().item()


def write(name, folder):
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    model = make(name)
    model.saccade_bfloat16 = name in BFLOAT16
    randomise(model, generator)
    ids = torch.randint(3, N_VOCAB, (1, N_TOKEN), generator=generator)
    if name == "falcon_alibi":
        add_alibi_once(model, ids)
    with torch.no_grad():
        out = model(ids, output_attentions=True, output_hidden_states=True)
    change = difference(model, name, ids, out.logits)
    assert change is None or change > 1e-3, f"{name}: what is special about it does not matter ({change})"
    shutil.rmtree(folder, ignore_errors=True)
    (model.bfloat16() if model.saccade_bfloat16 else model).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if name in OLD_SPELLING:
        respell(folder / "config.json")
    expected = {"ids": ids[0], "logits": out.logits[0]}
    for layer, attention in enumerate(out.attentions):
        expected[f"attn.{layer}"] = attention[0]
        expected[f"hidden.{layer}"] = out.hidden_states[layer][0]
    save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{name}: {size} bytes, {len(expected)} tensors, special part changes logits by {change}")
    return {"name": name, "model_type": model.config.model_type, "special": VARIANTS[name][3]}


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "goldens"
    chosen = sys.argv[2:] or list(VARIANTS)
    rows = [write(name, root / name) for name in chosen]
    if len(sys.argv) <= 2:
        (root / "index.json").write_text(json.dumps(rows, indent=1) + "\n")
