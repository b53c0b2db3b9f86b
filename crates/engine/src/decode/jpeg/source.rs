//! Where the blocks of an image come from.

use super::buffer::{CoefficientBuffer, ComponentBuffer};
use super::header::Header;
use super::scan::{self, McuReader};
use super::tables::{Scan, ScanComponent};
use super::{BLOCK, Error};

/// What is made of blocks, wherever they come from.
pub(super) trait McuLoader: McuReader {
    /// Takes the unit in `row` and `column`.
    fn load_mcu(&mut self, buffer: &CoefficientBuffer, row: usize, column: usize);
}

/// Where the blocks of an image come from.
pub(super) enum McuSource<'h, 'a> {
    /// The only scan of all components, as it is read.
    Scan(&'h Header<'a>, &'h Scan<'a>),
    /// The coefficients of all scans.
    Buffer(CoefficientBuffer),
}

impl<'h, 'a> McuSource<'h, 'a> {
    /// Reads all scans, where there are several, into memory of another image.
    ///
    /// # Errors
    ///
    /// Those of [`CoefficientBuffer::read`].
    pub(super) fn of(header: &'h Header<'a>, used: Vec<ComponentBuffer>) -> Result<Self, Error> {
        match header.only_scan() {
            Some(scan) => Ok(Self::Scan(header, scan)),
            None => CoefficientBuffer::read(header, used).map(Self::Buffer),
        }
    }

    /// How the components are coded in the only scan; nothing where there are several.
    pub(super) fn coded(&self) -> &'h [ScanComponent] {
        match *self {
            Self::Scan(_, scan) => &scan.components,
            Self::Buffer(_) => &[],
        }
    }

    /// What the coefficients of the component at `place` are multiplied by, in the order in which they are coded.
    pub(super) fn quantization(&self, index: usize) -> &[u16; BLOCK] {
        match self {
            Self::Scan(_, scan) => &scan.components[index].quantization,
            Self::Buffer(buffer) => buffer.quantization(index),
        }
    }

    /// Gives `loader` all blocks, and reads to the end of the file.
    ///
    /// # Errors
    ///
    /// Those of [`scan::read`].
    pub(super) fn for_each_mcu(&self, loader: &mut impl McuLoader) -> Result<(), Error> {
        match self {
            Self::Scan(header, scan) => scan::read(header, scan, loader),
            Self::Buffer(buffer) => {
                buffer.for_each_mcu(loader);
                Ok(())
            }
        }
    }

    /// The memory of coefficients.
    pub(super) fn into_components(self) -> Vec<ComponentBuffer> {
        match self {
            Self::Scan(..) => vec![],
            Self::Buffer(buffer) => buffer.into_components(),
        }
    }
}
