//! The learning-rate finder: a short training in which the learning rate grows with every step until the loss diverges.
//!
//! # Layout
//!
//! - [`Sweep`]: the next learning rate and when to stop, as a function of the losses so far.
//! - [`Suggestions`]: learning rates suggested by the losses.
//! - [`find`]: runs a sweep on a model, and restores the model afterwards.
//!
//! # Source
//!
//! `lr_find` and `Recorder.plot(suggestion=True)` of fastai 1; `valley` of fastai 2.

mod suggestion;
mod sweep;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
};

pub use suggestion::{NoSuggestion, Suggestions, usable};
pub use sweep::{Sweep, SweepEnd, SweepPoint, SweepRange};

use super::{
    fit,
    learner::{self, Learner},
};
use equibatch_stream as stream;
use equibatch_stream::Servers;

/// Why a search failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The image stream cannot be opened.
    #[error(transparent)]
    Images(#[from] fit::Error),
    /// The server.
    #[error(transparent)]
    Stream(#[from] stream::Error),
    /// The model.
    #[error(transparent)]
    Learner(#[from] learner::Error),
    /// The search was interrupted.
    #[error("the search for a learning rate was interrupted; nothing was changed")]
    Interrupted,
}

/// Sweeps over learning rates on the batches that `learner` would train on next, and restores its state: weights, running statistics and
/// moments. `on_step` is called after every step.
///
/// # Errors
///
/// [`Error`]; the state is restored as well, unless the device failed.
pub fn find(
    (learner, servers): (&mut Learner, &Servers),
    prefetch: usize,
    (range, stop): (SweepRange, &AtomicBool),
    mut on_step: impl FnMut(&SweepPoint),
) -> Result<Sweep, Error> {
    let before = learner.checkpoint()?;
    let swept = sweep((learner, servers), prefetch, (range, stop), &mut on_step);
    learner.restore(before)?;
    swept
}

fn sweep(
    (learner, servers): (&mut Learner, &Servers),
    prefetch: usize,
    (range, stop): (SweepRange, &AtomicBool),
    on_step: &mut impl FnMut(&SweepPoint),
) -> Result<Sweep, Error> {
    let progress = learner.progress();
    let epochs = range.steps.div_ceil(progress.config.steps_per_epoch.max(1));
    let epochs = u32::try_from(epochs).unwrap_or(u32::MAX);
    let mut stream = fit::images::open(servers, progress, epochs, prefetch)?;
    let mut sweep = Sweep::new(range);
    while let Some(learning_rate) = sweep.next_rate() {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let batch = match fit::images::next(&mut stream, stop) {
            Poll::Ready(Ok(Some(batch))) => batch,
            Poll::Ready(Ok(None)) => break,
            Poll::Ready(Err(error)) => return Err(error.into()),
            Poll::Pending => return Err(Error::Interrupted),
        };
        let next = fit::images::ahead(&mut stream, learner);
        let loss = learner.probe((&batch, next), learning_rate, sweep.points().len() as u64)?;
        on_step(sweep.record(loss));
    }
    Ok(sweep)
}
