//! The runs of a comparison: trained, evaluated, and stored in one folder.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{
    arms::{PlannedArm, equalise_steps},
    evaluation::is_evaluated,
    round::{Outcome, Round, Validation},
};
use crate::{
    args::Train,
    command::{
        Exit,
        plan::RunPlan,
        prepare::check_images,
        train::{RunSettings, Trainer, experiment},
    },
    config::UsageError,
    learn::{
        checkpoint::CHECKPOINT,
        compare::Arm,
        metrics::RarestClasses,
        progress::{Output, RunsProgress},
        run::{self, RunFolder},
    },
};
use equibatch_stream::{DatasetDescription, Split};

/// Arms on a dataset, and the folder of their runs.
pub(in crate::command) struct Study<'a> {
    /// The flags that the arms share.
    pub(in crate::command) base: &'a Train,
    pub(in crate::command) arms: Vec<PlannedArm>,
    pub(in crate::command) trainer: Trainer,
    pub(in crate::command) description: DatasetDescription,
    pub(in crate::command) rarest: RarestClasses,
    /// Split to evaluate on.
    pub(in crate::command) split: Split,
    pub(in crate::command) folder: PathBuf,
    /// The first seed.
    pub(in crate::command) seed: u64,
}

impl<'a> Study<'a> {
    /// Reads the flags of the arms, and completes them by the server's description of the dataset. The folder is --out, or one named after the dataset
    /// and `command`: the same for the same command, so that it can be continued.
    pub(in crate::command) fn open(
        base: &'a Train,
        arms: &[Arm],
        (command, split): (&str, Split),
        is_verbose: bool,
    ) -> Result<Self> {
        check_shared(base, command)?;
        let arms = arms.iter().map(|arm| PlannedArm::read(arm, base));
        let mut arms = arms.collect::<Result<Vec<PlannedArm>>>()?;
        arms.iter().try_for_each(|arm| arm.check(base))?;
        let output = if is_verbose { Output::Stderr } else { Output::Quiet };
        let trainer = Trainer::new(base, output)?;
        let servers = &trainer.context.servers;
        let config = RunPlan::typed(base)?.config;
        equalise_steps(&mut arms, &config, servers)?;
        let description = servers.describe(&config.dataset)?;
        let rarest = rarest_classes(&description, split)?;
        let folder = base.out.clone().unwrap_or_else(|| {
            let name = format!("{}-{command}", description.name);
            Path::new("runs").join(name.replace(['/', '\\'], "-"))
        });
        Ok(Self {
            base,
            arms,
            trainer,
            description,
            rarest,
            split,
            folder,
            seed: config.seed,
        })
    }

    /// Class names in label order.
    pub(in crate::command) fn classes(&self) -> Vec<String> {
        let classes = self.description.classes.iter();
        classes.map(|class| class.name.clone()).collect()
    }

    /// Says how many steps the arms take, and which differ.
    pub(in crate::command) fn steps_message(&self) -> String {
        let steps = self.arms.iter().map(PlannedArm::steps);
        let usual = self.arms.first().map_or(0, PlannedArm::steps);
        let others = self.arms.iter().zip(steps).filter(|(_, steps)| *steps != usual);
        let others: String = others
            .map(|(arm, steps)| format!(", {} for {steps}", arm.arm.name))
            .collect();
        match others.is_empty() {
            true => format!("each arm trains for {usual} steps (--epochs and --images-per-epoch)"),
            false => format!("each arm trains for {usual} steps{others}"),
        }
    }

    /// Shows the progress of `rounds` rounds of all arms, unless every epoch is shown.
    pub(in crate::command) fn show_progress(&mut self, rounds: usize) {
        if self.trainer.output == Output::Quiet {
            let steps = self.distinct().map(PlannedArm::steps).sum::<u64>();
            self.trainer.runs = Some(RunsProgress::new(steps * rounds as u64));
        }
    }

    /// The arms that differ in their training.
    fn distinct(&self) -> impl Iterator<Item = &PlannedArm> {
        let is_first = |(place, arm): &(usize, &PlannedArm)| {
            let mut before = self.arms[..*place].iter();
            !before.any(|other| other.arm.training == arm.arm.training)
        };
        self.arms.iter().enumerate().filter(is_first).map(|(_, arm)| arm)
    }

    /// The folder of an arm's runs in a round, and that of its last run.
    fn folders(&self, arm: &PlannedArm, round: Round) -> [PathBuf; 2] {
        let folder = self.folder.join(round.folder_name(&arm.arm));
        let run = arm
            .last_stage()
            .map_or_else(|| folder.clone(), |name| folder.join(name));
        [folder, run]
    }

    /// Whether the arm needs no training in `round`: its model, which other arms may share, has been evaluated.
    pub(in crate::command) fn is_finished(&self, arm: &PlannedArm, round: Round) -> bool {
        let [_, run] = self.folders(arm, round);
        is_evaluated(&run)
    }

