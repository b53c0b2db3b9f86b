//! The memory on the host from which a program's inputs are read.

use half::f16;
use ort::{memory::Allocator, session::IoBinding, value::Tensor as Buffer};

use super::super::{Error, element::fill, state::dimensions};
use crate::program::{ElementType, ValueInfo};

/// One input, by the type of its elements.
#[derive(Debug)]
pub(super) enum HostBuffer {
    F32(Buffer<f32>),
    F16(Buffer<f16>),
    U8(Buffer<u8>),
    I64(Buffer<i64>),
}

impl HostBuffer {
    pub(super) fn new(host: &Allocator, input: &ValueInfo) -> ort::Result<Self> {
        let shape = dimensions(&input.shape);
        Ok(match input.element_type {
            ElementType::I64 => Self::I64(Buffer::new(host, shape)?),
            ElementType::F32 => Self::F32(Buffer::new(host, shape)?),
            ElementType::F16 => Self::F16(Buffer::new(host, shape)?),
            ElementType::U8 => Self::U8(Buffer::new(host, shape)?),
            found @ (ElementType::Bool | ElementType::Bf16) => {
                let name = &input.name;
                return Err(ort::Error::new(format!("the input `{name}` holds {found}")));
            }
        })
    }

    /// Its elements, where they are `f32`.
    pub(super) fn f32(&mut self) -> Option<&mut [f32]> {
        match self {
            Self::F32(buffer) => Some(buffer.extract_tensor_mut().1),
            _ => None,
        }
    }

    /// Its elements, where they are `i64`.
    pub(super) fn i64(&mut self) -> Option<&mut [i64]> {
        match self {
            Self::I64(buffer) => Some(buffer.extract_tensor_mut().1),
            _ => None,
        }
    }

    /// Fills it with little-endian elements of its type; `None` where that is none that images are made of. `name` is for errors.
    pub(super) fn fill(&mut self, name: &str, bytes: &[u8]) -> Option<Result<(), Error>> {
        match self {
            Self::F32(buffer) => Some(fill(name, buffer.extract_tensor_mut().1, bytes)),
            Self::F16(buffer) => Some(fill(name, buffer.extract_tensor_mut().1, bytes)),
            Self::U8(buffer) => Some(fill(name, buffer.extract_tensor_mut().1, bytes)),
            Self::I64(_) => None,
        }
    }

    /// Makes it the input `name` of a run. On a CUDA device this copies it there.
    pub(super) fn bind(&self, binding: &mut IoBinding, name: &str) -> ort::Result<()> {
        match self {
            Self::F32(buffer) => binding.bind_input(name, buffer),
            Self::F16(buffer) => binding.bind_input(name, buffer),
            Self::U8(buffer) => binding.bind_input(name, buffer),
            Self::I64(buffer) => binding.bind_input(name, buffer),
        }
    }
}
