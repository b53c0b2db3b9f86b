//! Who may come in, and how much room is left.

use super::plan::Plan;
use super::{Key, Want};

/// Ended announcements that still count: train and valid of two runs. More would keep images of image sizes no longer used.
const REMEMBERED: usize = 4;

/// The books of a cache.
#[derive(Debug)]
pub(super) struct Ledger {
    budget: u64,
    images: u64,
    /// Bytes of resident images.
    resident: u64,
    /// Those of them that are not in the plan.
    outside: u64,
    plan: Plan,
    /// In the order in which they last ended.
    demands: Vec<Demand>,
}

/// What streams of one name announced.
#[derive(Debug)]
struct Demand {
    name: [u8; 32],
    streams: usize,
    wants: Vec<Want>,
}

impl Ledger {
    pub(super) fn new(budget: u64) -> Self {
        Self {
            budget,
            images: 0,
            resident: 0,
            outside: 0,
            plan: Plan::default(),
            demands: Vec::new(),
        }
    }

    pub(super) fn images(&self) -> u64 {
        self.images
    }

    pub(super) fn resident_bytes(&self) -> u64 {
        self.resident
    }

    pub(super) fn is_planned(&self, key: Key) -> bool {
        self.plan.keys.contains(&key)
    }

    /// Takes room for an image that is not resident yet. Returns whether there is room for it.
    pub(super) fn admit(&mut self, key: Key, bytes: u64) -> bool {
        let is_planned = self.plan.keys.contains(&key);
        // The plan's room stays free for the plan. An image larger than announced may find it short, and then stays out.
        let room = if is_planned {
            self.budget - self.resident
        } else {
            self.budget
                .saturating_sub(self.resident.max(self.plan.bytes + self.outside))
        };
        if bytes > room {
            return false;
        }
        self.images += 1;
        self.resident += bytes;
        if !is_planned {
            self.outside += bytes;
        }
        true
    }

    /// Notes that a stream begins. Returns whether that calls for a new plan.
    pub(super) fn begin(&mut self, name: [u8; 32], wants: impl FnOnce() -> Vec<Want>) -> bool {
        if let Some(demand) = self.demands.iter_mut().find(|demand| demand.name == name) {
            demand.streams += 1;
            return false;
        }
        self.demands.push(Demand {
            name,
            streams: 1,
            wants: wants(),
        });
        true
    }

    /// Notes that a stream ends.
    pub(super) fn end(&mut self, name: [u8; 32]) {
        let Some(at) = self.demands.iter().position(|demand| demand.name == name) else {
            return;
        };
        self.demands[at].streams -= 1;
        // To the end of the list: it ended last.
        let demand = self.demands.remove(at);
        self.demands.push(demand);
    }

    /// Plans for the streams that run and for those that ended last. Returns those of `residents`, all resident images with their
    /// bytes, that there is no room for; images outside of the plan stay where there is.
    pub(super) fn replan(&mut self, mut residents: Vec<(Key, u64)>) -> Vec<(Key, u64)> {
        self.forget();
        let wants = self
            .demands
            .iter()
            .flat_map(|demand| demand.wants.iter().copied());
        self.plan = Plan::new(self.budget, wants);
        self.outside = 0;
        residents.sort_unstable();
        let room = self.budget - self.plan.bytes;
        let has_no_room = |&(key, bytes): &(Key, u64)| {
            if self.plan.keys.contains(&key) {
                return false;
            }
            if self.outside + bytes > room {
                return true;
            }
            self.outside += bytes;
            false
        };
        residents.retain(has_no_room);
        self.images -= residents.len() as u64;
        self.resident -= residents.iter().map(|(_, bytes)| bytes).sum::<u64>();
        residents
    }

    /// Drops all ended demands but the last ones.
    fn forget(&mut self) {
        let ended = self.demands.iter().filter(|demand| demand.streams == 0).count();
        let mut surplus = ended.saturating_sub(REMEMBERED);
        self.demands.retain(|demand| {
            let goes = surplus > 0 && demand.streams == 0;
            surplus -= usize::from(goes);
            !goes
        });
    }
}
