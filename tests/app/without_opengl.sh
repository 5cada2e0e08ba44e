#!/usr/bin/env bash
# Where there is no OpenGL at all the window still lives, runs the demo and saves its picture.
set -euo pipefail
mkdir -p "$2"
QT_QPA_PLATFORM=offscreen "$1" --no-restore --screenshot "$2/without-opengl.png"
test -s "$2/without-opengl.png"
