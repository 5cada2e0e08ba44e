#!/usr/bin/env python3
"""Makes the small tokenizers of tests/data/tokenizers/ and what the `tokenizers` package says about them.

    python3 -m venv oracle && oracle/bin/pip install tokenizers sentencepiece protobuf
    oracle/bin/python tests/data/make_tokens_expected.py [folder with stories260K/tokenizer.json]

Writes tests/data/tokens_expected.json: {"package", "texts": [...], "tokenizers": {name: {"specials": bool,
"cases": [{"ids", "tokens", "offsets" (in characters), "decoded", "decoded_all"}, ...]}}}, one case per text. The
tokenizers named "data:..." are not written here: the test looks for them where foreign data is kept.
"""
import json
import sys
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).resolve().parent
FIXTURES = HERE / "tokenizers"

TEXTS = [
    "",
    " ",
    "   ",
    "a",
    "Once upon a time",
    "Lily saw a big red ball.",
    " leading and trailing  ",
    "two  spaces   three    four",
    "tab\there\t\ttwice",
    "line\nbreak\n\nparagraph\n",
    "windows\r\nline\r\n\r\nends\r",
    "I'll say you're right, we've won, it's mine, I'd go, don't, I'm",
    "I'LL SAY YOU'RE RIGHT, IT'S",
    "typographic \u2019s and \u201cquotes\u201d \u2014 dash\u2026",
    "0 1 12 123 1234 12345 3.14159 1,000,000 \u00bd \u00b2 \u0663\u0664 \u2167",
    "caf\u00e9 na\u00efve \u00fcber \u00c5ngstr\u00f6m",
    "cafe\u0301 nai\u0308ve A\u030angstro\u0308m",
    "q\u0307\u0323 q\u0323\u0307 \u1e69 s\u0323\u0307",
    "\ufb01 \ufb02 \u2460 \uff21\uff22\uff23 \u212b \u2126 \u33a5",
    "\u4f60\u597d\uff0c\u4e16\u754c\uff01 \u65e5\u672c\u8a9e\u306e\u6587\u7ae0\u3002",
    "\uac00\uac01 \u1100\u1161\u11a8 \ud55c\uad6d\uc5b4",
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd \u0939\u093f\u0928\u094d\u0926\u0940",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea",
    "\u2764\ufe0f\u200d\U0001f525x\u200by\u200cz",
    "\u00a0no\u00a0break\u2003em\u3000wide\u2028line\u2029para\u0085nel",
    "\x00\x01\x02 control \x1b[0m \x7f end",
    "<s>inside</s> the <unk> text",
    "<|endoftext|>start<|endoftext|> and <|end",
    "a[MASK]b [MASK] c  [MASK]  d[MASK]",
    "x <pad> y<pad>z  <pad>",
    "wordsword sword SWORD sword",
    "foo<tool>bar <tool> baz <TOOL>",
    "\u2581already \u2581\u2581marked\u2581",
    "<0x41><0x0A> literal bytes",
    "snake_case camelCase kebab-case HTTPServer2 x86_64",
    "def f(x):\n    return x**2  # square\n",
    "https://example.org/a?b=c&d=%20#e",
    "\u0130stanbul I\u0131 \u1e9e\u00df \u03a3\u03c3\u03c2 \u017f",
    "\u01c4\u01c5\u01c6 \U00010400\U00010428 \U0001d49c",
    "   \n  \t \n x",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa the the the the",
    "\u2581",
    "...!?,;:()[]{}\"'`~@#$%^&*-_=+|\\/<>",
    "\u180e\u2060\ufeff\u00ad\u24b6\u24d0\u2075\U0001f130",
]

WORDS = """
The quick brown fox jumps over the lazy dog while the other dog sleeps in the warm sun. Once upon a time there was a
little girl named Lily who saw a big red ball in the garden. She wanted to play with it, but it wasn't hers. "Don't
worry," said her mother, "we'll find the owner; they're probably near." In 1984 and 2023 the numbers 12, 345 and
67890 were counted. caf\u00e9 na\u00efve \u00fcber \u4f60\u597d \u4e16\u754c \u65e5\u672c\u8a9e \U0001f600 \U0001f44d
def function(value):
    return value ** 2
The children's games, the teacher's questions and the students' answers are there, and there again, and there.
"""


def corpus():
    return [WORDS] * 4 + WORDS.split("\n") * 4


