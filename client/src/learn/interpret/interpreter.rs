//! Evaluates a run's model, and saves the images of largest loss.

use std::{fs, panic::resume_unwind, thread};

use equibatch_cli::files::{WriteError, cannot_write};

use super::{Interpretation, TopLoss, TopLossRecord, TopLosses, overlay};
use crate::learn::{
    evaluate::{self, EvalSpec, ImageModel, evaluate_each},
    learner,
    metrics::Threshold,
    network,
    pixels::picture,
    predict::{self, Predictor},
    predictions::{CURVES, Predictions},
    run::{RunConfig, RunFolder},
};
use equibatch_stream::{Servers, Split};
use equibatch_training::{
    program,
    runtime::{self, GradCam, Heatmap, Runtime, SessionOptions},
};

/// Most threads that draw images.
const DRAWN_AT_ONCE: usize = 16;

/// Why a run cannot be interpreted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model cannot be opened.
    #[error(transparent)]
    Model(#[from] predict::Error),
    /// The model cannot be evaluated.
    #[error(transparent)]
    Evaluate(#[from] evaluate::Error),
    /// The model in training cannot be used.
    #[error(transparent)]
    Learner(#[from] learner::Error),
    /// The network cannot be read.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// The Grad-CAM program cannot be compiled.
    #[error("cannot compile the Grad-CAM program")]
    Program(#[from] program::Error),
    /// The model or the Grad-CAM program cannot be run.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// A file of the report cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A model's predictions of a split, and the images of largest loss.
#[derive(Clone, Debug)]
pub struct EvaluatedSplit {
    /// The logits of every image.
    pub predictions: Predictions,
    /// The images of largest loss.
    pub top_losses: TopLosses,
}

impl EvaluatedSplit {
    /// Evaluates `model`, with its name in errors, on every image of a split, and keeps the `most` images of largest loss.
    ///
    /// # Errors
    ///
    /// Those of [`evaluate_each`].
    pub fn of(
        servers: &Servers,
        model: (&str, &mut impl ImageModel),
        spec: &EvalSpec<'_>,
        most: usize,
    ) -> Result<Self, evaluate::Error> {
        let mut top_losses = TopLosses::new(most);
        let evaluation = evaluate_each(servers, model, spec, &mut |sample| top_losses.record(sample))?;
        Ok(Self {
            predictions: evaluation.predictions,
            top_losses,
        })
    }
}

/// Evaluates a run's model, and saves the images of largest loss with their Grad-CAM maps.
#[derive(Debug)]
pub struct RunInterpreter<'a> {
    /// Servers of the images.
    pub servers: &'a Servers,
    /// The ONNX Runtime library.
    pub runtime: &'a Runtime,
    /// Session options of the model.
    pub options: &'a SessionOptions,
    /// Split to evaluate.
    pub split: Split,
    /// Most images to save.
    pub most: usize,
}

impl RunInterpreter<'_> {
    /// Evaluates the model of `run` on every image of the split, saves the images of largest loss with their Grad-CAM maps in the run's
    /// folder, and returns the result. If Grad-CAM cannot be computed, images are saved without maps.
    ///
    /// # Errors
    ///
    /// [`Error`] if the model or the server cannot be used, or a file cannot be written.
    pub fn interpret(&self, run: &RunFolder, config: &RunConfig) -> Result<Interpretation, Error> {
        let mut predictor = Predictor::open(self.runtime, &run.model_path(), self.options)?;
        let card = predictor.card().clone();
        let spec = EvalSpec {
            dataset: &config.dataset,
            split: self.split,
            batch_size: config.batch_size,
            preprocessing: &card.preprocessing,
            classes: &card.classes,
        };
        let threshold = predictor.threshold();
        let model = ("the model", predictor.classifier());
        let evaluated = EvaluatedSplit::of(self.servers, model, &spec, self.most)?;
        let heatmaps = |images: &[TopLoss]| self.heatmaps(run, config, images);
        self.interpret_evaluated((run, config), (evaluated, threshold), heatmaps)
    }

    /// [`RunInterpreter::interpret`] of a model that has been evaluated, with the threshold by which it predicts, if it has one. `heatmaps` computes
    /// the Grad-CAM map of each image for its class.
    ///
    /// # Errors
    ///
    /// Those of [`RunInterpreter::interpret`].
    pub fn interpret_evaluated(
        &self,
        (run, config): (&RunFolder, &RunConfig),
        (evaluated, threshold): (EvaluatedSplit, Option<Threshold>),
        heatmaps: impl FnOnce(&[TopLoss]) -> Result<Vec<Heatmap>, Error>,
    ) -> Result<Interpretation, Error> {
        let predictions = evaluated.predictions;
        let metrics = predictions.metrics_at(&config.classes, threshold);
        let kept = evaluated.top_losses.into_sorted();
        let samples: Vec<u32> = kept.iter().map(|kept| kept.sample).collect();
        // Without the file names, images are identified by sample number.
        let paths = self.servers.paths(&config.dataset, &samples).unwrap_or_default();

        let folder = Interpretation::folder(run.path());
        fs::create_dir_all(&folder).map_err(cannot_write(&folder))?;
        // Grad-CAM is optional.
        let (heatmaps, without_attention) = match heatmaps(&kept) {
            Ok(heatmaps) => (heatmaps, None),
            Err(error) => {
                let reason = format!("{:#}", anyhow::Error::from(error));
                tracing::warn!(run = %run.path().display(), reason, "the report has no Grad-CAM maps");
                (vec![], Some(reason))
            }
        };
        // Several at once, because each waits for the disk.
        let share = kept.len().div_ceil(DRAWN_AT_ONCE).max(1);
        let mut records = thread::scope(|scope| {
            let shares = kept.chunks(share).enumerate().map(|(number, images)| {
                let heatmaps = &heatmaps;
                scope.spawn(move || {
                    let places = (number * share..).zip(images);
                    let drawn =
                        places.map(|(place, kept)| draw(run, config, (place, kept), heatmaps.get(place)));
                    drawn.collect::<Result<Vec<_>, _>>()
                })
            });
            let shares: Vec<_> = shares.collect();
            let joined = shares
                .into_iter()
                .map(|share| share.join().unwrap_or_else(|panic| resume_unwind(panic)));
            joined.collect::<Result<Vec<_>, _>>()
        })?
        .concat();
        for (record, path) in records.iter_mut().zip(paths) {
            record.path = Some(path);
        }
        let interpretation = Interpretation {
            split: self.split,
            curves: predictions.curves(&metrics, CURVES),
            metrics,
            top_losses: records,
            without_attention,
        };
        interpretation.write(run.path())?;
        Ok(interpretation)
    }

    /// Grad-CAM maps of the model of `run`: of each image for its class.
    ///
    /// # Errors
    ///
    /// [`Error`] if the model cannot be read or run, or has no global pooling layer.
    pub fn heatmaps(
        &self,
        run: &RunFolder,
        config: &RunConfig,
        images: &[TopLoss],
    ) -> Result<Vec<Heatmap>, Error> {
        let network = network::read(&run.model_path())?;
        let program = program::grad_cam(&network, config.classes.len(), config.image_size as usize)?;
        let mut grad_cam = GradCam::new(self.runtime, &program, self.options)?;
        let heatmap = |image: &TopLoss| grad_cam.of(&image.tensor, i64::try_from(image.label).unwrap_or(0));
        Ok(images.iter().map(heatmap).collect::<Result<_, _>>()?)
    }
}

/// Saves one image and its Grad-CAM overlay.
fn draw(
    run: &RunFolder,
    config: &RunConfig,
    (place, kept): (usize, &TopLoss),
    heatmap: Option<&Heatmap>,
) -> Result<TopLossRecord, Error> {
    let image = picture(&kept.tensor, config.image_size, config.mean, config.std);
    let [plain, grad_cam] = ["", "-attention"].map(|kind| format!("worst-{:02}{kind}.png", place + 1));
    Interpretation::write_picture(run.path(), &plain, &image)?;
    let grad_cam = match heatmap {
        None => None,
        Some(heatmap) => {
            Interpretation::write_picture(run.path(), &grad_cam, &overlay(&image, heatmap))?;
            Some(grad_cam)
        }
    };
    let class = |label: usize| config.classes.get(label).cloned().unwrap_or_default();
    Ok(TopLossRecord {
        sample: kept.sample,
        path: None,
        actual: class(kept.label),
        predicted: class(kept.predicted),
        loss: kept.loss,
        probability: kept.probabilities[kept.label],
        picture: plain,
        attention: grad_cam,
    })
}
