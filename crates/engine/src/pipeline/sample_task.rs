//! The unit of work of a worker: one sample, or two that are mixed.

use std::time::Instant;

use super::{
    Error,
    batch::Mixed,
    mixing::{Partner, Portion},
    position::Position,
    sample_renderer::SampleRenderer,
    spec::Shard,
};
use crate::{checksum::crc32c, memory::Chunk, mix::Mix, sampling::Slot, tensor};

/// A sample to render, or two that are mixed.
#[derive(Debug)]
pub(super) struct SampleTask {
    pub(super) position: Position,
    image: OutputSlot,
    mixture: Option<(Mix, MixInput)>,
}

/// Where a sample goes: its slot and its part of the batch's buffer.
#[derive(Debug)]
struct OutputSlot {
    /// Index in the shard's batch.
    index: usize,
    slot: Slot,
    chunk: Chunk,
}

/// The image that is mixed in.
#[derive(Debug)]
enum MixInput {
    /// In this shard: rendered as part of the same task.
    SameShard(OutputSlot),
    /// In another shard, which renders it as well, or in no batch: mixed in, then dropped.
    NotInShard(Slot),
}

/// A rendered sample.
#[derive(Debug)]
pub(super) struct RenderedSample {
    pub(super) index: usize,
    pub(super) sample: u32,
    pub(super) chunk: Chunk,
    /// CRC-32C of the chunk, once it is asked for.
    pub(super) checksum: Option<u32>,
}

impl RenderedSample {
    /// Computes the checksum; cheapest right after rendering, while the bytes are in the CPU's cache.
    pub(super) fn compute_checksum(&mut self) {
        self.checksum = Some(crc32c(&self.chunk));
    }
}

/// The tasks of a shard's part of a global batch; `chunks` has one chunk per slot.
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
        // Already taken as the second of a pair.
        let Some(image) = slots_of_shard[index].take() else {
            continue;
        };
        let partner = portion.partners.get(index).copied().flatten();
        let mixture = partner.map(|Partner { place, slot, blend }| {
            let here = place.and_then(|place| shard.index(place));
            let here = here.and_then(|index| slots_of_shard[index].take());
            (
                blend,
                here.map_or(MixInput::NotInShard(slot), MixInput::SameShard),
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

/// Second class and weight of each image's label; `None` if the batch is not mixed.
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
    /// Renders the sample, or the two, and mixes them.
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
            Some((blend, MixInput::NotInShard(slot))) => {
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

fn mix(blend: Mix, renderer: &SampleRenderer, one: &mut [u8], other: &mut [u8]) {
    let started = Instant::now();
    tensor::mix(blend, &renderer.spec.tensor, one, other);
    renderer.counters.rendered(started.elapsed());
}
