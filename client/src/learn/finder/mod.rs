//! The learning-rate finder: a short training whose learning rate grows from step to step until the loss runs away.
//!
//! # Layout
//!
//! - [`Sweep`]: which learning rate comes next and when to stop, as a function of the losses so far.
//! - [`Suggestions`]: learning rates read off the losses.
//! - [`find`]: the sweep carried out on a model, which is as before afterwards.
//!
//! # Source
//!
//! fastai v1's `lr_find` and `Recorder.plot(suggestion=True)`; the valley of fastai v2.

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

/// What can go wrong in a search.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The images cannot be had.
    #[error(transparent)]
    Images(#[from] fit::Error),
    /// The server.
    #[error(transparent)]
    Stream(#[from] stream::Error),
    /// The model.
    #[error(transparent)]
    Learner(#[from] learner::Error),
    /// It was asked to stop.
    #[error("the search for a learning rate was interrupted; nothing was changed")]
    Interrupted,
}

/// Sweeps over learning rates on the batches that `learner` would learn from next, and puts its model back as it was: weights, running
/// statistics, moments. `told` is called after every step.
///
/// # Errors
///
/// [`Error`]; the model is as before then, too, unless its device failed.
pub fn find(
    (learner, servers): (&mut Learner, &Servers),
    prefetch: usize,
    (range, stop): (SweepRange, &AtomicBool),
    mut told: impl FnMut(&SweepPoint),
) -> Result<Sweep, Error> {
    let before = learner.checkpoint()?;
    let swept = sweep((learner, servers), prefetch, (range, stop), &mut told);
    learner.restore(before)?;
    swept
}

fn sweep(
    (learner, servers): (&mut Learner, &Servers),
    prefetch: usize,
    (range, stop): (SweepRange, &AtomicBool),
    told: &mut impl FnMut(&SweepPoint),
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
        told(sweep.record(loss));
    }
    Ok(sweep)
}
