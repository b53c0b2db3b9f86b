use std::{collections::BTreeMap, path::Path};

use super::state_file::{self, write_whole};
use super::stepper::model_of;
use super::{Array, Error, StepInputs, StepOutput, Stepper};
use crate::graph::Tensor;
use crate::program::{self, TrainSpec};
use crate::runtime::{DeviceState, Runtime, SessionOptions};

/// Trains a network on arrays, one optimizer step at a time.
#[derive(Debug)]
pub struct Trainer {
    spec: TrainSpec,
    stepper: Stepper,
    state: DeviceState,
    seed: u64,
    steps: u64,
}

impl Trainer {
    pub(super) fn new(
        runtime: &Runtime,
        spec: TrainSpec,
        (seed, options): (u64, &SessionOptions),
    ) -> Result<Self, Error> {
        let stepper = Stepper::new(runtime, (&spec, 1), options, None)?;
        let mut state = program::initial_state(&spec.model, seed)?;
        stepper.init_optimizer(&mut state);
        let state = stepper.upload(state)?;
        Ok(Self {
            spec,
            stepper,
            state,
            seed,
            steps: 0,
        })
    }

    /// Trains on one batch: an array for each input of the model and of the loss, in any order. The learning rate is multiplied by the scale of each
    /// group.
    ///
    /// # Errors
    /// [`Error::Batch`] if an array is missing or does not fit, [`Error::NotFinite`] if the loss or a gradient is not finite,
    /// [`Error::Runtime`] if ONNX Runtime fails. The state is then unchanged.
    pub fn step(&mut self, batch: &[(&str, &dyn Array)], learning_rate: f64) -> Result<StepOutput, Error> {
        self.step_with_momentum(batch, learning_rate, None)
    }

    /// Like [`Trainer::step`], with the momentum of a schedule (β₁ of Adam) instead of the optimizer's.
    ///
    /// # Errors
    /// Those of [`Trainer::step`].
    pub fn step_with_momentum(
        &mut self,
        batch: &[(&str, &dyn Array)],
        learning_rate: f64,
        momentum: Option<f64>,
    ) -> Result<StepOutput, Error> {
        self.check(batch)?;
        let step = self.steps + 1;
        let hyperparameters = self.spec.optimizer.hyperparameters(step, momentum).into_iter();
        let hyperparameters = hyperparameters.map(|(name, value)| (name.to_owned(), value));
        let rates = self.stepper.learning_rates().iter();
        let rates = rates.map(|rate| (rate.input.clone(), rate.scale * learning_rate));
        let inputs = StepInputs {
            batch: batch.iter().map(|(name, array)| (*name, array.bytes())).collect(),
            next: None,
            masks: self.stepper.masks(self.seed, self.steps),
            scalars: hyperparameters.chain(rates).collect(),
            loss_scale: None,
        };
        let output = self.stepper.step(&mut self.state, &inputs)?;
        if !(output.are_finite && output.loss.is_finite()) {
            let loss = output.loss;
            return Err(Error::NotFinite { loss, step });
        }
        self.steps = step;
        Ok(output)
    }

    /// Checks names, element types and labels of a batch. The stepper checks lengths.
    fn check(&self, batch: &[(&str, &dyn Array)]) -> Result<(), Error> {
        let refused = |name: &str, reason: String| Error::Batch {
            name: name.to_owned(),
            reason,
        };
        let signature = self.stepper.signature();
        if let Some(missing) = signature
            .batch
            .iter()
            .find(|name| batch.iter().all(|(given, _)| given != name))
        {
            return Err(refused(missing, "the batch has no such array".to_owned()));
        }
        for (name, array) in batch {
            let expected = signature
                .inputs
                .iter()
                .find(|input| input.name == *name && signature.batch.contains(&input.name))
                .map(|input| input.element_type);
            let Some(expected) = expected else {
                let reason = format!("the inputs are {:?}", signature.batch);
                return Err(refused(name, reason));
            };
            let found = array.element_type();
            if found != expected {
                return Err(refused(
                    name,
                    format!("its elements are {found}, expected {expected}"),
                ));
            }
        }
        for classes in &signature.class_inputs {
            let labels = batch.iter().find(|(name, _)| *name == classes.input);
            let bytes = labels.map(|(_, labels)| labels.bytes()).unwrap_or_default();
            let mut labels = bytes.chunks_exact(8);
            let label = |word: &[u8]| i64::from_le_bytes(word.try_into().expect("eight bytes"));
            let is_wrong =
                |label: &i64| usize::try_from(*label).map_or(true, |label| label >= classes.classes);
            if let Some(wrong) = labels.by_ref().map(label).find(is_wrong) {
                let reason = format!("it has the label {wrong}, expected 0 to {}", classes.classes - 1);
                return Err(refused(&classes.input, reason));
            }
        }
        Ok(())
    }

    /// Number of steps taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// An `f32` output of the model in the last step, with the parameters before it.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the model has no such output.
    pub fn output(&self, name: &str) -> Result<&[f32], Error> {
        self.stepper.output(name)
    }

    /// Copies parameters, running statistics and optimizer state to the host, by name.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the device fails.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        self.stepper.read(&self.state)
    }

    /// Writes the state and the number of steps to a safetensors file.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be written, [`Error::Runtime`] if the device fails.
    pub fn save_state(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        state_file::write(path.as_ref(), &self.state()?, self.steps)
    }

    /// Replaces the state by that of a file from [`Trainer::save_state`]. Training then continues bit for bit.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read, [`Error::State`] if it is damaged or of another model or optimizer.
    pub fn load_state(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        let (state, steps) = state_file::read(path.as_ref())?;
        self.stepper.replace(&mut self.state, state)?;
        self.steps = steps;
        Ok(())
    }

    /// Writes the network with its current parameters as an ONNX model for inference, with the file's inputs and outputs and a dynamic batch size
    /// if the file has one.
    ///
    /// # Errors
    /// [`Error::Program`] if the model depends on the batch size, [`Error::File`] if the file cannot be written, [`Error::Runtime`] if the
    /// device fails.
    pub fn export_inference(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let program = program::inference(&self.spec.model, &model_of(self.state()?), &[])?;
        write_whole(path.as_ref(), &program.model)
    }
}
