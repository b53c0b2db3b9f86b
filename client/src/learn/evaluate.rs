//! Judges a model on a split.

use super::card::Preprocessing;
use super::metrics::{ConfusionMatrix, Figures, Tally};
use crate::{
    program::ElementType,
    runtime::{self, Classifier},
    stream::{self, BatchRequest, BatchStream, Servers, Split, Wire},
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

/// Figures of a model, and the matrix they come from.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Counts.
    pub matrix: ConfusionMatrix,
    /// What follows from them.
    pub figures: Figures,
    /// Images that stood in the place of broken files.
    pub replaced: usize,
}

/// Judges `classifier`, called `model` in errors, on every image of a split, each once and unaugmented.
///
/// # Errors
///
/// [`Error::Mismatch`] where the dataset has other classes than the model.
pub fn evaluate(
    servers: &Servers,
    (model, classifier): (&str, &mut Classifier),
    subject: &Subject<'_>,
) -> Result<Judgement, Error> {
    let input = classifier.input();
    let request = BatchRequest {
        wire: wire(input.element_type),
        channels_last: input.channels_last,
        ..BatchRequest::evaluation(
            subject.dataset,
            subject.split,
            subject.batch_size,
            subject.preprocessing.image_size,
        )
    };
    let mut stream = servers.stream(&request, 2)?;
    let description = stream.description();
    if description.classes != subject.classes {
        let reason = format!(
            "its classes are {}, the model's {}",
            list(&description.classes),
            list(subject.classes)
        );
        return Err(Error::Mismatch {
            model: model.to_owned(),
            dataset: description.dataset.clone(),
            reason,
        });
    }
    let (wanted, sent) = (subject.preprocessing, description);
    if (wanted.mean, wanted.std, wanted.canonical_short_side)
        != (sent.mean, sent.std, sent.canonical_short_side)
    {
        let reason = "the server prepares images in another way than the model was trained on".to_owned();
        return Err(Error::Mismatch {
            model: model.to_owned(),
            dataset: sent.dataset.clone(),
            reason,
        });
    }
    judge(&mut stream, classifier, subject)
}

/// What a model of that input is sent.
fn wire(element_type: ElementType) -> Wire {
    match element_type {
        ElementType::U8 => Wire::U8,
        ElementType::F16 => Wire::F16,
        _ => Wire::F32,
    }
}

fn judge(
    stream: &mut BatchStream,
    classifier: &mut Classifier,
    subject: &Subject<'_>,
) -> Result<Judgement, Error> {
    let classes = subject.classes.len();
    let mut tally = Tally::new(classes);
    let mut replaced = 0;
    while let Some(batch) = stream.next_batch()? {
        let logits = classifier.logits(
            &batch.tensor,
            batch.labels.len(),
            subject.preprocessing.image_size as usize,
        )?;
        for (row, &label) in logits.chunks_exact(classes).zip(&batch.labels) {
            tally.record(row, label as usize);
        }
        replaced += batch.replaced;
    }
    Ok(Judgement {
        matrix: tally.matrix().clone(),
        figures: tally.figures(subject.classes),
        replaced,
    })
}

fn list(names: &[String]) -> String {
    names.join(", ")
}
