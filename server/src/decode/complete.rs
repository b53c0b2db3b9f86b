//! Whether a file goes on to its own end.
//!
//! Decoders fill the missing part of a JPEG with grey and say nothing, and believe the chunk sizes of a WebP before they read it.
//! The other formats' decoders notice for themselves.

use crate::header::Format;

/// Says whether `bytes` contain all that their structure announces.
pub(super) fn is_complete(format: Format, bytes: &[u8]) -> bool {
    match format {
        Format::Jpeg => jpeg(bytes).is_some(),
        Format::WebP => webp(bytes),
        Format::Png | Format::Bmp | Format::Gif => true,
    }
}

/// Walks segments and entropy-coded data to the end-of-image marker, which must follow a scan. Bytes behind it do not matter; a marker
/// in an embedded thumbnail lies within a segment and does not count.
///
/// # Source
///
/// ITU-T T.81, annex B.1.1.
fn jpeg(bytes: &[u8]) -> Option<()> {
    let mut at = 0;
    let mut scans = 0;
    loop {
        at += memchr::memchr(0xFF, bytes.get(at..)?)?;
        at += bytes[at..].iter().position(|&byte| byte != 0xFF)?;
        let marker = bytes[at];
        at += 1;
        match marker {
            // A stuffed 0xFF of the data, TEM, restarts, start of image.
            0x00 | 0x01 | 0xD0..=0xD8 => {}
            0xD9 if scans > 0 => return Some(()),
            0xD9 => {}
            _ => {
                scans += u32::from(marker == 0xDA);
                let length = bytes.get(at..at + 2)?;
                at += usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
}

/// Says whether the RIFF container, as long as it says it is, is there.
///
/// # Source
///
/// WebP container specification, "WebP file header": the size counts from offset 8.
fn webp(bytes: &[u8]) -> bool {
    let size = bytes
        .get(4..8)
        .map(|size| u32::from_le_bytes([size[0], size[1], size[2], size[3]]));
    let end = size.and_then(|size| usize::try_from(u64::from(size) + 8).ok());
    end.and_then(|end| bytes.get(12..end)).is_some_and(chunks_fit)
}

fn chunks_fit(mut rest: &[u8]) -> bool {
    while let Some((head, body)) = rest.split_at_checked(8) {
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        // Writers disagree on whether a last odd chunk is padded.
        match body.get(size + size % 2..).or_else(|| body.get(size..)) {
            Some(next) => rest = next,
            None => return false,
        }
    }
    true
}
