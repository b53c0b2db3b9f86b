//! The files of a folder, and logs.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::{NamedTempFile, TempPath};

use crate::wait::eventually_async;

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

/// A temporary file with this text.
///
/// # Panics
///
/// If the system refuses.
#[must_use]
pub fn written(text: &str) -> TempPath {
    let path = NamedTempFile::new().expect("a file").into_temp_path();
    fs::write(&path, text).expect("written");
    path
}

/// A program's log in a temporary file.
#[derive(Debug)]
pub struct Log(NamedTempFile);

impl Log {
    /// An empty log.
    ///
    /// # Panics
    ///
    /// If the system refuses a file.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "it makes a file")]
    pub fn new() -> Self {
        Self(NamedTempFile::new().expect("a file"))
    }

    /// The file to write to.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    #[must_use]
    pub fn file(&self) -> File {
        self.0.reopen().expect("a file")
    }

    /// What was written so far.
    ///
    /// # Panics
    ///
    /// If it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        fs::read_to_string(self.0.path()).expect("a file of text")
    }

    /// The lines of a log in JSON that have this message.
    ///
    /// # Panics
    ///
    /// If a line is not JSON.
    #[must_use]
    pub fn lines(&self, message: &str) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        lines.filter(|line: &Value| line["message"] == message).collect()
    }

    /// Waits until `words` are in it.
    ///
    /// # Panics
    ///
    /// After the deadline.
    pub async fn wait_for(&self, words: &str) {
        eventually_async(words, async || self.text().contains(words).then_some(())).await;
    }
}