def train(tokenizer, size, special, alphabet):
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, initial_alphabet=alphabet,
                                  show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def byte_level():
    """GPT-2's arrangement; also saved as its two files."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    train(made, 600, ["<|endoftext|>"], sorted(pre_tokenizers.ByteLevel.alphabet()))
    folder = FIXTURES / "byte_level_files"
    folder.mkdir(parents=True, exist_ok=True)
    made.model.save(str(folder))
    names = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    (folder / "special_tokens_map.json").write_text(json.dumps(names, indent=1) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"add_prefix_space": False, "tokenizer_class": "GPT2Tokenizer"}, indent=1) + "\n")
    return made


def byte_level_trimmed():
    """RoBERTa's: prefix space, offsets trimmed, a mask that takes the space on its left."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.decoder = decoders.ByteLevel()
    train(made, 420, ["<s>", "</s>"], sorted(pre_tokenizers.ByteLevel.alphabet()))
    made.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=True, add_prefix_space=True),
        processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B </s>",
                                      special_tokens=[("<s>", made.token_to_id("<s>")),
                                                      ("</s>", made.token_to_id("</s>"))]),
    ])
    made.add_special_tokens([AddedToken("[MASK]", lstrip=True, normalized=False),
                             AddedToken("<pad>", rstrip=True, normalized=False)])
    made.add_tokens([AddedToken("sword", single_word=True, normalized=False)])
    return made


def piece_like(new_spelling):
    """Llama's: spaces become a mark, unknown characters their bytes."""
    made = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    train(made, 560, special, [])
    if new_spelling:
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        made.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                                          decoders.Strip(" ", 1, 0)])
    else:
        made.pre_tokenizer = None
        made.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
        made.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                                          decoders.Strip(" ", 1, 0)])
    made.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B",
                                                        special_tokens=[("<s>", made.token_to_id("<s>"))])
    # The bytes are tokens of the model, not to be looked for in the text.
    described = json.loads(made.to_str())
    described["added_tokens"] = [token for token in described["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(described))


LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
          r"\s*[\r\n]+|\s+(?!\S)|\s+")


def split_expression():
    """Llama-3's: an expression, then bytes; whole words before merges."""
    made = Tokenizer(models.BPE(ignore_merges=True))
    made.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    made.decoder = decoders.ByteLevel()
    train(made, 500, [], sorted(pre_tokenizers.ByteLevel.alphabet()))
    described = json.loads(made.to_str())
    vocabulary = described["model"]["vocab"]
    for word in ["\u0120children", "\u0120zebra", "zz", "1234"]:  # reachable only as whole words
        vocabulary.setdefault(word, len(vocabulary))
    made = Tokenizer.from_str(json.dumps(described))
    made.add_special_tokens(["<|endoftext|>", "<s>"])
    start = ("<|endoftext|>", made.token_to_id("<|endoftext|>"))
    made.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|endoftext|> $A", pair="<|endoftext|> $A $B", special_tokens=[start])])
    return made


def flags(normalizer):
    """Added tokens with every flag, over a normalizer that moves offsets."""
    made = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    made.normalizer = normalizer
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(True)])
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"], end_of_word_suffix="</w>",
                                  show_progress=False)
    made.train_from_iterator(corpus(), trainer)
    made.add_special_tokens([AddedToken("[MASK]", lstrip=True, rstrip=True, normalized=False), "<s>"])
    made.add_tokens([AddedToken("sword", single_word=True, normalized=True), AddedToken("<tool>", normalized=True),
                     AddedToken("<Pad>", rstrip=True, normalized=True), AddedToken("the", normalized=True)])
    return made


