#!/usr/bin/env bash
# clang-tidy with the committed configuration over the small files of the libraries (those without LibTorch).
# Nearly all of its time went into the static analyzer's longest functions: it walks up to 225,000 nodes for each.
# At MAX_NODES it ends earlier: core/tokens/bpe.cpp, core/run/site_edits.cpp and core/model/weight_map.cpp take 10.9 s of
# processor time in place of 31.6 s (a part of that through two checks fewer). MAX_NODES=225000 is its own default.
set -euo pipefail
cd "$1"
build="$2"
command -v clang-tidy >/dev/null || { echo "clang-tidy is not installed"; exit 1; }
analyzer=(--extra-arg=-Xclang --extra-arg=-analyzer-config
          --extra-arg=-Xclang --extra-arg="max-nodes=${MAX_NODES:-20000}")
# The largest files first, one at a time: both processors are busy to the end.
find kernels core analysis plugins -name '*.cpp' ! -path '*/cpu/*' -print0 | xargs -0 grep -LZE 'include <(ATen|torch)/' |
  xargs -0 ls -S | xargs -d '\n' -n 1 -P "$(nproc)" \
  clang-tidy --quiet -p "$build" --extra-arg=-Wno-unknown-warning-option "${analyzer[@]}" 2>/dev/null
