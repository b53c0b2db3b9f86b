//! The plan of a split: [`Plan::batch`] maps epoch and step to samples.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    Balance, Error, Permutation, QuotaChange, Quotas, apportion,
    epoch::{ClassShares, EpochLayout, Quota},
};
use crate::random::{Purpose, key};

/// Treatment of the images that do not fill a last batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LastBatch {
    /// They are left out of this epoch. Which images these are rotates from epoch to epoch.
    Drop,
    /// They make a short batch.
    Keep,
    /// The batch is filled by further draws, in the proportions of the epoch.
    Wrap,
}

/// The order of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// A different one in each epoch, with exact class counts in every batch.
    Shuffled,
    /// By sample id, each image once, the same in every epoch.
    Sequential,
}

/// The inputs of a [`Plan`].
#[derive(Clone, Debug)]
pub struct PlanSpec {
    /// Sample ids of the split by class, in label order.
    pub members: Arc<[Vec<u32>]>,
    /// How often each class is drawn.
    pub balance: Balance,
    /// Images in an epoch; `None` for the sum that the balance gives.
    pub images_per_epoch: Option<u64>,
    /// Images in a global batch.
    pub batch_size: u32,
    /// Treatment of a last, short batch.
    pub last_batch: LastBatch,
    /// Shuffled or sequential.
    pub order: Order,
    /// Seeds the order.
    pub seed: u64,
}

/// One image of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Sample id.
    pub sample: u32,
    /// Its class.
    pub class: u32,
    /// Position in the epoch: `step * batch_size + slot`. Keys the sample's augmentation.
    pub position: u64,
    /// Number of earlier uses of the sample in this epoch: 0 for the first.
    pub repetition: u64,
}

/// One draw of a class, before it has a slot in a batch.
#[derive(Clone, Copy, Debug)]
struct ClassDraw {
    sample: u32,
    class: u32,
    repetition: u64,
}

impl ClassDraw {
    fn at(self, position: u64) -> Slot {
        let Self {
            sample,
            class,
            repetition,
        } = self;
        Slot {
            sample,
            class,
            position,
            repetition,
        }
    }
}

/// Maps epoch and step to the samples of a batch. See the [module documentation](super) for what is exact.
///
/// # Determinism
///
/// A pure function of its [`PlanSpec`]. A batch takes time proportional to its size and the logarithm of the epoch's; the first batch of an epoch
/// also takes time proportional to the number of classes.
#[derive(Debug)]
pub struct Plan {
    spec: PlanSpec,
    /// Draws per class, over all batches.
    quotas: Quotas,
    /// Full batches in an epoch.
    full_steps: u64,
    /// Images in an epoch, over all batches.
    images: u64,
    /// The draws of the first epoch: of all epochs, unless a schedule changes them.
    first: Arc<EpochDraws>,
    /// All sample ids with their class, in order; empty unless the order is sequential.
    sequence: Vec<(u32, u32)>,
    /// The epoch that was used last.
    last: Mutex<Option<Arc<PlannedEpoch>>>,
}

/// The draws per class of an epoch, divided into full batches and a short last one.
#[derive(Debug)]
struct EpochDraws {
    draws: Vec<u64>,
    shares: ClassShares,
    /// The short last batch, if there is one.
    tail: Vec<Quota>,
}

impl EpochDraws {
    fn new(draws: Vec<u64>, full_steps: u64, batch_size: u64) -> Self {
        let in_full_batches = full_steps * batch_size;
        let full = if draws.iter().sum::<u64>() == in_full_batches {
            draws.clone()
        } else {
            largest_remainder(in_full_batches, &draws)
        };
        let mut tail = vec![];
        for (class, (&draws, &first)) in draws.iter().zip(&full).enumerate() {
            if draws > first {
                tail.push(Quota {
                    class: class as u32,
                    first,
                    count: draws - first,
                });
            }
        }
        Self {
            shares: ClassShares::new(&full, full_steps),
            draws,
            tail,
        }
    }
}

/// An epoch: its draws, and their order.
#[derive(Debug)]
struct PlannedEpoch {
    epoch: u64,
    draws: Arc<EpochDraws>,
    layout: EpochLayout,
    /// Draws of each class in all epochs before.
    before: Vec<u128>,
}

