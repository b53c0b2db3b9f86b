use std::collections::BTreeMap;

use super::Error;
use crate::learn::{card::ModelCard, checkpoint::Checkpoint};
use equibatch_training::{
    program::{self, ModelSpec},
    runtime::Tensor,
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
        let metadata = ModelCard::metadata(&self.checkpoint.progress.config);
        let tensors = &self.checkpoint.tensors;
        let compile = |state: &BTreeMap<String, Tensor>| program::inference(&self.model, state, &metadata);
        let program = if has_averages(tensors) {
            compile(&model_of(tensors.clone()))
        } else {
            compile(tensors)
        };
        Ok(program?.model)
    }
}
