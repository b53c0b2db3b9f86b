//! Mixup and cutmix of a pair of images.
//!
//! Both images of a pair are mixed with the same parameters: each takes from the other what it gives. The two mixtures together contain each
//! image exactly once, so the class proportions of a batch do not depend on what is drawn.

/// The part of its partner that an image takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Mix {
    /// Mixup: this many [`Mix::WHOLE`]ths of every pixel. Serialised as `everywhere`.
    #[cfg_attr(feature = "serde", serde(rename = "everywhere"))]
    Mixup(u16),
    /// Cutmix: all pixels of a rectangle. Serialised as `within`.
    #[cfg_attr(feature = "serde", serde(rename = "within"))]
    Cutmix(Rectangle),
}

/// A rectangle of pixels, relative to the upper left corner of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Rectangle {
    /// First row.
    pub top: u32,
    /// First column.
    pub left: u32,
    /// Rows; may be 0.
    pub height: u32,
    /// Columns; may be 0.
    pub width: u32,
}

impl Mix {
    /// Denominator of mixup weights. A power of two, so that weights and their complements are exact in single precision.
    pub const WHOLE: u16 = 1 << 14;

    /// The fraction, in `0..=1`, of an image of `size` by `size` pixels that comes from its partner: the weight of the partner's class in
    /// the label.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "rounded once, to the precision that labels have"
    )]
    pub fn weight(self, size: u32) -> f32 {
        match self {
            Self::Mixup(parts) => f32::from(parts) / f32::from(Self::WHOLE),
            Self::Cutmix(Rectangle { height, width, .. }) => {
                let area = f64::from(height) * f64::from(width);
                (area / (f64::from(size) * f64::from(size))) as f32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_and_their_complements_are_exact_or_rounded_once() {
        for parts in [0, 1, 5000, 8192, 16384] {
            let weight = Mix::Mixup(parts).weight(224);
            assert_eq!(f64::from(weight) * 16384.0, f64::from(parts));
            assert_eq!((1.0 - weight) + weight, 1.0);
        }
        let rectangle = |height, width| {
            Mix::Cutmix(Rectangle {
                top: 1,
                left: 2,
                height,
                width,
            })
        };
        assert_eq!(rectangle(0, 9).weight(10), 0.0);
        assert_eq!(rectangle(5, 10).weight(10), 0.5);
        assert_eq!(rectangle(4096, 4096).weight(4096), 1.0);
        assert_eq!(rectangle(100, 70).weight(224), (7000.0 / 50176.0) as f32);
    }
}
