//! Dropout masks. They are drawn on the host, so that a step is a pure function of its inputs.

use crate::random::{Purpose, generator};
use rand::Rng as _;

use super::Dropout;

/// Fills the mask of dropout layer `layer` for one step: each element is zero with the layer's probability, otherwise
/// `1 / (1 - probability)`.
///
/// # Determinism
///
/// A pure function of seed, step and layer, so a resumed run draws the same masks as an uninterrupted one.
pub fn draw(dropout: &Dropout, (seed, step, layer): (u64, u64, u64), mask: &mut [f32]) {
    let mut random = generator(seed, Purpose::Dropout, &[step, layer]);
    let kept = 1.0 / (1.0 - dropout.probability);
    // 24 bits: the precision of a single-precision number in [0, 1).
    for value in mask {
        let uniform = (random.next_u32() >> 8) as f32 / (1_u32 << 24) as f32;
        *value = if uniform < dropout.probability { 0.0 } else { kept };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(coordinates: (u64, u64, u64), probability: f32) -> Vec<f32> {
        let dropout = Dropout {
            name: "head.3.mask".to_owned(),
            shape: [100, 100].into(),
            probability,
            group: crate::nn::LayerGroup::Head,
        };
        let mut mask = vec![f32::NAN; 10_000];
        draw(&dropout, coordinates, &mut mask);
        mask
    }

    #[test]
    fn the_fraction_of_zeros_is_the_probability_and_the_mean_is_one() {
        for probability in [0.25_f32, 0.5] {
            let mask = mask((1, 2, 3), probability);
            let zeros = mask.iter().filter(|&&value| value == 0.0).count() as f32 / mask.len() as f32;
            assert!((zeros - probability).abs() < 0.02, "{zeros} for {probability}");
            let mean = mask.iter().sum::<f32>() / mask.len() as f32;
            assert!((mean - 1.0).abs() < 0.05, "mean {mean}");
        }
    }

    #[test]
    fn equal_coordinates_give_equal_masks_and_others_do_not() {
        let base = mask((1, 2, 3), 0.5);
        assert_eq!(base, mask((1, 2, 3), 0.5));
        for other in [(2, 2, 3), (1, 3, 3), (1, 2, 4)] {
            assert_ne!(base, mask(other, 0.5), "{other:?}");
        }
    }
}
