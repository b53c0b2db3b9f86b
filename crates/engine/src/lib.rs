//! Class-balanced, augmented, normalised image batches, produced in process.
//!
//! An [`Engine`](pipeline::Engine) holds data sets, a cache of decoded images and worker threads. A stream of batches is a pure function of
//! its [`StreamSpec`](pipeline::StreamSpec) and of the files, so any engine with the same files can resume any stream at any step. No async
//! runtime is needed: batches are polled, and a waker is called when one is ready.
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
