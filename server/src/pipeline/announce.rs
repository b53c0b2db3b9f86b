//! What the cache is told of a stream.

use super::{produce::Producer, stream::Description};
use crate::{
    cache::{Registration, Want},
    decode::canonical_size,
    image::Image,
};

/// Tells the cache how often an epoch draws which image, and how large it is.
pub(super) fn announce(producer: &Producer, description: &Description) -> Registration {
    let (spec, dataset, decoder) = (&producer.spec, description.served.dataset(), &producer.decoder);
    let mut name = blake3::Hasher::new();
    name.update(&decoder.dataset.to_le_bytes())
        .update(&dataset.fingerprint.0)
        .update(&[spec.split as u8]);
    name.update(&decoder.short_side.unwrap_or(0).to_le_bytes());
    for draws in &description.draws_per_class {
        name.update(&draws.to_le_bytes());
    }
    let bytes = |sample: u32| {
        let file = &dataset.samples[sample as usize];
        let (width, height) = canonical_size(file.width, file.height, decoder.short_side);
        u64::from(width) * u64::from(height) * Image::CHANNELS as u64 + Image::SLACK as u64
    };
    decoder.cache.register(*name.finalize().as_bytes(), || {
        let classes = producer.members.iter().zip(&description.draws_per_class);
        let of_class = |(members, draws): (&Vec<u32>, &u64)| {
            let draws = *draws as f64 / members.len().max(1) as f64;
            members
                .iter()
                .map(|&sample| Want {
                    key: decoder.key(sample),
                    draws,
                    bytes: bytes(sample),
                })
                .collect::<Vec<_>>()
        };
        classes.flat_map(of_class).collect()
    })
}
