//! Choice of the kernel's instruction set.

use std::fmt;
use std::sync::OnceLock;

use super::job::RenderJob;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::kernel;
use super::scalar;

/// An instruction set that this CPU has. All of them give the same bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InstructionSet(Isa);

/// Variants other than `Scalar` hold a proof that the CPU has the instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Isa {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(crate::cpu::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(crate::cpu::Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(crate::cpu::Neon),
}

impl InstructionSet {
    /// Portable Rust, the reference of all others.
    pub const SCALAR: Self = Self(Isa::Scalar);

    /// All instruction sets that this CPU has, fastest first; [`InstructionSet::SCALAR`] is last.
    #[must_use]
    pub fn available() -> &'static [Self] {
        static AVAILABLE: OnceLock<Vec<InstructionSet>> = OnceLock::new();
        AVAILABLE.get_or_init(|| {
            let mut available = Vec::new();
            #[cfg(target_arch = "x86_64")]
            {
                available.extend(crate::cpu::Avx512::detect().map(|token| Self(Isa::Avx512(token))));
                available.extend(crate::cpu::Avx2::detect().map(|token| Self(Isa::Avx2(token))));
            }
            #[cfg(target_arch = "aarch64")]
            available.extend(crate::cpu::Neon::detect().map(|token| Self(Isa::Neon(token))));
            available.push(Self::SCALAR);
            available
        })
    }

    /// The fastest instruction set that this CPU has.
    #[must_use]
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// The name in lower case, such as `avx2`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Isa::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(_) => "neon",
        }
    }

    /// Computes whole rows of the result, from `first_row` on, as many as the planes hold.
    pub(super) fn rows(self, job: &RenderJob<'_>, first_row: u32, planes: [&mut [f32]; 3]) {
        match self.0 {
            Isa::Scalar => scalar::rows(job, first_row, planes),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(token) => kernel::rows(token, job, first_row, planes),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(token) => kernel::rows(token, job, first_row, planes),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(token) => kernel::rows(token, job, first_row, planes),
        }
    }
}

impl fmt::Debug for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
