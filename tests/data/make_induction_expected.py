#!/usr/bin/env python3
"""Writes induction_expected.json: what Hugging Face Transformers computes for demo:induction.

Needs torch, transformers, tokenizers. Run: python3 tests/data/make_induction_expected.py
For every sample prompt of resources/prompts/induction.json and a few awkward texts: the ids (vocab.json + merges.txt
and tokenizer.json must agree); for the sample prompts also the logits of the last position (float32, eager attention),
its ten likeliest tokens, and the loss of every token; for the first prompt also the last row of every head's
pattern, and for the first three the same numbers with heads zeroed.
"""

import json
import pathlib

import tokenizers
import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "resources" / "models" / "induction"
PROMPTS = ROOT / "resources" / "prompts" / "induction.json"
OUT = pathlib.Path(__file__).resolve().parent / "induction_expected.json"
BOS = "<|endoftext|>"
ZEROED = [["1.2"], ["0.2"], ["1.0", "1.1", "1.2", "1.3"], ["2.2"]]
AWKWARD = [
    "",
    " ",
    "Hello, world! 123 it's   over\n\nnow\t",
    "gr\u00fc\u00dfe \u732b\U0001f600 na\u00efve",
    "catalogue thecat The  cat.",
    "   three spaces before and after   ",
]


def tokenizer_of_two_files():
    """Byte-level BPE built from vocab.json and merges.txt alone, without BOS."""
    bpe = tokenizers.ByteLevelBPETokenizer.from_file(str(FOLDER / "vocab.json"), str(FOLDER / "merges.txt"))
    return lambda text: bpe.encode(text).ids


def encode(text, from_json, from_two_files):
    ids = from_json.encode(text).ids
    bos = from_json.token_to_id(BOS)
    assert ids == [bos] + from_two_files(text), text
    assert from_json.decode(ids) == text, text
    return ids


def describe(model, ids, tokenizer, with_patterns):
    with torch.no_grad():
        out = model(torch.tensor([ids]), output_attentions=with_patterns)
    logits = out.logits[0]
    log_prob = torch.log_softmax(logits, -1)
    best = torch.topk(logits[-1], 10)
    case = {
        "ids": ids,
        "last_logits": [round(x, 6) for x in logits[-1].tolist()[:16]],
        "last_logits_sum": logits[-1].double().sum().item(),
        "top": [
            {"id": i, "text": tokenizer.decode([i]), "logit": round(v, 6), "prob": round(log_prob[-1, i].exp().item(), 8)}
            for v, i in zip(best.values.tolist(), best.indices.tolist())
        ],
        "loss_per_token": [round(-log_prob[i, t].item(), 6) for i, t in enumerate(ids[1:])],
    }
    if with_patterns:
        case["last_pattern_row"] = [
            [[round(p, 7) for p in head[-1].tolist()] for head in layer[0]] for layer in out.attentions
        ]
    return case


class Zeroed:
    """While it lasts, the named heads' z is 0: their columns of what attn.c_proj reads."""

    def __init__(self, model, heads):
        self.model, self.heads, self.hooks = model, [tuple(map(int, h.split("."))) for h in heads], []

    def __enter__(self):
        width = self.model.config.n_embd // self.model.config.n_head
        for layer, head in self.heads:
            def clear(_, inputs, columns=slice(head * width, (head + 1) * width)):
                z = inputs[0].clone()
                z[..., columns] = 0
                return (z,)

            projection = self.model.transformer.h[layer].attn.c_proj
            self.hooks.append(projection.register_forward_pre_hook(clear))

    def __exit__(self, *_):
        for hook in self.hooks:
            hook.remove()


def main():
    tokenizer = tokenizers.Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    two_files = tokenizer_of_two_files()
    model = transformers.GPT2LMHeadModel.from_pretrained(FOLDER, attn_implementation="eager").eval()
    cases = []
    for number, prompt in enumerate(json.loads(PROMPTS.read_text(encoding="utf-8"))):
        ids = encode(prompt["text"], tokenizer, two_files)
        cases.append({"text": prompt["text"]} | describe(model, ids, tokenizer, number == 0))
        if number < 3:
            cases[-1]["zeroed"] = []
            for heads in ZEROED:
                with Zeroed(model, heads):
                    cases[-1]["zeroed"].append({"heads": heads} | describe(model, ids, tokenizer, False))
                del cases[-1]["zeroed"][-1]["ids"]
        print(len(ids), [(t["text"], round(t["prob"], 4)) for t in cases[-1]["top"][:5]], prompt["title"])
    texts = [{"text": text, "ids": encode(text, tokenizer, two_files)} for text in AWKWARD]
    made_with = f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}, torch {torch.__version__}"
    document = {"made_with": made_with, "prompts": cases, "texts": texts}
    OUT.write_text(json.dumps(document, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
