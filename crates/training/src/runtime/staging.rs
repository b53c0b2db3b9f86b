//! Whether inputs are prefetched while a step runs.

use std::{fmt, str::FromStr};

use super::Device;

/// Whether the images of the next step are copied to the device while a step runs (prefetching).
///
/// Results do not depend on it. It needs a second input buffer and keeps one more batch in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Staging {
    /// On for CUDA devices, off for the CPU: there is no transfer to hide, and a step uses all cores itself.
    #[default]
    Auto,
    /// On for every device.
    On,
    /// Off.
    Off,
}

impl Staging {
    /// Whether staging is on for this device.
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

/// The text is not a staging choice.
#[derive(Debug, thiserror::Error)]
#[error("invalid staging `{0}`: expected auto, on or off")]
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
    fn choices_parse_and_display_round_trip() {
        for text in ["auto", "on", "off"] {
            assert_eq!(text.parse::<Staging>().expect("a choice").to_string(), text);
        }
        let message = "yes".parse::<Staging>().expect_err("none").to_string();
        assert!(message.contains("auto, on or off"), "{message}");
    }

    #[test]
    fn auto_stages_on_cuda_devices_only() {
        let cuda = Device::Cuda { index: 0 };
        let [auto, on, off] = [Staging::Auto, Staging::On, Staging::Off]
            .map(|staging| [Device::Cpu, cuda].map(|device| staging.is_on(device)));
        assert_eq!((auto, on, off), ([false, true], [true, true], [false, false]));
    }
}
