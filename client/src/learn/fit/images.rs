//! The batch stream of a training run.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
    time::Duration,
};

use super::Error;
use crate::learn::{checkpoint::ResumeState, learner::Learner};
use equibatch_stream as stream;
use equibatch_stream::{Batch, BatchRequest, BatchStream, Servers};

/// Interval at which a wait for a batch checks the stop flag.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Opens the stream of `epochs` epochs at the run's position, and checks that it matches the run's configuration.
///
/// # Errors
///
/// [`Error::Stream`] if it cannot be opened, [`Error::Mismatch`] if classes, epoch length or normalisation differ.
pub fn open(
    servers: &Servers,
    progress: &ResumeState,
    epochs: u32,
    prefetch: usize,
) -> Result<BatchStream, Error> {
    let config = &progress.config;
    let request = BatchRequest {
        start: Some(progress.start_position()),
        expected_fingerprint: config.fingerprint.clone(),
        reports: true,
        ..config.images(config.lineage.epochs + epochs)
    };
    let stream = servers.stream(&request, prefetch)?;
    let description = stream.description();
    let mismatch = |reason: &str| Error::Mismatch {
        address: servers.address().to_owned(),
        reason: reason.to_owned(),
    };
    if description.classes != config.classes || description.steps_per_epoch != config.steps_per_epoch {
        return Err(mismatch(
            "its classes or number of images differ from those that the run was started with",
        ));
    }
    if description.mean != config.mean || description.std != config.std {
        return Err(mismatch(
            "its mean or std differs from that which the run was started with",
        ));
    }
    Ok(stream)
}

/// Waits for the next batch, which may take minutes while a server is unreachable; `Pending` if `stop` was set meanwhile.
pub fn next(stream: &mut BatchStream, stop: &AtomicBool) -> Poll<Result<Option<Batch>, stream::Error>> {
    loop {
        match stream.next_batch_within(POLL_INTERVAL) {
            Poll::Pending if !stop.load(Ordering::Relaxed) => {}
            found => return found,
        }
    }
}

/// The next batch, if `learner` stages batches and it has already arrived. Does not wait.
pub fn ahead<'a>(stream: &'a mut BatchStream, learner: &Learner) -> Option<&'a Batch> {
    if learner.uses_staging() {
        stream.peek()
    } else {
        None
    }
}

/// Checks epoch, step and size of a batch: a batch out of order would train on other images than the saved position says.
///
/// # Errors
///
/// [`Error::Mismatch`] if they are not those expected.
pub(super) fn check_order(servers: &Servers, progress: &ResumeState, batch: &Batch) -> Result<(), Error> {
    let due = progress.start_position();
    let images = batch.labels.len();
    if (batch.epoch, batch.step) == (due.epoch, due.step)
        && images == progress.config.images_per_step() as usize
    {
        return Ok(());
    }
    let reason = format!(
        "received batch {} of epoch {} with {images} images, expected batch {} of epoch {} with {} images",
        batch.step,
        batch.epoch,
        due.step,
        due.epoch,
        progress.config.images_per_step()
    );
    Err(Error::Mismatch {
        address: servers.address().to_owned(),
        reason,
    })
}
