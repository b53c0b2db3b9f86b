//! Tensors of a safetensors file.

use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use equibatch_training::program::Tensor;

/// All float tensors (f16, bf16, f32, f64) as f32. Integer tensors, such as batch counters, are skipped.
pub(super) fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, String> {
    if is_pickled(bytes) {
        return Err(PICKLE_HINT.to_owned());
    }
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| format!("it is damaged or not a safetensors file ({error})"))?;
    file.iter()
        .filter_map(|(name, view)| {
            let data = floats(&view)?;
            let shape = view.shape().to_vec().into();
            Some(Ok((name.to_owned(), Tensor { shape, data })))
        })
        .collect()
}

/// How to convert a PyTorch pickle. Pickles are never read here: unpickling can run arbitrary code.
const PICKLE_HINT: &str = "it is a PyTorch pickle (.pth, .pt), expected safetensors or ONNX; convert it: python3 -c 'import torch, safetensors.torch as s; \
                       s.save_file({k: v.contiguous() for k, v in torch.load(\"NAME.pth\", weights_only=True).items()}, \"NAME.safetensors\")'";

/// Whether a file starts like PyTorch's: a zip archive, or a pickle of protocol 2 to 5.
fn is_pickled(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || matches!(bytes, [0x80, 2..=5, ..])
}

fn floats(view: &TensorView<'_>) -> Option<Vec<f32>> {
    fn words<const SIZE: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; SIZE]> {
        bytes
            .chunks_exact(SIZE)
            .map(|word| word.try_into().expect("the chunk has that size"))
    }
    let bytes = view.data();
    match view.dtype() {
        Dtype::F32 => Some(words(bytes).map(f32::from_le_bytes).collect()),
        Dtype::F16 => Some(
            words(bytes)
                .map(|word| f16::from_le_bytes(word).to_f32())
                .collect(),
        ),
        Dtype::BF16 => Some(
            words(bytes)
                .map(|word| bf16::from_le_bytes(word).to_f32())
                .collect(),
        ),
        Dtype::F64 => Some(words(bytes).map(|word| f64::from_le_bytes(word) as f32).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float_tensors_are_read_and_integer_tensors_skipped() {
        let numbers = [1.5_f32, -0.25];
        let halves: Vec<u8> = numbers
            .iter()
            .flat_map(|&x| f16::from_f32(x).to_le_bytes())
            .collect();
        let brains: Vec<u8> = numbers
            .iter()
            .flat_map(|&x| bf16::from_f32(x).to_le_bytes())
            .collect();
        let singles: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        let doubles: Vec<u8> = numbers.iter().flat_map(|&x| f64::from(x).to_le_bytes()).collect();
        let view = |dtype, bytes| TensorView::new(dtype, vec![2], bytes).expect("a view");
        let views = [
            ("half", view(Dtype::F16, &halves)),
            ("brain", view(Dtype::BF16, &brains)),
            ("single", view(Dtype::F32, &singles)),
            ("double", view(Dtype::F64, &doubles)),
            ("count", view(Dtype::I64, &[0; 16])),
        ];
        let read = tensors(&safetensors::serialize(views, None).expect("bytes")).expect("tensors");
        assert_eq!(
            read.keys().collect::<Vec<_>>(),
            ["brain", "double", "half", "single"]
        );
        for tensor in read.values() {
            assert_eq!((&*tensor.shape, tensor.data.as_slice()), (&[2][..], &numbers[..]));
        }
    }

    #[test]
    fn a_pytorch_pickle_is_refused_with_a_conversion_command() {
        for bytes in [&b"PK\x03\x04archive/data.pkl"[..], b"\x80\x02\x8a\x0al\xfc"] {
            let reason = tensors(bytes).expect_err("no safetensors");
            assert!(
                reason.contains("PyTorch") && reason.contains("save_file"),
                "{reason}"
            );
        }
    }

    #[test]
    fn bytes_that_are_not_safetensors_are_an_error() {
        assert!(
            tensors(b"weights")
                .expect_err("no file")
                .contains("not a safetensors file")
        );
    }
}
