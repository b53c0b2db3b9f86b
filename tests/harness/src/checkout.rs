//! Paths of the checkout that the tests are built in.

use std::path::{Path, PathBuf};

/// A file or folder of the checkout.
#[must_use]
pub fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(relative)
}

/// A file of `tests/fixtures`.
#[must_use]
pub fn fixture(relative: &str) -> PathBuf {
    path("tests/fixtures").join(relative)
}
