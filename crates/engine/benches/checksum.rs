//! What a checksum costs an image of 224 x 224, in processor time: of the worker that has just written it, and of the client that copies it from
//! what has come. Each beside the same work without the checksum; the difference is the cost.

mod cpu_time;

use std::hint::black_box;

use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use equibatch_engine::checksum::{Crc32c, crc32c, joined};

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
            group.bench_function(format!("server, {with}"), |bencher| {
                bencher.iter(|| {
                    let mut sum = crc32c(&[]);
                    for image in batch.chunks_exact_mut(bytes) {
                        image.copy_from_slice(black_box(&source));
                        if is_checked {
                            sum = joined(sum, crc32c(image), bytes);
                        }
                    }
                    sum
                });
            });
            // From memory, and from a cache, if the kernel has just written it.
            for (whence, came) in [("memory", &came[..]), ("cache", &came[..PIECE])] {
                group.bench_function(format!("client, from {whence}, {with}"), |bencher| {
                    bencher.iter(|| {
                        let mut sum = Crc32c::new();
                        for (piece, place) in came.chunks(PIECE).cycle().zip(batch.chunks_mut(PIECE)) {
                            let piece = &piece[..place.len()];
                            let piece = black_box(piece);
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
