//! Evaluation of a model on a split.

use equibatch_engine::augment;

use super::card::Preprocessing;
use super::metrics::{MetricAccumulator, Metrics};
use super::predictions::Predictions;
use equibatch_stream as stream;
use equibatch_stream::{BatchDtype, BatchRequest, BatchStream, Servers, Split};
use equibatch_training::{
    program::ElementType,
    runtime::{self, Classifier, ImageInput},
};

/// Computes logits of images.
pub trait ImageModel {
    /// Element type and layout of its images.
    fn input(&self) -> ImageInput;

    /// Computes logits, one row per image, as [`Classifier::logits`] does.
    ///
    /// # Errors
    ///
    /// Those of [`Classifier::logits`].
    fn logits(&mut self, tensor: &[u8], count: usize, size: usize) -> Result<Vec<f32>, runtime::Error>;
}

impl ImageModel for Classifier {
    fn input(&self) -> ImageInput {
        self.input()
    }

    fn logits(&mut self, tensor: &[u8], count: usize, size: usize) -> Result<Vec<f32>, runtime::Error> {
        self.logits(tensor, count, size)
    }
}

/// Why a model cannot be evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The dataset does not match the model.
    #[error("cannot evaluate {model} on {dataset}: {reason}")]
    Mismatch {
        /// The model, as named in the error.
        model: String,
        /// The dataset.
        dataset: String,
        /// What differs.
        reason: String,
    },
    /// The model's augmentation recipe cannot be parsed.
    #[error("cannot parse the augmentation recipe of {model}")]
    Recipe {
        /// The model, as named in the error.
        model: String,
        /// What is wrong with it.
        #[source]
        source: augment::Error,
    },
    /// The server.
    #[error(transparent)]
    Stream(#[from] stream::Error),
    /// The model.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

/// What to evaluate a model on.
#[derive(Clone, Debug)]
pub struct EvalSpec<'a> {
    /// Name of the dataset; empty: the server's only dataset.
    pub dataset: &'a str,
    /// The split.
    pub split: Split,
    /// Images per batch; affects speed only.
    pub batch_size: u32,
    /// The model's preprocessing.
    pub preprocessing: &'a Preprocessing,
    /// Class names of the model, in label order.
    pub classes: &'a [String],
}

/// Result of an evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The logits of every image; with test-time augmentation, log probabilities.
    pub predictions: Predictions,
    /// Number of images that replaced undecodable files.
    pub replaced: usize,
}

/// One test-time view of the images.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// Augmentation recipe. `None`: that of the preprocessing, without augmentation.
    pub(super) recipe: Option<String>,
    /// Seed of the augmentation.
    pub(super) seed: u64,
}

/// Evaluates `classifier`, called `model` in errors, once on every image of a split, without augmentation.
///
/// # Errors
///
/// [`Error::Mismatch`] if classes or preprocessing differ; [`Error::Stream`] and [`Error::Runtime`] if server or model fail.
pub fn evaluate(
    servers: &Servers,
    model: (&str, &mut Classifier),
    spec: &EvalSpec<'_>,
) -> Result<Evaluation, Error> {
    evaluate_each(servers, model, spec, &mut |_| {})
}

/// The metrics of [`evaluate`] alone, without average precision: in memory that does not grow with the images of more than two classes.
///
/// # Errors
///
/// Those of [`evaluate`].
pub fn evaluate_metrics(
    servers: &Servers,
    model: (&str, &mut impl ImageModel),
    spec: &EvalSpec<'_>,
) -> Result<Metrics, Error> {
    let mut accumulator = MetricAccumulator::new(spec.classes.len());
    run_split(servers, model, spec, &View::default(), &mut |sample| {
        accumulator.record(sample.logits, sample.label);
    })?;
    Ok(accumulator.metrics(spec.classes))
}

/// An evaluated image.
#[derive(Clone, Copy, Debug)]
pub struct EvalSample<'a> {
    /// Index into the dataset's samples.
    pub sample: u32,
    /// Label of its class.
    pub label: usize,
    /// The model's logits, `[K]`.
    pub logits: &'a [f32],
    /// The input tensor, in the model's element type and layout.
    pub tensor: &'a [u8],
}

