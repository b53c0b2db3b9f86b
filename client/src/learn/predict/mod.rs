//! Classification of image files, preprocessed by the server's code for validation images.
//!
//! # Layout
//!
//! - [`Predictor`]: a model with its preprocessing, run batch by batch.
//! - [`source`]: files, folders and streams of images.
//! - [`prepare`](fn@prepare): from the bytes of a file to a tensor.
//! - [`mod@print`]: results as a table, CSV or JSON.

mod prepare;
pub mod print;
pub mod source;

use std::{path::Path, thread};

use equibatch_engine::{
    augment::{self, Draw, Zoom},
    random::{Purpose, generator},
};
pub use prepare::{PrepareError, prepare};

use self::source::ImageSource;
use super::{
    adjustments::{Adjustments, AppliedPrior, ChosenThreshold, FittedTemperature},
    card::{self, ModelCard, Preprocessing},
    evaluate::ImageModel as _,
    metrics::{Threshold, argmax, softmax},
    prior::{self, Prior},
    tta::{self, Symmetric, Views},
};
use equibatch_training::runtime::{self, Classifier, ImageInput, Runtime, SessionOptions};

/// Why a model cannot be used. Errors of single images are [`PrepareError`]s.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model's metadata is insufficient.
    #[error(transparent)]
    Card(#[from] card::Error),
    /// The model cannot be run.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// The model's augmentation recipe cannot be parsed.
    #[error("cannot parse the model's augmentation recipe")]
    Recipe(#[from] augment::Error),
}

/// Predicted probabilities of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Predicted label: of the most probable class, or by the model's threshold.
    pub class: usize,
    /// Probability of every class, in label order.
    pub probabilities: Vec<f64>,
}

impl Prediction {
    /// The predicted class and the most probable others, `count` in all, with their probabilities, in descending order; of equals, the first comes
    /// first.
    #[must_use]
    pub fn top(&self, count: usize) -> Vec<(usize, f64)> {
        let mut order: Vec<(usize, f64)> = self.probabilities.iter().copied().enumerate().collect();
        order.sort_by(|left, right| right.1.total_cmp(&left.1));
        order.sort_by_key(|&(class, _)| class != self.class);
        order.truncate(count);
        order
    }
}

/// A model with its preprocessing.
#[derive(Debug)]
pub struct Predictor {
    classifier: Classifier,
    card: ModelCard,
    /// The views of each image, the unaugmented one first.
    draws: Vec<Draw>,
    /// Number of symmetries of each view that are averaged.
    symmetries: usize,
}

impl Predictor {
    /// Opens a model file.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] if it cannot be read or run, [`Error::Card`] if its metadata is insufficient.
    pub fn open(runtime: &Runtime, path: &Path, options: &SessionOptions) -> Result<Self, Error> {
        let classifier = Classifier::open(runtime, path, options)?;
        let card = ModelCard::read(&path.display().to_string(), &classifier)?;
        let draws = vec![Draw::unaugmented(card.preprocessing.pad)];
        Ok(Self {
            classifier,
            card,
            draws,
            symmetries: 1,
        })
    }

    /// Uses the centre of each image: this share of its short side, within [`CROP_SHARES`](super::card::CROP_SHARES). The other views of test-time
    /// augmentation do not change.
    pub fn crop(&mut self, share: f64) {
        self.draws[0].zoom = (share < 1.0).then_some(Zoom {
            scale: 1.0 / share,
            row: 0.5,
            column: 0.5,
        });
    }

    /// Enables test-time augmentation over `views`, by default those [that suit](Views::suiting) the model's recipe. The random parameters
    /// of a crop are the same for every image.
    ///
    /// # Errors
    ///
    /// [`Error::Recipe`] if the recipe in the model's metadata cannot be parsed.
    pub fn with_views(mut self, views: Option<Views>) -> Result<Self, Error> {
        let views = views.map_or_else(|| Views::suiting(&self.card.recipe), Ok)?;
        self.symmetries = views.symmetries();
        self.draws.truncate(1);
        if views != Views::Crops {
            return Ok(self);
        }
        for (view, recipe) in (0..).zip(tta::crops(&self.card.recipe)?) {
            let mut random = generator(view, Purpose::AUGMENT, &[0, 0]);
            self.draws.push(recipe.draw(&mut random));
        }
        Ok(self)
    }

    /// Adjusts the model to other class frequencies: see [`Prior::offsets`].
    ///
    /// # Errors
    ///
    /// Those of [`Prior::offsets`].
    pub fn adjust(&mut self, prior: &Prior, tau: f64) -> Result<(), prior::Error> {
        let (offsets, assumed) = prior.offsets(&self.card.classes, &self.card.class_shares, tau)?;
        self.classifier.add_offsets(offsets);
        self.card.class_shares.assumed = assumed;
        self.adjusted(&Adjustments {
            prior: Some(AppliedPrior::of(prior, tau)),
            ..Adjustments::default()
        });
        Ok(())
    }