    /// Number of trainings that `arms` need in `round`.
    pub(in crate::command) fn missing<'b>(
        &self,
        arms: impl Iterator<Item = &'b PlannedArm>,
        round: Round,
    ) -> usize {
        let trainings: BTreeSet<&str> = arms
            .filter(|arm| !self.is_finished(arm, round))
            .map(|arm| &*arm.arm.training)
            .collect();
        trainings.len()
    }

    /// Trains and evaluates an arm, or reads its stored predictions; `None` if the training was interrupted.
    pub(in crate::command) fn run(&self, arm: &PlannedArm, round: Round) -> Result<Option<Outcome>> {
        let plans = arm.plans(&round.validation.dataset(&self.description.name), round.seed);
        let [folder, run] = self.folders(arm, round);
        let title = round.title(&arm.arm);
        if let Some(runs) = &self.trainer.runs {
            runs.begin(&title);
        }
        let is_kept = self.is_finished(arm, round);
        if is_kept {
            self.check_kept(arm, &plans, &folder)?;
            let (kept, config) = RunFolder::open(&run)?;
            let servers = &self.trainer.context.servers;
            check_images(servers, &run, &kept.progress(&config), &config.dataset)?;
        } else {
            self.trainer.output.print_line("");
            if self.train(arm, &plans, &folder)? != Exit::Done {
                return Ok(None);
            }
        }
        let predictions = self.evaluate(&arm.arm, round, &run)?;
        if let Some(runs) = &self.trainer.runs {
            let is_shared = !self.distinct().any(|other| other.arm.name == arm.arm.name);
            let skipped = if is_kept && !is_shared { arm.steps() } else { 0 };
            let result = match round.validation {
                Validation::Absent => "trained".to_owned(),
                Validation::Split | Validation::Fold(_) => self.summary(&predictions),
            };
            runs.end(&format!("{title}: {result}"), skipped);
        }
        Ok(Some(Outcome {
            round,
            run,
            predictions,
        }))
    }

    /// Trains the runs of an arm in `folder`, or what is missing of them.
    fn train(&self, arm: &PlannedArm, plans: &[RunPlan], folder: &Path) -> Result<Exit> {
        let trainer = &self.trainer;
        match plans {
            [plan] if !arm.is_experiment && folder.join(CHECKPOINT).exists() => {
                self.check_kept(arm, plans, folder)?;
                let settings = RunSettings {
                    whole: folder,
                    save: None,
                    shown: &plan.shown,
                    checkpoint_every: plan.config.policy.checkpoint_every,
                };
                trainer.continue_run(folder, &settings)
            }
            [plan] if !arm.is_experiment => trainer.start(plan, Some(folder), None),
            _ if experiment::is_at(folder) => {
                self.check_kept(arm, plans, folder)?;
                experiment::stages(trainer, folder, plans, None)
            }
            _ => experiment::start(trainer, folder, plans),
        }
    }

    /// Refuses the runs in `folder` if they were trained with other settings.
    fn check_kept(&self, arm: &PlannedArm, plans: &[RunPlan], folder: &Path) -> Result<(), run::Error> {
        let configs = match arm.is_experiment {
            true => experiment::plans(folder)?
                .into_iter()
                .map(|plan| plan.config)
                .collect(),
            false => vec![RunFolder::open(folder)?.1],
        };
        let differences = arm.conflicts(self.base, plans, &configs);
        match differences.is_empty() {
            true => Ok(()),
            false => Err(run::Error::Mismatch {
                path: folder.to_path_buf(),
                differences,
            }),
        }
    }

    /// Says that the study was interrupted, and how it is continued.
    pub(in crate::command) fn interrupted(&self) -> Exit {
        self.end_progress();
        let shown = self.folder.display();
        Output::Stderr.print_line(&format!(
            "interrupted; run the same command again to continue in {shown}"
        ));
        Exit::Interrupted
    }

    /// Removes the progress bar.
    pub(in crate::command) fn end_progress(&self) {
        if let Some(runs) = &self.trainer.runs {
            runs.finish();
        }
    }
}

/// Refuses arguments that `command` sets itself.
fn check_shared(train: &Train, command: &str) -> Result<(), UsageError> {
    let objective = &train.setup.objective;
    let refused = [
        (
            train.setup.images.balance.is_some(),
            "--balance",
            "name the methods with --arms",
        ),
        (
            objective.class_weights.is_some(),
            "--class-weights",
            "use the arm `weighted` of --arms",
        ),
        (
            objective.logit_adjust.is_some(),
            "--logit-adjust",
            "use the arm `adjusted` of --arms",
        ),
        (
            train.experiment.is_some() || train.stage.is_some(),
            "--experiment and --stage",
            "name the file as an arm with --arms FILE.toml, or start from --load or --weights",
        ),
        (
            train.resume.is_some(),
            "--resume",
            "run the command again with the same --out to continue",
        ),
        (
            train.save.is_some(),
            "--save",
            "each run's checkpoint is in its folder",
        ),
    ];
    match refused.iter().find(|(is_given, ..)| *is_given) {
        None => Ok(()),
        Some((_, flag, instead)) => Err(UsageError(format!(
            "{flag} cannot be used with {command}: {instead}"
        ))),
    }
}

/// The classes with the fewest training images.
fn rarest_classes(description: &DatasetDescription, split: Split) -> Result<RarestClasses, UsageError> {
    if description.images(split) == 0 {
        return Err(UsageError(format!(
            "the dataset has no {split} images to evaluate on"
        )));
    }
    let classes = description.classes.iter();
    let trained = classes.map(|class| (class.name.as_str(), class.images(Split::Train.name()).into()));
    RarestClasses::of(trained).ok_or_else(|| UsageError("the dataset has no images to train on".to_owned()))
}
