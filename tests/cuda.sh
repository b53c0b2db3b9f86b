#!/usr/bin/env bash
# Every check that needs a CUDA device, and one table of training steps with PyTorch's beside them, in under 8 minutes on one card. Nothing is installed.
#
#   tests/cuda.sh [--client target/release/client] [--server target/release/server]
#
# Needs release programs, ONNX Runtime's CUDA build (ORT_DYLIB_PATH, or `pip install onnxruntime-gpu`), and the CUDA 13 libraries, which PyTorch's
# Python packages bring. Without PyTorch the table has our rows only. The loader is checked if `make python` has built the package, or it is installed.
# Ends with a failure if a check failed.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
find_in_packages() {
  "$python" - "$1" <<'PY'
import glob, sys
print(":".join(sorted({found for base in sys.path if base.endswith("-packages") for found in glob.glob(f"{base}/{sys.argv[1]}", recursive=True)})))
PY
}
if [ -z "${ORT_DYLIB_PATH-}" ]; then
  ORT_DYLIB_PATH=$(find_in_packages 'onnxruntime/capi/libonnxruntime.so.*')
  export ORT_DYLIB_PATH
fi
LD_LIBRARY_PATH=$(dirname "${ORT_DYLIB_PATH:-.}"):$(find_in_packages 'nvidia/**/lib'):${LD_LIBRARY_PATH-}
export LD_LIBRARY_PATH
PYTHONPATH=python:${PYTHONPATH-} exec "$python" tests/cuda_checks.py "$@"
