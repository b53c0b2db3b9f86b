//! A stream's side in the scheduler: a window of batches under construction.
//!
//! Batches are opened in order, rendered one sample at a time by any free worker, and delivered in order. At most `window` batches are open; a
//! reader that does not read stalls its own stream only. Identical streams [share](super::coalescer) their batches.

use std::{
    collections::VecDeque,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::Duration,
};

use super::{
    Error,
    batch::Batch,
    clients::{Client, OfClient},
    coalescer::SharedStream,
    fair_queue::{Flow, Weighted},
    mixing::{Plans, portion},
    pending_batch::{BatchMeta, PendingBatch},
    position::Position,
    sample_renderer::SampleRenderer,
    sample_task::{self, RenderedSample, SampleTask},
    sent_batches::SentBatches,
    task_state::TaskState,
    workers::{Claim, Schedulable, processor_time},
};
use crate::memory::Pool;

/// What a [`StreamTask`] is made from.
#[derive(Debug)]
pub(super) struct StreamParts {
    pub(super) renderer: SampleRenderer,
    pub(super) plans: Plans,
    /// Maximum number of batches that are open or sent and still referred to.
    pub(super) window: usize,
    pub(super) sent: Arc<SentBatches>,
    /// Buffers of the batches. If the pool is bounded, a batch is opened only when a buffer is free.
    pub(super) buffers: Arc<Pool>,
    /// The identical streams that batches are shared with; `None` if batches lie in memory shared with this stream's reader.
    pub(super) shared_stream: Option<Arc<SharedStream>>,
}

/// A stream in the scheduler.
#[derive(Debug)]
pub(super) struct StreamTask {
    parts: StreamParts,
    client: Arc<Client<Self>>,
    flow: Flow,
    state: Mutex<TaskState>,
}

/// A sample, its batch, and the index of that in this stream.
pub(super) type ClaimedSample = (u64, Arc<PendingBatch>, SampleTask);

impl StreamTask {
    /// A stream of `client` that begins at `start`.
    pub(super) fn new(parts: StreamParts, client: Arc<Client<Self>>, start: Position) -> Self {
        let spec = &parts.renderer.spec;
        let first = spec.stride.first_from(start, parts.plans.steps_per_epoch());
        let next = (first.epoch < u64::from(spec.epochs)).then_some(first);
        Self {
            flow: Flow::new(spec.weight),
            parts,
            client,
            state: Mutex::new(TaskState {
                next,
                ..TaskState::default()
            }),
        }
    }

    /// Takes the next batch in order. Also returns whether the stream has work and must be enqueued; then it is marked as queued.
    ///
    /// If the batch is not complete, `waker` is called when it is, or when the stream should be polled to enqueue work for it.
    pub(super) fn poll_take(&self, waker: &Waker) -> (Poll<Option<Result<Batch, Error>>>, bool) {
        let mut released = VecDeque::new();
        let mut state = self.lock();
        let taken = self.take_front(&mut state, waker, &mut released);
        let has_work = !state.is_queued
            && !state.is_closed
            && (state.within_reach().any(|pending| pending.has_work()) || self.may_open(&state));
        state.is_queued |= has_work;
        // Buffers are released outside the lock.
        drop(state);
        drop(released);
        (taken, has_work)
    }

    /// Takes the next batch in order. Batches that the stream no longer refers to go to `released`.
    fn take_front(
        &self,
        state: &mut TaskState,
        waker: &Waker,
        released: &mut VecDeque<Arc<PendingBatch>>,
    ) -> Poll<Option<Result<Batch, Error>>> {
        let front = state.front;
        if let Some((_, error)) = state.failure.take_if(|(batch, _)| *batch == front) {
            *released = state.close();
            return Poll::Ready(Some(Err(error)));
        }
        let shared_stream = self.parts.shared_stream.as_ref();
        let taken = match state.open.front() {
            None if state.next.is_none() || state.is_closed => return Poll::Ready(None),
            None => None,
            Some(pending) => match pending.poll_take(waker, shared_stream.is_none()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(taken) => taken,
            },
        };
        let Some(mut batch) = taken else {
            // Not open, or failed: the batch cannot call a waker.
            state.waker = Some(waker.clone());
            self.parts.sent.wake_on_release(waker);
            return Poll::Pending;
        };
        batch.tensor = self.parts.sent.track(batch.tensor);
        let pending = state.open.pop_front();
        state.front += 1;
        state.waker = None;
        match (pending, shared_stream) {
            (Some(pending), Some(shared_stream)) => *released = shared_stream.keep(pending),
            (pending, _) => released.extend(pending),
        }
        Poll::Ready(Some(Ok(batch)))
    }

    /// See [`SentBatches::start_counting`].
    pub(super) fn start_counting(&self) {
        self.parts.sent.start_counting();
    }

    /// Ends the stream: no further sample is claimed.
    pub(super) fn close(&self) {
        let dropped = self.lock().close();
        drop(dropped);
    }

    fn may_open(&self, state: &TaskState) -> bool {
        state.next.is_some()
            && state.failure.is_none()
            && state.open.len() + self.parts.sent.count() < self.parts.window
            && self.parts.buffers.has_room()
    }

