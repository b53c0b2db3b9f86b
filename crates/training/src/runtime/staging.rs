//! Whether inputs are copied while a step runs.

use std::{fmt, str::FromStr};

use super::Device;

/// Whether the images of the next step are copied to where it reads them while a step runs.
///
/// No result depends on it. It costs a second buffer for the images of a step, and holds one batch more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Staging {
    /// On a CUDA device. On the CPU there is no way to another memory that could be spared, and a step uses all cores itself.
    #[default]
    Auto,
    /// On every device.
    On,
    /// On none.
    Off,
}

impl Staging {
    /// Whether that is done on this device.
    #[must_use]
    pub fn is_on(self, device: Device) -> bool {
        match self {
            Self::Auto => matches!(device, Device::Cuda { .. }),
            Self::On => true,
            Self::Off => false,
        }
    }
}

impl fmt::Display for Staging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

/// The text does not say whether to stage.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no choice: use auto, on or off")]
pub struct ParseStagingError(String);

impl FromStr for Staging {
    type Err = ParseStagingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Auto, Self::On, Self::Off]
            .into_iter()
            .find(|staging| staging.to_string() == text)
            .ok_or_else(|| ParseStagingError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_and_written_alike() {
        for text in ["auto", "on", "off"] {
            assert_eq!(text.parse::<Staging>().expect("a choice").to_string(), text);
        }
        let message = "yes".parse::<Staging>().expect_err("none").to_string();
        assert!(message.contains("auto, on or off"), "{message}");
    }

    #[test]
    fn by_itself_only_cuda_devices_are_staged_for() {
        let cuda = Device::Cuda { index: 0 };
        let [auto, on, off] = [Staging::Auto, Staging::On, Staging::Off]
            .map(|staging| [Device::Cpu, cuda].map(|device| staging.is_on(device)));
        assert_eq!((auto, on, off), ([false, true], [true, true], [false, false]));
    }
}
