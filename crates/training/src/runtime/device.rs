//! Devices that programs run on.

use std::{fmt, str::FromStr};

/// A device, parsed from `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The CPU.
    #[default]
    Cpu,
    /// A CUDA device.
    Cuda {
        /// Device index, from 0.
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

/// The text is not a device.
#[derive(Debug, thiserror::Error)]
#[error("invalid device `{0}`: expected cpu, cuda or cuda:N")]
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
    /// How to install the ONNX Runtime library for this device.
    #[must_use]
    pub fn install_hint(self) -> &'static str {
        match self {
            Self::Cpu => "`pip install onnxruntime==1.31.1`, or set ORT_DYLIB_PATH to the library",
            Self::Cuda { .. } => {
                "`pip install onnxruntime-gpu==1.31.1`, and set ORT_DYLIB_PATH to its libonnxruntime.so.1.31.1"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_parse_and_display_round_trip() {
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
    fn invalid_devices_are_refused_with_the_accepted_values() {
        for text in ["gpu", "cuda:", "cuda:x", "cpu:0", "", "CUDA"] {
            let message = text.parse::<Device>().expect_err("no device").to_string();
            assert!(message.contains("cpu, cuda or cuda:N"), "{message}");
        }
    }
}
