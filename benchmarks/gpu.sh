#!/usr/bin/env bash
# One command for a machine with a GPU: builds the project there, runs the tests of the GPU's operations on it, then each
# operation once under NVIDIA's sanitizers. It measures no speed: networks do not run on the GPU yet.
#
#   bash benchmarks/gpu.sh
#
# Needs nvcc, CMake, and a Python with NumPy, pybind11, scikit-build-core and pytest; no network. Leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-python3}
step() { printf '\n=== %s s: %s\n' "$SECONDS" "$*"; }

step "the machine"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
nvcc --version | tail -n 1

step "building"
CUDAARCHS=${CUDAARCHS:-native} "$python" -m pip install --quiet --no-index --no-deps --no-build-isolation --target "$work/site" \
  -C cmake.define.CHAINRULE_CUDA=ON -C cmake.define.CHAINRULE_WERROR=ON .
export PYTHONPATH="$work/site"
"$python" -m chainrule info
"$python" -c 'import sys, chainrule._engine as e; sys.exit(e.cuda_trouble() or None)' # else all below would be skipped

step "the tests of its operations, on the GPU"
"$python" -m pytest -q -p no:cacheprovider -k cuda tests/test_kernels*.py tests/test_cuda*.py

# A sanitizer asks for a device that lets itself be watched; where it does not, that is said, and no fault is claimed.
if ! compute-sanitizer --tool memcheck "$python" -c 'import numpy as np, chainrule._engine as e
e.float32.Kernels(isa="cuda").scale(2.0, np.ones(3, np.float32))' >"$work/first.log" 2>&1; then
  step "the sanitizers do not work here"
  tail -n 5 "$work/first.log"
  exit 0
fi
for tool in memcheck racecheck; do
  step "$tool, over every operation"
  compute-sanitizer --tool "$tool" --error-exitcode 1 "$python" -m pytest -q -p no:cacheprovider \
    -k "test_all_on_three_threads and cuda" tests/test_kernels.py
done
step "all passed"
