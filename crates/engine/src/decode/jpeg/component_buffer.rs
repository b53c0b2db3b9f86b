//! Coefficient buffer of a component.

use super::BLOCK;

/// The quantised coefficients of a block, in the order of [`STORAGE_ORDER`](super::full::idct::STORAGE_ORDER).
pub(super) type Coefficients = [i16; BLOCK];

/// The coefficients of a component, including those of padding blocks.
#[derive(Debug, Default)]
pub(super) struct ComponentBuffer {
    /// Blocks per MCU, horizontally and vertically.
    pub(super) factors: (usize, usize),
    /// Width and height of the component in blocks, without padding.
    pub(super) size: (usize, usize),
    /// Width in blocks, with padding.
    stride: usize,
    values: Vec<Coefficients>,
    /// By block: bit mask of nonzero AC coefficients, in zigzag order.
    nonzero: Vec<u64>,
    /// Quantization steps in zigzag order. `None` if no scan has the component.
    quantization: Option<[u16; BLOCK]>,
}

/// A block being decoded, and the bit mask of its nonzero AC coefficients, in zigzag order.
pub(super) struct BlockMut<'a> {
    pub(super) values: &'a mut Coefficients,
    pub(super) nonzero: &'a mut u64,
}

impl ComponentBuffer {
    pub(super) fn new(
        factors: (usize, usize),
        size: (usize, usize),
        (stride, rows): (usize, usize),
        used: Option<Self>,
    ) -> Self {
        let Self {
            mut values,
            mut nonzero,
            ..
        } = used.unwrap_or_default();
        let count = stride * rows;
        if values.capacity() < count {
            values = vec![[0; BLOCK]; count];
            nonzero = vec![0; count];
        } else {
            values.clear();
            values.resize(count, [0; BLOCK]);
            nonzero.clear();
            nonzero.resize(count, 0);
        }
        Self {
            factors,
            size,
            stride,
            values,
            nonzero,
            quantization: None,
        }
    }

    /// Bytes of allocated memory.
    pub(super) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<Coefficients>() + self.nonzero.capacity() * size_of::<u64>()
    }

    #[inline(always)]
    pub(super) fn block_mut(&mut self, y: usize, x: usize) -> BlockMut<'_> {
        let index = y * self.stride + x;
        BlockMut {
            values: &mut self.values[index],
            nonzero: &mut self.nonzero[index],
        }
    }

    #[inline(always)]
    pub(super) fn block(&self, y: usize, x: usize) -> (&Coefficients, u64) {
        let index = y * self.stride + x;
        (&self.values[index], self.nonzero[index])
    }

    /// Quantization steps in zigzag order; arbitrary if no scan has the component, because its coefficients are 0.
    pub(super) fn quantization(&self) -> &[u16; BLOCK] {
        self.quantization.as_ref().unwrap_or(&[0; BLOCK])
    }

    /// Stores the quantization steps when a scan has the component for the first time; later ones are ignored, as by libjpeg.
    pub(super) fn latch_quantization(&mut self, quantization: [u16; BLOCK]) {
        self.quantization.get_or_insert(quantization);
    }
}