    /// Plans the shard's part of the batch at `position` and takes a buffer for it.
    fn begin(&self, position: Position) -> PendingBatch {
        let spec = &self.parts.renderer.spec;
        let image_bytes = spec.tensor.image_bytes();
        let shard = spec.shard;
        let portion = portion(spec, &self.parts.plans, position, shard);
        let buffer = self.parts.buffers.take().expect("only this stream takes buffers");
        let (chunks, tail) = buffer.split(portion.slots.len(), image_bytes);
        let tasks = sample_task::sample_tasks(position, &portion, shard, chunks);
        let meta = BatchMeta {
            position,
            next: position.next(self.parts.plans.steps_per_epoch()),
            mixed: sample_task::mixed(&portion, spec.tensor.size),
            slots: portion.slots,
            image_bytes,
        };
        PendingBatch::new(meta, tasks, tail)
    }

    /// The batch at `position`, which an identical stream may have opened.
    fn open(&self, state: &mut TaskState, position: Position) -> Result<Arc<PendingBatch>, Error> {
        let before = processor_time();
        let begin = || self.begin(position);
        let opened = catch_unwind(AssertUnwindSafe(|| match &self.parts.shared_stream {
            Some(shared_stream) => shared_stream.join(position, begin),
            None => Arc::new(begin()),
        }));
        state.planning += processor_time().saturating_sub(before);
        opened.map_err(|_panic| panicked(position))
    }

    /// A sample to render, if there is one, and the CPU time spent on planning the batches that were opened for it.
    fn claim_sample(&self) -> (Duration, Option<ClaimedSample>) {
        let mut state = self.lock();
        let mut claimed = None;
        if !state.is_closed {
            claimed = self.claim_open(&mut state);
            while claimed.is_none() && self.may_open(&state) {
                self.open_next(&mut state);
                claimed = self.claim_open(&mut state);
            }
        }
        state.is_queued = claimed.is_some();
        let planning = mem::take(&mut state.planning);
        // A reader that waits for a batch to be opened is woken if it is already complete, or failed.
        let waker = state.waker.take();
        let waker = waker.filter(|waker| state.is_ready_or_register(waker));
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        (planning, claimed)
    }

    /// A sample of an open batch. Batches that an identical stream failed are opened again.
    fn claim_open(&self, state: &mut TaskState) -> Option<ClaimedSample> {
        for index in 0..state.within_reach().count() {
            let number = state.front + index as u64;
            if state.open[index].has_failed() {
                let position = state.open[index].position();
                match self.open(state, position) {
                    Ok(again) => state.open[index] = again,
                    Err(error) => {
                        state.fail(number, error);
                        return None;
                    }
                }
            }
            let pending = &state.open[index];
            if let Some(sample) = pending.claim() {
                return Some((number, Arc::clone(pending), sample));
            }
        }
        None
    }

    fn open_next(&self, state: &mut TaskState) {
        let position = state.next.take().expect("a batch may be opened");
        match self.open(state, position) {
            Ok(pending) => {
                let (spec, steps) = (&self.parts.renderer.spec, self.parts.plans.steps_per_epoch());
                let following = spec.stride.first_from(position.next(steps), steps);
                state.next = (following.epoch < u64::from(spec.epochs)).then_some(following);
                state.open.push_back(pending);
            }
            Err(error) => {
                let number = state.front + state.open.len() as u64;
                state.fail(number, error);
            }
        }
    }

    fn render(&self, (batch, pending, sample): ClaimedSample) {
        let position = sample.position;
        let made = catch_unwind(AssertUnwindSafe(|| sample.render(&self.parts.renderer)));
        let error = match made {
            Ok(Ok(mut made)) => {
                // Batches in shared memory are not sent, so they need no checksum.
                if self.parts.shared_stream.is_some() {
                    made.iter_mut().for_each(RenderedSample::compute_checksum);
                }
                return pending.fill(made).into_iter().for_each(Waker::wake);
            }
            Ok(Err(error)) => error,
            Err(_panic) => panicked(position),
        };
        // Before the other streams are woken, so that this stream's reader finds the error.
        self.lock().fail(batch, error);
        pending.fail().into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, TaskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Weighted for StreamTask {
    fn flow(&self) -> &Flow {
        &self.flow
    }
}

impl OfClient for StreamTask {
    fn client(&self) -> &Arc<Client<Self>> {
        &self.client
    }
}

impl Schedulable for StreamTask {
    type Job = ClaimedSample;

    fn claim(&self) -> Claim<ClaimedSample> {
        let (planning, job) = self.claim_sample();
        Claim { planning, job }
    }

    fn run(&self, claimed: ClaimedSample) -> Duration {
        let before = processor_time();
        self.render(claimed);
        processor_time().saturating_sub(before)
    }

    fn fail(&self) {
        let mut state = self.lock();
        // Stays marked as queued, so that it is never enqueued again.
        state.is_queued = true;
        let (front, position) = (state.front, state.next.unwrap_or_default());
        state.fail(front, panicked(position));
        let waker = state.waker.take();
        let open = state.open.front().map(Arc::clone);
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        // The reader may wait for the batch at the front.
        open.into_iter()
            .flat_map(|pending| pending.fail())
            .for_each(Waker::wake);
    }
}

fn panicked(position: Position) -> Error {
    Error::WorkerPanicked {
        epoch: position.epoch,
        step: position.step,
    }
}
