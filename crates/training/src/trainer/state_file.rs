//! The state of a training as a safetensors file.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{Array as _, Error};
use crate::graph::Tensor;

/// Metadata key of the number of steps.
const STEPS: &str = "optimizer_steps";

/// Writes a file under a temporary name and renames it, so that it is complete or absent.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| Error::File {
        what: "write",
        path: path.to_path_buf(),
        source,
    })
}

/// Writes tensors and the number of steps.
pub(super) fn write(path: &Path, tensors: &BTreeMap<String, Tensor>, steps: u64) -> Result<(), Error> {
    let bytes: Vec<_> = tensors.values().map(|tensor| tensor.data.bytes()).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, tensor), bytes)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.to_vec(), bytes);
        (
            name,
            view.expect("a tensor has as many elements as its shape says"),
        )
    });
    let metadata = HashMap::from([(STEPS.to_owned(), steps.to_string())]);
    let file = safetensors::serialize(views, Some(metadata)).expect("names, shapes and lengths agree");
    write_whole(path, &file)
}

/// Reads tensors and the number of steps.
pub(super) fn read(path: &Path) -> Result<(BTreeMap<String, Tensor>, u64), Error> {
    let bytes = fs::read(path).map_err(|source| Error::File {
        what: "read",
        path: path.to_path_buf(),
        source,
    })?;
    parse(&bytes).map_err(|reason| Error::State {
        reason: format!("{}: {reason}", path.display()),
    })
}

fn parse(bytes: &[u8]) -> Result<(BTreeMap<String, Tensor>, u64), String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let steps = header
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get(STEPS));
    let steps = steps.and_then(|steps| steps.parse().ok());
    let steps = steps.ok_or_else(|| format!("its metadata have no number `{STEPS}`"))?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let tensors = file.iter().map(|(name, view)| {
        if view.dtype() != Dtype::F32 {
            return Err(format!("`{name}` is {:?}, not F32", view.dtype()));
        }
        let words = view.data().chunks_exact(4);
        let data = words.map(|word| f32::from_le_bytes(word.try_into().expect("four bytes")));
        let tensor = Tensor {
            shape: view.shape().to_vec().into(),
            data: data.collect(),
        };
        Ok((name.to_owned(), tensor))
    });
    Ok((tensors.collect::<Result<_, _>>()?, steps))
}
