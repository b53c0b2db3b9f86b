//! How two images become one another's mixtures.
//!
//! Both images of a pair are mixed, with the same numbers: what one gives, it takes from the other. So the two mixtures hold both images
//! once, and the classes of a batch keep their shares exactly, whatever is drawn.

/// Which part of its partner an image takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Mix {
    /// So many of [`Mix::WHOLE`] parts of every pixel: mixup.
    #[cfg_attr(feature = "serde", serde(rename = "everywhere"))]
    Mixup(u16),
    /// Every pixel of a rectangle, and none around it: cutmix.
    #[cfg_attr(feature = "serde", serde(rename = "within"))]
    Cutmix(Rectangle),
}

/// Pixels of a square, counted from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Rectangle {
    /// First row.
    pub top: u32,
    /// First column.
    pub left: u32,
    /// Rows, perhaps none.
    pub height: u32,
    /// Columns, perhaps none.
    pub width: u32,
}

impl Mix {
    /// Parts of a pixel that is taken whole. A power of two, so that shares and their complements are exact in single precision.
    pub const WHOLE: u16 = 1 << 14;

    /// How much of an image of `size` by `size` pixels is its partner's, in `0..=1`: the weight of the partner's class in its label.
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
