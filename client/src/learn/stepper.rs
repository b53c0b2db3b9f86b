//! One step of the optimizer on the device: the whole batch at once, or part by part where it is too large for that.

use std::collections::BTreeMap;

use bytes::Bytes;
use equibatch_training::{
    program::{self, Dropout, Role, StatePair, TrainSpec},
    runtime::{DeviceState, OperatorTime, Runtime, SessionOptions, StepRunner, Tensor},
};

use super::learner::Error;

/// Everything that a step is given, for the whole batch.
#[derive(Debug)]
pub(super) struct Feed<'a> {
    /// `[N, 3, S, S]`, little-endian.
    pub(super) images: &'a [u8],
    /// The images of the step after this one, where they are there already.
    pub(super) next: Option<&'a Bytes>,
    /// `f32[N, K]`.
    pub(super) targets: Vec<f32>,
    /// `f32[N, F]`, in the order of [`Stepper::dropout`].
    pub(super) masks: Vec<Vec<f32>>,
    /// The scalars of the schedule, by name.
    pub(super) scalars: Vec<(String, f64)>,
    /// What the loss is multiplied with before gradients are taken, where it is.
    pub(super) loss_scale: Option<f32>,
}

/// What came out of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stepped {
    pub(super) loss: f64,
    /// Before clipping; absent where nothing is clipped, or nothing that is a number.
    pub(super) gradient_norm: Option<f64>,
    /// Whether all gradients were finite. If not, or if the loss was not, the state is as before the step.
    pub(super) are_finite: bool,
}

/// The programs of a step.
#[derive(Debug)]
pub(super) struct Stepper {
    /// Forward and backward, and the update as well, where there is no program for it.
    pass: StepRunner,
    update: Option<StepRunner>,
    parts: usize,
    stages: bool,
    /// The images whose first part lies where the next run reads it. They are kept so that no others can come to lie at their address.
    staged: Option<Bytes>,
}

impl Stepper {
    /// Compiles a step over `parts` times [`TrainSpec::batch_size`] images.
    pub(super) fn new(
        runtime: &Runtime,
        spec: &TrainSpec,
        parts: usize,
        options: &SessionOptions,
    ) -> Result<Self, Error> {
        let (mut pass, update) = if parts == 1 {
            let program = program::train_step(spec)?;
            let pass = StepRunner::new(runtime, "the training step", &program, options)?;
            (pass, None)
        } else {
            let programs = program::train_parts(spec)?;
            let pass = StepRunner::new(runtime, "the gradients", &programs.gradients, options)?;
            let update = StepRunner::new(runtime, "the update", &programs.update, options)?;
            (pass, Some(update))
        };
        let stages = options.staging.is_on(options.device);
        if stages {
            pass.double_buffer(IMAGES)?;
        }
        Ok(Self {
            pass,
            update,
            parts,
            stages,
            staged: None,
        })
    }

    /// Whether [`Feed::next`] is of use.
    pub(super) fn stages(&self) -> bool {
        self.stages
    }

    /// The masks that a step is given. Their first axis is a part's.
    pub(super) fn dropout(&self) -> &[Dropout] {
        &self.pass.signature().dropout
    }

    /// The state of all programs.
    fn state(&self) -> impl Iterator<Item = &StatePair> {
        let programs = [Some(&self.pass), self.update.as_ref()];
        programs
            .into_iter()
            .flatten()
            .flat_map(|program| &program.signature().state)
    }

    /// Adds what a new optimizer starts with: moments of zero, where no optimizer of before goes on, and averages of what there is.
    pub(super) fn begin(&self, state: &mut BTreeMap<String, Tensor>) {
        for pair in self
            .state()
            .filter(|pair| !state.contains_key(&pair.name))
            .collect::<Vec<_>>()
        {
            let start = match pair.role {
                Role::FirstMoment | Role::SecondMoment => Some(Tensor::full(pair.shape.clone(), 0.0)),
                Role::Average => averaged_by(&pair.name).and_then(|of| state.get(of).cloned()),
                Role::Parameter | Role::Statistic | Role::Gradient | Role::Staged => None,
            };
            state.extend(start.map(|start| (pair.name.clone(), start)));
        }
    }

    /// Puts a state on the device.
    pub(super) fn place(&self, mut state: BTreeMap<String, Tensor>) -> Result<DeviceState, Error> {
        self.add_sums(&mut state);
        for pair in self.state() {
            let reason = match state.get(&pair.name) {
                Some(tensor) if tensor.shape == pair.shape => continue,
                Some(tensor) => format!(
                    "`{}` has shape {}, the model needs {}",
                    pair.name, tensor.shape, pair.shape
                ),
                None => format!("it has no `{}`", pair.name),
            };
            return Err(Error::Checkpoint { reason });
        }
        Ok(self.pass.upload(&state)?)
    }

    /// Replaces what is on the device.
    pub(super) fn load(
        &self,
        device: &mut DeviceState,
        mut state: BTreeMap<String, Tensor>,
    ) -> Result<(), Error> {
        self.add_sums(&mut state);
        Ok(device.load(&state)?)
    }

    /// Copies what is on the device, but for what means nothing between steps.
    pub(super) fn read(&self, device: &DeviceState) -> Result<BTreeMap<String, Tensor>, Error> {
        let mut state = device.read()?;
        for pair in self.state().filter(|pair| pair.role.is_within_a_step()) {
            state.remove(&pair.name);
        }
        Ok(state)
    }

