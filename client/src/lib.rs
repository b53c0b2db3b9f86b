//! placeholder, to be written
pub mod autodiff;
pub mod graph;
pub mod learn;
pub mod nn;
pub mod optim;
pub mod program;
pub mod runtime;
pub mod schedule;
pub mod stream;
