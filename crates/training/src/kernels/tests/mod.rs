//! Compares kernels with reference loops in double precision, and instruction sets and pools with one another.

mod conv;
mod other;
mod reference;
mod tokens;

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{ExecContext, Extent, InstructionSet, Pool, Serial, Workspace, layout};

/// Pseudo-random numbers in −1..1, a function of the seed.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Runs the last task first.
struct Backwards;

// SAFETY: a range has each of its numbers once, and each call has ended before the next one begins.
unsafe impl Pool for Backwards {
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..count).rev().for_each(task);
    }
}

/// Three threads that take the next task in turn.
struct Threads;

// SAFETY: the counter gives each number to one thread, numbers from `count` on are not used, and the scope waits for its threads.
unsafe impl Pool for Threads {
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            break;
                        }
                        task(number);
                    }
                });
            }
        });
    }
}

/// Runs `work` in plain Rust on one thread, and asserts that every instruction set and pool gives the same bits.
fn same_everywhere(case: &str, work: impl Fn(&mut ExecContext<'_>) -> Vec<f32>) -> Vec<f32> {
    let run = |set: InstructionSet, pool: &dyn Pool| {
        // Stale content of a previous kernel.
        let mut workspace = Workspace::default();
        workspace.sums.slice(1 << 12).fill(f32::NAN);
        workspace.weights.slice(1 << 12).fill(f32::NAN);
        work(&mut ExecContext {
            set,
            pool,
            workspace: &mut workspace,
        })
    };
    let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    let expected = run(InstructionSet::PORTABLE, &Serial);
    for &set in InstructionSet::available() {
        let pools: [(&str, &dyn Pool); 3] = [
            ("serial", &Serial),
            ("backwards", &Backwards),
            ("threads", &Threads),
        ];
        for (name, pool) in pools {
            assert!(
                bits(&run(set, pool)) == bits(&expected),
                "{case}: {set:?}, {name}"
            );
        }
    }
    expected
}

/// Largest absolute difference, relative to the largest absolute expected value.
fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected
        .iter()
        .fold(1e-30_f64, |largest, number| largest.max(number.abs()));
    let differences = found
        .iter()
        .zip(expected)
        .map(|(&found, expected)| (f64::from(found) - expected).abs());
    differences.fold(0.0, |most: f64, difference| {
        if difference.is_nan() {
            f64::INFINITY
        } else {
            most.max(difference)
        }
    }) / largest
}

fn doubles(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&number| f64::from(number)).collect()
}

fn to_blocks(extent: Extent, plain: &[f32]) -> Vec<f32> {
    let mut blocks = vec![0.0; plain.len()];
    with_exec(|exec| layout::to_blocks(exec, extent, plain, &mut blocks));
    blocks
}

fn from_blocks(extent: Extent, blocks: &[f32]) -> Vec<f32> {
    let mut plain = vec![0.0; blocks.len()];
    with_exec(|exec| layout::from_blocks(exec, extent, blocks, &mut plain));
    plain
}

fn with_exec<T>(work: impl FnOnce(&mut ExecContext<'_>) -> T) -> T {
    work(&mut ExecContext {
        set: InstructionSet::PORTABLE,
        pool: &Serial,
        workspace: &mut Workspace::default(),
    })
}
