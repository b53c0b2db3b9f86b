//! CPU kernels of a training step, written for vectors of sixteen floats: convolutions, batch norms, pooling, optimizer updates.
//!
//! The module works on slices and threads, and is independent of graphs and of ONNX Runtime.
//!
//! # Layout
//!
//! - [`Extent`], [`Window`]: shapes of activations in NCHWc layout (blocks of sixteen channels); kernel size, stride and padding.
//! - `vector`: the vector operations used by all kernels; `portable`, `avx2`, `avx512`: their implementations;
//!   [`InstructionSet`]: detection and dispatch.
//! - [`Pool`], [`Workspace`], [`ExecContext`]: threads and memory, provided by the caller.
//! - [`conv`]: convolutions and their gradients; `winograd` and `direct` are the two algorithms, and `direct::depthwise` one for depthwise
//!   convolutions.
//! - `prologue`, `epilogue`: operations fused into loads and stores; `destination`: where stores go.
//! - [`norm`], [`layer_norm`], [`gelu`], [`softmax`], [`max_pool`], [`adamw`], [`layout`]: the other kernels.
//!
//! # Determinism
//!
//! Results are bit-identical for any number of threads and any instruction set: work is split by shape, never by the number of threads; every
//! sum has a fixed order; every operation is exact or rounded once, in the same way on all instruction sets.
//!
//! # How kernels are written
//!
//! Kernels are generic over the vector type and always inlined into a function compiled for one instruction set. They use loops instead of
//! closures: a closure is a separate function and would be compiled without the target features.

#![allow(
    unsafe_code,
    reason = "vector instructions, and buffers that tasks share; `portable` implements every kernel without vector instructions"
)]
#![allow(
    clippy::needless_range_loop,
    reason = "the loops index several small matrices in registers at once"
)]

pub mod adamw;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod conv;
mod destination;
mod direct;
mod epilogue;
mod exec_context;
mod extent;
pub mod gelu;
mod instructions;
pub mod layer_norm;
pub mod layout;
pub mod max_pool;
pub mod norm;
mod partial_sums;
mod pool;
mod portable;
mod prologue;
mod scratch;
pub mod softmax;
mod unsafe_slice;
mod vector;
mod weight_gradient;
mod window;
mod winograd;

pub use epilogue::{BatchMean, GradEpilogue, ReluMask};
pub use exec_context::ExecContext;
pub use extent::Extent;
pub use instructions::InstructionSet;
pub use pool::{Pool, Serial};
pub use prologue::ScaleShiftRelu;
pub use scratch::Workspace;
pub use window::Window;

#[cfg(test)]
mod tests;
