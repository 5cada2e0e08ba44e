# Sourced by ./run and ./test: installs what is missing and configures and builds a preset.
# Asks for sudo only when something has to be installed.

saccade_installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'; }

saccade_missing_packages() {  # FILE... -> the packages of those lists that are not installed
  local line name
  sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$@" | while IFS= read -r line; do
    IFS='|' read -ra names <<<"${line// /}"
    for name in "${names[@]}"; do
      saccade_installed "$name" && break
      if [ "${#names[@]}" -eq 1 ] || apt-cache show "$name" >/dev/null 2>&1; then echo "$name"; break; fi
    done
  done
  return 0
}

saccade_install() {  # FILE...
  command -v apt-get >/dev/null || { echo "No apt-get here: install the packages of scripts/packages.txt by hand." >&2; return 0; }
  local missing sudo=""
  missing=$(saccade_missing_packages "$@")
  [ -z "$missing" ] && return 0
  [ "$(id -u)" -ne 0 ] && sudo="sudo"
  echo "Installing:" $missing >&2
  $sudo apt-get update -qq || true
  missing=$(saccade_missing_packages "$@")
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

saccade_build() {  # PRESET [TARGET...]
  local preset="$1"; shift
  [ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >"build-$preset.log.tmp" 2>&1 || {
    cat "build-$preset.log.tmp" >&2; rm -f "build-$preset.log.tmp"; return 1; }
  rm -f "build-$preset.log.tmp"
  cmake --build "build/$preset" ${1:+--target "$@"}
}
