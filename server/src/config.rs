//! Validated configuration: command-line arguments converted to typed settings with all defaults.

mod address;
mod batch_selector;
mod bench;
mod data;
mod dataset;
mod error;
mod number;
mod sample_data;
mod serve;

pub use data::DownloadConfig;
pub use dataset::DatasetConfig;
pub use error::Error;
pub use serve::Config;
