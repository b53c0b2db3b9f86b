//! Which images are worth their bytes.

use std::collections::{HashMap, HashSet};

use super::Key;

/// An image that a stream is going to draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Want {
    /// Which.
    pub key: Key,
    /// Expected draws per epoch. One that is not positive is not wanted.
    pub draws: f64,
    /// Bytes of its pixels, as [`Image::byte_size`](crate::image::Image::byte_size) counts them.
    pub bytes: u64,
}

/// The images that are let in.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) keys: HashSet<Key>,
    /// Sum of their announced bytes; at most the budget.
    pub(super) bytes: u64,
}

impl Plan {
    /// Of `wants`, in order of draws per byte, then of keys, each image that still fits `budget`. Wants for the same image add up.
    ///
    /// # Determinism
    ///
    /// A function of the budget and the set of wants, whatever their order, as far as sums of draws are exact.
    pub(super) fn new(budget: u64, wants: impl Iterator<Item = Want>) -> Self {
        let mut merged: HashMap<Key, Want> = HashMap::new();
        for want in wants.filter(|want| want.draws > 0.0) {
            let sum = merged.entry(want.key).or_insert(Want { draws: 0.0, ..want });
            sum.draws += want.draws;
            sum.bytes = sum.bytes.max(want.bytes);
        }
        let mut ranked: Vec<Want> = merged.into_values().collect();
        let density = |want: &Want| want.draws / want.bytes as f64;
        ranked.sort_unstable_by(|a, b| density(b).total_cmp(&density(a)).then(a.key.cmp(&b.key)));
        let mut plan = Self::default();
        for want in ranked {
            if want.bytes <= budget - plan.bytes {
                plan.bytes += want.bytes;
                plan.keys.insert(want.key);
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn want(sample: u32, draws: f64, bytes: u64) -> Want {
        Want {
            key: Key {
                dataset: 0,
                sample,
                short_side: None,
            },
            draws,
            bytes,
        }
    }

    fn samples(plan: &Plan) -> Vec<u32> {
        let mut samples: Vec<u32> = plan.keys.iter().map(|key| key.sample).collect();
        samples.sort_unstable();
        samples
    }

    #[test]
    fn the_rare_class_comes_first_then_small_images_then_low_ids() {
        let wants = [
            want(0, 1.0, 100),
            want(1, 1.0, 50),
            want(2, 1.0, 50),
            want(3, 10.0, 100),
            want(4, 1.0, 50),
        ];
        let plan = |budget| samples(&Plan::new(budget, wants.into_iter()));
        assert_eq!(plan(99), [1]);
        assert_eq!(plan(100), [3]);
        assert_eq!(plan(200), [1, 2, 3]);
        assert_eq!(plan(1000), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn what_is_never_drawn_is_not_let_in() {
        let wants = [want(0, 0.0, 1), want(1, f64::NAN, 1), want(2, -1.0, 1)];
        assert!(samples(&Plan::new(10, wants.into_iter())).is_empty());
    }

    #[test]
    fn wants_of_several_streams_add_up() {
        let wants = [want(0, 2.0, 10), want(1, 1.5, 10), want(1, 1.5, 10)];
        assert_eq!(samples(&Plan::new(10, wants.into_iter())), [1]);
    }

    proptest! {
        #[test]
        fn the_plan_fits_and_does_not_depend_on_the_order(
            sizes in prop::collection::vec((1u64..200, 1u32..20), 0..60), budget in 0u64..3000, turn: prop::sample::Index,
        ) {
            let mut wants: Vec<Want> =
                (0..).zip(&sizes).map(|(i, &(bytes, draws))| want(i, f64::from(draws), bytes)).collect();
            let plan = Plan::new(budget, wants.iter().copied());
            let bytes: u64 = samples(&plan).iter().map(|&i| sizes[i as usize].0).sum();
            prop_assert!(bytes == plan.bytes && bytes <= budget);
            // Nothing left out would still fit.
            for (i, &(bytes, _)) in (0..).zip(&sizes) {
                prop_assert!(samples(&plan).contains(&i) || bytes > budget - plan.bytes);
            }
            if !wants.is_empty() {
                let turn = turn.index(wants.len());
                wants.rotate_left(turn);
            }
            prop_assert_eq!(samples(&Plan::new(budget, wants.into_iter())), samples(&plan));
        }
    }
}
