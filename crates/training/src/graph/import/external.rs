use std::{
    fs, io,
    path::{Component, Path},
};

/// Reads an external data file of an ONNX model.
///
/// # Errors
///
/// [`io::ErrorKind::PermissionDenied`] if `location` is empty, absolute or contains `..`; errors of the file system.
pub fn read_external_data(folder: &Path, location: &str) -> io::Result<Vec<u8>> {
    let relative = Path::new(location);
    let stays = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if location.is_empty() || !stays {
        let reason = "the external data location must be a relative path below the model's folder";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    fs::read(folder.join(relative))
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
}
