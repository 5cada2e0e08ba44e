#!/usr/bin/env python3
"""Converts a Hugging Face folder's model.safetensors into other formats, with nothing but Python's own library.

    convert_checkpoint.py FOLDER OUT bin          OUT/pytorch_model.bin beside config.json and the tokenizer files
    convert_checkpoint.py FOLDER OUT legacy       the same in the form before zip archives
    convert_checkpoint.py FOLDER OUT.gguf f32     a Llama as GGUF, float32 ...
    convert_checkpoint.py FOLDER OUT.gguf q8_0    ... or with its matrices in blocks of 32 numbers of 8 bits
Formats: torch.save as pickletools shows it; GGUF 3 as its specification says.
"""
import collections
import json
import pathlib
import pickle
import shutil
import struct
import sys
import types
import zipfile

STORAGES = {"F32": ("FloatStorage", 4), "F16": ("HalfStorage", 2), "BF16": ("BFloat16Storage", 2), "I64": ("LongStorage", 8)}
Tensor = collections.namedtuple("Tensor", "dtype shape data")


def read_safetensors(path):
    raw = path.read_bytes()
    length, = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    return {name: Tensor(entry["dtype"], entry["shape"],
                         raw[8 + length + entry["data_offsets"][0]:8 + length + entry["data_offsets"][1]])
            for name, entry in sorted(header.items())}


