//! Limits the memory of incomplete requests.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tonic::Status;

/// Maximum of incomplete messages of one connection, in bytes.
const CONNECTION_BYTES: usize = 1 << 20;

/// A memory budget in bytes. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl Budget {
    /// The budget of one connection.
    pub(super) fn of_connection() -> Self {
        Self::new(CONNECTION_BYTES)
    }

    /// A budget of `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        let used = Arc::default();
        Self { used, limit }
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.is_ok()
    }
}

/// Bytes taken from some budgets, returned when dropped.
#[derive(Debug)]
pub(super) struct HeldBytes {
    budgets: Vec<Budget>,
    bytes: usize,
}

impl HeldBytes {
    /// None yet, of `budgets`.
    pub(super) fn of(budgets: impl IntoIterator<Item = Budget>) -> Self {
        Self {
            budgets: budgets.into_iter().collect(),
            bytes: 0,
        }
    }

    /// The number of bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more bytes of all budgets, or of none.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Status> {
        for (index, budget) in self.budgets.iter().enumerate() {
            if !budget.take(bytes) {
                give_back(&self.budgets[..index], bytes);
                return Err(Status::resource_exhausted(format!(
                    "incomplete requests exceed the limit of {} bytes: finish some first",
                    budget.limit
                )));
            }
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Returns all bytes.
    pub(super) fn give_back(&mut self) {
        give_back(&self.budgets, std::mem::take(&mut self.bytes));
    }
}

fn give_back(budgets: &[Budget], bytes: usize) {
    for budget in budgets {
        budget.used.fetch_sub(bytes, Ordering::AcqRel);
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_shared_and_returned() {
        let (small, large) = (Budget::new(10), Budget::new(100));
        let held = |bytes: usize| {
            let mut held = HeldBytes::of([large.clone(), small.clone()]);
            held.take(bytes).map(|()| held)
        };
        let first = held(8).expect("room");
        assert!(held(3).is_err());
        assert_eq!(
            large.used.load(Ordering::Relaxed),
            8,
            "a refused request takes nothing"
        );
        drop(first);
        assert!(held(10).is_ok());
        assert_eq!(small.used.load(Ordering::Relaxed), 0);
    }
}
