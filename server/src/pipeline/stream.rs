//! The half of a stream that its reader holds.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{
    Error, batch::Batch, job::Job, position::SpecHash, served::Served, spec::StreamSpec, workers::Workers,
};
use crate::cache::Registration;

/// Batches in order. Dropping it drops the work that is not begun.
#[derive(Debug)]
pub struct BatchStream {
    pub(super) job: Arc<Job>,
    pub(super) workers: Arc<Workers>,
    pub(super) description: Description,
    pub(super) account: Account,
    pub(super) _announced: Registration,
    pub(super) _seat: Seat,
}

/// What a stream will send, known before its first batch.
#[derive(Clone, Debug)]
pub struct Description {
    /// The request, resolved.
    pub spec: StreamSpec,
    /// The dataset.
    pub served: Arc<Served>,
    /// Hash of the request.
    pub spec_hash: SpecHash,
    /// Batches in an epoch.
    pub steps_per_epoch: u64,
    /// Images in an epoch, over all shards.
    pub images_per_epoch: u64,
    /// Draws per class in an epoch, in label order, over all shards.
    pub draws_per_class: Vec<u64>,
}

impl BatchStream {
    /// What the stream will send.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The next batch in order, `None` after the last; an error is the last thing that a stream gives.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Batch, Error>>> {
        self.account.asked();
        let taken = self.job.poll_take(context.waker());
        if self.job.wants_queue() {
            self.workers
                .enqueue(Arc::clone(&self.job) as Arc<dyn super::workers::Job>);
        }
        if let Poll::Ready(Some(Ok(batch))) = &taken {
            self.account.given(batch);
        }
        taken
    }

    /// The next batch in order, `None` after the last; an error is the last thing that a stream gives.
    pub async fn next(&mut self) -> Option<Result<Batch, Error>> {
        poll_fn(|context| self.poll_next(context)).await
    }
}

impl Drop for BatchStream {
    fn drop(&mut self) {
        self.job.close();
        let Account {
            batches,
            images,
            bytes,
            replaced,
            waiting_for_reader,
            waiting_for_batch,
            ..
        } = self.account;
        tracing::info!(
            dataset = self.description.spec.dataset,
            split = self.description.spec.split.name(),
            batches,
            images,
            bytes,
            replaced,
            waiting_for_reader_ms = waiting_for_reader.as_millis() as u64,
            waiting_for_batch_ms = waiting_for_batch.as_millis() as u64,
            "stream closed"
        );
    }
}

/// What a stream has sent, and who waited for whom.
#[derive(Debug, Default)]
pub(super) struct Account {
    batches: u64,
    images: u64,
    bytes: u64,
    replaced: u64,
    /// Time between the delivery of a batch and the demand for the next.
    waiting_for_reader: Duration,
    /// Time between a demand and its batch.
    waiting_for_batch: Duration,
    given: Option<Instant>,
    asked: Option<Instant>,
}

impl Account {
    fn asked(&mut self) {
        if self.asked.is_none() {
            let now = Instant::now();
            self.waiting_for_reader += self.given.map_or(Duration::ZERO, |given| now - given);
            self.asked = Some(now);
        }
    }

    fn given(&mut self, batch: &Batch) {
        let now = Instant::now();
        self.waiting_for_batch += self.asked.take().map_or(Duration::ZERO, |asked| now - asked);
        self.given = Some(now);
        self.batches += 1;
        self.images += batch.labels.len() as u64;
        self.bytes += batch.tensor.len() as u64;
        self.replaced += batch.replacements.len() as u64;
    }
}

/// One of the streams that the operator allows, free again when dropped.
#[derive(Debug)]
pub(super) struct Seat(Arc<AtomicUsize>);

impl Seat {
    pub(super) fn take(open: &Arc<AtomicUsize>, limit: usize) -> Result<Self, Error> {
        let one_more = |count| (count < limit).then_some(count + 1);
        match open.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more) {
            Ok(_) => Ok(Self(Arc::clone(open))),
            Err(_) => Err(Error::TooManyStreams { limit }),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
