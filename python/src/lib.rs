//! The native half of the Python package `equibatch`. The typed surface is in `python/equibatch`; `_native.pyi` describes this half.
//!
//! # Layout
//!
//! - `source`: an engine in this process, or servers; `origin`: opens them; `sharing`: an engine for several processes; `request`: what is asked
//!   of them; `stream`: the batches.
//! - `slots`: memory of the caller into which batches are received.
//! - `tensor`, `dlpack`: arrays for NumPy, PyTorch and JAX, without a copy.
//! - `sampler`: the plan over labels, for `equibatch.torch.BalancedBatchSampler`.
//! - `wait`: waiting without the interpreter's lock; `process`: what a forked child must not touch; `error`: exceptions by kind.

mod dlpack;
mod error;
mod origin;
mod process;
mod request;
mod sampler;
mod sharing;
mod slots;
mod source;
mod stream;
mod tensor;
mod wait;

use pyo3::prelude::*;

/// The extension module `equibatch._native`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<request::Request>()?;
    module.add_class::<source::Source>()?;
    module.add_class::<source::Description>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<stream::StreamDescription>()?;
    module.add_class::<tensor::Tensor>()?;
    module.add_class::<sampler::SamplerPlan>()
}
