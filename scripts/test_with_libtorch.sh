#!/bin/bash
# Builds and runs the tests of core with another LibTorch than the system's.
#   scripts/test_with_libtorch.sh PREFIX      e.g. the folder `torch` inside a Python package, or an unpacked LibTorch
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
prefix=${1:?give the folder that holds LibTorch}
build=$root/build/libtorch
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DSACCADE_APP=OFF -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
tests=(core_run_tests core_device_test core_gradient_test core_vision_tests core_head_gates_test core_model_tests core_session_test core_capture_test)
cmake --build "$build" --target "${tests[@]}"
for test in "${tests[@]}"; do "$build/tests/$test" --gtest_brief=1; done
