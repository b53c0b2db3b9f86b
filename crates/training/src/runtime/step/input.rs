use ort::session::IoBinding;

use super::{host::HostBuffer, staged::Staged};

/// An input, by how it is filled.
#[derive(Debug)]
pub(super) enum Input {
    /// Bound from the host before every run; on a CUDA device this copies it there.
    SingleBuffered(HostBuffer),
    /// In two buffers, where the device reads it.
    DoubleBuffered(Staged),
}

impl Input {
    /// The buffer on the host that runs are given.
    pub(super) fn host(&mut self) -> Option<&mut HostBuffer> {
        match self {
            Self::SingleBuffered(buffer) => Some(buffer),
            Self::DoubleBuffered(_) => None,
        }
    }

    /// Makes it the input `name` of a run.
    pub(super) fn bind(&self, binding: &mut IoBinding, name: &str) -> ort::Result<()> {
        match self {
            Self::SingleBuffered(buffer) => buffer.bind(binding, name),
            Self::DoubleBuffered(staged) => staged.bind(binding, name),
        }
    }
}
