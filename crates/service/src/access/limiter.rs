//! Limits a count, in all and per client.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::client_id::ClientId;

/// Counts permits by client. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ClientLimiter(Arc<LimiterState>);

#[derive(Debug)]
struct LimiterState {
    limit: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug)]
struct Taken {
    all: usize,
    by_client: HashMap<ClientId, usize>,
}

/// One of the counted things; released when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    client: ClientId,
    limiter: ClientLimiter,
}

/// Why no permit is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitExceeded {
    /// The total limit, this many, is reached.
    All(usize),
    /// The client has reached its own limit, this many.
    Share(usize),
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(limit) => write!(f, "{limit} are open, which is the limit"),
            Self::Share(limit) => write!(f, "this client has {limit} open, which is its limit"),
        }
    }
}

impl ClientLimiter {
    /// Allows `limit` permits in all.
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(LimiterState {
            limit,
            taken: Mutex::new(Taken {
                all: 0,
                by_client: HashMap::new(),
            }),
        }))
    }

    /// Acquires a permit for `client`, which may hold `share` of them.
    pub(crate) fn acquire(&self, client: ClientId, share: usize) -> Result<Permit, LimitExceeded> {
        self.acquire_below(self.0.limit, client, share)
    }

    /// Like [`ClientLimiter::acquire`], with another total limit.
    pub(crate) fn acquire_below(
        &self,
        limit: usize,
        client: ClientId,
        share: usize,
    ) -> Result<Permit, LimitExceeded> {
        let mut taken = self.lock();
        let own = taken.by_client.get(&client).copied().unwrap_or(0);
        if own >= share {
            return Err(LimitExceeded::Share(share));
        }
        if taken.all >= limit {
            return Err(LimitExceeded::All(limit));
        }
        taken.all += 1;
        taken.by_client.insert(client.clone(), own + 1);
        drop(taken);
        Ok(Permit {
            client,
            limiter: self.clone(),
        })
    }

    /// Permits held now.
    pub(crate) fn taken(&self) -> usize {
        self.lock().all
    }

    /// Permits held by each client, highest first.
    pub(crate) fn by_client(&self) -> Vec<(ClientId, usize)> {
        let taken = self.lock();
        let mut all: Vec<_> = taken
            .by_client
            .iter()
            .map(|(client, count)| (client.clone(), *count))
            .collect();
        drop(taken);
        all.sort_by_cached_key(|(client, count)| (std::cmp::Reverse(*count), client.to_string()));
        all
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The client that holds it.
    pub(crate) fn client(&self) -> &ClientId {
        &self.client
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.limiter.lock();
        taken.all -= 1;
        let own = taken.by_client.get_mut(&self.client).map(|own| {
            *own -= 1;
            *own
        });
        // Clients without a permit are removed, so that the map does not grow with every address ever seen.
        if own == Some(0) {
            taken.by_client.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_limited_in_all_and_per_client_and_released() {
        let limiter = ClientLimiter::new(3);
        let acquire = |name: &str| limiter.acquire(ClientId::Named(name.to_owned()), 2);
        let a = acquire("a").expect("a permit");
        let _a = acquire("a").expect("a permit");
        assert_eq!(acquire("a").unwrap_err(), LimitExceeded::Share(2));
        let _b = acquire("b").expect("a permit");
        assert_eq!(acquire("c").unwrap_err(), LimitExceeded::All(3));
        drop(a);
        let c = acquire("c").expect("a permit");
        drop(c);
        assert_eq!(limiter.lock().by_client.len(), 2, "c is removed");
    }
}
