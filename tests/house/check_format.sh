#!/usr/bin/env bash
# Every C++ file is as clang-format would write it.
set -euo pipefail
cd "$1"
command -v clang-format >/dev/null || { echo "clang-format is not installed"; exit 1; }
find app core analysis kernels plugins resources tests -name build -prune -o \( -name '*.h' -o -name '*.c' -o -name '*.cpp' \) -print0 |
  xargs -0 clang-format --dry-run -Werror
