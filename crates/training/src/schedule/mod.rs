//! Schedules of learning rate and momentum: pure functions of the step, evaluated on the host.

mod learning_rate;
mod one_cycle;
mod range;

pub use learning_rate::Schedule;
pub use one_cycle::{OneCycle, Setting};
pub use range::{InvalidRange, LearningRates, sweep_at};
