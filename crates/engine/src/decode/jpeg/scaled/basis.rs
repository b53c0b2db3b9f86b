//! DCT basis functions, averaged over pixels.

use std::f64::consts::PI;

use super::super::{SIDE, ZIGZAG};

/// For each coefficient, what a value of 1 contributes to the averages of a block, in rows from top to bottom.
///
/// A block is the weighted sum of 64 basis functions. Most coefficients are 0, so the sum is accumulated over the nonzero ones while they
/// are decoded.
///
/// # Source
///
/// ITU-T T.81, annex A.3.3. The transform is linear, so the average of several pixels is the weighted sum of the averages of the basis
/// functions.
#[derive(Debug)]
pub(super) struct Basis {
    pub(super) across: usize,
    pub(super) down: usize,
    basis_functions: Vec<f32>,
}

impl Basis {
    /// The basis for blocks of `across` by `down` averages, multiplied by `quantization`; both in zigzag order.
    ///
    /// # Panics
    ///
    /// If `across` or `down` does not divide 8.
    pub(super) fn new(across: usize, down: usize, quantization: &[u16; 64]) -> Self {
        let (columns, rows) = (cosine_means(across), cosine_means(down));
        let mut basis_functions = Vec::with_capacity(64 * across * down);
        for (index, &factor) in ZIGZAG.iter().zip(quantization) {
            for mean in &rows[index / SIDE][..down] {
                let row = mean * f64::from(factor);
                basis_functions.extend(
                    columns[index % SIDE][..across]
                        .iter()
                        .map(|column| to_f32(column * row)),
                );
            }
        }
        Self {
            across,
            down,
            basis_functions,
        }
    }

    /// The basis functions, if blocks have that many averages.
    pub(super) fn basis_functions<const ACROSS: usize, const DOWN: usize>(
        &self,
    ) -> Option<&BasisFunctions<ACROSS, DOWN>> {
        let rows = self.basis_functions.as_chunks().0;
        rows.as_chunks().0.try_into().ok()
    }
}

/// For each coefficient of a block, the averages of its basis function, in rows.
pub(super) type BasisFunctions<const ACROSS: usize, const DOWN: usize> = [[[f32; ACROSS]; DOWN]; 64];

/// The `count` averages of each of the eight one-dimensional basis functions.
fn cosine_means(count: usize) -> [[f64; SIDE]; SIDE] {
    assert!(
        count > 0 && SIDE.is_multiple_of(count),
        "the number of averages must divide 8"
    );
    let each = SIDE / count;
    let mean = |frequency: usize, mean: usize| {
        let scale = if frequency == 0 { 0.5f64.sqrt() } else { 1.0 } / 2.0;
        let angle = |pixel: usize| ((2 * pixel + 1) * frequency) as f64 * PI / 16.0;
        let pixels = mean * each..(mean + 1) * each;
        scale * pixels.map(|pixel| libm::cos(angle(pixel))).sum::<f64>() / each as f64
    };
    std::array::from_fn(|frequency| {
        std::array::from_fn(|number| {
            if number < count {
                mean(frequency, number)
            } else {
                0.0
            }
        })
    })
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "averages are computed in single precision"
)]
fn to_f32(value: f64) -> f32 {
    value as f32
}
