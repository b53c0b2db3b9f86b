//! Admission: demands, the plan, and the bytes in use.

use std::sync::Arc;

use super::demand::{Key, StreamDemand};
use super::plan::{Catalog, Plan};

/// Ended demands that still count: train and valid of two runs. More would keep images of sizes that are no longer used.
const REMEMBERED: usize = 4;

/// Maximum number of catalogs that are planned for, so that requests for ever other sizes cannot fill the memory with catalogs. Images of other
/// catalogs are admitted if the plan leaves room.
const CATALOGS: usize = 32;

/// Decides what a cache admits, and counts its bytes.
#[derive(Debug)]
pub(super) struct Admission {
    budget: u64,
    images: u64,
    /// Bytes of resident images.
    resident: u64,
    /// Of these, bytes of images that are not in the plan.
    outside: u64,
    plan: Arc<Plan>,
    /// Ordered by when a stream of theirs last ended.
    demands: Vec<DemandEntry>,
    /// While a plan is computed: images admitted since that began.
    admitted_since: Option<Vec<(Key, u64)>>,
}

/// The demand of the streams of one name.
#[derive(Debug)]
struct DemandEntry {
    demand: StreamDemand,
    streams: usize,
    /// `None` if there are too many catalogs.
    catalog: Option<Arc<Catalog>>,
}

/// What a new plan changes for the resident images.
#[derive(Debug, Default)]
pub(super) struct PlanDiff {
    /// Evicted images, with their bytes.
    pub(super) evicted: Vec<(Key, u64)>,
    /// Bytes of the images outside the plan that stay.
    outside: u64,
}

impl PlanDiff {
    /// Compares `residents`, keys and bytes, with a new plan: images outside it stay if it leaves room.
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

    /// Reserves room for an image that is not resident. Returns whether it is admitted.
    pub(super) fn admit(&mut self, key: Key, bytes: u64) -> bool {
        let is_planned = self.plan.contains(key);
        // Room of planned images is kept for them. An image larger than registered may find too little and is then not admitted.
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

    /// Adds a stream to the demand `name`. Returns whether it is known.
    pub(super) fn join(&mut self, name: &[u8; 32]) -> bool {
        let mut demands = self.demands.iter_mut();
        let known = demands.find(|entry| entry.demand.name == *name);
        known.map(|entry| entry.streams += 1).is_some()
    }

    /// The catalog that other demands draw from, and whether a new one may be made.
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

    /// Adds a new demand before a plan is computed. Returns the catalogs to plan for, with the draws of all demands.
    pub(super) fn begin(
        &mut self,
        demand: StreamDemand,
        catalog: Option<Arc<Catalog>>,
    ) -> Vec<(Arc<Catalog>, Vec<f64>)> {
        // A newer catalog replaces an older one of the same id.
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

    /// Images admitted since [`Admission::begin`].
    pub(super) fn admitted_since(&self) -> &[(Key, u64)] {
        self.admitted_since.as_deref().unwrap_or_default()
    }

    /// Uses `plan` from now on; `diff` is what it changes for the images that were resident before [`Admission::begin`]. Returns the images admitted
    /// since then that it has no room for.
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

    /// Removes a stream from the demand `name`.
    pub(super) fn end(&mut self, name: [u8; 32]) {
        let mut demands = self.demands.iter();
        let Some(at) = demands.position(|entry| entry.demand.name == name) else {
            return;
        };
        self.demands[at].streams -= 1;
        // It ended last: to the end of the list.
        let demand = self.demands.remove(at);
        self.demands.push(demand);
    }

    /// Drops all but the last ended demands.
    fn forget(&mut self) {
        let ended = self.demands.iter().filter(|entry| entry.streams == 0).count();
        let mut surplus = ended.saturating_sub(REMEMBERED);
        self.demands.retain(|entry| {
            let goes = surplus > 0 && entry.streams == 0;
            surplus -= usize::from(goes);
            !goes
        });
    }
}
