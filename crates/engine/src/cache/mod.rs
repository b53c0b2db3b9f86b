//! Decoded images, as many as fit.
//!
//! Three rules make it:
//!
//! 1. **The budget is hard.** The resident images never take more bytes than the budget; room is taken before an image is let in. (An
//!    image that was let go while somebody still works on it lives until that is done; those are bounded by the worker threads.)
//! 2. **Nothing is evicted for being old.** Under shuffled epochs every image is wanted again before long, so each replacement costs
//!    as much as it saves. What is let in is decided ahead, by *plan*: each stream [registers](Cache::register) how often an epoch
//!    draws which images and how large they are, and the images with most draws per byte that fit are let in, whenever they come. A
//!    rare class, drawn ten times an epoch, comes before all others, and the resident set does not depend on the order of arrival.
//!    Only a new plan lets images go, and only those that it has no room for. Plans are made beside the cache, which goes on by the old one
//!    meanwhile; and what they are made from is one [`Catalog`] for all streams that draw from the same images.
//! 3. **A decode in flight is shared** by all who want its image.
//!
//! Images outside of every plan are let in where the plan leaves room.
//!
//! The same rules keep [`Encoded`] files in a second tier, whose budget and plan are its own: those of images that the first has no room
//! for, so that they are decoded each time, and read once.
//!
//! # Source
//!
//! No eviction: MinIO, in Mohan et al., Analyzing and Mitigating Data Stalls in DNN Training, VLDB 2021.

mod admission;
mod encoded;
mod in_flight;
mod plan;

pub use encoded::Encoded;
pub use plan::{Catalog, Plan};

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::{DashMap, Entry as MapEntry};

use self::admission::{Admission, PlanDiff};
use self::in_flight::InFlight;
use crate::dataset::Split;
use crate::image::Image;

/// Which image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Place of the dataset among all that share the cache.
    pub dataset: u32,
    /// Sample id.
    pub sample: u32,
    /// Short side that the image was shrunk to; `None` as decoded.
    pub short_side: Option<u32>,
}

/// What a cache keeps.
pub trait Resident {
    /// Bytes of memory that it takes.
    fn byte_size(&self) -> u64;
}

impl Resident for Image {
    fn byte_size(&self) -> u64 {
        Image::byte_size(self) as u64
    }
}

/// A cache with a budget in bytes. See the documentation of [this module](self).
#[derive(Debug)]
pub struct Cache<V = Image> {
    budget: u64,
    slots: DashMap<Key, CacheEntry<V>>,
    // Locked when an image comes in and when a stream begins or ends, never for a hit, and never for long. Always before a shard of `slots`.
    admission: Mutex<Admission>,
    // Held while a plan is made, which nobody waits for but others who announce something new. Always before `admission`.
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

/// What a stream is going to draw.
#[derive(Clone, Debug)]
pub struct StreamDemand {
    /// A hash of all that the rest depends on: equal names draw the same from the same catalog.
    pub name: [u8; 32],
    /// What is drawn from.
    pub source: CatalogId,
    /// Expected draws of each image in an epoch, by class of the catalog. Those that are not positive are not wanted.
    pub draws: Vec<f64>,
    /// Whether the catalog of the source may be another one than it was.
    pub is_changed: bool,
}

/// Names what is in a [`Catalog`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CatalogId {
    /// Place of the dataset among all that share the cache.
    pub dataset: u32,
    /// Part of the dataset.
    pub split: Split,
    /// Short side that its images are shrunk to; `None` as decoded.
    pub short_side: Option<u32>,
}

/// What happened so far, and what is there now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Images found resident.
    pub hits: u64,
    /// Images found being decoded by somebody else.
    pub shared: u64,
    /// Images decoded, or tried to.
    pub misses: u64,
    /// Images decoded and not let in.
    pub rejections: u64,
    /// Images resident now.
    pub images: u64,
    /// Bytes they take.
    pub bytes: u64,
    /// Bytes they may take.
    pub budget: u64,
}

impl<V: Resident> Cache<V> {
    /// An empty cache that keeps at most `budget` bytes. With 0 it keeps nothing, and still shares decodes.
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

    /// Bytes that it keeps at most.
    #[must_use]
    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// Announces what a stream is going to draw, for as long as the result lives. `catalog` is called where nobody announced to draw from the
    /// same source, or the announcement is that of changed contents. A few announcements that ended last are remembered, so that training and
    /// validation in turn do not push out each other's images.
    ///
    /// Takes time in proportion to the images in the catalogs where the name is new. Those who look for images meanwhile do not wait.
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
        // Somebody else may have announced the same meanwhile.
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

    /// Plans for `catalogs`, and lets go what there is no room for.
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
        // Out of memory first, and out of the books then: the budget is hard.
        for (key, _) in &diff.evicted {
            self.slots.remove(key);
        }
        let mut admission = self.admission();
        for (key, _) in admission.apply(plan, &diff) {
            self.slots.remove(&key);
        }
    }

    /// The image of `key`: the resident one, or the one that another thread is making at the moment, or the result of `make`. Blocks
    /// while it is made. Where another thread fails to make it, by an error or a panic, this one tries itself; a failure is not kept.
    ///
    /// `make` must not ask for the same key.
    ///
    /// # Errors
    ///
    /// That of `make`.
    pub fn get_or_insert_with<E>(&self, key: Key, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        loop {
            let in_flight = match self.look_up(key) {
                Lookup::Image(image) => {
                    self.hits.fetch_add(1, Ordering::Relaxed);
                    return Ok(image);
                }
                Lookup::Nothing(leader) => {
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

    /// Whether there is room for `key` in the plan, so that it is made once.
    #[must_use]
    pub fn is_planned(&self, key: Key) -> bool {
        self.admission().plan().contains(key)
    }

    /// The images that there is room for.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(self.admission().plan())
    }

    /// What happened so far.
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
        // A read lock is enough for the common case.
        if let Some(slot) = self.slots.get(&key)
            && let CacheEntry::Resident(image) = &*slot
        {
            return Lookup::Image(Arc::clone(image));
        }
        match self.slots.entry(key) {
            MapEntry::Occupied(slot) => match slot.get() {
                CacheEntry::Resident(image) => Lookup::Image(Arc::clone(image)),
                CacheEntry::Pending(in_flight) => Lookup::InFlight(Arc::clone(in_flight)),
            },
            MapEntry::Vacant(slot) => {
                let in_flight = Arc::new(InFlight::begun());
                slot.insert(CacheEntry::Pending(Arc::clone(&in_flight)));
                Lookup::Nothing(Leader {
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
        // Nothing panics between two changes that belong together, so a poisoned ledger is a right one.
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's announcement to a [`Cache`]. Ends with its life.
#[derive(Debug)]
#[must_use = "the announcement ends when this is dropped"]
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
    Image(Arc<V>),
    InFlight(Arc<InFlight<V>>),
    Nothing(Leader<'a, V>),
}

/// The duty to make an image that others may wait for. Dropped without an image, it lets them go.
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
