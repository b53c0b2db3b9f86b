//! Waiting until every open stream has ended.

use std::sync::Arc;

use tokio::sync::watch;

/// Counts open streams.
#[derive(Clone, Debug)]
pub(super) struct Guests(Arc<watch::Sender<usize>>);

/// An open stream.
#[derive(Debug)]
pub(super) struct Guest(Arc<watch::Sender<usize>>);

impl Guests {
    /// Nobody yet.
    pub(super) fn none() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// One more, until the value is dropped.
    pub(super) fn enter(&self) -> Guest {
        self.0.send_modify(|open| *open += 1);
        Guest(Arc::clone(&self.0))
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until there are none.
    pub(super) async fn gone(&self) {
        let mut open = self.0.subscribe();
        open.wait_for(|open| *open == 0)
            .await
            .expect("the sender is held by self");
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}
