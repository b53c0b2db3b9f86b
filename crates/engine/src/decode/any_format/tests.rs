use std::io::Cursor;

use ::image::codecs::gif::GifEncoder;
use ::image::{
    Delay, DynamicImage, Frame, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage,
};
use proptest::prelude::*;

use super::*;
use crate::decode::Blame;

/// An image without symmetry, smooth enough for JPEG.
fn photo(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let level = |a: u32, b: u32| ((x * a + y * b) % 256) as u8;
        Rgb([level(5, 1), level(1, 4), level(2, 2)])
    })
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn decoded(bytes: &[u8]) -> Image {
    decode(bytes, &DecodeOptions::default()).unwrap()
}

/// A TIFF block, big-endian, with one entry: orientation (0x0112), SHORT, count 1.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0]);
    block
}

/// Inserts an APP1 segment after the start-of-image marker of a JPEG.
fn with_exif(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut body = b"Exif\0\0".to_vec();
    body.extend(exif(orientation));
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xFF, 0xE1]);
    bytes.extend(u16::try_from(body.len() + 2).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes.extend(&jpeg[2..]);
    bytes
}

/// The position in the stored image of a pixel of the upright image, from the table of the EXIF standard (which side of the scene the
/// stored row 0 and column 0 show).
fn stored(orientation: u8, (x, y): (u32, u32), (width, height): (u32, u32)) -> (u32, u32) {
    match orientation {
        2 => (width - 1 - x, y),
        3 => (width - 1 - x, height - 1 - y),
        4 => (x, height - 1 - y),
        5 => (y, x),
        6 => (y, height - 1 - x),
        7 => (width - 1 - y, height - 1 - x),
        8 => (width - 1 - y, x),
        _ => (x, y),
    }
}

fn assert_upright(image: &Image, plain: &Image, orientation: u8) {
    let size = (plain.width(), plain.height());
    let expected = if orientation >= 5 { (size.1, size.0) } else { size };
    assert_eq!(
        (image.width(), image.height()),
        expected,
        "orientation {orientation}"
    );
    for y in 0..image.height() {
        for x in 0..image.width() {
            let (sx, sy) = stored(orientation, (x, y), size);
            let at = |image: &Image, x: u32, y: u32| {
                let at = (y * image.width() + x) as usize * 3;
                image.pixels()[at..at + 3].to_vec()
            };
            assert_eq!(
                at(image, x, y),
                at(plain, sx, sy),
                "orientation {orientation} at ({x}, {y})"
            );
        }
    }
}

#[test]
fn lossless_formats_decode_exactly() {
    let photo = photo(37, 23);
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp] {
        let image = decoded(&encoded(&photo.clone().into(), format));
        assert_eq!((image.width(), image.height()), (37, 23));
        assert!(image.pixels() == photo.as_raw(), "{format:?}");
    }
}

#[test]
fn lossy_formats_decode_approximately() {
    let photo = RgbImage::from_fn(40, 24, |x, y| Rgb([x as u8 * 6, y as u8 * 10, 100]));
    for format in [ImageFormat::Jpeg, ImageFormat::Gif] {
        let image = decoded(&encoded(&photo.clone().into(), format));
        // GIF's palette of 256 colours for 960 different pixels has a larger error than JPEG.
        let off = image
            .pixels()
            .iter()
            .zip(photo.as_raw())
            .map(|(a, b)| u64::from(a.abs_diff(*b)));
        let mean = off.sum::<u64>() as f64 / image.pixels().len() as f64;
        assert!(mean < 8.0, "{format:?}: {mean}");
    }
}

