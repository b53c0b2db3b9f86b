//! Resizing with AVX-512: for each output row a vertical pass, then a horizontal pass, so that the intermediate row stays in the L1 cache.
//!
//! Tested to give the bytes of fast_image_resize's portable code.

use std::arch::x86_64::*;

use super::taps::{AxisKernel, MAX_TAPS, Taps};
use crate::{cpu::Avx512, image::Image};

const CHANNELS: usize = Image::CHANNELS;

/// Bytes of a vector.
const BYTES: usize = 64;

/// Output bytes computed at once.
const BLOCK: usize = 16;

/// Maximum width in pixels: rows of wider images exceed the L1 cache, and their plans need much memory.
const MAX_WIDTH: u32 = 8192;

/// Maximum pairs of weights.
const PAIRS: usize = MAX_TAPS / 2;

/// Weights and buffers to resize images of one size to another.
#[derive(Debug)]
pub(super) struct ResizePlan {
    down: AxisKernel,
    across: Vec<OutputBlock>,
    across_precision: u32,
    across_pairs: usize,
    /// Bytes of a row, before and after.
    row: (usize, usize),
    /// The result of the vertical pass for one row, and the output row; each padded by a vector.
    intermediate_row: Vec<u8>,
    output_row: Vec<u8>,
}

/// Source bytes and weights of sixteen output bytes of a row.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct OutputBlock {
    /// For each pair of weights and each output byte, the offsets from `from` of the two source bytes. Every other entry is unused.
    indices: [[u8; BYTES]; PAIRS],
    weights: [[i16; BYTES / 2]; PAIRS],
    from: usize,
}

impl ResizePlan {
    /// `None` if rows are wider than [`MAX_WIDTH`], a scale is not supported by [`AxisKernel`], or a block needs more source bytes than a
    /// vector holds.
    pub(super) fn new(from: (u32, u32), part: (f64, f64), to: (u32, u32)) -> Option<Self> {
        if from.0 > MAX_WIDTH {
            return None;
        }
        let across = AxisKernel::new(from.0, part.0, to.0)?;
        let down = AxisKernel::new(from.1, part.1, to.1)?;
        let row = (from.0 as usize * CHANNELS, to.0 as usize * CHANNELS);
        let blocks: Option<Vec<OutputBlock>> = (0..row.1.div_ceil(BLOCK))
            .map(|block| OutputBlock::new(&across.taps, block * BLOCK))
            .collect();
        Some(Self {
            down,
            across: blocks?,
            across_precision: across.precision,
            across_pairs: across.pairs,
            row,
            intermediate_row: vec![0; row.0 + BYTES],
            output_row: vec![0; row.1 + BYTES],
        })
    }

    /// Appends the resized image to `target`.
    ///
    /// # Panics
    ///
    /// If `source` is smaller than the image of the plan.
    pub(super) fn resize(&mut self, _: Avx512, source: &[u8], target: &mut Vec<u8>) {
        let last = source.len() / self.row.0 - 1;
        for pixel_taps in &self.down.taps {
            let rows: [&[u8]; MAX_TAPS] = std::array::from_fn(|tap| {
                // Weights beyond the last row are 0, so any row may be read.
                let at = (pixel_taps.start + tap).min(last) * self.row.0;
                &source[at..at + self.row.0]
            });
            // SAFETY: the token proves that the CPU has every feature that the functions are compiled for.
            unsafe {
                match self.down.pairs {
                    ..=2 => vertical_pass::<2>(
                        &rows,
                        &pixel_taps.weights,
                        self.down.precision,
                        &mut self.intermediate_row,
                    ),
                    _ => vertical_pass::<PAIRS>(
                        &rows,
                        &pixel_taps.weights,
                        self.down.precision,
                        &mut self.intermediate_row,
                    ),
                }
                match self.across_pairs {
                    ..=2 => horizontal_pass::<2>(
                        &self.intermediate_row,
                        &self.across,
                        self.across_precision,
                        &mut self.output_row,
                    ),
                    _ => horizontal_pass::<PAIRS>(
                        &self.intermediate_row,
                        &self.across,
                        self.across_precision,
                        &mut self.output_row,
                    ),
                }
            }
            target.extend_from_slice(&self.output_row[..self.row.1]);
        }
    }
}

