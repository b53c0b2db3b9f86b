//! Whole batches from the engine, in CPU time of all threads of the process: mostly rendering, else planning, cache look-ups, scheduling
//! and joining buffers. `server bench` measures the same among other stages.

mod cpu_time;

use std::fs;

use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use equibatch_engine::{
    dataset::{Dataset, ScanOptions},
    pipeline::{BatchStream, Engine, EngineConfig, StreamSpec},
    tensor::ElementType,
};
use image::{Rgb, RgbImage};

const BATCH: u32 = 64;

/// An engine over 40 images in two classes.
fn engine() -> Engine {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (class, count) in [("birds", 8), ("flowers", 32)] {
        let class = folder.path().join("train").join(class);
        fs::create_dir_all(&class).expect("a class folder");
        for index in 0..count {
            let shade = |x, y| Rgb([x as u8, y as u8, (x + y + index * 20) as u8]);
            let image = RgbImage::from_fn(341, 256, shade);
            image
                .save(class.join(format!("{index}.jpg")))
                .expect("an image file");
        }
    }
    let dataset = Dataset::scan("pictures", folder.path(), &ScanOptions::default()).expect("a dataset");
    let engine = Engine::new(EngineConfig::default(), vec![dataset]).expect("threads");
    // Fills the cache: the files are deleted with the folder.
    let mut stream = open(&engine, ElementType::U8);
    for _ in 0..8 {
        stream.next().expect("no end").expect("a batch");
    }
    engine
}

/// A stream with more epochs than any benchmark consumes.
fn open(engine: &Engine, element_type: ElementType) -> BatchStream {
    let spec = StreamSpec {
        images_per_epoch: Some(u64::from(BATCH) * 16),
        ..StreamSpec::train("")
            .epochs(1_000_000)
            .batch_size(BATCH)
            .element_type(element_type)
    };
    engine.stream(spec).expect("a stream")
}

fn assembly(criterion: &mut Criterion<CpuTime>) {
    let engine = engine();
    let mut group = criterion.benchmark_group("batch of 64");
    group
        .throughput(Throughput::Elements(u64::from(BATCH)))
        .sample_size(20);
    for (name, element_type) in [
        ("f32", ElementType::F32),
        ("f16", ElementType::F16),
        ("u8", ElementType::U8),
    ] {
        let mut stream = open(&engine, element_type);
        group.bench_function(name, |bencher| {
            bencher.iter(|| stream.next().expect("no end").expect("a batch"));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime::PROCESS);
    targets = assembly
}
criterion_main!(benches);
