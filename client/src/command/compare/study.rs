//! The runs of a comparison: trained, evaluated, and stored in one folder.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use equibatch_cli::files;

use super::{
    arms::{PlannedArm, equalise_steps},
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
    config::{UsageError, session_options},
    learn::{
        checkpoint::CHECKPOINT,
        compare::{Arm, ArmPredictions, Holdout, HoldoutImage, TopPrediction},
        evaluate::{EvalSpec, OnSample, evaluate_each},
        metrics::{Metric, RarestClasses},
        pixels::picture,
        predict::Predictor,
        predictions::Predictions,
        prior::Prior,
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

    /// The file of the predictions of the model of `run`.
    fn outcomes(&self, run: &Path) -> PathBuf {
        run.join(format!("outcomes-{}.safetensors", self.split))
    }

    /// Whether the arm needs no training in `round`.
    pub(in crate::command) fn is_finished(&self, arm: &PlannedArm, round: Round) -> bool {
        let [_, run] = self.folders(arm, round);
        self.outcomes(&run).exists()
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
        let path = self.outcomes(&run);
        let (mut predictions, is_kept) = match fs::read(&path) {
            Ok(bytes) => {
                self.check_kept(arm, &plans, &folder)?;
                let (kept, config) = RunFolder::open(&run)?;
                let servers = &self.trainer.context.servers;
                check_images(servers, &run, &kept.progress(&config), &config.dataset)?;
                (Predictions::from_bytes(&bytes, &path)?, true)
            }
            Err(_) => {
                self.trainer.output.print_line("");
                if self.train(arm, &plans, &folder)? != Exit::Done {
                    return Ok(None);
                }
                let mut predictions = Predictions::default();
                if round.validation != Validation::Absent {
                    self.predict(&run, (self.split, None), &mut |seen| {
                        predictions.push(seen.sample, seen.label as u32, seen.logits);
                    })?;
                }
                files::write(&path, &predictions.to_bytes())?;
                (predictions, false)
            }
        };
        predictions.add_offsets(&self.offsets(&arm.arm, &run)?);
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

    /// `balanced accuracy 63.0 %, recall of birds 2 of 4`.
    fn summary(&self, predictions: &Predictions) -> String {
        let metrics = predictions.metrics(&self.classes());
        format!(
            "balanced accuracy {}, recall of {} {}",
            Metric::BalancedAccuracy.show(Some(&metrics)),
            self.rarest.names,
            self.rarest.recall(&metrics)
        )
    }

    /// What is added to the logits of the model of `run`, by class; empty if the arm does not adjust it.
    fn offsets(&self, arm: &Arm, run: &Path) -> Result<Vec<f32>> {
        let Some(prior) = &arm.prior else {
            return Ok(vec![]);
        };
        let (_, config) = RunFolder::open(run)?;
        Ok(prior.offsets(&config.classes, &config.class_shares, 1.0)?.0)
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

    /// Runs the model of `run`, adjusted to a prior if one is given, on a split of its dataset; `each` receives every image with its logits.
    fn predict(&self, run: &Path, (split, prior): (Split, Option<&Prior>), each: OnSample<'_>) -> Result<()> {
        let (run, config) = RunFolder::open(run)?;
        let options = session_options(&self.base.execution);
        let mut predictor = Predictor::open(&self.trainer.context.runtime, &run.model_path(), &options)?;
        if let Some(prior) = prior {
            predictor.adjust(prior, 1.0)?;
        }
        let card = predictor.card().clone();
        let subject = EvalSpec {
            dataset: &config.dataset,
            split,
            batch_size: config.batch_size,
            preprocessing: &card.preprocessing,
            classes: &card.classes,
        };
        let model = ("the model", predictor.classifier());
        evaluate_each(&self.trainer.context.servers, model, &subject, each)?;
        Ok(())
    }

    /// Predictions of the first model of every arm on the test split, which was used neither for training nor for the comparison.
    pub(in crate::command) fn holdout<'b>(
        &self,
        arms: impl IntoIterator<Item = (&'b Arm, &'b Outcome)>,
    ) -> Result<Holdout> {
        let mut holdout = Holdout::default();
        for (arm, Outcome { round, run, .. }) in arms {
            let (_, config) = RunFolder::open(run)?;
            let (mut samples, mut predictions) = (vec![], vec![]);
            let is_first = holdout.arms.is_empty();
            self.predict(run, (Split::Test, arm.prior.as_ref()), &mut |seen| {
                predictions.push(TopPrediction::of(seen.logits));
                if is_first {
                    samples.push(seen.sample);
                    holdout.images.push(HoldoutImage {
                        path: String::new(),
                        label: seen.label,
                        picture: picture(seen.tensor, config.image_size, config.mean, config.std),
                    });
                }
            })?;
            if is_first {
                let paths = self.trainer.context.servers.paths(&config.dataset, &samples)?;
                for (image, path) in holdout.images.iter_mut().zip(paths) {
                    image.path = path;
                }
            }
            holdout.arms.push(ArmPredictions {
                arm: arm.name.clone(),
                seed: round.seed,
                predictions,
            });
        }
        Ok(holdout)
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
