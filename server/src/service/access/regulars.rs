//! Clients that are known to be of use.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use super::gate::Guest;

/// As many are remembered.
const REMEMBERED: usize = 4096;

/// Clients that had a token or a stream. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::service) struct Regulars(Arc<Mutex<HashSet<Guest>>>);

impl Regulars {
    /// One more. Where that would be too many, those before are forgotten: whoever is still there is soon known again.
    pub(in crate::service) fn add(&self, guest: &Guest) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(guest) {
            if known.len() == REMEMBERED {
                known.clear();
            }
            known.insert(guest.clone());
        }
    }

    pub(in crate::service) fn has(&self, guest: &Guest) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(guest)
    }
}
