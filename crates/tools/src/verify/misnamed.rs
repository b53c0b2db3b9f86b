//! Images that are not scanned because of their file extension.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use equibatch_engine::header::Format;

/// Sorted paths of files below `root` that are images by their magic bytes but not by their extension. Hidden files, symbolic links and
/// unreadable files are skipped.
pub(super) fn find(root: &Path) -> Vec<String> {
    let mut found = vec![];
    let mut open = vec![String::new()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(root.join(&folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            let is_known = name.rsplit_once('.').is_some_and(|(_, extension)| {
                Format::of_extension(&extension.to_ascii_lowercase()).is_some()
            });
            let path = if folder.is_empty() {
                name
            } else {
                format!("{folder}/{name}")
            };
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() && !is_known && is_image(&root.join(&path)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn is_image(path: &Path) -> bool {
    let mut start = Vec::with_capacity(16);
    let read = File::open(path).and_then(|file| file.take(16).read_to_end(&mut start));
    read.is_ok() && Format::of(&start).is_some()
}
