#!/usr/bin/env bash
# The demo: draws an imbalanced data set, serves it, trains a ResNet34 on it as it is and
# balanced, and compares the two models. `make demo` builds the programs first.
#
# SIZE, EPOCHS, BATCH and SEED may be set in the environment. The defaults take two to three minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."

size=${SIZE:-96} epochs=${EPOCHS:-10} batch=${BATCH:-16} seed=${SEED:-1}
data=data/flowers-birds runs=runs/demo
server=target/release/server client=target/release/client
log=$runs/server.log

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

[ -e "$data/flowers" ] || { say "Drawing the sample data"; "$server" sample-data "$data"; }

rm -rf "$runs" && mkdir -p "$runs"
say "Starting the server"
"$server" serve --data "flowers-birds=$data" --listen 127.0.0.1:0 >"$log" 2>&1 &
server_pid=$!
trap 'kill "$server_pid" 2>/dev/null; wait "$server_pid" 2>/dev/null || true' EXIT
address=
for _ in $(seq 300); do
  address=$(grep -oE '127\.0\.0\.1:[0-9]+' "$log" | head -n 1 || true)
  [ -n "$address" ] && break
  kill -0 "$server_pid" 2>/dev/null || { cat "$log" >&2; exit 1; }
  sleep 0.1
done
[ -n "$address" ] || { echo "the server did not say where it listens; see $log" >&2; exit 1; }
"$client" datasets --server "$address"

for balance in natural oversample; do
  say "Training a ResNet34, balance: $balance"
  "$client" train --server "$address" --balance "$balance" --epochs "$epochs" --size "$size" --batch-size "$batch" --seed "$seed" \
    --out "$runs/$balance"
done

say "On the validation images"
"$client" evaluate --server "$address" "$runs/natural" "$runs/oversample"
say "On 20 new images"
"$client" evaluate --server "$address" --split test "$runs/natural" "$runs/oversample"
say "The new images one by one, by the balanced model"
"$client" predict --model "$runs/oversample" "$data/test"

say "Look at"
# The pictures of a report are in its page.
find "$runs" -path '*/report' -prune -o \( -name '*.html' -o -name '*.png' -o -name '*.onnx' -o -name 'metrics.jsonl' \) -print | sort
