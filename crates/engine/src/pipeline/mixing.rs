//! A shard's part of a global batch: its slots, and the images they are mixed with.

use std::sync::Arc;

use super::{
    position::Position,
    spec::{Shard, StreamSpec},
};
use crate::{
    augment::{Augment, BatchMix},
    mix::Mix,
    random::{Purpose, generator, key},
    sampling::{self, Balance, Order, Permutation, Plan, PlanSpec, Slot},
};

/// The plans of a stream.
#[derive(Debug)]
pub(super) struct Plans {
    /// By the balance of the request.
    pub(super) balanced: Plan,
    /// If the recipe mixes from natural: the natural images that those of `balanced` are mixed into, as many in each batch.
    pub(super) background: Option<Plan>,
}

impl Plans {
    /// Plans the epochs of a split with these sample ids by class.
    ///
    /// # Errors
    ///
    /// If the request cannot be planned, or mixes from natural in sequential order.
    pub(super) fn new(spec: &StreamSpec, members: &Arc<[Vec<u32>]>) -> Result<Self, sampling::Error> {
        let of_balance = PlanSpec {
            members: Arc::clone(members),
            balance: spec.balance.clone(),
            images_per_epoch: spec.images_per_epoch,
            batch_size: spec.batch_size,
            last_batch: spec.last_batch,
            order: spec.order,
            seed: spec.seed,
        };
        let balanced = Plan::new(of_balance.clone())?;
        if !spec.recipe.mixes_from_natural() {
            return Ok(Self {
                balanced,
                background: None,
            });
        }
        if spec.order == Order::Sequential {
            let must = "the recipe must not mix from=natural";
            return Err(sampling::Error::SequentialOrder { must });
        }
        let seed = key(spec.seed, Purpose::BACKGROUND, &[]);
        let background = Plan::new(PlanSpec {
            balance: Balance::Natural,
            images_per_epoch: Some(balanced.images_per_epoch()),
            seed: u64::from_le_bytes(seed[..8].try_into().expect("eight bytes")),
            ..of_balance
        })?;
        Ok(Self {
            balanced,
            background: Some(background),
        })
    }

    /// Batches in an epoch.
    pub(super) fn steps_per_epoch(&self) -> u64 {
        self.balanced.steps_per_epoch()
    }
}

/// A shard's part of a global batch.
#[derive(Debug, PartialEq)]
pub(super) struct Portion {
    /// Its own slots, in order.
    pub(super) slots: Vec<Slot>,
    /// The partner of each slot; `None` for an image that is not mixed. Empty if the recipe mixes nothing.
    pub(super) partners: Vec<Option<Partner>>,
}

/// The image that is mixed into another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partner {
    /// Index in the global batch; `None` for an image of the balanced plan that is mixed into a natural one and in no batch itself.
    pub(super) place: Option<usize>,
    /// Its slot.
    pub(super) slot: Slot,
    pub(super) blend: Mix,
}

/// Plans the part of `shard` of the global batch at `position`.
///
/// The images of the global batch are paired at random and the two of a pair are mixed with each other, so that a batch contains each of its
/// images once, whole or in two parts. With an odd number of images, one is not mixed; nor are first uses that are not to be augmented, which
/// are not paired.
///
/// If the recipe mixes from natural, the batch is the natural one, and the image at each index of the balanced one is mixed into that at the same
/// index. One mixture for all images makes the label weights of a batch `(1 - w)` natural and `w` balanced class counts, exactly.
///
/// Takes time proportional to the shard's images, whatever the size of the global batch; if first uses are not augmented, the whole batch is
/// planned to find them.
///
/// # Determinism
///
/// A function of the request and the position. All shards compute the same pairs, and each renders the partners in other shards itself.
pub(super) fn portion(spec: &StreamSpec, plans: &Plans, position: Position, shard: Shard) -> Portion {
    let Position { epoch, step } = position;
    let plan = &plans.balanced;
    let images = plan.batch_len(step);
    let own = (0..shard.share(images as usize)).map(|index| shard.place(index) as u64);
    let places: Vec<u64> = own.collect();
    let mut of_batch = generator(spec.seed, Purpose::BATCH_MIX, &[epoch, step]);
    let method = spec.recipe.batch_mix(&mut of_batch);
    match (method, &plans.background) {
        (None, _) => Portion {
            slots: plan.slots(epoch, step, &places),
            partners: vec![],
        },
        (Some(method), None) => paired(spec, plan, position, (shard, places), method),
        (Some(method), Some(background)) => {
            let blend = method.draw_mix(&mut of_batch, spec.tensor.size);
            let partner = |slot: Slot, blend: Mix| {
                // Positions behind those of the natural images, because they key the augmentation.
                let position = plan.images_per_epoch() + slot.position;
                Some(Partner {
                    place: None,
                    slot: Slot { position, ..slot },
                    blend,
                })
            };
            let partners = match blend {
                None => vec![None; places.len()],
                Some(blend) => {
                    let slots = plan.slots(epoch, step, &places).into_iter();
                    slots.map(|slot| partner(slot, blend)).collect()
                }
            };
            Portion {
                slots: background.slots(epoch, step, &places),
                partners,
            }
        }
    }
}

