use std::collections::BTreeMap;

use ort::{
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
        (device, state): (Device, &mut DeviceState),
        buffer_indices: Vec<usize>,
    ) -> Result<Self, Error> {
        let refused = |error: ort::Error| device.refused(&error);
        let mut binding = session.create_binding().map_err(refused)?;
        for (pair, &buffer_index) in signature.state.iter().zip(&buffer_indices) {
            let buffers = &mut state.double_buffer(&pair.name)?.buffers;
            binding
                .bind_input(pair.input.as_str(), &buffers[buffer_index])
                .map_err(refused)?;
            if let Some(output) = &pair.output {
                binding
                    .bind_output(output.as_str(), &mut buffers[1 - buffer_index])
                    .map_err(refused)?;
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
