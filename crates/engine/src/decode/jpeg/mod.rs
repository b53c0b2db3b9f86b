//! JPEGs, 8 bits deep, with Huffman's codes: sequential and progressive, in one scan or several, of grey, luma with two colour differences,
//! RGB, and the inks of print.
//!
//! Of such a file come all pixels ([`full`]), or the means of squares of them ([`scaled`]). Both are made block by block: from the data of
//! the only scan as they are read ([`scan`]), or from the coefficients of all scans ([`buffer`]).
//!
//! What is not decoded: arithmetic coding, lossless and hierarchical files, other depths, two or more than four components, sampling
//! factors of which one is no multiple of the other, and more than [`MAX_SCANS`] scans.
//!
//! Pixels are libjpeg-turbo's, or there are none. It makes pixels of broken data, too; here they are an error, because what a broken code
//! stands for is a guess, and what it shows has little to do with its label. Two things are decoded as libjpeg-turbo does: a
//! progressive file without its last scans, and a scan of one that ends early, unless it is a first one of mean levels. Of these the whole
//! picture is there, and details are missing, which are estimated ([`smoothing`]).

mod bits;
mod buffer;
mod coefficients;
mod error;
pub(super) mod full;
mod header;
mod huffman;
mod progressive;
pub(super) mod scaled;
mod scan;
mod smoothing;
mod source;
mod standard;
mod tables;

pub use error::Error;
pub(super) use header::Header;

/// Side of a block, in pixels and in coefficients.
const SIDE: usize = 8;

/// Coefficients of a block.
const BLOCK: usize = SIDE * SIDE;

/// Scans of a file, at most. Encoders write about ten; each of them may go through all blocks of an image in a few bytes.
const MAX_SCANS: usize = 100;

/// Where in a block each coefficient stands, in the order in which they are coded: row times eight, and column.
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