impl Plan {
    /// Plans the epochs of a split.
    ///
    /// # Errors
    ///
    /// If the request cannot be planned; see [`Error`].
    ///
    /// # Panics
    ///
    /// If the batch size is 0.
    pub fn new(spec: PlanSpec) -> Result<Self, Error> {
        assert!(spec.batch_size > 0, "a batch holds at least one image");
        let counts: Vec<u64> = spec.members.iter().map(|members| members.len() as u64).collect();
        let (from, schedule) = match &spec.balance {
            Balance::Schedule(schedule) => (&schedule.from, Some(schedule)),
            policy => (policy, None),
        };
        let wanted = from.draws(&counts, spec.images_per_epoch)?;
        let images: u64 = wanted.iter().sum();
        let batch_size = u64::from(spec.batch_size);
        let sequence = if spec.order == Order::Sequential {
            sequence(&spec)?
        } else {
            vec![]
        };
        let steps = match spec.last_batch {
            LastBatch::Wrap => images.div_ceil(batch_size),
            LastBatch::Drop | LastBatch::Keep => images / batch_size,
        };
        if steps == 0 && spec.last_batch == LastBatch::Drop {
            return Err(Error::EpochSmallerThanBatch { images, batch_size });
        }
        let drawn = |wanted: Vec<u64>| match spec.last_batch {
            LastBatch::Keep => wanted,
            LastBatch::Drop | LastBatch::Wrap => largest_remainder(steps * batch_size, &wanted),
        };
        let change = schedule.map(|schedule| -> Result<QuotaChange, Error> {
            let (first, last) = schedule.change()?;
            let to = drawn(schedule.to.draws(&counts, Some(images))?);
            Ok(QuotaChange { to, first, last })
        });
        let quotas = Quotas::new(drawn(wanted), change.transpose()?);
        Ok(Self {
            full_steps: steps,
            images: quotas.first().iter().sum(),
            first: Arc::new(EpochDraws::new(quotas.first().to_vec(), steps, batch_size)),
            quotas,
            spec,
            sequence,
            last: Mutex::new(None),
        })
    }

    /// Batches in an epoch.
    #[must_use]
    pub fn steps_per_epoch(&self) -> u64 {
        self.full_steps + u64::from(!self.first.tail.is_empty())
    }

    /// Images in an epoch, over all batches.
    #[must_use]
    pub fn images_per_epoch(&self) -> u64 {
        self.images
    }

    /// Draws of each class in an epoch, in label order; with a schedule, in its first epoch.
    #[must_use]
    pub fn draws_per_class(&self) -> &[u64] {
        self.quotas.first()
    }

    /// Draws of each class in any epoch.
    #[must_use]
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Images in batch `step` of any epoch.
    #[must_use]
    pub fn batch_len(&self, step: u64) -> u64 {
        let batch_size = u64::from(self.spec.batch_size);
        batch_size.min(self.images.saturating_sub(step.saturating_mul(batch_size)))
    }

    /// The whole global batch `step` of `epoch`, in order.
    ///
    /// # Panics
    ///
    /// If `step` is not below [`Plan::steps_per_epoch`].
    #[must_use]
    pub fn batch(&self, epoch: u64, step: u64) -> Vec<Slot> {
        let places: Vec<u64> = (0..self.batch_len(step)).collect();
        self.slots(epoch, step, &places)
    }

    /// The slots at indices `places` of the global batch `step` of `epoch`, in the order of `places`. Takes time proportional to their number and to
    /// the number of classes, whatever the size of the batch.
    ///
    /// # Panics
    ///
    /// If `step` is not below [`Plan::steps_per_epoch`], or an index not below [`Plan::batch_len`].
    #[must_use]
    pub fn slots(&self, epoch: u64, step: u64, places: &[u64]) -> Vec<Slot> {
        assert!(
            step < self.steps_per_epoch(),
            "step {step} of {}",
            self.steps_per_epoch()
        );
        let start = step * u64::from(self.spec.batch_size);
        if self.spec.order == Order::Sequential {
            let slot = |place: u64| {
                let (sample, class) = self.sequence[(start + place) as usize];
                let drawn = ClassDraw {
                    sample,
                    class,
                    repetition: 0,
                };
                drawn.at(start + place)
            };
            return places.iter().copied().map(slot).collect();
        }
        let planned = self.epoch(epoch);
        let quotas = if step < self.full_steps {
            planned.layout.quotas(&planned.draws.shares, step)
        } else {
            planned.draws.tail.clone()
        };
        let order = Permutation::new(
            self.batch_len(step),
            &key(self.spec.seed, Purpose::SLOTS, &[epoch, step]),
        );
        // In the order of the draws, so that those of one class share its permutations.
        let mut wanted: Vec<(u64, usize)> = (places.iter().map(|&place| order.at(place))).zip(0..).collect();
        wanted.sort_unstable();
        let (mut slots, mut wanted, mut before) = (vec![None; places.len()], &wanted[..], 0);
        for quota in quotas {
            let end = before + quota.count;
            let (of_class, others) = wanted.split_at(wanted.partition_point(|(draw, _)| *draw < end));
            let draws = of_class.iter().map(|(draw, _)| quota.first + draw - before);
            for (drawn, &(_, index)) in self.draw(&planned, quota.class, draws).zip(of_class) {
                slots[index] = Some(drawn.at(start + places[index]));
            }
            (wanted, before) = (others, end);
        }
        let slots = slots
            .into_iter()
            .map(|slot| slot.expect("the quotas fill the batch"));
        slots.collect()
    }

