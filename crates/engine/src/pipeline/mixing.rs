//! A shard's part of a global batch: its slots, and the partners they are mixed with.

use super::{
    position::Position,
    spec::{Shard, StreamSpec},
};
use crate::{
    augment::Augment,
    mix::Mix,
    random::{Purpose, generator, key},
    sampling::{Permutation, Plan, Slot},
};

/// A shard's part of a global batch.
#[derive(Debug)]
pub(super) struct Portion {
    /// Its own slots, in order.
    pub(super) slots: Vec<Slot>,
    /// The partner of each slot; `None` for an image that is not mixed. Empty if the recipe mixes nothing.
    pub(super) partners: Vec<Option<Partner>>,
}

/// The other image of a mixed pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partner {
    /// Index in the global batch.
    pub(super) place: usize,
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
/// Takes time proportional to the shard's images, whatever the size of the global batch; if first uses are not augmented, the whole batch is
/// planned to find them.
///
/// # Determinism
///
/// A function of the request and the position. All shards compute the same pairs, and each renders the partners in other shards itself.
pub(super) fn portion(spec: &StreamSpec, plan: &Plan, position: Position, shard: Shard) -> Portion {
    let Position { epoch, step } = position;
    let images = plan.batch_len(step);
    let own = (0..shard.share(images as usize)).map(|index| shard.place(index) as u64);
    let mut places: Vec<u64> = own.collect();
    let own = places.len();
    let method = spec
        .recipe
        .batch_mix(&mut generator(spec.seed, Purpose::BATCH_MIX, &[epoch, step]));
    let Some(method) = method else {
        return Portion {
            slots: plan.slots(epoch, step, &places),
            partners: vec![],
        };
    };
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
