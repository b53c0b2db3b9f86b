//! Parser of ONNX model files.
//!
//! Returns the contents of the file: named nodes with attributes, tensors and declarations. The meaning of operators is left to the code that
//! builds a [`Graph`](super::Graph) from it.

mod attributes;
mod error;
mod external;
mod model;
mod reader;
mod tensor;

pub use self::attributes::Attributes;
pub use self::error::{Error, OPSETS};
pub use self::external::read_external_data;
pub use self::model::{Declaration, Model, ModelNode};
pub(crate) use self::reader::element_type_of;
pub use self::reader::{external_files, metadata, read};
pub use self::tensor::{Elements, HostTensor};
