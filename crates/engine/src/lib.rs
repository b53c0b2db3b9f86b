//! Class-balanced, augmented, normalised batches of images, made in process.
//!
//! An [`Engine`](pipeline::Engine) holds data sets, a cache of decoded images and worker threads. A stream of batches is a *pure function* of
//! its [`StreamSpec`](pipeline::StreamSpec) and of the files: it needs no state, so any engine with the same files continues any stream at any
//! step. No runtime is needed: a batch is polled for, and a waker is called when one is ready.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`image`], [`geometry`], [`random`], [`blend`], [`lighting`] | pixels; maps of the plane; numbers as a function of seed, purpose and coordinates; mixing of two images; brightness and contrast |
//! | [`header`], [`dataset`] | size and orientation from a file's first bytes; class folders as a sorted, fingerprinted list of samples in splits |
//! | [`sampling`] | which sample stands in which slot of which batch |
//! | [`decode`], [`cache`] | files to pixels; decoded images within a number of bytes |
//! | [`augment`], [`pixel_ops`], [`tensor`] | drawing an augmentation; operations on rendered pixels; one pass from pixels to a tensor |
//! | [`memory`], [`checksum`] | the buffers of batches, private or shared with another process; CRC-32C |
//! | [`pipeline`] | streams of batches, made by worker threads |
//! | [`machine`], [`byte_size`] | instruction sets; numbers of bytes as text |
//!
//! # How a batch is made
//!
//! a. [`pipeline::Engine::open`] plans the epochs ([`sampling::Plan`]), checks the position that the stream starts from, and returns a
//!    [`pipeline::BatchStream`].
//! b. Worker threads take one sample at a time: the canonical image from the [`cache`] or through [`decode`], the augmentation drawn for that
//!    slot of that epoch ([`augment`]), and [`tensor::write_image`] straight into the batch's buffer.
//! c. Finished batches are returned in order, each with the token at which the stream can be continued.

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
