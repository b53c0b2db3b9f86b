//! Detection of truncated WebP files, whose decoder trusts chunk sizes. The decoders of the other formats detect truncation.

/// Whether the RIFF container and all its chunks have the sizes that their headers declare.
///
/// # Source
///
/// WebP container specification, "WebP file header": the size counts from offset 8.
pub(super) fn is_riff_complete(bytes: &[u8]) -> bool {
    let size = bytes
        .get(4..8)
        .map(|size| u32::from_le_bytes([size[0], size[1], size[2], size[3]]));
    let end = size.and_then(|size| usize::try_from(u64::from(size) + 8).ok());
    end.and_then(|end| bytes.get(12..end)).is_some_and(chunks_fit)
}

fn chunks_fit(mut rest: &[u8]) -> bool {
    while let Some((head, body)) = rest.split_at_checked(8) {
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        // Encoders differ in whether the last chunk is padded if its size is odd.
        match body.get(size + size % 2..).or_else(|| body.get(size..)) {
            Some(next) => rest = next,
            None => return false,
        }
    }
    true
}
