//! Tensors of an ONNX model.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path},
};

use equibatch_training::program::{
    Tensor,
    import::{self, Elements, HostTensor},
};

/// All float initialisers by name. What a model keeps in other files is read from `folder`.
pub(super) fn tensors(bytes: &[u8], folder: &Path) -> Result<BTreeMap<String, Tensor>, String> {
    let model = import::read(bytes, &|location| read_external_data(folder, location))
        .map_err(|error| error.to_string())?;
    let floats = |(name, tensor): (String, HostTensor)| match tensor.elements {
        Elements::F32(data) => {
            let shape = tensor.shape;
            Some((name, Tensor { shape, data }))
        }
        Elements::I64(_) | Elements::Bool(_) => None,
    };
    Ok(model.initializers.into_iter().filter_map(floats).collect())
}

/// A file that a model names. Names that lead out of the model's folder are not followed.
///
/// # Errors
///
/// Those of the file system.
pub fn read_external_data(folder: &Path, location: &str) -> io::Result<Vec<u8>> {
    let relative = Path::new(location);
    let stays = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if location.is_empty() || !stays {
        let reason = "it leads out of the model's folder";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    fs::read(folder.join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_outside_of_the_folder_are_not_read() {
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

    #[test]
    fn other_bytes_are_a_sentence() {
        let refused = tensors(b"\xff\xff", Path::new(".")).expect_err("no model");
        assert!(refused.contains("no ONNX model"), "{refused}");
    }
}
