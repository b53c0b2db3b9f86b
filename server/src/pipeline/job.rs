//! The half of a stream that the workers see: a window of batches that are being filled.
//!
//! Batches are opened in order, filled a piece at a time by whichever worker is free, and delivered in order. No more than `window`
//! batches are open; a reader that does not read stops its own stream and nothing else.

use std::{
    collections::VecDeque,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use super::{
    Error,
    batch::{Batch, Mixed, Replacement},
    mixing::partners,
    piece::{self, Done, Piece},
    position::Position,
    produce::Producer,
    turns::Share,
    workers::{self, Task},
};
use crate::{
    memory::{Pool, Remainder},
    sampling::{Plan, Slot},
};

/// What a [`Job`] is made from.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) producer: Producer,
    pub(super) plan: Plan,
    /// Batches that may be open at a time.
    pub(super) window: usize,
    /// What batches are written to. Where it is bounded, no batch is opened before there is a buffer for it.
    pub(super) buffers: Arc<Pool>,
}

/// A stream's work.
#[derive(Debug)]
pub(super) struct Job {
    work: Work,
    share: Share,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The batch to open next; `None` behind the last one.
    next: Option<Position>,
    /// Opened and not delivered, in order.
    open: VecDeque<Open>,
    /// Number of the batch at the front of `open`, counted from the start of the stream.
    front: u64,
    /// What nobody has claimed yet, with the number of its batch.
    unclaimed: VecDeque<(u64, Piece)>,
    /// Says that the job stands in the workers' queue or is in a worker's hand.
    is_queued: bool,
    /// Set when the reader has gone: no more work.
    is_closed: bool,
    /// The first batch that failed, by number.
    failure: Option<(u64, Error)>,
    waker: Option<Waker>,
}

/// A batch being filled.
#[derive(Debug)]
struct Open {
    position: Position,
    slots: Vec<Slot>,
    mixed: Option<Vec<Mixed>>,
    done: Vec<Option<Done>>,
    missing: usize,
    remainder: Remainder,
}

impl Job {
    pub(super) fn new(work: Work, start: Position) -> Self {
        let spec = &work.producer.spec;
        let first = spec.stride.first_from(start, work.plan.steps_per_epoch());
        let next = (first.epoch < u64::from(spec.epochs)).then_some(first);
        Self {
            share: Share::new(spec.weight),
            work,
            state: Mutex::new(State {
                next,
                ..State::default()
            }),
        }
    }

    /// The next batch in order; where it is not there yet, `waker` is called when it is.
    pub(super) fn poll_take(&self, waker: &Waker) -> Poll<Option<Result<Batch, Error>>> {
        let mut state = self.lock();
        let front = state.front;
        if let Some((_, error)) = state.failure.take_if(|(batch, _)| *batch == front) {
            state.close();
            return Poll::Ready(Some(Err(error)));
        }
        match state.open.front() {
            Some(open) if open.missing == 0 => {
                let open = state.open.pop_front().expect("there is a front");
                state.front += 1;
                drop(state);
                Poll::Ready(Some(Ok(self.join(open))))
            }
            None if state.next.is_none() || state.is_closed => Poll::Ready(None),
            _ => {
                state.waker = Some(waker.clone());
                Poll::Pending
            }
        }
    }

    /// Says that the job should be queued now, and takes it for queued.
    pub(super) fn wants_queue(&self) -> bool {
        let mut state = self.lock();
        let has_work = !state.unclaimed.is_empty() || self.may_open(&state);
        let wants = has_work && !state.is_queued && !state.is_closed && state.failure.is_none();
        state.is_queued |= wants;
        wants
    }

    /// Drops all work that is not begun.
    pub(super) fn close(&self) {
        let dropped = self.lock().close();
        drop(dropped);
    }

    fn may_open(&self, state: &State) -> bool {
        state.next.is_some() && state.open.len() < self.work.window && self.work.buffers.has_room()
    }

    /// Cuts the shard's part of the batch at `position` into pieces.
    fn open(&self, position: Position) -> (Open, Vec<Piece>) {
        let spec = &self.work.producer.spec;
        let slots = self.work.plan.batch(position.epoch, position.step);
        let partners = partners(spec, position, &slots);
        let (shard, batch) = (spec.shard, (&slots[..], &partners[..]));
        let count = shard.share(slots.len());
        let buffer = self.work.buffers.take().expect("others only give buffers back");
        let (chunks, remainder) = buffer.split(count, spec.tensor.image_bytes());
        let pieces = piece::pieces(position, batch, shard, chunks);
        let open = Open {
            position,
            mixed: piece::mixed(batch, shard, spec.tensor.size),
            slots: (0..count).map(|index| slots[shard.place(index)]).collect(),
            done: (0..count).map(|_| None).collect(),
            missing: count,
            remainder,
        };
        (open, pieces)
    }

