//! Registers a stream's expected use of images with the caches.

use super::{description::Description, sample_renderer::SampleRenderer};
use crate::{
    cache::{Catalog, CatalogId, DemandGuard, Encoded, Key, StreamDemand},
    decode::canonical_size,
    image::Image,
};

/// Registration with both caches; ends when dropped.
#[derive(Debug)]
pub(super) struct CacheDemand {
    _images: DemandGuard,
    /// `None` if the cache of encoded files is off.
    _files: Option<DemandGuard<Encoded>>,
}

/// Registers how often an epoch draws each image, and the sizes of the decoded images and the files.
pub(super) fn register_demand(renderer: &SampleRenderer, description: &Description) -> CacheDemand {
    let (decoder, dataset) = (&renderer.decoder, description.served.dataset());
    let classes = renderer.members.iter().zip(draws_per_epoch(description));
    let demand = StreamDemand {
        name: name(renderer, description),
        source: CatalogId {
            dataset: decoder.dataset,
            split: renderer.spec.split,
            short_side: decoder.short_side,
        },
        draws: classes
            .map(|(members, draws)| draws / members.len().max(1) as f64)
            .collect(),
        is_changed: false,
    };
    let of_samples = |short_side, wanted: &dyn Fn(Key) -> bool, bytes: &dyn Fn(u32) -> u64| {
        let image = |&sample: &u32| wanted(decoder.key(sample)).then(|| (sample, bytes(sample)));
        let classes = renderer.members.iter();
        let classes = classes.map(|members| members.iter().filter_map(image));
        Catalog::new(decoder.dataset, short_side, classes)
    };
    let images = decoder.cache.register(demand.clone(), || {
        let pixels = |sample: u32| {
            let file = &dataset.samples[sample as usize];
            let (width, height) = canonical_size(file.width, file.height, decoder.short_side);
            u64::from(width) * u64::from(height) * Image::CHANNELS as u64 + Image::SLACK as u64
        };
        of_samples(decoder.short_side, &|_| true, &pixels)
    });
    let files = (decoder.encoded.budget() > 0).then(|| {
        // Files of the images that the current plan of the other cache leaves out.
        let demand = StreamDemand {
            is_changed: true,
            ..demand
        };
        decoder.encoded.register(demand, || {
            let plan = decoder.cache.plan();
            let bytes = |sample: u32| dataset.samples[sample as usize].bytes;
            of_samples(None, &|key| !plan.contains(key), &bytes)
        })
    });
    CacheDemand {
        _images: images,
        _files: files,
    }
}

/// Draws per class and epoch, in the mean over the stream's epochs; with a background, of both images of a mixture.
fn draws_per_epoch(description: &Description) -> Vec<f64> {
    let (quotas, spec) = (&description.quotas, &description.spec);
    let draws: Vec<f64> = if quotas.change().is_none() {
        quotas.first().iter().map(|&draws| draws as f64).collect()
    } else {
        let draws = quotas.before_epoch(spec.epochs.into()).into_iter();
        draws.map(|draws| draws as f64 / f64::from(spec.epochs)).collect()
    };
    let Some(background) = &description.background else {
        return draws;
    };
    let mixed_in = draws.iter().map(|draws| draws * spec.recipe.mixing_probability());
    let draws = background.draws_per_class.iter().zip(mixed_in);
    draws
        .map(|(&natural, mixed_in)| natural as f64 + mixed_in)
        .collect()
}

/// A hash of everything that the demand depends on.
fn name(renderer: &SampleRenderer, description: &Description) -> [u8; 32] {
    let decoder = &renderer.decoder;
    let mut name = blake3::Hasher::new();
    name.update(&decoder.dataset.to_le_bytes())
        .update(&description.served.dataset().fingerprint.0)
        .update(&[renderer.spec.split as u8]);
    name.update(&decoder.short_side.unwrap_or(0).to_le_bytes());
    for draws in draws_per_epoch(description) {
        name.update(&draws.to_le_bytes());
    }
    *name.finalize().as_bytes()
}
