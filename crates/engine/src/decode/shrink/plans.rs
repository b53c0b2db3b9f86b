//! How images of some sizes are made smaller, kept for the next ones.

use super::Source;
use super::avx512::Plan;
use crate::machine::Avx512;

/// Most sizes that are remembered. In most folders a few are those of most images.
const KEPT: usize = 8;

/// Plans for images of the latest sizes, the latest first.
#[derive(Debug, Default)]
pub(super) struct Plans(Vec<(Sizes, Option<Plan>)>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Sizes {
    from: (u32, u32),
    part: (f64, f64),
    to: (u32, u32),
}

impl Plans {
    /// Appends the pixels of the result; or returns `false`, where that is for others to do.
    pub(super) fn shrink(&mut self, source: Source<'_>, to: (u32, u32), pixels: &mut Vec<u8>) -> bool {
        let Some(avx512) = Avx512::detect() else {
            return false;
        };
        let sizes = Sizes {
            from: source.size,
            part: source.part,
            to,
        };
        match self.0.iter().position(|(known, _)| *known == sizes) {
            Some(known) => self.0[..=known].rotate_right(1),
            None => {
                self.0.truncate(KEPT - 1);
                self.0
                    .insert(0, (sizes, Plan::new(sizes.from, sizes.part, sizes.to)));
            }
        }
        let Some(plan) = &mut self.0[0].1 else {
            return false;
        };
        plan.shrink(avx512, source.pixels, pixels);
        true
    }
}
