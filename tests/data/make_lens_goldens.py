#!/usr/bin/env python3
"""Adds models in TransformerLens's own form to tests/data/goldens (run make_goldens.py first).

Needs, in a throw-away environment: pip install torch transformer_lens==2.16.1 safetensors
    make_lens_goldens.py [NAME...]
The state dict of a HookedTransformer with its config as JSON, and what it computes; names as make_goldens.py says.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformer_lens import HookedTransformer, HookedTransformerConfig

COMMON = dict(d_model=32, n_layers=2, n_heads=4, n_ctx=40, d_vocab=96, device="cpu", seed=1)
VARIANTS = {
    "lens_attention_only": (dict(COMMON, d_head=8, attn_only=True, normalization_type=None, act_fn=None),
                            "attention only, no norms"),
    "lens_standard": (dict(COMMON, d_head=12, d_mlp=48, act_fn="gelu_new", normalization_type="LN"),
                      "LayerNorm, heads wider than d_model / heads"),
    "lens_modular": (dict(COMMON, d_head=8, d_mlp=64, act_fn="relu", normalization_type=None, d_vocab_out=17),
                     "fewer logits than tokens, no norms"),
    "lens_bidirectional": (dict(COMMON, d_head=8, d_mlp=48, act_fn="gelu", normalization_type="LNPre",
                                attention_dir="bidirectional"), "both directions, norms without weights"),
    "lens_padded": (dict(COMMON, d_head=12, attn_only=True, normalization_type=None, act_fn=None,
                         attention_dir="bidirectional"), "both directions, attention only, padding that nobody sees"),
    "lens_rotary_grouped": (dict(COMMON, d_head=8, d_mlp=48, act_fn="silu", gated_mlp=True, normalization_type="RMS",
                                 positional_embedding_type="rotary", rotary_dim=8, n_key_value_heads=2, final_rms=True),
                            "rotary positions, grouped KV heads, gated MLP"),
}
# The token that is padding, and where it stands: its keys are masked with a hook on the scores.
PADDING = {"lens_padded": (2, [9, 21, 22, 23])}
KEYS = set("""n_layers d_model n_ctx d_head n_heads d_mlp act_fn d_vocab d_vocab_out eps use_attn_scale attn_scale
attention_dir attn_only normalization_type positional_embedding_type parallel_attn_mlp rotary_dim rotary_base
rotary_adjacent_pairs gated_mlp final_rms n_key_value_heads use_local_attn window_size attn_types
scale_attn_by_inverse_layer_idx attn_scores_soft_cap output_logits_soft_cap""".split())


def write(name, settings, folder):
    model = HookedTransformer(HookedTransformerConfig(**settings))
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            around = 1.0 if key.endswith(".w") else 0.0
            parameter.copy_(around + 0.25 * torch.randn(parameter.shape, generator=generator))
    ids = torch.randint(3, 96, (1, 24), generator=generator)
    if name in PADDING:
        padding, places = PADDING[name]
        ids[0, places] = padding
        model.add_perma_hook(lambda point: point.endswith("hook_attn_scores"),
                             lambda scores, hook: scores.masked_fill((ids == padding)[:, None, None, :], -torch.inf))
    with torch.no_grad():
        logits, cache = model.run_with_cache(ids, prepend_bos=False)
    expected = {"ids": ids[0], "logits": logits[0]}
    for layer in range(settings["n_layers"]):
        expected[f"attn.{layer}"] = cache[f"blocks.{layer}.attn.hook_pattern"][0]
        expected[f"hidden.{layer}"] = cache[f"blocks.{layer}.hook_resid_pre"][0]
    folder.mkdir(parents=True, exist_ok=True)
    config = {key: value for key, value in model.cfg.to_dict().items() if key in KEYS}
    if name in PADDING:
        config["pad_token_id"] = PADDING[name][0]
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    state = {key: value.clone().contiguous() for key, value in model.state_dict().items()
             if not key.endswith(("mask", "IGNORE", "rotary_sin", "rotary_cos"))}
    save_file(state, folder / "model.safetensors")
    save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
    print(name, sum(path.stat().st_size for path in folder.iterdir()), "bytes")


if __name__ == "__main__":
    root = pathlib.Path(__file__).parent / "goldens"
    rows = [row for row in json.loads((root / "index.json").read_text()) if not row["name"].startswith("lens_")]
    for variant, (config, special) in VARIANTS.items():
        if not sys.argv[1:] or variant in sys.argv[1:]:
            write(variant, config, root / variant)
        rows.append({"name": variant, "model_type": "hooked_transformer", "special": special})
    (root / "index.json").write_text(json.dumps(rows, indent=1) + "\n")
