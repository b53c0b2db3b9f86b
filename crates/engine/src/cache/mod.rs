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

mod encoded;
mod flight;
mod ledger;
mod plan;

pub use encoded::Encoded;
pub use plan::{Catalog, Plan};

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::{DashMap, Entry};

use self::flight::Flight;
use self::ledger::{Ledger, Settled};
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
    slots: DashMap<Key, Slot<V>>,
    // Locked when an image comes in and when a stream begins or ends, never for a hit, and never for long. Always before a shard of `slots`.
    ledger: Mutex<Ledger>,
    // Held while a plan is made, which nobody waits for but others who announce something new. Always before `ledger`.
    planning: Mutex<()>,
    hits: AtomicU64,
    shared: AtomicU64,
    misses: AtomicU64,
    refusals: AtomicU64,
}

#[derive(Debug)]
enum Slot<V> {
    Resident(Arc<V>),
    Pending(Arc<Flight<V>>),
}

/// What a stream is going to draw.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// A hash of all that the rest depends on: equal names draw the same from the same catalog.
    pub name: [u8; 32],
    /// What is drawn from.
    pub source: Source,
    /// Expected draws of each image in an epoch, by class of the catalog. Those that are not positive are not wanted.
    pub draws: Vec<f64>,
    /// Whether the catalog of the source may be another one than it was.
    pub is_changed: bool,
}

/// Names what is in a [`Catalog`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
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
    pub refusals: u64,
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
            ledger: Mutex::new(Ledger::new(budget)),
            planning: Mutex::default(),
            hits: AtomicU64::new(0),
            shared: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
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
        announcement: Announcement,
        catalog: impl FnOnce() -> Catalog,
    ) -> Registration<V> {
        let registration = Registration {
            cache: Arc::clone(self),
            name: announcement.name,
        };
        if self.ledger().join(&announcement.name) {
            return registration;
        }
        let planning = self.planning.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have announced the same meanwhile.
        let mut ledger = self.ledger();
        if ledger.join(&announcement.name) {
            return registration;
        }
        let (known, has_room) = ledger.catalog(&announcement);
        drop(ledger);
        let is_needed = known.is_none() || announcement.is_changed;
        let catalog = if is_needed && (known.is_some() || has_room) {
            Some(Arc::new(catalog()))
        } else {
            known
        };
        let catalogs = self.ledger().begin(announcement, catalog);
        self.replan(&catalogs);
        drop(planning);
        registration
    }

    /// Plans for `catalogs`, and lets go what there is no room for.
    fn replan(&self, catalogs: &[(Arc<Catalog>, Vec<f64>)]) {
        let plan = Plan::new(self.budget, catalogs);
        let mut residents = self.residents();
        let recent: HashSet<Key> = self.ledger().since().iter().map(|(key, _)| *key).collect();
        residents.retain(|(key, _)| !recent.contains(key));
        let settled = Settled::new(self.budget, &plan, residents);
        // Out of memory first, and out of the books then: the budget is hard.
        for (key, _) in &settled.let_go {
            self.slots.remove(key);
        }
        let mut ledger = self.ledger();
        for (key, _) in ledger.adopt(plan, &settled) {
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
            let flight = match self.look_up(key) {
                Found::Image(image) => {
                    self.hits.fetch_add(1, Ordering::Relaxed);
                    return Ok(image);
                }
                Found::Nothing(lead) => {
                    self.misses.fetch_add(1, Ordering::Relaxed);
                    return Ok(lead.land(Arc::new(make()?)));
                }
                Found::Flight(flight) => flight,
            };
            self.shared.fetch_add(1, Ordering::Relaxed);
            if let Some(image) = flight.wait() {
                return Ok(image);
            }
        }
    }

    /// Whether there is room for `key` in the plan, so that it is made once.
    #[must_use]
    pub fn is_planned(&self, key: Key) -> bool {
        self.ledger().plan().contains(key)
    }

    /// The images that there is room for.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(self.ledger().plan())
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let ledger = self.ledger();
        Stats {
            hits: read(&self.hits),
            shared: read(&self.shared),
            misses: read(&self.misses),
            refusals: read(&self.refusals),
            images: ledger.images(),
            bytes: ledger.resident_bytes(),
            budget: self.budget,
        }
    }

    fn look_up(&self, key: Key) -> Found<'_, V> {
        // A read lock is enough for the common case.
        if let Some(slot) = self.slots.get(&key)
            && let Slot::Resident(image) = &*slot
        {
            return Found::Image(Arc::clone(image));
        }
        match self.slots.entry(key) {
            Entry::Occupied(slot) => match slot.get() {
                Slot::Resident(image) => Found::Image(Arc::clone(image)),
                Slot::Pending(flight) => Found::Flight(Arc::clone(flight)),
            },
            Entry::Vacant(slot) => {
                let flight = Arc::new(Flight::begun());
                slot.insert(Slot::Pending(Arc::clone(&flight)));
                Found::Nothing(Lead {
                    cache: self,
                    key,
                    flight,
                    has_landed: false,
                })
            }
        }
    }

    fn residents(&self) -> Vec<(Key, u64)> {
        let resident = |slot: dashmap::mapref::multiple::RefMulti<'_, Key, Slot<V>>| match slot.value() {
            Slot::Resident(image) => Some((*slot.key(), image.byte_size())),
            Slot::Pending(_) => None,
        };
        self.slots.iter().filter_map(resident).collect()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Nothing panics between two changes that belong together, so a poisoned ledger is a right one.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's announcement to a [`Cache`]. Ends with its life.
#[derive(Debug)]
#[must_use = "the announcement ends when this is dropped"]
pub struct Registration<V: Resident = Image> {
    cache: Arc<Cache<V>>,
    name: [u8; 32],
}

impl<V: Resident> Drop for Registration<V> {
    fn drop(&mut self) {
        self.cache.ledger().end(self.name);
    }
}

enum Found<'a, V: Resident> {
    Image(Arc<V>),
    Flight(Arc<Flight<V>>),
    Nothing(Lead<'a, V>),
}

/// The duty to make an image that others may wait for. Dropped without an image, it lets them go.
struct Lead<'a, V: Resident> {
    cache: &'a Cache<V>,
    key: Key,
    flight: Arc<Flight<V>>,
    has_landed: bool,
}

impl<V: Resident> Lead<'_, V> {
    fn land(mut self, image: Arc<V>) -> Arc<V> {
        let mut ledger = self.cache.ledger();
        if ledger.admit(self.key, image.byte_size()) {
            self.cache
                .slots
                .insert(self.key, Slot::Resident(Arc::clone(&image)));
        } else {
            self.cache.refusals.fetch_add(1, Ordering::Relaxed);
            self.cache.slots.remove(&self.key);
        }
        drop(ledger);
        self.has_landed = true;
        self.flight.land(Some(Arc::clone(&image)));
        image
    }
}

impl<V: Resident> Drop for Lead<'_, V> {
    fn drop(&mut self) {
        if !self.has_landed {
            self.cache.slots.remove(&self.key);
            self.flight.land(None);
        }
    }
}

#[cfg(test)]
mod tests;
