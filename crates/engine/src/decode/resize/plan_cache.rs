//! How images of some sizes are made smaller, kept for the next ones.

use super::ResizeInput;
use super::avx512::ResizePlan;
use crate::cpu::Avx512;

/// Most sizes that are remembered. In most folders a few are those of most images.
const KEPT: usize = 8;

/// Plans for images of the latest sizes, the latest first.
#[derive(Debug, Default)]
pub(super) struct PlanCache(Vec<(PlanKey, Option<ResizePlan>)>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct PlanKey {
    from: (u32, u32),
    part: (f64, f64),
    to: (u32, u32),
}

impl PlanCache {
    /// Appends the pixels of the result; or returns `false`, where that is for others to do.
    pub(super) fn resize(&mut self, source: ResizeInput<'_>, to: (u32, u32), pixels: &mut Vec<u8>) -> bool {
        let Some(avx512) = Avx512::detect() else {
            return false;
        };
        let sizes = PlanKey {
            from: source.size,
            part: source.part,
            to,
        };
        match self.0.iter().position(|(known, _)| *known == sizes) {
            Some(known) => self.0[..=known].rotate_right(1),
            None => {
                self.0.truncate(KEPT - 1);
                self.0
                    .insert(0, (sizes, ResizePlan::new(sizes.from, sizes.part, sizes.to)));
            }
        }
        let Some(plan) = &mut self.0[0].1 else {
            return false;
        };
        plan.resize(avx512, source.pixels, pixels);
        true
    }
}
