//! Benchmark of cache hits.

use std::{hint::black_box, thread};

use super::{
    error::Error,
    fixture::Fixture,
    meter::{Meter, median},
    report::Report,
};
use equibatch_engine::{
    cache::{Cache, Key},
    image::Image,
};

/// Look-ups per thread and round.
const LOOK_UPS: u32 = 100_000;
const ROUNDS: u32 = 5;

/// Measures `cache_hit_ns`: processor time of a hit while all threads look up images.
pub(super) fn measure(fixture: &Fixture, report: &mut Report) -> Result<(), Error> {
    let images = u32::try_from(fixture.dataset.samples.len()).unwrap_or(u32::MAX);
    let cache = Cache::new(u64::MAX);
    let key = |sample| Key {
        dataset: 0,
        sample,
        short_side: Some(256),
    };
    let look_up = |sample| {
        let pixel = || Ok::<_, Error>(Image::new(1, 1, vec![0; 3]));
        cache.get_or_insert_with(key(sample), pixel)
    };
    for sample in 0..images {
        look_up(sample)?;
    }
    let round = || {
        let meter = Meter::start();
        let work = |first: u32| {
            for index in 0..LOOK_UPS {
                let _image = black_box(look_up((first + index) % images));
            }
        };
        thread::scope(|scope| {
            for thread in 0..fixture.threads.get() as u32 {
                // Each thread starts elsewhere, as in a shuffled epoch.
                scope.spawn(move || work(thread * 7919));
            }
        });
        let look_ups = u64::from(LOOK_UPS) * fixture.threads.get() as u64;
        meter.stop(look_ups).cpu_ms() * 1e6
    };
    report.note("cache_hit_ns", median((0..ROUNDS).map(|_| round())));
    Ok(())
}
