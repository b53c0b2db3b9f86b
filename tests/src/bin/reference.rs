//! Writes `docs/reference.md` anew: `cargo run --package equibatch-tests --bin reference`.

use equibatch_harness::checkout;
use std::fs;

fn main() -> std::io::Result<()> {
    let path = checkout::path("docs/reference.md");
    fs::write(path, equibatch_tests::docs::reference())
}