    /// The samples of these draws of a class in an epoch; `draws` must be ascending.
    ///
    /// Draws go through whole cycles of the class, each in an order of its own. The rest of the epoch after the last whole cycle is taken from one
    /// fixed circular order of the class, continuing where the previous epoch stopped. The cycle of a draw is therefore the number of earlier uses of
    /// its sample in the epoch.
    fn draw(
        &self,
        planned: &PlannedEpoch,
        class: u32,
        draws: impl Iterator<Item = u64>,
    ) -> impl Iterator<Item = ClassDraw> {
        let members = &self.spec.members[class as usize];
        let len = members.len() as u64;
        let (epoch, of_class) = (planned.epoch, planned.draws.draws[class as usize]);
        let (cycles, partial) = (of_class / len, of_class % len);
        // The images that earlier epochs drew once more than the others.
        let start = (planned.before[class as usize] % u128::from(len)) as u64;
        let keyed = |purpose, coordinates: &[u64]| key(self.spec.seed, purpose, coordinates);
        let class_key = u64::from(class);
        let mut current: Option<(u64, Permutation, Option<Permutation>)> = None;
        draws.map(move |draw| {
            let (cycle, place) = (draw / len, draw % len);
            if current.as_ref().is_none_or(|(of, ..)| *of != cycle) {
                current = Some(if cycle < cycles {
                    let order = keyed(Purpose::CYCLE, &[class_key, epoch, cycle]);
                    (cycle, Permutation::new(len, &order), None)
                } else {
                    let set = keyed(Purpose::PARTIAL_CYCLE, &[class_key]);
                    let order = keyed(Purpose::PARTIAL_ORDER, &[class_key, epoch]);
                    (
                        cycle,
                        Permutation::new(len, &set),
                        Some(Permutation::new(partial, &order)),
                    )
                });
            }
            let (_, samples, within_partial) = current.as_ref().expect("set above");
            let index = match within_partial {
                None => samples.at(place),
                Some(order) => samples.at((start + order.at(place)) % len),
            };
            ClassDraw {
                sample: members[index as usize],
                class,
                repetition: cycle,
            }
        })
    }

    fn epoch(&self, epoch: u64) -> Arc<PlannedEpoch> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(planned) = last.as_ref().filter(|planned| planned.epoch == epoch) {
            return Arc::clone(planned);
        }
        let draws = if self.quotas.change().is_none() {
            Arc::clone(&self.first)
        } else {
            let draws = self.quotas.in_epoch(epoch);
            Arc::new(EpochDraws::new(
                draws,
                self.full_steps,
                self.spec.batch_size.into(),
            ))
        };
        let planned = Arc::new(PlannedEpoch {
            epoch,
            layout: draws.shares.lay_out(self.spec.seed, epoch),
            draws,
            before: self.quotas.before_epoch(epoch),
        });
        *last = Some(Arc::clone(&planned));
        planned
    }
}

fn largest_remainder(total: u64, draws: &[u64]) -> Vec<u64> {
    let proportions: Vec<f64> = draws.iter().map(|&draws| draws as f64).collect();
    apportion::largest_remainder(total, &proportions)
}

fn sequence(spec: &PlanSpec) -> Result<Vec<(u32, u32)>, Error> {
    let refused = |must| Err(Error::SequentialOrder { must });
    if spec.balance != Balance::Natural {
        return refused("balance must be natural, or left out");
    }
    if spec.images_per_epoch.is_some() {
        return refused("images_per_epoch must be left out");
    }
    if spec.last_batch == LastBatch::Wrap {
        return refused("last_batch must not be WRAP");
    }
    let mut sequence: Vec<(u32, u32)> = (0..)
        .zip(spec.members.iter())
        .flat_map(|(class, members)| members.iter().map(move |&sample| (sample, class)))
        .collect();
    sequence.sort_unstable();
    Ok(sequence)
}

#[cfg(test)]
mod tests;
