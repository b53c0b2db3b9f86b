//! Which instruction set the kernel runs on.

use std::fmt;
use std::sync::OnceLock;

use super::scalar;
use super::write::Job;

/// An instruction set that this machine has. All of them give the same bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InstructionSet(Kind);

/// Values other than `Scalar` are made by detection alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(crate::machine::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(crate::machine::Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(super::neon::Neon),
}

impl InstructionSet {
    /// Plain Rust: the specification of all others.
    pub const SCALAR: Self = Self(Kind::Scalar);

    /// Everything that this machine has, fastest first; [`InstructionSet::SCALAR`] is last.
    #[must_use]
    pub fn available() -> &'static [Self] {
        static AVAILABLE: OnceLock<Vec<InstructionSet>> = OnceLock::new();
        AVAILABLE.get_or_init(|| {
            let mut available = Vec::new();
            #[cfg(target_arch = "x86_64")]
            {
                available.extend(crate::machine::Avx512::detect().map(|token| Self(Kind::Avx512(token))));
                available.extend(crate::machine::Avx2::detect().map(|token| Self(Kind::Avx2(token))));
            }
            #[cfg(target_arch = "aarch64")]
            available.extend(super::neon::Neon::detect().map(|token| Self(Kind::Neon(token))));
            available.push(Self::SCALAR);
            available
        })
    }

    /// The fastest that this machine has.
    #[must_use]
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// As the vendors write it, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "neon",
        }
    }

    /// Computes whole rows of the result, from `first_row` on, as many as the planes hold.
    pub(super) fn rows(self, job: &Job<'_>, first_row: u32, planes: [&mut [f32]; 3]) {
        match self.0 {
            Kind::Scalar => scalar::rows(job, first_row, planes),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(token) => super::avx2::rows(token, job, first_row, planes),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(token) => super::neon::rows(token, job, first_row, planes),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(token) => super::avx512::rows(token, job, first_row, planes),
        }
    }
}

impl fmt::Debug for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
