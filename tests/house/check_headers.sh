#!/usr/bin/env bash
# Every header of the layers below the window compiles alone. Where NAME.cpp includes NAME.h before anything else, the
# build has shown it (no target there has precompiled headers); the others are compiled here.
set -euo pipefail
cd "$1"
compiler="$2"
headers_to_check() {
  local header source
  find kernels core analysis plugins -name '*.h' ! -name '*-inl.h' | sort | while IFS= read -r header; do
    source="${header%.h}.cpp"
    [ -f "$source" ] && [ "$(grep -m1 '^#include' "$source")" = "#include \"$header\"" ] || echo "$header"
  done
}
headers_to_check | xargs -I{} -P "$(nproc)" \
  "$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Werror -I. -Iplugins/api -include {} -x c++ /dev/null
echo "every header compiles alone"