def word_piece(lowercase):
    """BERT's arrangement."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=40))
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
                                        show_progress=False)
    made.train_from_iterator(corpus(), trainer)
    made.post_processor = processors.BertProcessing(("[SEP]", made.token_to_id("[SEP]")),
                                                    ("[CLS]", made.token_to_id("[CLS]")))
    return made


def word_level():
    made = Tokenizer(models.WordLevel(unk_token="<unk>"))
    made.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Nmt()])
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.CharDelimiterSplit(" "),
                                                  pre_tokenizers.Punctuation("merged_with_previous")])
    made.train_from_iterator(corpus(), trainers.WordLevelTrainer(vocab_size=200, special_tokens=["<unk>"],
                                                                 show_progress=False))
    return made


def charsmap():
    """The normalisation table of a SentencePiece model trained here (nmt_nfkc)."""
    import io
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(corpus()), model_writer=out, vocab_size=120,
                                             hard_vocab_limit=False, minloglevel=2)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(out.getvalue())
    return model.normalizer_spec.precompiled_charsmap


def unigram(byte_fallback, precompiled):
    """T5's and XLM-R's arrangement."""
    made = Tokenizer(models.Unigram())
    if precompiled:
        made.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap()),
                                                normalizers.Replace(Regex(" {2,}"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    special = ["<unk>", "<s>", "</s>"] + ([f"<0x{byte:02X}>" for byte in range(256)] if byte_fallback else [])
    made.train_from_iterator(corpus(), trainers.UnigramTrainer(vocab_size=300 + len(special), special_tokens=special,
                                                               unk_token="<unk>", show_progress=False))
    described = json.loads(made.to_str())
    described["model"]["byte_fallback"] = byte_fallback
    described["added_tokens"] = [token for token in described["added_tokens"] if not token["content"].startswith("<0x")]
    if byte_fallback:
        described["decoder"] = json.loads(piece_like(False).to_str())["decoder"]
    made = Tokenizer.from_str(json.dumps(described))
    made.post_processor = processors.RobertaProcessing(("</s>", made.token_to_id("</s>")),
                                                       ("<s>", made.token_to_id("<s>")), trim_offsets=False)
    return made


def pieces(pre_tokenizer, normalizer=None):
    """A character model that shows how a pre-tokenizer cuts: words not in the vocabulary are one unknown token."""
    made = Tokenizer(models.BPE(vocab={"<unk>": 0}, merges=[], unk_token="<unk>", fuse_unk=True))
    made.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        made.normalizer = normalizer
    return made


def all_tokenizers():
    split = pre_tokenizers.Split
    yield "byte_level", byte_level()
    yield "byte_level_trimmed", byte_level_trimmed()
    yield "piece_normalizer", piece_like(False)
    yield "piece_metaspace", piece_like(True)
    yield "split_expression", split_expression()
    yield "flags_nfkc_lower", flags(normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]))
    yield "flags_nfd_strip", flags(normalizers.Sequence([
        normalizers.Strip(), normalizers.NFD(), normalizers.Replace(Regex(r"\p{Mn}+"), ""),
        normalizers.Replace(Regex(r"\d+"), "<n>")]))
    yield "word_piece", word_piece(True)
    yield "word_piece_cased", word_piece(False)
    yield "word_level", word_level()
    yield "unigram_precompiled", unigram(False, True)
    yield "unigram_bytes", unigram(True, False)
    yield "cut_whitespace", pieces(pre_tokenizers.Whitespace())
    yield "cut_whitespace_split", pieces(pre_tokenizers.WhitespaceSplit(), normalizers.NFC())
    yield "cut_punctuation", pieces(pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"),
                                                             pre_tokenizers.Metaspace()]), normalizers.NFKD())
    yield "cut_digits", pieces(pre_tokenizers.Sequence([pre_tokenizers.Digits(False), pre_tokenizers.Metaspace()]))
    for behavior in ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]:
        yield f"cut_{behavior}", pieces(split(Regex(r"\s|\p{P}"), behavior))
        yield f"cut_{behavior}_inverted", pieces(split(Regex(r"\w+"), behavior, invert=True))
    yield "cut_string", pieces(split(" ", "merged_with_next"))
    yield "cut_line_ends", pieces(split(Regex(r"^\s*|[\h]{2}$|(?=[A-Z])"), "isolated"))


def cases(tokenizer):
    out = []
    for text in TEXTS:
        encoding = tokenizer.encode(text)
        out.append({"ids": encoding.ids, "tokens": encoding.tokens, "offsets": encoding.offsets,
                    "decoded": tokenizer.decode(encoding.ids),
                    "decoded_all": tokenizer.decode(encoding.ids, skip_special_tokens=False)})
    return out


def main():
    expected = {"package": f"tokenizers {tokenizers.__version__}", "texts": TEXTS, "tokenizers": {}}
    for name, tokenizer in all_tokenizers():
        folder = FIXTURES / name
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))  # what a reader of the file sees
        expected["tokenizers"][name] = cases(tokenizer)
    if len(sys.argv) > 1:
        path = Path(sys.argv[1]) / "stories260K" / "tokenizer.json"
        expected["tokenizers"]["data:stories260K"] = cases(Tokenizer.from_file(str(path)))
    lines = [f' {json.dumps(name)}: [\n' + ",\n".join("  " + json.dumps(case) for case in found) + "\n ]"
             for name, found in expected["tokenizers"].items()]
    (HERE / "tokens_expected.json").write_text(
        "{\n" + f' "package": {json.dumps(expected["package"])},\n "texts": {json.dumps(TEXTS)},\n'
        + ' "tokenizers": {\n' + ",\n".join(lines) + "\n }\n}\n")


if __name__ == "__main__":
    main()
