//! Export to ONNX.
//!
//! # Layout
//! - [`ExportOptions`], [`DynamicBatch`]: options.
//! - `writer`: writes nodes, inputs and outputs; `names`: their names; `attributes`: attributes of nodes; `tensor`: initializers.

mod attributes;
mod dynamic_batch;
mod names;
mod options;
mod tensor;
mod writer;

pub use self::dynamic_batch::DynamicBatch;
pub use self::options::ExportOptions;
pub use self::writer::export;
pub use super::onnx::{OPSET, OPSETS};
