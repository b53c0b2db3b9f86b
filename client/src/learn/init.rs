//! Initial state of a run: random, pretrained weights, or the checkpoint of another run.

use std::{collections::BTreeMap, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    architecture,
    checkpoint::Checkpoint,
    learner::Error,
    run::{Lineage, RunConfig},
};
use crate::weights::{LoadReport, Mismatch, Weights, is_moment, load_state_dict};
use equibatch_training::{
    program::{self, Tensor},
    trainer::stepper::drop_averages,
};

/// Source of a run's initial state.
#[derive(Clone, Debug, PartialEq)]
pub enum InitFrom {
    /// Random initialisation.
    Nothing,
    /// Weights for the body, and for the head if it fits.
    Weights(Weights),
    /// All weights of another run, and its optimizer state if the same parameters are trained.
    Checkpoint(Box<Checkpoint>),
}

/// How the last layer begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadInit {
    /// With the initial state's values: random ones if it is new.
    #[default]
    Random,
    /// From the class means of its inputs.
    ClassMeans,
}

impl FromStr for HeadInit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "random" => Ok(Self::Random),
            "class-means" => Ok(Self::ClassMeans),
            _ => Err("expected random or class-means".to_owned()),
        }
    }
}

/// State of a run before its first step.
#[derive(Clone, Debug, PartialEq)]
pub struct InitialState {
    /// The configuration, with its lineage filled in.
    pub config: RunConfig,
    /// Parameters and running statistics by name, and moments if the optimizer continues.
    pub state: BTreeMap<String, Tensor>,
    /// What was loaded from a weights file.
    pub load_report: Option<LoadReport>,
}

impl InitFrom {
    /// The initial state of a run of `config`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the network cannot be built or differs from the checkpoint's; [`Error::Weights`] if the weights do not fit it.
    pub fn init(self, config: RunConfig) -> Result<InitialState, Error> {
        match self {
            Self::Nothing => {
                let state = program::initial_state(&architecture::spec(&config)?, config.seed)?;
                Ok(InitialState {
                    config,
                    state,
                    load_report: None,
                })
            }
            Self::Weights(weights) => with_weights(config, weights),
            Self::Checkpoint(checkpoint) => from_checkpoint(config, *checkpoint),
        }
    }
}

fn with_weights(mut config: RunConfig, weights: Weights) -> Result<InitialState, Error> {
    let mut state = program::initial_state(&architecture::spec(&config)?, config.seed)?;
    config.lineage = Lineage {
        weights: weights.origin.clone(),
        weights_hash: weights.hash.clone(),
        ..Lineage::default()
    };
    let fits = architecture::arch_that_fits(&config, &weights.tensors);
    let load_report = load_state_dict(&mut state, weights, &config.arch)
        .map_err(|mismatch| Mismatch { fits, ..mismatch })?;
    Ok(InitialState {
        config,
        state,
        load_report: Some(load_report),
    })
}