/// The images of a shard at the indices `places`, and their partners in the global batch.
fn paired(
    spec: &StreamSpec,
    plan: &Plan,
    position: Position,
    (shard, mut places): (Shard, Vec<u64>),
    method: BatchMix,
) -> Portion {
    let Position { epoch, step } = position;
    let own = places.len();
    let pairs = Pairs::new(spec, plan, position);
    let others: Vec<Option<u64>> = places.iter().map(|&place| pairs.other(place)).collect();
    let is_elsewhere = |place: &u64| shard.index(*place as usize).is_none();
    places.extend(others.iter().flatten().copied().filter(is_elsewhere));
    let mut slots = plan.slots(epoch, step, &places);
    let mut elsewhere = slots.split_off(own).into_iter();
    let partner = |(index, other): (usize, Option<u64>)| {
        let place = other? as usize;
        let slot = match shard.index(place) {
            Some(here) => slots[here],
            None => elsewhere.next().expect("planned above"),
        };
        let first = slots[index].position.min(slot.position);
        let mut of_pair = generator(spec.seed, Purpose::PAIR_MIX, &[epoch, first]);
        let blend = method.draw_mix(&mut of_pair, spec.tensor.size)?;
        let place = Some(place);
        Some(Partner { place, slot, blend })
    };
    let partners = others.into_iter().enumerate().map(partner).collect();
    Portion { slots, partners }
}

/// The pairs of a global batch.
struct Pairs {
    /// Indices of the images that are paired, ascending; `None` means all.
    places: Option<Vec<u64>>,
    count: u64,
    /// Elements `2i` and `2i + 1` of this order are a pair. `None` if there are no pairs.
    order: Option<Permutation>,
}

impl Pairs {
    fn new(spec: &StreamSpec, plan: &Plan, Position { epoch, step }: Position) -> Self {
        let places: Option<Vec<u64>> = (spec.recipe.augment == Augment::Repeats).then(|| {
            let slots = plan.batch(epoch, step).into_iter().zip(0..);
            let repeated = slots.filter(|(slot, _)| slot.repetition > 0);
            repeated.map(|(_, place)| place).collect()
        });
        let count = places
            .as_ref()
            .map_or_else(|| plan.batch_len(step), |places| places.len() as u64);
        let key = || key(spec.seed, Purpose::PAIRS, &[epoch, step]);
        Self {
            order: (count > 0).then(|| Permutation::new(count, &key())),
            places,
            count,
        }
    }

    /// Index of the partner of the image at `place`.
    fn other(&self, place: u64) -> Option<u64> {
        let index = match &self.places {
            None => place,
            Some(places) => places.binary_search(&place).ok()? as u64,
        };
        let order = self.order.as_ref()?;
        let other = order.index_of(index) ^ 1;
        let index = (other < self.count).then(|| order.at(other))?;
        Some(match &self.places {
            None => index,
            Some(places) => places[index as usize],
        })
    }
}

#[cfg(test)]
mod tests;
