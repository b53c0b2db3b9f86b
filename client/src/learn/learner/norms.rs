//! Running statistics of batch norms, estimated again.

use super::{Error, Learner, spec};
use equibatch_training::{
    program,
    runtime::{Function, Tensor},
    trainer::stepper::model_of,
};

/// Means of batch statistics over batches.
///
/// # Source
///
/// PyTorch's `torch.optim.swa_utils.update_bn`: a cumulative mean over batches. Without dropout, since there is none in inference.
#[derive(Debug)]
pub struct NormEstimator {
    function: Function,
    names: Vec<String>,
    sums: Vec<Vec<f64>>,
    batches: u32,
}

impl NormEstimator {
    /// Adds a batch of images as the stream sends them.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] if the program fails.
    pub fn add(&mut self, images: &[u8], count: usize) -> Result<(), Error> {
        let found = self.function.run(images, count)?;
        self.sums.resize_with(found.len(), Vec::new);
        for (sum, found) in self.sums.iter_mut().zip(found) {
            sum.resize(found.len(), 0.0);
            sum.iter_mut()
                .zip(found)
                .for_each(|(sum, found)| *sum += f64::from(found));
        }
        self.batches += 1;
        Ok(())
    }
}

impl Learner {
    /// An estimator for the batch norms that are trained; `None` if there are none.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] if the network cannot be compiled, [`Error::Runtime`] if the device fails.
    pub fn norm_estimator(&self) -> Result<Option<NormEstimator>, Error> {
        let config = &self.progress.config;
        let state = model_of(self.stepper.read(&self.state)?);
        let images = (spec::images(config), config.batch_size as usize);
        let program = program::norm_statistics(&self.model, &state, images, config.has_fixed_norms())?;
        let names: Vec<String> = program
            .signature
            .state
            .iter()
            .map(|pair| pair.name.clone())
            .collect();
        if names.is_empty() {
            return Ok(None);
        }
        Ok(Some(NormEstimator {
            function: Function::new(&self.runtime, "the batch norms", &program, &self.options)?,
            names,
            sums: vec![],
            batches: 0,
        }))
    }

    /// Replaces running statistics, or their averages if there are some, by those estimated.
    ///
    /// # Errors
    ///
    /// Those of [`Learner::restore`].
    pub fn put_norms(&mut self, estimated: &NormEstimator) -> Result<(), Error> {
        let mut checkpoint = self.checkpoint()?;
        for (name, sums) in estimated.names.iter().zip(&estimated.sums) {
            let averaged = format!("average.{name}");
            let name = if checkpoint.tensors.contains_key(&averaged) {
                averaged
            } else {
                name.clone()
            };
            let means = sums.iter().map(|sum| (sum / f64::from(estimated.batches)) as f32);
            let mean = Tensor {
                shape: [sums.len()].into(),
                data: means.collect(),
            };
            checkpoint.tensors.insert(name, mean);
        }
        self.restore(checkpoint)
    }
}
