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

flags=(-std=c++20 -O1 -gline-tables-only -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -I"$source"
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
  mat_file) files=(kernels/base/result.cpp analysis/scanpath/{mat_file,osie_file,scanpath}.cpp)
    mkdir -p "$work/mat"
    python3 - "$work/mat" <<'END'
import pathlib, struct, sys, zlib
def element(kind, body): return struct.pack("<II", kind, len(body)) + body + b"\0" * (-len(body) % 8)
def array(kind, shape, rest, name=b""):
    return element(14, element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack("<2i", *shape)) + element(1, name) + rest)
def numbers(*values): return array(6, (1, len(values)), element(4, struct.pack(f"<{len(values)}H", *values)))
def text(value): return array(4, (1, len(value)), element(17, value.encode("utf-16-le")))
def structure(**fields):
    names = b"".join(name.encode().ljust(16, b"\0") for name in fields)
    return array(2, (1, 1), element(5, struct.pack("<i", 16)) + element(1, names) + b"".join(fields.values()))
subject = structure(fix_x=numbers(10, 20), fix_y=numbers(5, 900), fix_duration=numbers(100, 200))
picture = structure(img=text("1.jpg"), subjects=array(1, (1, 1), subject))
cells = array(1, (1, 2), picture + picture, b"fixations")
packed = zlib.compress(cells)
header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
folder = pathlib.Path(sys.argv[1])
(folder / "plain").write_bytes(header + cells)
(folder / "packed").write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)
END
    seeds=("$work"/mat/*) ;;
  gaze_table) files=(kernels/base/result.cpp core/base/files.cpp analysis/export/metadata.cpp analysis/statistics/rank.cpp analysis/scanpath/{delimited_text,fixation_report,mat_file,osie_file,reading,scanpath,write_scanpath}.cpp)
    mkdir -p "$work/tables"
    printf 'subject\timage\tindex\tfix_x\tfix_y\tduration\tword\n1\ta.jpg\t1\t10.5\t20\t250\t3\n1\ta.jpg\t2\tNaN\t2\t1\t\n' >"$work/tables/tabs"
    printf '"x";"y";"dur"\r\n"1,5";2;0,3\r\n' >"$work/tables/semicolons"
    printf 'IA_ID,IA_LABEL,IA_LEFT,IA_TOP,IA_RIGHT,IA_BOTTOM\n1,"a ""b""",0,0,9,9\n2,c,9,0,20,9\n' >"$work/tables/words"
    seeds=("$work"/tables/*) ;;
  *) echo "no fuzz target is called '$target'"; exit 2 ;;
esac
files+=("tests/fuzz/${target}_fuzz.cpp")

# Targets share objects: while several run beside each other, one compiles at a time.
exec 9>"$build/fuzz/lock"
flock 9
objects=()
commands=$work/commands
: >"$commands"
newest_header=$(cd "$source" && find kernels core analysis -name '*.h' -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2)
newest_header=$source/$newest_header
for file in "${files[@]}"; do
  object=$build/fuzz/objects/${file//\//_}.o
  objects+=("$object")
  [ "$object" -nt "$source/$file" ] && [ "$object" -nt "$newest_header" ] || printf '%q ' clang++ "${flags[@]}" -c "$source/$file" -o "$object" >>"$commands"
  echo >>"$commands"
done
sed '/^$/d' "$commands" | xargs -P"$(nproc)" -d '\n' -I{} bash -c '{}'
clang++ -fsanitize=fuzzer,address,undefined "${objects[@]}" "${libraries[@]}" -o "$work/$target"
exec 9>&-

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
