//! JPEGs of the kind that cameras write: sequential, 8 bits deep, Huffman's codes, one scan, grey or luma with two colour differences.
//!
//! Of such a file come all pixels ([`whole`]), or the means of squares of them ([`reduced`]).
//!
//! What is not decoded here (progressive and arithmetic coding, other depths and colours, unusual sampling), and what is broken, is left
//! to the decoder of all other images. So a file is broken exactly where that one says so.

mod bits;
mod coefficients;
mod header;
mod huffman;
pub(super) mod reduced;
mod scan;
pub(super) mod whole;

pub(super) use header::Header;

/// Side of a block, in pixels and in coefficients.
const SIDE: usize = 8;

/// Where in a block each coefficient stands, in the order in which they are coded: row times eight, and column.
///
/// # Source
///
/// ITU-T T.81, annex A.3.6.
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];
