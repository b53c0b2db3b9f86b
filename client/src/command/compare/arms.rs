//! Arms as runs: the flags of a comparison, overridden by those of each arm.

use anyhow::{Context as _, Result};
use clap::Parser as _;
use equibatch_cli::toml_flags::sentence;

use crate::{
    args::{Arguments, Command, Train, experiment},
    command::{plan::RunPlan, prepare::ask_for_images},
    config::{
        UsageError, apply_args, check_head, check_loss_and_optimizer, check_precision, check_typed, conflicts,
    },
    learn::{
        architecture::AUTO_HEAD,
        compare::Arm,
        fit::policy::Policy,
        run::{HeadFit, HeadSteps, RunConfig},
    },
};
use equibatch_stream::Servers;

/// An arm and its runs.
pub(in crate::command) struct PlannedArm {
    pub(in crate::command) arm: Arm,
    /// One, or those of its experiment file.
    stages: Vec<Stage>,
    /// Whether the stages are those of an experiment file.
    pub(super) is_experiment: bool,
}

/// One run of an arm.
struct Stage {
    /// The arm's arguments, each overridden by those after it.
    own: Vec<Train>,
    plan: RunPlan,
}

/// Flags that arms must share.
const SHARED: [&str; 3] = ["dataset", "seed", "save"];

impl PlannedArm {
    /// Reads the flags of `arm`, which override those of `base`.
    pub(super) fn read(arm: &Arm, base: &Train) -> Result<Self> {
        let own = own_arguments(arm)?;
        let Some(path) = &own.experiment else {
            let plan = RunPlan::overridden(&[base, &own])?;
            let own = vec![*own];
            return Ok(Self {
                arm: arm.clone(),
                stages: vec![Stage { own, plan }],
                is_experiment: false,
            });
        };
        let of_arm = || format!("arm `{}`", arm.name);
        let stages = experiment::read(path).with_context(of_arm)?;
        check_typed(&stages, &own).with_context(of_arm)?;
        let stages = stages.iter().map(|stage| {
            let own: Vec<Train> = stage.overridden(&own).cloned().collect();
            let arguments: Vec<&Train> = [base].into_iter().chain(&own).collect();
            let mut plan = RunPlan::of_stage(&stage.name, &arguments);
            // Each run's checkpoint is in its folder; a file would be overwritten by the next run.
            plan.save = None;
            Stage { own, plan }
        });
        Ok(Self {
            arm: arm.clone(),
            stages: stages.collect(),
            is_experiment: true,
        })
    }

    /// Checks the settings that need no server.
    pub(super) fn check(&self, base: &Train) -> Result<(), UsageError> {
        for Stage { plan, .. } in &self.stages {
            check_precision(plan.config.precision, base.execution.device)?;
            check_head(&plan.config)?;
            check_loss_and_optimizer(&plan.config)?;
        }
        Ok(())
    }

    /// The plans of its runs on `dataset` with `seed`.
    pub(super) fn plans(&self, dataset: &str, seed: u64) -> Vec<RunPlan> {
        let plans = self.stages.iter().map(|stage| {
            let mut plan = stage.plan.clone();
            dataset.clone_into(&mut plan.config.dataset);
            plan.config.seed = seed;
            plan
        });
        plans.collect()
    }

    /// Describes how the settings of its runs, which were trained earlier, differ from those of `plans` that were typed; empty if they do not.
    pub(super) fn conflicts(&self, base: &Train, plans: &[RunPlan], configs: &[RunConfig]) -> String {
        let stages = self.stages.iter().zip(plans).zip(configs);
        let differing = stages.map(|((stage, plan), config)| {
            conflicts(config, |typed| {
                apply_args(base, typed);
                stage.own.iter().for_each(|own| apply_args(own, typed));
                let RunConfig {
                    dataset,
                    seed,
                    images_per_epoch,
                    recipe,
                    ..
                } = plan.config.clone();
                (typed.dataset, typed.seed) = (dataset, seed);
                (typed.images_per_epoch, typed.recipe) = (images_per_epoch, recipe);
            })
        });
        let differing: Vec<String> = differing.filter(|text| !text.is_empty()).collect();
        differing.join("; ")
    }

