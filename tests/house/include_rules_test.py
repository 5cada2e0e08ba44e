#!/usr/bin/env python3
"""The include scan must notice each kind of violation, or it guards nothing."""
import pathlib
import tempfile

from include_rules import ORDER, problems

CASES = {
    "kernels/a.h": ('#include "core/base/ids.h"', "kernels may only use"),
    "core/a.h": ("#include <ATen/ATen.h>", "LibTorch belongs"),
    "core/b.h": ("#include <hdf5.h>", "HDF5 belongs"),
    "core/c.cpp": ("#include <QString>", "only app knows Qt"),
    "analysis/a.cpp": ('#include "app/shell/workbench.h"', "analysis may only use"),
    "analysis/b.cpp": ("#include <torch/torch.h>", "LibTorch belongs"),
    "plugins/host/a.cpp": ("#include <QString>", "only app knows Qt"),
    "plugins/examples/a.cpp": ('#include "core/base/ids.h"', "know nothing else"),
    "plugins/api/a.h": ('#include "plugins/host/plugin_text.h"', "know nothing else"),
    "kernels/b.cpp": ("#include <opencv2/core.hpp>", "OpenCV belongs"),
}

with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    for layer in ORDER:
        (root / layer).mkdir()
    (root / "core" / "fine.cpp").write_text('#include <ATen/ATen.h>\n#include "kernels/attention.h"\n')
    assert not list(problems(root)), "a clean tree has no problems"
    for name, (line, expected) in CASES.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(line + "\n")
        found = list(problems(root))
        assert len(found) == 1 and expected in found[0] and name in found[0], (name, found)
        path.unlink()
print(f"{len(CASES)} violations noticed")
