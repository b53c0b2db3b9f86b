//! What the caches are told of a stream.

use super::{produce::Producer, stream::Description};
use crate::{
    cache::{Encoded, Registration, Want},
    decode::canonical_size,
    image::Image,
};

/// What was told. Holds for as long as it lives.
#[derive(Debug)]
pub(super) struct Announced {
    _images: Registration,
    _files: Registration<Encoded>,
}

/// Tells the caches how often an epoch draws which image, and how large it and its file are.
pub(super) fn announce(producer: &Producer, description: &Description) -> Announced {
    let decoder = &producer.decoder;
    let name = name(producer, description);
    let images = decoder.cache.register(name, || wants(producer, description));
    let files = decoder.encoded.register(name, || {
        if decoder.encoded.budget() == 0 {
            return vec![];
        }
        let mut wants = decoder.cache.left_out(wants(producer, description));
        for want in &mut wants {
            want.bytes = description.served.dataset().samples[want.key.sample as usize].bytes;
            want.key = decoder.file_key(want.key.sample);
        }
        wants
    });
    Announced {
        _images: images,
        _files: files,
    }
}

/// A hash of all that [`wants`] depends on.
fn name(producer: &Producer, description: &Description) -> [u8; 32] {
    let decoder = &producer.decoder;
    let mut name = blake3::Hasher::new();
    name.update(&decoder.dataset.to_le_bytes())
        .update(&description.served.dataset().fingerprint.0)
        .update(&[producer.spec.split as u8]);
    name.update(&decoder.short_side.unwrap_or(0).to_le_bytes());
    for draws in &description.draws_per_class {
        name.update(&draws.to_le_bytes());
    }
    *name.finalize().as_bytes()
}

fn wants(producer: &Producer, description: &Description) -> Vec<Want> {
    let (decoder, dataset) = (&producer.decoder, description.served.dataset());
    let bytes = |sample: u32| {
        let file = &dataset.samples[sample as usize];
        let (width, height) = canonical_size(file.width, file.height, decoder.short_side);
        u64::from(width) * u64::from(height) * Image::CHANNELS as u64 + Image::SLACK as u64
    };
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
}
