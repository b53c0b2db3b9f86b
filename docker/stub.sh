#!/bin/sh
# Empty sources, so that the dependencies can be built before the sources are there.
set -eu
for package in server client tests; do
  mkdir -p "$package/src"
  touch "$package/src/lib.rs"
done
for main in server/src/main.rs client/src/main.rs; do
  echo 'fn main() {}' > "$main"
done
mkdir -p tests/suite
echo 'fn main() {}' > tests/suite/main.rs
# Cargo wants the file of every target that a manifest names, those that are not built as well.
for package in server client; do
  sed -n '/^\[\[bench\]\]/,/^$/s/^name = "\(.*\)"/\1/p' "$package/Cargo.toml" | while read -r bench; do
    mkdir -p "$package/benches"
    echo 'fn main() {}' > "$package/benches/$bench.rs"
  done
done
