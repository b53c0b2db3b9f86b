//! First scans of coefficients: their upper bits, or all of them.

use super::super::bits::BitReader;
use super::super::coefficients::{AcDecoder, BandDecoder, DcDecoder};
use super::super::component_buffer::BlockMut;
use super::super::tables::Scan;
use super::block::{BlockDecoder, put};

/// First scan of DC coefficients (upper bits).
pub(super) struct DcFirst<'a> {
    decoders: Vec<DcDecoder<'a>>,
    /// By component: the DC coefficient of the previous block.
    previous: Vec<i32>,
    low: u32,
}

impl<'a> DcFirst<'a> {
    pub(super) fn new(scan: &'a Scan<'_>) -> Option<Self> {
        let decoders = scan
            .components
            .iter()
            .map(|one| one.dc.as_deref().map(DcDecoder::new));
        Some(Self {
            decoders: decoders.collect::<Option<_>>()?,
            previous: vec![0; scan.components.len()],
            low: scan.low,
        })
    }
}

impl BlockDecoder for DcFirst<'_> {
    #[inline(always)]
    fn restart(&mut self) {
        self.previous.fill(0);
    }

    #[inline(always)]
    fn block(&mut self, bits: &mut BitReader<'_>, number: usize, block: BlockMut<'_>) -> Option<()> {
        let previous = &mut self.previous[number];
        *previous = previous.checked_add(self.decoders[number].read(bits)?)?;
        block.values[0] = (*previous << self.low) as i16;
        Some(())
    }
}

/// All coefficients, in a sequential scan.
pub(super) struct Sequential<'a> {
    pub(super) dc: DcFirst<'a>,
    pub(super) ac: Vec<AcDecoder<'a>>,
}

impl BlockDecoder for Sequential<'_> {
    #[inline(always)]
    fn restart(&mut self) {
        self.dc.restart();
    }

    #[inline(always)]
    fn block(&mut self, bits: &mut BitReader<'_>, number: usize, block: BlockMut<'_>) -> Option<()> {
        let previous = &mut self.dc.previous[number];
        *previous = previous.wrapping_add(self.dc.decoders[number].read(bits)?);
        block.values[0] = *previous as i16;
        let mut found = *block.nonzero;
        self.ac[number].read(bits, |k, value| {
            if value != 0 {
                found = put(block.values, found, k, value as i16);
            }
        })?;
        *block.nonzero = found;
        Some(())
    }
}

/// First scan of a band of AC coefficients (upper bits).
pub(super) struct AcFirst<'a> {
    pub(super) decoder: BandDecoder<'a>,
    pub(super) band: (usize, usize),
    pub(super) low: u32,
    /// Further blocks of the end-of-band run.
    pub(super) run: u32,
}

impl BlockDecoder for AcFirst<'_> {
    #[inline(always)]
    fn restart(&mut self) {
        self.run = 0;
    }

    #[inline(always)]
    fn block(&mut self, bits: &mut BitReader<'_>, _: usize, block: BlockMut<'_>) -> Option<()> {
        if self.run > 0 {
            self.run -= 1;
            return Some(());
        }
        let low = self.low;
        let BlockMut { values, nonzero } = block;
        let mut found = *nonzero;
        self.run = self.decoder.read(bits, self.band, |k, value| {
            found = put(values, found, k, (value << low) as i16);
        })?;
        *nonzero = found;
        Some(())
    }
}
