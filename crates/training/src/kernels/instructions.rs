//! Detection of instruction sets, and dispatch of kernels to them.

use std::fmt;
use std::sync::OnceLock;

use super::pool::Pool;
use super::portable::Portable;
use super::vector::Vector;
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512};

/// An instruction set that this CPU supports. Results are bit-identical on all of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InstructionSet(Isa);

/// Values other than `Portable` are made by detection alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Isa {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// A kernel that is split into tasks and generic over the vector type.
pub(super) trait Kernel: Sync {
    /// Runs one task.
    ///
    /// Implementations are `#[inline(always)]`, so that they are compiled with the target features of `V`.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, `number` is below the number of tasks that the kernel was split into, and no other call
    /// with this number runs at the same time.
    unsafe fn task<V: Vector>(&self, number: usize);
}

impl InstructionSet {
    /// Plain Rust: the reference for the others, and slow.
    pub const PORTABLE: Self = Self(Isa::Portable);

    /// All supported instruction sets, fastest first; [`InstructionSet::PORTABLE`] is last.
    #[must_use]
    pub fn available() -> &'static [Self] {
        static AVAILABLE: OnceLock<Vec<InstructionSet>> = OnceLock::new();
        AVAILABLE.get_or_init(|| {
            let mut available = Vec::new();
            #[cfg(target_arch = "x86_64")]
            {
                if is_x86_feature_detected!("avx512f") {
                    available.push(Self(Isa::Avx512));
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    available.push(Self(Isa::Avx2));
                }
            }
            available.push(Self::PORTABLE);
            available
        })
    }

    /// The fastest supported instruction set.
    #[must_use]
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// Whether these kernels are faster on it than ONNX Runtime's.
    #[must_use]
    pub fn is_fast(self) -> bool {
        self != Self::PORTABLE
    }

    /// Runs tasks 0 to `count` − 1 of a kernel that was split into `count` tasks.
    pub(super) fn run(self, pool: &dyn Pool, count: usize, kernel: &impl Kernel) {
        // SAFETY: `available` alone makes a kind other than `Portable`, and only if it detects its instructions. A pool calls with each
        // number below `count` once, and every kernel of this crate is run with the number of tasks that it was split into.
        pool.run(count, &|number| unsafe {
            match self.0 {
                Isa::Portable => kernel.task::<Portable>(number),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => with_avx2(kernel, number),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => with_avx512(kernel, number),
            }
        });
    }
}

/// # Safety
/// The CPU supports AVX2 and FMA, and the other requirements of [`Kernel::task`] hold.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn with_avx2(kernel: &impl Kernel, number: usize) {
    // SAFETY: the caller guarantees AVX2 and FMA, which are the instruction set of `Avx2`, and what `task` requires of `number`.
    unsafe { kernel.task::<Avx2>(number) }
}

/// # Safety
/// The CPU supports AVX-512F, and the other requirements of [`Kernel::task`] hold.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn with_avx512(kernel: &impl Kernel, number: usize) {
    // SAFETY: the caller guarantees AVX-512F, which is the instruction set of `Avx512`, and what `task` requires of `number`. All CPUs with AVX-512F
    // have SSE. Streamed stores of the task are ordered before whatever tells that it has ended.
    unsafe {
        kernel.task::<Avx512>(number);
        std::arch::x86_64::_mm_sfence();
    }
}

impl fmt::Debug for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Isa::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
        })
    }
}
