//! Layers and the residual networks made of them, written in graph terms. Names and semantics are torchvision's for the body and
//! fastai's for the head.
//!
//! # Layout
//! - [`Builder`]: a model under construction; remembers its parameters, running statistics and dropout masks.
//! - `conv`, `norm`, `linear`, `dropout`: one layer each, as methods of the builder.
//! - [`Backbone`] and [`Head`]: which network, and the function that wires it.
//! - [`initial`]: the state that training starts from.

mod builder;
mod conv;
mod dropout;
mod head;
pub mod initial;
mod linear;
mod norm;
mod parameter;
mod resnet;

pub use builder::{Builder, Mode};
pub use dropout::Dropout;
pub use head::Head;
pub use norm::Statistic;
pub use parameter::{Kind, LayerGroup, Parameter};
pub use resnet::{Backbone, Block, UnknownBackbone};
