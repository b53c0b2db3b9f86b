//! Benchmarks of decoding files, and of an engine without a cache.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    data::photograph,
    engine::drain,
    error::Error,
    fixture::Fixture,
    interleaved::{Interleaved, Rounds},
    meter::{Cost, Meter, median},
    options::Options,
    report::Report,
};
use equibatch_engine::{
    dataset::Split,
    decode::{DecodeOptions, canonical_short_side, decode_canonical},
    image::Image,
    tensor::ElementType,
};

const DECODE: &str = "decode";
const CANONICAL: &str = "canonical";
const UNCACHED: &str = "engine_uncached_f32";

pub(super) fn join(fixture: &Fixture, interleaved: &mut Interleaved) -> Result<(), Error> {
    let files = Arc::new(Files::read(fixture)?);
    let (threads, batch) = (fixture.threads.get(), u64::from(fixture.size.batch));
    let work = |short_side| {
        let files = Arc::clone(&files);
        move |batches| files.decode_all(batches * batch, threads, short_side)
    };
    interleaved.join(DECODE, work(None));
    interleaved.join(CANONICAL, work(Some(canonical_short_side(fixture.size.image))));
    let request = fixture.request(ElementType::F32);
    interleaved.join(UNCACHED, drain(&fixture.uncached, request)?);
    Ok(())
}

/// Computes `decode_bound`: the throughput of an engine without a cache, relative to decoding and downscaling alone with as many threads.
/// At 1, the engine would add no cost to its decoder.
pub(super) fn compare(rounds: &Rounds, report: &mut Report) {
    let bound = rounds.compare([UNCACHED, CANONICAL], |[engine, decode]| {
        engine.rate() / decode.rate()
    });
    report.note_any("decode_bound", bound);
}

/// Measures `large_jpeg_cpu_ms`: processor time from the bytes of a large photograph to its canonical image; and the file's size in MB.
pub(super) fn measure_photograph(options: &Options, report: &mut Report) -> Result<(), Error> {
    let file = photograph(options.size.photograph)?;
    let short_side = Some(canonical_short_side(options.size.image));
    let mut cpu_ms = vec![];
    for _ in 0..options.rounds.get() {
        let meter = Meter::start();
        first_touch(&file, short_side)?;
        cpu_ms.push(meter.stop(1).cpu_ms());
    }
    report.note("large_jpeg_cpu_ms", median(cpu_ms));
    report.note("large_jpeg_mb", file.len() as f64 / 1e6);
    Ok(())
}

/// The contents of all files of the training split.
#[derive(Debug)]
struct Files(Vec<Vec<u8>>);

impl Files {
    fn read(fixture: &Fixture) -> Result<Self, Error> {
        let members = fixture.dataset.members(Split::Train);
        let read = |&sample: &u32| fs::read(fixture.dataset.path(sample)).map_err(Error::Folder);
        let files = members.iter().flatten().map(read).collect::<Result<_, _>>()?;
        Ok(Self(files))
    }

    /// Decodes `count` files, cyclically, with `threads` threads.
    fn decode_all(&self, count: u64, threads: usize, short_side: Option<u32>) -> Result<Cost, Error> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return Ok(());
                }
                first_touch(&self.0[index % self.0.len()], short_side)?;
            }
        };
        let meter = Meter::start();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })
        .map(|()| meter.stop(count as u64))
    }
}

/// Decodes a file to a canonical image with this short side; `None`: its own size.
fn first_touch(file: &[u8], short_side: Option<u32>) -> Result<Image, Error> {
    Ok(decode_canonical(file, &DecodeOptions::default(), short_side)?)
}
