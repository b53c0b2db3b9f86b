//! What a checksum costs a client for an image of 224x224, in CPU time: beside the same copy of what has arrived without the checksum. The bench
//! `rendering` shows what it costs a server.

mod cpu_time;

use std::hint::black_box;

use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use equibatch_engine::checksum::Crc32c;

/// Images of a batch, in new memory each: more than any cache holds.
const BATCH: usize = 64;
/// What comes at a time.
const PIECE: usize = 64 << 10;

fn checksum(criterion: &mut Criterion<CpuTime>) {
    for (name, bytes) in [("f32", 224 * 224 * 3 * 4), ("u8", 224 * 224 * 3)] {
        let source: Vec<u8> = (0..bytes).map(|index| ((index * 7919) >> 3) as u8).collect();
        let came: Vec<u8> = source.repeat(BATCH);
        let mut batch = vec![1_u8; bytes * BATCH];
        let mut group = criterion.benchmark_group(format!("checksum, {name}, batch of {BATCH}"));
        group
            .throughput(Throughput::Elements(BATCH as u64))
            .sample_size(20);
        for is_checked in [false, true] {
            let with = if is_checked { "with" } else { "without" };
            // From memory, and from a cache, if the kernel has just written it.
            for (whence, came) in [("memory", &came[..]), ("cache", &came[..PIECE])] {
                group.bench_function(format!("from {whence}, {with}"), |bencher| {
                    bencher.iter(|| {
                        let mut sum = Crc32c::new();
                        for (piece, place) in came.chunks(PIECE).cycle().zip(batch.chunks_mut(PIECE)) {
                            let piece = black_box(&piece[..place.len()]);
                            if is_checked {
                                sum.update_and_copy(piece, place);
                            } else {
                                place.copy_from_slice(piece);
                            }
                        }
                        sum.value()
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime::THREAD);
    targets = checksum
}
criterion_main!(benches);
