//! Benchmark of planning epochs of very many samples.

use std::{hint::black_box, sync::Arc};

use super::{
    error::Error,
    meter::{Meter, median, resident_bytes},
    options::Options,
    report::Report,
};
use equibatch_engine::{
    random::{Purpose, below, generator},
    sampling::{Balance, LastBatch, Order, Plan, PlanSpec},
};

/// Random batches per round.
const ACCESSES: u64 = 200;

/// Measures `plan_10m_ms`, the time to build a plan; `plan_10m_mb`, the memory of its lists and tables, in MB; `plan_10m_batch_us`, the
/// time of a random batch within one epoch; and `plan_10m_epoch_us`, that of the first batch of a new epoch.
pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), Error> {
    let (mut build_ms, mut batch_us, mut epoch_us) = (vec![], vec![], vec![]);
    let (samples, classes) = options.size.plan;
    let before = resident_bytes().map_err(Error::Memory)?;
    let mut bytes = 0;
    for round in 0..options.rounds.get() as u64 {
        let meter = Meter::start();
        let plan = plan(options)?;
        build_ms.push(meter.elapsed_ms());
        let mut generator = generator(round, Purpose::DRAWING, &[u64::from(samples), u64::from(classes)]);
        let steps = u32::try_from(plan.steps_per_epoch()).unwrap_or(u32::MAX);
        let mut access = |epoch_of: &dyn Fn(u64) -> u64| {
            let meter = Meter::start();
            for access in 0..ACCESSES {
                let step = u64::from(below(&mut generator, steps));
                black_box(plan.batch(epoch_of(access), step));
            }
            meter.elapsed_ms() * 1000.0 / ACCESSES as f64
        };
        batch_us.push(access(&|_| round));
        epoch_us.push(access(&|access| 1 + access));
        if round == 0 {
            bytes = resident_bytes().map_err(Error::Memory)?.saturating_sub(before);
        }
    }
    report.note("plan_10m_ms", median(build_ms));
    report.note("plan_10m_mb", bytes as f64 / 1e6);
    report.note("plan_10m_batch_us", median(batch_us));
    report.note("plan_10m_epoch_us", median(epoch_us));
    Ok(())
}

/// Builds the class lists and the plan. Class sizes differ by up to a factor of five.
fn plan(options: &Options) -> Result<Plan, Error> {
    let (samples, classes) = options.size.plan;
    let mut members = vec![Vec::new(); classes as usize];
    let mut first = 0;
    for class in 0..classes {
        // Relative number of samples in all classes below this one.
        let below = |class: u32| f64::from(class) * f64::from(classes + 2 * class);
        let end = below(class + 1) / below(classes) * f64::from(samples);
        let end = end.round() as u32;
        for sample in first..end {
            members[class as usize].push(sample);
        }
        first = end;
    }
    Ok(Plan::new(PlanSpec {
        members: Arc::from(members),
        balance: Balance::Oversample,
        images_per_epoch: None,
        batch_size: options.size.batch,
        last_batch: LastBatch::Drop,
        order: Order::Shuffled,
        seed: 0,
    })?)
}
