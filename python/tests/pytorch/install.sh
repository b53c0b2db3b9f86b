#!/usr/bin/env bash
# install.sh FOLDER [frameworks]: a virtual environment with PyTorch for a CPU, Lightning and Accelerate; with `frameworks` fastai, JAX and Ray, too.
#
# The Linux wheels of PyTorch are linked with CUDA's libraries: 1.8 GB that a machine without a GPU loads and never calls. Two small ones are installed, because
# PyTorch calls them when it is loaded; the others are replaced by empty libraries, whose functions would be looked up at the first call only.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
test -e "$folder/bin/python" || "${PYTHON:-python3}" -m venv "$folder"
pip() { "$folder/bin/python" -m pip install --quiet --no-deps "$@"; }

if test "${2-}" = frameworks; then
  pip --requirement "$here/frameworks.txt"
  exit
fi

pip --requirement "$here/requirements.txt"
site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
libraries=$(echo "$site"/nvidia/cu*/lib)
empty() { cc -shared -x c - -o "$libraries/$1" "-Wl,-soname,$1" "${@:2}"; }
needed=$(for library in "$site"/torch/lib/*.so; do readelf --dynamic "$library"; done | grep -oE '\[lib(cu|nv|nccl)[A-Za-z_]*\.so\.[0-9]+\]' | tr -d '[]' | sort -u)
for name in $needed; do
  case $name in
    libcuda.so.*) ;;
    # Symbols of this one are read as soon as it is loaded, and have a version.
    libnvshmem_host.so.*)
      nm --dynamic --undefined-only "$site/torch/lib/libtorch_nvshmem.so" | grep -oE 'nvshmem\w*' | sort -u | sed 's/.*/int &;/' \
        | empty "$name" "-Wl,--version-script=$here/nvshmem.map" ;;
    *) test -e "$libraries/$name" || empty "$name" < /dev/null ;;
  esac
done
echo 'import os, sys; sys.setdlopenflags(os.RTLD_LAZY)' > "$site/lazy.pth"
