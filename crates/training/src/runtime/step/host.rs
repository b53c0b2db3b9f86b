//! Host buffers of a program's inputs.

use half::f16;
use ort::{
    memory::Allocator,
    session::IoBinding,
    value::{DynTensor, Tensor as Buffer},
};

use super::super::{Error, element::fill, state::dimensions};
use crate::program::{ElementType, ValueInfo};

/// Host buffer of an input, by element type.
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
                return Err(ort::Error::new(format!(
                    "the input `{name}` has the unsupported element type {found}"
                )));
            }
        })
    }

    /// The elements, if they are `f32`.
    pub(super) fn f32(&mut self) -> Option<&mut [f32]> {
        match self {
            Self::F32(buffer) => Some(buffer.extract_tensor_mut().1),
            _ => None,
        }
    }

    /// The elements, if they are `i64`.
    pub(super) fn i64(&mut self) -> Option<&mut [i64]> {
        match self {
            Self::I64(buffer) => Some(buffer.extract_tensor_mut().1),
            _ => None,
        }
    }

    /// Fills the buffer with little-endian elements of its type. `name` is for errors.
    pub(super) fn fill(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::F32(buffer) => fill(name, buffer.extract_tensor_mut().1, bytes),
            Self::F16(buffer) => fill(name, buffer.extract_tensor_mut().1, bytes),
            Self::U8(buffer) => fill(name, buffer.extract_tensor_mut().1, bytes),
            Self::I64(buffer) => fill(name, buffer.extract_tensor_mut().1, bytes),
        }
    }

    /// Copies the elements to a tensor of the same type and shape on any device; blocks until the copy is complete.
    pub(super) fn copy_to(&self, tensor: &mut DynTensor) -> ort::Result<()> {
        match self {
            Self::F32(buffer) => buffer.upcast_ref().copy_into(tensor),
            Self::F16(buffer) => buffer.upcast_ref().copy_into(tensor),
            Self::U8(buffer) => buffer.upcast_ref().copy_into(tensor),
            Self::I64(buffer) => buffer.upcast_ref().copy_into(tensor),
        }
    }

    /// Binds the buffer as the input `name`. For a CUDA device this copies it to the device.
    pub(super) fn bind(&self, binding: &mut IoBinding, name: &str) -> ort::Result<()> {
        match self {
            Self::F32(buffer) => binding.bind_input(name, buffer),
            Self::F16(buffer) => binding.bind_input(name, buffer),
            Self::U8(buffer) => binding.bind_input(name, buffer),
            Self::I64(buffer) => binding.bind_input(name, buffer),
        }
    }
}
