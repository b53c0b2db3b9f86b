use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

use super::{DecodeLimits, Error};
use crate::{dataset::Sample, header};

/// Reads the file of `sample` at `path` and checks that its size and modification time are those of the scan.
///
/// Both are compared before and after reading, to detect writes while the file is read. At most one byte more than the size at the scan is
/// read, so that a growing file does not cost memory. Not detected: a file of the same size whose modification time was reset, or that was
/// written within one clock tick of the file system after the scan.
///
/// # Errors
///
/// [`Error::Vanished`] if there is no such file, [`Error::Changed`] if its size differs, [`Error::Rewritten`] if its modification time
/// differs, [`Error::Io`] if it cannot be read or is no regular file, [`Error::Header`] if its size exceeds `limits`.
pub fn read(path: &Path, sample: &Sample, limits: &DecodeLimits) -> Result<Vec<u8>, Error> {
    limits.check_file(sample.bytes)?;
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::Vanished {
            path: path.to_owned(),
        },
        _ => Error::Io {
            path: path.to_owned(),
            source,
        },
    };
    let mut file = header::open(path).map_err(failed)?;
    check(path, sample, &file.metadata().map_err(failed)?)?;
    let bytes = contents(&mut file, sample.bytes).map_err(failed)?;
    check(path, sample, &file.metadata().map_err(failed)?)?;
    if bytes.len() as u64 == sample.bytes {
        Ok(bytes)
    } else {
        Err(changed(path, sample, bytes.len() as u64))
    }
}

fn check(path: &Path, sample: &Sample, found: &Metadata) -> Result<(), Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    if found.len() != sample.bytes {
        return Err(changed(path, sample, found.len()));
    }
    if found.modified().map_err(io)? != sample.modified {
        return Err(Error::Rewritten {
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn changed(path: &Path, sample: &Sample, found: u64) -> Error {
    Error::Changed {
        path: path.to_owned(),
        expected: sample.bytes,
        found,
    }
}

fn contents(file: &mut File, expected: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(expected).map_err(io::Error::other)? + 1);
    file.take(expected + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::dataset::Split;
    use crate::decode::Blame;

    fn sample(path: &Path) -> Sample {
        let metadata = fs::metadata(path).unwrap();
        Sample {
            path: "a.jpg".into(),
            class: 0,
            split: Split::Train,
            bytes: metadata.len(),
            modified: metadata.modified().unwrap(),
            width: 1,
            height: 1,
        }
    }

    #[test]
    fn a_file_is_read_only_if_its_modification_time_is_that_of_the_scan() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        fs::write(&path, b"hello").unwrap();
        let scanned = sample(&path);
        let read = || read(&path, &scanned, &DecodeLimits::default());
        assert_eq!(read().unwrap(), b"hello");

        // Times are set explicitly: two writes within a clock tick would have the same time.
        let set = |time: SystemTime| {
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(time)
        };
        for later in [Duration::from_nanos(1), Duration::from_secs(1)] {
            set(scanned.modified + later).unwrap();
            assert!(matches!(read(), Err(Error::Rewritten { .. })), "{later:?}");
        }
        set(scanned.modified - Duration::from_secs(9)).unwrap();
        assert!(matches!(read(), Err(Error::Rewritten { .. })), "an older file");
        set(scanned.modified).unwrap();
        assert_eq!(read().unwrap(), b"hello");
    }

    #[test]
    fn a_deleted_file_or_one_of_another_size_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        fs::write(&path, b"hello").unwrap();
        let scanned = sample(&path);
        let error = || read(&path, &scanned, &DecodeLimits::default()).unwrap_err();
        for (content, what) in [
            ("hell", "4 bytes, not 5"),
            ("hello!", "6 bytes, not 5"),
            ("", "0 bytes, not 5"),
        ] {
            fs::write(&path, content).unwrap();
            let error = error();
            assert!(error.to_string().ends_with(what), "{error}");
            assert_eq!(error.blame(), Blame::Io);
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(error(), Error::Vanished { .. }));
    }

    #[test]
    fn a_folder_or_a_named_pipe_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        fs::write(&path, b"hello").unwrap();
        let scanned = sample(&path);
        let error = |path: &Path| read(path, &scanned, &DecodeLimits::default()).unwrap_err();
        assert!(matches!(error(folder.path()), Error::Io { .. }));
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert!(
            matches!(error(&pipe), Error::Io { .. }),
            "opening the pipe must not block"
        );
    }

    #[test]
    fn a_file_larger_than_allowed_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        fs::write(&path, b"hello").unwrap();
        let limits = DecodeLimits {
            max_file_bytes: 4,
            ..DecodeLimits::default()
        };
        let error = read(&path, &sample(&path), &limits).unwrap_err();
        assert_eq!(error.blame(), Blame::Limit);
    }
}
