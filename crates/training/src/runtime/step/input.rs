use ort::session::IoBinding;

use super::{host::HostBuffer, staged::Staged};

/// Buffers of an input.
#[derive(Debug)]
pub(super) enum Input {
    /// One host buffer, bound before every run; for a CUDA device this copies it to the device.
    SingleBuffered(HostBuffer),
    /// Two buffers in the memory that the device reads.
    DoubleBuffered(Staged),
}

impl Input {
    /// The host buffer of a single-buffered input.
    pub(super) fn host(&mut self) -> Option<&mut HostBuffer> {
        match self {
            Self::SingleBuffered(buffer) => Some(buffer),
            Self::DoubleBuffered(_) => None,
        }
    }

    /// Binds the input `name`.
    pub(super) fn bind(&self, binding: &mut IoBinding, name: &str) -> ort::Result<()> {
        match self {
            Self::SingleBuffered(buffer) => buffer.bind(binding, name),
            Self::DoubleBuffered(staged) => staged.bind(binding, name),
        }
    }
}
