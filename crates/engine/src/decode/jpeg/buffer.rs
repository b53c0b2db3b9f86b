//! Coefficient buffer for images with several scans.

use super::bits::Segments;
use super::component_buffer::{Coefficients, ComponentBuffer};
use super::frame::McuGrid;
use super::header::Header;
use super::progressive;
use super::scan::{self, McuReader};
use super::smoothing::{CoefBits, Smoothing};
use super::{BLOCK, Error, MAX_SCANS, SIDE};

/// A decoder of MCUs that also takes buffered coefficients.
pub(super) trait McuLoader: McuReader {
    /// Takes the MCU in `row` and `column`.
    fn load_mcu(&mut self, buffer: &CoefficientBuffer, row: usize, column: usize);
}

/// All coefficients of an image.
#[derive(Debug)]
pub(super) struct CoefficientBuffer {
    planes: Vec<ComponentBuffer>,
    grid: McuGrid,
    smoothing: Option<Smoothing>,
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
            for one in &scan.components {
                planes[one.index].latch_quantization(one.quantization);
            }
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
                .filter(|_| frame.is_progressive && planes.iter().all(Smoothing::is_applicable)),
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
