use super::*;
use crate::decode::jpeg::Header;
use crate::decode::{DecodeOptions, canonical, decode as decode_full, decode_canonical, resized};
use equibatch_tools::sample_data;

macro_rules! fixtures {
    ($($name:literal)+) => {
        [$(($name, include_bytes!(concat!("../../../../../../tests/fixtures/jpeg/", $name, ".jpg")) as &[u8])),+]
    };
}

/// Written by `tests/generate/pictures.py`: 157x123 pixels, the last one 64x64.
const REDUCED: [(&str, &[u8]); 10] =
    fixtures!["420" "422" "440" "444" "grey" "restarts" "optimized" "rgb" "progressive" "extreme"];
const NOT_REDUCED: [(&str, &[u8]); 2] = fixtures!["411" "cmyk"];

fn decode(bytes: &[u8], scale: Scale) -> Result<Option<ScaledImage>, Error> {
    super::decode(&Header::read(bytes)?, scale)
}

/// Averages of squares of `each` by `each` pixels, in double precision.
fn means(image: &Image, each: usize) -> Vec<f64> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut means = vec![];
    for y in (0..height).step_by(each) {
        for x in (0..width).step_by(each) {
            for channel in 0..3 {
                let rows = y..(y + each).min(height);
                let pixels: Vec<f64> = rows
                    .flat_map(|y| (x..(x + each).min(width)).map(move |x| (y * width + x) * 3 + channel))
                    .map(|at| f64::from(image.pixels()[at]))
                    .collect();
                means.push(pixels.iter().sum::<f64>() / pixels.len() as f64);
            }
        }
    }
    means
}

#[test]
fn each_pixel_is_the_average_of_the_pixels_it_covers() {
    for (name, bytes) in REDUCED {
        let full = decode_full(bytes, &DecodeOptions::default()).unwrap();
        for scale in [Scale::Quarter, Scale::Eighth] {
            let each = scale as usize;
            let scaled = decode(bytes, scale).unwrap_or_else(|error| panic!("{name} {scale:?}: {error}"));
            let ScaledImage { image, size } = scaled.unwrap_or_else(|| panic!("{name} {scale:?}"));
            assert_eq!(size.0 * each as f64, f64::from(full.width()));
            assert_eq!(size.1 * each as f64, f64::from(full.height()));
            let (columns, rows) = (full.width() as usize / each, full.height() as usize / each);
            let expected = means(&full, each);
            let stride = image.width() as usize * 3;
            // The last pixels of rows and columns may include padding beyond the image; they are not compared.
            let off: Vec<f64> = (0..rows)
                .flat_map(|row| (0..columns * 3).map(move |column| row * stride + column))
                .map(|at| (f64::from(image.pixels()[at]) - expected[at]).abs())
                .collect();
            let (worst, mean) = (
                off.iter().copied().fold(0.0, f64::max),
                off.iter().sum::<f64>() / off.len() as f64,
            );
            // The full-size decoder smooths subsampled chroma and clamps extreme noise, so the averages differ.
            let (most, usual) = match name {
                "444" | "grey" | "rgb" => (3.0, 0.4),
                "extreme" => (16.0, 5.0),
                _ => (24.0, 1.2),
            };
            assert!(
                worst <= most && mean <= usual,
                "{name} {scale:?}: {worst}, {mean} in the mean"
            );
        }
    }
}

#[test]
fn files_without_averages_are_decoded_at_full_size() {
    for (name, bytes) in NOT_REDUCED {
        assert!(decode(bytes, Scale::Eighth).unwrap().is_none(), "{name}");
        let image = decode_canonical(bytes, &DecodeOptions::default(), Some(10)).unwrap();
        assert_eq!((image.width(), image.height()), (13, 10), "{name}");
        let full = decode_full(bytes, &DecodeOptions::default()).unwrap();
        assert!(image == resized(&full, (13, 10)), "{name}");
    }
}

#[test]
fn the_scale_depends_only_on_the_sizes() {
    let scale = |width, height, side| Scale::of((width, height), side);
    assert_eq!(
        scale(4000, 3000, 256),
        Some(Scale::Eighth),
        "12 megapixels to 224"
    );
    assert_eq!(scale(3000, 4000, 256), Some(Scale::Eighth));
    assert_eq!(scale(2731, 2731, 256), Some(Scale::Eighth));
    assert_eq!(scale(2730, 9000, 256), Some(Scale::Quarter));
    assert_eq!(scale(1366, 1366, 256), Some(Scale::Quarter));
    assert_eq!(scale(1365, 1365, 256), None);
    assert_eq!(scale(500, 375, 256), None);
    assert_eq!(scale(65535, 65535, u32::MAX), None);
}

