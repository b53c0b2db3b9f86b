//! What a worker does at a time: one image, or two that are mixed with one another.

use std::time::Instant;

use super::{
    Error,
    batch::Mixed,
    mixing::{Partner, Portion},
    position::Position,
    sample_renderer::SampleRenderer,
    spec::Shard,
};
use crate::{blend::Blend, checksum::crc32c, memory::Chunk, sampling::Slot, tensor};

/// A piece of work.
#[derive(Debug)]
pub(super) struct SampleTask {
    pub(super) position: Position,
    image: OutputSlot,
    mixture: Option<(Blend, MixInput)>,
}

/// An image to be made.
#[derive(Debug)]
struct OutputSlot {
    /// Place in the shard's batch.
    index: usize,
    slot: Slot,
    chunk: Chunk,
}

/// The image that is mixed with another.
#[derive(Debug)]
enum MixInput {
    /// Of this shard, made together with the other.
    SameShard(OutputSlot),
    /// Of another shard, which makes it, too: mixed in and dropped.
    OtherShard(Slot),
}

/// An image that is made.
#[derive(Debug)]
pub(super) struct RenderedSample {
    pub(super) index: usize,
    pub(super) sample: u32,
    pub(super) chunk: Chunk,
    /// CRC-32C of the chunk, once it is asked for.
    pub(super) checksum: Option<u32>,
}

impl RenderedSample {
    /// Computes the checksum; best at once, while the bytes are in the processor's cache.
    pub(super) fn compute_checksum(&mut self) {
        self.checksum = Some(crc32c(&self.chunk));
    }
}

/// The pieces that make up a shard's part of a global batch, whose images go to `chunks`, one for each slot.
pub(super) fn sample_tasks(
    position: Position,
    portion: &Portion,
    shard: Shard,
    chunks: Vec<Chunk>,
) -> Vec<SampleTask> {
    let images = portion.slots.iter().zip(chunks).enumerate();
    let mut slots_of_shard: Vec<Option<OutputSlot>> = images
        .map(|(index, (&slot, chunk))| Some(OutputSlot { index, slot, chunk }))
        .collect();
    let mut sample_tasks = Vec::with_capacity(slots_of_shard.len());
    for index in 0..slots_of_shard.len() {
        // Taken before, as the other one of a pair.
        let Some(image) = slots_of_shard[index].take() else {
            continue;
        };
        let partner = portion.partners.get(index).copied().flatten();
        let mixture = partner.map(|Partner { place, slot, blend }| {
            let here = shard.index(place).and_then(|index| slots_of_shard[index].take());
            (
                blend,
                here.map_or(MixInput::OtherShard(slot), MixInput::SameShard),
            )
        });
        sample_tasks.push(SampleTask {
            position,
            image,
            mixture,
        });
    }
    sample_tasks
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

impl SampleTask {
    /// Makes the images, one or two.
    pub(super) fn render(self, renderer: &SampleRenderer) -> Result<Vec<RenderedSample>, Error> {
        let Self {
            position,
            image,
            mixture,
        } = self;
        let mut rendered = vec![image.render(position, renderer)?];
        match mixture {
            None => {}
            Some((blend, MixInput::SameShard(other))) => {
                rendered.push(other.render(position, renderer)?);
                let [one, other] = &mut rendered[..] else {
                    unreachable!("two were made")
                };
                mix(blend, renderer, &mut one.chunk, &mut other.chunk);
            }
            Some((blend, MixInput::OtherShard(slot))) => {
                let mut other = vec![0; rendered[0].chunk.len()];
                renderer.render_into(position, slot, &mut other)?;
                mix(blend, renderer, &mut rendered[0].chunk, &mut other);
            }
        }
        Ok(rendered)
    }
}

impl OutputSlot {
    fn render(self, position: Position, renderer: &SampleRenderer) -> Result<RenderedSample, Error> {
        let Self {
            index,
            slot,
            mut chunk,
        } = self;
        let sample = renderer.render_into(position, slot, &mut chunk)?;
        Ok(RenderedSample {
            index,
            sample,
            chunk,
            checksum: None,
        })
    }
}

fn mix(blend: Blend, renderer: &SampleRenderer, one: &mut [u8], other: &mut [u8]) {
    let started = Instant::now();
    tensor::mix(blend, &renderer.spec.tensor, one, other);
    renderer.counters.rendered(started.elapsed());
}
