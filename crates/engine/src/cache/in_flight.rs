use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A thing being made by one thread, and waited for by others.
#[derive(Debug)]
pub(super) struct InFlight<V> {
    state: Mutex<InFlightState<V>>,
    completed: Condvar,
}

#[derive(Debug)]
enum InFlightState<V> {
    Pending,
    Made(Arc<V>),
    Failed,
}

impl<V> InFlight<V> {
    pub(super) fn begun() -> Self {
        Self {
            state: Mutex::new(InFlightState::Pending),
            completed: Condvar::new(),
        }
    }

    /// Blocks until the flight has landed; `None` where there is nothing.
    pub(super) fn wait(&self) -> Option<Arc<V>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_pending = |state: &mut InFlightState<V>| matches!(state, InFlightState::Pending);
        match &*self
            .completed
            .wait_while(state, is_pending)
            .unwrap_or_else(PoisonError::into_inner)
        {
            InFlightState::Made(value) => Some(Arc::clone(value)),
            InFlightState::Pending | InFlightState::Failed => None,
        }
    }

    /// Ends the flight and wakes who waits for it.
    pub(super) fn complete(&self, made: Option<Arc<V>>) {
        let state = made.map_or(InFlightState::Failed, InFlightState::Made);
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.completed.notify_all();
    }
}