#[test]
fn grey_is_replicated_and_transparency_dropped() {
    let images: [(DynamicImage, [u8; 3]); 7] = [
        (ImageBuffer::from_pixel(2, 2, Luma([77u8])).into(), [77; 3]),
        (ImageBuffer::from_pixel(2, 2, LumaA([77u8, 0])).into(), [77; 3]),
        (
            ImageBuffer::from_pixel(2, 2, Rgba([1u8, 2, 3, 0])).into(),
            [1, 2, 3],
        ),
        (
            ImageBuffer::from_pixel(2, 2, Luma([77u16 * 257 + 128])).into(),
            [77; 3],
        ),
        (
            ImageBuffer::from_pixel(2, 2, LumaA([77u16 * 257 + 129, 0])).into(),
            [78; 3],
        ),
        (
            ImageBuffer::from_pixel(2, 2, Rgb([257u16, 514, 65535])).into(),
            [1, 2, 255],
        ),
        (
            ImageBuffer::from_pixel(2, 2, Rgba([257u16, 514, 65535, 9])).into(),
            [1, 2, 255],
        ),
    ];
    for (image, pixel) in images {
        let found = decoded(&encoded(&image, ImageFormat::Png));
        assert_eq!(found.pixels(), pixel.repeat(4), "{:?}", image.color());
    }
    let grey = decoded(&encoded(
        &ImageBuffer::from_pixel(9, 9, Luma([77u8])).into(),
        ImageFormat::Jpeg,
    ));
    assert_eq!(grey.pixels(), [77; 9 * 9 * 3]);
}

#[test]
fn every_exif_orientation_is_applied() {
    let jpeg = encoded(&photo(48, 32).into(), ImageFormat::Jpeg);
    let plain = decoded(&jpeg);
    for orientation in 1..=8 {
        assert_upright(&decoded(&with_exif(&jpeg, orientation)), &plain, orientation);
    }
    for invalid in [0, 9, 255] {
        assert_upright(&decoded(&with_exif(&jpeg, invalid)), &plain, 1);
    }
}

#[test]
fn orientation_can_be_ignored() {
    let jpeg = encoded(&photo(48, 32).into(), ImageFormat::Jpeg);
    let options = DecodeOptions {
        orientation: Orientation::Ignore,
        ..DecodeOptions::default()
    };
    assert!(decode(&with_exif(&jpeg, 6), &options).unwrap() == decoded(&jpeg));
}

#[test]
fn orientation_in_png_and_webp_is_applied() {
    let photo = photo(20, 10);
    let mut png = Vec::new();
    let mut encoder = ::image::codecs::png::PngEncoder::new(&mut png);
    use ::image::ImageEncoder as _;
    encoder.set_exif_metadata(exif(6)).unwrap();
    encoder
        .write_image(&photo, 20, 10, ::image::ExtendedColorType::Rgb8)
        .unwrap();
    let mut webp = Vec::new();
    let mut encoder = ::image::codecs::webp::WebPEncoder::new_lossless(&mut webp);
    encoder.set_exif_metadata(exif(6)).unwrap();
    encoder
        .write_image(&photo, 20, 10, ::image::ExtendedColorType::Rgb8)
        .unwrap();
    let plain = Image::new(20, 10, photo.into_raw());
    assert_upright(&decoded(&png), &plain, 6);
    assert_upright(&decoded(&webp), &plain, 6);
}

#[test]
fn invalid_exif_data_is_ignored() {
    let jpeg = encoded(&photo(48, 32).into(), ImageFormat::Jpeg);
    let mut broken = with_exif(&jpeg, 6);
    broken[12..16].fill(0xEE);
    assert!(decoded(&broken) == decoded(&jpeg));
}

#[test]
fn an_animation_gives_its_first_frame() {
    let frame = |pixel: [u8; 4]| {
        Frame::from_parts(
            RgbaImage::from_pixel(6, 5, Rgba(pixel)),
            0,
            0,
            Delay::from_numer_denom_ms(50, 1),
        )
    };
    let mut gif = Vec::new();
    let mut encoder = GifEncoder::new(&mut gif);
    encoder
        .encode_frames([frame([200, 0, 0, 255]), frame([0, 200, 0, 255])])
        .unwrap();
    drop(encoder);
    assert_eq!(decoded(&gif).pixels(), [200, 0, 0].repeat(30));
}

