//! What stands before the pixels of a JPEG.

use std::rc::Rc;

use ::image::metadata::Orientation;

use super::huffman::Code;

/// All that is needed to decode the only scan of a baseline JPEG.
#[derive(Debug)]
pub(in crate::decode) struct Header<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    /// What EXIF data say of how the image is turned.
    pub(in crate::decode) orientation: Option<Orientation>,
    /// One, of grey, or three: luma, and the differences of blue and red from it.
    pub(in crate::decode) components: Vec<Component>,
    /// Units from one restart marker to the next; 0 where there are none.
    pub(super) restart_interval: usize,
    /// The entropy-coded data, and what follows.
    pub(super) data: &'a [u8],
}

/// A component of the image.
#[derive(Debug)]
pub(in crate::decode) struct Component {
    /// Blocks of a unit, across and down.
    pub(super) across: usize,
    pub(super) down: usize,
    /// What coefficients are multiplied by, in the order in which they are coded.
    pub(super) quantization: [u16; 64],
    pub(super) dc: Rc<Code>,
    pub(super) ac: Rc<Code>,
}

/// What the segments before the scan say.
#[derive(Debug, Default)]
struct Tables {
    quantization: [Option<[u16; 64]>; 4],
    dc: [Option<Rc<Code>>; 4],
    ac: [Option<Rc<Code>>; 4],
    restart_interval: usize,
    frame: Option<Frame>,
    /// The colour transform that Adobe's segment names.
    transform: Option<u8>,
    orientation: Option<Orientation>,
}

#[derive(Debug)]
struct Frame {
    width: usize,
    height: usize,
    /// Identifier, blocks of a unit across and down, number of the quantization table.
    components: Vec<(u8, usize, usize, u8)>,
}

impl<'a> Header<'a> {
    /// Reads the segments up to the scan. `None` where the file is not sequential, 8 bits deep, coded by Huffman's codes in one scan, and
    /// of grey or of luma and two colour differences; or is broken.
    ///
    /// # Source
    ///
    /// ITU-T T.81, annex B.2; T.871 (JFIF) for the colours, T.872 for Adobe's segment.
    pub(in crate::decode) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut tables = Tables::default();
        let mut rest = bytes;
        loop {
            let (marker, behind) = next_marker(rest)?;
            rest = behind;
            if matches!(marker, 0x01 | 0xD0..=0xD8) {
                continue;
            }
            let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
            let segment = rest.get(2..length)?;
            rest = &rest[length..];
            match marker {
                0xDB => tables.quantization(segment)?,
                0xC4 => tables.codes(segment)?,
                0xC0 | 0xC1 => tables.frame(segment)?,
                0xDD => tables.restart_interval = u16::from_be_bytes(*segment.first_chunk()?).into(),
                0xEE if segment.starts_with(b"Adobe") => tables.transform = segment.get(11).copied(),
                0xE1 => tables.exif(segment),
                0xDA => return tables.scan(segment, rest),
                // Application data and comments.
                0xE0..=0xEF | 0xFE => {}
                _ => return None,
            }
        }
    }
}

impl Header<'_> {
    /// Width and height.
    pub(in crate::decode) fn size(&self) -> (u32, u32) {
        let length = |length| u32::try_from(length).expect("it was read from 16 bits");
        (length(self.width), length(self.height))
    }
}

fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let start = bytes.iter().position(|&byte| byte == 0xFF)?;
    let code = start + bytes[start..].iter().position(|&byte| byte != 0xFF)?;
    Some((bytes[code], &bytes[code + 1..]))
}

impl Tables {
    fn quantization(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = segment.split_first() {
            let mut table = [0; 64];
            let bytes = match kind >> 4 {
                0 => 64,
                1 => 128,
                _ => return None,
            };
            let (values, rest) = rest.split_at_checked(bytes)?;
            for (entry, value) in table.iter_mut().zip(values.chunks(bytes / 64)) {
                *entry = value.iter().fold(0, |high, &low| (high << 8) | u16::from(low));
            }
            *self.quantization.get_mut(usize::from(kind & 15))? = Some(table);
            segment = rest;
        }
        Some(())
    }

    fn codes(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let count = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(count)?;
            let class = match kind >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return None,
            };
            *class.get_mut(usize::from(kind & 15))? = Some(Rc::new(Code::new(counts, symbols)?));
            segment = rest;
        }
        Some(())
    }

    fn exif(&mut self, segment: &[u8]) {
        if let Some(chunk) = segment.strip_prefix(b"Exif\0\0") {
            self.orientation = Orientation::from_exif_chunk(chunk);
        }
    }

    fn frame(&mut self, segment: &[u8]) -> Option<()> {
        let (&[precision, h1, h0, w1, w0, count], rest) = segment.split_first_chunk()?;
        if precision != 8 || self.frame.is_some() || rest.len() != 3 * usize::from(count) {
            return None;
        }
        let component = |bytes: &[u8]| {
            let (across, down) = (usize::from(bytes[1] >> 4), usize::from(bytes[1] & 15));
            let is_valid = (1..=4).contains(&across) && (1..=4).contains(&down);
            is_valid.then_some((bytes[0], across, down, bytes[2]))
        };
        self.frame = Some(Frame {
            width: u16::from_be_bytes([w1, w0]).into(),
            height: u16::from_be_bytes([h1, h0]).into(),
            components: rest.chunks(3).map(component).collect::<Option<_>>()?,
        });
        Some(())
    }

    fn scan<'a>(self, segment: &[u8], data: &'a [u8]) -> Option<Header<'a>> {
        let frame = self
            .frame
            .as_ref()
            .filter(|frame| frame.width > 0 && frame.height > 0)?;
        let (&count, rest) = segment.split_first()?;
        let (selectors, end) = rest.split_at_checked(2 * usize::from(count))?;
        if end != [0, 63, 0] || usize::from(count) != frame.components.len() || !self.is_luma_first(frame) {
            return None;
        }
        let component = |(&(id, across, down, table), selector): (&(u8, usize, usize, u8), &[u8])| {
            let of = |codes: &[Option<Rc<Code>>; 4], number: u8| codes.get(usize::from(number))?.clone();
            // Alone in its scan, a component is coded block by block.
            let (across, down) = if count == 1 { (1, 1) } else { (across, down) };
            (id == selector[0]).then_some(())?;
            Some(Component {
                across,
                down,
                quantization: (*self.quantization.get(usize::from(table))?)?,
                dc: of(&self.dc, selector[1] >> 4)?,
                ac: of(&self.ac, selector[1] & 15)?,
            })
        };
        let components = frame.components.iter().zip(selectors.chunks(2)).map(component);
        Some(Header {
            width: frame.width,
            height: frame.height,
            orientation: self.orientation,
            components: components.collect::<Option<_>>()?,
            restart_interval: self.restart_interval,
            data,
        })
    }

    /// Whether the components are grey alone, or luma and colour differences.
    fn is_luma_first(&self, frame: &Frame) -> bool {
        match *frame.components {
            [_] => true,
            [(r, ..), (g, ..), (b, ..)] => self.transform.unwrap_or(1) == 1 && [r, g, b] != *b"RGB",
            _ => false,
        }
    }
}
