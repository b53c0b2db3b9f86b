use std::fmt;

use serde::{Deserialize, Serialize};

use super::Metrics;

/// Classes by their number of training images.
///
/// # Source
///
/// Liu et al., Large-Scale Long-Tailed Recognition in an Open World, CVPR 2019.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shots {
    /// More than 100 training images.
    Many,
    /// 20 to 100.
    Medium,
    /// Fewer than 20.
    Few,
}

impl Shots {
    fn of(training_images: u64) -> Self {
        match training_images {
            0..20 => Self::Few,
            20..=100 => Self::Medium,
            _ => Self::Many,
        }
    }
}

impl fmt::Display for Shots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Many => "many-shot (over 100 training images)",
            Self::Medium => "medium-shot (20 to 100)",
            Self::Few => "few-shot (under 20)",
        })
    }
}

/// The classes of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShotGroup {
    /// The group.
    pub group: Shots,
    /// Number of its classes that have evaluated images.
    pub classes: u64,
    /// Their evaluated images.
    pub images: u64,
    /// Mean recall of these classes.
    pub recall: f64,
}

impl ShotGroup {
    /// The groups that have evaluated images, from many to few. `training`: training images of each class in label order; without them, there
    /// are no groups.
    #[must_use]
    pub fn of(metrics: &Metrics, training: &[u64]) -> Vec<Self> {
        if training.len() != metrics.classes.len() {
            return vec![];
        }
        let group = |group: Shots| {
            let recalls: Vec<_> = (0..training.len())
                .filter(|&label| Shots::of(training[label]) == group)
                .map(|label| metrics.recall(label))
                .filter(|recall| recall.of > 0)
                .collect();
            let sum: f64 = recalls.iter().filter_map(|recall| recall.value()).sum();
            (!recalls.is_empty()).then(|| Self {
                group,
                classes: recalls.len() as u64,
                images: recalls.iter().map(|recall| recall.of).sum(),
                recall: sum / recalls.len() as f64,
            })
        };
        [Shots::Many, Shots::Medium, Shots::Few]
            .into_iter()
            .filter_map(group)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::metrics::MetricAccumulator;

    #[test]
    fn classes_are_grouped_at_20_and_100_training_images() {
        let mut accumulator = MetricAccumulator::new(6);
        let mut record = |actual: usize, predicted: usize, times: u32| {
            let logits: Vec<f32> = (0..6)
                .map(|class| f32::from(u8::from(class == predicted)))
                .collect();
            (0..times).for_each(|_| accumulator.record(&logits, actual));
        };
        record(0, 0, 10);
        record(1, 1, 3);
        record(1, 0, 1);
        record(2, 2, 1);
        record(3, 0, 2);
        record(4, 4, 5);
        let metrics = accumulator.metrics(&["a", "b", "c", "d", "e", "f"].map(str::to_owned));
        let groups = ShotGroup::of(&metrics, &[101, 100, 20, 19, 1, 0]);
        let found: Vec<_> = groups
            .iter()
            .map(|group| (group.group, group.classes, group.images, group.recall))
            .collect();
        let expected = [
            (Shots::Many, 1, 10, 1.0),
            (Shots::Medium, 2, 5, 0.875),
            (Shots::Few, 2, 7, 0.5),
        ];
        assert_eq!(found, expected, "a class without images does not count");
        assert!(ShotGroup::of(&metrics, &[]).is_empty());
    }
}
