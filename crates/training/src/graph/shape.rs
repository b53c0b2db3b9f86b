use std::fmt;
use std::ops::Deref;

/// The extents of a tensor's axes, outermost first; empty for a scalar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// The shape of a scalar.
    #[must_use]
    pub fn scalar() -> Self {
        Self::default()
    }

    /// Number of elements; saturates at `usize::MAX`.
    #[must_use]
    pub fn elements(&self) -> usize {
        let count = |count: usize, &extent: &usize| count.saturating_mul(extent);
        self.iter().fold(1, count)
    }

    /// The shape that two operands broadcast to (ONNX's multidirectional broadcasting), or `None` if an axis has two different
    /// extents that are both not one.
    #[must_use]
    pub fn broadcast(&self, other: &Self) -> Option<Self> {
        let rank = self.len().max(other.len());
        (0..rank)
            .map(|axis| joined(self.aligned(axis, rank), other.aligned(axis, rank)))
            .collect()
    }

    /// The axes of `target` along which `self` is repeated when it is broadcast to `target`.
    #[must_use]
    pub fn repeated_axes(&self, target: &Self) -> Vec<usize> {
        let rank = target.len();
        (0..rank)
            .filter(|&axis| axis + self.len() < rank || self.aligned(axis, rank) != target[axis])
            .collect()
    }

    /// The extent along `axis` after padding the shape with leading ones to `rank`.
    fn aligned(&self, axis: usize, rank: usize) -> usize {
        (axis + self.len()).checked_sub(rank).map_or(1, |own| self[own])
    }
}

fn joined(left: usize, right: usize) -> Option<usize> {
    match (left, right) {
        (1, other) | (other, 1) => Some(other),
        (left, right) if left == right => Some(left),
        _ => None,
    }
}

/// Number of window positions on a padded axis, `⌊(extent − kernel) / stride⌋ + 1`, or `None` if the window does not fit.
#[must_use]
pub fn window_positions(extent: usize, kernel: usize, stride: usize) -> Option<usize> {
    if kernel == 0 || stride == 0 {
        return None;
    }
    Some(extent.checked_sub(kernel)? / stride + 1)
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl<const RANK: usize> From<[usize; RANK]> for Shape {
    fn from(extents: [usize; RANK]) -> Self {
        Self(extents.to_vec())
    }
}

impl From<Vec<usize>> for Shape {
    fn from(extents: Vec<usize>) -> Self {
        Self(extents)
    }
}

impl From<&[usize]> for Shape {
    fn from(extents: &[usize]) -> Self {
        Self(extents.to_vec())
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(extents: I) -> Self {
        Self(extents.into_iter().collect())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::op::Conv2d;

    #[test]
    fn broadcasting_repeats_only_missing_axes_and_axes_of_extent_one() {
        let broadcast = |left: &[usize], right: &[usize]| Shape::from(left).broadcast(&Shape::from(right));
        assert_eq!(broadcast(&[2, 3], &[3]), Some(Shape::from([2, 3])));
        assert_eq!(broadcast(&[2, 1, 4], &[3, 1]), Some(Shape::from([2, 3, 4])));
        assert_eq!(broadcast(&[], &[5]), Some(Shape::from([5])));
        assert_eq!(broadcast(&[2], &[3]), None);
        assert_eq!(broadcast(&[0, 1], &[1, 7]), Some(Shape::from([0, 7])));
    }

    #[test]
    fn repeated_axes_are_those_that_broadcasting_repeats() {
        let repeated = |own: &[usize], target: &[usize]| Shape::from(own).repeated_axes(&Shape::from(target));
        assert_eq!(repeated(&[3], &[2, 3]), [0]);
        assert_eq!(repeated(&[2, 1], &[2, 3]), [1]);
        assert_eq!(repeated(&[], &[2, 3]), [0, 1]);
        assert_eq!(repeated(&[1, 3], &[1, 3]), Vec::<usize>::new());
        assert_eq!(repeated(&[3], &[1, 3]), [0]);
    }

    #[test]
    fn windows_follow_the_floor_formula() {
        assert_eq!(window_positions(230, 7, 2), Some(112));
        assert_eq!(window_positions(114, 3, 2), Some(56));
        assert_eq!(window_positions(5, 2, 2), Some(2));
        assert_eq!(window_positions(1, 3, 1), None);
        assert_eq!(window_positions(1, 1, 0), None);
        assert_eq!(Conv2d::square(1, usize::MAX / 2).positions([2, 2], [1, 1]), None);
    }

    #[test]
    fn the_number_of_elements_saturates() {
        assert_eq!(Shape::from([usize::MAX, 2]).elements(), usize::MAX);
        assert_eq!(Shape::from([usize::MAX, 2, 0]).elements(), 0);
    }
}
