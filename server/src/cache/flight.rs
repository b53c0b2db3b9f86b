use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::image::Image;

/// An image being made by one thread, and waited for by others.
#[derive(Debug, Default)]
pub(super) struct Flight {
    outcome: Mutex<Outcome>,
    landed: Condvar,
}

#[derive(Debug, Default)]
enum Outcome {
    #[default]
    Pending,
    Made(Arc<Image>),
    Failed,
}

impl Flight {
    /// Blocks until the flight has landed; `None` where there is no image.
    pub(super) fn wait(&self) -> Option<Arc<Image>> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let is_pending = |outcome: &mut Outcome| matches!(outcome, Outcome::Pending);
        match &*self
            .landed
            .wait_while(outcome, is_pending)
            .unwrap_or_else(PoisonError::into_inner)
        {
            Outcome::Made(image) => Some(Arc::clone(image)),
            Outcome::Pending | Outcome::Failed => None,
        }
    }

    /// Ends the flight and wakes who waits for it.
    pub(super) fn land(&self, image: Option<Arc<Image>>) {
        let outcome = image.map_or(Outcome::Failed, Outcome::Made);
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
        self.landed.notify_all();
    }
}
