//! Interblock smoothing: estimates of AC coefficients that a progressive file lacks or has only in reduced precision.
//!
//! # Source
//!
//! libjpeg-turbo since 2.1 (`decompress_smooth_data`), which extends ITU-T T.81, annex K.8: the first nine AC coefficients are estimated
//! from the DC values of 5x5 blocks. If no AC coefficient is known, the DC value is smoothed too.

use super::component_buffer::{Coefficients, ComponentBuffer};
use super::full::idct::STORAGE_ORDER;
use super::tables::Scan;

/// Number of coefficients tracked: DC and the nine that are estimated (`SAVED_COEFS` of libjpeg-turbo).
const SAVED_COEFS: usize = 10;

/// Side, in blocks, of the window from which coefficients are estimated.
const WINDOW: usize = 5;

/// Weights, in 256ths, of the DC values in the window around a block.
type Weights = [[i32; WINDOW]; WINDOW];

/// For each tracked coefficient of a component, the lowest bit known from the scans so far: 0 if fully known, -1 if unknown (`coef_bits` of
/// libjpeg).
#[derive(Clone, Copy, Debug)]
pub(super) struct CoefBits {
    bits: [i32; SAVED_COEFS],
    /// The values before the component's last scan.
    before: [i32; SAVED_COEFS],
}

impl Default for CoefBits {
    fn default() -> Self {
        Self {
            bits: [-1; SAVED_COEFS],
            before: [-1; SAVED_COEFS],
        }
    }
}

impl CoefBits {
    /// Records a scan of the component.
    pub(super) fn record(&mut self, scan: &Scan<'_>, is_first: bool) {
        self.before = if is_first { [0; SAVED_COEFS] } else { self.bits };
        let (first, last) = scan.band;
        for bits in self.bits.iter_mut().take(last + 1).skip(first) {
            *bits = scan.low.cast_signed();
        }
    }
}

/// The precision to which the coefficients of an image are known.
#[derive(Debug)]
pub(super) struct Smoothing {
    known: Vec<CoefBits>,
    /// The last MCU row with data of the last scan.
    last_row: usize,
    rows: usize,
}

impl Smoothing {
    /// Whether the quantization steps by which smoothing divides are nonzero.
    pub(super) fn is_applicable(plane: &ComponentBuffer) -> bool {
        plane.quantization()[..SAVED_COEFS].iter().all(|&step| step > 0)
    }

    /// `None` if all coefficients are fully known, or if DC values are missing.
    pub(super) fn new(known: &[CoefBits], last_row: usize, rows: usize) -> Option<Self> {
        let has_levels = known.iter().all(|known| known.bits[0] >= 0);
        let is_useful = known
            .iter()
            .any(|known| known.bits[1..].iter().any(|&bits| bits != 0));
        (has_levels && is_useful).then(|| Self {
            known: known.to_vec(),
            last_row,
            rows,
        })
    }

    /// Writes the block in row `y` and column `x` of `plane`, the buffer of `component`, to `own`, with estimated coefficients. Returns the
    /// bit mask of nonzero AC coefficients.
    pub(super) fn block(
        &self,
        component: usize,
        plane: &ComponentBuffer,
        (y, x): (usize, usize),
        own: &mut Coefficients,
    ) -> u64 {
        let (values, mut nonzero) = plane.block(y, x);
        *own = *values;
        let known = &self.known[component];
        let row = y / plane.factors.1;
        let bits = if row > self.last_row {
            &known.before
        } else {
            &known.bits
        };
        if bits[1..].iter().all(|&bits| bits == 0) {
            return nonzero;
        }
        let levels = self.levels(plane, (y, x));
        let estimate = |weights: &Weights, k: usize| {
            let sum: i32 = weights
                .as_flattened()
                .iter()
                .zip(levels.as_flattened())
                .map(|(weight, level)| weight * level)
                .sum();
            let sum = i64::from(plane.quantization()[0]) * i64::from(sum);
            let step = i64::from(plane.quantization()[k]);
            let size = ((step << 7) + sum.abs()) / (step << 8);
            (size, sum < 0)
        };
        let has_dc_only = bits[1..].iter().all(|&bits| bits == -1);
        let weights: &[Weights] = if has_dc_only {
            &DC_ONLY_WEIGHTS
        } else {
            &AC_WEIGHTS
        };
        for (k, weights) in (1..).zip(weights) {
            if bits[k] == 0 || (nonzero >> k) & 1 == 1 {
                continue;
            }
            let (size, is_negative) = estimate(weights, k);
            // The known bits imply that the magnitude is below the lowest known bit.
            let size = if bits[k] > 0 {
                size.min((1 << bits[k]) - 1)
            } else {
                size
            };
            let value = (if is_negative { -size } else { size }) as i16;
            own[usize::from(STORAGE_ORDER[k])] = value;
            nonzero |= u64::from(value != 0) << k;
        }
        if has_dc_only {
            let (size, is_negative) = estimate(&DC_WEIGHTS, 0);
            own[0] = (if is_negative { -size } else { size }) as i16;
        }
        nonzero
    }

