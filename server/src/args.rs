//! The command line as typed. Validation and defaults are in [`config`](crate::config).

mod batch_selector;
mod bench;
mod command;
mod data;
mod explain;
pub mod file;
mod preview;
mod serve;

pub use batch_selector::BatchSelector;
pub use bench::Bench;
pub use command::{Arguments, Check, Command, Health, Recipe};
pub use data::{Download, SampleData, ScanArgs, Split, SplitArgs, Stats, Verify};
pub use explain::Explain;
pub use preview::Preview;
pub use serve::{LogFormat, Serve};
