//! Element type, layout and normalisation of tensors.

/// Element type of a tensor, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// IEEE single precision, normalised.
    F32,
    /// IEEE half precision, normalised.
    F16,
    /// 0..=255, not normalised.
    U8,
}

impl ElementType {
    /// Bytes per element.
    #[must_use]
    pub fn byte_size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::U8 => 1,
        }
    }
}

/// Axis order of a batch tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[N, 3, S, S]`.
    Nchw,
    /// `[N, S, S, 3]`.
    Nhwc,
}

/// Mean and standard deviation per channel (red, green, blue), in `[0, 1]` units: the tensor holds `(x - mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// Subtracted.
    pub mean: [f32; 3],
    /// Divided by. Positive.
    pub std: [f32; 3],
}

impl Normalization {
    /// Mean and standard deviation of the ImageNet training images, as expected by torchvision's models.
    pub const IMAGENET: Self = Self {
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    };
    /// No normalisation: values in `[0, 1]`.
    pub const NONE: Self = Self {
        mean: [0.0; 3],
        std: [1.0; 3],
    };
}

/// The form of one image's tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorSpec {
    /// Height and width S, in pixels.
    pub size: u32,
    /// Element type.
    pub element_type: ElementType,
    /// Axis order.
    pub layout: Layout,
    /// Ignored for [`ElementType::U8`].
    pub normalization: Normalization,
}

/// An invalid [`TensorSpec`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The size is 0 or exceeds [`TensorSpec::MAX_SIZE`].
    #[error("image size {size} is outside 1..={}", TensorSpec::MAX_SIZE)]
    Size {
        /// The value given.
        size: u32,
    },
    /// A mean that is not finite.
    #[error("mean of channel {channel} is {value}, not a finite number")]
    Mean {
        /// 0 red, 1 green, 2 blue.
        channel: usize,
        /// The value given.
        value: f32,
    },
    /// A standard deviation that is not a positive number.
    #[error("standard deviation of channel {channel} is {value}, not a positive number")]
    Std {
        /// 0 red, 1 green, 2 blue.
        channel: usize,
        /// The value given.
        value: f32,
    },
}

impl TensorSpec {
    /// Maximum size: 4096 pixels, 192 MiB per image in single precision.
    pub const MAX_SIZE: u32 = 4096;

    /// Values per image: `3 S S`.
    #[must_use]
    pub fn image_elements(&self) -> usize {
        3 * self.size as usize * self.size as usize
    }

    /// Bytes per image.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        self.image_elements() * self.element_type.byte_size()
    }

    /// Checks size and normalisation.
    ///
    /// # Errors
    ///
    /// [`Error::Size`], [`Error::Mean`] or [`Error::Std`] for the first value out of range.
    pub fn validate(&self) -> Result<(), Error> {
        if !(1..=Self::MAX_SIZE).contains(&self.size) {
            return Err(Error::Size { size: self.size });
        }
        for (channel, &value) in self.normalization.mean.iter().enumerate() {
            if !value.is_finite() {
                return Err(Error::Mean { channel, value });
            }
        }
        for (channel, &value) in self.normalization.std.iter().enumerate() {
            if !(value.is_normal() && value > 0.0) {
                return Err(Error::Std { channel, value });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_specifications_are_rejected_by_field() {
        let good = TensorSpec {
            size: 224,
            element_type: ElementType::F16,
            layout: Layout::Nchw,
            normalization: Normalization::IMAGENET,
        };
        assert_eq!(good.validate(), Ok(()));
        assert_eq!(good.image_bytes(), 3 * 224 * 224 * 2);
        assert_eq!(
            TensorSpec { size: 0, ..good }.validate(),
            Err(Error::Size { size: 0 })
        );
        let normalization = Normalization {
            std: [0.2, 0.0, 0.2],
            ..Normalization::IMAGENET
        };
        let error = TensorSpec {
            normalization,
            ..good
        }
        .validate();
        assert_eq!(
            error,
            Err(Error::Std {
                channel: 1,
                value: 0.0
            })
        );
        let normalization = Normalization {
            mean: [f32::NAN, 0.0, 0.2],
            ..Normalization::IMAGENET
        };
        assert!(matches!(
            TensorSpec {
                normalization,
                ..good
            }
            .validate(),
            Err(Error::Mean { channel: 0, .. })
        ));
    }
}
