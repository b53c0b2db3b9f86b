//! The coefficients of an image whose file has several scans.

use super::bits::Segments;
use super::header::{Frame, Header};
use super::progressive;
use super::scan::{self, McuGrid};
use super::smoothing::{CoefBits, SAVED_COEFS, Smoothing};
use super::source::McuLoader;
use super::tables::Scan;
use super::{BLOCK, Error, MAX_SCANS, SIDE};

/// The coefficients of a block, before they are multiplied by their quantization steps, each where
/// [`STORAGE_ORDER`](super::full::idct::STORAGE_ORDER) says.
pub(super) type Coefficients = [i16; BLOCK];

/// Bytes that the coefficients of an image take.
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

/// The coefficients of a component, and those that fill its last units.
#[derive(Debug, Default)]
pub(super) struct ComponentBuffer {
    /// Blocks of a unit, across and down.
    pub(super) factors: (usize, usize),
    /// Blocks in a row, and rows, of the component itself.
    pub(super) size: (usize, usize),
    /// Blocks in a row in memory.
    stride: usize,
    values: Vec<Coefficients>,
    /// By block: which coefficients behind the first are not zero, in the order in which they are coded.
    nonzero: Vec<u64>,
    /// What coefficients are multiplied by, in the order in which they are coded. `None` where no scan has the component.
    quantization: Option<[u16; BLOCK]>,
}

/// A block while it is read, and which of its coefficients behind the first are not zero, in the order in which they are coded.
pub(super) struct BlockMut<'a> {
    pub(super) values: &'a mut Coefficients,
    pub(super) nonzero: &'a mut u64,
}

impl CoefficientBuffer {
    /// Reads all scans of a file, to its end, into memory of another one.
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
                known[one.index].note(&scan, number == 0);
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

    /// Gives `reader` all blocks.
    pub(super) fn for_each_mcu(&self, reader: &mut impl McuLoader) {
        for row in 0..self.grid.rows {
            for column in 0..self.grid.columns {
                reader.load_mcu(self, row, column);
            }
            reader.end_of_mcu_row(row);
        }
    }

    /// The block of `component` in row `y` and column `x`, and which of its coefficients behind the first are not zero, in the order in which
    /// they are coded. `own` is where those are put that are not as they are in the file.
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

    /// The memory.
    pub(super) fn into_components(self) -> Vec<ComponentBuffer> {
        self.planes
    }
}

/// Notes the quantization tables of components that no scan had before: later ones do not count.
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

    /// Bytes of memory.
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

    /// What coefficients are multiplied by, in the order in which they are coded: anything where all are zero.
    pub(super) fn quantization(&self) -> &[u16; BLOCK] {
        self.quantization.as_ref().unwrap_or(&[0; BLOCK])
    }

    /// Whether no step that smoothing divides by is zero.
    fn can_be_smoothed(&self) -> bool {
        self.quantization()[..SAVED_COEFS].iter().all(|&step| step > 0)
    }
}