    /// The DC values of the window around a block, in rows.
    fn levels(&self, plane: &ComponentBuffer, (y, x): (usize, usize)) -> [[i32; WINDOW]; WINDOW] {
        let down = plane.factors.1;
        let row = y / down;
        // In the last MCU row, libjpeg-turbo counts block rows by those that exist there.
        let down_here = match plane.size.1 % down {
            rest if row + 1 == self.rows && rest > 0 => rest,
            _ => down,
        };
        let (number, count) = (row * down_here + y % down, self.rows * down_here);
        let above = y - usize::from(number > 0);
        let below = y + usize::from(number + 1 < count);
        let rows = [
            above - usize::from(number > 1),
            above,
            y,
            below,
            below + usize::from(number + 2 < count),
        ];
        let last = plane.size.0 - 1;
        rows.map(|y| {
            let at = |offset: usize| (x + offset).saturating_sub(WINDOW / 2).min(last);
            std::array::from_fn(|offset| plane.block(y, at(offset)).0[0].into())
        })
    }
}

/// Weights by zigzag index, from 1, if only DC values are known.
const DC_ONLY_WEIGHTS: [Weights; SAVED_COEFS - 1] = [
    [
        [-1, -1, 0, 1, 1],
        [-3, 13, 0, -13, 3],
        [-3, 38, 0, -38, 3],
        [-3, 13, 0, -13, 3],
        [-1, -1, 0, 1, 1],
    ],
    [
        [-1, -3, -3, -3, -1],
        [-1, 13, 38, 13, -1],
        [0; 5],
        [1, -13, -38, -13, 1],
        [1, 3, 3, 3, 1],
    ],
    [
        [0, 0, 1, 0, 0],
        [0, 2, 7, 2, 0],
        [0, -5, -14, -5, 0],
        [0, 2, 7, 2, 0],
        [0, 0, 1, 0, 0],
    ],
    [
        [-1, 0, 0, 0, 1],
        [0, 9, 0, -9, 0],
        [0; 5],
        [0, -9, 0, 9, 0],
        [1, 0, 0, 0, -1],
    ],
    [
        [0; 5],
        [0, 2, -5, 2, 0],
        [1, 7, -14, 7, 1],
        [0, 2, -5, 2, 0],
        [0; 5],
    ],
    [
        [0; 5],
        [0, 1, 0, -1, 0],
        [0, 2, 0, -2, 0],
        [0, 1, 0, -1, 0],
        [0; 5],
    ],
    [[0; 5], [0, 1, -3, 1, 0], [0; 5], [0, -1, 3, -1, 0], [0; 5]],
    [
        [0; 5],
        [0, 1, 0, -1, 0],
        [0, -3, 0, 3, 0],
        [0, 1, 0, -1, 0],
        [0; 5],
    ],
    [[0; 5], [0, 1, 2, 1, 0], [0; 5], [0, -1, -2, -1, 0], [0; 5]],
];

/// Weights by zigzag index, from 1 to 5, if some AC coefficients are known.
const AC_WEIGHTS: [Weights; 5] = [
    [[0; 5], [0; 5], [-7, 50, 0, -50, 7], [0; 5], [0; 5]],
    [
        [0, 0, -7, 0, 0],
        [0, 0, 50, 0, 0],
        [0; 5],
        [0, 0, -50, 0, 0],
        [0, 0, 7, 0, 0],
    ],
    [
        [0, 0, -1, 0, 0],
        [0, 0, 13, 0, 0],
        [0, 0, -24, 0, 0],
        [0, 0, 13, 0, 0],
        [0, 0, -1, 0, 0],
    ],
    [
        [0, -1, 0, 1, 0],
        [-1, 10, 0, -10, 1],
        [0; 5],
        [1, -10, 0, 10, -1],
        [0, 1, 0, -1, 0],
    ],
    [[0; 5], [0; 5], [-1, 13, -24, 13, -1], [0; 5], [0; 5]],
];

/// Weights of the smoothed DC value.
const DC_WEIGHTS: Weights = [
    [-2, -6, -8, -6, -2],
    [-6, 6, 42, 6, -6],
    [-8, 42, 152, 42, -8],
    [-6, 6, 42, 6, -6],
    [-2, -6, -8, -6, -2],
];
