//! What a run begins with: nothing, the weights of a file, or where another run ended.

use std::collections::BTreeMap;

use super::{
    architecture,
    checkpoint::Checkpoint,
    learner::Error,
    run::{Before, RunConfig},
    stepper::forget_averages,
};
use crate::weights::{LoadReport, Mismatch, Weights, load_state_dict};
use equibatch_training::program::{self, Tensor};

/// What a run begins with.
#[derive(Clone, Debug, PartialEq)]
pub enum Beginning {
    /// Random numbers.
    Nothing,
    /// The body of a network, and its head where that fits.
    Weights(Weights),
    /// All of a network, and its optimizer where that trained the same parameters.
    Checkpoint(Box<Checkpoint>),
}

/// A run before its first step.
#[derive(Clone, Debug, PartialEq)]
pub struct Begun {
    /// With what went before.
    pub config: RunConfig,
    /// Parameters and running statistics by name, and moments where the optimizer goes on.
    pub state: BTreeMap<String, Tensor>,
    /// What was taken over from a file of weights.
    pub load_report: Option<LoadReport>,
}

/// Names of the optimizer's state begin so.
const MOMENTS: [&str; 2] = ["first_moment.", "second_moment."];

impl Beginning {
    /// The first numbers of a run of `config`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] where the network cannot be built or is another than the checkpoint's, [`Error::Weights`] where weights do not
    /// fit it.
    pub fn begin(self, config: RunConfig) -> Result<Begun, Error> {
        match self {
            Self::Nothing => {
                let state = program::initial_state(&architecture::spec(&config)?, config.seed)?;
                Ok(Begun {
                    config,
                    state,
                    load_report: None,
                })
            }
            Self::Weights(weights) => with_weights(config, weights),
            Self::Checkpoint(checkpoint) => behind(config, *checkpoint),
        }
    }
}

fn with_weights(mut config: RunConfig, weights: Weights) -> Result<Begun, Error> {
    let mut state = program::initial_state(&architecture::spec(&config)?, config.seed)?;
    config.before = Before {
        weights: weights.origin.clone(),
        weights_hash: weights.hash.clone(),
        ..Before::default()
    };
    let fits = architecture::fitting(&config, &weights.tensors);
    let load_report = load_state_dict(&mut state, weights, &config.arch)
        .map_err(|mismatch| Mismatch { fits, ..mismatch })?;
    Ok(Begun {
        config,
        state,
        load_report: Some(load_report),
    })
}

