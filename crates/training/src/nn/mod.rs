//! Layers and ResNets as graph builders. Names and semantics are torchvision's for the body and fastai's for the head.
//!
//! # Layout
//! - [`Builder`]: builds a model and records its parameters, running statistics and dropout masks.
//! - `conv`, `norm`, `linear`, `dropout`: one layer each, as methods of the builder.
//! - [`Backbone`] and [`Head`]: ResNet bodies and classification heads.
//! - [`import`]: a network from an ONNX file, instead of these two.
//! - [`Pixels`]: normalisation of u8 images inside the network; [`loss`](loss()): the training loss.
//! - [`init`]: parameter initialization.

mod builder;
mod conv;
mod dropout;
mod head;
pub mod import;
pub mod init;
mod linear;
mod loss;
mod norm;
mod parameter;
mod pixels;
mod resnet;

pub use builder::{Builder, Mode};
pub use head::{Head, LastLayer, UnknownHead};
pub use import::OnnxModel;
pub use linear::cosine;
pub use loss::{add_offsets, loss, scale};
pub(crate) use norm::staged_name;
pub use parameter::{Dropout, LayerGroup, Parameter, ParameterKind, Statistic};
pub use pixels::Pixels;
pub use resnet::{Backbone, Block, UnknownBackbone};
