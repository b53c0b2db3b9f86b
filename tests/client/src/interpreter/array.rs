/// A tensor of doubles in row-major order. Integers and booleans are stored as doubles too.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The shape.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: Vec<f64>,
}

impl Array {
    /// An array of a shape.
    ///
    /// # Panics
    /// If the number of elements differs from the shape's.
    #[must_use]
    pub fn new(shape: &[usize], data: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "{shape:?}");
        Self {
            shape: shape.to_vec(),
            data,
        }
    }

    /// An array whose elements are a function of their index.
    #[must_use]
    pub fn from_fn(shape: &[usize], element: impl FnMut(&[usize]) -> f64) -> Self {
        Self::new(
            shape,
            indices(shape).iter().map(Vec::as_slice).map(element).collect(),
        )
    }

    /// The element at an index, with broadcasting: leading indices beyond the rank and indices on axes of extent one are ignored.
    #[must_use]
    pub fn at(&self, index: &[usize]) -> f64 {
        let index = &index[index.len() - self.shape.len()..];
        let flat = self
            .shape
            .iter()
            .zip(index)
            .fold(0, |flat, (&extent, &position)| {
                flat * extent + if extent == 1 { 0 } else { position }
            });
        self.data[flat]
    }

    /// Adds to the element at an index.
    pub fn add(&mut self, index: &[usize], amount: f64) {
        let flat = self
            .shape
            .iter()
            .zip(index)
            .fold(0, |flat, (extent, position)| flat * extent + position);
        self.data[flat] += amount;
    }

    /// An array of zeros.
    #[must_use]
    pub fn zeros(shape: &[usize]) -> Self {
        Self::new(shape, vec![0.0; shape.iter().product()])
    }

    /// The inner product with an array of the same shape.
    ///
    /// # Panics
    /// If the shapes differ.
    #[must_use]
    pub fn dot(&self, other: &Self) -> f64 {
        assert_eq!(self.shape, other.shape);
        self.data
            .iter()
            .zip(&other.data)
            .map(|(left, right)| left * right)
            .sum()
    }

    /// The largest absolute element.
    #[must_use]
    pub fn largest(&self) -> f64 {
        self.data
            .iter()
            .fold(0.0, |largest, element| largest.max(element.abs()))
    }

    /// The largest absolute difference from another array of the same shape; infinite if an element of either is NaN.
    ///
    /// # Panics
    /// If the shapes differ.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f64 {
        assert_eq!(self.shape, other.shape);
        let differences = self
            .data
            .iter()
            .zip(&other.data)
            .map(|(left, right)| (left - right).abs());
        differences.fold(0.0, |largest, difference| {
            if difference.is_nan() {
                f64::INFINITY
            } else {
                largest.max(difference)
            }
        })
    }
}

/// All indices of a shape, in row-major order.
#[must_use]
pub(super) fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for &extent in shape {
        all = all
            .into_iter()
            .flat_map(|outer| (0..extent).map(move |position| [&*outer, &[position]].concat()))
            .collect();
    }
    all
}

/// The shape that operands broadcast to.
pub(super) fn broadcast(operands: &[&Array]) -> Vec<usize> {
    let rank = operands
        .iter()
        .map(|operand| operand.shape.len())
        .max()
        .unwrap_or(0);
    let extent = |axis: usize| {
        let extents = operands.iter().filter_map(|operand| {
            (axis + operand.shape.len())
                .checked_sub(rank)
                .map(|own| operand.shape[own])
        });
        extents.fold(1, |joined, extent| if joined == 1 { extent } else { joined })
    };
    (0..rank).map(extent).collect()
}
