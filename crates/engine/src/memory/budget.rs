//! Bytes that several parts of a program share.

use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// A number of bytes, of which some are taken for long, by streams, and some for a moment, by decoders. It counts, and allocates nothing.
///
/// A part is kept free of what is taken for long, so that there is always room for a decoder, and whoever waits for it gets it.
#[derive(Debug)]
pub struct Budget {
    bytes: u64,
    /// Kept for what is taken for a moment.
    reserve: u64,
    used: Mutex<BudgetState>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct BudgetState {
    long_term: u64,
    short_term: u64,
    /// Numbers of those who came for a moment, and of the one whose turn it is: in order, or small demands would keep a large one waiting.
    arrived: u64,
    turn: u64,
}

/// Bytes that are taken, free again when dropped.
#[derive(Debug)]
pub struct Permit {
    bytes: u64,
    /// What its owner took for long; `None` where it is for a moment.
    owner: Option<Arc<AtomicU64>>,
    budget: Arc<Budget>,
}

impl Budget {
    /// `bytes` bytes, `reserve` of them for what is taken for a moment.
    #[must_use]
    pub fn new(bytes: u64, reserve: u64) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            reserve: reserve.min(bytes),
            used: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// Bytes that can be taken for a moment, at most.
    #[must_use]
    pub fn reserve(&self) -> u64 {
        self.reserve
    }

    /// Bytes that `owner`, which counts what one owner took, may still take for long.
    #[must_use]
    pub fn left_for(&self, owner: &AtomicU64) -> u64 {
        let left = self.bytes - self.reserve - self.lock().long_term;
        (left
            .saturating_mul(3)
            .saturating_sub(owner.load(Ordering::Relaxed)))
            / 4
    }

    /// Takes `bytes` for long, where they are free. `owner` counts what one owner took: that may be three times what it leaves to others, so
    /// that nobody takes all.
    #[must_use]
    pub fn try_take(self: &Arc<Self>, bytes: u64, owner: &Arc<AtomicU64>) -> Option<Permit> {
        let mut used = self.lock();
        let room = (self.bytes - self.reserve).checked_sub(used.long_term)?;
        let left = room.checked_sub(bytes)?;
        let own = owner.load(Ordering::Relaxed).saturating_add(bytes);
        if own > left.saturating_mul(3) || used.short_term > self.bytes - (used.long_term + bytes) {
            return None;
        }
        used.long_term += bytes;
        owner.fetch_add(bytes, Ordering::Relaxed);
        Some(Permit {
            bytes,
            owner: Some(Arc::clone(owner)),
            budget: Arc::clone(self),
        })
    }

    /// Takes `bytes` for long for nobody in particular, and waits until as much of what is taken for a moment is free again. `None` if what is
    /// taken for long leaves less.
    #[must_use]
    pub fn take_for_all(self: &Arc<Self>, bytes: u64) -> Option<Permit> {
        let mut used = self.lock();
        let long_term = used.long_term.checked_add(bytes)?;
        if long_term > self.bytes - self.reserve {
            return None;
        }
        // At once, so that no others take it for a moment.
        used.long_term = long_term;
        let is_short = |used: &mut BudgetState| used.long_term + used.short_term > self.bytes;
        drop(
            self.freed
                .wait_while(used, is_short)
                .unwrap_or_else(PoisonError::into_inner),
        );
        Some(Permit {
            bytes,
            owner: Some(Arc::new(AtomicU64::new(bytes))),
            budget: Arc::clone(self),
        })
    }

    /// Takes `bytes` for a moment, at most the reserve. Blocks until they are free: those who came before are first.
    #[must_use]
    pub fn take(self: &Arc<Self>, bytes: u64) -> Permit {
        let bytes = bytes.min(self.reserve);
        let mut used = self.lock();
        let number = used.arrived;
        used.arrived += 1;
        let waits = |used: &mut BudgetState| {
            used.turn != number || used.long_term + used.short_term > self.bytes - bytes
        };
        used = self
            .freed
            .wait_while(used, waits)
            .unwrap_or_else(PoisonError::into_inner);
        used.turn += 1;
        used.short_term += bytes;
        drop(used);
        // For the next one there may be room as well.
        self.freed.notify_all();
        Permit {
            bytes,
            owner: None,
            budget: Arc::clone(self),
        }
    }

    /// Bytes that are taken now.
    #[must_use]
    pub fn used(&self) -> u64 {
        let used = self.lock();
        used.long_term + used.short_term
    }

    fn lock(&self) -> MutexGuard<'_, BudgetState> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut used = self.budget.lock();
        match &self.owner {
            Some(owner) => {
                used.long_term -= self.bytes;
                owner.fetch_sub(self.bytes, Ordering::Relaxed);
            }
            None => used.short_term -= self.bytes,
        }
        drop(used);
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use super::*;

    #[test]
    fn an_owner_leaves_a_part_to_others_and_all_leave_the_reserve() {
        let budget = Budget::new(1200, 200);
        let (one, other) = (Arc::default(), Arc::default());
        assert_eq!(budget.left_for(&one), 750);
        let first = budget.try_take(750, &one).expect("three quarters");
        assert_eq!((budget.left_for(&one), budget.left_for(&other)), (0, 187));
        assert!(budget.try_take(1, &one).is_none(), "its part");
        let second = budget.try_take(187, &other).expect("three quarters of the rest");
        assert!(budget.try_take(64, &Arc::default()).is_none(), "the reserve");
        assert_eq!(budget.used(), 937);
        drop(first);
        assert!(budget.try_take(750, &one).is_none());
        drop(second);
        assert!(budget.try_take(750, &one).is_some());
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn whoever_needs_much_waits_for_room_and_is_not_overtaken() {
        let budget = Budget::new(100, 100);
        let (small, (done, order)) = (budget.take(60), mpsc::sync_channel(2));
        thread::scope(|scope| {
            for (number, bytes) in [(1, 90), (2, 30)] {
                let (budget, done) = (&budget, done.clone());
                scope.spawn(move || {
                    let permit = budget.take(bytes);
                    done.send(number).expect("the test listens");
                    drop(permit);
                });
                while budget.lock().arrived < number + 1 {
                    thread::yield_now();
                }
            }
            assert!(order.try_recv().is_err(), "both wait");
            drop(small);
            let patience = Duration::from_secs(30);
            assert_eq!(
                (order.recv_timeout(patience), order.recv_timeout(patience)),
                (Ok(1), Ok(2))
            );
        });
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_taken_for_all_waits_for_those_of_a_moment_and_leaves_the_reserve() {
        let budget = Budget::new(100, 40);
        assert!(budget.take_for_all(61).is_none(), "the reserve");
        let short_term = [budget.take(40), budget.take(40)];
        let (done, taken) = mpsc::sync_channel(1);
        thread::scope(|scope| {
            scope.spawn(|| done.send(budget.take_for_all(60)));
            while budget.used() < 140 {
                thread::yield_now();
            }
            assert!(taken.try_recv().is_err(), "it waits");
            drop(short_term);
            let permit = taken.recv_timeout(Duration::from_secs(30)).expect("room");
            assert!(permit.is_some());
            assert_eq!(budget.used(), 60);
        });
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn more_than_there_is_takes_all_there_is() {
        let budget = Budget::new(100, 40);
        let permit = budget.take(1000);
        assert_eq!(budget.used(), 40);
        drop(permit);
    }
}
