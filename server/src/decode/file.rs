use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::{DecodeOptions, Error, decode};
use crate::image::Image;

/// Decodes the file at `path`, which had `expected_bytes` bytes when it was scanned.
///
/// # Errors
///
/// Those of [`decode`]; [`Error::Vanished`], [`Error::Changed`], [`Error::Io`]. At most `expected_bytes + 1` bytes are read, so a file
/// that grows while it is read costs nothing.
pub fn read_and_decode(path: &Path, expected_bytes: u64, options: &DecodeOptions) -> Result<Image, Error> {
    options.limits.check_file(expected_bytes)?;
    let bytes = read(path, expected_bytes).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::Vanished {
            path: path.to_owned(),
        },
        _ => Error::Io {
            path: path.to_owned(),
            source,
        },
    })?;
    let found = match bytes {
        Ok(bytes) if bytes.len() as u64 == expected_bytes => return decode(&bytes, options),
        Ok(bytes) => bytes.len() as u64,
        Err(found) => found,
    };
    Err(Error::Changed {
        path: path.to_owned(),
        expected: expected_bytes,
        found,
    })
}

/// The file's bytes, or only their number where it is not the expected one.
fn read(path: &Path, expected_bytes: u64) -> io::Result<Result<Vec<u8>, u64>> {
    // Looked at before it is opened: opening a named pipe would block for ever.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if metadata.len() != expected_bytes {
        return Ok(Err(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(expected_bytes).map_err(io::Error::other)? + 1);
    File::open(path)?
        .take(expected_bytes + 1)
        .read_to_end(&mut bytes)?;
    Ok(Ok(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::decode::Blame;

    #[test]
    fn a_file_that_vanished_or_changed_is_said_to_have() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        let error = |bytes| read_and_decode(&path, bytes, &DecodeOptions::default()).unwrap_err();

        assert!(matches!(error(5), Error::Vanished { .. }));
        fs::write(&path, b"hello").unwrap();
        for (bytes, what) in [(4, "5 bytes, not 4"), (6, "5 bytes, not 6")] {
            let error = error(bytes);
            assert!(error.to_string().ends_with(what), "{error}");
            assert_eq!(error.blame(), Blame::Io);
        }
        assert_eq!(error(5).blame(), Blame::Unsupported);
    }

    #[test]
    fn a_folder_in_place_of_a_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = read_and_decode(folder.path(), 5, &DecodeOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
}