#[test]
fn sequential_and_progressive_files_give_the_same_averages() {
    let [sequential, progressive] = ["420", "progressive"].map(|wanted| {
        let (_, bytes) = REDUCED.iter().find(|(name, _)| *name == wanted).unwrap();
        decode(bytes, Scale::Quarter).unwrap().unwrap().image
    });
    assert!(sequential == progressive);
}

#[test]
fn a_corrupt_scan_is_an_error() {
    let error = |bytes: &[u8], scale| decode(bytes, scale).unwrap_err();
    let (_, bytes) = REDUCED[0];
    let data = bytes.len() / 2;
    let mut markers = bytes.to_vec();
    markers[data] = 0xFF;
    markers[data + 1] = 0xD3;
    assert!(
        matches!(error(&markers, Scale::Eighth), Error::Broken(_)),
        "a restart marker out of order"
    );
    let ended = [&bytes[..data], &[0xFF, 0xD9]].concat();
    assert!(
        matches!(error(&ended, Scale::Eighth), Error::Broken(_)),
        "an early end"
    );
    assert_eq!(error(&bytes[..data], Scale::Quarter), Error::Truncated);
    let (_, restarts) = REDUCED[5];
    let at = restarts.windows(2).position(|pair| pair == [0xFF, 0xD1]).unwrap();
    let missing = [&restarts[..at], &restarts[at + 2..]].concat();
    assert!(
        matches!(error(&missing, Scale::Eighth), Error::Broken(_)),
        "a restart marker is missing"
    );
}

#[test]
fn truncated_and_damaged_files_do_not_panic() {
    for (_, bytes) in [REDUCED[0], REDUCED[4], REDUCED[8]] {
        for end in (0..bytes.len()).filter(|end| end.is_multiple_of(if *end < 650 { 3 } else { 61 })) {
            assert!(decode(&bytes[..end], Scale::Eighth).is_err());
        }
        let mut changed = bytes.to_vec();
        // Every third byte of the header, every 61st of the rest.
        for at in (0..bytes.len()).filter(|at| at.is_multiple_of(if *at < 650 { 3 } else { 61 })) {
            for value in [0xFF, changed[at] ^ 0x11] {
                let was = std::mem::replace(&mut changed[at], value);
                let _result_is_irrelevant = decode(&changed, Scale::Quarter);
                changed[at] = was;
            }
        }
    }
}

/// Mean and maximum difference of two images, in levels of 255.
fn difference(image: &Image, other: &Image) -> (f64, u8) {
    assert_eq!((image.width(), image.height()), (other.width(), other.height()));
    let off = image
        .pixels()
        .iter()
        .zip(other.pixels())
        .map(|(a, b)| a.abs_diff(*b));
    let sum: f64 = off.clone().map(f64::from).sum();
    (sum / image.pixels().len() as f64, off.max().unwrap_or(0))
}

#[test]
fn canonical_images_from_averages_differ_from_full_size_decoding_by_a_few_levels() {
    let folder = tempfile::tempdir().unwrap();
    let options = sample_data::SampleDataOptions {
        classes: vec![sample_data::ClassSpec::new("flowers", 3)],
        test_count: 0,
        ..sample_data::SampleDataOptions::new(folder.path().join("drawn"))
    };
    sample_data::generate(&options).unwrap();
    for number in 1..=3 {
        let bytes = std::fs::read(options.out.join(format!("flowers/{number:04}.jpg"))).unwrap();
        let full = decode_full(&bytes, &DecodeOptions::default()).unwrap();
        let short = full.width().min(full.height());
        // From 4/3 to 8/3 pixels of the reduced image per canonical pixel.
        for side in [35, 32, 26, 70, 60, 50, 40] {
            assert!(
                Scale::of((full.width(), full.height()), side).is_some(),
                "{short} to {side}"
            );
            let found = decode_canonical(&bytes, &DecodeOptions::default(), Some(side)).unwrap();
            let expected = canonical(full.clone(), Some(side));
            let (mean, worst) = difference(&found, &expected);
            assert!(
                mean <= 1.25 && worst <= 32,
                "{short} to {side}: {mean} in the mean, {worst}"
            );
        }
    }
}
