//! URL lists, and file names of the downloaded images.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use equibatch_engine::header::Format;

/// The URLs of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassList {
    /// Class name, which is that of its folder.
    pub class: String,
    /// URLs in list order, trimmed, without empty lines.
    pub urls: Vec<String>,
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the list {}", path.display())]
    Unreadable {
        /// The list.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The file has no URL.
    #[error("no URL in the list {}", path.display())]
    Empty {
        /// The list.
        path: PathBuf,
    },
}

impl ClassList {
    /// Reads at most `max_pics` lines of a file with one URL per line.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`].
    pub fn read(class: &str, path: &Path, max_pics: Option<usize>) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|source| Error::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let text = String::from_utf8_lossy(&bytes);
        // Byte order mark.
        let text = text.trim_start_matches('\u{FEFF}');
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let urls: Vec<String> = lines
            .take(max_pics.unwrap_or(usize::MAX))
            .map(str::to_owned)
            .collect();
        if urls.is_empty() {
            return Err(Error::Empty {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            class: class.to_owned(),
            urls,
        })
    }
}

/// The file name of image `number`, downloaded from `url`, of `format`.
pub(super) fn file_name(number: usize, url: &str, format: Format) -> String {
    let said = extension(url).filter(|said| Format::of_extension(&said.to_ascii_lowercase()) == Some(format));
    let extension = said.unwrap_or(match format {
        Format::Jpeg => "jpg",
        Format::Png => "png",
        Format::WebP => "webp",
        Format::Bmp => "bmp",
        Format::Gif => "gif",
    });
    format!("{number:08}.{extension}")
}

/// Parses the number of a file name.
pub(super) fn number(name: &str) -> Option<usize> {
    let (number, extension) = name.split_once('.')?;
    Format::of_extension(&extension.to_ascii_lowercase())?;
    let is_number = number.len() >= 8 && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| number.parse().ok())?
}

/// The file extension of the URL's path.
fn extension(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next()?;
    let (_, extension) = path.rsplit_once('.')?;
    (!extension.contains('/')).then_some(extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_have_the_extension_of_the_content() {
        for (url, format, name) in [
            ("http://x/a.jpg", Format::Jpeg, "00000007.jpg"),
            ("http://x/a.JPEG?w=1.5", Format::Jpeg, "00000007.JPEG"),
            ("http://x/a.jpg", Format::Png, "00000007.png"),
            ("http://x/i.php?id=3.jpg", Format::WebP, "00000007.webp"),
            ("http://example.com", Format::Gif, "00000007.gif"),
            ("http://x/a.jpg/latest", Format::Bmp, "00000007.bmp"),
        ] {
            assert_eq!(file_name(7, url, format), name, "{url}");
            assert_eq!(number(name), Some(7));
        }
        assert_eq!(
            number(&file_name(123_456_789, "", Format::Jpeg)),
            Some(123_456_789)
        );
        for other in [
            "7.jpg",
            "00000007.php",
            "00000007",
            "0000000a.jpg",
            ".equibatch-00000007.part",
        ] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn a_list_is_trimmed_and_limited() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("urls.csv");
        fs::write(&path, "\u{FEFF}http://a\r\n\n  http://b \nhttp://c\n").unwrap();
        let list = ClassList::read("birds", &path, Some(2)).unwrap();
        assert_eq!(list.urls, ["http://a", "http://b"]);
        assert_eq!(ClassList::read("birds", &path, None).unwrap().urls.len(), 3);
        fs::write(&path, "\n \n").unwrap();
        let error = ClassList::read("birds", &path, None).unwrap_err();
        assert!(matches!(error, Error::Empty { .. }), "{error}");
    }
}
