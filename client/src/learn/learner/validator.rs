use crate::learn::evaluate::ImageModel;
use equibatch_training::{
    program::ElementType,
    runtime::{self, Classifier, DeviceState, ImageInput},
    trainer::Evaluator,
};

/// The current model of a [`Learner`](super::Learner), to be evaluated.
#[derive(Debug)]
pub enum Validator<'a> {
    /// One session for all epochs, which reads the training state in place.
    InPlace(&'a mut Evaluator, &'a mut DeviceState),
    /// A session of the exported model.
    Exported(Classifier),
}

impl ImageModel for Validator<'_> {
    fn input(&self) -> ImageInput {
        match self {
            Self::InPlace(..) => ImageInput {
                element_type: ElementType::F32,
                channels_last: false,
            },
            Self::Exported(classifier) => classifier.input(),
        }
    }

    fn logits(&mut self, tensor: &[u8], count: usize, size: usize) -> Result<Vec<f32>, runtime::Error> {
        match self {
            Self::InPlace(evaluator, state) => evaluator.logits(state, tensor, count),
            Self::Exported(classifier) => classifier.logits(tensor, count, size),
        }
    }
}
