#!/bin/bash
# Builds one fuzz target with libFuzzer and the address sanitizer, and runs it on its seed corpus.
#   run_fuzz.sh SOURCE BUILD TARGET [RUNS]
# TARGET: the name of tests/fuzz/TARGET_fuzz.cpp. RUNS: inputs to try (20000 in ./test; 0 = until stopped).
# Inputs that break something are left in BUILD/fuzz/TARGET/.
set -euo pipefail
source=$1 build=$2 target=$3 runs=${4:-20000}
command -v clang++ >/dev/null || { echo "skipped: no clang++ here"; exit 77; }
work=$build/fuzz/$target
mkdir -p "$build/fuzz/objects" "$work/corpus"

flags=(-std=c++20 -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -I"$source"
       -DSACCADE_VERSION='"fuzz"' -DSACCADE_RESOURCES_FOLDER='"."' -DSACCADE_SENTENCEPIECE_LINKED $(pkg-config --cflags libpcre2-8 libxxhash libutf8proc fmt sentencepiece))
libraries=($(pkg-config --libs libpcre2-8 libxxhash libutf8proc fmt sentencepiece) -lz)
base=(kernels/base/result.cpp core/base/digest.cpp core/base/files.cpp core/base/memory.cpp)
model=(core/model/checkpoint.cpp core/model/checkpoint_files.cpp core/model/pickle_reader.cpp core/model/safetensors_header.cpp core/model/torch_archive.cpp
       core/model/torch_file.cpp core/model/gguf_file.cpp)
tokens=($(cd "$source" && ls core/tokens/*.cpp core/tokens/jinja/*.cpp))
seeds=() longest=16384
case $target in
  safetensors) longest=65536; files=("${base[@]}" "${model[@]}"); seeds=("$source"/tests/data/goldens/llama_bf16/*.safetensors) ;;
  torch_file) files=("${base[@]}" "${model[@]}"); seeds=("$source"/tests/data/torch_files/*.{bin,pt,pth}) ;;
  gguf) files=("${base[@]}" "${model[@]}" "${tokens[@]}" core/model/gguf_config.cpp core/model/quantised.cpp)
    seeds=("$source"/tests/data/gguf/*.gguf) ;;
  config) files=("${base[@]}" "${model[@]}" $(cd "$source" && ls core/model/{config_reader,rope_config,weight_map}.cpp core/model/families/*.cpp))
    for folder in "$source"/tests/data/goldens/*/ "$source"/tests/data/vision_goldens/*/; do seeds+=("$folder/config.json"); done ;;
  tokenizer_json) files=("${base[@]}" "${tokens[@]}")
    for folder in "$source"/tests/data/tokenizers/*/; do seeds+=("$folder/tokenizer.json"); done ;;
  sentencepiece) longest=65536; files=("${base[@]}" "${tokens[@]}"); seeds=("$source"/tests/data/sentencepiece/*.model) ;;
  tiktoken) files=("${base[@]}" "${tokens[@]}"); seeds=("$source"/tests/data/tiktoken/*.tiktoken) ;;
  chat_template) files=("${base[@]}" "${tokens[@]}")
    mkdir -p "$work/templates"
    python3 - "$source/tests/data/chat_expected.json" "$work/templates" <<'END'
import json, pathlib, sys
recorded = json.load(open(sys.argv[1], encoding="utf-8"))
for i, case in enumerate(recorded["styles"] + recorded["cases"]):
    (pathlib.Path(sys.argv[2]) / f"{i}.jinja").write_text(case["template"], encoding="utf-8", errors="replace")
END
    seeds=("$work"/templates/*) ;;
  *) echo "no fuzz target is called '$target'"; exit 2 ;;
esac
files+=("tests/fuzz/${target}_fuzz.cpp")

objects=()
commands=$work/commands
: >"$commands"
for file in "${files[@]}"; do
  object=$build/fuzz/objects/${file//\//_}.o
  objects+=("$object")
  [ "$object" -nt "$source/$file" ] || printf '%q ' clang++ "${flags[@]}" -c "$source/$file" -o "$object" >>"$commands"
  echo >>"$commands"
done
sed '/^$/d' "$commands" | xargs -P"$(nproc)" -d '\n' -I{} bash -c '{}'
clang++ -fsanitize=fuzzer,address,undefined "${objects[@]}" "${libraries[@]}" -o "$work/$target"

number=0
for seed in "${seeds[@]}"; do
  [ -f "$seed" ] && [ "$(stat -c %s "$seed")" -le 65536 ] || continue
  cp "$seed" "$work/corpus/seed-$((number++))"
done
cd "$work"
limit=(-runs="$runs")
[ "$runs" = 0 ] && limit=()
ASAN_OPTIONS=detect_leaks=1 "./$target" "${limit[@]}" -seed=1 -max_len="$longest" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
  -print_final_stats=1 corpus 2>log.txt || { tail -40 log.txt; exit 1; }
grep -E "DONE|number_of_executed|peak_rss" log.txt || tail -3 log.txt
rm -rf "${TMPDIR:-/tmp}"/saccade-fuzz-*
