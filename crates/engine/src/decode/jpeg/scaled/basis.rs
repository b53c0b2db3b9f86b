//! What a coefficient adds to a block.

use std::f64::consts::PI;

use super::super::{SIDE, ZIGZAG};

/// For each coefficient, what a 1 of it adds to the means of a block, in rows from top to bottom.
///
/// A block is the sum of 64 waves, and most of their coefficients are 0. So the sum is made of those that are not, while they are read.
///
/// # Source
///
/// ITU-T T.81, annex A.3.3. The transform is linear, so the mean of several pixels is the sum of the means of their waves.
#[derive(Debug)]
pub(super) struct Basis {
    pub(super) across: usize,
    pub(super) down: usize,
    basis_functions: Vec<f32>,
}

impl Basis {
    /// The waves of blocks of `across` by `down` means, multiplied by `quantization`, which is in the order of coding, as they are.
    ///
    /// # Panics
    ///
    /// Where the numbers of means do not divide 8.
    pub(super) fn new(across: usize, down: usize, quantization: &[u16; 64]) -> Self {
        let (columns, rows) = (cosine_means(across), cosine_means(down));
        let mut basis_functions = Vec::with_capacity(64 * across * down);
        for (index, &factor) in ZIGZAG.iter().zip(quantization) {
            for mean in &rows[index / SIDE][..down] {
                let row = mean * f64::from(factor);
                basis_functions.extend(
                    columns[index % SIDE][..across]
                        .iter()
                        .map(|column| single(column * row)),
                );
            }
        }
        Self {
            across,
            down,
            basis_functions,
        }
    }

    /// The waves of blocks of that many means.
    pub(super) fn basis_functions<const ACROSS: usize, const DOWN: usize>(
        &self,
    ) -> Option<&BasisFunctions<ACROSS, DOWN>> {
        let rows = self.basis_functions.as_chunks().0;
        rows.as_chunks().0.try_into().ok()
    }
}

/// For each coefficient of a block, its means in rows.
pub(super) type BasisFunctions<const ACROSS: usize, const DOWN: usize> = [[[f32; ACROSS]; DOWN]; 64];

/// Of each of the eight waves of one dimension, its `count` means.
fn cosine_means(count: usize) -> [[f64; SIDE]; SIDE] {
    assert!(
        count > 0 && SIDE.is_multiple_of(count),
        "means of whole numbers of pixels"
    );
    let each = SIDE / count;
    let mean = |wave: usize, mean: usize| {
        let scale = if wave == 0 { 0.5f64.sqrt() } else { 1.0 } / 2.0;
        let angle = |pixel: usize| ((2 * pixel + 1) * wave) as f64 * PI / 16.0;
        let pixels = mean * each..(mean + 1) * each;
        scale * pixels.map(|pixel| libm::cos(angle(pixel))).sum::<f64>() / each as f64
    };
    std::array::from_fn(|wave| {
        std::array::from_fn(|number| if number < count { mean(wave, number) } else { 0.0 })
    })
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the precision that is computed with"
)]
fn single(value: f64) -> f32 {
    value as f32
}
