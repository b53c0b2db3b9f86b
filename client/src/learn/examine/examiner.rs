//! Judges a run's model once more, and keeps what it was most wrong about.

use std::{fs, io, path::PathBuf};

use super::{Examination, Failure, Kept, Worst, overlay};
use crate::learn::{
    evaluate::{self, Subject, evaluate_each},
    network,
    pixels::picture,
    predict::{self, Predictor},
    run::{RunConfig, RunFolder},
};
use equibatch_stream::{Servers, Split};
use equibatch_training::{
    program,
    runtime::{self, GradCam, Runtime, SessionOptions},
};

/// Why a run was not examined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its model cannot be used.
    #[error(transparent)]
    Model(#[from] predict::Error),
    /// Its model cannot be judged.
    #[error(transparent)]
    Evaluate(#[from] evaluate::Error),
    /// Its network cannot be read.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// The attention map cannot be compiled.
    #[error("cannot compile the attention map")]
    Program(#[from] program::Error),
    /// The attention map cannot be run.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// A file of the report cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl From<(PathBuf, io::Error)> for Error {
    fn from((path, source): (PathBuf, io::Error)) -> Self {
        Self::Write { path, source }
    }
}

/// Judges a run's model once more.
#[derive(Debug)]
pub struct Examiner<'a> {
    /// Where the images come from.
    pub servers: &'a Servers,
    /// What the model runs on.
    pub runtime: &'a Runtime,
    /// How it runs.
    pub options: &'a SessionOptions,
    /// Which images.
    pub split: Split,
    /// How many of them are kept, at most.
    pub most: usize,
}

impl Examiner<'_> {
    /// Judges the model of `run` on every image of the split, keeps the images of largest loss with their attention maps in the run's
    /// folder, and says what came of it.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn examine(&self, run: &RunFolder, config: &RunConfig) -> Result<Examination, Error> {
        let mut predictor = Predictor::open(self.runtime, &run.model_path(), self.options)?;
        let card = predictor.card().clone();
        let subject = Subject {
            dataset: &config.dataset,
            split: self.split,
            batch_size: config.batch_size,
            preprocessing: &card.preprocessing,
            classes: &card.classes,
        };
        let mut worst = Worst::new(self.most);
        let model = ("the model", predictor.classifier());
        let judgement = evaluate_each(self.servers, model, &subject, &mut |seen| worst.see(seen))?;
        let kept = worst.into_kept();
        let samples: Vec<u32> = kept.iter().map(|kept| kept.sample).collect();
        // A name less is no reason to do without the pictures.
        let paths = self.servers.paths(&config.dataset, &samples).unwrap_or_default();

        let folder = Examination::folder(run.path());
        fs::create_dir_all(&folder).map_err(|source| Error::Write { path: folder, source })?;
        // Images without attention maps say more than none.
        let (mut attention, without_attention) = match self.attention(run, config) {
            Ok(attention) => (Some(attention), None),
            Err(error) => {
                let reason = format!("{:#}", anyhow::Error::from(error));
                tracing::warn!(run = %run.path().display(), reason, "the report has no attention maps");
                (None, Some(reason))
            }
        };
        let mut failures = vec![];
        for (place, kept) in kept.iter().enumerate() {
            let failure = draw(run, config, (place, kept), attention.as_mut())?;
            let path = paths.get(place).cloned();
            failures.push(Failure { path, ..failure });
        }
        let examination = Examination {
            split: self.split,
            figures: judgement.figures,
            worst: failures,
            without_attention,
        };
        examination.write(run.path())?;
        Ok(examination)
    }

    fn attention(&self, run: &RunFolder, config: &RunConfig) -> Result<GradCam, Error> {
        let network = network::read(&run.model_path())?;
        let program = program::grad_cam(&network, config.classes.len(), config.image_size as usize)?;
        Ok(GradCam::new(self.runtime, &program, self.options)?)
    }
}

/// Writes the pictures of one image.
fn draw(
    run: &RunFolder,
    config: &RunConfig,
    (place, kept): (usize, &Kept),
    attention: Option<&mut GradCam>,
) -> Result<Failure, Error> {
    let image = picture(&kept.tensor, config.image_size, config.mean, config.std);
    let [plain, seen] = ["", "-attention"].map(|kind| format!("worst-{:02}{kind}.png", place + 1));
    Examination::write_picture(run.path(), &plain, &image)?;
    let seen = match attention {
        None => None,
        Some(attention) => {
            let map = attention.of(&kept.tensor, i64::try_from(kept.label).unwrap_or(0))?;
            Examination::write_picture(run.path(), &seen, &overlay(&image, &map))?;
            Some(seen)
        }
    };
    let class = |label: usize| config.classes.get(label).cloned().unwrap_or_default();
    Ok(Failure {
        sample: kept.sample,
        path: None,
        actual: class(kept.label),
        predicted: class(kept.predicted),
        loss: kept.loss,
        probability: kept.probabilities[kept.label],
        picture: plain,
        attention: seen,
    })
}
