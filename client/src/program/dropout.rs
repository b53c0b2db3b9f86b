use equibatch_server::random::{Purpose, generator};
use rand::Rng as _;

use super::Dropout;

/// A mask for one training step: zero with the dropout's probability, `1 / (1 − probability)` otherwise.
///
/// # Shapes
/// Row-major, of the dropout's shape.
///
/// # Determinism
/// A pure function of the arguments, `step` counting from the start of training and `name` included, so that a resumed run repeats
/// itself.
#[must_use]
pub fn dropout_mask(dropout: &Dropout, seed: u64, step: u64) -> Vec<f32> {
    let hash = *blake3::hash(dropout.name.as_bytes()).as_bytes();
    let name = u64::from_le_bytes(*hash.first_chunk().expect("a hash has 32 bytes"));
    let mut random = generator(seed, Purpose::Dropout, &[step, name]);
    let threshold = f64::from(dropout.probability) * 4_294_967_296.0;
    let kept = 1.0 / (1.0 - dropout.probability);
    let draw = |_| {
        if f64::from(random.next_u32()) < threshold {
            0.0
        } else {
            kept
        }
    };
    (0..dropout.shape.elements()).map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Shape;

    fn dropout(name: &str) -> Dropout {
        Dropout {
            name: name.to_owned(),
            shape: Shape::from([64, 1024]),
            probability: 0.25,
        }
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "65536 elements")]
    fn a_mask_keeps_the_mean() {
        let mask = dropout_mask(&dropout("head.3.mask"), 7, 3);
        assert!(mask.iter().all(|&factor| factor == 0.0 || factor == 1.0 / 0.75));
        let zeros = mask.iter().filter(|&&factor| factor == 0.0).count() as f64 / mask.len() as f64;
        // Five standard deviations of 65536 draws.
        assert!(
            (zeros - 0.25).abs() < 5.0 * (0.25f64 * 0.75 / 65536.0).sqrt(),
            "{zeros}"
        );
    }

    #[test]
    fn seed_step_and_name_each_change_a_mask() {
        let mask = dropout_mask(&dropout("head.3.mask"), 7, 3);
        assert_eq!(mask, dropout_mask(&dropout("head.3.mask"), 7, 3));
        assert_ne!(mask, dropout_mask(&dropout("head.3.mask"), 8, 3));
        assert_ne!(mask, dropout_mask(&dropout("head.3.mask"), 7, 4));
        assert_ne!(mask, dropout_mask(&dropout("head.7.mask"), 7, 3));
    }
}
