//! The second pass over pixels, against what the libraries that it follows make of the same image: see `generate/pixel_ops.py`.

use std::path::Path;

use equibatch_engine::pixel_ops::{PixelOp, apply};
use serde_json::Value;

fn bytes(hexadecimal: &Value) -> Vec<u8> {
    let text = hexadecimal.as_str().expect("text");
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect()
}

/// The touch, and by how much it may differ from the fixture.
fn touch(name: &str, value: f64) -> (PixelOp, u8) {
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
        // Single precision and weights of 16 bits against float64: ties may fall to either side.
        "hue" => (PixelOp::Hue(single), 1),
        "blur" => (PixelOp::Blur(single), 1),
        other => panic!("{other}"),
    }
}

#[test]
fn touches_are_those_of_the_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pixel_ops.json");
    let fixture: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let size = fixture["size"].as_u64().unwrap() as usize;
    let image = bytes(&fixture["image"]);
    let cases = fixture["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 28);
    for case in cases {
        let (name, value) = (case["op"].as_str().unwrap(), case["value"].as_f64().unwrap());
        let (touch, tolerance) = touch(name, value);
        let mut pixels = image.clone();
        apply(&[touch], &mut pixels, size);
        let expected = bytes(&case["image"]);
        let off = pixels.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b));
        let differing = off.clone().filter(|off| *off > 0).count();
        assert!(
            off.max() <= Some(tolerance),
            "{touch:?} is off by {:?}",
            off_at(&pixels, &expected)
        );
        assert!(
            differing * 50 <= pixels.len(),
            "{touch:?}: {differing} bytes differ"
        );
    }
}

fn off_at(found: &[u8], expected: &[u8]) -> Option<(usize, u8, u8)> {
    let pairs = found.iter().zip(expected).enumerate();
    pairs
        .max_by_key(|(_, (a, b))| a.abs_diff(**b))
        .map(|(at, (a, b))| (at, *a, *b))
}