def fake_torch():
    """Modules with torch's names, so that pickle writes them as globals."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def named(module, name, value):
        value.__module__, value.__qualname__, value.__name__ = module.__name__, name, name
        setattr(module, name, value)
        return value

    named(utils, "_rebuild_tensor_v2", lambda *arguments: None)
    for storage, _ in STORAGES.values():
        named(torch, storage, type(storage, (), {}))
    sys.modules.update({"torch": torch, "torch._utils": utils})
    return torch, utils


class Stored:  # pickled as torch._utils._rebuild_tensor_v2(storage, 0, shape, stride, False, OrderedDict())
    def __init__(self, key, tensor, utils):
        self.key, self.tensor, self.utils = key, tensor, utils

    def __reduce__(self):
        shape, stride, step = tuple(self.tensor.shape), [], 1
        for extent in reversed(shape):
            stride.insert(0, step)
            step *= extent
        return self.utils._rebuild_tensor_v2, (Handle(self), 0, shape, tuple(stride), False, collections.OrderedDict())


class Handle:
    def __init__(self, stored):
        self.stored = stored


class Pickler(pickle.Pickler):
    def __init__(self, file, torch, legacy):
        super().__init__(file, protocol=2)
        self.torch, self.legacy = torch, legacy

    def persistent_id(self, value):
        if not isinstance(value, Handle):
            return None
        storage, width = STORAGES[value.stored.tensor.dtype]
        numel = len(value.stored.tensor.data) // width
        return ("storage", getattr(self.torch, storage), value.stored.key, "cpu", numel) + ((None,) if self.legacy else ())


def write_torch(tensors, path, legacy):
    import io
    torch, utils = fake_torch()
    state = collections.OrderedDict((name, Stored(str(i), t, utils)) for i, (name, t) in enumerate(tensors.items()))
    main = io.BytesIO()
    Pickler(main, torch, legacy).dump(state)
    if not legacy:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("archive/data.pkl", main.getvalue())
            for i, tensor in enumerate(tensors.values()):
                archive.writestr(f"archive/data/{i}", tensor.data)
        return
    with open(path, "wb") as file:
        for head in (0x1950a86a20f9469cfc6c, 1001, {"protocol_version": 1001, "little_endian": True}):
            pickle.dump(head, file, protocol=2)
        file.write(main.getvalue())
        pickle.dump([str(i) for i in range(len(tensors))], file, protocol=2)
        for tensor in tensors.values():
            file.write(struct.pack("<Q", len(tensor.data) // STORAGES[tensor.dtype][1]) + tensor.data)


# GGUF: metadata types and tensor types by their numbers.
U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
LAYER_NAMES = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
               "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
               "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
OUTER_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def entry(key, kind, value):
    pack = {U32: "<I", F32: "<f", BOOL: "<?", I32: "<i"}
    return text(key) + struct.pack("<I", kind) + (text(value) if kind == STRING else struct.pack(pack[kind], value))


def array(key, kind, values):
    pack = {F32: "<f", I32: "<i"}
    body = b"".join(text(v) if kind == STRING else struct.pack(pack[kind], v) for v in values)
    return text(key) + struct.pack("<IIQ", ARRAY, kind, len(values)) + body


def gguf_name(name):
    base, part = name.rsplit(".", 1)
    if base in OUTER_NAMES:
        return f"{OUTER_NAMES[base]}.{part}"
    _, _, layer, rest = base.split(".", 3)
    return f"blk.{layer}.{LAYER_NAMES[rest]}.{part}"


def permuted(tensor, heads):
    """Rows of each head from halves (i, i + d/2) to neighbours (2i, 2i + 1), as GGUF's Llama has them."""
    rows, width = tensor.shape[0], len(tensor.data) // tensor.shape[0]
    d = rows // heads
    order = [h * d + (r % 2) * (d // 2) + r // 2 for h in range(heads) for r in range(d)]
    return Tensor(tensor.dtype, tensor.shape, b"".join(tensor.data[i * width:(i + 1) * width] for i in order))


def q8_0(data):
    out, values = [], struct.unpack(f"<{len(data) // 4}f", data)
    for at in range(0, len(values), 32):
        block = values[at:at + 32]
        scale = struct.unpack("<e", struct.pack("<e", max(map(abs, block)) / 127))[0]
        out.append(struct.pack("<e", scale) + bytes((round(v / scale) if scale else 0) & 255 for v in block))
    return b"".join(out)


NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6


def tokenizer_entries(path):
    """A byte-fallback BPE of a tokenizer.json as GGUF's "llama" kind: the earlier a token's merge, the better its score."""
    if not path.exists():
        return []
    tokenizer = json.loads(path.read_text())
    model = tokenizer["model"]
    names = sorted(model["vocab"], key=model["vocab"].get)
    ranks = {}
    for rank, merge in enumerate(model["merges"]):
        ranks.setdefault("".join(merge.split(" ") if isinstance(merge, str) else merge), rank)
    special = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}

    def kind(name):
        if name == model["unk_token"]:
            return UNKNOWN
        return CONTROL if name in special else BYTE if name.startswith("<0x") else NORMAL

    scores = [-float(ranks.get(name, len(ranks))) for name in names]
    entries = [entry("tokenizer.ggml.model", STRING, "llama"), array("tokenizer.ggml.tokens", STRING, names),
               array("tokenizer.ggml.scores", F32, scores),
               array("tokenizer.ggml.token_type", I32, [kind(name) for name in names])]
    for key, name in (("bos", "<s>"), ("eos", "</s>"), ("unknown", model["unk_token"])):
        if name in model["vocab"]:
            entries.append(entry(f"tokenizer.ggml.{key}_token_id", U32, model["vocab"][name]))
    return entries


def write_gguf(folder, tensors, path, kind):
    config = json.loads((folder / "config.json").read_text())
    heads, kv_heads = config["num_attention_heads"], config.get("num_key_value_heads", config["num_attention_heads"])
    rope = config.get("rope_parameters") or config
    meta = [entry("general.architecture", STRING, "llama"), entry("general.name", STRING, folder.name),
            entry("llama.block_count", U32, config["num_hidden_layers"]),
            entry("llama.context_length", U32, config["max_position_embeddings"]),
            entry("llama.embedding_length", U32, config["hidden_size"]),
            entry("llama.feed_forward_length", U32, config["intermediate_size"]),
            entry("llama.attention.head_count", U32, heads), entry("llama.attention.head_count_kv", U32, kv_heads),
            entry("llama.attention.layer_norm_rms_epsilon", F32, config["rms_norm_eps"]),
            entry("llama.rope.freq_base", F32, rope.get("rope_theta", 10000.0)),
            entry("llama.vocab_size", U32, config["vocab_size"])]
    meta += tokenizer_entries(folder / "tokenizer.json")
    body, infos, at = [], [], 0
    for name, tensor in tensors.items():
        for part, n in (("q_proj", heads), ("k_proj", kv_heads)):
            if part in name:
                tensor = permuted(tensor, n)
        assert tensor.dtype == "F32", "only float32 checkpoints are converted"
        packed = kind == "q8_0" and len(tensor.shape) == 2 and tensor.shape[-1] % 32 == 0
        data = q8_0(tensor.data) if packed else tensor.data
        infos.append(text(gguf_name(name)) + struct.pack("<I", len(tensor.shape))
                     + b"".join(struct.pack("<Q", n) for n in reversed(tensor.shape))
                     + struct.pack("<IQ", 8 if packed else 0, at))
        padding = -len(data) % 32
        body.append(data + bytes(padding))
        at += len(data) + padding
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(meta)) + b"".join(meta) + b"".join(infos)
    path.write_bytes(head + bytes(-len(head) % 32) + b"".join(body))


if __name__ == "__main__":
    source, out, form = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    weights = read_safetensors(source / "model.safetensors")
    if form in ("bin", "legacy"):
        out.mkdir(parents=True, exist_ok=True)
        for file in source.iterdir():
            if file.suffix == ".json" and not file.name.startswith("expected"):
                shutil.copy(file, out)
        write_torch(weights, out / "pytorch_model.bin", form == "legacy")
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_gguf(source, weights, out, form)
