//! The cache: its images, lookups and counters.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::{DashMap, Entry as MapEntry};

use super::admission::{Admission, PlanDiff};
use super::demand::{Key, StreamDemand};
use super::in_flight::InFlight;
use super::plan::{Catalog, Plan};
use crate::image::Image;

/// A value that a cache keeps.
pub trait Resident {
    /// Bytes of memory that it uses.
    fn byte_size(&self) -> u64;
}

impl Resident for Image {
    fn byte_size(&self) -> u64 {
        Image::byte_size(self) as u64
    }
}

/// A cache with a budget in bytes. See the documentation of [this module](super).
#[derive(Debug)]
pub struct Cache<V = Image> {
    budget: u64,
    slots: DashMap<Key, CacheEntry<V>>,
    // Locked when an image is admitted and when a stream begins or ends, never for a hit, and only briefly. Lock order: before a shard of `slots`.
    admission: Mutex<Admission>,
    // Held while a plan is computed; only other new registrations wait for it. Lock order: before `admission`.
    planning: Mutex<()>,
    hits: AtomicU64,
    shared: AtomicU64,
    misses: AtomicU64,
    rejections: AtomicU64,
}

#[derive(Debug)]
enum CacheEntry<V> {
    Resident(Arc<V>),
    Pending(Arc<InFlight<V>>),
}

/// Counters and size of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lookups that found the image.
    pub hits: u64,
    /// Lookups that waited for another thread's decode.
    pub shared: u64,
    /// Lookups that decoded the image, or failed to.
    pub misses: u64,
    /// Images that were decoded and not admitted.
    pub rejections: u64,
    /// Resident images.
    pub images: u64,
    /// Bytes of the resident images.
    pub bytes: u64,
    /// Maximum of `bytes`.
    pub budget: u64,
}

impl<V: Resident> Cache<V> {
    /// An empty cache of at most `budget` bytes. With 0 it keeps nothing, but still shares decodes in flight.
    #[must_use]
    pub fn new(budget: u64) -> Self {
        Self {
            budget,
            slots: DashMap::new(),
            admission: Mutex::new(Admission::new(budget)),
            planning: Mutex::default(),
            hits: AtomicU64::new(0),
            shared: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            rejections: AtomicU64::new(0),
        }
    }

    /// Maximum bytes of resident images.
    #[must_use]
    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// Registers the demand of a stream for as long as the result lives. `catalog` is called if no demand for the same catalog is known, or it may
    /// have changed. A few demands that ended last are remembered, so that alternating training and validation do not evict each other's images.
    ///
    /// If the name is new, takes time proportional to the number of images in the catalogs. Lookups do not wait for it.
    pub fn register(
        self: &Arc<Self>,
        demand: StreamDemand,
        catalog: impl FnOnce() -> Catalog,
    ) -> DemandGuard<V> {
        let registration = DemandGuard {
            cache: Arc::clone(self),
            name: demand.name,
        };
        if self.admission().join(&demand.name) {
            return registration;
        }
        let planning = self.planning.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have registered the same meanwhile.
        let mut admission = self.admission();
        if admission.join(&demand.name) {
            return registration;
        }
        let (known, has_room) = admission.catalog(&demand);
        drop(admission);
        let is_needed = known.is_none() || demand.is_changed;
        let catalog = if is_needed && (known.is_some() || has_room) {
            Some(Arc::new(catalog()))
        } else {
            known
        };
        let catalogs = self.admission().begin(demand, catalog);
        self.replan(&catalogs);
        drop(planning);
        registration
    }

    /// Plans for `catalogs`, and evicts what the plan has no room for.
    fn replan(&self, catalogs: &[(Arc<Catalog>, Vec<f64>)]) {
        let plan = Plan::new(self.budget, catalogs);
        let mut residents = self.residents();
        let recent: HashSet<Key> = self
            .admission()
            .admitted_since()
            .iter()
            .map(|(key, _)| *key)
            .collect();
        residents.retain(|(key, _)| !recent.contains(key));
        let diff = PlanDiff::new(self.budget, &plan, residents);
        // Removed first and subtracted afterwards, so that the budget is never exceeded.
        for (key, _) in &diff.evicted {
            self.slots.remove(key);
        }
        let mut admission = self.admission();
        for (key, _) in admission.apply(plan, &diff) {
            self.slots.remove(&key);
        }
    }

