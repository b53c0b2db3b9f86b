#!/usr/bin/env bash
# Runs docs/tutorial.md: every block of `sh` in it, in order, in an empty folder, with the programs of target/release; those of `shell`, too, if
# `make data/real/ready` has unpacked their photographs. Output goes to output.txt there, block by block, and the pictures of the page to docs/images.
#
#   tests/tutorial.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD folder=${1:-data/tutorial}
export PATH="$root/target/release:$PATH"
export ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$(echo "$root"/.runtime/onnxruntime/capi/libonnxruntime.so.*)}

rm -rf "$folder" && mkdir -p "$folder"
fence='^```sh$'
[ -e data/real/ready ] && fence='^```sh(ell)?$'
script=$(awk -v fence="$fence" '$0 ~ fence { inside = 1; next } /^```$/ { if (inside) print "echo"; inside = 0 } inside { gsub(/\\/, "\\\\"); print }' \
  docs/tutorial.md | sed -E 's/^(server|client) .*/printf "\\n$ %s\\n" "&"\n&/')
cd "$folder"
start=$SECONDS
# Processes that the page started are ended.
bash -euo pipefail -c "trap 'kill \$(jobs -p) 2>/dev/null' EXIT
$script" 2>&1 | tee output.txt
echo "took $((SECONDS - start)) seconds" | tee -a output.txt

images=$root/docs/images
mkdir -p "$images"
cp batch.png augmented.png "$images"
cp runs/find-lr/find-lr.png "$images"
cp runs/natural-2/confusion-valid.png "$images/natural.png"
cp runs/balanced-2/confusion-valid.png "$images/balanced.png"
