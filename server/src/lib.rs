//! placeholder, to be written
pub mod augment;
pub mod cache;
pub mod dataset;
pub mod decode;
pub mod geometry;
pub mod header;
pub mod image;
pub mod pipeline;
pub mod random;
pub mod sample_data;
pub mod sampling;
pub mod service;
pub mod tensor;
pub mod tone;
