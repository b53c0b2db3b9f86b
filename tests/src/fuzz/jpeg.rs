use equibatch_engine::decode::{DecodeLimits, DecodeOptions, canonical_size, decode, decode_canonical};

/// A JPEG: the first byte is the short side to decode to, 0 for all pixels; the rest is the file.
///
/// # Panics
///
/// If the image does not have the requested size, or only one of the scaled and the full decode fails.
pub fn jpeg(data: &[u8]) {
    let Some((&side, file)) = data.split_first() else {
        return;
    };
    let options = DecodeOptions {
        limits: DecodeLimits {
            max_pixels: 1 << 20,
            max_file_bytes: 1 << 20,
            max_allocation: 16 << 20,
        },
        ..DecodeOptions::default()
    };
    let short_side = (side > 0).then_some(side.into());
    let whole = decode(file, &options);
    let small = decode_canonical(file, &options, short_side);
    match (whole, small) {
        (Ok(whole), Ok(small)) => {
            let expected = canonical_size(whole.width(), whole.height(), short_side);
            assert_eq!((small.width(), small.height()), expected);
        }
        (Err(whole), Err(small)) => assert_eq!(whole.to_string(), small.to_string()),
        (whole, small) => panic!("{:?} and {:?}", whole.err(), small.err()),
    }
}
