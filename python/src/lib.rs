//! The native half of the Python package `equibatch`. The typed surface is in `python/equibatch`; `_native.pyi` describes this half.

mod sampler;

use pyo3::prelude::*;

/// The extension module `equibatch._native`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<sampler::SamplerPlan>()
}
