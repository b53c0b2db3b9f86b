//! Which images are held out for validation.

use rand::Rng;

use super::{Split, SplitMethod};
use crate::random::{Purpose, generator};

/// The part of the options that chooses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance {
    pub(super) fraction: f64,
    pub(super) seed: u64,
    pub(super) method: SplitMethod,
}

/// The split of each image, given their class names, in the order of samples.
///
/// # Determinism
///
/// A function of the arguments. Stratified, what is chosen of a class depends on that class alone: other classes may come and go.
pub(super) fn divide(classes: &[&str], chance: Chance) -> Vec<Split> {
    let mut splits = vec![Split::Train; classes.len()];
    match chance.method {
        SplitMethod::Random => {
            let held_out = (chance.fraction * classes.len() as f64).floor() as usize;
            hold_out(
                &mut splits,
                held_out,
                &mut generator(chance.seed, Purpose::Split, &[]),
            );
        }
        SplitMethod::Stratified => {
            let mut rest = splits.as_mut_slice();
            for class in classes.chunk_by(|a, b| a == b) {
                let (members, others) = rest.split_at_mut(class.len());
                // Half up, by the same IEEE operations everywhere.
                let share = (chance.fraction * class.len() as f64 + 0.5).floor() as usize;
                let mut random = generator(chance.seed, Purpose::Split, &coordinates(class[0]));
                hold_out(members, share.min(class.len() - 1), &mut random);
                rest = others;
            }
        }
    }
    splits
}

/// Marks `count` of `splits` as valid, all subsets equally likely: the first steps of a Fisher-Yates shuffle.
fn hold_out(splits: &mut [Split], count: usize, random: &mut impl Rng) {
    let mut order: Vec<usize> = (0..splits.len()).collect();
    for at in 0..count {
        // The high half of a 64-bit draw times a range is uniform but for a part in 2^64 of the range.
        let range = (order.len() - at) as u128;
        order.swap(at, at + ((u128::from(random.next_u64()) * range) >> 64) as usize);
        splits[order[at]] = Split::Valid;
    }
}

/// The name of a class as coordinates of a generator.
fn coordinates(class: &str) -> [u64; 4] {
    let hash = *blake3::hash(class.as_bytes()).as_bytes();
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(hash.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().expect("chunks of eight"));
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chance(fraction: f64, seed: u64, method: SplitMethod) -> Chance {
        Chance {
            fraction,
            seed,
            method,
        }
    }

    fn classes(counts: &[usize]) -> Vec<String> {
        let of_class = |(class, &count): (usize, &usize)| vec![format!("class {class}"); count];
        counts.iter().enumerate().flat_map(of_class).collect()
    }

    fn held_out(classes: &[String], chance: Chance) -> Vec<usize> {
        let names: Vec<&str> = classes.iter().map(String::as_str).collect();
        let splits = divide(&names, chance);
        (0..classes.len())
            .filter(|&i| splits[i] == Split::Valid)
            .collect()
    }

    #[test]
    fn the_reference_experiment_holds_out_40_flowers_and_4_birds() {
        let classes = classes(&[20, 200]);
        let held_out = held_out(&classes, chance(0.2, 42, SplitMethod::Stratified));
        assert_eq!(held_out.iter().filter(|&&i| i < 20).count(), 4);
        assert_eq!(held_out.len(), 44);
    }

    /// A change of these numbers changes every user's split: it needs another version in the fingerprint.
    #[test]
    fn the_choice_never_changes() {
        let classes = classes(&[10, 10]);
        assert_eq!(
            held_out(&classes, chance(0.2, 42, SplitMethod::Stratified)),
            STRATIFIED
        );
        assert_eq!(held_out(&classes, chance(0.2, 42, SplitMethod::Random)), RANDOM);
    }

    const STRATIFIED: [usize; 4] = [3, 6, 10, 11];
    const RANDOM: [usize; 4] = [3, 7, 10, 16];

    #[test]
    fn every_image_is_equally_likely_to_be_held_out() {
        let classes = classes(&[10]);
        let mut times = [0; 10];
        for seed in 0..2000 {
            for i in held_out(&classes, chance(0.3, seed, SplitMethod::Stratified)) {
                times[i] += 1;
            }
        }
        // Binomial with mean 600 and standard deviation 20.5.
        assert!(
            times.iter().all(|&times| (500..700).contains(&times)),
            "{times:?}"
        );
    }

    proptest! {
        #[test]
        fn a_class_gives_its_share_and_keeps_an_image(
            counts in prop::collection::vec(1usize..60, 1..8), percent in 0u32..100, seed: u64,
        ) {
            let fraction = f64::from(percent) / 100.0;
            let classes = classes(&counts);
            let held_out = held_out(&classes, chance(fraction, seed, SplitMethod::Stratified));
            for (class, &count) in counts.iter().enumerate() {
                let name = format!("class {class}");
                let share = held_out.iter().filter(|&&i| classes[i] == name).count();
                let exact = fraction * count as f64;
                prop_assert!(share < count);
                prop_assert!(share + 1 == count || (share as f64 - exact).abs() <= 0.5);
            }
        }

        #[test]
        fn a_class_does_not_depend_on_others(count in 2usize..40, other in 1usize..40, seed: u64) {
            let chance = chance(0.2, seed, SplitMethod::Stratified);
            let alone = held_out(&classes(&[count]), chance);
            let mut together = held_out(&classes(&[count, other]), chance);
            together.retain(|&i| i < count);
            prop_assert_eq!(alone, together);
        }

        #[test]
        fn random_takes_the_floor_of_all(counts in prop::collection::vec(1usize..60, 1..8), seed: u64) {
            let classes = classes(&counts);
            let held_out = held_out(&classes, chance(0.2, seed, SplitMethod::Random));
            prop_assert_eq!(held_out.len(), classes.len() / 5);
        }
    }
}
