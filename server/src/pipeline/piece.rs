//! What a worker does at a time: one image, or two that are mixed with one another.

use std::time::Instant;

use super::{Error, batch::Mixed, mixing::Partner, position::Position, produce::Producer, spec::Shard};
use crate::{blend::Blend, memory::Chunk, sampling::Slot, tensor};

/// A piece of work.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) position: Position,
    image: Target,
    mixture: Option<(Blend, Other)>,
}

/// An image to be made.
#[derive(Debug)]
struct Target {
    /// Place in the shard's batch.
    index: usize,
    slot: Slot,
    chunk: Chunk,
}

/// The image that is mixed with another.
#[derive(Debug)]
enum Other {
    /// Of this shard, made together with the other.
    Here(Target),
    /// Of another shard, which makes it, too: mixed in and dropped.
    Elsewhere(Slot),
}

/// An image that is made.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) index: usize,
    pub(super) sample: u32,
    pub(super) chunk: Chunk,
}

/// The pieces that make up a shard's part of the global batch `slots`, whose images go to `chunks`, one for each that is the shard's.
pub(super) fn pieces(
    position: Position,
    (slots, partners): (&[Slot], &[Option<Partner>]),
    shard: Shard,
    chunks: Vec<Chunk>,
) -> Vec<Piece> {
    let mut targets: Vec<Option<Target>> = chunks
        .into_iter()
        .enumerate()
        .map(|(index, chunk)| {
            let slot = slots[shard.place(index)];
            Some(Target { index, slot, chunk })
        })
        .collect();
    let mut pieces = Vec::with_capacity(targets.len());
    for index in 0..targets.len() {
        // Taken before, as the other one of a pair.
        let Some(image) = targets[index].take() else {
            continue;
        };
        let partner = partners.get(shard.place(index)).copied().flatten();
        let mixture = partner.map(|Partner { place, blend }| {
            let here = shard.index(place).and_then(|index| targets[index].take());
            (blend, here.map_or(Other::Elsewhere(slots[place]), Other::Here))
        });
        pieces.push(Piece {
            position,
            image,
            mixture,
        });
    }
    pieces
}

/// The second halves of the labels of a shard's images; `None` where nothing is mixed.
pub(super) fn mixed(
    (slots, partners): (&[Slot], &[Option<Partner>]),
    shard: Shard,
    size: u32,
) -> Option<Vec<Mixed>> {
    if partners.is_empty() {
        return None;
    }
    let mixed = |place: usize| match partners[place] {
        Some(Partner { place, blend }) => Mixed {
            label: slots[place].class,
            weight: blend.weight(size),
        },
        None => Mixed {
            label: slots[place].class,
            weight: 0.0,
        },
    };
    let own = 0..shard.share(slots.len());
    Some(own.map(|index| mixed(shard.place(index))).collect())
}

impl Piece {
    /// Makes the images, one or two.
    pub(super) fn make(self, producer: &Producer) -> Result<Vec<Done>, Error> {
        let Self {
            position,
            image,
            mixture,
        } = self;
        let mut done = vec![image.make(position, producer)?];
        match mixture {
            None => {}
            Some((blend, Other::Here(other))) => {
                done.push(other.make(position, producer)?);
                let [one, other] = &mut done[..] else {
                    unreachable!("two were made")
                };
                mix(blend, producer, &mut one.chunk, &mut other.chunk);
            }
            Some((blend, Other::Elsewhere(slot))) => {
                let mut other = vec![0; done[0].chunk.len()];
                producer.produce(position, slot, &mut other)?;
                mix(blend, producer, &mut done[0].chunk, &mut other);
            }
        }
        Ok(done)
    }
}

impl Target {
    fn make(self, position: Position, producer: &Producer) -> Result<Done, Error> {
        let Self {
            index,
            slot,
            mut chunk,
        } = self;
        let sample = producer.produce(position, slot, &mut chunk)?;
        Ok(Done { index, sample, chunk })
    }
}

fn mix(blend: Blend, producer: &Producer, one: &mut [u8], other: &mut [u8]) {
    let started = Instant::now();
    tensor::mix(blend, &producer.spec.tensor, one, other);
    producer.tally.rendered(started.elapsed());
}
