#!/usr/bin/env bash
# Runs a program on a virtual screen with software OpenGL; exit 77 (skipped) where there is no Xvfb.
command -v xvfb-run >/dev/null || { echo "skipped: xvfb is not installed"; exit 77; }
export LIBGL_ALWAYS_SOFTWARE=1 QT_QPA_PLATFORM=xcb XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$(mktemp -d)}"
exec xvfb-run -a -s "-screen 0 1680x1050x24" "$@"
