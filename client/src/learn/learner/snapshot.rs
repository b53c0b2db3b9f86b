use super::Error;
use crate::learn::{card::ModelCard, checkpoint::Checkpoint};
use equibatch_training::{
    program::{self, ModelFile, ModelSpec},
    trainer::stepper::{has_averages, model_of},
};

/// A copy of a model in training, from which its files are written while training continues.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The network.
    pub(super) model: ModelSpec,
    /// The complete training state.
    pub checkpoint: Checkpoint,
}

impl Snapshot {
    /// The model as an ONNX file for inference, with class names and preprocessing in its metadata.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] if the model cannot be compiled.
    pub fn model(&self) -> Result<Vec<u8>, Error> {
        self.with_model(|file| file.to_bytes())
    }

    /// What `then` makes of the file of [`Snapshot::model`], in which parameters are not copied.
    ///
    /// # Errors
    ///
    /// Those of [`Snapshot::model`].
    pub fn with_model<R>(&self, then: impl FnOnce(&ModelFile<'_>) -> R) -> Result<R, Error> {
        let metadata = ModelCard::metadata(&self.checkpoint.progress.config);
        let tensors = &self.checkpoint.tensors;
        let averages = has_averages(tensors).then(|| model_of(tensors.clone()));
        let state = averages.as_ref().unwrap_or(tensors);
        let file = program::inference_file(&self.model, state, &metadata)?;
        Ok(then(&file))
    }
}
