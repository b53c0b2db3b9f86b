//! Marker segments of a JPEG and the tables they define, which may change between scans.

use std::rc::Rc;

use ::image::metadata::Orientation;

use super::frame::{Colours, Frame};
use super::huffman::HuffmanTable;
use super::standard::{self, StandardTable};
use super::table_cache;
use super::{BLOCK, Error};
use crate::header::Segment;

/// Maximum blocks per MCU.
const MAX_BLOCKS: usize = 10;

/// The state defined by the segments so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables<'a> {
    quantization: [Option<[u16; BLOCK]>; 4],
    dc: [Option<HuffmanSpec<'a>>; 4],
    ac: [Option<HuffmanSpec<'a>>; 4],
    restart_interval: usize,
    frame: Option<Frame>,
    is_jfif: bool,
    /// The colour transform flag of Adobe's APP14 segment.
    idct: Option<u8>,
    pub(super) orientation: Option<Orientation>,
}

/// A Huffman table as in the file. The decoding table is built when a scan uses it, because a file may define many unused tables.
#[derive(Clone, Debug)]
struct HuffmanSpec<'a> {
    counts: &'a [u8; 16],
    symbols: &'a [u8],
    code: Option<Rc<HuffmanTable>>,
}

/// A scan header.
#[derive(Clone, Debug)]
pub(super) struct Scan<'a> {
    pub(super) components: Vec<ScanComponent>,
    /// Spectral selection: first and last coefficient in zigzag order.
    pub(super) band: (usize, usize),
    /// Successive approximation: the bit position of the previous scan (0 for none), and that of this scan.
    pub(super) high: u32,
    pub(super) low: u32,
    /// MCUs between restart markers; 0 if there are none.
    pub(super) restart_interval: usize,
    /// The entropy-coded data and the rest of the file.
    pub(super) data: &'a [u8],
}

/// A component of a scan.
#[derive(Clone, Debug)]
pub(super) struct ScanComponent {
    /// Its index in the frame.
    pub(super) index: usize,
    /// Quantization steps in zigzag order.
    pub(super) quantization: [u16; BLOCK],
    /// Huffman tables; `None` if the scan does not use them.
    pub(super) dc: Option<Rc<HuffmanTable>>,
    pub(super) ac: Option<Rc<HuffmanTable>>,
}

