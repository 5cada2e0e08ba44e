#!/usr/bin/env python3
"""Checks the dependency rule of the tree: who may include whom, and where LibTorch, HDF5 and Qt may be seen."""
import pathlib
import re
import sys

ORDER = ["kernels", "core", "analysis", "plugins", "app"]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')


def problems(root: pathlib.Path):
    for layer in ORDER:
        allowed = set(ORDER[: ORDER.index(layer) + 1])
        for path in sorted((root / layer).rglob("*")):
            if path.suffix not in {".h", ".c", ".cpp", ".cu", ".cuh"}:
                continue
            where = path.relative_to(root)
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                found = INCLUDE.match(line)
                if not found:
                    continue
                name = found.group(2)
                top = name.split("/")[0]
                say = f"{where}:{number}: includes {name}: "
                if top in ORDER and top not in allowed:
                    yield say + f"{layer} may only use {', '.join(sorted(allowed))}"
                if top in ORDER and where.parts[:2] in {("plugins", "api"), ("plugins", "examples")}:
                    yield say + "the C interface and its examples know nothing else of the program"
                if re.match(r"Q[A-Z]|Qt[A-Z]", top) and layer != "app":
                    yield say + "only app knows Qt"
                if top in {"torch", "ATen", "c10"} and not (layer == "core" and path.suffix == ".cpp"):
                    yield say + "LibTorch belongs in core's .cpp files"
                if re.match(r"hdf5|H5", top) and not (layer == "core" and path.suffix == ".cpp"):
                    yield say + "HDF5 belongs in core's .cpp files"
                if top.startswith("opencv") and layer not in {"analysis", "app"}:
                    yield say + "OpenCV belongs in analysis"
                if top.startswith("imgui") and layer != "app":
                    yield say + "Dear ImGui belongs in app"


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    found = list(problems(root))
    print("\n".join(found) or "include rules hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
