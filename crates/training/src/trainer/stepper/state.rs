//! The state of a step: what is on the device, as a dictionary of tensors.

use std::collections::{BTreeMap, BTreeSet};

use super::{super::Error, Stepper};
use crate::{
    program::{Program, Role, Shape, StatePair},
    runtime::{DeviceState, Tensor},
};

impl Stepper {
    /// State tensors of all programs.
    fn state(&self) -> impl Iterator<Item = &StatePair> {
        let programs = [Some(&self.pass), self.update.as_ref()];
        programs
            .into_iter()
            .flatten()
            .flat_map(|program| &program.signature().state)
    }

    /// The names, shapes and roles of the state dictionary's tensors; vectors are several of them.
    fn tensors(&self) -> impl Iterator<Item = (&str, &Shape, Role)> {
        self.state()
            .flat_map(|pair| pair.tensors().map(|(name, shape)| (name, shape, pair.role)))
    }

    /// Adds missing optimizer state: zero moments, and averages equal to their parameters.
    pub fn init_optimizer(&self, state: &mut BTreeMap<String, Tensor>) {
        for (name, shape, role) in self.tensors() {
            if state.contains_key(name) {
                continue;
            }
            let start = match role {
                Role::Optimizer => Some(Tensor::full(shape.clone(), 0.0)),
                Role::Average => averaged_by(name).and_then(|of| state.get(of).cloned()),
                Role::Parameter | Role::Statistic | Role::Gradient | Role::Staged => None,
            };
            state.extend(start.map(|start| (name.to_owned(), start)));
        }
    }

    /// Copies a state to the device.
    ///
    /// # Errors
    /// [`Error::State`] if a tensor is missing or has another shape, [`Error::Runtime`] if the device is out of memory.
    pub fn upload(&self, state: BTreeMap<String, Tensor>) -> Result<DeviceState, Error> {
        Ok(self.pass.upload(self.checked(state)?)?)
    }

    /// The state as the programs have it: with tensors that are meaningful only within a step, and with vectors. Checks names and shapes.
    fn checked(&self, mut state: BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>, Error> {
        self.add_zero_sums(&mut state);
        for (name, shape, _) in self.tensors() {
            let reason = match state.get(name) {
                Some(tensor) if tensor.shape == *shape => continue,
                Some(tensor) => format!(
                    "tensor `{name}` has shape {}, but the model needs {shape}",
                    tensor.shape
                ),
                None => format!("tensor `{name}` is missing"),
            };
            return Err(Error::State { reason });
        }
        for pair in self.vectors() {
            let members = pair.members.iter();
            let members = members.filter_map(|(name, _)| state.remove(name));
            let data = members.flat_map(|member| member.data).collect();
            let shape = pair.shape.clone();
            state.insert(pair.name.clone(), Tensor { shape, data });
        }
        Ok(state)
    }

    /// The state tensors that hold several of the state dictionary, each once.
    fn vectors(&self) -> impl Iterator<Item = &StatePair> {
        let mut known = BTreeSet::new();
        self.state()
            .filter(|pair| !pair.members.is_empty())
            .filter(move |pair| known.insert(&pair.name))
    }

    /// Replaces the state on the device.
    ///
    /// # Errors
    /// Those of [`Stepper::upload`].
    pub fn replace(&self, device: &mut DeviceState, state: BTreeMap<String, Tensor>) -> Result<(), Error> {
        Ok(device.load(&self.checked(state)?)?)
    }

    /// Copies the state from the device, without tensors that are meaningful only within a step.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the copy fails.
    pub fn read(&self, device: &DeviceState) -> Result<BTreeMap<String, Tensor>, Error> {
        let mut state = BTreeMap::new();
        self.read_into(device, &mut state)?;
        Ok(state)
    }

    /// [`Stepper::read`] into `state`, an earlier result, whose memory is used again.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the device fails.
    pub fn read_into(&self, device: &DeviceState, state: &mut BTreeMap<String, Tensor>) -> Result<(), Error> {
        let pairs = self.state().filter(|pair| pair.role.is_within_a_step());
        let within: BTreeSet<&str> = pairs.map(|pair| pair.name.as_str()).collect();
        device.read_into(state, |name| !within.contains(name))?;
        for pair in self.vectors() {
            let whole = state.remove(&pair.name).map_or_else(Vec::new, |whole| whole.data);
            let mut rest = whole.as_slice();
            for (name, shape) in &pair.members {
                let (own, after) = rest.split_at(shape.elements());
                let member = state
                    .entry(name.clone())
                    .or_insert_with(|| Tensor::full(shape.clone(), 0.0));
                member.data.copy_from_slice(own);
                rest = after;
            }
        }
        Ok(())
    }

    /// Adds zeros for the tensors that are meaningful only within a step and are never saved.
    fn add_zero_sums(&self, state: &mut BTreeMap<String, Tensor>) {
        let sums = self.state().filter(|pair| pair.role.is_within_a_step());
        state.extend(sums.map(|pair| (pair.name.clone(), Tensor::full(pair.shape.clone(), 0.0))));
    }

    /// The program with the averages of the parameters and statistics that have some.
    pub(super) fn with_averages(&self, mut program: Program) -> Program {
        for pair in &mut program.signature.state {
            let average = format!("{AVERAGE}{}", pair.name);
            if self.state().any(|own| own.name == average) {
                pair.name = average;
            }
        }
        program
    }
}

/// Name prefix of weight averages.
const AVERAGE: &str = "average.";

/// Name of the parameter that this average is of.
fn averaged_by(name: &str) -> Option<&str> {
    name.strip_prefix(AVERAGE)
}

/// Whether `state` has averages.
#[must_use]
pub fn has_averages(state: &BTreeMap<String, Tensor>) -> bool {
    state.keys().any(|name| averaged_by(name).is_some())
}

/// The state of the exported model: parameters replaced by their averages, if there are some.
#[must_use]
pub fn model_of(state: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let (averages, mut model): (BTreeMap<_, _>, BTreeMap<_, _>) = state
        .into_iter()
        .partition(|(name, _)| averaged_by(name).is_some());
    let averages = averages.into_iter();
    model.extend(averages.filter_map(|(name, tensor)| Some((averaged_by(&name)?.to_owned(), tensor))));
    model
}

/// Removes all averages, so that they start anew from the parameters.
pub fn drop_averages(state: &mut BTreeMap<String, Tensor>) {
    state.retain(|name, _| averaged_by(name).is_none());
}
