//! Sources of images to classify: files, folders and streams.

use std::{
    io::{self, BufRead, Read},
    path::{Path, PathBuf},
};

use walkdir::{DirEntry, WalkDir};

/// Extensions of images in folders. A file named explicitly is tried regardless of its name.
const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "bmp", "gif"];

/// A folder contains no images.
#[derive(Debug, thiserror::Error)]
#[error("there are no images in {}", path.display())]
pub struct NoImages {
    /// The folder.
    pub path: PathBuf,
}

/// One image.
#[derive(Debug)]
pub struct ImageSource {
    /// Name in the output.
    pub name: String,
    /// Where its bytes are.
    pub bytes: SourceBytes,
}

/// Where the bytes of an image are.
#[derive(Debug)]
pub enum SourceBytes {
    /// In a file.
    File(PathBuf),
    /// In memory.
    Memory(Vec<u8>),
    /// Unavailable: a folder cannot be searched.
    Unreadable(io::Error),
}

impl ImageSource {
    /// Reads an image from a stream.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub fn of_stream(name: &str, mut stream: impl Read) -> io::Result<Self> {
        let mut bytes = vec![];
        stream.read_to_end(&mut bytes)?;
        let (name, bytes) = (name.to_owned(), SourceBytes::Memory(bytes));
        Ok(Self { name, bytes })
    }

    fn of_file(path: PathBuf) -> Self {
        Self {
            name: path.display().to_string(),
            bytes: SourceBytes::File(path),
        }
    }
}

/// The file `path`, or all images below the folder `path` in the order of their names. Links to folders are not followed, so that no folder
/// is searched twice; names that begin with a dot are skipped.
///
/// # Errors
///
/// [`NoImages`] if a folder contains none.
pub fn sources(path: &Path) -> Result<Vec<ImageSource>, NoImages> {
    if !path.is_dir() {
        return Ok(vec![ImageSource::of_file(path.to_path_buf())]);
    }
    let is_visible = |entry: &DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
    let entries = WalkDir::new(path).min_depth(1).sort_by_file_name();
    let source = |entry: Result<DirEntry, walkdir::Error>| match entry {
        Ok(entry) => {
            let is_source = is_image(entry.path()) && !entry.path().is_dir();
            is_source.then(|| ImageSource::of_file(entry.into_path()))
        }
        Err(error) => {
            let name = error.path().unwrap_or(path).display().to_string();
            let error = error.into_io_error();
            let bytes = SourceBytes::Unreadable(error.unwrap_or_else(|| io::ErrorKind::Other.into()));
            Some(ImageSource { name, bytes })
        }
    };
    let entries = entries.into_iter().filter_entry(is_visible);
    let found: Vec<ImageSource> = entries.filter_map(source).collect();
    if found.is_empty() {
        let path = path.to_path_buf();
        return Err(NoImages { path });
    }
    Ok(found)
}

fn is_image(path: &Path) -> bool {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&&*extension))
}

/// The paths in a list, one per line; empty lines are skipped.
///
/// # Errors
///
/// If the stream fails.
pub fn listed(list: impl BufRead) -> io::Result<Vec<PathBuf>> {
    let mut paths = vec![];
    for line in list.split(b'\n') {
        let line = line?;
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if !line.is_empty() {
            paths.push(path_of(line));
        }
    }
    Ok(paths)
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    std::ffi::OsStr::from_bytes(bytes).into()
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn folders_are_searched_recursively_in_the_order_of_names() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path();
        fs::create_dir_all(root.join("b/deep")).expect("folders");
        fs::create_dir_all(root.join(".hidden")).expect("a folder");
        for name in [
            "c.jpg",
            "a.PNG",
            "notes.txt",
            ".x.jpg",
            "b/deep/d.webp",
            "b/2.gif",
            "b/10.gif",
            ".hidden/e.jpg",
        ] {
            fs::write(root.join(name), b"").expect("a file");
        }
        let names = |path: &Path| -> Vec<String> {
            let found = sources(path).expect("images").into_iter();
            let relative = |name: String| {
                name.strip_prefix(&format!("{}/", root.display()))
                    .map(str::to_owned)
            };
            found
                .map(|source| relative(source.name).expect("below the folder"))
                .collect()
        };
        assert_eq!(
            names(root),
            ["a.PNG", "b/10.gif", "b/2.gif", "b/deep/d.webp", "c.jpg"]
        );
        assert_eq!(
            names(&root.join("notes.txt")),
            ["notes.txt"],
            "a file named explicitly is tried"
        );
        assert_eq!(names(&root.join("gone")), ["gone"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_folders_are_not_followed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("a.jpg"), b"").expect("a file");
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).expect("a link");
        assert_eq!(sources(folder.path()).expect("images").len(), 1);
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).expect("a folder");
        sources(&empty).expect_err("no images");
    }

    #[test]
    fn lists_have_one_path_per_line() {
        let paths = listed(&b"a b.jpg\r\n\n/c\nd"[..]).expect("readable");
        assert_eq!(paths, ["a b.jpg", "/c", "d"].map(PathBuf::from));
    }
}