    /// Whether a training uses validation images: for early stopping, the best epoch, or the best of several heads.
    pub(in crate::command) fn uses_validation(&self) -> bool {
        let uses = |config: &RunConfig| {
            let is_linear = config.head == AUTO_HEAD && config.loss.focal == 0.0;
            let is_fitted = config.head_steps == Some(HeadSteps::Auto) && !is_linear;
            config.policy != Policy::default() || is_fitted || config.head_fit == HeadFit::TauNorm
        };
        self.stages.iter().any(|stage| uses(&stage.plan.config))
    }

    /// Name of the last stage, if the arm is an experiment.
    pub(super) fn last_stage(&self) -> Option<&str> {
        let last = self.stages.last().filter(|_| self.is_experiment);
        last.map(|stage| &*stage.plan.name)
    }

    /// Steps of all its runs together.
    pub(super) fn steps(&self) -> u64 {
        self.stages
            .iter()
            .map(|stage| stage.plan.config.total_steps())
            .sum()
    }
}

/// The arguments of `client train` that the flags of `arm` are.
fn own_arguments(arm: &Arm) -> Result<Box<Train>, UsageError> {
    let fail = |reason: &str| UsageError(format!("arm `{}` ({}): {reason}", arm.name, arm.flags.join(" ")));
    for name in arm.flags.iter().filter_map(|flag| flag.strip_prefix("--")) {
        let name = name.split('=').next().unwrap_or_default();
        if name != "experiment" && (!experiment::is_key(name) || SHARED.contains(&name)) {
            return Err(fail(&format!(
                "--{name} cannot be a flag of an arm: all arms share it; give it to the command"
            )));
        }
    }
    let words = ["client", "train"].into_iter();
    let words = words.chain(arm.flags.iter().map(String::as_str));
    let parsed = Arguments::try_parse_from(words).map_err(|error| fail(&sentence(&error)))?;
    match parsed.command {
        Command::Train(train) => Ok(train),
        other => unreachable!("the parsed command line is that of `train`, not {other:?}"),
    }
}

/// Completes the plans by the server's description of the images, so that all arms take the same number of steps, however many epochs and images per
/// step they have; an arm with --images-per-epoch among its own flags is left as it is, and an epoch of a stage with --head-steps is one of `base`. An epoch of `base` has --images-per-epoch images, or as many as
/// the largest of all arms.
pub(super) fn equalise_steps(arms: &mut [PlannedArm], base: &RunConfig, servers: &Servers) -> Result<()> {
    let mut most = 0;
    for stage in arms.iter_mut().flat_map(|arm| &mut arm.stages) {
        let stream = ask_for_images(servers, &mut stage.plan.config)?;
        if !has_own_images(stage) {
            most = stream.images_per_epoch.max(most);
        }
    }
    let images = base.images_per_epoch.unwrap_or(most);
    for arm in arms {
        let configs = arm.stages.iter().map(|stage| &stage.plan.config);
        let epochs: u32 = configs
            .filter(|config| config.head_steps.is_none())
            .map(|config| config.epochs)
            .sum();
        for stage in &mut arm.stages {
            let is_own = has_own_images(stage);
            let config = &mut stage.plan.config;
            if !is_own {
                config.images_per_epoch = Some(match config.head_steps {
                    None => images_for(images, base, (epochs, config.images_per_step())),
                    Some(_) => images.max(config.images_per_step().into()),
                });
            }
            let images = config.images_per_epoch.unwrap_or_default();
            config.steps_per_epoch = images / u64::from(config.images_per_step());
        }
    }
    Ok(())
}

fn has_own_images(stage: &Stage) -> bool {
    let mut own = stage.own.iter();
    own.any(|train| train.setup.images.images_per_epoch.is_some())
}

