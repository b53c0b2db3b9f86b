//! Class-balanced, augmented, normalised image batches, produced in process.
//!
//! An [`Engine`] holds data sets, a cache of decoded images and worker threads. A stream of batches is a pure function of
//! its [`StreamSpec`] and of the files, so any engine with the same files can resume any stream at any step. No async
//! runtime is needed: batches are polled, and a waker is called when one is ready.
//!
//! # Example
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # for (class, count) in [("birds", 2), ("flowers", 10)] {
//! #     std::fs::create_dir(folder.path().join(class))?;
//! #     for number in 1..=count {
//! #         ::image::RgbImage::new(40, 30).save(folder.path().join(format!("{class}/{number}.png")))?;
//! #     }
//! # }
//! use equibatch_engine::{Dataset, Engine, EngineConfig, ScanOptions, StreamSpec};
//!
//! let dataset = Dataset::scan("flowers-birds", &folder, &ScanOptions::default())?;
//! let engine = Engine::new(EngineConfig::default(), vec![dataset])?;
//! let mut batches = 0;
//! for batch in engine.stream(StreamSpec::train("flowers-birds").batch_size(4).image_size(64))? {
//!     let batch = batch?;
//!     // Two birds and two flowers, as f32[4, 3, 64, 64].
//!     assert_eq!(batch.labels.iter().filter(|label| **label == 0).count(), 2);
//!     assert_eq!(batch.tensor.len(), 4 * 3 * 64 * 64 * size_of::<f32>());
//!     batches += 1;
//! }
//! assert_eq!(batches, 4, "8 flowers, and as many birds");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`image`], [`geometry`], [`random`], [`mix`], [`lighting`] | pixel buffer; projective maps; counter-based random numbers; mixup and cutmix of two images; brightness and contrast |
//! | [`header`], [`dataset`] | format and size from the first bytes of a file; class folders as a sorted, fingerprinted list of samples with splits |
//! | [`sampling`] | maps (epoch, step, slot) to a sample |
//! | [`decode`], [`cache`] | files to pixels; decoded images within a byte budget |
//! | [`augment`], [`pixel_ops`], [`tensor`] | recipes and their random draws; operations on rendered pixels; one pass from pixels to a tensor |
//! | [`memory`], [`checksum`] | batch buffers, private or shared with another process; CRC-32C |
//! | [`pipeline`] | streams of batches, produced by worker threads |
//! | [`cpu`], [`byte_size`] | CPU feature detection; byte sizes as text |
//!
//! # How a batch is produced
//!
//! a. [`pipeline::Engine::stream`] plans the epochs ([`sampling::Plan`]), checks the start position and returns a [`pipeline::BatchStream`].
//! b. Worker threads take one sample at a time: they get the canonical image from the [`cache`] or from [`decode`], draw the augmentation of
//!    this slot and epoch ([`augment`]), and write the tensor directly into the batch's buffer ([`tensor::write_image`]).
//! c. Finished batches are returned in order, each with a position token from which the stream can be resumed.

pub mod augment;
pub mod byte_size;
pub mod cache;
pub mod checksum;
pub mod cpu;
pub mod dataset;
pub mod decode;
pub mod geometry;
pub mod header;
pub mod image;
pub mod lighting;
pub mod memory;
pub mod mix;
pub mod pipeline;
pub mod pixel_ops;
pub mod random;
pub mod sampling;
pub mod tensor;

pub use self::{
    dataset::{Dataset, ScanOptions, Split},
    pipeline::{Batch, BatchStream, Engine, EngineConfig, StreamSpec},
};
