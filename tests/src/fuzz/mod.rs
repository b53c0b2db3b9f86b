//! Bodies of the fuzz targets, and how a test changes their inputs.
//!
//! A body takes any bytes and must not panic. Three things go with the body `NAME`: its corpus in `tests/fuzz/corpus/NAME`, the program
//! `tests/fuzz/fuzz_targets/NAME.rs` for cargo-fuzz, and its line in `tests/end_to_end/fuzz.rs`, which runs it over the corpus and over a fixed
//! number of mutations.

mod jpeg;
mod model_file;
mod mutate;
mod position_token;
mod recipe_text;
mod service;
mod stream_request;

pub use jpeg::jpeg;
pub use model_file::model_file;
pub use mutate::mutate;
pub use position_token::position_token;
pub use recipe_text::recipe_text;
pub use stream_request::stream_request;
