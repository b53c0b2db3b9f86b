//! What a training step spends its time on, written for vectors of sixteen floats: convolutions, batch norms and updates.
//!
//! A leaf: it knows slices and threads, and nothing of graphs or of who runs them.
//!
//! # Layout
//!
//! - [`Extent`], [`Window`]: activations in blocks of sixteen channels, and how kernels slide over them.
//! - `vector`: the few operations that kernels are written in; `portable`, `avx2`, `avx512`: instruction sets that implement them;
//!   [`InstructionSet`]: which of them a machine has.
//! - [`Pool`], [`Workspace`], [`ExecContext`]: threads and memory, lent by the caller.
//! - [`conv`]: convolutions and their gradients; `winograd` and `direct` are the two ways to compute them.
//! - `prologue`, `epilogue`: what else is done with activations while they are in registers.
//! - [`norm`], [`max_pool`], [`adamw`], [`layout`]: everything else.
//!
//! # Determinism
//!
//! Results are functions of the operands alone. Work is cut by shape, never by the number of threads, every sum has one order, and every
//! operation is exact or rounded once in the same way on all instruction sets: so threads and instruction sets cannot change a bit.
//!
//! # How kernels are written
//!
//! Kernels are generic over the vector and always inlined into a function that is compiled for one instruction set. They use loops where
//! other code would use closures: a closure is a function of its own, and would be compiled without the instructions.

#![allow(
    unsafe_code,
    reason = "vector instructions, and buffers that tasks share; `portable` is the plain twin of every kernel"
)]
#![allow(
    clippy::needless_range_loop,
    reason = "indices name rows and columns of small matrices in registers, several at a time"
)]

pub mod adamw;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod conv;
mod direct;
mod epilogue;
mod exec_context;
mod extent;
mod instructions;
pub mod layout;
pub mod max_pool;
pub mod norm;
mod partial_sums;
mod pool;
mod portable;
mod prologue;
mod scratch;
mod unsafe_slice;
mod vector;
mod window;
mod winograd;

pub use epilogue::{BatchMean, GradEpilogue, ReluMask};
pub use exec_context::ExecContext;
pub use extent::Extent;
pub use instructions::InstructionSet;
pub use pool::{Pool, Serial};
pub use scratch::Workspace;
pub use window::Window;

#[cfg(test)]
mod tests;
