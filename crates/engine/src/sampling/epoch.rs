//! Distribution of the classes over the full batches of an epoch.

use super::{GoldenRotation, Permutation};
use crate::random::{Purpose, key};

/// The part that is the same in all epochs: the floor of each class's share of a batch, and its remainder slots.
#[derive(Debug)]
pub(super) struct ClassShares {
    /// Full batches in an epoch.
    steps: u64,
    /// Minimum images of each class in every full batch.
    floors: Vec<u64>,
    /// Classes with at least one image in every batch.
    always: Vec<u32>,
    /// Classes with remainder slots, and their number: that of the batches with one image more than the floor.
    remainders: Vec<(u32, u64)>,
    /// Remainder slots in each full batch.
    remainders_per_step: u64,
}

/// A class's part of a batch: `count` images of `class`, after `first` earlier draws in this epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) class: u32,
    pub(super) first: u64,
    pub(super) count: u64,
}

impl ClassShares {
    /// Distributes `draws` per class over `steps` batches; the sum of the draws is a multiple of `steps`.
    pub(super) fn new(draws: &[u64], steps: u64) -> Self {
        if steps == 0 {
            return Self {
                steps,
                floors: vec![0; draws.len()],
                always: vec![],
                remainders: vec![],
                remainders_per_step: 0,
            };
        }
        let floors: Vec<u64> = draws.iter().map(|draws| draws / steps).collect();
        let classes = 0..draws.len() as u32;
        let always = classes
            .clone()
            .filter(|&class| floors[class as usize] > 0)
            .collect();
        let remainders: Vec<(u32, u64)> = classes
            .map(|class| (class, draws[class as usize] % steps))
            .filter(|(_, slots)| *slots > 0)
            .collect();
        let line: u64 = remainders.iter().map(|(_, slots)| slots).sum();
        debug_assert_eq!(line % steps, 0, "the draws of the full batches fill them");
        Self {
            steps,
            floors,
            always,
            remainders,
            remainders_per_step: line / steps,
        }
    }

    /// Arranges the remainder slots of one epoch, in an order of its own. Takes time linear in the number of classes.
    pub(super) fn lay_out(&self, seed: u64, epoch: u64) -> EpochLayout {
        let mut line = Vec::with_capacity(self.remainders.len());
        let mut end = 0;
        if !self.remainders.is_empty() {
            let order = Permutation::new(
                self.remainders.len() as u64,
                &key(seed, Purpose::CLASS_ORDER, &[epoch]),
            );
            for place in 0..self.remainders.len() as u64 {
                let (class, slots) = self.remainders[order.at(place) as usize];
                line.push(ClassSpan {
                    class,
                    start: end,
                    slots,
                });
                end += slots;
            }
        }
        let offset = key(seed, Purpose::STEP_OFFSET, &[epoch]);
        let offset = u64::from_le_bytes(offset[..8].try_into().expect("eight bytes"));
        EpochLayout {
            line,
            rotation: GoldenRotation::new(self.steps.max(1), offset),
        }
    }
}

/// The remainder slots of a class: an interval of the line.
#[derive(Clone, Copy, Debug)]
struct ClassSpan {
    class: u32,
    start: u64,
    slots: u64,
}

/// The order of the classes along the line, and of the steps, in one epoch.
#[derive(Debug)]
pub(super) struct EpochLayout {
    line: Vec<ClassSpan>,
    rotation: GoldenRotation,
}

impl EpochLayout {
    /// The quotas of the classes in full batch `step`; classes without an image are left out.
    pub(super) fn quotas(&self, shares: &ClassShares, step: u64) -> Vec<Quota> {
        debug_assert!(step < shares.steps, "step {step} of {}", shares.steps);
        let mut quotas: Vec<Quota> =
            Vec::with_capacity(shares.always.len() + shares.remainders_per_step as usize);
        let remainder: Vec<&ClassSpan> = (0..shares.remainders_per_step)
            .map(|slot| {
                let point = self.rotation.at(step) + slot * shares.steps;
                &self.line[self.line.partition_point(|span| span.start + span.slots <= point)]
            })
            .collect();
        // Classes with a floor first; their earlier remainder slots are counted from their span.
        let mut spans = vec![
            None;
            if shares.always.is_empty() {
                0
            } else {
                shares.floors.len()
            }
        ];
        if !spans.is_empty() {
            for span in &self.line {
                spans[span.class as usize] = Some(span);
            }
        }
        for &class in &shares.always {
            let floor = shares.floors[class as usize];
            let before = spans[class as usize].map_or(0, |span| self.remainders_before(shares, span, step));
            quotas.push(Quota {
                class,
                first: step * floor + before,
                count: floor,
            });
        }
        for span in remainder {
            match shares.always.binary_search(&span.class) {
                Ok(place) => quotas[place].count += 1,
                Err(_) => quotas.push(Quota {
                    class: span.class,
                    first: self.remainders_before(shares, span, step),
                    count: 1,
                }),
            }
        }
        quotas
    }

    fn remainders_before(&self, shares: &ClassShares, span: &ClassSpan, step: u64) -> u64 {
        self.rotation
            .count_in_arc(step, span.start % shares.steps, span.slots)
    }
}