    /// Divides the logits, after [`Predictor::adjust`], by a temperature.
    pub fn set_temperature(&mut self, temperature: FittedTemperature) {
        self.classifier.scale((1.0 / temperature.value) as f32);
        self.adjusted(&Adjustments {
            temperature: Some(temperature),
            ..Adjustments::default()
        });
    }

    /// Predicts by a threshold.
    pub fn set_threshold(&mut self, threshold: ChosenThreshold) {
        self.adjusted(&Adjustments {
            threshold: Some(threshold),
            ..Adjustments::default()
        });
    }

    fn adjusted(&mut self, later: &Adjustments) {
        self.card.adjustments = self.card.adjustments.then(later);
    }

    /// The threshold by which it predicts, if it has one.
    #[must_use]
    pub fn threshold(&self) -> Option<Threshold> {
        self.card
            .adjustments
            .threshold
            .as_ref()?
            .threshold(&self.card.classes)
    }

    /// Class names and preprocessing.
    #[must_use]
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// The model.
    pub fn classifier(&mut self) -> &mut Classifier {
        &mut self.classifier
    }

    /// Classifies images in order, in batches of `batch_size`, while the next batch is being prepared. Calls `each` with the result of
    /// every image.
    ///
    /// # Determinism
    ///
    /// A result depends on the other images of its batch by rounding only.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] if the model fails, and any error that `each` returns.
    pub fn predict<E: From<Error>>(
        &mut self,
        sources: &[ImageSource],
        batch_size: usize,
        mut each: impl FnMut(&ImageSource, Result<Prediction, PrepareError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (preprocessing, input) = (self.card.preprocessing.clone(), self.classifier.input());
        let mut batches = sources.chunks(batch_size.max(1));
        let draws = self.draws.clone();
        let prepare = |batch: &[ImageSource]| prepare_all(batch, &preprocessing, input, &draws);
        let mut next = batches.next().map(|batch| (batch, prepare(batch)));
        while let Some((batch, tensors)) = next {
            let following = batches.next();
            let (results, prepared) = thread::scope(|scope| {
                let preparing = following.map(|batch| (batch, scope.spawn(|| prepare(batch))));
                let results = self.run(tensors);
                let finished = preparing.map(|(batch, thread)| {
                    (batch, thread.join().expect("preparing an image returns errors"))
                });
                (results, finished)
            });
            for (source, result) in batch.iter().zip(results?) {
                each(source, result)?;
            }
            next = prepared;
        }
        Ok(())
    }

    /// Runs the model once, on the images that could be prepared.
    fn run(
        &mut self,
        tensors: Vec<Result<Vec<u8>, PrepareError>>,
    ) -> Result<Vec<Result<Prediction, PrepareError>>, Error> {
        let usable: Vec<&[u8]> = tensors
            .iter()
            .filter_map(|tensor| tensor.as_deref().ok())
            .collect();
        let logits = if usable.is_empty() {
            vec![]
        } else {
            let size = self.card.preprocessing.image_size as usize;
            let count = usable.len() * self.draws.len();
            Symmetric::new(&mut self.classifier, self.symmetries).logits(&usable.concat(), count, size)?
        };
        let classes = self.card.classes.len().max(1);
        let threshold = self.threshold();
        let mut rows = logits.chunks(classes * self.draws.len());
        let results = tensors.into_iter().map(|tensor| {
            tensor.map(|_| {
                let rows = rows.next().expect("the model gives a row for every image");
                let row = tta::combined(rows, classes);
                Prediction {
                    class: threshold.map_or_else(|| argmax(&row), |threshold| threshold.predicted(&row)),
                    probabilities: softmax(&row),
                }
            })
        });
        Ok(results.collect())
    }
}

/// The tensors of a batch, on all cores.
fn prepare_all(
    batch: &[ImageSource],
    preprocessing: &Preprocessing,
    input: ImageInput,
    draws: &[Draw],
) -> Vec<Result<Vec<u8>, PrepareError>> {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = batch.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let prepare = |part: &[ImageSource]| -> Vec<_> {
            part.iter()
                .map(|source| prepare(source, preprocessing, input, draws))
                .collect()
        };
        let parts: Vec<_> = batch
            .chunks(share)
            .map(|part| scope.spawn(move || prepare(part)))
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().expect("preparing an image returns errors"))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_classes_come_first() {
        let prediction = Prediction {
            class: 2,
            probabilities: vec![0.2, 0.1, 0.5, 0.2],
        };
        assert_eq!(prediction.top(3), [(2, 0.5), (0, 0.2), (3, 0.2)]);
        assert_eq!(prediction.top(9).len(), 4);
        let by_threshold = Prediction {
            class: 1,
            ..prediction
        };
        assert_eq!(
            by_threshold.top(2),
            [(1, 0.1), (2, 0.5)],
            "the predicted class comes first"
        );
    }
}