    /// What is never saved, and starts anew in every step.
    fn add_sums(&self, state: &mut BTreeMap<String, Tensor>) {
        let sums = self.state().filter(|pair| pair.role.is_within_a_step());
        state.extend(sums.map(|pair| (pair.name.clone(), Tensor::full(pair.shape.clone(), 0.0))));
    }

    /// Takes one step. What comes of it is kept by the last of the programs alone, so that it can be taken back as a whole.
    pub(super) fn step(&mut self, state: &mut DeviceState, feed: &Feed<'_>) -> Result<Stepped, Error> {
        let mut loss = 0.0;
        // What lies at one address, and is kept there, is the same.
        let staged = self.staged.take();
        let mut is_staged = staged.is_some_and(|staged| staged.as_ptr_range() == feed.images.as_ptr_range());
        for part in 0..self.parts {
            if !is_staged {
                self.pass.fill(IMAGES, share(feed.images, part, self.parts))?;
            }
            let targets = share(&feed.targets, part, self.parts);
            self.pass.f32_input("targets")?.copy_from_slice(targets);
            for (dropout, mask) in self.dropout().to_vec().iter().zip(&feed.masks) {
                let mask = share(mask, part, self.parts);
                self.pass.f32_input(&dropout.name)?.copy_from_slice(mask);
            }
            match self.update {
                None => set(&mut self.pass, &feed.scalars)?,
                // The first part's gradients replace those of the step before.
                Some(_) => self.pass.f32_input("keep")?[0] = if part == 0 { 0.0 } else { 1.0 },
            }
            if let Some(scale) = feed.loss_scale {
                self.pass.f32_input(LOSS_SCALE)?[0] = scale;
            }
            let ahead = self.ahead(feed, part);
            self.pass
                .step_ahead(state, ahead.map(|images| (IMAGES, images)))?;
            is_staged = ahead.is_some();
            loss += f64::from(self.pass.output("loss")?[0]);
        }
        if is_staged {
            self.staged = feed.next.cloned();
        }
        if let Some(update) = &mut self.update {
            set(update, &feed.scalars)?;
            if let Some(scale) = feed.loss_scale {
                update.f32_input(LOSS_SCALE)?[0] = scale;
            }
            update.step(state)?;
        }
        let last = self.update.as_ref().unwrap_or(&self.pass);
        let are_finite = last.output(IS_FINITE)?[0] > 0.0;
        if !(are_finite && loss.is_finite()) {
            last.rollback(state)?;
        }
        Ok(Stepped {
            loss,
            gradient_norm: told(last, NORM)?.filter(|_| are_finite).map(f64::from),
            are_finite,
        })
    }

    /// The images to copy while `part` is computed: those of the next part, or of the next step's first one. A batch of another size is left to
    /// fail when it is its turn.
    fn ahead<'a>(&self, feed: &Feed<'a>, part: usize) -> Option<&'a [u8]> {
        if !self.stages {
            return None;
        }
        if part + 1 < self.parts {
            return Some(share(feed.images, part + 1, self.parts));
        }
        let next = feed.next.filter(|next| next.len() == feed.images.len())?;
        Some(share(next, 0, self.parts))
    }

    /// What forward and backward took, by operator, and the update as well, where there is no program for it.
    pub(super) fn profile(&mut self) -> Result<Vec<OperatorTime>, Error> {
        Ok(self.pass.profile()?)
    }
}

const IMAGES: &str = "images";
const NORM: &str = "gradient_norm";
const IS_FINITE: &str = "is_finite";
const LOSS_SCALE: &str = "loss_scale";

/// A number that a program tells, where it has such an output.
fn told(program: &StepRunner, name: &str) -> Result<Option<f32>, Error> {
    let tells = program
        .signature()
        .outputs
        .iter()
        .any(|output| output.name == name);
    Ok(if tells {
        Some(program.output(name)?[0])
    } else {
        None
    })
}

fn set(runner: &mut StepRunner, scalars: &[(String, f64)]) -> Result<(), Error> {
    for (name, value) in scalars {
        runner.f32_input(name)?[0] = *value as f32;
    }
    Ok(())
}

/// One of several equal parts.
fn share<T>(whole: &[T], part: usize, parts: usize) -> &[T] {
    let length = whole.len() / parts;
    &whole[part * length..(part + 1) * length]
}

/// Names of averages begin so.
const AVERAGE: &str = "average.";

/// What an average of that name is of.
fn averaged_by(name: &str) -> Option<&str> {
    name.strip_prefix(AVERAGE)
}

/// The model of a state: the averages, where averages are kept, in the place of what they are of.
pub(super) fn model_of(state: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let (averages, mut model): (BTreeMap<_, _>, BTreeMap<_, _>) = state
        .into_iter()
        .partition(|(name, _)| averaged_by(name).is_some());
    let averages = averages.into_iter();
    model.extend(averages.filter_map(|(name, tensor)| Some((averaged_by(&name)?.to_owned(), tensor))));
    model
}

/// Forgets all averages: what goes on from a state goes on from its weights.
pub(super) fn forget_averages(state: &mut BTreeMap<String, Tensor>) {
    state.retain(|name, _| averaged_by(name).is_none());
}
