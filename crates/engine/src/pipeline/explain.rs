//! The composition of a batch, in numbers.

use super::{
    Engine, Error,
    mixing::{Partner, Portion, portion},
    render::{render, source},
    sample_renderer::PreparedSample,
    spec::{Shard, StreamSpec},
};
use crate::{augment::Draw, geometry::canvas, mix::Mix, sampling::Slot, tensor};

/// One image of a batch: its file and its augmentation.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Explained {
    /// Index in the batch.
    pub slot: usize,
    /// Position in the epoch, which keys the augmentation.
    pub position: u64,
    /// Sample id.
    pub sample: u32,
    /// Its file, relative to the dataset's root.
    pub path: String,
    /// Its class.
    pub class: String,
    /// The planned file, if it is broken and this one replaces it.
    pub replaces: Option<String>,
    /// Earlier uses of the planned sample in the epoch.
    pub repetition: u64,
    /// Width and height of the decoded image that is sampled: reduced with antialiasing to the canonical short side if it was larger,
    /// and padded to a square if the draw says so.
    pub source: (u32, u32),
    /// Width and height of the canvas that the source is resized to.
    pub canvas: (u32, u32),
    /// Column and row of the canvas at which the crop begins.
    pub crop_start: (u32, u32),
    /// Left, top, width and height of a random resized crop, in the source.
    pub resized_crop: Option<[f64; 4]>,
    /// The drawn augmentation: degrees, factors, brightness and contrast in logits, affine and pixel operations in order.
    pub draw: Draw,
    /// From `(column, row, 1)` of the result to `(u, v, w)`: the pixel is the bilinear sample of the source at `(u / w, v / w)`, both
    /// counted from pixel centres, with the source reflected about the centres of its border pixels.
    pub map: [[f64; 3]; 3],
    /// What values of 0, 1/8, ... 1 become by brightness and contrast: `sigmoid((logit(x) + logit(brightness)) contrast)`.
    pub curve: [f64; 9],
    /// The other image that was mixed in.
    pub mixture: Option<Mixture>,
    /// The pixels: `u8[S, S, 3]`, after mixing.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub pixels: Vec<u8>,
}

/// The part of another image in a mixed one.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Mixture {
    /// Index of the other image in the batch, which has the same part of this one. `None` if it is mixed into a natural image, and in no batch.
    pub partner: Option<usize>,
    /// Its file, relative to the dataset's root.
    pub path: String,
    /// Its class.
    pub class: String,
    /// Fraction of this image that it makes up: the weight of its class in this image's label.
    pub weight: f32,
    /// Which part: a number of 16384ths of every pixel, or every pixel of a rectangle. Mixing comes after all other augmentation.
    pub blend: Mix,
}

impl Engine {
    /// Explains the batch at which `spec` starts. Decodes and renders it on this thread.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::stream`], and if an image cannot be read and there is no replacement.
    pub fn explain(&self, spec: StreamSpec) -> Result<Vec<Explained>, Error> {
        let planned = self.plan(spec, self.limits())?;
        let spec = &planned.description.spec;
        let position = spec.start.position;
        if position.epoch >= u64::from(spec.epochs) {
            return Ok(vec![]);
        }
        let Portion { slots, partners } = portion(spec, &planned.plans, position, Shard::WHOLE);
        let dataset = planned.description.served.dataset();
        let explain = |(place, slot): (usize, Slot)| -> Result<Explained, Error> {
            let prepared = planned.renderer.prepare(position.epoch, slot)?;
            let PreparedSample {
                sample,
                ref image,
                draw,
                ..
            } = prepared;
            let size = spec.tensor.size;
            let sampled = source(image, &draw, size);
            let source = (sampled.width(), sampled.height());
            let canvas = canvas(source, size);
            let mut pixels = vec![0; spec.tensor.image_bytes()];
            render(image, &draw, &spec.tensor, &mut pixels);
            let path = |sample: u32| dataset.samples[sample as usize].path.to_string();
            let lighting = draw.lighting();
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
                curve: std::array::from_fn(|eighths| lighting.apply(eighths as f64 / 8.0)),
                draw,
                mixture: None,
                pixels,
            })
        };
        let mut batch: Vec<Explained> = (slots.iter().copied().enumerate())
            .map(explain)
            .collect::<Result<_, _>>()?;
        for (place, partner) in partners.into_iter().enumerate() {
            let Some(Partner {
                place: other,
                slot,
                blend,
            }) = partner
            else {
                continue;
            };
            let path = match other {
                Some(other) => {
                    if place < other {
                        let (before, behind) = batch.split_at_mut(other);
                        let (one, other) = (&mut before[place].pixels, &mut behind[0].pixels);
                        tensor::mix(blend, &spec.tensor, one, other);
                    }
                    batch[other].path.clone()
                }
                None => {
                    let mut mixed_in = explain((place, slot))?;
                    let (one, other) = (&mut batch[place].pixels, &mut mixed_in.pixels);
                    tensor::mix(blend, &spec.tensor, one, other);
                    mixed_in.path
                }
            };
            batch[place].mixture = Some(Mixture {
                partner: other,
                path,
                class: dataset.classes[slot.class as usize].clone(),
                weight: blend.weight(spec.tensor.size),
                blend,
            });
        }
        Ok(batch)
    }
}
