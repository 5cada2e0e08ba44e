#!/usr/bin/env python3
"""Trains the small SentencePiece models of tests/data/sentencepiece/ and records what the package makes of texts.

    python3 -m venv oracle && oracle/bin/pip install sentencepiece
    oracle/bin/python tests/data/make_sentencepiece.py

Writes unigram.model, bpe.model and plain.model (unigram without normalisation, without a space before the text)
and expected.json: {"package", "texts", "models": {name: [{"ids", "pieces", "offsets" (bytes), "decoded"}, ...]}},
one case per text. Training is deterministic with one thread.
"""
import json
from pathlib import Path

import sentencepiece as spm

OUT = Path(__file__).resolve().parent / "sentencepiece"

PEOPLE = ["The keeper", "A child", "My neighbour", "The old sailor", "Somebody", "Her brother", "The baker's wife"]
DEEDS = ["looked at", "walked around", "painted", "remembered", "lost", "carried home", "counted", "couldn't find"]
THINGS = ["the lighthouse", "three small boats", "a basket of apples", "the northern stars", "an unfinished map",
          "12 silver spoons", "the caf\u00e9's menu", "a letter from \u00c5ngstr\u00f6m"]
TIMES = ["before breakfast.", "in the rain!", "again and again.", "when nobody watched?", "on 3 May 1987.",
         "as if it were nothing.", "\u2014 twice."]
MORE = """Morning light crept slowly over the harbour while gulls argued about yesterday's bread.
Nobody in the village believed that the clock could strike thirteen, yet it did so every winter.
She wrote long letters about weather, wool, onions, railway timetables and the price of copper wire.
Under the bridge a heron waited, patient as stone, for something silver to move in the shallow water.
The mayor promised a new library; the children asked whether it would have ladders on wheels.
Between the orchard and the quarry runs a narrow path that only goats and surveyors use.
He measured every window twice, wrote the numbers on his sleeve, and cut the glass too short anyway.
Our grandmother kept buttons in jars: horn, brass, mother-of-pearl, and one that had been a coin.
If the wind turns north before noon, bring the washing in and the boats as well.
The teacher drew a circle without looking, then spent the afternoon explaining why it was not one.
Fifty lanterns floated downstream, and each of them carried a question nobody wished to ask aloud.
They sold honey, candles, wax, mead, and quite a few stories about the temper of bees.""".split("\n")
SENTENCES = MORE + [f"{p} {d} {t} {w}" for i, p in enumerate(PEOPLE) for j, d in enumerate(DEEDS)
             for k, t in enumerate(THINGS) for m, w in enumerate(TIMES) if (i + 2 * j + 3 * k + 5 * m) % 4 == 0]

# A few lines of NFKC, so that the models stay small.
RULES = {"\ufb01": "fi", "\ufb02": "fl", "\u2460": "1", "\uff21": "A", "\uff22": "B", "\uff23": "C",
         "\u33a5": "m3", "\u212b": "\u00c5", "e\u0301": "\u00e9", "A\u030a": "\u00c5", "o\u0308": "\u00f6",
         "\u00a0": " ", "\u3000": " ", "\t": " ", "\n": " ", "\u2028": " ", "\u200b": "", "\u2026": "..."}

TEXTS = [
    "", " ", "   ", "a", "The keeper counted three small boats.", " leading and trailing  ",
    "two  spaces   between", "tab\there\nand a line", "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m",
    "cafe\u0301 A\u030angstro\u0308m", "\ufb01ne \ufb02ow \u2460 \uff21\uff22\uff23 \u33a5 \u212b",
    "\u6771\u4eac \u0434\u043e\u043c \U0001f600 \U0001f469\u200d\U0001f52c!", "<s>not a start</s> <unk> <0x41>",
    "\u2581already marked", "Hello, y'all! 3.14159 in 1987?", "x" * 70, "\u3000wide\u00a0space\u2028line\u200bzero",
    "[KEEP] this [KEEP]", "na\u0308\u0323", "0" * 33 + "\u6771" * 5, "\u1e69 q\u0307\u0323 \u01c4 \u0130",
]


def train(name: str, **options) -> spm.SentencePieceProcessor:
    prefix = OUT / name
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_prefix=str(prefix), num_threads=1, minloglevel=2,
        user_defined_symbols=["[KEEP]"], max_sentence_length=4096, **options)
    Path(f"{prefix}.vocab").unlink()
    assert Path(f"{prefix}.model").stat().st_size < 50_000
    return spm.SentencePieceProcessor(model_file=f"{prefix}.model")


def case(model: spm.SentencePieceProcessor, text: str) -> dict:
    proto = model.encode(text, return_type="proto")
    ids = [piece.id for piece in proto.pieces]
    return {
        "ids": ids,
        "pieces": [piece.piece for piece in proto.pieces],
        "offsets": [[piece.begin, piece.end] for piece in proto.pieces],
        "decoded": model.decode(ids),
    }


def main() -> None:
    OUT.mkdir(exist_ok=True)
    rules = OUT / "rules.tsv"
    points = [" ".join(f"{ord(c):X}" for c in text) for pair in RULES.items() for text in pair]
    rules.write_text("".join(f"{a}\t{b}\n" for a, b in zip(points[::2], points[1::2])))
    models = {
        "unigram": train("unigram", model_type="unigram", vocab_size=150, normalization_rule_tsv=str(rules)),
        "bpe": train("bpe", model_type="bpe", vocab_size=480, byte_fallback=True, split_digits=True,
                     normalization_rule_name="identity", remove_extra_whitespaces=False),
        "plain": train("plain", model_type="unigram", vocab_size=120, normalization_rule_name="identity",
                       add_dummy_prefix=False, bos_id=-1),
    }
    rules.unlink()
    expected = {"package": f"sentencepiece {spm.__version__}", "texts": TEXTS,
                "models": {name: [case(model, text) for text in TEXTS] for name, model in models.items()}}
    (OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=True, indent=None,
                                                  separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
