//! Custom operators of CPU sessions, called by ONNX Runtime on its own threads; those of CUDA sessions are in `cudnn`.
//!
//! # Layout
//! - `operator`: implements `ort`'s operator and kernel traits; output shapes are attributes of the nodes.
//! - `attributes`: reads a node's operator and attributes.
//! - `compute`: calls the kernel of an operator; `convolution`, `normalization`, `other`: map a node's operands to calls of
//!   [`kernels`](crate::kernels).

mod attributes;
mod compute;
mod convolution;
mod normalization;
mod operand;
mod operator;
mod other;

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use ort::operator::OperatorDomain;

pub(super) use self::attributes::read as read_attributes;
use self::operator::Operator;
pub(super) use self::operator::infer_shapes;
use super::{Device, cudnn};
use crate::graph::fused::{DOMAIN, Fused};
use crate::graph::lower::Kernels;
use crate::kernels::{InstructionSet, Workspace};

/// The domain of the custom operators, to register with sessions that run fused programs. They run on the CPU.
///
/// ONNX Runtime must have been loaded.
///
/// # Errors
///
/// Those of ONNX Runtime.
pub fn domain() -> ort::Result<OperatorDomain> {
    let workspace = Arc::new(Mutex::new(Workspace::default()));
    let domain = OperatorDomain::new(DOMAIN)?;
    #[cfg(test)]
    let domain = cudnn::twin::add_to(domain)?;
    let mut operators = Fused::all().into_iter().filter(|fused| !fused.is_of_cudnn());
    operators.try_fold(domain, |domain, fused| {
        domain.add(Operator {
            name: fused.name(),
            set: InstructionSet::best(),
            workspace: Arc::clone(&workspace),
        })
    })
}

/// Which operators a training step uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operators {
    /// The custom operators on a CPU with AVX2 or AVX-512 and on a CUDA device with cuDNN 9, otherwise the standard ones.
    #[default]
    Auto,
    /// Standard ONNX operators only.
    Standard,
    /// The custom operators, on any CPU, and on a CUDA device with cuDNN 9.
    Fast,
}

impl Operators {
    /// What computes a step on this device; `None` if the custom operators are required but the device does not support them.
    #[must_use]
    pub fn kernels(self, device: Device) -> Option<Kernels> {
        match (self, device) {
            (Self::Standard, Device::Cuda { .. }) => Some(Kernels::Cuda),
            (Self::Auto | Self::Fast, Device::Cuda { .. }) if cudnn::is_available() => {
                Some(Kernels::CudaFused)
            }
            (Self::Auto, Device::Cuda { .. }) => Some(Kernels::Cuda),
            (Self::Fast, Device::Cuda { .. }) => None,
            (Self::Fast, Device::Cpu) => Some(Kernels::CpuFused),
            (Self::Auto, Device::Cpu) if InstructionSet::best().is_fast() => Some(Kernels::CpuFused),
            (Self::Auto | Self::Standard, Device::Cpu) => Some(Kernels::Cpu),
        }
    }
}

impl fmt::Display for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Standard => "standard",
            Self::Fast => "fast",
        })
    }
}

/// The text is not a choice of operators.
#[derive(Debug, thiserror::Error)]
#[error("invalid operators `{0}`: expected auto, standard or fast")]
pub struct ParseOperatorsError(String);

impl FromStr for Operators {
    type Err = ParseOperatorsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Auto, Self::Standard, Self::Fast]
            .into_iter()
            .find(|operators| operators.to_string() == text)
            .ok_or_else(|| ParseOperatorsError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_parse_and_display_round_trip() {
        for text in ["auto", "standard", "fast"] {
            assert_eq!(text.parse::<Operators>().expect("operators").to_string(), text);
        }
        let message = "quick".parse::<Operators>().expect_err("none").to_string();
        assert!(message.contains("auto, standard or fast"), "{message}");
    }

    #[test]
    fn custom_operators_run_on_cpus_and_on_cuda_devices_with_cudnn() {
        let cuda = Device::Cuda { index: 0 };
        let (auto, fast) = match cudnn::is_available() {
            true => (Kernels::CudaFused, Some(Kernels::CudaFused)),
            false => (Kernels::Cuda, None),
        };
        assert_eq!(Operators::Auto.kernels(cuda), Some(auto));
        assert_eq!(Operators::Fast.kernels(cuda), fast);
        assert_eq!(Operators::Standard.kernels(cuda), Some(Kernels::Cuda));
        assert_eq!(Operators::Fast.kernels(Device::Cpu), Some(Kernels::CpuFused));
        assert_eq!(Operators::Standard.kernels(Device::Cpu), Some(Kernels::Cpu));
    }
}
