#!/usr/bin/env python3
"""Makes a small CLIP tokenizer in tests/data/clip/ and records what the `tokenizers` package makes of texts.

    python3 -m venv oracle && oracle/bin/pip install tokenizers
    oracle/bin/python tests/data/make_clip.py

Writes vocab.json, merges.txt and tokenizer_config.json (the files of a CLIP model's folder) and expected.json:
{"package", "texts", "cases": [{"ids", "offsets" (bytes), "decoded"}, ...]}. The stages are those into which
Transformers turns these files; the special tokens' own spelling in its expression is left out, because they are
found before the words are cut.
"""
import json
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from make_sentencepiece import SENTENCES, TEXTS

OUT = Path(__file__).resolve().parent / "clip"
START, END = "<|startoftext|>", "<|endoftext|>"

MORE_TEXTS = ["a photo of a cat", "A  Photo\n\tof a TREE!", "it's a cat's toy, I'LL run   fast", "1234 12:30 3.5kg",
              "caf\u00e9 Caf\u00c9 cafe\u0301 \u0130stanbul", "<|startoftext|>a<|endoftext|> b", "!!! ... ?!"]


def with_stages(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"),
                             behavior="removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def byte_offsets(text: str, offsets: list) -> list:
    starts = [0]
    for character in text:
        starts.append(starts[-1] + len(character.encode()))
    return [[starts[begin], starts[end]] for begin, end in offsets]


def main() -> None:
    OUT.mkdir(exist_ok=True)
    trained = with_stages(models.BPE(end_of_word_suffix="</w>"))
    trained.train_from_iterator(SENTENCES, trainers.BpeTrainer(
        vocab_size=700, end_of_word_suffix="</w>", initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    learned = json.loads(trained.to_str())["model"]
    merges = [tuple(merge) for merge in learned["merges"]]
    letters = sorted(token for token in learned["vocab"] if len(token) == 1)
    tokens = letters + [letter + "</w>" for letter in letters]
    tokens += [a + b for a, b in merges if a + b not in tokens] + [START, END]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    (OUT / "vocab.json").write_text(json.dumps(vocab, separators=(",", ":")) + "\n")
    (OUT / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    (OUT / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "CLIPTokenizer", "bos_token": START, "eos_token": END, "unk_token": END}) + "\n")

    tokenizer = with_stages(models.BPE(vocab=vocab, merges=merges, unk_token=END, end_of_word_suffix="</w>"))
    tokenizer.add_special_tokens([AddedToken(START, normalized=False), AddedToken(END, normalized=False)])
    tokenizer.post_processor = processors.RobertaProcessing(
        (END, vocab[END]), (START, vocab[START]), add_prefix_space=False, trim_offsets=False)
    cases = []
    for text in TEXTS + MORE_TEXTS:
        encoding = tokenizer.encode(text)
        decoded = tokenizer.decode(encoding.ids).replace("</w>", " ").strip(" ")
        cases.append({"ids": encoding.ids, "offsets": byte_offsets(text, encoding.offsets), "decoded": decoded})
    expected = {"package": f"tokenizers {tokenizers.__version__}", "texts": TEXTS + MORE_TEXTS, "cases": cases}
    (OUT / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
