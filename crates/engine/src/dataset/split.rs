//! Assignment of images to train and valid.

use super::{Split, SplitMethod};
use crate::random::{Purpose, below, generator, key};

/// The options that determine the split.
#[derive(Clone, Copy, Debug)]
pub(super) struct SplitConfig {
    pub(super) fraction: f64,
    pub(super) seed: u64,
    pub(super) method: SplitMethod,
}

/// The split of each image of a class, by its path relative to the root.
///
/// # Determinism
///
/// An image is valid if its [`position`] is below the fraction, whatever other images there are: added or removed images do not move others.
/// The stratified method has two exceptions per class: see [`keep_both_sides`].
pub(super) fn divide(paths: &[&str], config: SplitConfig) -> Vec<Split> {
    let limit = (config.fraction * POSITIONS) as u64;
    let positions: Vec<u64> = paths.iter().map(|path| position(config.seed, path)).collect();
    let side = |&position: &u64| {
        if position < limit {
            Split::Valid
        } else {
            Split::Train
        }
    };
    let mut splits: Vec<Split> = positions.iter().map(side).collect();
    if config.method == SplitMethod::Stratified {
        keep_both_sides(&positions, &mut splits, config.fraction);
    }
    splits
}

/// Moves one image of a class that has all its images on one side: the one with the lowest position becomes valid if none is and the fraction of
/// the class rounds to one or more; the one with the highest position stays in train if none does.
///
/// A stateless rule cannot do this without sometimes moving an image from valid to train when others are added. Suppose every class of `m` images
/// has a valid one, and take `m` of the train images of a larger class: as a class of their own, they have a valid image, which adding the others
/// moves to train. So a class with no image below the fraction can lose its one valid image to train when others are added; large classes have
/// some below it.
fn keep_both_sides(positions: &[u64], splits: &mut [Split], fraction: f64) {
    let by_position = |at: &usize| positions[*at];
    // Rounds half up, by IEEE operations that give the same result on every machine.
    let share = (fraction * positions.len() as f64 + 0.5).floor() as usize;
    let has = |split| splits.contains(&split);
    let (at, split) = if !has(Split::Train) {
        ((0..positions.len()).max_by_key(by_position), Split::Train)
    } else if !has(Split::Valid) && share > 0 && positions.len() > 1 {
        ((0..positions.len()).min_by_key(by_position), Split::Valid)
    } else {
        return;
    };
    if let Some(at) = at {
        splits[at] = split;
    }
}

/// The fold of each of `paths`, which are the images of a class, from 1 to [`FOLDS`]: by rank of their [`position`], so that the folds of a class
/// differ by one image at most. Of numbered files whose number of images is a multiple of five, a fold is one of each block of five.
pub(super) fn folds(paths: &[&str], seed: u64) -> Vec<u32> {
    let mut order: Vec<(u64, usize)> = paths
        .iter()
        .enumerate()
        .map(|(at, path)| (position(seed, path), at))
        .collect();
    order.sort_unstable();
    let mut folds = vec![0; paths.len()];
    for (rank, (_, at)) in order.into_iter().enumerate() {
        folds[at] = (rank * FOLDS as usize / paths.len()) as u32 + 1;
    }
    folds
}

/// Number of positions: 2^64.
const POSITIONS: f64 = 18_446_744_073_709_551_616.0;
/// Consecutive numbers that are spread evenly over the positions.
const BLOCK: u64 = 5;
/// Number of folds of a cross-validation.
pub const FOLDS: u32 = BLOCK as u32;

