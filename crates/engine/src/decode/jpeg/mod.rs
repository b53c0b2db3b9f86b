//! JPEG decoder: 8-bit, Huffman-coded, sequential and progressive, in one scan or several; greyscale, YCbCr, RGB, CMYK and YCCK.
//!
//! Decodes at full size ([`full`]), or to averages of squares of pixels ([`scaled`]). Both work MCU by MCU: directly from the entropy-coded
//! data if there is a single scan ([`scan`]), or from the buffered coefficients of all scans ([`buffer`]).
//!
//! Not supported: arithmetic coding, lossless and hierarchical processes, other depths, two or more than four components, sampling factors
//! that do not divide the largest, and more than [`MAX_SCANS`] scans.
//!
//! Pixels are bit-identical to those of libjpeg-turbo. Corrupt data, which libjpeg-turbo decodes to arbitrary pixels, are an error here,
//! because such an image no longer fits its label. Two cases are decoded as by libjpeg-turbo: a progressive file without its last scans,
//! and a progressive scan that ends early, unless it is a first DC scan. There the whole image is present, and missing details are
//! estimated ([`smoothing`]).

mod bits;
mod buffer;
mod coefficients;
mod component_buffer;
mod error;
mod frame;
pub(super) mod full;
mod header;
mod huffman;
mod pairs;
mod progressive;
pub(super) mod scaled;
mod scan;
mod skipping;
mod smoothing;
mod source;
mod standard;
mod symbols;
mod table_cache;
mod tables;

pub use error::Error;
pub(super) use header::Header;

/// Side of a block, in pixels and in coefficients.
const SIDE: usize = 8;

/// Coefficients of a block.
const BLOCK: usize = SIDE * SIDE;

/// Maximum number of scans. Encoders write about ten; a scan of a few bytes can traverse all blocks of an image.
const MAX_SCANS: usize = 100;

/// Zigzag order: for each coefficient in coding order, its row times eight plus its column.
///
/// # Source
///
/// ITU-T T.81, annex A.3.6.
const ZIGZAG: [usize; BLOCK] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

#[cfg(test)]
mod tests;
