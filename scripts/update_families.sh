#!/bin/sh
# Puts the page of measured differences, as the last test run wrote it, where readers find it.
#   scripts/update_families.sh [BUILD_FOLDER]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cp "${1:-$root/build/release}/FAMILIES.md" "$root/core/model/FAMILIES.md"