/// Goes on where a run ended. An optimizer is new where other parameters are trained than before, as in the reference.
fn behind(mut config: RunConfig, checkpoint: Checkpoint) -> Result<Begun, Error> {
    let Checkpoint {
        progress,
        tensors: mut state,
    } = checkpoint;
    let ended = &progress.config;
    let differs = |what: &str, theirs: &dyn std::fmt::Display, ours: &dyn std::fmt::Display| Error::Setting {
        reason: format!(
            "the checkpoint's {what} is {theirs}, not {ours}; --weights takes over the body of another network"
        ),
    };
    // A file may have moved.
    let is_same = ended.network_hash == config.network_hash && !config.network_hash.is_empty();
    if ended.arch != config.arch && !is_same {
        return Err(differs("network", &ended.arch, &config.arch));
    }
    if ended.head != config.head && !is_same {
        return Err(differs("head", &ended.head, &config.head));
    }
    if ended.classes != config.classes {
        return Err(differs(
            "list of classes",
            &ended.classes.join(", "),
            &config.classes.join(", "),
        ));
    }
    // What is averaged is the stage that learns, not the one before.
    forget_averages(&mut state);
    let goes_on = ended.frozen == config.frozen && ended.head == config.head;
    if !goes_on {
        state.retain(|name, _| !MOMENTS.iter().any(|moment| name.starts_with(moment)));
    }
    config.before = Before {
        weights: ended.before.weights.clone(),
        weights_hash: ended.before.weights_hash.clone(),
        epochs: ended.before.epochs + progress.epochs_begun(),
        steps: ended.before.steps + progress.steps,
        optimizer_steps: if goes_on {
            ended.before.optimizer_steps + progress.taken(progress.steps)
        } else {
            0
        },
    };
    Ok(Begun {
        config,
        state,
        load_report: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{
        checkpoint::Progress,
        run::{Frozen, sample as config},
    };

    fn small() -> RunConfig {
        RunConfig {
            arch: "resnet18@2".to_owned(),
            frozen: Frozen::Body(true),
            ..config()
        }
    }

    /// A frozen run after `steps` of its 40 steps, 10 per epoch.
    fn ended(steps: u64) -> Checkpoint {
        let Begun { state, .. } = Beginning::Nothing.begin(small()).expect("a network");
        let moment = ("first_moment.bn1.weight".to_owned(), Tensor::full([2], 1.0));
        Checkpoint {
            progress: Progress {
                steps,
                ..Progress::new(small())
            },
            tensors: state.into_iter().chain([moment]).collect(),
        }
    }

    fn behind(checkpoint: Checkpoint, config: RunConfig) -> Result<Begun, Error> {
        Beginning::Checkpoint(Box::new(checkpoint)).begin(config)
    }

    #[test]
    fn a_stage_goes_on_with_the_optimizer_of_the_one_before() {
        let begun = behind(ended(40), small()).expect("the same network");
        let before = &begun.config.before;
        assert_eq!((before.epochs, before.steps, before.optimizer_steps), (4, 40, 40));
        assert!(begun.state.contains_key("first_moment.bn1.weight"));
        // A third stage counts both before it.
        let third = Checkpoint {
            progress: Progress {
                steps: 15,
                ..Progress::new(begun.config)
            },
            tensors: begun.state,
        };
        let before = behind(third, small()).expect("the same network").config.before;
        assert_eq!((before.epochs, before.steps, before.optimizer_steps), (6, 55, 55));
    }

    #[test]
    fn steps_that_were_not_taken_are_none_of_the_optimizers() {
        let mut ended = ended(40);
        ended.progress.skipped_steps = 3;
        ended.progress.loss_scale.record(false);
        let begun = behind(ended, small()).expect("the same network");
        let before = &begun.config.before;
        assert_eq!((before.steps, before.optimizer_steps), (40, 37));
        // The next stage begins with a scale of its own.
        assert_eq!(Progress::new(begun.config).loss_scale.factor(), 65_536.0);
    }

    #[test]
    fn unfreezing_makes_a_new_optimizer() {
        let unfrozen = RunConfig {
            frozen: Frozen::Body(false),
            ..small()
        };
        let begun = behind(ended(40), unfrozen).expect("the same network");
        assert_eq!(begun.config.before.optimizer_steps, 0);
        assert_eq!(begun.config.before.steps, 40);
        assert!(!begun.state.contains_key("first_moment.bn1.weight"));
        assert!(begun.state.contains_key("bn1.weight"));
    }

    #[test]
    fn another_network_is_refused_with_what_differs() {
        let message = |config: RunConfig| behind(ended(1), config).expect_err("another").to_string();
        let arch = "resnet18@4".to_owned();
        assert!(message(RunConfig { arch, ..small() }).contains("network is resnet18@2, not resnet18@4"));
        let head = "plain".to_owned();
        assert!(message(RunConfig { head, ..small() }).contains("head is fastai, not plain"));
        let classes = vec!["bird".to_owned(), "cat".to_owned()];
        let refused = message(RunConfig { classes, ..small() });
        assert!(
            refused.contains("bird, flower, not bird, cat") && refused.contains("--weights"),
            "{refused}"
        );
    }

    #[test]
    fn weights_of_another_network_name_the_one_that_they_fit() {
        let plain = RunConfig {
            arch: "resnet34".to_owned(),
            head: "plain".to_owned(),
            ..config()
        };
        let wide = RunConfig {
            arch: "resnet18".to_owned(),
            ..plain.clone()
        };
        let shapes = program::state_shapes(&architecture::spec(&wide).expect("a network")).expect("shapes");
        let zeros = shapes
            .into_iter()
            .map(|(name, shape)| (name, Tensor::full(shape, 0.0)));
        let weights = Weights {
            origin: "x.safetensors".to_owned(),
            hash: "00".to_owned(),
            tensors: zeros.collect(),
        };
        let message = Beginning::Weights(weights.clone())
            .begin(plain)
            .expect_err("a misfit")
            .to_string();
        assert!(message.contains("missing `layer1.2.bn1.bias`"), "{message}");
        assert!(message.ends_with("they match --arch resnet18"), "{message}");
        let begun = Beginning::Weights(weights).begin(wide).expect("it fits");
        assert_eq!(begun.config.before.weights_hash, "00");
        assert!(
            begun
                .state
                .values()
                .all(|tensor| tensor.data.iter().all(|&number| number == 0.0))
        );
    }
}
