//! Who is mixed with whom.

use super::{position::Position, spec::StreamSpec};
use crate::{
    augment::Augment,
    blend::Blend,
    random::{Purpose, generator, key},
    sampling::{Permutation, Slot},
};

/// What an image is mixed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partner {
    /// Place of the other image in the global batch.
    pub(super) place: usize,
    pub(super) blend: Blend,
}

/// The partner of each of `slots`, which are the whole global batch; `None` for an image that is left alone. Empty where the recipe mixes
/// nothing.
///
/// The images are paired at random and each pair is mixed with itself, so that a batch holds every one of its images once, in one piece or
/// in two. One of an odd number is left alone; so are first uses that are not to be augmented, which are no part of any pair.
///
/// # Determinism
///
/// A function of the request and the place, and not of shards: each shard finds the same pairs, and makes the partners that are not its
/// own for itself.
pub(super) fn partners(spec: &StreamSpec, position: Position, slots: &[Slot]) -> Vec<Option<Partner>> {
    let place = [position.epoch, position.step];
    let mut of_batch = generator(spec.seed, Purpose::Mixing, &place);
    let Some(method) = spec.recipe.method(&mut of_batch) else {
        return vec![];
    };
    let may_be_mixed = |slot: &Slot| spec.recipe.augment == Augment::All || slot.repetition > 0;
    let places: Vec<usize> = (0..slots.len())
        .filter(|&place| may_be_mixed(&slots[place]))
        .collect();
    let mut partners = vec![None; slots.len()];
    if places.is_empty() {
        return partners;
    }
    let order = Permutation::new(places.len() as u64, &key(spec.seed, Purpose::Pairs, &place));
    let at = |place: usize| places[order.at(place as u64) as usize];
    for pair in 0..places.len() / 2 {
        let (one, other) = (at(2 * pair), at(2 * pair + 1));
        let first = slots[one].position.min(slots[other].position);
        let mut of_pair = generator(spec.seed, Purpose::Blend, &[position.epoch, first]);
        let blend = method.blend(&mut of_pair, spec.tensor.size);
        partners[one] = blend.map(|blend| Partner { place: other, blend });
        partners[other] = blend.map(|blend| Partner { place: one, blend });
    }
    partners
}
