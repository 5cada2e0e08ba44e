#!/usr/bin/env bash
# Every header of the layers below the window compiles alone.
set -euo pipefail
cd "$1"
compiler="$2"
failed=0
while IFS= read -r header; do
  "$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Wno-pragma-once-outside-header -I. -Iplugins/api -x c++ "$header" || failed=1
done < <(find kernels core analysis plugins -name '*.h' ! -name '*-inl.h' | sort)
[ "$failed" -eq 0 ] && echo "every header compiles alone"
exit "$failed"
