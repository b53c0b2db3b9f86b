//! Cache of resize plans by size.

use super::ResizeInput;
use super::avx512::ResizePlan;
use crate::cpu::Avx512;

/// Maximum number of plans. In most data sets, most images have one of a few sizes.
const CAPACITY: usize = 8;

/// The most recently used plans, the latest first; `None` for sizes without a plan.
#[derive(Debug, Default)]
pub(super) struct PlanCache(Vec<(PlanKey, Option<ResizePlan>)>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct PlanKey {
    from: (u32, u32),
    part: (f64, f64),
    to: (u32, u32),
}

impl PlanCache {
    /// Resizes and appends the pixels of the result; `false` if this CPU or this scale is not supported here.
    pub(super) fn resize(&mut self, source: ResizeInput<'_>, to: (u32, u32), pixels: &mut Vec<u8>) -> bool {
        let Some(avx512) = Avx512::detect() else {
            return false;
        };
        let key = PlanKey {
            from: source.size,
            part: source.part,
            to,
        };
        match self.0.iter().position(|(known, _)| *known == key) {
            Some(known) => self.0[..=known].rotate_right(1),
            None => {
                self.0.truncate(CAPACITY - 1);
                self.0
                    .insert(0, (key, ResizePlan::new(key.from, key.part, key.to)));
            }
        }
        let Some(plan) = &mut self.0[0].1 else {
            return false;
        };
        plan.resize(avx512, source.pixels, pixels);
        true
    }
}
