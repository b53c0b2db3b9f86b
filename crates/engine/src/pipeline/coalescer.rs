//! Coalescing of identical concurrent streams: they share rendered batches.
//!
//! A batch that one of them has opened is joined by the others, whose workers help to render it. A delivered batch is kept for streams that are
//! a little behind; one that is further behind renders it again. No stream waits for another.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::{
    pending_batch::PendingBatch,
    position::{Position, SpecHash},
    spec::Shard,
};

/// Identifies streams with the same batches, whatever range or stride of them each takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct StreamKey {
    /// Index among the engine's datasets; the files of a dataset do not change.
    pub(super) dataset: u32,
    pub(super) spec: SpecHash,
    pub(super) seed: u64,
    pub(super) shard: Shard,
}

/// All shared streams of an engine. A stream without an identical one is a group of one.
#[derive(Debug, Default)]
pub(super) struct StreamCoalescer(Mutex<HashMap<StreamKey, Weak<SharedStream>>>);

impl StreamCoalescer {
    /// The shared stream of `key`, which keeps at most `capacity` delivered batches. It is dropped with the last stream that holds it.
    pub(super) fn group(&self, key: StreamKey, capacity: usize) -> Arc<SharedStream> {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        groups.retain(|_, group| group.strong_count() > 0);
        if let Some(group) = groups.get(&key).and_then(Weak::upgrade) {
            return group;
        }
        let group = Arc::new(SharedStream {
            capacity,
            state: Mutex::default(),
        });
        groups.insert(key, Arc::downgrade(&group));
        group
    }
}

/// What identical streams share.
#[derive(Debug)]
pub(super) struct SharedStream {
    capacity: usize,
    state: Mutex<SharedBatches>,
}

#[derive(Debug, Default)]
struct SharedBatches {
    /// Batches that a stream or `kept` refers to.
    begun: HashMap<Position, Weak<PendingBatch>>,
    /// Delivered to at least one stream, oldest first.
    kept: VecDeque<Arc<PendingBatch>>,
}

impl SharedStream {
    /// The batch at `position`: the one that another stream has opened, otherwise the result of `begin`.
    pub(super) fn join(&self, position: Position, begin: impl FnOnce() -> PendingBatch) -> Arc<PendingBatch> {
        let mut state = self.lock();
        let begun = state.begun.get(&position).and_then(Weak::upgrade);
        if let Some(pending) = begun.filter(|pending| !pending.has_failed()) {
            return pending;
        }
        let pending = Arc::new(begin());
        state.begun.retain(|_, pending| pending.strong_count() > 0);
        state.begun.insert(position, Arc::downgrade(&pending));
        pending
    }

    /// Keeps a delivered batch for streams that are behind, unless there is only one stream. Returns batches to drop, which releases their
    /// buffers.
    #[must_use]
    pub(super) fn keep(self: &Arc<Self>, pending: Arc<PendingBatch>) -> VecDeque<Arc<PendingBatch>> {
        let is_alone = Arc::strong_count(self) == 1;
        let mut state = self.lock();
        if is_alone {
            state.kept.push_back(pending);
            return mem::take(&mut state.kept);
        }
        let mut dropped = VecDeque::new();
        if !state.kept.iter().any(|kept| Arc::ptr_eq(kept, &pending)) {
            state.kept.push_back(pending);
            if state.kept.len() > self.capacity {
                dropped.extend(state.kept.pop_front());
            }
        }
        dropped
    }

    fn lock(&self) -> MutexGuard<'_, SharedBatches> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
