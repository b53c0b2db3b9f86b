//! Images that are not scanned because of their file extension.

use std::{ffi::OsStr, fs::File, io::Read as _, path::Path};

use equibatch_engine::header::Format;
use walkdir::{DirEntry, WalkDir};

/// Sorted paths of files below `root` that are images by their magic bytes but not by their extension. Hidden files, symbolic links and
/// unreadable files are skipped.
pub(super) fn find(root: &Path) -> Vec<String> {
    let is_visible = |entry: &DirEntry| {
        entry
            .file_name()
            .to_str()
            .is_some_and(|name| !name.starts_with('.'))
    };
    let entries = WalkDir::new(root)
        .min_depth(1)
        .into_iter()
        .filter_entry(is_visible);
    let is_misnamed = |entry: &DirEntry| {
        let extension = entry.path().extension().and_then(OsStr::to_str);
        let is_known = extension
            .is_some_and(|extension| Format::of_extension(&extension.to_ascii_lowercase()).is_some());
        entry.file_type().is_file() && !is_known && is_image(entry.path())
    };
    let files = entries.flatten().filter(is_misnamed);
    let relative = |file: DirEntry| Some(file.path().strip_prefix(root).ok()?.to_str()?.to_owned());
    let mut found: Vec<String> = files.filter_map(relative).collect();
    found.sort();
    found
}

fn is_image(path: &Path) -> bool {
    let mut start = Vec::with_capacity(16);
    let read = File::open(path).and_then(|file| file.take(16).read_to_end(&mut start));
    read.is_ok() && Format::of(&start).is_some()
}
