//! Layers and the residual networks made of them, written in graph terms. Names and semantics are torchvision's for the body and
//! fastai's for the head.
//!
//! # Layout
//! - [`Builder`]: a model under construction; remembers its parameters, running statistics and dropout masks.
//! - `conv`, `norm`, `linear`, `dropout`: one layer each, as methods of the builder.
//! - [`Backbone`] and [`Head`]: which network, and the function that wires it.
//! - [`import`]: a network from a file, in the place of these two.
//! - [`Pixels`]: the first nodes of a network that takes bytes; [`loss`](loss()): what training makes small.
//! - [`init`]: the state that training starts from.

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
pub use dropout::Dropout;
pub use head::{Head, UnknownHead};
pub use import::OnnxModel;
pub use loss::loss;
pub use norm::Statistic;
pub(crate) use norm::pending;
pub use parameter::{LayerGroup, Parameter, ParameterKind};
pub use pixels::Pixels;
pub use resnet::{Backbone, Block, UnknownBackbone};
