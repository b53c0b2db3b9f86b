//! How learning rates and momentum move: pure functions of the step, on the host.

mod hyper;
mod one_cycle;
mod range;

pub use hyper::Hyper;
pub use one_cycle::{OneCycle, Setting};
pub use range::{InvalidRange, LearningRates, sweep_at};
