//! Where programs run.

use std::{fmt, str::FromStr};

use ort::{
    ep::{CPU, CUDA, ExecutionProvider as _, ExecutionProviderDispatch},
    memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType},
    session::Session,
};

use super::{Error, error::first_line, placement::nodes_outside};

/// Nodes that an error names.
const MAX_LISTED: usize = 5;

/// A device, as the command line names it: `cpu`, `cuda`, `cuda:1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// All cores.
    #[default]
    Cpu,
    /// A CUDA device.
    Cuda {
        /// From 0.
        index: u16,
    },
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda { index } => write!(f, "cuda:{index}"),
        }
    }
}

/// The text is no device.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no device: use cpu, cuda or cuda:N")]
pub struct ParseDeviceError(String);

impl FromStr for Device {
    type Err = ParseDeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda { index: 0 }),
            Some(("cuda", index)) => index
                .parse()
                .map(|index| Self::Cuda { index })
                .map_err(|_| ParseDeviceError(text.to_owned())),
            _ => Err(ParseDeviceError(text.to_owned())),
        }
    }
}

impl Device {
    /// What a person without the library for this device has to do.
    #[must_use]
    pub fn install_hint(self) -> &'static str {
        match self {
            Self::Cpu => "run `make runtime` in a checkout, or `pip install onnxruntime==1.31.1`",
            Self::Cuda { .. } => {
                "`pip install onnxruntime-gpu==1.31.1`, and set ORT_DYLIB_PATH to its libonnxruntime.so.1.31.1"
            }
        }
    }

    /// The execution providers to register beside the CPU's. Failing to register one is an error.
    /// Products of single precision are of 11 bits where `tf32` allows it.
    pub(super) fn providers(self, tf32: bool) -> Result<Vec<ExecutionProviderDispatch>, Error> {
        let Self::Cuda { index } = self else {
            return Ok(Vec::new());
        };
        let cuda = CUDA::default().with_device_id(i32::from(index)).with_tf32(tf32);
        let available = CUDA::is_available().map_err(|error| self.refused(&error))?;
        if !available {
            let reason = format!(
                "this ONNX Runtime library was built without CUDA; {}",
                self.install_hint()
            );
            return Err(Error::Device { device: self, reason });
        }
        Ok(vec![cuda.build().error_on_failure()])
    }

    /// Checks that every node of `session`, made of the model `what` with [`RECORD`](super::placement::RECORD), runs on this device:
    /// ONNX Runtime assigns what an execution provider has no kernel for to the CPU, and says nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], which names the nodes that would run elsewhere.
    pub(super) fn check_placement(self, what: &str, session: &Session) -> Result<(), Error> {
        let provider = match self {
            Self::Cpu => CPU::NAME,
            Self::Cuda { .. } => CUDA::NAME,
        };
        let outside = nodes_outside(provider, session).map_err(|error| self.refused(&error))?;
        if outside.is_empty() {
            return Ok(());
        }
        let named = outside[..outside.len().min(MAX_LISTED)].join(", ");
        let more = match outside.len().saturating_sub(MAX_LISTED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let reason = format!(
            "it has no kernel for {} of the nodes of {what}: {named}{more}; use `--device cpu`",
            outside.len()
        );
        Err(Error::Device { device: self, reason })
    }

    /// The memory that state lives in.
    pub(super) fn memory(self) -> Result<MemoryInfo<'static>, Error> {
        let (device, index) = match self {
            Self::Cpu => (AllocationDevice::CPU, 0),
            Self::Cuda { index } => (AllocationDevice::CUDA, i32::from(index)),
        };
        MemoryInfo::new(device, index, AllocatorType::Device, MemoryType::Default)
            .map_err(|error| self.refused(&error))
    }

    /// What allocates the memory on the host that inputs are read from. For a CUDA device it is pinned: the device reads it without a copy in
    /// between, and while the CPU does something else. Where there is none, ordinary memory does as well, only slower.
    pub(super) fn host_allocator(self, session: &Session) -> Allocator {
        let Self::Cuda { index } = self else {
            return Allocator::default();
        };
        let (device, index) = (AllocationDevice::CUDA_PINNED, i32::from(index));
        MemoryInfo::new(device, index, AllocatorType::Device, MemoryType::CPUInput)
            .and_then(|memory| Allocator::new(session, memory))
            .unwrap_or_else(|error| {
                let reason = first_line(&error);
                tracing::warn!(device = %self, reason, "there is no pinned memory, and inputs come from ordinary memory");
                Allocator::default()
            })
    }

    pub(super) fn refused<R>(self, error: &ort::Error<R>) -> Error {
        Error::Device {
            device: self,
            reason: first_line(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Runtime, SessionOptions};

    #[test]
    fn devices_are_read_and_written_alike() {
        for (text, device) in [
            ("cpu", Device::Cpu),
            ("cuda:0", Device::Cuda { index: 0 }),
            ("cuda:3", Device::Cuda { index: 3 }),
        ] {
            assert_eq!(text.parse::<Device>().expect("a device"), device);
            assert_eq!(device.to_string(), text);
        }
        assert_eq!(
            "cuda".parse::<Device>().expect("a device"),
            Device::Cuda { index: 0 }
        );
    }

    #[test]
    fn other_words_are_refused_with_the_choices() {
        for text in ["gpu", "cuda:", "cuda:x", "cpu:0", "", "CUDA"] {
            let message = text.parse::<Device>().expect_err("no device").to_string();
            assert!(message.contains("cpu, cuda or cuda:N"), "{message}");
        }
    }
    /// A session made for the CPU stands for one made for a CUDA device whose nodes all fell back.
    #[test]
    fn nodes_on_the_cpu_are_an_error_of_a_cuda_device_that_names_them() {
        let network = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/networks/cnn.onnx"
        );
        let network = std::fs::read(network).expect("a network");
        let session = Runtime::load()
            .and_then(|runtime| runtime.session("the network", &network, &SessionOptions::default()))
            .expect("ONNX Runtime is installed: `make runtime`");
        Device::Cpu
            .check_placement("the network", &session)
            .expect("all nodes are on the CPU");
        let message = Device::Cuda { index: 1 }
            .check_placement("the network", &session)
            .expect_err("no node is on the device")
            .to_string();
        let expected = "cannot use the device cuda:1: it has no kernel for 10 of the nodes of the network: Conv (/0/Conv), ";
        assert!(message.starts_with(expected), "{message}");
        assert!(message.ends_with(" and 5 more; use `--device cpu`"), "{message}");
    }
}
