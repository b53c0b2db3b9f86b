use std::{collections::BTreeMap, ops::Range};

use ort::{memory::Allocator, session::IoBinding, value::Tensor as Buffer};

use super::super::{Error, element::fill, state::dimensions};
use crate::program::{PACKED_INPUTS, Signature};

/// Float inputs that the program has as parts of one, in one host buffer.
#[derive(Debug)]
pub(super) struct PackedInputs {
    buffer: Buffer<f32>,
    /// The elements of each input.
    ranges: BTreeMap<String, Range<usize>>,
}

impl PackedInputs {
    pub(super) fn new(host: &Allocator, signature: &Signature) -> ort::Result<Self> {
        let (mut ranges, mut end) = (BTreeMap::new(), 0);
        for name in &signature.packed_inputs {
            let info = signature.inputs.iter().find(|input| input.name == *name);
            let start = end;
            end += info.map_or(0, |info| info.shape.elements());
            ranges.insert(name.clone(), start..end);
        }
        let buffer = Buffer::new(host, dimensions(&[end]))?;
        Ok(Self { buffer, ranges })
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.ranges.contains_key(name)
    }

    /// The elements of an input, if it is one of these.
    pub(super) fn input(&mut self, name: &str) -> Option<&mut [f32]> {
        let range = self.ranges.get(name)?.clone();
        Some(&mut self.buffer.extract_tensor_mut().1[range])
    }

    /// Fills an input with little-endian elements, if it is one of these.
    pub(super) fn fill(&mut self, name: &str, bytes: &[u8]) -> Option<Result<(), Error>> {
        self.input(name).map(|elements| fill(name, elements, bytes))
    }

    /// Binds all of them. For a CUDA device this copies them to the device.
    pub(super) fn bind(&self, binding: &mut IoBinding) -> ort::Result<()> {
        binding.bind_input(PACKED_INPUTS, &self.buffer)
    }
}