    fn claim_piece(&self) -> Option<(u64, Piece)> {
        let mut state = self.lock();
        while state.unclaimed.is_empty() && state.failure.is_none() && self.may_open(&state) {
            let position = state.next.take().expect("a batch may be opened");
            let batch = state.front + state.open.len() as u64;
            let Ok((open, pieces)) = catch_unwind(AssertUnwindSafe(|| self.open(position))) else {
                state.fail(batch, panicked(position));
                break;
            };
            let (spec, steps) = (&self.work.producer.spec, self.work.plan.steps_per_epoch());
            let following = spec.stride.first_from(position.next(steps), steps);
            state.next = (following.epoch < u64::from(spec.epochs)).then_some(following);
            state.unclaimed = pieces.into_iter().map(|piece| (batch, piece)).collect();
            state.open.push_back(open);
        }
        let is_open = !state.is_closed && state.failure.is_none();
        let piece = if is_open {
            state.unclaimed.pop_front()
        } else {
            None
        };
        state.is_queued = piece.is_some();
        // A batch without images for this shard, or a failure, is news for the reader.
        let waker = if piece.is_none() { state.waker.take() } else { None };
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        piece
    }

    fn make(&self, batch: u64, piece: Piece) {
        let position = piece.position;
        let made = catch_unwind(AssertUnwindSafe(|| piece.make(&self.work.producer)));
        let mut state = self.lock();
        match made {
            Ok(Ok(made)) => {
                let place = batch.checked_sub(state.front).map(|place| place as usize);
                if let Some(open) = place.and_then(|place| state.open.get_mut(place)) {
                    open.missing -= made.len();
                    for done in made {
                        let index = done.index;
                        open.done[index] = Some(done);
                    }
                }
            }
            Ok(Err(error)) => state.fail(batch, error),
            Err(_panic) => state.fail(batch, panicked(position)),
        }
        let front_is_ready = state.open.front().is_some_and(|open| open.missing == 0);
        let waker = if front_is_ready || state.failure.is_some() {
            state.waker.take()
        } else {
            None
        };
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    fn join(&self, open: Open) -> Batch {
        let Open {
            position,
            slots,
            mixed,
            done,
            remainder,
            ..
        } = open;
        let done: Vec<Done> = done
            .into_iter()
            .map(|done| done.expect("no sample is missing"))
            .collect();
        let samples: Vec<u32> = done.iter().map(|done| done.sample).collect();
        let planned = slots.iter().map(|slot| slot.sample);
        let replacements = planned
            .zip(&samples)
            .enumerate()
            .filter(|(_, (planned, used))| planned != *used)
            .map(|(slot, (broken, _))| Replacement { slot, broken })
            .collect();
        let bytes = slots.len() * self.work.producer.spec.tensor.image_bytes();
        let tensor = remainder.join(done.into_iter().map(|done| done.chunk));
        Batch {
            position,
            next: position.next(self.work.plan.steps_per_epoch()),
            labels: slots.iter().map(|slot| slot.class).collect(),
            samples,
            mixed,
            replacements,
            offset: tensor.offset(),
            tensor: tensor.freeze(bytes),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Keeps the failure of the earliest batch: those before it are still delivered.
    fn fail(&mut self, batch: u64, error: Error) {
        if self.failure.as_ref().is_none_or(|(first, _)| batch < *first) {
            self.failure = Some((batch, error));
        }
    }

    /// Ends the stream, and returns what it held, to be dropped without the lock.
    fn close(&mut self) -> (VecDeque<Open>, VecDeque<(u64, Piece)>) {
        self.is_closed = true;
        self.next = None;
        self.waker = None;
        (mem::take(&mut self.open), mem::take(&mut self.unclaimed))
    }
}

impl workers::Job for Job {
    fn claim(self: Arc<Self>) -> Option<Task> {
        let (batch, piece) = self.claim_piece()?;
        Some(Box::new(move || {
            let before = processor_time();
            self.make(batch, piece);
            processor_time().saturating_sub(before)
        }))
    }

    fn share(&self) -> &Share {
        &self.share
    }
}

/// What this thread has had of a processor so far. Time that it spent waiting, for a disk or for a processor, is not in it.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn panicked(position: Position) -> Error {
    Error::WorkerPanicked {
        epoch: position.epoch,
        step: position.step,
    }
}
