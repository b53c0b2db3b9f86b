//! A classifier whose probabilities are averaged over the symmetries of a square.

use equibatch_training::{
    program::ElementType,
    runtime::{self, Classifier, ImageInput},
};

use super::{add, logarithms};
use crate::learn::evaluate::ImageModel;

/// Number of symmetries of a square. Bit 0 of the number of one mirrors the columns, bit 1 the rows, and bit 2 exchanges rows and columns.
pub(super) const ALL: usize = 8;

/// Gives the logarithms of the mean probabilities over the first symmetries of each image.
#[derive(Debug)]
pub struct Symmetric<'a> {
    classifier: &'a mut Classifier,
    symmetries: usize,
}

impl<'a> Symmetric<'a> {
    /// Averages over the first `symmetries`: 2 are the image and its mirror image. With 1, logits are those of `classifier`.
    #[must_use]
    pub fn new(classifier: &'a mut Classifier, symmetries: usize) -> Self {
        Self {
            classifier,
            symmetries,
        }
    }
}

impl ImageModel for Symmetric<'_> {
    fn input(&self) -> ImageInput {
        self.classifier.input()
    }

    fn logits(&mut self, tensor: &[u8], count: usize, size: usize) -> Result<Vec<f32>, runtime::Error> {
        let logits = self.classifier.logits(tensor, count, size)?;
        if self.symmetries == 1 {
            return Ok(logits);
        }
        let classes = logits.len() / count.max(1);
        let share = 1.0 / self.symmetries as f64;
        let mut mean = vec![0.0; logits.len()];
        let mut add_all = |logits: &[f32]| {
            let rows = mean.chunks_exact_mut(classes.max(1));
            rows.zip(logits.chunks_exact(classes.max(1)))
                .for_each(|(sum, row)| add(sum, share, row));
        };
        add_all(&logits);
        let unit = unit(self.input());
        let mut turned = vec![0; tensor.len()];
        for symmetry in 1..self.symmetries {
            turn(tensor, &mut turned, (size, unit), symmetry);
            add_all(&self.classifier.logits(&turned, count, size)?);
        }
        Ok(logarithms(&mean))
    }
}

/// Bytes that stay together: an element of a plane, or a pixel.
fn unit(input: ImageInput) -> usize {
    let element = match input.element_type {
        ElementType::U8 => 1,
        ElementType::F16 => 2,
        _ => 4,
    };
    if input.channels_last { 3 * element } else { element }
}

/// Writes each square of `from`, of `size` rows of `size` units of `unit` bytes, to `to` as symmetry number `symmetry` of it.
fn turn(from: &[u8], to: &mut [u8], (size, unit): (usize, usize), symmetry: usize) {
    let square = size * size * unit;
    for (from, to) in from.chunks_exact(square).zip(to.chunks_exact_mut(square)) {
        for (at, target) in to.chunks_exact_mut(unit).enumerate() {
            let (mut row, mut column) = (at / size, at % size);
            if symmetry & 4 != 0 {
                (row, column) = (column, row);
            }
            if symmetry & 1 != 0 {
                column = size - 1 - column;
            }
            if symmetry & 2 != 0 {
                row = size - 1 - row;
            }
            target.copy_from_slice(&from[(row * size + column) * unit..][..unit]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn turned(from: &[u8], shape: (usize, usize), symmetry: usize) -> Vec<u8> {
        let mut to = vec![0; from.len()];
        turn(from, &mut to, shape, symmetry);
        to
    }

    #[test]
    fn the_eight_symmetries_differ_and_stay_in_their_square() {
        let two: Vec<u8> = (0..18).collect();
        assert_eq!(turned(&two[..9], (3, 1), 0), two[..9]);
        assert_eq!(turned(&two[..9], (3, 1), 1), [2, 1, 0, 5, 4, 3, 8, 7, 6]);
        assert_eq!(turned(&two[..9], (3, 1), 2), [6, 7, 8, 3, 4, 5, 0, 1, 2]);
        assert_eq!(turned(&two[..9], (3, 1), 4), [0, 3, 6, 1, 4, 7, 2, 5, 8]);
        assert_eq!(
            turned(&two[..9], (3, 1), 5),
            [2, 5, 8, 1, 4, 7, 0, 3, 6],
            "turned left"
        );
        let all: HashSet<_> = (0..ALL).map(|symmetry| turned(&two, (3, 1), symmetry)).collect();
        assert_eq!(all.len(), ALL);
        for turned in all {
            let lower: HashSet<u8> = turned[..9].iter().copied().collect();
            assert_eq!(lower, (0..9).collect());
            assert!(
                turned[9..]
                    .iter()
                    .zip(&turned)
                    .all(|(second, first)| *second == first + 9)
            );
        }
    }

    #[test]
    fn the_bytes_of_a_unit_stay_together() {
        let pixels = [0, 1, 10, 11, 20, 21, 30, 31];
        assert_eq!(turned(&pixels, (2, 2), 1), [10, 11, 0, 1, 30, 31, 20, 21]);
    }
}
