//! Instruction sets for which the decoder is compiled.

use super::colour::Convert;
#[cfg(target_arch = "x86_64")]
use super::idct::Block;
use super::idct::Idct;
#[cfg(target_arch = "x86_64")]
use crate::cpu::{Avx2, Avx512};

/// An instruction set: implements all vectorised parts.
pub(super) trait Instructions: Idct + Convert {}

impl<T: Idct + Convert> Instructions for T {}

/// AVX-512 where it is faster, otherwise AVX2.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Wide {
    pub(super) avx2: Avx2,
    _avx512: Avx512,
}

#[cfg(target_arch = "x86_64")]
impl Wide {
    /// `None` if the CPU lacks one of both.
    pub(super) fn detect() -> Option<Self> {
        Some(Self {
            avx2: Avx2::detect()?,
            _avx512: Avx512::detect()?,
        })
    }
}

#[cfg(target_arch = "x86_64")]
impl Idct for Wide {
    #[inline(always)]
    fn samples(self, block: &Block, target: &mut [u8], stride: usize) {
        self.avx2.samples(block, target, stride);
    }
}