/// A PNG whose header declares `width` x `height` RGB pixels, with a few bytes of data.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut png = encoded(&RgbImage::new(1, 1).into(), ImageFormat::Png);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&png[12..29]).to_be_bytes();
    png[29..33].copy_from_slice(&crc);
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 {
                0xEDB8_8320 ^ (crc >> 1)
            } else {
                crc >> 1
            }
        })
    })
}

#[test]
fn a_decompression_bomb_is_rejected_before_memory_is_allocated() {
    let error = decode(&bomb(60_000, 60_000), &DecodeOptions::default()).unwrap_err();
    assert_eq!(error.blame(), Blame::Limit, "{error}");
    assert_eq!(
        error.to_string(),
        "the header gives an image size of 60000x60000: at most 100000000 pixels are allowed"
    );

    let limits = DecodeLimits {
        max_allocation: 2_999_999,
        ..DecodeLimits::default()
    };
    let options = DecodeOptions {
        limits,
        ..DecodeOptions::default()
    };
    let error = decode(&bomb(1000, 1000), &options).unwrap_err();
    assert_eq!(error.blame(), Blame::Limit, "{error}");
}

#[test]
fn coefficients_of_multi_scan_files_count_towards_the_limit() {
    let [sequential, progressive] = [
        include_bytes!("../../../../../tests/fixtures/jpeg/420.jpg").as_slice(),
        include_bytes!("../../../../../tests/fixtures/jpeg/progressive.jpg"),
    ];
    let with_limit = |bytes: &[u8], max_allocation| {
        let limits = DecodeLimits {
            max_allocation,
            ..DecodeLimits::default()
        };
        decode(
            bytes,
            &DecodeOptions {
                limits,
                ..DecodeOptions::default()
            },
        )
    };
    // 157x123 pixels; 10x8 MCUs of six blocks, each with 64 coefficients of two bytes and an 8-byte bit mask.
    let (pixels, coefficients) = (157 * 123 * 3, 10 * 8 * 6 * (64 * 2 + 8));
    assert!(with_limit(sequential, pixels).is_ok());
    assert!(with_limit(progressive, pixels + coefficients).is_ok());
    for (bytes, least) in [(sequential, pixels), (progressive, pixels + coefficients)] {
        let error = with_limit(bytes, least - 1).unwrap_err();
        assert!(
            matches!(error, Error::TooMuchMemory { bytes, .. } if bytes == least),
            "{error}"
        );
        assert_eq!(error.blame(), Blame::Limit);
    }
}

#[test]
fn a_truncated_file_of_any_format_is_a_data_error() {
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Gif,
    ] {
        let bytes = encoded(&photo(64, 64).into(), format);
        for kept in [bytes.len() / 2, bytes.len() * 9 / 10] {
            let error = decode(&bytes[..kept], &DecodeOptions::default()).unwrap_err();
            assert_eq!(error.blame(), Blame::Data, "{format:?}: {error}");
        }
    }
}

#[test]
fn trailing_bytes_are_ignored() {
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
    ] {
        let mut bytes = encoded(&photo(16, 16).into(), format);
        let plain = decoded(&bytes);
        bytes.extend(b"trailing");
        assert!(decoded(&bytes) == plain, "{format:?}");
    }
}

#[test]
fn other_content_is_unsupported_and_an_empty_file_is_a_data_error() {
    let error = |bytes: &[u8]| decode(bytes, &DecodeOptions::default()).unwrap_err();
    assert_eq!(error(b"<html>404</html>").blame(), Blame::Unsupported);
    assert_eq!(error(b"").blame(), Blame::Data);
}

#[test]
fn a_panic_of_the_decoder_is_a_data_error() {
    let error = catch_decoder_panic::<Image>(Format::Gif, || panic!("index out of bounds")).unwrap_err();
    assert_eq!(error.to_string(), "the GIF decoder panicked: index out of bounds");
    assert_eq!(error.blame(), Blame::Data);
}