/// Callback for each image.
pub type OnSample<'a> = &'a mut dyn FnMut(&EvalSample<'_>);

/// Like [`evaluate`], and calls `each` for each image.
///
/// # Errors
///
/// Those of [`evaluate`].
pub fn evaluate_each(
    servers: &Servers,
    (model, classifier): (&str, &mut impl ImageModel),
    spec: &EvalSpec<'_>,
    each: OnSample<'_>,
) -> Result<Evaluation, Error> {
    let mut predictions = Predictions::default();
    let plain = View::default();
    let mut record = |sample: &EvalSample<'_>| {
        predictions.push(sample.sample, sample.label as u32, sample.logits);
        each(sample);
    };
    let replaced = run_split(servers, (model, classifier), spec, &plain, &mut record)?;
    Ok(Evaluation {
        predictions,
        replaced,
    })
}

/// Runs `classifier` on every image of a split, in order, and calls `each` for each. Returns how many images replaced undecodable files.
///
/// # Errors
///
/// Those of [`evaluate`].
pub(super) fn run_split(
    servers: &Servers,
    (model, classifier): (&str, &mut impl ImageModel),
    spec: &EvalSpec<'_>,
    view: &View,
    each: OnSample<'_>,
) -> Result<usize, Error> {
    let size = spec.preprocessing.image_size;
    let input = classifier.input();
    let request = BatchRequest {
        recipe: view.recipe.clone().unwrap_or_else(|| spec.preprocessing.recipe()),
        normalization: Some((spec.preprocessing.mean, spec.preprocessing.std)),
        seed: view.seed,
        wire: wire(input.element_type),
        channels_last: input.channels_last,
        ..BatchRequest::evaluation(spec.dataset, spec.split, spec.batch_size, size)
    };
    let mut stream = open(servers, &request, model, spec)?;
    let mut replaced = 0;
    while let Some(batch) = stream.next_batch()? {
        let logits = classifier.logits(&batch.tensor, batch.labels.len(), size as usize)?;
        let bytes = (batch.tensor.len() / batch.labels.len().max(1)).max(1);
        let rows = logits.chunks_exact(spec.classes.len());
        let rows = rows.zip(batch.tensor.chunks_exact(bytes));
        for ((logits, tensor), (&sample, &label)) in rows.zip(batch.samples.iter().zip(&batch.labels)) {
            each(&EvalSample {
                sample,
                label: label as usize,
                logits,
                tensor,
            });
        }
        replaced += batch.replacements.len();
    }
    Ok(replaced)
}

/// The wire element type for a model input.
fn wire(element_type: ElementType) -> BatchDtype {
    match element_type {
        ElementType::U8 => BatchDtype::U8,
        ElementType::F16 => BatchDtype::F16,
        _ => BatchDtype::F32,
    }
}

/// Opens the stream, and checks that its classes and preprocessing are the model's.
fn open(
    servers: &Servers,
    request: &BatchRequest,
    model: &str,
    spec: &EvalSpec<'_>,
) -> Result<BatchStream, Error> {
    let stream = servers.stream(request, 2)?;
    let description = stream.description();
    let mismatch = |reason: String| Error::Mismatch {
        model: model.to_owned(),
        dataset: description.dataset.clone(),
        reason,
    };
    if description.classes != spec.classes {
        return Err(mismatch(format!(
            "its classes are {}, but the model's are {}",
            list(&description.classes),
            list(spec.classes)
        )));
    }
    let (wanted, sent) = (spec.preprocessing, description);
    if (wanted.mean, wanted.std, wanted.canonical_short_side)
        != (sent.mean, sent.std, sent.canonical_short_side)
    {
        let reason = "the server's mean, std or canonical short side differs from that which the model was trained with";
        return Err(mismatch(reason.to_owned()));
    }
    Ok(stream)
}

fn list(names: &[String]) -> String {
    names.join(", ")
}
