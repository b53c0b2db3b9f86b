use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Component, Path},
};

/// Most bytes of one external data file: 64 GiB.
const MAX_BYTES: u64 = 1 << 36;

/// Reads an external data file of an ONNX model.
///
/// # Errors
///
/// [`io::ErrorKind::PermissionDenied`] if `location` is empty, absolute, contains `..` or leads out of the folder by a symbolic link,
/// [`io::ErrorKind::InvalidInput`] if it is no regular file, [`io::ErrorKind::FileTooLarge`] if it has more than 64 GiB; errors of the file
/// system.
pub fn read_external_data(folder: &Path, location: &str) -> io::Result<Vec<u8>> {
    let relative = Path::new(location);
    let stays = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let outside = || {
        let reason = "the external data location must be a relative path below the model's folder";
        io::Error::new(io::ErrorKind::PermissionDenied, reason)
    };
    if location.is_empty() || !stays {
        return Err(outside());
    }
    // The empty path is the working directory.
    let folder = fs::canonicalize(if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    })?;
    let path = fs::canonicalize(folder.join(relative))?;
    if !path.starts_with(&folder) {
        return Err(outside());
    }
    let file = File::open(&path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ));
    }
    if metadata.len() > MAX_BYTES {
        let reason = format!("it has {} bytes, more than {MAX_BYTES}", metadata.len());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    let mut bytes = vec![];
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_data_outside_the_models_folder_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).expect("a folder");
        fs::write(folder.path().join("secret"), b"x").expect("a file");
        fs::write(inner.join("data"), b"y").expect("a file");
        for location in ["../secret", "", "/etc/hostname", "a/../../secret"] {
            let error = read_external_data(&inner, location).expect_err(location);
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{location}");
        }
        assert_eq!(read_external_data(&inner, "./data").expect("read"), b"y");
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_folder_and_folders_are_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).expect("a folder");
        fs::create_dir(inner.join("deeper")).expect("a folder");
        fs::write(folder.path().join("secret"), b"x").expect("a file");
        fs::write(inner.join("data"), b"y").expect("a file");
        std::os::unix::fs::symlink("../secret", inner.join("out")).expect("a link");
        std::os::unix::fs::symlink("data", inner.join("in")).expect("a link");
        let kind = |location: &str| read_external_data(&inner, location).expect_err(location).kind();
        assert_eq!(kind("out"), io::ErrorKind::PermissionDenied);
        assert_eq!(kind("deeper"), io::ErrorKind::InvalidInput);
        assert_eq!(read_external_data(&inner, "in").expect("read"), b"y");
    }

    #[test]
    fn larger_files_than_the_bound_are_refused_unread() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = File::create(folder.path().join("data")).expect("a file");
        // A sparse file, where the file system has them.
        if file.set_len(MAX_BYTES + 1).is_ok() {
            let error = read_external_data(folder.path(), "data").expect_err("too large");
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        }
    }
}