/// Continues from the end of another run. The optimizer starts anew if it is another one, or if other parameters are trained than
/// before, as in fastai.
fn from_checkpoint(mut config: RunConfig, checkpoint: Checkpoint) -> Result<InitialState, Error> {
    let Checkpoint {
        progress,
        tensors: mut state,
    } = checkpoint;
    let ended = &progress.config;
    let differs = |what: &str, theirs: &dyn std::fmt::Display, ours: &dyn std::fmt::Display| Error::Setting {
        reason: format!(
            "the checkpoint's {what} is {theirs}, not {ours}; use --weights to load only the body of another network"
        ),
    };
    // A network file is identified by its hash: it may have moved.
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
    // Weight averages cover one stage only; they start anew in the next.
    drop_averages(&mut state);
    if config.reset_head {
        state.extend(program::new_head(&architecture::spec(&config)?, config.seed)?);
    }
    let slots = |config: &RunConfig| config.optimizer.build(config.weight_decay).slots();
    let goes_on = ended.frozen == config.frozen
        && ended.head == config.head
        && !config.reset_head
        && slots(ended) == slots(&config);
    if !goes_on {
        state.retain(|name, _| !is_moment(name));
    }
    config.lineage = Lineage {
        weights: ended.lineage.weights.clone(),
        weights_hash: ended.lineage.weights_hash.clone(),
        epochs: ended.lineage.epochs + progress.epochs_begun(),
        steps: ended.lineage.steps + progress.steps,
        optimizer_steps: if goes_on {
            ended.lineage.optimizer_steps + progress.optimizer_steps(progress.steps)
        } else {
            0
        },
    };
    Ok(InitialState {
        config,
        state,
        load_report: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{
        checkpoint::ResumeState,
        optimizer::OptimizerName,
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
        let InitialState { state, .. } = InitFrom::Nothing.init(small()).expect("a network");
        let moment = ("first_moment.bn1.weight".to_owned(), Tensor::full([2], 1.0));
        Checkpoint {
            progress: ResumeState {
                steps,
                ..ResumeState::new(small())
            },
            tensors: state.into_iter().chain([moment]).collect(),
        }
    }

    fn from_checkpoint(checkpoint: Checkpoint, config: RunConfig) -> Result<InitialState, Error> {
        InitFrom::Checkpoint(Box::new(checkpoint)).init(config)
    }

    #[test]
    fn a_stage_continues_the_optimizer_of_the_previous_stage() {
        let initial = from_checkpoint(ended(40), small()).expect("the same network");
        let before = &initial.config.lineage;
        assert_eq!((before.epochs, before.steps, before.optimizer_steps), (4, 40, 40));
        assert!(initial.state.contains_key("first_moment.bn1.weight"));
        // A third stage counts both previous stages.
        let third = Checkpoint {
            progress: ResumeState {
                steps: 15,
                ..ResumeState::new(initial.config)
            },
            tensors: initial.state,
        };
        let before = from_checkpoint(third, small())
            .expect("the same network")
            .config
            .lineage;
        assert_eq!((before.epochs, before.steps, before.optimizer_steps), (6, 55, 55));
    }

    #[test]
    fn skipped_steps_are_not_counted_as_optimizer_steps() {
        let mut ended = ended(40);
        ended.progress.skipped_steps = 3;
        ended.progress.loss_scale.update(false);
        let initial = from_checkpoint(ended, small()).expect("the same network");
        let before = &initial.config.lineage;
        assert_eq!((before.steps, before.optimizer_steps), (40, 37));
        // The next stage starts with the default loss scale.
        assert_eq!(ResumeState::new(initial.config).loss_scale.factor(), 65_536.0);
    }

    #[test]
    fn unfreezing_makes_a_new_optimizer() {
        let unfrozen = RunConfig {
            frozen: Frozen::Body(false),
            ..small()
        };
        let initial = from_checkpoint(ended(40), unfrozen).expect("the same network");
        assert_eq!(initial.config.lineage.optimizer_steps, 0);
        assert_eq!(initial.config.lineage.steps, 40);
        assert!(!initial.state.contains_key("first_moment.bn1.weight"));
        assert!(initial.state.contains_key("bn1.weight"));
    }

    #[test]
    fn a_new_head_replaces_that_of_the_checkpoint() {
        let mut before = ended(40);
        before
            .tensors
            .values_mut()
            .for_each(|tensor| tensor.data.fill(0.5));
        let config = RunConfig {
            reset_head: true,
            ..small()
        };
        let initial = from_checkpoint(before, config).expect("the same network");
        let is_kept = |name: &str| initial.state[name].data.iter().all(|&number| number == 0.5);
        for (name, expected) in [
            ("bn1.weight", true),
            ("layer4.1.conv2.weight", true),
            ("head.4.weight", false),
            ("head.6.running_mean", false),
            ("head.8.bias", false),
        ] {
            assert_eq!(is_kept(name), expected, "{name}");
        }
        assert_eq!(initial.config.lineage.optimizer_steps, 0);
    }

    #[test]
    fn another_optimizer_starts_anew() {
        let mut sgd = small();
        sgd.optimizer.name = OptimizerName::Sgd;
        let initial = from_checkpoint(ended(40), sgd).expect("the same network");
        assert_eq!(initial.config.lineage.optimizer_steps, 0);
        assert!(!initial.state.contains_key("first_moment.bn1.weight"));
    }

    #[test]
    fn a_checkpoint_of_another_network_is_refused_with_the_difference() {
        let message = |config: RunConfig| {
            from_checkpoint(ended(1), config)
                .expect_err("another")
                .to_string()
        };
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
    fn an_error_for_unfitting_weights_names_the_architecture_that_fits() {
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
        let message = InitFrom::Weights(weights.clone())
            .init(plain)
            .expect_err("a misfit")
            .to_string();
        assert!(message.contains("missing `layer1.2.bn1.bias`"), "{message}");
        assert!(message.ends_with("they match --arch resnet18"), "{message}");
        let initial = InitFrom::Weights(weights).init(wide).expect("it fits");
        assert_eq!(initial.config.lineage.weights_hash, "00");
        assert!(
            initial
                .state
                .values()
                .all(|tensor| tensor.data.iter().all(|&number| number == 0.0))
        );
    }
}
