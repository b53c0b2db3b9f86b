//! The models of a comparison on its images, and their stored predictions.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use equibatch_cli::files;

use super::{
    round::{Outcome, Round, Validation},
    study::Study,
};
use crate::{
    config::session_options,
    learn::{
        compare::{Arm, ArmPredictions, Holdout, HoldoutImage, TopPrediction},
        evaluate::{EvalSpec, OnSample, evaluate_each},
        metrics::Metric,
        pixels::picture,
        predict::Predictor,
        predictions::Predictions,
        run::RunFolder,
        tta,
    },
};
use equibatch_stream::Split;

/// Beginning of the names of the files of predictions.
const OUTCOMES: &str = "outcomes-";

/// Whether the model of `run` has been evaluated, for any arm.
pub(super) fn is_evaluated(run: &Path) -> bool {
    let mut files = fs::read_dir(run).into_iter().flatten().flatten();
    files.any(|file| file.file_name().to_string_lossy().starts_with(OUTCOMES))
}

impl Study<'_> {
    /// The predictions of the model of `run` for an arm, which are stored; none if the round has no images to evaluate on.
    pub(super) fn evaluate(&self, arm: &Arm, round: Round, run: &Path) -> Result<Predictions> {
        let stored = stored(arm);
        let path = self.outcomes(run, &stored);
        let mut predictions = match fs::read(&path) {
            Ok(bytes) => Predictions::from_bytes(&bytes, &path)?,
            Err(_) => {
                let predictions = match round.validation {
                    Validation::Absent => Predictions::default(),
                    Validation::Split | Validation::Fold(_) => {
                        self.predict(run, self.split, &stored, &mut |_| {})?
                    }
                };
                files::write(&path, &predictions.to_bytes())?;
                predictions
            }
        };
        if let Some(prior) = arm.prior.as_ref().filter(|_| stored.prior.is_none()) {
            let (_, config) = RunFolder::open(run)?;
            let (offsets, _) = prior.offsets(&config.classes, &config.class_shares, 1.0)?;
            predictions.add_offsets(&offsets);
        }
        Ok(predictions)
    }

    /// The file of the predictions of the model of `run` for an arm as [`stored`].
    fn outcomes(&self, run: &Path, stored: &Arm) -> PathBuf {
        let tta = if stored.is_tta { "-tta" } else { "" };
        let prior = if stored.prior.is_some() { "-prior" } else { "" };
        run.join(format!("{OUTCOMES}{}{tta}{prior}.safetensors", self.split))
    }

    /// `balanced accuracy 63.0 %, recall of birds 2 of 4`.
    pub(super) fn summary(&self, predictions: &Predictions) -> String {
        let metrics = predictions.metrics(&self.classes());
        format!(
            "balanced accuracy {}, recall of {} {}",
            Metric::BalancedAccuracy.show(Some(&metrics)),
            self.rarest.names,
            self.rarest.recall(&metrics)
        )
    }

    /// The predictions of the model of `run` on a split of its dataset, as its arm says; `each` receives every image.
    fn predict(&self, run: &Path, split: Split, arm: &Arm, each: OnSample<'_>) -> Result<Predictions> {
        let (run, config) = RunFolder::open(run)?;
        let options = session_options(&self.base.execution);
        let mut predictor = Predictor::open(&self.trainer.context.runtime, &run.model_path(), &options)?;
        if let Some(prior) = &arm.prior {
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
        let servers = &self.trainer.context.servers;
        let model = ("the model", predictor.classifier());
        let evaluation = match arm.is_tta {
            true => tta::evaluate(servers, model, &subject, (None, &card.recipe), each)?,
            false => evaluate_each(servers, model, &subject, each)?,
        };
        Ok(evaluation.predictions)
    }

    /// Predictions of the first model of every arm on the test split, which was used neither for training nor for the comparison.
    pub(in crate::command) fn holdout<'b>(
        &self,
        arms: impl IntoIterator<Item = (&'b Arm, &'b Outcome)>,
    ) -> Result<Holdout> {
        let mut holdout = Holdout::default();
        for (arm, Outcome { round, run, .. }) in arms {
            let (_, config) = RunFolder::open(run)?;
            let is_first = holdout.arms.is_empty();
            let predictions = self.predict(run, Split::Test, arm, &mut |seen| {
                if is_first {
                    holdout.images.push(HoldoutImage {
                        path: String::new(),
                        label: seen.label,
                        picture: picture(seen.tensor, config.image_size, config.mean, config.std),
                    });
                }
            })?;
            if is_first {
                let servers = &self.trainer.context.servers;
                let paths = servers.paths(&config.dataset, &predictions.samples)?;
                for (image, path) in holdout.images.iter_mut().zip(paths) {
                    image.path = path;
                }
            }
            holdout.arms.push(ArmPredictions {
                arm: arm.name.clone(),
                seed: round.seed,
                predictions: predictions.rows().map(TopPrediction::of).collect(),
            });
        }
        Ok(holdout)
    }
}

/// The arm as its predictions are stored: without a prior, which can be added to logits later, but not to averages over views of an image.
fn stored(arm: &Arm) -> Arm {
    Arm {
        prior: arm.prior.clone().filter(|_| arm.is_tta),
        ..arm.clone()
    }
}
