//! One training of an arm: its seed, the images it is validated on, and the model that it leaves.

use std::path::PathBuf;

use equibatch_engine::dataset::FOLDS;

use crate::learn::{
    compare::{Arm, Repeat, TrainedArm, file_name},
    predictions::Predictions,
};

/// One training of an arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command) struct Round {
    pub(in crate::command) seed: u64,
    pub(in crate::command) validation: Validation,
}

/// Which images of train and valid a round does not train on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command) enum Validation {
    /// The validation split of the dataset.
    Split,
    /// A fold, from 1.
    Fold(u32),
    /// None: all are for training.
    Absent,
}

impl Validation {
    /// The name under which a server serves `dataset` with this validation split.
    pub(in crate::command) fn dataset(self, dataset: &str) -> String {
        match self {
            Self::Split => dataset.to_owned(),
            Self::Fold(fold) => format!("{dataset}@{fold}/{FOLDS}"),
            Self::Absent => format!("{dataset}@0/{FOLDS}"),
        }
    }
}

impl Round {
    /// The rounds of `seeds` seeds from `first`, with one per fold if cross-validated.
    pub(in crate::command) fn all(first: u64, seeds: u32, is_cross_validated: bool) -> Vec<Self> {
        let validations: Vec<Validation> = match is_cross_validated {
            true => (1..=FOLDS).map(Validation::Fold).collect(),
            false => vec![Validation::Split],
        };
        let seeds = (0..u64::from(seeds)).map(|repeat| first.wrapping_add(repeat));
        let rounds = seeds.flat_map(|seed| {
            let validations = validations.iter();
            validations.map(move |&validation| Self { seed, validation })
        });
        rounds.collect()
    }

    /// Whether it is a part of a cross-validation.
    pub(in crate::command) fn has_fold(self) -> bool {
        matches!(self.validation, Validation::Fold(_))
    }

    /// The name of the folder of an arm's runs in this round.
    pub(super) fn folder_name(self, arm: &Arm) -> String {
        let name = format!("{}-{}", file_name(&arm.training), self.seed);
        match self.validation {
            Validation::Split => name,
            Validation::Fold(fold) => format!("{name}-fold-{fold}"),
            Validation::Absent => format!("{name}-all"),
        }
    }

    /// `adjusted, seed 1, fold 2 of 5`.
    pub(super) fn title(self, arm: &Arm) -> String {
        let title = format!("{}, seed {}", arm.name, self.seed);
        match self.validation {
            Validation::Split => title,
            Validation::Fold(fold) => format!("{title}, fold {fold} of {FOLDS}"),
            Validation::Absent => format!("{title}, all images"),
        }
    }
}

/// A trained and evaluated model of an arm.
#[derive(Clone, Debug)]
pub(in crate::command) struct Outcome {
    pub(in crate::command) round: Round,
    /// Folder of the run; of an experiment, that of its last stage.
    pub(in crate::command) run: PathBuf,
    pub(in crate::command) predictions: Predictions,
}

/// The outcomes of an arm in its rounds as repeats: the folds of a seed are one.
pub(in crate::command) fn trained_arm(arm: &Arm, outcomes: &[Outcome]) -> TrainedArm {
    let mut repeats: Vec<Repeat> = vec![];
    for Outcome {
        round,
        run,
        predictions,
    } in outcomes
    {
        match repeats.last_mut().filter(|repeat| repeat.seed == round.seed) {
            Some(repeat) => repeat.predictions.extend(predictions.clone()),
            None => repeats.push(Repeat {
                seed: round.seed,
                run: run.clone(),
                predictions: predictions.clone(),
            }),
        }
    }
    TrainedArm {
        arm: arm.clone(),
        repeats,
    }
}
