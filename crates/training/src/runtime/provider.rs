//! Execution providers and memory of devices.

use ort::{
    ep::{
        ArbitrarilyConfigurableExecutionProvider as _, CPU, CUDA, ExecutionProvider as _,
        ExecutionProviderDispatch,
    },
    memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType},
    session::Session,
};

use super::{Device, Error, SessionOptions, error::first_line, placement::nodes_outside};

/// Most nodes that an error lists.
const MAX_LISTED: usize = 5;

impl Device {
    /// Execution providers to register besides the CPU's; a registration failure is an error.
    pub(super) fn providers(self, options: &SessionOptions) -> Result<Vec<ExecutionProviderDispatch>, Error> {
        let Self::Cuda { index } = self else {
            return match options.cuda_options.as_slice() {
                [] => Ok(vec![]),
                [(key, value), ..] => Err(Error::Device {
                    device: self,
                    reason: format!("{key}={value} is an option of CUDA devices: use `--device cuda`"),
                }),
            };
        };
        let cuda = CUDA::default()
            .with_device_id(i32::from(index))
            .with_tf32(options.tf32);
        let options = options.cuda_options.iter();
        let cuda = options.fold(cuda, |cuda, (key, value)| cuda.with_arbitrary_config(key, value));
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

    /// Checks that every node of `session`, created from the model `what` with [`RECORD`](super::placement::RECORD), runs on this device:
    /// ONNX Runtime silently assigns nodes to the CPU if the execution provider has no kernel for them.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] lists the nodes assigned to another device.
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

    /// Device memory, for the state.
    pub(super) fn memory(self) -> Result<MemoryInfo<'static>, Error> {
        let (device, index) = match self {
            Self::Cpu => (AllocationDevice::CPU, 0),
            Self::Cuda { index } => (AllocationDevice::CUDA, i32::from(index)),
        };
        MemoryInfo::new(device, index, AllocatorType::Device, MemoryType::Default)
            .map_err(|error| self.refused(&error))
    }

    /// Allocator of the host memory that inputs are copied from. For a CUDA device the memory is pinned, for asynchronous copies without a
    /// staging buffer; if pinned memory is not available, pageable memory is used, which is slower.
    pub(super) fn host_allocator(self, session: &Session) -> Allocator {
        let Self::Cuda { index } = self else {
            return Allocator::default();
        };
        let (device, index) = (AllocationDevice::CUDA_PINNED, i32::from(index));
        MemoryInfo::new(device, index, AllocatorType::Device, MemoryType::CPUInput)
            .and_then(|memory| Allocator::new(session, memory))
            .unwrap_or_else(|error| {
                let reason = first_line(&error);
                tracing::warn!(device = %self, reason, "pinned memory is not available: inputs are copied from pageable memory");
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
    use crate::runtime::Runtime;

    #[test]
    fn options_of_cuda_are_an_error_on_a_cpu() {
        let options = SessionOptions {
            cuda_options: vec![("prefer_nhwc".to_owned(), "1".to_owned())],
            ..SessionOptions::default()
        };
        let message = Device::Cpu
            .providers(&options)
            .map(|_| ())
            .expect_err("a CPU")
            .to_string();
        let expected =
            "cannot use the device cpu: prefer_nhwc=1 is an option of CUDA devices: use `--device cuda`";
        assert_eq!(message, expected);
    }

    /// A CPU session stands in for a CUDA session whose nodes all fell back to the CPU.
    #[test]
    fn nodes_assigned_to_the_cpu_are_an_error_on_a_cuda_device() {
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
