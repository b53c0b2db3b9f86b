//! Colours.

use tiny_skia::Color;

/// Gamma-encoded red, green and blue, each in `0..=1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Colour {
    pub(crate) red: f32,
    pub(crate) green: f32,
    pub(crate) blue: f32,
}

impl Colour {
    pub(crate) const WHITE: Self = Self {
        red: 1.0,
        green: 1.0,
        blue: 1.0,
    };
    pub(crate) const BLACK: Self = Self {
        red: 0.0,
        green: 0.0,
        blue: 0.0,
    };

    /// A colour by hue in turns (0 red, 1/3 green, 2/3 blue), saturation and value.
    pub(crate) fn hsv(hue: f32, saturation: f32, value: f32) -> Self {
        let channel = |offset: f32| {
            let place = (hue + offset).rem_euclid(1.0) * 6.0;
            let level = ((place - 3.0).abs() - 1.0).clamp(0.0, 1.0);
            value * (1.0 - saturation * (1.0 - level))
        };
        Self {
            red: channel(0.0),
            green: channel(2.0 / 3.0),
            blue: channel(1.0 / 3.0),
        }
    }

    /// A grey.
    pub(crate) fn grey(value: f32) -> Self {
        Self {
            red: value,
            green: value,
            blue: value,
        }
    }

    /// Linear interpolation to `other`; `part` from 0 to 1.
    pub(crate) fn mixed(self, other: Self, part: f32) -> Self {
        let mix = |a: f32, b: f32| a + (b - a) * part;
        Self {
            red: mix(self.red, other.red),
            green: mix(self.green, other.green),
            blue: mix(self.blue, other.blue),
        }
    }

    /// Interpolates to black.
    pub(crate) fn darker(self, part: f32) -> Self {
        self.mixed(Self::BLACK, part)
    }

    /// Interpolates to white.
    pub(crate) fn lighter(self, part: f32) -> Self {
        self.mixed(Self::WHITE, part)
    }

    /// Rotates the hue by `turns`, around the grey axis.
    pub(crate) fn rotated(self, turns: f32) -> Self {
        let (cos, sin) = super::unit(turns);
        let grey = (self.red + self.green + self.blue) / 3.0;
        let root = 0.577_350_3 * sin;
        let turn = |a: f32, b: f32, c: f32| (grey + (a - grey) * cos + (c - b) * root).clamp(0.0, 1.0);
        Self {
            red: turn(self.red, self.green, self.blue),
            green: turn(self.green, self.blue, self.red),
            blue: turn(self.blue, self.red, self.green),
        }
    }

    pub(super) fn with_alpha(self, alpha: f32) -> Color {
        let limit = |value: f32| value.clamp(0.0, 1.0);
        Color::from_rgba(limit(self.red), limit(self.green), limit(self.blue), limit(alpha))
            .expect("every channel is limited to 0..=1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hues_are_where_they_belong() {
        let close = |a: Colour, b: (f32, f32, f32)| {
            (a.red - b.0).abs() + (a.green - b.1).abs() + (a.blue - b.2).abs() < 1e-4
        };
        assert!(close(Colour::hsv(0.0, 1.0, 1.0), (1.0, 0.0, 0.0)));
        assert!(close(Colour::hsv(1.0 / 3.0, 1.0, 0.5), (0.0, 0.5, 0.0)));
        assert!(close(Colour::hsv(2.0 / 3.0, 1.0, 1.0), (0.0, 0.0, 1.0)));
        assert!(close(Colour::hsv(0.4, 0.0, 0.7), (0.7, 0.7, 0.7)));
        assert!(close(
            Colour::hsv(0.0, 1.0, 1.0).rotated(1.0 / 3.0),
            (0.0, 1.0, 0.0)
        ));
    }
}
