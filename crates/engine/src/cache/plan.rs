//! Which images to admit: a greedy knapsack by draws per byte.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::Arc,
};

use super::demand::Key;

/// Images per prefix sum of bytes.
const BLOCK: usize = 64;

/// Number of images that do not fit after which no further one is tried.
const MAX_MISSES: usize = 1024;

/// The images of a split at one size, by class. Shared by all streams that draw from it, whatever their class proportions; takes about 8 bytes
/// per image.
#[derive(Debug)]
pub struct Catalog {
    dataset: u32,
    short_side: Option<u32>,
    classes: Box<[Class]>,
}

/// The images of a class, smallest first.
#[derive(Debug)]
struct Class {
    images: Box<[CatalogEntry]>,
    /// Bytes of the images before each [`BLOCK`].
    sums: Box<[u64]>,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct CatalogEntry {
    bytes: u32,
    sample: u32,
}

impl Catalog {
    /// A catalog of classes of `(sample, bytes of memory)`.
    #[must_use]
    pub fn new(
        dataset: u32,
        short_side: Option<u32>,
        classes: impl IntoIterator<Item = impl IntoIterator<Item = (u32, u64)>>,
    ) -> Self {
        let entry = |(sample, bytes)| CatalogEntry {
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            sample,
        };
        let class = |images: Vec<CatalogEntry>| {
            let mut bytes = 0;
            let sums = images.chunks(BLOCK).map(|block| {
                let before = bytes;
                bytes += block.iter().map(|image| u64::from(image.bytes)).sum::<u64>();
                before
            });
            Class {
                sums: sums.collect(),
                images: images.into(),
                bytes,
            }
        };
        let classes = classes.into_iter().map(|images| {
            let mut images: Vec<CatalogEntry> = images.into_iter().map(entry).collect();
            images.sort_unstable();
            class(images)
        });
        Self {
            dataset,
            short_side,
            classes: classes.collect(),
        }
    }
}

impl Class {
    /// Bytes of the first `count` images.
    fn bytes_of(&self, count: usize) -> u64 {
        if count == self.images.len() {
            return self.bytes;
        }
        let block = count / BLOCK;
        let rest = &self.images[block * BLOCK..count];
        self.sums[block] + rest.iter().map(|image| u64::from(image.bytes)).sum::<u64>()
    }
}

/// A class that is drawn from.
struct DrawnClass<'a> {
    catalog: &'a Catalog,
    class: &'a Class,
    /// Per image, in one epoch of all streams together.
    draws: f64,
}

impl DrawnClass<'_> {
    /// Draws per byte of the image at `index`.
    fn density(&self, index: usize) -> f64 {
        self.draws / f64::from(self.class.images[index].bytes)
    }

    /// Number of images of at least this density; they are the first ones.
    fn count(&self, density: f64) -> usize {
        let images = &self.class.images;
        if self.density(images.len() - 1) >= density {
            return images.len();
        }
        if self.density(0) < density {
            return 0;
        }
        images.partition_point(|image| self.draws / f64::from(image.bytes) >= density)
    }

    fn key(&self, index: usize) -> Key {
        Key {
            dataset: self.catalog.dataset,
            sample: self.class.images[index].sample,
            short_side: self.catalog.short_side,
        }
    }
}

/// The images to admit: a bit per image of each catalog.
#[derive(Debug, Default)]
pub struct Plan {
    /// By dataset and short side; the index of a bit is the sample id.
    bits: HashMap<(u32, Option<u32>), Vec<u64>>,
    /// Sum of their registered bytes; at most the budget.
    pub(super) bytes: u64,
}

impl Plan {
    /// Takes the images in `catalogs` in order of draws per byte, then of keys, each if it still fits `budget`. With each catalog come the draws per
    /// image and epoch of its classes; images with draws that are not positive are left out.
    ///
    /// # Determinism
    ///
    /// A function of the budget and the set of catalogs, whatever their order, if the sums of draws are exact.
    pub(super) fn new(budget: u64, catalogs: &[(Arc<Catalog>, Vec<f64>)]) -> Self {
        let classes = catalogs.iter().flat_map(|(catalog, draws)| {
            let classes = catalog.classes.iter().zip(draws);
            classes.map(move |(class, &draws)| DrawnClass {
                catalog,
                class,
                draws,
            })
        });
        let wanted = |drawn: &DrawnClass<'_>| drawn.draws > 0.0 && !drawn.class.images.is_empty();
        let classes: Vec<DrawnClass<'_>> = classes.filter(wanted).collect();
        let bytes = |density: f64| -> u64 {
            let of_class = |drawn: &DrawnClass<'_>| drawn.class.bytes_of(drawn.count(density));
            classes.iter().map(of_class).sum()
        };
        // Bisects for the lowest density at which all images fit; the bits of positive floats are ordered as the floats.
        let (mut none, mut all) = (0, f64::INFINITY.to_bits());
        if bytes(0.0) <= budget {
            all = 0;
        }
        while none + 1 < all {
            let middle = none.midpoint(all);
            if bytes(f64::from_bits(middle)) <= budget {
                all = middle;
            } else {
                none = middle;
            }
        }
        let mut plan = Self::default();
        let counts: Vec<usize> = classes
            .iter()
            .map(|drawn| drawn.count(f64::from_bits(all)))
            .collect();
        for (drawn, &count) in classes.iter().zip(&counts) {
            (0..count).for_each(|index| plan.take(drawn, index));
        }
        plan.fill(budget, &classes, counts);
        plan
    }