impl OutputBlock {
    /// The block that starts at byte `first` of a row.
    fn new(taps: &[Taps], first: usize) -> Option<Self> {
        let mut block = Self {
            indices: [[0; BYTES]; PAIRS],
            weights: [[0; BYTES / 2]; PAIRS],
            from: taps[first / CHANNELS].start * CHANNELS,
        };
        for byte in first..(first + BLOCK).min(taps.len() * CHANNELS) {
            let pixel_taps = &taps[byte / CHANNELS];
            for (tap, &weight) in pixel_taps
                .weights
                .iter()
                .enumerate()
                .filter(|&(_, &weight)| weight != 0)
            {
                let at = (pixel_taps.start + tap) * CHANNELS + byte % CHANNELS - block.from;
                let lane = 2 * (byte - first) + tap % 2;
                block.indices[tap / 2][2 * lane] =
                    u8::try_from(at).ok().filter(|&at| usize::from(at) < BYTES)?;
                block.weights[tap / 2][lane] = weight;
            }
        }
        Some(block)
    }
}

/// The weighted sum of the first `2 * P` rows, byte by byte, rounded.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn vertical_pass<const P: usize>(
    rows: &[&[u8]; MAX_TAPS],
    weights: &[i16; MAX_TAPS],
    precision: u32,
    target: &mut [u8],
) {
    let bytes = rows[0].len();
    assert!(rows.iter().all(|row| row.len() == bytes) && target.len() >= bytes + BYTES);
    let zero = _mm512_setzero_si512();
    let half = _mm512_set1_epi32(1 << (precision - 1));
    let shift = _mm_cvtsi32_si128(precision as i32);
    let pairs: [__m512i; P] = std::array::from_fn(|pair| {
        let (low, high) = (weights[2 * pair] as u16, weights[2 * pair + 1] as u16);
        _mm512_set1_epi32((u32::from(low) | u32::from(high) << 16) as i32)
    });
    for at in (0..bytes).step_by(BYTES) {
        let inside = u64::MAX >> (BYTES - (bytes - at).min(BYTES));
        let mut sums = [half; 4];
        for (pair, &weights) in pairs.iter().enumerate() {
            // SAFETY: `inside` has bits only for bytes within the rows, whose lengths are equal (asserted above).
            let (upper, lower) = unsafe {
                (
                    _mm512_maskz_loadu_epi8(inside, rows[2 * pair].as_ptr().add(at).cast()),
                    _mm512_maskz_loadu_epi8(inside, rows[2 * pair + 1].as_ptr().add(at).cast()),
                )
            };
            let (low, high) = (
                _mm512_unpacklo_epi8(upper, lower),
                _mm512_unpackhi_epi8(upper, lower),
            );
            sums[0] = _mm512_dpwssd_epi32(sums[0], _mm512_unpacklo_epi8(low, zero), weights);
            sums[1] = _mm512_dpwssd_epi32(sums[1], _mm512_unpackhi_epi8(low, zero), weights);
            sums[2] = _mm512_dpwssd_epi32(sums[2], _mm512_unpacklo_epi8(high, zero), weights);
            sums[3] = _mm512_dpwssd_epi32(sums[3], _mm512_unpackhi_epi8(high, zero), weights);
        }
        let [a, b, c, d] = sums.map(|sum| _mm512_srl_epi32(sum, shift));
        // Packing inverts the order of unpacking within 128-bit lanes.
        let whole = _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
        // SAFETY: `at` is below `bytes`, and the target is longer than that by a vector (asserted above).
        unsafe { _mm512_storeu_si512(target.as_mut_ptr().add(at).cast(), whole) };
    }
}

/// Resizes a row horizontally, with the first `P` pairs of weights.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn horizontal_pass<const P: usize>(source: &[u8], blocks: &[OutputBlock], precision: u32, target: &mut [u8]) {
    let half = _mm512_set1_epi32(1 << (precision - 1));
    let shift = _mm_cvtsi32_si128(precision as i32);
    for (block, target) in blocks.iter().zip(target.chunks_exact_mut(BLOCK)) {
        let source = &source[block.from..block.from + BYTES];
        // SAFETY: the slice is as long as the load.
        let bytes = unsafe { _mm512_loadu_si512(source.as_ptr().cast()) };
        let mut sums = half;
        for (indices, weights) in block.indices.iter().zip(&block.weights).take(P) {
            // SAFETY: both arrays are as long as a vector.
            let (indices, weights) = unsafe {
                (
                    _mm512_loadu_si512(indices.as_ptr().cast()),
                    _mm512_loadu_si512(weights.as_ptr().cast()),
                )
            };
            // Every other byte is zeroed, which gives 16-bit values.
            let chosen = _mm512_maskz_permutexvar_epi8(0x5555_5555_5555_5555, indices, bytes);
            sums = _mm512_dpwssd_epi32(sums, chosen, weights);
        }
        let output_row = _mm512_cvtusepi32_epi8(_mm512_srl_epi32(sums, shift));
        // SAFETY: the slice is as long as the store.
        unsafe { _mm_storeu_si128(target.as_mut_ptr().cast(), output_row) };
    }
}
