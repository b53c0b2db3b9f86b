//! Coefficient buffer for images with several scans.

use super::bits::Segments;
use super::header::{Frame, Header};
use super::progressive;
use super::scan::{self, McuGrid};
use super::smoothing::{CoefBits, SAVED_COEFS, Smoothing};
use super::source::McuLoader;
use super::tables::Scan;
use super::{BLOCK, Error, MAX_SCANS, SIDE};

/// The quantised coefficients of a block, in the order of [`STORAGE_ORDER`](super::full::idct::STORAGE_ORDER).
pub(super) type Coefficients = [i16; BLOCK];

/// Bytes of the coefficient buffer of an image.
pub(super) fn bytes(frame: &Frame) -> usize {
    let grid = McuGrid::of(frame);
    let blocks = frame
        .components
        .iter()
        .map(|one| one.across * one.down)
        .sum::<usize>();
    blocks * grid.columns * grid.rows * (size_of::<Coefficients>() + size_of::<u64>())
}

/// All coefficients of an image.
#[derive(Debug)]
pub(super) struct CoefficientBuffer {
    planes: Vec<ComponentBuffer>,
    grid: McuGrid,
    smoothing: Option<Smoothing>,
}

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

impl CoefficientBuffer {
    /// Decodes all scans of a file. Reuses the memory of `used`.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`].
    pub(super) fn read(header: &Header<'_>, used: Vec<ComponentBuffer>) -> Result<Self, Error> {
        let frame = &header.frame;
        let grid = McuGrid::of(frame);
        let mut used = used.into_iter();
        let components = frame.components.iter();
        let mut planes: Vec<ComponentBuffer> = components
            .map(|one| {
                let size = |length: usize, own: usize, most: usize| (length * own).div_ceil(SIDE * most);
                let size = (
                    size(frame.width, one.across, grid.mcu.0),
                    size(frame.height, one.down, grid.mcu.1),
                );
                let blocks = (grid.columns * one.across, grid.rows * one.down);
                ComponentBuffer::new((one.across, one.down), size, blocks, used.next())
            })
            .collect();
        let mut tables = header.tables.clone();
        let mut segments = Segments::default();
        let mut known = vec![CoefBits::default(); planes.len()];
        let mut next = Some(header.first.clone());
        let mut last_row = 0;
        for number in 0.. {
            let Some(scan) = next else { break };
            if number == MAX_SCANS {
                return Err(Error::TooManyScans);
            }
            let mcus = match *scan.components {
                [ref only] => planes[only.index].size,
                _ => (grid.columns, grid.rows),
            };
            let (interval, mut rest) = scan::segments(&scan, mcus.0 * mcus.1, &mut segments)?;
            latch(&mut planes, &scan);
            let is_progressive = frame.is_progressive;
            let extent = progressive::read(&mut planes, &scan, &segments, interval, mcus, is_progressive)?;
            for one in &scan.components {
                known[one.index].record(&scan, number == 0);
            }
            last_row = extent.last_row;
            next = tables.next_scan(&mut rest)?;
        }
        let smoothing = Smoothing::new(&known, last_row, grid.rows);
        Ok(Self {
            smoothing: smoothing
                .filter(|_| frame.is_progressive && planes.iter().all(ComponentBuffer::can_be_smoothed)),
            planes,
            grid,
        })
    }

    /// Passes all MCUs to `reader`, row by row.
    pub(super) fn for_each_mcu(&self, reader: &mut impl McuLoader) {
        for row in 0..self.grid.rows {
            for column in 0..self.grid.columns {
                reader.load_mcu(self, row, column);
            }
            reader.end_of_mcu_row(row);
        }
    }

    /// The block of `component` in row `y` and column `x`, and the bit mask of its nonzero AC coefficients in zigzag order. A smoothed
    /// block is written to `own`.
    #[inline(always)]
    pub(super) fn block<'a>(
        &'a self,
        component: usize,
        (y, x): (usize, usize),
        own: &'a mut Coefficients,
    ) -> (&'a Coefficients, u64) {
        let plane = &self.planes[component];
        match &self.smoothing {
            Some(smoothing) if x < plane.size.0 && y < plane.size.1 => {
                let nonzero = smoothing.block(component, plane, (y, x), own);
                (own, nonzero)
            }
            _ => plane.block(y, x),
        }
    }

    pub(super) fn quantization(&self, component: usize) -> &[u16; BLOCK] {
        self.planes[component].quantization()
    }

    /// The buffers, for reuse.
    pub(super) fn into_components(self) -> Vec<ComponentBuffer> {
        self.planes
    }
}

/// Stores the quantization tables of components that occur for the first time; later tables are ignored, as by libjpeg.
fn latch(planes: &mut [ComponentBuffer], scan: &Scan<'_>) {
    for one in &scan.components {
        planes[one.index].quantization.get_or_insert(one.quantization);
    }
}

impl ComponentBuffer {
    fn new(
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

    /// Whether the quantization steps by which smoothing divides are nonzero.
    fn can_be_smoothed(&self) -> bool {
        self.quantization()[..SAVED_COEFS].iter().all(|&step| step > 0)
    }
}
