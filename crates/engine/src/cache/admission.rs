//! Who may come in, and how much room is left.

use std::sync::Arc;

use super::plan::{Catalog, Plan};
use super::{Key, StreamDemand};

/// Ended announcements that still count: train and valid of two runs. More would keep images of image sizes no longer used.
const REMEMBERED: usize = 4;

/// Catalogs that are planned for, at most, so that requests for ever other sizes cannot fill the memory with them. What is drawn from others
/// is let in where the plan leaves room.
const CATALOGS: usize = 32;

/// The books of a cache.
#[derive(Debug)]
pub(super) struct Admission {
    budget: u64,
    images: u64,
    /// Bytes of resident images.
    resident: u64,
    /// Those of them that are not in the plan.
    outside: u64,
    plan: Arc<Plan>,
    /// In the order in which they last ended.
    demands: Vec<DemandEntry>,
    /// While a plan is made: what was let in since that began.
    admitted_since: Option<Vec<(Key, u64)>>,
}

/// What streams of one name announced.
#[derive(Debug)]
struct DemandEntry {
    demand: StreamDemand,
    streams: usize,
    /// `None` where there are too many.
    catalog: Option<Arc<Catalog>>,
}

/// What becomes of images when a new plan is made.
#[derive(Debug, Default)]
pub(super) struct PlanDiff {
    /// Images that are let go, with their bytes.
    pub(super) evicted: Vec<(Key, u64)>,
    /// Bytes of those outside of the plan that stay.
    outside: u64,
}

impl PlanDiff {
    /// Holds `residents`, resident images with their bytes, against a new plan: those outside of it stay where it leaves room.
    pub(super) fn new(budget: u64, plan: &Plan, mut residents: Vec<(Key, u64)>) -> Self {
        residents.retain(|(key, _)| !plan.contains(*key));
        let room = budget - plan.bytes;
        let mut outside: u64 = residents.iter().map(|(_, bytes)| bytes).sum();
        if outside <= room {
            return Self {
                evicted: vec![],
                outside,
            };
        }
        outside = 0;
        residents.sort_unstable();
        residents.retain(|(_, bytes)| {
            let goes = outside + bytes > room;
            outside += if goes { 0 } else { *bytes };
            goes
        });
        Self {
            evicted: residents,
            outside,
        }
    }
}

impl Admission {
    pub(super) fn new(budget: u64) -> Self {
        Self {
            budget,
            images: 0,
            resident: 0,
            outside: 0,
            plan: Arc::default(),
            demands: Vec::new(),
            admitted_since: None,
        }
    }

    pub(super) fn images(&self) -> u64 {
        self.images
    }

    pub(super) fn resident_bytes(&self) -> u64 {
        self.resident
    }

    pub(super) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Takes room for an image that is not resident yet. Returns whether there is room for it.
    pub(super) fn admit(&mut self, key: Key, bytes: u64) -> bool {
        let is_planned = self.plan.contains(key);
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
        if let Some(admitted_since) = &mut self.admitted_since {
            admitted_since.push((key, bytes));
        }
        true
    }

    /// Notes that a stream of a known name begins. Returns whether the name is known.
    pub(super) fn join(&mut self, name: &[u8; 32]) -> bool {
        let mut demands = self.demands.iter_mut();
        let known = demands.find(|entry| entry.demand.name == *name);
        known.map(|entry| entry.streams += 1).is_some()
    }

    /// The catalog that others announced to draw from, and whether there may be one where they did not.
    pub(super) fn catalog(&self, demand: &StreamDemand) -> (Option<Arc<Catalog>>, bool) {
        let mut of_others = self
            .demands
            .iter()
            .filter(|entry| entry.demand.source == demand.source);
        let known = of_others.find_map(|entry| entry.catalog.clone());
        let mut sources: Vec<_> = self
            .demands
            .iter()
            .filter(|entry| entry.catalog.is_some())
            .map(|entry| entry.demand.source)
            .collect();
        sources.sort_unstable();
        sources.dedup();
        (known, sources.len() < CATALOGS)
    }

    /// Notes that a first stream of its name begins, and that a plan is going to be made. Returns what to make it from.
    pub(super) fn begin(
        &mut self,
        demand: StreamDemand,
        catalog: Option<Arc<Catalog>>,
    ) -> Vec<(Arc<Catalog>, Vec<f64>)> {
        // A newer catalog of the same source is better than an older one.
        for entry in &mut self.demands {
            if entry.demand.source == demand.source {
                entry.catalog.clone_from(&catalog);
            }
        }
        self.demands.push(DemandEntry {
            demand,
            streams: 1,
            catalog,
        });
        self.forget();
        self.admitted_since = Some(vec![]);
        let mut wanted: Vec<(Arc<Catalog>, Vec<f64>)> = vec![];
        for entry in &self.demands {
            let Some(catalog) = &entry.catalog else { continue };
            let draws = &entry.demand.draws;
            match wanted.iter_mut().find(|(known, _)| Arc::ptr_eq(known, catalog)) {
                Some((_, sums)) => sums.iter_mut().zip(draws).for_each(|(sum, draws)| *sum += draws),
                None => wanted.push((Arc::clone(catalog), draws.clone())),
            }
        }
        wanted
    }

    /// What was let in since [`Admission::begin`].
    pub(super) fn admitted_since(&self) -> &[(Key, u64)] {
        self.admitted_since.as_deref().unwrap_or_default()
    }

    /// Goes by `plan` from now on, by which all that was resident before [`Admission::begin`] was `diff`. Returns those let in since that there
    /// is no room for.
    pub(super) fn apply(&mut self, plan: Plan, diff: &PlanDiff) -> Vec<(Key, u64)> {
        let room = self.budget - plan.bytes;
        self.outside = diff.outside;
        let mut admitted_since = self.admitted_since.take().unwrap_or_default();
        admitted_since.retain(|&(key, bytes)| {
            if plan.contains(key) {
                return false;
            }
            let goes = self.outside + bytes > room;
            self.outside += if goes { 0 } else { bytes };
            goes
        });
        for (_, bytes) in diff.evicted.iter().chain(&admitted_since) {
            self.images -= 1;
            self.resident -= bytes;
        }
        self.plan = Arc::new(plan);
        admitted_since
    }

    /// Notes that a stream ends.
    pub(super) fn end(&mut self, name: [u8; 32]) {
        let mut demands = self.demands.iter();
        let Some(at) = demands.position(|entry| entry.demand.name == name) else {
            return;
        };
        self.demands[at].streams -= 1;
        // To the end of the list: it ended last.
        let demand = self.demands.remove(at);
        self.demands.push(demand);
    }

    /// Drops all ended demands but the last ones.
    fn forget(&mut self) {
        let ended = self.demands.iter().filter(|entry| entry.streams == 0).count();
        let mut surplus = ended.saturating_sub(REMEMBERED);
        self.demands.retain(|demand| {
            let goes = surplus > 0 && demand.streams == 0;
            surplus -= usize::from(goes);
            !goes
        });
    }
}
