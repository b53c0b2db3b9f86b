//! Pixel operations, compared with those of Pillow on the same image: see `generate/pixel_ops.py`.

use equibatch_harness::checkout;

use equibatch_engine::pixel_ops::{PixelOp, apply};
use serde_json::Value;

fn bytes(hexadecimal: &Value) -> Vec<u8> {
    let text = hexadecimal.as_str().expect("text");
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect()
}

/// The operation, and the tolerance in levels.
fn op(name: &str, value: f64) -> (PixelOp, u8) {
    let single = value as f32;
    match name {
        "brightness" => (PixelOp::Brightness(single), 0),
        "contrast" => (PixelOp::Contrast(single), 0),
        "saturation" => (PixelOp::Saturation(single), 0),
        "sharpness" => (PixelOp::Sharpness(single), 0),
        "posterize" => (PixelOp::Posterize(value as u8), 0),
        "solarize" => (PixelOp::Solarize(single), 0),
        "auto_contrast" => (PixelOp::AutoContrast, 0),
        "equalize" => (PixelOp::Equalize, 0),
        // Single precision and 16-bit weights compared with float64: ties may be rounded either way.
        "hue" => (PixelOp::Hue(single), 1),
        "blur" => (PixelOp::Blur(single), 1),
        other => panic!("{other}"),
    }
}

#[test]
fn pixel_ops_match_the_reference() {
    let path = checkout::fixture("pixel_ops.json");
    let fixture: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let size = fixture["size"].as_u64().unwrap() as usize;
    let image = bytes(&fixture["image"]);
    let cases = fixture["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 28);
    for case in cases {
        let (name, value) = (case["op"].as_str().unwrap(), case["value"].as_f64().unwrap());
        let (op, tolerance) = op(name, value);
        let mut pixels = image.clone();
        apply(&[op], &mut pixels, size);
        let expected = bytes(&case["image"]);
        let off = pixels.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b));
        let differing = off.clone().filter(|off| *off > 0).count();
        assert!(
            off.max() <= Some(tolerance),
            "{op:?} is off by {:?}",
            worst_difference(&pixels, &expected)
        );
        assert!(differing * 50 <= pixels.len(), "{op:?}: {differing} bytes differ");
    }
}

/// Index, found and expected value of the byte with the largest difference.
fn worst_difference(found: &[u8], expected: &[u8]) -> Option<(usize, u8, u8)> {
    let pairs = found.iter().zip(expected).enumerate();
    pairs
        .max_by_key(|(_, (a, b))| a.abs_diff(**b))
        .map(|(at, (a, b))| (at, *a, *b))
}