    /// Takes, from `next` of each class on and in order, the images that still fit.
    fn fill(&mut self, budget: u64, classes: &[DrawnClass<'_>], mut next: Vec<usize>) {
        // By density, then by key.
        let place = |class: usize, index: usize| {
            let drawn = &classes[class];
            let is_there = index < drawn.class.images.len();
            is_there.then(|| (drawn.density(index).to_bits(), Reverse(drawn.key(index)), class))
        };
        let first = next.iter().enumerate();
        let mut front: BinaryHeap<_> = first.filter_map(|(class, &index)| place(class, index)).collect();
        let mut misses = 0;
        while misses < MAX_MISSES
            && let Some((_, _, class)) = front.pop()
        {
            let (drawn, index) = (&classes[class], next[class]);
            if u64::from(drawn.class.images[index].bytes) <= budget.saturating_sub(self.bytes) {
                self.take(drawn, index);
            } else {
                misses += 1;
            }
            next[class] += 1;
            front.extend(place(class, next[class]));
        }
    }

    fn take(&mut self, drawn: &DrawnClass<'_>, index: usize) {
        let CatalogEntry { bytes, sample } = drawn.class.images[index];
        let Catalog {
            dataset, short_side, ..
        } = *drawn.catalog;
        let bits = self.bits.entry((dataset, short_side)).or_default();
        let (word, bit) = (sample as usize / 64, 1 << (sample % 64));
        if bits.len() <= word {
            bits.resize(word + 1, 0);
        }
        // An image in two catalogs counts once.
        if bits[word] & bit == 0 {
            bits[word] |= bit;
            self.bytes += u64::from(bytes);
        }
    }

    /// Whether the plan contains an image.
    #[must_use]
    pub fn contains(&self, key: Key) -> bool {
        let bits = self.bits.get(&(key.dataset, key.short_side));
        let word = bits.and_then(|bits| bits.get(key.sample as usize / 64));
        word.is_some_and(|word| word & (1 << (key.sample % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A catalog with a class for each image `(sample, draws, bytes)`, and the draws.
    fn catalog(images: &[(u32, f64, u64)]) -> (Arc<Catalog>, Vec<f64>) {
        let classes = images.iter().map(|&(sample, _, bytes)| [(sample, bytes)]);
        let draws = images.iter().map(|&(_, draws, _)| draws).collect();
        (Arc::new(Catalog::new(0, None, classes)), draws)
    }

    fn samples(plan: &Plan) -> Vec<u32> {
        let key = |sample| Key {
            dataset: 0,
            sample,
            short_side: None,
        };
        (0..1000).filter(|&sample| plan.contains(key(sample))).collect()
    }

    #[test]
    fn the_rare_class_comes_first_then_small_images_then_low_ids() {
        let images = [
            (0, 1.0, 100),
            (1, 1.0, 50),
            (2, 1.0, 50),
            (3, 10.0, 100),
            (4, 1.0, 50),
        ];
        let common = (0..5).filter(|&sample| sample != 3).map(|sample| {
            let (_, _, bytes) = images[sample];
            (sample as u32, bytes)
        });
        let by_class = Catalog::new(0, None, [common.collect::<Vec<_>>(), vec![(3, 100)]]);
        for catalog in [catalog(&images), (Arc::new(by_class), vec![1.0, 10.0])] {
            let plan = |budget| samples(&Plan::new(budget, std::slice::from_ref(&catalog)));
            assert_eq!(plan(99), [1]);
            assert_eq!(plan(100), [3]);
            assert_eq!(plan(200), [1, 2, 3]);
            assert_eq!(plan(1000), [0, 1, 2, 3, 4]);
        }
    }

    #[test]
    fn images_that_are_never_drawn_are_not_planned() {
        let images = [(0, 0.0, 1), (1, f64::NAN, 1), (2, -1.0, 1)];
        assert!(samples(&Plan::new(10, &[catalog(&images)])).is_empty());
    }

    #[test]
    fn an_image_in_two_catalogs_counts_once() {
        let plan = Plan::new(
            100,
            &[catalog(&[(0, 2.0, 10)]), catalog(&[(0, 1.0, 10), (1, 1.0, 10)])],
        );
        assert_eq!((samples(&plan), plan.bytes), (vec![0, 1], 20));
    }

    #[test]
    fn of_equal_images_the_first_that_fit_are_planned() {
        let images = (0..900).map(|sample| (sample, 7));
        let catalog = (Arc::new(Catalog::new(0, None, [images])), vec![1.0]);
        let plan = Plan::new(7 * 400 + 6, &[catalog]);
        assert_eq!(samples(&plan), (0..400).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn the_plan_fits_and_does_not_depend_on_the_order(
            sizes in prop::collection::vec((1u64..200, 1u32..20), 0..60), budget in 0u64..3000, turn: prop::sample::Index,
        ) {
            let mut images: Vec<(u32, f64, u64)> =
                (0..).zip(&sizes).map(|(i, &(bytes, draws))| (i, f64::from(draws), bytes)).collect();
            let plan = Plan::new(budget, &[catalog(&images)]);
            let bytes: u64 = samples(&plan).iter().map(|&i| sizes[i as usize].0).sum();
            prop_assert!(bytes == plan.bytes && bytes <= budget);
            // No image that was left out would still fit.
            for (i, &(bytes, _)) in (0..).zip(&sizes) {
                prop_assert!(samples(&plan).contains(&i) || bytes > budget - plan.bytes);
            }
            if !images.is_empty() {
                let turn = turn.index(images.len());
                images.rotate_left(turn);
            }
            prop_assert_eq!(samples(&Plan::new(budget, &[catalog(&images)])), samples(&plan));
        }
    }
}
