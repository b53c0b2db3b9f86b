//! Benchmarks of rendering batches within the process.

use std::thread;

use tokio::runtime::{Builder, Runtime};

use super::{
    error::Error,
    fixture::Fixture,
    interleaved::{Interleaved, Rounds},
    meter::Cost,
    report::Report,
    steady_state::{SETTLE_TIME, SteadyState},
};
use equibatch_engine::{
    pipeline::{Engine, StreamSpec},
    tensor::ElementType,
};

pub(super) const F32: &str = "engine_f32";
const ONE_THREAD: &str = "engine_f32_one_thread";

pub(super) fn join(fixture: &Fixture, interleaved: &mut Interleaved) -> Result<(), Error> {
    for (name, element_type) in [
        (F32, ElementType::F32),
        ("engine_f16", ElementType::F16),
        ("engine_u8", ElementType::U8),
    ] {
        interleaved.join(name, drain(&fixture.engine, fixture.request(element_type))?);
    }
    let request = fixture.request(ElementType::F32);
    interleaved.join(ONE_THREAD, drain(&fixture.one_thread, request)?);
    Ok(())
}

/// Computes `engine_scaling`: the throughput of all threads relative to one thread.
pub(super) fn compare(rounds: &Rounds, report: &mut Report) {
    let scaling = rounds.compare([F32, ONE_THREAD], |[all, one]| all.rate() / one.rate());
    report.note_any("engine_scaling", scaling);
}

/// Opens a stream of `engine`, and drops its batches as they come.
pub(super) fn drain(
    engine: &Engine,
    request: StreamSpec,
) -> Result<impl FnMut(u64) -> Result<Cost, Error> + use<>, Error> {
    let engine = engine.clone();
    Ok(move |batches| {
        let mut steady_state = SteadyState::of(batches);
        let images = u64::from(request.batch_size);
        let mut stream = engine.stream(StreamSpec {
            images_per_epoch: Some(steady_state.whole() * images),
            ..request.clone()
        })?;
        let mut measured = Err(Error::Ended);
        for batch in &mut stream {
            batch?;
            if let Some(cost) = steady_state.take(images) {
                measured = Ok(cost);
                break;
            }
        }
        drop(stream);
        thread::sleep(SETTLE_TIME);
        measured
    })
}

/// A single-threaded runtime for a reader.
pub(super) fn runtime() -> Result<Runtime, Error> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Threads)
}
