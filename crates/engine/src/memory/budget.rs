//! A budget of bytes, shared by several users.

use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// A number of bytes from which streams take long-term permits, and decoders short-term ones. It only counts; it allocates nothing.
///
/// A reserve is not available to long-term permits, so that a short-term one is always granted in the end.
#[derive(Debug)]
pub struct Budget {
    bytes: u64,
    /// Bytes reserved for short-term permits.
    reserve: u64,
    used: Mutex<BudgetState>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct BudgetState {
    long_term: u64,
    short_term: u64,
    /// Ticket numbers of short-term requests: the next one, and the one that is served. In order, so that small requests do not starve a large one.
    arrived: u64,
    turn: u64,
}

/// Bytes taken from a [`Budget`]; released when dropped.
#[derive(Debug)]
pub struct Permit {
    bytes: u64,
    /// The owner's count of a long-term permit; `None` for a short-term one.
    owner: Option<Arc<AtomicU64>>,
    budget: Arc<Budget>,
}

impl Budget {
    /// A budget of `bytes` bytes, `reserve` of them for short-term permits.
    #[must_use]
    pub fn new(bytes: u64, reserve: u64) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            reserve: reserve.min(bytes),
            used: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// Maximum size of a short-term permit.
    #[must_use]
    pub fn reserve(&self) -> u64 {
        self.reserve
    }

    /// Bytes of long-term permits that `owner`, the count of its bytes, may still take.
    #[must_use]
    pub fn left_for(&self, owner: &AtomicU64) -> u64 {
        let left = self.bytes - self.reserve - self.lock().long_term;
        (left
            .saturating_mul(3)
            .saturating_sub(owner.load(Ordering::Relaxed)))
            / 4
    }

    /// Takes a long-term permit, if there is room. `owner` counts the bytes of one owner, which may hold at most three times what it leaves to
    /// others.
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

    /// Takes a long-term permit without an owner, and blocks until enough short-term permits are released. `None` if the long-term ones leave no
    /// room.
    #[must_use]
    pub fn take_unowned(self: &Arc<Self>, bytes: u64) -> Option<Permit> {
        let mut used = self.lock();
        let long_term = used.long_term.checked_add(bytes)?;
        if long_term > self.bytes - self.reserve {
            return None;
        }
        // Counted at once, so that no new short-term permit takes the bytes.
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

    /// Takes a short-term permit of `bytes`, at most the reserve. Blocks until it is free; requests are served in order.
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
        // There may be room for the next one as well.
        self.freed.notify_all();
        Permit {
            bytes,
            owner: None,
            budget: Arc::clone(self),
        }
    }

    /// Bytes of all permits.
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
    fn an_owner_leaves_a_part_to_others_and_owners_leave_the_reserve() {
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
    fn a_large_request_waits_for_room_and_is_not_overtaken() {
        let budget = Budget::new(100, 100);
        let (small, (done, order)) = (budget.take(60), mpsc::sync_channel(2));
        thread::scope(|scope| {
            for (number, bytes) in [(1, 90), (2, 30)] {
                let (budget, done) = (&budget, done.clone());
                scope.spawn(move || {
                    let permit = budget.take(bytes);
                    done.send(number).expect("the test receives");
                    drop(permit);
                });
                while budget.lock().arrived < number + 1 {
                    thread::yield_now();
                }
            }
            assert!(order.try_recv().is_err(), "both wait");
            drop(small);
            let timeout = Duration::from_secs(30);
            assert_eq!(
                (order.recv_timeout(timeout), order.recv_timeout(timeout)),
                (Ok(1), Ok(2))
            );
        });
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_permit_without_owner_waits_for_short_term_ones_and_leaves_the_reserve() {
        let budget = Budget::new(100, 40);
        assert!(budget.take_unowned(61).is_none(), "the reserve");
        let short_term = [budget.take(40), budget.take(40)];
        let (done, taken) = mpsc::sync_channel(1);
        thread::scope(|scope| {
            scope.spawn(|| done.send(budget.take_unowned(60)));
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
    fn a_request_beyond_the_reserve_takes_the_reserve() {
        let budget = Budget::new(100, 40);
        let permit = budget.take(1000);
        assert_eq!(budget.used(), 40);
        drop(permit);
    }
}
