//! Brightness and contrast of one sample.

/// Brightness and contrast as one curve on pixel values in `[0, 1]`: `sigmoid((logit(x) + logit(brightness)) * contrast)`.
///
/// # Source
///
/// fastai `vision/transform.py` `_brightness` and `_contrast`, `torch_core.py` `logit_`: values are first clamped to `[1e-7, 1 - 1e-7]`. If
/// neither is present, values are left as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lighting {
    /// In `(0, 1)`; 0.5 changes nothing.
    pub brightness: Option<f32>,
    /// Positive; 1 changes nothing.
    pub contrast: Option<f32>,
}

impl Lighting {
    /// No change.
    pub const IDENTITY: Self = Self {
        brightness: None,
        contrast: None,
    };

    /// Whether pixel values stay exactly as they are.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.brightness.is_none() && self.contrast.is_none()
    }

    /// Applies the curve to `x` in `[0, 1]`.
    ///
    /// # Determinism
    ///
    /// Bit-identical on every machine: logarithm and exponential come from `libm`, not from the system's C library, whose implementation
    /// depends on the processor.
    #[must_use]
    pub fn apply(&self, x: f64) -> f64 {
        if self.is_identity() {
            return x;
        }
        let x = x.clamp(1e-7, 1.0 - 1e-7);
        let shift = self
            .brightness
            .map_or(0.0, |brightness| logit(f64::from(brightness)));
        let slope = self.contrast.map_or(1.0, f64::from);
        1.0 / (1.0 + libm::exp(-(logit(x) + shift) * slope))
    }
}

fn logit(x: f64) -> f64 {
    libm::log(x / (1.0 - x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_match_the_reference() {
        for (x, brightness, contrast, expected) in [
            (0.25, Some(0.4), None, 0.18182),
            (0.25, Some(0.6), None, 0.33333),
            (0.25, None, Some(0.8), 0.29341),
            (0.25, None, Some(1.25), 0.20209),
            (0.25, Some(0.6), Some(1.25), 0.29600),
            (0.25, Some(0.4), Some(0.8), 0.23090),
            (0.75, Some(0.4), None, 0.66667),
            (0.75, Some(0.6), None, 0.81818),
            (0.75, None, Some(0.8), 0.70659),
            (0.75, None, Some(1.25), 0.79791),
            (0.75, Some(0.6), Some(1.25), 0.86762),
            (0.75, Some(0.4), Some(0.8), 0.63518),
        ] {
            let lighting = Lighting { brightness, contrast };
            assert!(
                (lighting.apply(x) - expected).abs() < 6e-6,
                "{lighting:?} at {x}: {}",
                lighting.apply(x)
            );
        }
    }

    #[test]
    fn black_and_white_stay_black_and_white() {
        let lighting = Lighting {
            brightness: Some(0.6),
            contrast: Some(0.8),
        };
        assert!(lighting.apply(0.0) < 1e-5);
        assert!(lighting.apply(1.0) > 1.0 - 1e-5);
    }
}
