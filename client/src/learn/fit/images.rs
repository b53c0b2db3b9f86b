//! The stream of batches that a run learns from.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
    time::Duration,
};

use super::Error;
use crate::learn::{checkpoint::ResumeState, learner::Learner};
use equibatch_stream as stream;
use equibatch_stream::{Batch, BatchRequest, BatchStream, Servers};

/// How long a wait for a batch may go on before the order to stop is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Opens the stream of `epochs` epochs of the run where it stands, and checks that it is the one that the run was started with.
///
/// # Errors
///
/// [`Error::Stream`], and [`Error::Mismatch`] where the images are others.
pub fn open(
    servers: &Servers,
    progress: &ResumeState,
    epochs: u32,
    prefetch: usize,
) -> Result<BatchStream, Error> {
    let config = &progress.config;
    let request = BatchRequest {
        start: Some(progress.place()),
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
            "it has other classes or another number of images than the run was started with",
        ));
    }
    if description.mean != config.mean || description.std != config.std {
        return Err(mismatch(
            "it normalises images in another way than the run was started with",
        ));
    }
    Ok(stream)
}

/// Waits for the next batch, which may take minutes while a server is away; pending where `stop` was set meanwhile.
pub fn next(stream: &mut BatchStream, stop: &AtomicBool) -> Poll<Result<Option<Batch>, stream::Error>> {
    loop {
        match stream.next_batch_within(POLL_INTERVAL) {
            Poll::Pending if !stop.load(Ordering::Relaxed) => {}
            found => return found,
        }
    }
}

/// The batch behind the one in hand, where `learner` makes use of it and it has come already. Nobody waits for it.
pub fn ahead<'a>(stream: &'a mut BatchStream, learner: &Learner) -> Option<&'a Batch> {
    if learner.uses_staging() {
        stream.peek()
    } else {
        None
    }
}

/// A batch out of order would silently train on other images than the saved position says.
///
/// # Errors
///
/// [`Error::Mismatch`].
pub(super) fn check_order(servers: &Servers, progress: &ResumeState, batch: &Batch) -> Result<(), Error> {
    let due = progress.place();
    let images = batch.labels.len();
    if (batch.epoch, batch.step) == (due.epoch, due.step)
        && images == progress.config.images_per_step() as usize
    {
        return Ok(());
    }
    let reason = format!(
        "batch {} of epoch {} with {images} images came where batch {} of epoch {} was due",
        batch.step, batch.epoch, due.step, due.epoch
    );
    Err(Error::Mismatch {
        address: servers.address().to_owned(),
        reason,
    })
}
