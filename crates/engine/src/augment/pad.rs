//! Padding to a square.

/// The distribution of padding to a square of one grey value.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Pad {
    /// Grey value of the added pixels, an integer from 0 (black) to 255.
    pub value: f32,
    /// Probability.
    pub p: f32,
}

impl Pad {
    /// Disabled.
    pub const OFF: Self = Self { value: 0.0, p: 0.0 };

    pub(super) fn normalized(self) -> Self {
        if self.p == 0.0 { Self::OFF } else { self }
    }

    /// The grey value of the added pixels.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a valid value is an integer from 0 to 255"
    )]
    pub(super) fn grey(self) -> u8 {
        self.value as u8
    }
}
