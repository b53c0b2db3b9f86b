//! What a worker does at a time: one image, or two that are mixed with one another.

use std::time::Instant;

use super::{
    Error,
    batch::Mixed,
    mixing::{Partner, Portion},
    position::Position,
    produce::Producer,
    spec::Shard,
};
use crate::{checksum::crc32c, memory::Chunk, mix::Mix, sampling::Slot, tensor};

/// A piece of work.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) position: Position,
    image: Target,
    mixture: Option<(Mix, Other)>,
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
    /// CRC-32C of the chunk, once it is asked for.
    pub(super) checksum: Option<u32>,
}

impl Done {
    /// Computes the checksum; best at once, while the bytes are in the processor's cache.
    pub(super) fn check(&mut self) {
        self.checksum = Some(crc32c(&self.chunk));
    }
}

/// The pieces that make up a shard's part of a global batch, whose images go to `chunks`, one for each slot.
pub(super) fn pieces(position: Position, portion: &Portion, shard: Shard, chunks: Vec<Chunk>) -> Vec<Piece> {
    let images = portion.slots.iter().zip(chunks).enumerate();
    let mut targets: Vec<Option<Target>> = images
        .map(|(index, (&slot, chunk))| Some(Target { index, slot, chunk }))
        .collect();
    let mut pieces = Vec::with_capacity(targets.len());
    for index in 0..targets.len() {
        // Taken before, as the other one of a pair.
        let Some(image) = targets[index].take() else {
            continue;
        };
        let partner = portion.partners.get(index).copied().flatten();
        let mixture = partner.map(|Partner { place, slot, blend }| {
            let here = shard.index(place).and_then(|index| targets[index].take());
            (blend, here.map_or(Other::Elsewhere(slot), Other::Here))
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
pub(super) fn mixed(Portion { slots, partners }: &Portion, size: u32) -> Option<Vec<Mixed>> {
    if partners.is_empty() {
        return None;
    }
    let mixed = |(own, partner): (&Slot, &Option<Partner>)| match partner {
        Some(Partner { slot, blend, .. }) => Mixed {
            label: slot.class,
            weight: blend.weight(size),
        },
        None => Mixed {
            label: own.class,
            weight: 0.0,
        },
    };
    Some(slots.iter().zip(partners).map(mixed).collect())
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
        Ok(Done {
            index,
            sample,
            chunk,
            checksum: None,
        })
    }
}

fn mix(blend: Mix, producer: &Producer, one: &mut [u8], other: &mut [u8]) {
    let started = Instant::now();
    tensor::mix(blend, &producer.spec.tensor, one, other);
    producer.tally.rendered(started.elapsed());
}
