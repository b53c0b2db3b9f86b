//! The second pass over pixels, against what the libraries that it follows make of the same image: see `generate/touches.py`.

use std::path::Path;

use equibatch_engine::retouch::{Touch, apply};
use serde_json::Value;

fn bytes(hexadecimal: &Value) -> Vec<u8> {
    let text = hexadecimal.as_str().expect("text");
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect()
}

/// The touch, and by how much it may differ from the fixture.
fn touch(name: &str, value: f64) -> (Touch, u8) {
    let single = value as f32;
    match name {
        "brightness" => (Touch::Brightness(single), 0),
        "contrast" => (Touch::Contrast(single), 0),
        "saturation" => (Touch::Saturation(single), 0),
        "sharpness" => (Touch::Sharpness(single), 0),
        "posterize" => (Touch::Posterize(value as u8), 0),
        "solarize" => (Touch::Solarize(single), 0),
        "auto_contrast" => (Touch::AutoContrast, 0),
        "equalize" => (Touch::Equalize, 0),
        // Single precision and weights of 16 bits against float64: ties may fall to either side.
        "hue" => (Touch::Hue(single), 1),
        "blur" => (Touch::Blur(single), 1),
        other => panic!("{other}"),
    }
}

#[test]
fn touches_are_those_of_the_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/touches.json");
    let fixture: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let size = fixture["size"].as_u64().unwrap() as usize;
    let image = bytes(&fixture["image"]);
    let cases = fixture["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 28);
    for case in cases {
        let (name, value) = (case["touch"].as_str().unwrap(), case["value"].as_f64().unwrap());
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