/// Images per epoch with which an arm of this many epochs and images per step takes as many steps as `base` with `images` images per epoch.
fn images_for(images: u64, base: &RunConfig, (epochs, per_step): (u32, u32)) -> u64 {
    let of_base = u128::from(images) * u128::from(base.epochs) * u128::from(per_step);
    let divisor = u128::from(epochs.max(1)) * u128::from(base.images_per_step().max(1));
    let images = u64::try_from(of_base.div_ceil(divisor)).unwrap_or(u64::MAX);
    images.max(per_step.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::compare::OwnArm;

    fn base() -> Train {
        match Arguments::try_parse_from(["client", "train", "--epochs", "4", "--max-lr", "1e-3"])
            .expect("arguments")
            .command
        {
            Command::Train(train) => *train,
            other => panic!("{other:?}"),
        }
    }

    fn read(text: &str) -> Result<PlannedArm> {
        PlannedArm::read(&Arm::named(text, &[]).expect("an arm"), &base())
    }

    #[test]
    fn flags_of_an_arm_override_those_of_the_command() {
        let plans = read("adjusted+fine-tuned").expect("an arm").plans("pets", 3);
        let config = &plans[0].config;
        assert_eq!((config.epochs, &*config.max_lr), (4, "..1e-3"));
        assert_eq!((config.loss.logit_adjust, config.freeze_norms), (1.0, true));
        assert_eq!((&*config.dataset, config.seed), ("pets", 3));
    }

    #[test]
    fn an_experiment_is_an_arm_of_several_runs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("two.toml");
        let text = "balance = \"natural\"\n[[stage]]\nepochs = 1\n[[stage]]\nname = \"last\"\nsave = \"x\"\nbalance = \"oversample\"\n";
        std::fs::write(&path, text).expect("written");
        let plans = read(&path.display().to_string())
            .expect("an arm")
            .plans("pets", 3);
        let of = |plan: &RunPlan| {
            let config = &plan.config;
            (plan.name.clone(), config.epochs, config.balance.to_string())
        };
        let expected = [("stage-1", 1, "natural"), ("last", 4, "oversample")];
        let expected = expected.map(|(name, epochs, balance)| (name.to_owned(), epochs, balance.to_owned()));
        assert_eq!(plans.iter().map(of).collect::<Vec<_>>(), expected);
        assert_eq!(plans[1].save, None);
    }

    #[test]
    fn what_is_added_to_an_experiment_fills_what_its_stages_leave_open() {
        let error = format!("{:#}", read("crt+frozen").err().expect("a contradiction"));
        assert!(
            error.contains("arm `crt+frozen`") && error.contains("freeze") && error.contains("stage `body`"),
            "{error}"
        );
        let own: OwnArm = "mine=--experiment tau-norm --epochs 7".parse().expect("an arm");
        let arm = Arm::named("mine", &[own]).expect("an arm");
        let plans = PlannedArm::read(&arm, &base()).expect("an arm").plans("pets", 3);
        // The second stage sees the images once.
        let epochs: Vec<u32> = plans.iter().map(|plan| plan.config.epochs).collect();
        assert_eq!(epochs, [7, 1]);
    }

    #[test]
    fn flags_that_arms_share_and_invalid_ones_are_refused() {
        for (flags, words) in [
            ("--dataset pets", "--dataset cannot be a flag of an arm"),
            ("--out=x", "--out cannot be a flag of an arm"),
            ("--device cuda", "--device cannot be a flag of an arm"),
            ("--focal many", "'many'"),
            ("--no-such-flag", "--no-such-flag"),
        ] {
            let own = format!("mine={flags}").parse().expect("an arm");
            let arm = Arm::named("mine", &[own]).expect("an arm");
            let error = PlannedArm::read(&arm, &base()).err().expect(flags).to_string();
            assert!(
                error.starts_with("arm `mine`") && error.contains(words),
                "{error}"
            );
        }
        let error = format!("{:#}", read("nowhere.toml").err().expect("no file"));
        assert!(
            error.starts_with("arm `nowhere.toml`: cannot read nowhere.toml"),
            "{error}"
        );
    }

    #[test]
    fn arms_take_as_many_steps_with_other_epochs_and_batches() {
        let base = RunConfig {
            epochs: 10,
            batch_size: 16,
            ..RunConfig::default()
        };
        assert_eq!(images_for(100, &base, (10, 16)), 100);
        // 60 steps: 6 of 16 images in each of 10 epochs.
        for (epochs, batch) in [(6, 16), (3, 8), (10, 32), (60, 16)] {
            let steps = images_for(96, &base, (epochs, batch)) / u64::from(batch) * u64::from(epochs);
            assert_eq!(steps, 60, "{epochs} epochs, batches of {batch}");
        }
        assert_eq!(images_for(16, &base, (100, 16)), 16, "at least a step per epoch");
    }
}
