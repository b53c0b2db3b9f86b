use thiserror::Error;

use crate::{autodiff, graph, nn};

/// What can go wrong while a program is compiled.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Error {
    /// The specification asks for something that does not exist.
    #[error("cannot compile a program: {field} is {found}, but must be {expected}")]
    Spec {
        /// The field of the specification.
        field: &'static str,
        /// Its value.
        found: usize,
        /// What it must be.
        expected: &'static str,
    },
    /// A tensor that the program is to contain was not given.
    #[error("the state lacks `{name}`")]
    MissingState {
        /// The tensor's name.
        name: String,
    },
    /// A network from a file cannot be built.
    #[error(transparent)]
    Network(#[from] nn::import::Error),
    /// The model cannot be built or written.
    #[error("cannot build the graph")]
    Graph(#[from] graph::Error),
    /// The model cannot be differentiated.
    #[error("cannot differentiate the model")]
    Gradient(#[from] autodiff::Error),
}
