use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A value that one thread computes and others wait for.
#[derive(Debug)]
pub(super) struct InFlight<V> {
    state: Mutex<InFlightState<V>>,
    completed: Condvar,
}

#[derive(Debug)]
enum InFlightState<V> {
    Pending,
    Done(Arc<V>),
    Failed,
}

impl<V> InFlight<V> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(InFlightState::Pending),
            completed: Condvar::new(),
        }
    }

    /// Blocks until the value is there; `None` if the computation failed.
    pub(super) fn wait(&self) -> Option<Arc<V>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_pending = |state: &mut InFlightState<V>| matches!(state, InFlightState::Pending);
        match &*self
            .completed
            .wait_while(state, is_pending)
            .unwrap_or_else(PoisonError::into_inner)
        {
            InFlightState::Done(value) => Some(Arc::clone(value)),
            InFlightState::Pending | InFlightState::Failed => None,
        }
    }

    /// Sets the value, or `None` for a failure, and wakes the waiting threads.
    pub(super) fn complete(&self, made: Option<Arc<V>>) {
        let state = made.map_or(InFlightState::Failed, InFlightState::Done);
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.completed.notify_all();
    }
}
