//! A batch under construction, rendered by the workers of all streams that take it.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
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

    pub(super) fn has_unclaimed(&self) -> bool {
        !self.lock().unclaimed.is_empty()
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

    /// Whether it is complete or failed; if not, `waker` is called when it is.
    pub(super) fn has_ended(&self, waker: &Waker) -> bool {
        let mut state = self.lock();
        let is_open = matches!(state.outcome, BatchState::Open);
        if is_open && !state.wakers.iter().any(|known| known.will_wake(waker)) {
            state.wakers.push(waker.clone());
        }
        !is_open
    }

    /// A copy of the batch that shares its bytes, if it is complete.
    pub(super) fn share(&self) -> Option<Batch> {
        match &self.lock().outcome {
            BatchState::Made(batch) => Some(Batch::clone(batch)),
            _ => None,
        }
    }

    /// The batch, if it is complete, for the only stream that takes it: nothing else refers to its bytes, so that its buffer returns to the pool
    /// as soon as it is dropped.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.outcome, BatchState::Taken) {
            BatchState::Made(batch) => Some(*batch),
            other => {
                state.outcome = other;
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, FillState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
