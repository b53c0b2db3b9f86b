//! Export to ONNX.
//!
//! # Layout
//! - [`ExportOptions`], [`DynamicBatch`]: options.
//! - `writer`: writes nodes, inputs and outputs; `names`: their names; `attributes`: attributes of nodes; `tensor`: initializers.
//! - [`ModelFile`]: the bytes.

mod attributes;
mod dynamic_batch;
mod file;
mod names;
mod options;
mod tensor;
mod writer;

pub use self::dynamic_batch::DynamicBatch;
pub use self::file::ModelFile;
pub use self::options::ExportOptions;
pub use self::writer::{export, model_file};
pub use super::onnx::{OPSET, OPSETS};
