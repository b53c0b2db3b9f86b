//! The source of an image's MCUs: a single scan, or buffered coefficients.

use super::buffer::{CoefficientBuffer, McuLoader};
use super::component_buffer::ComponentBuffer;
use super::header::Header;
use super::scan;
use super::tables::{Scan, ScanComponent};
use super::{BLOCK, Error};

/// The source of an image's MCUs.
pub(super) enum McuSource<'h, 'a> {
    /// A single scan of all components, decoded on the fly.
    Scan(&'h Header<'a>, &'h Scan<'a>),
    /// The buffered coefficients of all scans.
    Buffer(CoefficientBuffer),
}

impl<'h, 'a> McuSource<'h, 'a> {
    /// If there are several scans, decodes all of them, reusing the memory of `used`.
    ///
    /// # Errors
    ///
    /// As [`CoefficientBuffer::read`].
    pub(super) fn of(header: &'h Header<'a>, used: Vec<ComponentBuffer>) -> Result<Self, Error> {
        match header.only_scan() {
            Some(scan) => Ok(Self::Scan(header, scan)),
            None => CoefficientBuffer::read(header, used).map(Self::Buffer),
        }
    }

    /// The components of the single scan; empty if there are several scans.
    pub(super) fn coded(&self) -> &'h [ScanComponent] {
        match *self {
            Self::Scan(_, scan) => &scan.components,
            Self::Buffer(_) => &[],
        }
    }

    /// The quantization steps of component `index`, in zigzag order.
    pub(super) fn quantization(&self, index: usize) -> &[u16; BLOCK] {
        match self {
            Self::Scan(_, scan) => &scan.components[index].quantization,
            Self::Buffer(buffer) => buffer.quantization(index),
        }
    }

    /// Passes all MCUs to `loader`.
    ///
    /// # Errors
    ///
    /// As [`scan::read`].
    pub(super) fn for_each_mcu(&self, loader: &mut impl McuLoader) -> Result<(), Error> {
        match self {
            Self::Scan(header, scan) => scan::read(header, scan, loader),
            Self::Buffer(buffer) => {
                buffer.for_each_mcu(loader);
                Ok(())
            }
        }
    }

    /// The coefficient buffers, for reuse.
    pub(super) fn into_components(self) -> Vec<ComponentBuffer> {
        match self {
            Self::Scan(..) => vec![],
            Self::Buffer(buffer) => buffer.into_components(),
        }
    }
}
