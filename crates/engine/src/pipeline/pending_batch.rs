//! A batch under construction, rendered by the workers of all streams that take it.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use super::{
    batch::{Batch, Mixed, Replacement},
    position::Position,
    sample_task::{RenderedSample, SampleTask},
};
use crate::{
    checksum::{crc32c, joined},
    memory::BufferTail,
    sampling::Slot,
};

/// Metadata of a batch, known before its pixels.
#[derive(Debug)]
pub(super) struct BatchMeta {
    pub(super) position: Position,
    pub(super) next: Position,
    /// One per image of the shard.
    pub(super) slots: Vec<Slot>,
    pub(super) mixed: Option<Vec<Mixed>>,
    pub(super) image_bytes: usize,
}

/// A batch under construction, or complete.
///
/// Each sample is rendered once, by whichever stream claims it; all streams that hold the batch get it when the last sample is done. If a
/// sample fails, the stream that claimed it fails, and the others open the batch again, since the error may concern that stream only.
#[derive(Debug)]
pub(super) struct PendingBatch {
    meta: BatchMeta,
    state: Mutex<FillState>,
}

#[derive(Debug)]
struct FillState {
    unclaimed: VecDeque<SampleTask>,
    rendered: Vec<Option<RenderedSample>>,
    missing: usize,
    /// `None` once the batch is complete.
    tail: Option<BufferTail>,
    outcome: BatchState,
    /// Of the readers that wait for the batch.
    wakers: Vec<Waker>,
}

#[derive(Debug)]
enum BatchState {
    Open,
    Made(Box<Batch>),
    Taken,
    Failed,
}

impl PendingBatch {
    /// A batch of `tasks`, whose chunks and `tail` are its buffer.
    pub(super) fn new(meta: BatchMeta, tasks: Vec<SampleTask>, tail: BufferTail) -> Self {
        let count = meta.slots.len();
        let pending = Self {
            meta,
            state: Mutex::new(FillState {
                unclaimed: tasks.into(),
                rendered: (0..count).map(|_| None).collect(),
                missing: count,
                tail: Some(tail),
                outcome: BatchState::Open,
                wakers: vec![],
            }),
        };
        // A shard may have no image of a short batch.
        drop(pending.fill(vec![]));
        pending
    }

    pub(super) fn position(&self) -> Position {
        self.meta.position
    }

    /// A sample that is not claimed yet. The caller must then [`fill`](Self::fill) it in or [`fail`](Self::fail) the batch.
    pub(super) fn claim(&self) -> Option<SampleTask> {
        self.lock().unclaimed.pop_front()
    }

    /// Whether there is a sample to claim, or the batch failed and is to be opened again.
    pub(super) fn has_work(&self) -> bool {
        let state = self.lock();
        !state.unclaimed.is_empty() || matches!(state.outcome, BatchState::Failed)
    }

    /// Whether one of its samples failed: it will never be complete.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.lock().outcome, BatchState::Failed)
    }

    /// Adds rendered samples. Returns the wakers to call.
    #[must_use]
    pub(super) fn fill(&self, rendered_now: Vec<RenderedSample>) -> Vec<Waker> {
        let mut state = self.lock();
        if !matches!(state.outcome, BatchState::Open) {
            return vec![];
        }
        state.missing -= rendered_now.len();
        for rendered in rendered_now {
            let index = rendered.index;
            state.rendered[index] = Some(rendered);
        }
        if state.missing > 0 {
            return vec![];
        }
        let rendered = std::mem::take(&mut state.rendered);
        if let Some(tail) = state.tail.take() {
            state.outcome = BatchState::Made(Box::new(self.meta.join(rendered, tail)));
        }
        std::mem::take(&mut state.wakers)
    }

    /// Gives the batch up. Returns the wakers to call.
    #[must_use]
    pub(super) fn fail(&self) -> Vec<Waker> {
        let mut state = self.lock();
        state.outcome = BatchState::Failed;
        state.unclaimed.clear();
        state.rendered.clear();
        std::mem::take(&mut state.wakers)
    }

    /// The batch, or `None` if it failed; until either, `waker` is called when it is.
    ///
    /// Moved out if `is_only`: if nothing else refers to its bytes, its buffer returns to the pool as soon as they are dropped. Otherwise a copy
    /// that shares its bytes.
    pub(super) fn poll_take(&self, waker: &Waker, is_only: bool) -> Poll<Option<Batch>> {
        let mut state = self.lock();
        match &state.outcome {
            BatchState::Open => {
                state.wake_at_end(waker);
                Poll::Pending
            }
            BatchState::Made(batch) if !is_only => Poll::Ready(Some(Batch::clone(batch))),
            _ => match std::mem::replace(&mut state.outcome, BatchState::Taken) {
                BatchState::Made(batch) => Poll::Ready(Some(*batch)),
                other => {
                    state.outcome = other;
                    Poll::Ready(None)
                }
            },
        }
    }

    /// Whether it is complete or failed; until then, `waker` is called when it is.
    pub(super) fn has_ended(&self, waker: &Waker) -> bool {
        let mut state = self.lock();
        let is_open = matches!(state.outcome, BatchState::Open);
        if is_open {
            state.wake_at_end(waker);
        }
        !is_open
    }

    fn lock(&self) -> MutexGuard<'_, FillState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FillState {
    fn wake_at_end(&mut self, waker: &Waker) {
        if !self.wakers.iter().any(|known| known.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
    }
}

impl BatchMeta {
    /// Assembles the batch from all of its samples.
    fn join(&self, rendered: Vec<Option<RenderedSample>>, tail: BufferTail) -> Batch {
        let rendered: Vec<RenderedSample> = rendered
            .into_iter()
            .map(|rendered| rendered.expect("no sample is missing"))
            .collect();
        let samples: Vec<u32> = rendered.iter().map(|rendered| rendered.sample).collect();
        let planned = self.slots.iter().map(|slot| slot.sample);
        let replacements = planned
            .zip(&samples)
            .enumerate()
            .filter(|(_, (planned, used))| planned != *used)
            .map(|(slot, (broken, _))| Replacement { slot, broken })
            .collect();
        let checksum = rendered.iter().try_fold(crc32c(&[]), |first, image| {
            Some(joined(first, image.checksum?, self.image_bytes))
        });
        let tensor = tail.join(rendered.into_iter().map(|rendered| rendered.chunk));
        Batch {
            position: self.position,
            next: self.next,
            labels: self.slots.iter().map(|slot| slot.class).collect(),
            samples,
            mixed: self.mixed.clone(),
            replacements,
            checksum,
            offset: tensor.offset(),
            tensor: tensor.freeze(self.slots.len() * self.image_bytes),
        }
    }
}
