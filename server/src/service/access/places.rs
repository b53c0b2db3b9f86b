//! Places for a bounded number, in all and for each guest.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::gate::Guest;

/// Counts places taken, by guest. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::service) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug)]
struct Taken {
    all: usize,
    by_guest: HashMap<Guest, usize>,
}

/// A place, free again when dropped.
#[derive(Debug)]
pub(in crate::service) struct Place {
    guest: Guest,
    places: Places,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Full {
    /// All are taken, this many.
    All(usize),
    /// The guest has this many, its share.
    Share(usize),
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(limit) => write!(f, "{limit} are open, which is the limit"),
            Self::Share(limit) => write!(f, "this client has {limit} open, which is its limit"),
        }
    }
}

impl Places {
    /// So many in all.
    pub(in crate::service) fn new(limit: usize) -> Self {
        Self(Arc::new(Shared {
            limit,
            taken: Mutex::new(Taken {
                all: 0,
                by_guest: HashMap::new(),
            }),
        }))
    }

    /// A place for `guest`, who may have `share` of them.
    pub(in crate::service) fn take(&self, guest: Guest, share: usize) -> Result<Place, Full> {
        self.take_below(self.0.limit, guest, share)
    }

    /// As [`Places::take`], if fewer than `limit` are taken.
    pub(in crate::service) fn take_below(
        &self,
        limit: usize,
        guest: Guest,
        share: usize,
    ) -> Result<Place, Full> {
        let mut taken = self.lock();
        let own = taken.by_guest.get(&guest).copied().unwrap_or(0);
        if own >= share {
            return Err(Full::Share(share));
        }
        if taken.all >= limit {
            return Err(Full::All(limit));
        }
        taken.all += 1;
        taken.by_guest.insert(guest.clone(), own + 1);
        drop(taken);
        Ok(Place {
            guest,
            places: self.clone(),
        })
    }

    /// How many are taken.
    pub(in crate::service) fn taken(&self) -> usize {
        self.lock().all
    }

    /// How many each guest has who has one, most first.
    pub(in crate::service) fn by_guest(&self) -> Vec<(Guest, usize)> {
        let taken = self.lock();
        let mut all: Vec<_> = taken
            .by_guest
            .iter()
            .map(|(guest, count)| (guest.clone(), *count))
            .collect();
        drop(taken);
        all.sort_by_cached_key(|(guest, count)| (std::cmp::Reverse(*count), guest.to_string()));
        all
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whose it is.
    pub(in crate::service) fn guest(&self) -> &Guest {
        &self.guest
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all -= 1;
        let own = taken.by_guest.get_mut(&self.guest).map(|own| {
            *own -= 1;
            *own
        });
        // A guest without a place is forgotten, or the map would grow with every address ever seen.
        if own == Some(0) {
            taken.by_guest.remove(&self.guest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_by_guest_and_come_back() {
        let places = Places::new(3);
        let take = |name: &str| places.take(Guest::Named(name.to_owned()), 2);
        let a = take("a").expect("a place");
        let _a = take("a").expect("a place");
        assert_eq!(take("a").unwrap_err(), Full::Share(2));
        let _b = take("b").expect("a place");
        assert_eq!(take("c").unwrap_err(), Full::All(3));
        drop(a);
        let c = take("c").expect("a place");
        drop(c);
        assert_eq!(places.lock().by_guest.len(), 2, "c is forgotten");
    }
}