/// The position of an image: a function of the seed and the path, uniform over all 64-bit integers.
///
/// Of files whose names differ only in their number, those with the numbers 1 to 5, 6 to 10 and so on lie in different fifths of the positions,
/// in an order drawn per block of five. So a fraction of 0.2 holds out exactly one of each block, where independent positions would hold out
/// 4 of 20 images with a standard deviation of 1.8.
fn position(seed: u64, path: &str) -> u64 {
    let (name, number) = numbered(path);
    let (block, member) = (number.div_ceil(BLOCK), (number + BLOCK - 1) % BLOCK);
    let [a, b, c, d] = words(&name);
    let mut random = generator(seed, Purpose::SPLIT, &[a, b, c, d, block]);
    let mut fifths: Vec<u64> = (0..BLOCK).collect();
    for at in (1..fifths.len()).rev() {
        fifths.swap(at, below(&mut random, at as u32 + 1) as usize);
    }
    let within = key(seed, Purpose::SPLIT, &words(path));
    let within = u64::from_le_bytes(within[..8].try_into().expect("eight of 32 bytes"));
    fifths[member as usize] * (u64::MAX / BLOCK) + within / BLOCK
}

/// A path without its extension and the last number in its file name, and that number; 0 if it has none.
fn numbered(path: &str) -> (String, u64) {
    let folder = path.rfind('/').map_or(0, |at| at + 1);
    let stem = path[folder..].rfind('.').map_or(path, |at| &path[..folder + at]);
    let is_digit = |c: char| c.is_ascii_digit();
    let end = stem[folder..]
        .rfind(is_digit)
        .map_or(folder, |at| folder + at + 1);
    let begin = stem[folder..end].rfind(|c| !is_digit(c));
    let begin = begin.map_or(folder, |at| stem.ceil_char_boundary(folder + at + 1));
    // At most as many digits as fit 64 bits.
    let begin = begin.max(end.saturating_sub(18));
    let number = stem[begin..end].parse().unwrap_or(0);
    (format!("{}\0{}", &stem[..begin], &stem[end..]), number)
}

