#!/bin/sh
# Puts the page of measured differences, as the last test run wrote its two parts, where readers find it.
#   scripts/update_families.sh [BUILD_FOLDER]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build/release}
cat "$build/FAMILIES.md" "$build/FAMILIES_PICTURES.md" > "$root/core/model/FAMILIES.md"
