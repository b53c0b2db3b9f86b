//! Batches made and dropped within the process.

use std::thread;

use tokio::runtime::{Builder, Runtime};

use super::{
    Error, Report,
    meter::Cost,
    middle::{Middle, SETTLING},
    subject::Subject,
    turns::{Rounds, Turns},
};
use equibatch_engine::{
    pipeline::{Engine, StreamSpec},
    tensor::ElementType,
};

pub(super) const F32: &str = "engine_f32";
const ONE_THREAD: &str = "engine_f32_one_thread";

pub(super) fn join(subject: &Subject, turns: &mut Turns) -> Result<(), Error> {
    for (name, element_type) in [
        (F32, ElementType::F32),
        ("engine_f16", ElementType::F16),
        ("engine_u8", ElementType::U8),
    ] {
        turns.join(name, drain(&subject.engine, subject.request(element_type))?);
    }
    let request = subject.request(ElementType::F32);
    turns.join(ONE_THREAD, drain(&subject.one_thread, request)?);
    Ok(())
}

/// Notes `engine_scaling`: images per second of all threads, in times of one thread's.
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
        let mut middle = Middle::of(batches);
        let images = u64::from(request.batch_size);
        let mut stream = engine.stream(StreamSpec {
            images_per_epoch: Some(middle.whole() * images),
            ..request.clone()
        })?;
        let mut measured = Err(Error::Ended);
        for batch in &mut stream {
            batch?;
            if let Some(cost) = middle.take(images) {
                measured = Ok(cost);
                break;
            }
        }
        drop(stream);
        thread::sleep(SETTLING);
        measured
    })
}

/// What a reader waits on: its own thread and no other.
pub(super) fn runtime() -> Result<Runtime, Error> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Threads)
}
