//! What a batch is made of, in numbers that a person can follow.

use super::{
    Engine, Error,
    mixing::{Portion, portion},
    render::render,
    sample_renderer::PreparedSample,
    spec::{Shard, StreamSpec},
};
use crate::{augment::Draw, blend::Blend, geometry::canvas, sampling::Slot, tensor};

/// One image of a batch: where it comes from and what happens to it.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Explained {
    /// Place in the batch.
    pub slot: usize,
    /// Place in the epoch, which keys the augmentation.
    pub position: u64,
    /// Number of the sample.
    pub sample: u32,
    /// Its file, below the dataset's root.
    pub path: String,
    /// Its class.
    pub class: String,
    /// The file that was planned and is broken, where this one stands for it.
    pub replaces: Option<String>,
    /// How often the epoch used the planned sample before.
    pub repetition: u64,
    /// Width and height of the decoded image that is sampled: antialiased to the canonical short side where it was larger.
    pub source: (u32, u32),
    /// Width and height of the canvas that the source is laid on.
    pub canvas: (u32, u32),
    /// Column and row of the canvas at which the crop begins.
    pub crop_start: (u32, u32),
    /// Left, top, width and height in the source of a resized crop.
    pub resized_crop: Option<[f64; 4]>,
    /// What was drawn: degrees, factors, logits' brightness and contrast, moves and touches in their order.
    pub draw: Draw,
    /// From `(column, row, 1)` of the result to `(u, v, w)`: the pixel is the bilinear sample of the source at `(u / w, v / w)`, both
    /// counted from pixel centres, with the source reflected about the centres of its border pixels.
    pub map: [[f64; 3]; 3],
    /// What values of 0, 1/8, ... 1 become by brightness and contrast: `sigmoid((logit(x) + logit(brightness)) contrast)`.
    pub curve: [f64; 9],
    /// What of another image of the batch was mixed into this one.
    pub mixture: Option<Mixture>,
    /// The picture: `u8[S, S, 3]`, after mixing.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub pixels: Vec<u8>,
}

/// What an image has of another.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Mixture {
    /// Place of the other in the batch. It has the same part of this one.
    pub partner: usize,
    /// Its class.
    pub class: String,
    /// How much of this image that is: the weight of the other's class in this one's label.
    pub weight: f32,
    /// Which part: so many of 16384 parts of every pixel, or every pixel of a rectangle. The parts are taken of finished pictures, behind
    /// every other augmentation.
    pub blend: Blend,
}

impl Engine {
    /// Explains the batch at which `spec` starts. Decodes and renders it on this thread.
    ///
    /// # Errors
    ///
    /// As [`Engine::stream`], and where an image cannot be read and none can stand for it.
    pub fn explain(&self, spec: StreamSpec) -> Result<Vec<Explained>, Error> {
        let planned = self.plan(spec)?;
        let spec = &planned.description.spec;
        let position = spec.start.position;
        if position.epoch >= u64::from(spec.epochs) {
            return Ok(vec![]);
        }
        let Portion { slots, partners } = portion(spec, &planned.plan, position, Shard::WHOLE);
        let dataset = planned.description.served.dataset();
        let explain = |(place, slot): (usize, Slot)| -> Result<Explained, Error> {
            let prepared = planned.renderer.prepare(position.epoch, slot)?;
            let PreparedSample {
                sample,
                ref image,
                draw,
                ..
            } = prepared;
            let source = (image.width(), image.height());
            let size = spec.tensor.size;
            let canvas = canvas(source, size);
            let mut pixels = vec![0; spec.tensor.image_bytes()];
            render(image, &draw, &spec.tensor, &mut pixels);
            let path = |sample: u32| dataset.samples[sample as usize].path.to_string();
            let tone = draw.tone();
            Ok(Explained {
                slot: place,
                position: slot.position,
                sample,
                path: path(sample),
                class: dataset.classes[slot.class as usize].clone(),
                replaces: (sample != slot.sample).then(|| path(slot.sample)),
                repetition: slot.repetition,
                source,
                canvas,
                crop_start: draw.crop.start(canvas, size),
                resized_crop: draw.resized_crop.map(|crop| crop.rectangle(source)),
                map: draw.map(source, size).0,
                curve: std::array::from_fn(|eighths| tone.apply(eighths as f64 / 8.0)),
                draw,
                mixture: None,
                pixels,
            })
        };
        let mut batch: Vec<Explained> = (slots.iter().copied().enumerate())
            .map(explain)
            .collect::<Result<_, _>>()?;
        for (place, partner) in partners.into_iter().enumerate() {
            let Some(partner) = partner else { continue };
            if place < partner.place {
                let (before, behind) = batch.split_at_mut(partner.place);
                let (one, other) = (&mut before[place].pixels, &mut behind[0].pixels);
                tensor::mix(partner.blend, &spec.tensor, one, other);
            }
            batch[place].mixture = Some(Mixture {
                partner: partner.place,
                class: batch[partner.place].class.clone(),
                weight: partner.blend.weight(spec.tensor.size),
                blend: partner.blend,
            });
        }
        Ok(batch)
    }
}
