//! Files of a folder, before and after something happens to it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::wait::{eventually, eventually_async};

/// The files below a folder, by relative path.
///
/// # Panics
///
/// If one cannot be read.
#[must_use]
pub fn below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry"))
    {
        let (path, name) = (entry.path(), PathBuf::from(entry.file_name()));
        if path.is_dir() {
            let inner = below(&path).into_iter();
            found.extend(inner.map(|(path, bytes)| (name.join(path), bytes)));
        } else {
            found.insert(name, fs::read(path).expect("a file"));
        }
    }
    found
}

fn contains(path: &Path, words: &str) -> Option<()> {
    let text = fs::read_to_string(path).expect("a file of text");
    text.contains(words).then_some(())
}

/// Waits until `words` are in a file, as a log.
///
/// # Panics
///
/// After the deadline.
pub fn wait_for(path: &Path, words: &str) {
    eventually(words, || contains(path, words));
}

/// [`wait_for`] within a runtime.
///
/// # Panics
///
/// After the deadline.
pub async fn wait_for_async(path: &Path, words: &str) {
    eventually_async(words, async || contains(path, words)).await;
}
