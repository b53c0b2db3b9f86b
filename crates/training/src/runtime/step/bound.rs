use std::collections::BTreeMap;

use ort::{
    memory::Allocator,
    session::{IoBinding, Session},
    value::Tensor as Buffer,
};

use crate::program::Signature;
use crate::runtime::{Device, DeviceState, Error};

/// Maximum number of cached bindings. A single program alternates between two combinations of buffers; two programs that share a state use
/// four.
pub(super) const BINDINGS: usize = 4;

/// Binding of a run's state and outputs.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) binding: IoBinding,
    /// Id of the bound state.
    pub(super) state: u64,
    /// Index of the buffer that is read, per tensor in the order of the signature.
    pub(super) buffer_indices: Vec<usize>,
}

impl Bound {
    /// Binds state and outputs, whose addresses do not change between runs.
    pub(super) fn new(
        (session, signature, outputs): (&Session, &Signature, &mut BTreeMap<String, Buffer<f32>>),
        (device, allocator, state): (Device, &Allocator, &mut DeviceState),
        buffer_indices: Vec<usize>,
    ) -> Result<Self, Error> {
        let refused = |error: ort::Error| device.refused(&error);
        let mut binding = session.create_binding().map_err(refused)?;
        for pair in &signature.state {
            let tensor = state.double_buffer(&pair.name)?;
            let input = pair.input.as_str();
            match &pair.output {
                Some(output) if !pair.is_in_place => {
                    let (before, after) = tensor.pair(allocator).map_err(refused)?;
                    binding.bind_input(input, before).map_err(refused)?;
                    binding.bind_output(output.as_str(), after).map_err(refused)?;
                }
                output => {
                    let buffer = &mut tensor.buffers[tensor.current];
                    binding.bind_input(input, &*buffer).map_err(refused)?;
                    if let Some(output) = output {
                        binding.bind_output(output.as_str(), buffer).map_err(refused)?;
                    }
                }
            }
        }
        for (name, buffer) in outputs {
            binding.bind_output(name.as_str(), buffer).map_err(refused)?;
        }
        Ok(Self {
            binding,
            state: state.id(),
            buffer_indices,
        })
    }
}
