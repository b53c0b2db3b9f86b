//! Parameters, moments and running statistics in device memory.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use ort::{
    memory::{AllocationDevice, Allocator},
    value::Tensor as Buffer,
};

use super::{Device, Error, error::first_line};
use crate::program::Tensor;

/// Named `f32` tensors on the device. Those that a step replaces are double-buffered, unless it updates them in place: it reads one buffer and writes
/// the other, and then they are swapped. Steps do not copy, and none but the first allocates.
pub struct DeviceState {
    id: u64,
    device: Device,
    tensors: BTreeMap<String, DoubleBuffer>,
}

/// One or two buffers of a tensor.
pub(super) struct DoubleBuffer {
    /// Buffers of equal shape.
    pub(super) buffers: Vec<Buffer<f32>>,
    /// Index of the buffer with the current value.
    pub(super) current: usize,
}

impl DoubleBuffer {
    /// Replaces the current value by one of the same number of elements.
    fn load(&mut self, device: Device, value: &Tensor) -> Result<(), Error> {
        let buffer = &mut self.buffers[self.current];
        match device {
            Device::Cpu => buffer.extract_tensor_mut().1.copy_from_slice(&value.data),
            Device::Cuda { .. } => Buffer::from_array((dimensions(&value.shape), value.data.clone()))
                .and_then(|host| host.copy_into(buffer))
                .map_err(|error| device.refused(&error))?,
        }
        Ok(())
    }

    /// The buffers to read and to write, which is made if there is none yet.
    pub(super) fn pair(&mut self, allocator: &Allocator) -> ort::Result<(&Buffer<f32>, &mut Buffer<f32>)> {
        if self.buffers.len() == 1 {
            let shape = self.buffers[0].shape().to_vec();
            self.buffers.push(Buffer::new(allocator, shape)?);
        }
        let [first, second] = &mut *self.buffers else {
            unreachable!("a tensor has at most two buffers")
        };
        Ok(if self.current == 0 {
            (first, second)
        } else {
            (second, first)
        })
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl DeviceState {
    /// Copies `values` to the device, and frees each when it is copied.
    pub(super) fn new(
        device: Device,
        allocator: &Allocator,
        values: BTreeMap<String, Tensor>,
    ) -> Result<Self, Error> {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let tensors = BTreeMap::new();
        let mut state = Self { id, device, tensors };
        for (name, value) in values {
            let buffer = Buffer::<f32>::new(allocator, dimensions(&value.shape));
            let mut tensor = DoubleBuffer {
                buffers: vec![buffer.map_err(|error| device.refused(&error))?],
                current: 0,
            };
            tensor.load(device, &value)?;
            state.tensors.insert(name, tensor);
        }
        Ok(state)
    }

    /// Replaces the values.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if a tensor of the state is missing from `values`, [`Error::Length`] if it has another number of elements.
    pub fn load(&mut self, values: &BTreeMap<String, Tensor>) -> Result<(), Error> {
        for (name, pair) in &mut self.tensors {
            let value = values.get(name).ok_or_else(|| Error::Name {
                name: name.clone(),
                what: "the values given".to_owned(),
            })?;
            let expected = pair.buffers[0].shape().num_elements();
            if value.data.len() != expected {
                return Err(Error::Length {
                    name: name.clone(),
                    expected,
                    found: value.data.len(),
                });
            }
            pair.load(self.device, value)?;
        }
        Ok(())
    }

    /// Copies the values to the host.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if the copy fails.
    pub fn read(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        let mut values = BTreeMap::new();
        self.read_into(&mut values, |_| true)?;
        Ok(values)
    }

    /// Copies the values with `wanted` names to the host, into the memory that tensors of `values` with these names have: to touch new memory
    /// takes longer than the copy.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if the copy fails.
    pub fn read_into(
        &self,
        values: &mut BTreeMap<String, Tensor>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        let failed = |name: &str, error: &ort::Error| Error::Run {
            what: format!("the copy of `{name}` from {}", self.device),
            reason: first_line(error),
        };
        for (name, pair) in self.tensors.iter().filter(|(name, _)| wanted(name)) {
            let buffer = &pair.buffers[pair.current];
            let shape: Vec<usize> = buffer
                .shape()
                .iter()
                .map(|&length| usize::try_from(length).unwrap_or(0))
                .collect();
            let value = values.entry(name.clone()).or_insert_with(|| Tensor {
                shape: [0].into(),
                data: vec![],
            });
            value.shape = shape.into();
            value.data.clear();
            match self.device {
                Device::Cpu => value.data.extend_from_slice(buffer.extract_tensor().1),
                Device::Cuda { .. } => {
                    let host = buffer
                        .to(AllocationDevice::CPU, 0)
                        .map_err(|error| failed(name, &error))?;
                    value.data.extend_from_slice(host.extract_tensor().1);
                }
            }
        }
        Ok(())
    }

    /// Process-wide unique id.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The buffers of a tensor.
    pub(super) fn double_buffer(&mut self, name: &str) -> Result<&mut DoubleBuffer, Error> {
        self.tensors.get_mut(name).ok_or_else(|| Error::Name {
            name: name.to_owned(),
            what: "the state".to_owned(),
        })
    }
}

impl std::fmt::Debug for DeviceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceState")
            .field("device", &self.device)
            .field("tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

pub(super) fn dimensions(shape: &[usize]) -> Vec<i64> {
    shape
        .iter()
        .map(|&length| i64::try_from(length).expect("a dimension fits an i64"))
        .collect()
}
