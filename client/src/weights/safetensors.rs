//! Tensors of a safetensors file.

use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use equibatch_training::program::Tensor;

/// All float tensors as single precision, rounded where they were of double precision. Whole numbers, such as counts, are left out.
pub(super) fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, String> {
    if is_pickled(bytes) {
        return Err(PICKLE_HINT.to_owned());
    }
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| format!("it is damaged or no safetensors file ({error})"))?;
    file.iter()
        .filter_map(|(name, view)| {
            let data = floats(&view)?;
            let shape = view.shape().to_vec().into();
            Some(Ok((name.to_owned(), Tensor { shape, data })))
        })
        .collect()
}

/// What to do about a file of PyTorch, which can run any code where it is read.
const PICKLE_HINT: &str = "it is a file of PyTorch (.pth, .pt), not of safetensors; convert it: python3 -c 'import torch, safetensors.torch as s; \
                       s.save_file({k: v.contiguous() for k, v in torch.load(\"NAME.pth\", weights_only=True).items()}, \"NAME.safetensors\")'";

/// Whether a file begins as PyTorch's do: as a zip archive, or as a pickle of protocol 2 and later.
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
    fn floats_of_every_width_are_read_and_counts_are_not() {
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
    fn a_file_of_pytorch_is_told_from_a_damaged_one() {
        for bytes in [&b"PK\x03\x04archive/data.pkl"[..], b"\x80\x02\x8a\x0al\xfc"] {
            let reason = tensors(bytes).expect_err("no safetensors");
            assert!(
                reason.contains("PyTorch") && reason.contains("save_file"),
                "{reason}"
            );
        }
    }

    #[test]
    fn other_bytes_are_a_sentence() {
        assert!(
            tensors(b"weights")
                .expect_err("no file")
                .contains("no safetensors file")
        );
    }
}
