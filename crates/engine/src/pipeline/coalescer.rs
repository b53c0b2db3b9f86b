//! Streams of the same batches, side by side: each batch is made once.
//!
//! A batch that one of them has begun is joined by the others, whose workers then help to fill it. It is kept for a while after somebody took
//! it, for those who are a little behind. Who is further behind makes it anew: nobody waits for anybody.

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

/// What streams have in common whose batches are the same, wherever they begin and end and whichever of them they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct StreamKey {
    /// Among those of the engine; its files do not change.
    pub(super) dataset: u32,
    pub(super) spec: SpecHash,
    pub(super) seed: u64,
    pub(super) shard: Shard,
}

/// All groups of twins of an engine. A stream without a twin is a group of one.
#[derive(Debug, Default)]
pub(super) struct StreamCoalescer(Mutex<HashMap<StreamKey, Weak<SharedStream>>>);

impl StreamCoalescer {
    /// The group of `key`, which keeps at most `capacity` batches that somebody took. It goes with the last stream that holds it.
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

/// Streams that share their batches.
#[derive(Debug)]
pub(super) struct SharedStream {
    capacity: usize,
    state: Mutex<SharedBatches>,
}

#[derive(Debug, Default)]
struct SharedBatches {
    /// All that somebody holds.
    begun: HashMap<Position, Weak<PendingBatch>>,
    /// Taken by somebody, the oldest first.
    kept: VecDeque<Arc<PendingBatch>>,
}

impl SharedStream {
    /// The batch at `position`: what somebody has begun, or what `begin` begins.
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

    /// Keeps a batch that one of several took.
    pub(super) fn keep(self: &Arc<Self>, pending: Arc<PendingBatch>) {
        let is_alone = Arc::strong_count(self) == 1;
        let mut state = self.lock();
        let mut dropped = VecDeque::new();
        if is_alone {
            dropped = mem::take(&mut state.kept);
        } else if !state.kept.iter().any(|kept| Arc::ptr_eq(kept, &pending)) {
            state.kept.push_back(pending);
            if state.kept.len() > self.capacity {
                dropped.extend(state.kept.pop_front());
            }
        }
        // Not under the lock.
        drop(state);
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, SharedBatches> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
