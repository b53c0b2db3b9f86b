//! Judges a model on a split.

use equibatch_engine::augment;

use super::card::Preprocessing;
use super::metrics::{Figures, Tally};
use equibatch_stream as stream;
use equibatch_stream::{BatchDtype, BatchRequest, BatchStream, Servers, Split};
use equibatch_training::{
    program::ElementType,
    runtime::{self, Classifier},
};

/// What can go wrong while a model is judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model and the images have nothing to do with one another.
    #[error("cannot judge {model} on {dataset}: {reason}")]
    Mismatch {
        /// The model, in words.
        model: String,
        /// The dataset.
        dataset: String,
        /// What differs.
        reason: String,
    },
    /// What a model was trained with is no recipe.
    #[error("cannot augment as {model} was trained")]
    Recipe {
        /// The model, in words.
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

/// What to judge on.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// Empty: the only dataset of the server.
    pub dataset: &'a str,
    /// Which part of it.
    pub split: Split,
    /// Images per batch. Changes the speed only.
    pub batch_size: u32,
    /// How the model wants its images.
    pub preprocessing: &'a Preprocessing,
    /// Class names of the model, in label order.
    pub classes: &'a [String],
}

/// Figures of a model.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// How good it is.
    pub figures: Figures,
    /// Images that stood in the place of broken files.
    pub replaced: usize,
}

/// How images are seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// Augmentation; empty: none.
    pub(super) recipe: String,
    /// Of the augmentation.
    pub(super) seed: u64,
}

/// Judges `classifier`, called `model` in errors, on every image of a split, each once and unaugmented.
///
/// # Errors
///
/// [`Error::Mismatch`] where the dataset has other classes than the model.
pub fn evaluate(
    servers: &Servers,
    model: (&str, &mut Classifier),
    subject: &Subject<'_>,
) -> Result<Judgement, Error> {
    evaluate_each(servers, model, subject, &mut |_| {})
}

/// An image that was judged.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Index into the dataset's samples.
    pub sample: u32,
    /// What it is.
    pub label: usize,
    /// What the model said; one for each class.
    pub logits: &'a [f32],
    /// What the model saw, in its own element type and layout.
    pub tensor: &'a [u8],
}

/// Who is told of each image.
pub type Each<'a> = &'a mut dyn FnMut(&Seen<'_>);

/// [`evaluate`], telling of each image.
///
/// # Errors
///
/// Those of [`evaluate`].
pub fn evaluate_each(
    servers: &Servers,
    (model, classifier): (&str, &mut Classifier),
    subject: &Subject<'_>,
    each: Each<'_>,
) -> Result<Judgement, Error> {
    let mut tally = Tally::new(subject.classes.len());
    let plain = Sight::default();
    let mut record = |seen: &Seen<'_>| {
        tally.record(seen.logits, seen.label);
        each(seen);
    };
    let replaced = look(servers, (model, classifier), subject, &plain, &mut record)?;
    Ok(Judgement {
        figures: tally.figures(subject.classes),
        replaced,
    })
}

/// Shows every image of a split to `classifier`, in order, and tells `each` of it. Returns how many images stood in the
/// place of broken files.
///
/// # Errors
///
/// [`Error::Mismatch`] where the dataset has other classes than the model.
pub(super) fn look(
    servers: &Servers,
    (model, classifier): (&str, &mut Classifier),
    subject: &Subject<'_>,
    sight: &Sight,
    each: Each<'_>,
) -> Result<usize, Error> {
    let size = subject.preprocessing.image_size;
    let input = classifier.input();
    let request = BatchRequest {
        recipe: sight.recipe.clone(),
        normalization: Some((subject.preprocessing.mean, subject.preprocessing.std)),
        seed: sight.seed,
        wire: wire(input.element_type),
        channels_last: input.channels_last,
        ..BatchRequest::evaluation(subject.dataset, subject.split, subject.batch_size, size)
    };
    let mut stream = open(servers, &request, model, subject)?;
    let mut replaced = 0;
    while let Some(batch) = stream.next_batch()? {
        let logits = classifier.logits(&batch.tensor, batch.labels.len(), size as usize)?;
        let bytes = (batch.tensor.len() / batch.labels.len().max(1)).max(1);
        let rows = logits.chunks_exact(subject.classes.len());
        let rows = rows.zip(batch.tensor.chunks_exact(bytes));
        for ((logits, tensor), (&sample, &label)) in rows.zip(batch.samples.iter().zip(&batch.labels)) {
            each(&Seen {
                sample,
                label: label as usize,
                logits,
                tensor,
            });
        }
        replaced += batch.replaced;
    }
    Ok(replaced)
}

/// What a model of that input is sent.
fn wire(element_type: ElementType) -> BatchDtype {
    match element_type {
        ElementType::U8 => BatchDtype::U8,
        ElementType::F16 => BatchDtype::F16,
        _ => BatchDtype::F32,
    }
}

/// Starts a stream of images as the model wants them.
fn open(
    servers: &Servers,
    request: &BatchRequest,
    model: &str,
    subject: &Subject<'_>,
) -> Result<BatchStream, Error> {
    let stream = servers.stream(request, 2)?;
    let description = stream.description();
    let mismatch = |reason: String| Error::Mismatch {
        model: model.to_owned(),
        dataset: description.dataset.clone(),
        reason,
    };
    if description.classes != subject.classes {
        return Err(mismatch(format!(
            "its classes are {}, the model's {}",
            list(&description.classes),
            list(subject.classes)
        )));
    }
    let (wanted, sent) = (subject.preprocessing, description);
    if (wanted.mean, wanted.std, wanted.canonical_short_side)
        != (sent.mean, sent.std, sent.canonical_short_side)
    {
        let reason = "the server prepares images in another way than the model was trained on";
        return Err(mismatch(reason.to_owned()));
    }
    Ok(stream)
}

fn list(names: &[String]) -> String {
    names.join(", ")
}