/// A baseline JPEG of 8x8 equal pixels with component values `levels` and the Adobe `transform` flag (0: RGB or CMYK, 2: YCCK). All
/// quantisation steps are 1; DC sizes have Huffman codes of four bits, end-of-block a code of one bit.
fn flat_jpeg(levels: &[u8], transform: u8) -> Vec<u8> {
    let mut jpeg = vec![0xFF, 0xD8];
    let mut segment = |marker: u8, body: &[u8]| {
        jpeg.extend([0xFF, marker]);
        jpeg.extend(u16::try_from(body.len() + 2).unwrap().to_be_bytes());
        jpeg.extend(body);
    };
    let components = u8::try_from(levels.len()).unwrap();
    let each = |fields: [u8; 2]| (1..=components).flat_map(move |id| [vec![id], fields.to_vec()].concat());
    segment(0xEE, &[b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat());
    segment(0xDB, &[vec![0], vec![1; 64]].concat());
    segment(
        0xC0,
        &[vec![8, 0, 8, 0, 8, components], each([0x11, 0]).collect()].concat(),
    );
    segment(
        0xC4,
        &[vec![0, 0, 0, 0, 12], vec![0; 12], (0..12).collect()].concat(),
    );
    segment(0xC4, &[vec![0x10, 1], vec![0; 15], vec![0]].concat());
    let ids = (1..=components).flat_map(|id| [id, 0]);
    segment(0xDA, &[vec![components], ids.collect(), vec![0, 63, 0]].concat());
    let mut bits = Vec::new();
    for &level in levels {
        // The DC coefficient of a uniform block is eight times its level minus 128; negative values are stored minus one.
        let dc = 8 * (i32::from(level) - 128);
        let size = 32 - dc.unsigned_abs().leading_zeros();
        let stored = if dc < 0 { dc - 1 } else { dc };
        bits.extend((0..4).rev().map(|bit| size >> bit & 1 == 1));
        bits.extend((0..size).rev().map(|bit| stored >> bit & 1 == 1));
        bits.push(false);
    }
    for byte in bits.chunks(8) {
        let byte = (0..8).fold(0, |value, bit| {
            value << 1 | u8::from(byte.get(bit).copied().unwrap_or(true))
        });
        jpeg.push(byte);
        if byte == 0xFF {
            jpeg.push(0);
        }
    }
    jpeg.extend([0xFF, 0xD9]);
    jpeg
}

#[test]
fn cmyk_jpeg_becomes_rgb() {
    // Adobe stores CMYK inverted: 255 is no ink, and red is cyan times black. In YCCK, the first three components are luma and chroma of
    // the inks, not inverted.
    let cases: [([u8; 4], u8, [f64; 3]); 4] = [
        ([255, 128, 0, 255], 0, [255.0, 128.0, 0.0]),
        ([200, 100, 50, 128], 0, [100.4, 50.2, 25.1]),
        ([128, 128, 128, 255], 2, [127.0, 127.0, 127.0]),
        ([100, 128, 128, 51], 2, [31.0, 31.0, 31.0]),
    ];
    for (levels, transform, expected) in cases {
        let image = decoded(&flat_jpeg(&levels, transform));
        assert_eq!((image.width(), image.height()), (8, 8));
        for pixel in image.pixels().chunks(3) {
            let off = (0..3)
                .map(|c| (f64::from(pixel[c]) - expected[c]).abs())
                .fold(0.0, f64::max);
            assert!(off <= 1.5, "{levels:?} {transform}: {pixel:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_input_makes_the_decoder_panic(
        format in prop::sample::select(vec![
            ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Gif,
        ]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
        orientation in 0u8..10,
    ) {
        let mut bytes = encoded(&photo(24, 18).into(), format);
        if format == ImageFormat::Jpeg {
            bytes = with_exif(&bytes, orientation);
        }
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let limits = DecodeLimits { max_pixels: 1 << 20, max_allocation: 8 << 20, ..DecodeLimits::default() };
        if let Ok(image) = decode(&bytes, &DecodeOptions { limits, ..DecodeOptions::default() }) {
            prop_assert!(u64::from(image.width()) * u64::from(image.height()) <= limits.max_pixels);
        }
    }
}
