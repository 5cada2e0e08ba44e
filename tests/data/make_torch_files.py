#!/usr/bin/env python3
"""Writes tests/data/torch_files: the same few tensors in every form torch.save has had.

Needs, in a throw-away environment: pip install torch safetensors
expected.safetensors holds what every other file must give, name by name.
"""
import json
import pathlib

import torch
from safetensors.torch import save_file


def tensors():
    generator = torch.Generator().manual_seed(7)
    base = torch.randn(6, 8, generator=generator)
    shared = torch.randn(40, generator=generator)
    return {
        "plain": base.clone(),
        "transposed": base.t(),
        "column": base[:, 3],
        "window": base[1:4, 2:6],
        "first_half": shared[:20],
        "second_half": shared[20:],
        "half": base.half(),
        "bfloat16": base.bfloat16(),
        "double": base.double(),
        "int64": torch.arange(-3, 9).reshape(3, 4),
        "bytes": torch.arange(10, dtype=torch.uint8),
        "flags": torch.tensor([True, False, True]),
        "scalar": torch.tensor(2.5),
        "nothing": torch.zeros(0, 4),
        "repeated": torch.tensor([1.0, 2.0]).expand(3, 2),
    }


if __name__ == "__main__":
    folder = pathlib.Path(__file__).parent / "torch_files"
    folder.mkdir(exist_ok=True)
    state = tensors()
    save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, folder / "expected.safetensors")
    torch.save(state, folder / "zip.bin")
    torch.save(state, folder / "legacy.bin", _use_new_zipfile_serialization=False)
    parameters = {name: torch.nn.Parameter(t) if t.is_floating_point() and t.dim() else t for name, t in state.items()}
    torch.save({"epoch": 3, "note": "of a training run", "state_dict": parameters}, folder / "wrapped.pt")
    module = torch.nn.Linear(3, 2)
    with torch.no_grad():
        module.weight.copy_(torch.arange(6.0).reshape(2, 3))
        module.bias.copy_(torch.tensor([0.5, -0.5]))
    torch.save(module.state_dict(), folder / "ordered.pth")
    shards = {"pytorch_model-00001-of-00002.bin": ["plain", "half"], "pytorch_model-00002-of-00002.bin": ["int64"]}
    (folder / "sharded").mkdir(exist_ok=True)
    for file, names in shards.items():
        torch.save({name: state[name] for name in names}, folder / "sharded" / file)
    index = {"metadata": {}, "weight_map": {name: file for file, names in shards.items() for name in names}}
    (folder / "sharded" / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=1) + "\n")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            print(path.relative_to(folder), path.stat().st_size)
