//! Clients that have shown to be legitimate, for which connections are reserved.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use super::client_id::ClientId;

/// Capacity of the set.
const MAX_KNOWN: usize = 4096;

/// Clients that had a valid token or a stream. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownClients(Arc<Mutex<HashSet<ClientId>>>);

impl KnownClients {
    /// Adds a client. When the capacity is reached, the set is cleared first: active clients are soon added again.
    pub(crate) fn add(&self, client: &ClientId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(client) {
            if known.len() == MAX_KNOWN {
                known.clear();
            }
            known.insert(client.clone());
        }
    }

    pub(crate) fn contains(&self, client: &ClientId) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(client)
    }
}
