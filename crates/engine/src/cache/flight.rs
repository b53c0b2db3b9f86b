use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A thing being made by one thread, and waited for by others.
#[derive(Debug)]
pub(super) struct Flight<V> {
    outcome: Mutex<Outcome<V>>,
    landed: Condvar,
}

#[derive(Debug)]
enum Outcome<V> {
    Pending,
    Made(Arc<V>),
    Failed,
}

impl<V> Flight<V> {
    pub(super) fn begun() -> Self {
        Self {
            outcome: Mutex::new(Outcome::Pending),
            landed: Condvar::new(),
        }
    }

    /// Blocks until the flight has landed; `None` where there is nothing.
    pub(super) fn wait(&self) -> Option<Arc<V>> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let is_pending = |outcome: &mut Outcome<V>| matches!(outcome, Outcome::Pending);
        match &*self
            .landed
            .wait_while(outcome, is_pending)
            .unwrap_or_else(PoisonError::into_inner)
        {
            Outcome::Made(value) => Some(Arc::clone(value)),
            Outcome::Pending | Outcome::Failed => None,
        }
    }

    /// Ends the flight and wakes who waits for it.
    pub(super) fn land(&self, made: Option<Arc<V>>) {
        let outcome = made.map_or(Outcome::Failed, Outcome::Made);
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
        self.landed.notify_all();
    }
}
