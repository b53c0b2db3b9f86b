//! Creating a sampling plan, and planning batches with it.

mod cpu_time;

use cpu_time::CpuTime;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use equibatch_engine::{
    random::{Purpose, below, generator},
    sampling::{Balance, LastBatch, Order, Plan, PlanSpec},
};

/// A plan for `classes` classes: the first has `common` images, the others a tenth of that.
fn spec(classes: usize, common: u32) -> PlanSpec {
    let mut next = 0;
    let members = (0..classes).map(|class| {
        let count = if class == 0 { common } else { common / 10 };
        next += count;
        (next - count..next).collect()
    });
    PlanSpec {
        members: members.collect::<Vec<_>>().into(),
        balance: Balance::Oversample,
        images_per_epoch: None,
        batch_size: 64,
        last_batch: LastBatch::Drop,
        order: Order::Shuffled,
        seed: 0,
    }
}

fn planning(criterion: &mut Criterion<CpuTime>) {
    for (name, spec) in [
        ("2 classes, 220 images", spec(2, 200)),
        ("1000 classes, 10 million images", spec(1000, 99_108)),
    ] {
        let mut group = criterion.benchmark_group(name);
        group.bench_function("plan", |bencher| {
            bencher.iter_batched(|| spec.clone(), Plan::new, BatchSize::SmallInput);
        });
        let plan = Plan::new(spec.clone()).expect("a plan");
        let steps = plan.steps_per_epoch() as u32;
        let mut generator = generator(1, Purpose::DRAWING, &[]);
        group.bench_function("batch of an epoch", |bencher| {
            bencher.iter(|| plan.batch(0, u64::from(below(&mut generator, steps))));
        });
        let mut epoch = 0;
        group.bench_function("first batch of an epoch", |bencher| {
            bencher.iter(|| {
                epoch += 1;
                plan.batch(epoch, u64::from(below(&mut generator, steps)))
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime::THREAD);
    targets = planning
}
criterion_main!(benches);
