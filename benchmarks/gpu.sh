#!/usr/bin/env bash
# One command of at most nine minutes for a machine with a GPU: builds the project there, runs its tests, measures it
# beside cuBLAS and PyTorch, and runs each operation once under NVIDIA's sanitizers.
#
#   bash benchmarks/gpu.sh
#
# Needs nvcc, CMake, and a Python with NumPy, pybind11 and pytest; PyTorch to compare with; no network. A part that fails
# is told at the end, with an exit code of 1, and stops no other; one that its time stops keeps what it has. Figures go
# to benchmarks/results/gpu.json, after each contest; they and the log also to the folder $OUT, where that is set.
# CHAINRULE_CUDA=EMULATED and CHAINRULE_QUICK=1 try the script on a machine without a GPU.
set -uo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-python3}
limit=${CHAINRULE_GPU_SECONDS:-530}
log=${OUT:-$work}/gpu.log
# Figures of a quick run say nothing: they stay out of the pages' folder.
results=${OUT:-${CHAINRULE_QUICK:+$work}}
results=${results:-benchmarks/results}
failed=() noted=()
late=failed # or noted: where it is told that time ended a part
: >"$log"

say() { printf '%s\n' "$@" | tee -a "$log"; }
left() { echo $((limit - SECONDS)); }
fewer() { echo $(($1 < $2 ? $1 : $2)); }

# part NAME MOST COMMAND...: runs a command for at most MOST seconds, and no longer than the whole may take. What it
# prints goes to the log, and its end to the terminal when it is over: processes that it leaves behind hold no pipe open
# that this script would wait for.
part() {
  local name=$1 most status before
  local -n out_of_time=$late
  most=$(fewer "$2" "$(left)")
  shift 2
  say "" "=== $SECONDS s: $name"
  if ((most < 5)); then
    out_of_time+=("$name: no time was left")
    return 1
  fi
  before=$(wc -c <"$log")
  timeout --signal=INT --kill-after=8 "$most" "$@" >>"$log" 2>&1 </dev/null
  status=$?
  tail -c +$((before + 1)) "$log" | tail -n 60
  case $status in
    0) ;;
    124 | 137) out_of_time+=("$name: stopped after $most s") ;;
    *) failed+=("$name: exit code $status") ;;
  esac
  return $status
}

end() {
  say "" "=== $SECONDS s: the end"
  ((${#noted[@]})) && say "${noted[@]/#/noted: }"
  if ((${#failed[@]})); then
    say "${failed[@]/#/FAILED: }"
    exit 1
  fi
  say "all passed"
  exit 0
}

machine() {
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv,noheader
  nvcc --version | tail -n 1
  "$python" -c 'import torch; print("PyTorch", torch.__version__, "CUDA", torch.version.cuda)' || echo "no PyTorch"
}

build() {
  local generator=() version
  command -v ninja >/dev/null && generator=(-G Ninja)
  version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
  cmake -S . -B "$work/build" "${generator[@]}" -DCHAINRULE_CUDA="${CHAINRULE_CUDA:-ON}" \
    -DPython_EXECUTABLE="$(command -v "$python")" -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" \
    -DSKBUILD_PROJECT_VERSION="$version" &&
    cmake --build "$work/build" --target _engine &&
    mkdir "$work/site" && cp -r python/chainrule "$work/site/" && rm -f "$work"/site/chainrule/_engine*.so &&
    cp "$work"/build/_engine*.so "$work/site/chainrule/"
}

# tests WORD...: pytest with these words, each file in a process of its own, some at a time. Of a file that passes only
# the closing line is shown.
tests() {
  printf '%s\n' tests/test_*.py | xargs -P "$(fewer "$(nproc)" 8)" -I FILE bash -c 'tests_of "$@"' _ FILE "$@"
}

tests_of() {
  local said status
  said=$(OMP_NUM_THREADS=2 "$python" -m pytest -q -p no:cacheprovider "$@" 2>&1)
  status=$?
  case $status in
    0) printf '%s: %s\n' "$1" "$(tail -n 1 <<<"$said")" ;;
    5) status=0 ;; # this file has none of them
    *) printf '%s\n%s: exit code %s\n' "$said" "$1" "$status" ;;
  esac
  return $status
}

# measure PART MOST: it stops by itself in time, at the end of a contest.
measure() {
  local most seconds
  most=$(fewer "$2" "$(left)")
  seconds=$((most > 25 ? most - 15 : 10))
  part "measuring: $1" "$most" "$python" -m chainrule.bench.gpu "$1" --seconds "$seconds" --results "$results" \
    ${CHAINRULE_QUICK:+--quick}
  if [[ -n ${OUT:-} && -z ${CHAINRULE_QUICK:-} && -f $OUT/gpu.json ]]; then cp "$OUT/gpu.json" benchmarks/results/; fi
}

# A sanitizer asks for a device that lets itself be watched; where it does not, or where time ends, no fault is claimed.
sanitize() {
  local most
  most=$(fewer 60 $(($(left) - 10)))
  if ((most < 5)); then
    noted+=("the sanitizers: no time was left")
    return
  fi
  timeout --kill-after=5 "$most" compute-sanitizer --tool memcheck "$python" -c 'import numpy as np, chainrule._engine as e
e.float32.Kernels(isa="cuda").scale(2.0, np.ones(3, np.float32))' >"$work/first.log" 2>&1 || {
    noted+=("the sanitizers do not work here: $(tail -n 1 "$work/first.log")")
    return
  }
  local tool late=noted
  for tool in memcheck racecheck; do
    part "$tool, over every operation" "$(left)" compute-sanitizer --tool "$tool" --error-exitcode 1 \
      "$python" -m pytest -q -p no:cacheprovider -k "test_all_on_three_threads and cuda" tests/test_kernels.py
  done
}

command -v nvcc >/dev/null || PATH=$PATH:/usr/local/cuda/bin
# Its architecture by number: CMake before 3.24 does not know "native".
architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -cd 0-9)
[[ $architecture == 90 ]] && architecture=90a # a Hopper's own instructions are only in code for it alone
export CUDAARCHS=${CUDAARCHS:-${architecture:-native}} CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
export PYTHONPATH="$work/site${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 # those that happen to be there have no say
export TORCHINDUCTOR_CACHE_DIR="$work/inductor" TRITON_CACHE_DIR="$work/triton"
export JAX_PLATFORMS=cpu # its part here is a test of the CPU's benchmarks
export python work
export -f machine build tests tests_of fewer

part "the machine" 60 bash -c machine
part "building" 200 bash -c build || end
part "what was built" 30 "$python" -m chainrule info
part "the GPU" 30 "$python" -c 'import sys, chainrule._engine as e; sys.exit(e.cuda_trouble() or None)' || end
part "the tests on the GPU" 110 bash -c 'tests -k cuda'
measure products 80
measure training 170
# The pages do not show yet what was measured just now.
part "the other tests" 150 bash -c \
  'tests -k "not cuda" --deselect tests/test_repo.py::test_the_figures_of_the_readme_are_the_stored_ones'
sanitize
end
