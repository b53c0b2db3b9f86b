//! Tensors of an ONNX model.

use std::{collections::BTreeMap, path::Path};

use equibatch_training::program::{
    Tensor,
    import::{self, Elements, HostTensor, read_external_data},
};

/// All float initializers by name. External data is read from `folder`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_onnx_are_an_error() {
        let refused = tensors(b"\xff\xff", Path::new(".")).expect_err("no model");
        assert!(refused.contains("no ONNX model"), "{refused}");
    }
}