    /// The image of `key`: the resident one, the one that another thread is decoding, or the result of `make`. Blocks until it is there. If the
    /// other thread fails, by an error or a panic, this one calls `make` itself; failures are not cached.
    ///
    /// `make` must not look up the same key.
    ///
    /// # Errors
    ///
    /// That of `make`.
    pub fn get_or_insert_with<E>(&self, key: Key, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        loop {
            let in_flight = match self.look_up(key) {
                Lookup::Resident(image) => {
                    self.hits.fetch_add(1, Ordering::Relaxed);
                    return Ok(image);
                }
                Lookup::Vacant(leader) => {
                    self.misses.fetch_add(1, Ordering::Relaxed);
                    return Ok(leader.complete(Arc::new(make()?)));
                }
                Lookup::InFlight(in_flight) => in_flight,
            };
            self.shared.fetch_add(1, Ordering::Relaxed);
            if let Some(image) = in_flight.wait() {
                return Ok(image);
            }
        }
    }

    /// Whether the plan contains `key`, so that its image is decoded once.
    #[must_use]
    pub fn is_planned(&self, key: Key) -> bool {
        self.admission().plan().contains(key)
    }

    /// The current plan.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(self.admission().plan())
    }

    /// Its counters and size.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let admission = self.admission();
        Stats {
            hits: read(&self.hits),
            shared: read(&self.shared),
            misses: read(&self.misses),
            rejections: read(&self.rejections),
            images: admission.images(),
            bytes: admission.resident_bytes(),
            budget: self.budget,
        }
    }

    fn look_up(&self, key: Key) -> Lookup<'_, V> {
        // Hits take a read lock only.
        if let Some(slot) = self.slots.get(&key)
            && let CacheEntry::Resident(image) = &*slot
        {
            return Lookup::Resident(Arc::clone(image));
        }
        match self.slots.entry(key) {
            MapEntry::Occupied(slot) => match slot.get() {
                CacheEntry::Resident(image) => Lookup::Resident(Arc::clone(image)),
                CacheEntry::Pending(in_flight) => Lookup::InFlight(Arc::clone(in_flight)),
            },
            MapEntry::Vacant(slot) => {
                let in_flight = Arc::new(InFlight::new());
                slot.insert(CacheEntry::Pending(Arc::clone(&in_flight)));
                Lookup::Vacant(Leader {
                    cache: self,
                    key,
                    in_flight,
                    is_complete: false,
                })
            }
        }
    }

    fn residents(&self) -> Vec<(Key, u64)> {
        let resident = |slot: dashmap::mapref::multiple::RefMulti<'_, Key, CacheEntry<V>>| match slot.value()
        {
            CacheEntry::Resident(image) => Some((*slot.key(), image.byte_size())),
            CacheEntry::Pending(_) => None,
        };
        self.slots.iter().filter_map(resident).collect()
    }

    fn admission(&self) -> MutexGuard<'_, Admission> {
        // No panic can come between two changes that belong together, so the state is consistent even if the lock is poisoned.
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's demand, registered with a [`Cache`]; ends when dropped.
#[derive(Debug)]
#[must_use = "the registration ends when this is dropped"]
pub struct DemandGuard<V: Resident = Image> {
    cache: Arc<Cache<V>>,
    name: [u8; 32],
}

impl<V: Resident> Drop for DemandGuard<V> {
    fn drop(&mut self) {
        self.cache.admission().end(self.name);
    }
}

enum Lookup<'a, V: Resident> {
    Resident(Arc<V>),
    InFlight(Arc<InFlight<V>>),
    Vacant(Leader<'a, V>),
}

/// The one lookup that decodes an image that others may wait for. If it is dropped without an image, the others try themselves.
struct Leader<'a, V: Resident> {
    cache: &'a Cache<V>,
    key: Key,
    in_flight: Arc<InFlight<V>>,
    is_complete: bool,
}

impl<V: Resident> Leader<'_, V> {
    fn complete(mut self, image: Arc<V>) -> Arc<V> {
        let mut admission = self.cache.admission();
        if admission.admit(self.key, image.byte_size()) {
            self.cache
                .slots
                .insert(self.key, CacheEntry::Resident(Arc::clone(&image)));
        } else {
            self.cache.rejections.fetch_add(1, Ordering::Relaxed);
            self.cache.slots.remove(&self.key);
        }
        drop(admission);
        self.is_complete = true;
        self.in_flight.complete(Some(Arc::clone(&image)));
        image
    }
}

impl<V: Resident> Drop for Leader<'_, V> {
    fn drop(&mut self) {
        if !self.is_complete {
            self.cache.slots.remove(&self.key);
            self.in_flight.complete(None);
        }
    }
}

#[cfg(test)]
mod tests;
