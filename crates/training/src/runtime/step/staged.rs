//! Double-buffered inputs: while a run reads one buffer, the elements of the next run are copied to the other.

use ort::{
    memory::Allocator,
    session::IoBinding,
    value::{DynTensor, TensorElementType},
};

use super::{
    super::{Device, Error, error::first_line, state::dimensions},
    host::HostBuffer,
};
use crate::program::{ElementType, ValueInfo};

/// A double-buffered input.
#[derive(Debug)]
pub(super) struct Staged {
    buffers: Buffers,
    /// Index of the buffer that the next run reads.
    current: usize,
}

#[derive(Debug)]
enum Buffers {
    /// The program reads host memory.
    Host([HostBuffer; 2]),
    /// The program reads device memory; elements are copied there through a host buffer.
    Device {
        device: Device,
        host: HostBuffer,
        buffers: [DynTensor; 2],
    },
}

impl Staged {
    /// Buffers for a program on the CPU.
    pub(super) fn on_host(host: &Allocator, input: &ValueInfo) -> ort::Result<Self> {
        let buffers = [HostBuffer::new(host, input)?, HostBuffer::new(host, input)?];
        Ok(Self {
            buffers: Buffers::Host(buffers),
            current: 0,
        })
    }

    /// Buffers for a program on `device`: a host buffer from `host` and two device buffers from `memory`.
    pub(super) fn on_device(
        device: Device,
        (host, memory): (&Allocator, &Allocator),
        input: &ValueInfo,
    ) -> ort::Result<Self> {
        let element_type = match input.element_type {
            ElementType::I64 => TensorElementType::Int64,
            ElementType::F32 => TensorElementType::Float32,
            ElementType::F16 => TensorElementType::Float16,
            ElementType::U8 => TensorElementType::Uint8,
            ElementType::Bool => TensorElementType::Bool,
            ElementType::Bf16 => TensorElementType::Bfloat16,
        };
        let allocate = || DynTensor::new(memory, element_type, dimensions(&input.shape));
        let buffers = Buffers::Device {
            device,
            host: HostBuffer::new(host, input)?,
            buffers: [allocate()?, allocate()?],
        };
        Ok(Self { buffers, current: 0 })
    }

    /// Copies little-endian elements to the buffer that the next run reads.
    pub(super) fn fill(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.copy(self.current, name, bytes)
    }

    /// Copies little-endian elements to the other buffer, which no run reads until [`Staged::swap`].
    pub(super) fn stage(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.copy(1 - self.current, name, bytes)
    }

    fn copy(&mut self, to: usize, name: &str, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.buffers {
            Buffers::Host(buffers) => buffers[to].fill(name, bytes),
            Buffers::Device {
                device,
                host,
                buffers,
            } => {
                host.fill(name, bytes)?;
                host.copy_to(&mut buffers[to]).map_err(|error| Error::Run {
                    what: format!("the copy of `{name}` to {device}"),
                    reason: first_line(&error),
                })
            }
        }
    }

    /// Makes the staged buffer the one that the next run reads.
    pub(super) fn swap(&mut self) {
        self.current = 1 - self.current;
    }

    /// Binds the current buffer as the input `name`, without a copy.
    pub(super) fn bind(&self, binding: &mut IoBinding, name: &str) -> ort::Result<()> {
        match &self.buffers {
            Buffers::Host(buffers) => buffers[self.current].bind(binding, name),
            Buffers::Device { buffers, .. } => binding.bind_input(name, &buffers[self.current]),
        }
    }
}

#[cfg(test)]
mod tests {
    use half::f16;
    use ort::value::PrimitiveTensorElementType;

    use super::*;
    use crate::runtime::Runtime;

    /// An input of two elements.
    fn input(element_type: ElementType) -> ValueInfo {
        ValueInfo {
            name: "images".to_owned(),
            element_type,
            shape: [2].into(),
        }
    }