/// The hash of a string, as coordinates of a random key.
fn words(text: &str) -> [u64; 4] {
    let hash = *blake3::hash(text.as_bytes()).as_bytes();
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

    fn config(fraction: f64, seed: u64, method: SplitMethod) -> SplitConfig {
        SplitConfig {
            fraction,
            seed,
            method,
        }
    }

    /// `count` files of `class` from number `first` on, as paths.
    fn files(class: &str, first: usize, count: usize) -> Vec<String> {
        let numbers = first..first + count;
        numbers.map(|number| format!("{class}/{number:05}.jpg")).collect()
    }

    /// The same with names without numbers.
    fn unnumbered(class: &str, first: usize, count: usize) -> Vec<String> {
        let name = |path: String| {
            blake3::hash(path.as_bytes())
                .to_hex()
                .replace(|c: char| c.is_ascii_digit(), "x")
        };
        let files = files(class, first, count).into_iter();
        files.map(|path| format!("{class}/{}.jpg", name(path))).collect()
    }

    /// The paths that are held out.
    fn held_out(paths: &[String], config: SplitConfig) -> Vec<&str> {
        let class = |path: &String| str::split(path, '/').next().unwrap_or_default().to_owned();
        let classes = paths.chunk_by(|a, b| class(a) == class(b));
        let of_class = |paths: &'_ [String]| {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            divide(&paths, config)
        };
        let splits: Vec<Split> = classes.flat_map(of_class).collect();
        let valid = paths
            .iter()
            .zip(splits)
            .filter(|(_, split)| *split == Split::Valid);
        valid.map(|(path, _)| path.as_str()).collect()
    }

    const METHODS: [SplitMethod; 2] = [SplitMethod::Stratified, SplitMethod::Random];

    #[test]
    fn the_reference_experiment_holds_out_40_flowers_and_4_birds() {
        let paths = [files("birds", 1, 20), files("flowers", 1, 200)].concat();
        for seed in 0..50 {
            for method in METHODS {
                let held_out = held_out(&paths, config(0.2, seed, method));
                assert_eq!(
                    held_out.iter().filter(|path| path.starts_with("birds/")).count(),
                    4
                );
                assert_eq!(held_out.len(), 44);
            }
        }
    }

    /// If these paths change, every user's split and the fingerprints of their datasets change.
    #[test]
    fn the_split_is_stable() {
        let paths = [files("birds", 0, 11), unnumbered("flowers", 0, 10)].concat();
        for method in METHODS {
            let held_out = held_out(&paths, config(0.2, 42, method)).into_iter();
            assert_eq!(held_out.map(|path| &path[..12]).collect::<Vec<_>>(), CHOSEN);
        }
    }

    /// The beginnings of these paths.
    const CHOSEN: [&str; 6] = [
        "birds/00002.",
        "birds/00010.",
        "flowers/cxex",
        "flowers/axxx",
        "flowers/xxxc",
        "flowers/afcx",
    ];

    #[test]
    fn added_and_removed_files_do_not_move_others() {
        for (images, added) in [(20, 1), (20, 10), (20, 100), (200, 1), (200, 10), (200, 100)] {
            for (seed, method, names) in (0..20).flat_map(|seed| {
                METHODS
                    .into_iter()
                    .flat_map(move |method| [files, unnumbered].map(move |names| (seed, method, names)))
            }) {
                let config = config(0.2, seed, method);
                let many = names("birds", 1, images + added);
                // Added after all others, around them, and before them.
                for first in [0, added / 2, added] {
                    let few = &many[first..first + images];
                    let before = held_out(few, config);
                    let mut after = held_out(&many, config);
                    after.retain(|path| few.iter().any(|few| few == path));
                    // A single valid image may be the exception.
                    if before.len() > 1 || method == SplitMethod::Random {
                        assert_eq!(before, after, "{images} and {added} with seed {seed}");
                    }
                }
            }
        }
    }

    #[test]
    fn folds_partition_a_class_evenly() {
        for paths in [
            files("birds", 1, 20),
            unnumbered("birds", 0, 23),
            files("birds", 0, 3),
        ] {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let found = folds(&paths, 42);
            let sizes = (1..=FOLDS).map(|fold| found.iter().filter(|of| **of == fold).count());
            let sizes: Vec<usize> = sizes.collect();
            assert_eq!(sizes.iter().sum::<usize>(), paths.len());
            let (least, most) = (
                sizes.iter().min().expect("five"),
                sizes.iter().max().expect("five"),
            );
            assert!(most - least <= 1, "{sizes:?}");
            let is_other = (0..9).any(|seed| folds(&paths, seed) != found);
            assert!(is_other, "the seed chooses");
        }
    }

    #[test]
    fn the_first_fold_of_numbered_files_is_the_default_split() {
        let paths = files("birds", 1, 200);
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let valid = divide(&paths, config(0.2, 42, SplitMethod::Stratified)).into_iter();
        let first = folds(&paths, 42).into_iter().map(|fold| fold == 1);
        assert!(valid.map(|split| split == Split::Valid).eq(first));
    }

    #[test]
    fn a_larger_fraction_holds_out_the_same_images_and_more() {
        let paths = files("birds", 0, 200);
        let few = held_out(&paths, config(0.1, 42, SplitMethod::Stratified));
        let many = held_out(&paths, config(0.3, 42, SplitMethod::Stratified));
        assert!(few.len() < many.len() && few.iter().all(|path| many.contains(path)));
    }

    #[test]
    fn every_image_is_equally_likely_to_be_held_out() {
        for paths in [files("birds", 0, 10), unnumbered("birds", 0, 10)] {
            let mut times = [0; 10];
            for seed in 0..2000 {
                for path in held_out(&paths, config(0.3, seed, SplitMethod::Random)) {
                    times[paths.iter().position(|known| known == path).expect("a path")] += 1;
                }
            }
            // Binomial with mean 600 and standard deviation 20.5.
            assert!(
                times.iter().all(|&times| (500..700).contains(&times)),
                "{times:?}"
            );
        }
    }

    /// Mean and variance of the number of images held out, over seeds.
    fn spread(paths: &[String], fraction: f64) -> (f64, f64) {
        let count = |seed| held_out(paths, config(fraction, seed, SplitMethod::Random)).len() as f64;
        let counts: Vec<f64> = (0..500).map(count).collect();
        let mean = counts.iter().sum::<f64>() / 500.0;
        let square = counts
            .iter()
            .map(|count| (count - mean) * (count - mean))
            .sum::<f64>();
        (mean, square / 500.0)
    }

    #[test]
    fn the_number_held_out_is_binomial_for_unnumbered_files_and_more_even_for_numbered_ones() {
        for (images, fraction) in [(20, 0.2), (200, 0.2), (200, 0.05)] {
            let (expected, binomial) = (
                fraction * images as f64,
                fraction * (1.0 - fraction) * images as f64,
            );
            let (mean, variance) = spread(&unnumbered("birds", 0, images), fraction);
            assert!(
                (mean - expected).abs() < 4.0 * (binomial / 500.0).sqrt(),
                "{mean} of {expected}"
            );
            assert!(
                (variance / binomial - 1.0).abs() < 0.3,
                "{variance} of {binomial}"
            );
            // Starting at a number that does not begin a block.
            let (mean, variance) = spread(&files("birds", 8, images), fraction);
            assert!(
                (mean - expected).abs() < 4.0 * (binomial / 500.0).sqrt(),
                "{mean} of {expected}"
            );
            assert!(variance < 0.9 * binomial, "{variance} of {binomial}");
        }
        let (_, variance) = spread(&files("birds", 8, 200), 0.2);
        assert!(variance < 0.5, "{variance}: less than one image");
    }

    #[test]
    fn the_number_of_a_file_is_the_last_in_its_name() {
        for (path, name, number) in [
            ("birds/0012.jpg", "birds/\0", 12),
            ("birds/IMG_7.left.png", "birds/IMG_\0.left", 7),
            ("birds/2026/a3-12b.jpg", "birds/2026/a3-\0b", 12),
            ("birds/9/robin.jpg", "birds/9/\0robin", 0),
            ("birds/é4é.jpg", "birds/é\0é", 4),
            (
                "birds/1234567890123456789012",
                "birds/1234\0",
                567_890_123_456_789_012,
            ),
            ("4.jpg", "\0", 4),
        ] {
            assert_eq!(numbered(path), (name.to_owned(), number), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_stratified_class_has_images_on_both_sides(
            counts in prop::collection::vec(1usize..60, 1..8), percent in 0u32..100, seed: u64,
        ) {
            let fraction = f64::from(percent) / 100.0;
            let class = |(class, &count): (usize, &usize)| files(&format!("class {class}"), 0, count);
            let paths: Vec<String> = counts.iter().enumerate().flat_map(class).collect();
            let held_out = held_out(&paths, config(fraction, seed, SplitMethod::Stratified));
            for (class, &count) in counts.iter().enumerate() {
                let of_class = |path: &&&str| path.starts_with(&format!("class {class}/"));
                let share = held_out.iter().filter(of_class).count();
                prop_assert!(share < count);
                prop_assert!(share > 0 || count == 1 || fraction * (count as f64) < 0.5);
            }
        }

        #[test]
        fn added_files_move_at_most_the_only_valid_image_to_train(
            count in 1usize..30, added in 1usize..30, percent in 0u32..100, seed: u64,
        ) {
            let config = config(f64::from(percent) / 100.0, seed, SplitMethod::Stratified);
            let (few, many) = (unnumbered("birds", 0, count), unnumbered("birds", 0, count + added));
            let (before, after) = (held_out(&few, config), held_out(&many, config));
            let moved = before.iter().filter(|path| !after.contains(path)).count();
            prop_assert!(moved == 0 || (moved == 1 && before.len() == 1), "{moved} of {}", before.len());
        }

        #[test]
        fn the_split_of_a_class_does_not_depend_on_others(count in 2usize..40, other in 1usize..40, seed: u64) {
            let config = config(0.2, seed, SplitMethod::Stratified);
            let birds = files("birds", 0, count);
            let both = [birds.clone(), files("flowers", 0, other)].concat();
            let mut together = held_out(&both, config);
            together.retain(|path| path.starts_with("birds/"));
            prop_assert_eq!(held_out(&birds, config), together);
        }
    }
}
