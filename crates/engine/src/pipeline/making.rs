//! A batch that is being filled, by the workers of all streams that want it.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use super::{
    batch::{Batch, Mixed, Replacement},
    piece::{Done, Piece},
    position::Position,
};
use crate::{
    checksum::{crc32c, joined},
    memory::Remainder,
    sampling::Slot,
};

/// What is known of a batch before its pixels.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) position: Position,
    pub(super) next: Position,
    /// Of each image of the shard.
    pub(super) slots: Vec<Slot>,
    pub(super) mixed: Option<Vec<Mixed>>,
    pub(super) image_bytes: usize,
}

/// A batch in the making, or made.
///
/// Each piece is made once, by whichever stream's turn it is; all streams that hold the batch get it when the last piece is there. Where a
/// piece fails, the stream whose worker it was fails, and the others make the batch anew: its trouble may be nobody else's.
#[derive(Debug)]
pub(super) struct Making {
    outline: Outline,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    unclaimed: VecDeque<Piece>,
    done: Vec<Option<Done>>,
    missing: usize,
    /// `None` once the batch is made.
    remainder: Option<Remainder>,
    outcome: Outcome,
    /// Of those who wait for the outcome.
    wakers: Vec<Waker>,
}

#[derive(Debug)]
enum Outcome {
    Open,
    Made(Box<Batch>),
    Taken,
    Spoiled,
}

impl Making {
    /// A batch of `pieces`, whose chunks and `remainder` are its buffer.
    pub(super) fn new(outline: Outline, pieces: Vec<Piece>, remainder: Remainder) -> Self {
        let count = outline.slots.len();
        let making = Self {
            outline,
            state: Mutex::new(State {
                unclaimed: pieces.into(),
                done: (0..count).map(|_| None).collect(),
                missing: count,
                remainder: Some(remainder),
                outcome: Outcome::Open,
                wakers: vec![],
            }),
        };
        // A shard may have no image of a short batch.
        drop(making.fill(vec![]));
        making
    }

    pub(super) fn position(&self) -> Position {
        self.outline.position
    }

    /// A piece that nobody has claimed yet. Whoever claims it must [fill](Self::fill) it in or [spoil](Self::spoil) the batch.
    pub(super) fn claim(&self) -> Option<Piece> {
        self.lock().unclaimed.pop_front()
    }

    /// Says that there is something to claim.
    pub(super) fn has_pieces(&self) -> bool {
        !self.lock().unclaimed.is_empty()
    }

    /// Says that a piece of it failed: it will never be made.
    pub(super) fn is_spoiled(&self) -> bool {
        matches!(self.lock().outcome, Outcome::Spoiled)
    }

    /// Takes images that are made. Returns who is to be woken.
    #[must_use]
    pub(super) fn fill(&self, made: Vec<Done>) -> Vec<Waker> {
        let mut state = self.lock();
        if !matches!(state.outcome, Outcome::Open) {
            return vec![];
        }
        state.missing -= made.len();
        for done in made {
            let index = done.index;
            state.done[index] = Some(done);
        }
        if state.missing > 0 {
            return vec![];
        }
        let done = std::mem::take(&mut state.done);
        if let Some(remainder) = state.remainder.take() {
            state.outcome = Outcome::Made(Box::new(self.outline.join(done, remainder)));
        }
        std::mem::take(&mut state.wakers)
    }

    /// Gives the batch up. Returns who is to be woken.
    #[must_use]
    pub(super) fn spoil(&self) -> Vec<Waker> {
        let mut state = self.lock();
        state.outcome = Outcome::Spoiled;
        state.unclaimed.clear();
        state.done.clear();
        std::mem::take(&mut state.wakers)
    }

    /// Says whether it is made or spoiled; where not, `waker` is called when it is.
    pub(super) fn has_ended(&self, waker: &Waker) -> bool {
        let mut state = self.lock();
        let is_open = matches!(state.outcome, Outcome::Open);
        if is_open && !state.wakers.iter().any(|known| known.will_wake(waker)) {
            state.wakers.push(waker.clone());
        }
        !is_open
    }

    /// The batch, where it is made, for one of several who want it.
    pub(super) fn share(&self) -> Option<Batch> {
        match &self.lock().outcome {
            Outcome::Made(batch) => Some(Batch::clone(batch)),
            _ => None,
        }
    }

    /// The batch, where it is made, for the only one who wants it: nothing else refers to its bytes then, so that its buffer returns as soon
    /// as it is dropped.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.outcome, Outcome::Taken) {
            Outcome::Made(batch) => Some(*batch),
            other => {
                state.outcome = other;
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outline {
    /// The batch of images that are all there.
    fn join(&self, done: Vec<Option<Done>>, remainder: Remainder) -> Batch {
        let done: Vec<Done> = done
            .into_iter()
            .map(|done| done.expect("no sample is missing"))
            .collect();
        let samples: Vec<u32> = done.iter().map(|done| done.sample).collect();
        let planned = self.slots.iter().map(|slot| slot.sample);
        let replacements = planned
            .zip(&samples)
            .enumerate()
            .filter(|(_, (planned, used))| planned != *used)
            .map(|(slot, (broken, _))| Replacement { slot, broken })
            .collect();
        let checksum = done.iter().try_fold(crc32c(&[]), |first, image| {
            Some(joined(first, image.checksum?, self.image_bytes))
        });
        let tensor = remainder.join(done.into_iter().map(|done| done.chunk));
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