    /// Host buffers, and device buffers with the host as the device.
    fn both(input: &ValueInfo) -> [Staged; 2] {
        let _loaded = Runtime::load().expect("ONNX Runtime is installed: `make runtime`");
        let host = Allocator::default();
        let direct = Staged::on_host(&host, input).expect("room");
        let by_way = Staged::on_device(Device::Cpu, (&host, &Allocator::default()), input).expect("room");
        [direct, by_way]
    }

    /// The elements that the next run reads, as bytes.
    fn read<T: PrimitiveTensorElementType + bytemuck::Pod>(staged: &Staged) -> Vec<u8> {
        let elements: &[T] = match &staged.buffers {
            Buffers::Host(buffers) => match &buffers[staged.current] {
                HostBuffer::F32(buffer) => bytemuck::cast_slice(buffer.extract_tensor().1),
                HostBuffer::F16(buffer) => bytemuck::cast_slice(buffer.extract_tensor().1),
                HostBuffer::U8(buffer) => bytemuck::cast_slice(buffer.extract_tensor().1),
                HostBuffer::I64(buffer) => bytemuck::cast_slice(buffer.extract_tensor().1),
            },
            Buffers::Device { buffers, .. } => {
                buffers[staged.current]
                    .try_extract_tensor()
                    .expect("memory of the host")
                    .1
            }
        };
        bytemuck::cast_slice(elements).to_vec()
    }

    fn staged_is_read_after_the_swap<T: PrimitiveTensorElementType + bytemuck::Pod>(
        element_type: ElementType,
        elements: [[T; 2]; 3],
    ) {
        for mut staged in both(&input(element_type)) {
            let [first, second, third] = elements.map(|elements| bytemuck::cast_slice(&elements).to_vec());
            staged.fill("images", &first).expect("two elements");
            staged.stage("images", &second).expect("two elements");
            assert_eq!(read::<T>(&staged), first, "{staged:?}");
            staged.swap();
            assert_eq!(read::<T>(&staged), second, "{staged:?}");
            staged.stage("images", &third).expect("two elements");
            assert_eq!(read::<T>(&staged), second, "{staged:?}");
            staged.swap();
            assert_eq!(read::<T>(&staged), third, "{staged:?}");
        }
    }

    #[test]
    fn staged_elements_are_read_after_the_swap_only() {
        staged_is_read_after_the_swap(ElementType::F32, [[0.5_f32, -1.0], [2.0, 3.0], [4.0, 5.0]]);
        let halves = [[0.5, -1.0], [2.0, 3.0], [4.0, 5.0]].map(|pair| pair.map(f16::from_f32));
        staged_is_read_after_the_swap(ElementType::F16, halves);
        staged_is_read_after_the_swap(ElementType::U8, [[1_u8, 2], [3, 4], [5, 255]]);
        staged_is_read_after_the_swap(ElementType::I64, [[1_i64, -2], [3, 4], [5, i64::MAX]]);
    }

    #[test]
    fn a_wrong_number_of_elements_is_an_error_that_names_the_input() {
        for mut staged in both(&input(ElementType::F32)) {
            let message = staged
                .stage("images", &[0; 4])
                .expect_err("too short")
                .to_string();
            assert_eq!(
                message,
                "cannot use `images`: the program has 2 elements, the value has 1"
            );
        }
    }

    #[test]
    fn a_failed_copy_is_an_error_that_names_input_and_device() {
        let [_, mut staged] = both(&input(ElementType::F32));
        let Buffers::Device { buffers, .. } = &mut staged.buffers else {
            panic!("{staged:?}");
        };
        // Its shape differs from the host buffer's: ONNX Runtime rejects the copy.
        let wrong = DynTensor::new(&Allocator::default(), TensorElementType::Float32, [3_i64]);
        buffers[1] = wrong.expect("room");
        let message = staged.stage("images", &[0; 8]).expect_err("no copy").to_string();
        assert!(
            message.starts_with("cannot run the copy of `images` to cpu: "),
            "{message}"
        );
    }
}
