use super::{Metrics, Proportion};
use crate::learn::text::listed;

/// Most names in a list.
const NAMED: usize = 4;

/// The classes with the fewest training images: one, or several with equally few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RarestClasses {
    /// Labels in ascending order.
    pub labels: Vec<usize>,
    /// Training images of each, at least 1.
    pub images: u64,
    /// Their names, joined for a sentence.
    pub names: String,
}

impl RarestClasses {
    /// From class names and numbers of training images, in label order. Classes without training images are ignored; `None` if no class
    /// remains.
    #[must_use]
    pub fn of<'a>(classes: impl IntoIterator<Item = (&'a str, u64)>) -> Option<Self> {
        let known: Vec<_> = classes
            .into_iter()
            .enumerate()
            .filter(|(_, (_, images))| *images > 0)
            .collect();
        let images = known.iter().map(|(_, (_, images))| *images).min()?;
        let (labels, names): (Vec<_>, Vec<_>) = known
            .into_iter()
            .filter(|(_, (_, count))| *count == images)
            .map(|(label, (name, _))| (label, name))
            .unzip();
        let names = shortened(&names);
        Some(Self {
            labels,
            images,
            names,
        })
    }

    /// `coins and mushrooms, the rarest classes`.
    #[must_use]
    pub fn described(&self) -> String {
        let noun = if self.labels.len() == 1 {
            "class"
        } else {
            "classes"
        };
        format!("{}, the rarest {noun}", self.names)
    }

    /// Pooled recall of these classes.
    #[must_use]
    pub fn recall(&self, metrics: &Metrics) -> Proportion {
        let recalls = self.labels.iter().map(|&label| metrics.recall(label));
        recalls.fold(Proportion::default(), |sum, recall| Proportion {
            hits: sum.hits + recall.hits,
            of: sum.of + recall.of,
        })
    }
}

/// All names, or the first three and the number of the others.
pub fn shortened(names: &[&str]) -> String {
    if names.len() <= NAMED {
        return listed(names);
    }
    let rest = format!("{} more", names.len() - (NAMED - 1));
    listed(&[&names[..NAMED - 1], &[&*rest]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rarest(classes: &[(&str, u64)]) -> RarestClasses {
        RarestClasses::of(classes.iter().copied()).expect("a class with images")
    }

    #[test]
    fn the_fewest_training_images_decide_and_ties_are_named() {
        let found = rarest(&[("coins", 5), ("dogs", 0), ("mushrooms", 3), ("stars", 80)]);
        assert_eq!((&*found.labels, found.images), (&[2][..], 3));
        assert_eq!(found.described(), "mushrooms, the rarest class");
        let tied = rarest(&[("coins", 3), ("dogs", 9), ("mushrooms", 3)]);
        assert_eq!(tied.labels, [0, 2]);
        assert_eq!(tied.described(), "coins and mushrooms, the rarest classes");
        assert_eq!(RarestClasses::of([("empty", 0)]), None);
    }

    #[test]
    fn of_many_tied_classes_the_first_are_named_and_the_others_counted() {
        let classes = ["a", "b", "c", "d", "e"].map(|name| (name, 7));
        assert_eq!(rarest(&classes).names, "a, b, c and 2 more");
        assert_eq!(rarest(&classes[..4]).names, "a, b, c and d");
        assert_eq!(rarest(&classes[..1]).names, "a");
    }
}
