#!/usr/bin/env bash
# clang-tidy with the committed configuration over the small files of the libraries (those without LibTorch).
set -euo pipefail
cd "$1"
build="$2"
command -v clang-tidy >/dev/null || { echo "clang-tidy is not installed"; exit 1; }
find kernels core analysis -name '*.cpp' ! -path '*/cpu/*' -print0 | xargs -0 grep -LZE 'include <(ATen|torch)/' |
  xargs -0 -n 4 -P 2 clang-tidy --quiet -p "$build" --extra-arg=-Wno-unknown-warning-option 2>/dev/null
