//! Runs programs on ONNX Runtime, the only module that names it.
//!
//! # Layout
//!
//! - [`library`]: where the shared library is looked for.
//! - [`device`]: `cpu`, `cuda`, `cuda:1`.
//! - [`session`]: the loaded library and the sessions made from it.

pub mod device;
mod error;
pub mod library;
pub mod session;

pub use device::Device;
pub use error::Error;
pub use session::{Runtime, SessionOptions};
