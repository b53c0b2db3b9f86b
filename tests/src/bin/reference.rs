//! Writes `docs/reference.md` anew: `cargo run --package equibatch-tests --bin reference`.

use std::{fs, path::Path};

fn main() -> std::io::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference.md");
    fs::write(path, equibatch_tests::docs::reference())
}
