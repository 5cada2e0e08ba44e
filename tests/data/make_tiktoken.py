#!/usr/bin/env python3
"""Trains the small vocabulary tests/data/tiktoken/small.tiktoken and records what the package makes of texts.

    python3 -m venv oracle && oracle/bin/pip install tiktoken
    oracle/bin/python tests/data/make_tiktoken.py

Writes expected.json: {"package", "texts", "patterns": {name: [[ids of text 0], ...]}}, where `name` is the way to
cut words that core/tokens/word_patterns.h knows by this name. The expressions are those that the published
encodings use, in their own spelling.
"""
import base64
import json
from pathlib import Path

import tiktoken
from tiktoken._educational import bpe_train

from make_sentencepiece import SENTENCES, TEXTS

OUT = Path(__file__).resolve().parent / "tiktoken"
GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
CL100K = (r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|"""
          r"""\s+(?!\S)|\s+""")
QWEN2 = (r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"""
         r"""\s+(?!\S)|\s+""")
O200K = "|".join([
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
    r"""\p{N}{1,3}""", r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""", r"""\s*[\r\n]+""", r"""\s+(?!\S)""", r"""\s+"""])

MORE_TEXTS = [
    "I'LL say you're RIGHT, we'Ve won, it'S mine; 'tis the dog's.", "1 12 123 1234 12345.678 \u0663\u0664 \u00bd\u00b2",
    "camelCaseWords HTTPServer iPhone McDonald's \u01c5ep \u00c5\u0301B", "\n\n  indented\n\tcode()  \r\n\r\n  end  ",
    "path/to/file.txt\n//comment\n/// more", "   ", "\u00a0\u3000 \u2028", "don\u2019t \u017f'\u017f", "the" * 40,
    "\U0001f468\u200d\U0001f469 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0928\u092e\u0938\u094d\u0924\u0947",
]


def main() -> None:
    OUT.mkdir(exist_ok=True)
    ranks = bpe_train("\n".join(SENTENCES), 600, CL100K, visualise=None)
    lines = [f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()]
    (OUT / "small.tiktoken").write_text("".join(lines))
    texts = TEXTS + MORE_TEXTS
    patterns = {"gpt-2": GPT2, "cl100k": CL100K, "qwen2": QWEN2, "o200k": O200K}
    cases = {}
    for name, pattern in patterns.items():
        encoding = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        cases[name] = [encoding.encode_ordinary(text) for text in texts]
    expected = {"package": f"tiktoken {tiktoken.__version__}", "texts": texts, "patterns": cases}
    (OUT / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