impl<'a> Tables<'a> {
    /// Reads segments up to and including the next scan header. `None` at the end of the image.
    ///
    /// # Source
    ///
    /// ITU-T T.81, annex B.2.
    pub(super) fn next_scan(&mut self, rest: &mut &'a [u8]) -> Result<Option<Scan<'a>>, Error> {
        loop {
            // The end of the bytes is the only error of reading them.
            let Segment { marker, length } = Segment::next(rest).map_err(|_| Error::Truncated)?;
            match marker {
                0xD9 => return Ok(None),
                0xD8 => return Err(Error::Broken("there is a second start-of-image marker")),
                _ => {}
            }
            let length = length.ok_or(Error::Broken("the length of a segment is invalid"))?;
            let (segment, after) = rest.split_at_checked(length.into()).ok_or(Error::Truncated)?;
            *rest = after;
            match marker {
                0xDB => self
                    .quantization(segment)
                    .ok_or(Error::Broken("a quantization table is invalid"))?,
                0xC4 => self
                    .codes(segment)
                    .ok_or(Error::Broken("a Huffman table is invalid"))?,
                0xC0..=0xC2 if self.frame.is_some() => {
                    return Err(Error::Broken("there are two frame headers"));
                }
                0xC0..=0xC2 => self.frame = Some(Frame::read(segment, marker == 0xC2)?),
                0xDD => {
                    let interval = segment
                        .try_into()
                        .map_err(|_| Error::Broken("a restart interval is invalid"))?;
                    self.restart_interval = u16::from_be_bytes(interval).into();
                }
                0xDA => return self.scan(segment, after).map(Some),
                0xE0 => self.is_jfif |= segment.len() >= 14 && segment.starts_with(b"JFIF\0"),
                0xE1 => self.exif(segment),
                0xEE if segment.len() >= 12 && segment.starts_with(b"Adobe") => {
                    self.idct = Some(segment[11]);
                }
                // Other application data, comments, and DNL, whose number of lines is known already.
                0xE2..=0xEF | 0xFE | 0xDC => {}
                0xC9 | 0xCA | 0xCC => return Err(Error::Unsupported("JPEGs with arithmetic coding")),
                0xC3 | 0xC5..=0xC8 | 0xCB | 0xCD..=0xCF => {
                    return Err(Error::Unsupported("lossless and hierarchical JPEGs"));
                }
                _ => return Err(Error::Broken("there is an unknown marker")),
            }
        }
    }

    pub(super) fn frame(&self) -> Result<&Frame, Error> {
        self.frame
            .as_ref()
            .ok_or(Error::Broken("a scan precedes the frame header"))
    }

    /// The colour space, by libjpeg's rules.
    pub(super) fn colours(&self, frame: &Frame) -> Colours {
        match (frame.components.as_slice(), self.idct) {
            ([_], _) => Colours::Grey,
            ([_, _, _], _) if self.is_jfif => Colours::YCbCr,
            ([_, _, _], Some(0)) => Colours::Rgb,
            ([r, g, b], None) if [r.id, g.id, b.id] == *b"RGB" => Colours::Rgb,
            ([_, _, _, _], None | Some(0)) => Colours::Cmyk,
            ([_, _, _, _], _) => Colours::Ycck,
            _ => Colours::YCbCr,
        }
    }

    fn quantization(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = segment.split_first() {
            let mut table = [0; BLOCK];
            let bytes = match kind >> 4 {
                0 => 1,
                1 => 2,
                _ => return None,
            };
            let (values, rest) = rest.split_at_checked(bytes * BLOCK)?;
            for (entry, value) in table.iter_mut().zip(values.chunks(bytes)) {
                *entry = value.iter().fold(0, |high, &low| (high << 8) | u16::from(low));
            }
            *self.quantization.get_mut(usize::from(kind & 15))? = Some(table);
            segment = rest;
        }
        Some(())
    }

    fn codes(&mut self, mut segment: &'a [u8]) -> Option<()> {
        while let Some((&kind, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let count = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(count).filter(|_| count <= 256)?;
            let class = match kind >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return None,
            };
            *class.get_mut(usize::from(kind & 15))? = Some(HuffmanSpec {
                counts,
                symbols,
                code: None,
            });
            segment = rest;
        }
        Some(())
    }

    fn exif(&mut self, segment: &[u8]) {
        if let Some(chunk) = segment.strip_prefix(b"Exif\0\0") {
            self.orientation = Orientation::from_exif_chunk(chunk);
        }
    }

    /// Reads a scan header.
    fn scan(&mut self, segment: &[u8], data: &'a [u8]) -> Result<Scan<'a>, Error> {
        const BROKEN: Error = Error::Broken("the header of a scan is invalid");
        let frame = self.frame()?.clone();
        let (&count, rest) = segment.split_first().ok_or(BROKEN)?;
        let (selectors, end) = rest.split_at_checked(2 * usize::from(count)).ok_or(BROKEN)?;
        let &[first, last, bits] = end else {
            return Err(BROKEN);
        };
        let (high, low) = (u32::from(bits >> 4), u32::from(bits & 15));
        let is_valid = match (frame.is_progressive, first) {
            // Ignored for sequential files, for which some encoders write zeros.
            (false, _) => true,
            (true, 0) => last == 0,
            (true, _) => first <= last && last < 64 && count == 1,
        };
        let is_refined = high == low + 1;
        if !is_valid || (frame.is_progressive && (low > 13 || (high != 0 && !is_refined))) {
            return Err(BROKEN);
        }
        let (has_dc, has_ac) = match (frame.is_progressive, first) {
            (false, _) => (true, true),
            (true, 0) => (high == 0, false),
            (true, _) => (false, true),
        };
        if !frame.is_progressive {
            fill(&mut self.dc, &standard::DC);
            fill(&mut self.ac, &standard::AC);
        }
        let mut components: Vec<ScanComponent> = Vec::with_capacity(selectors.len() / 2);
        for (number, selector) in selectors.chunks(2).enumerate() {
            // Components must be in the order of the frame.
            let mut indices = number..frame.components.len();
            let index = indices.find(|&index| frame.components[index].id == selector[0]);
            let index = index
                .filter(|&index| components.iter().all(|other| other.index != index))
                .ok_or(BROKEN)?;
            let table = usize::from(frame.components[index].table);
            let quantization = self.quantization.get(table).copied().flatten();
            components.push(ScanComponent {
                index,
                quantization: quantization.ok_or(Error::Broken("a quantization table is missing"))?,
                dc: has_dc
                    .then(|| code(&mut self.dc, selector[1] >> 4, 15))
                    .transpose()?,
                ac: has_ac
                    .then(|| code(&mut self.ac, selector[1] & 15, u8::MAX))
                    .transpose()?,
            });
        }
        let blocks = components.iter().map(|one| {
            let component = frame.components[one.index];
            component.across * component.down
        });
        if components.is_empty() || (components.len() > 1 && blocks.sum::<usize>() > MAX_BLOCKS) {
            return Err(BROKEN);
        }
        Ok(Scan {
            components,
            band: (first.into(), last.into()),
            high,
            low,
            restart_interval: self.restart_interval,
            data,
        })
    }
}

/// Fills undefined tables with the standard ones.
fn fill(tables: &mut [Option<HuffmanSpec<'_>>; 4], standard: &[StandardTable; 2]) {
    for (table, &(counts, symbols)) in tables.iter_mut().zip(standard) {
        table.get_or_insert(HuffmanSpec {
            counts,
            symbols,
            code: None,
        });
    }
}

/// The decoding table for table `number`, whose symbols must not exceed `most`.
fn code(tables: &mut [Option<HuffmanSpec<'_>>; 4], number: u8, most: u8) -> Result<Rc<HuffmanTable>, Error> {
    let table = tables.get_mut(usize::from(number)).and_then(Option::as_mut);
    let table = table.ok_or(Error::Broken("a Huffman table is missing"))?;
    if let Some(code) = &table.code {
        return Ok(Rc::clone(code));
    }
    let is_valid = table.symbols.iter().all(|&symbol| symbol <= most);
    let code = is_valid
        .then(|| table_cache::table(table.counts, table.symbols))
        .flatten();
    let code = code.ok_or(Error::Broken("a Huffman table is invalid"))?;
    table.code = Some(Rc::clone(&code));
    Ok(code)
}
