use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::*;

/// The files made by `tests/generate/pictures.py`, and the hash of what libjpeg-turbo makes of each.
fn pictures() -> Vec<(String, Vec<u8>, String)> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
    let list = std::fs::read_to_string(folder.join("jpeg.sha256")).unwrap();
    list.lines()
        .map(|line| {
            let (hash, name) = line.split_once("  ").unwrap();
            (
                name.to_owned(),
                std::fs::read(folder.join(name)).unwrap(),
                hash.to_owned(),
            )
        })
        .collect()
}

/// Not sequential, or not of luma and colour differences.
const UNUSUAL: [&str; 3] = ["jpeg/cmyk.jpg", "jpeg/progressive.jpg", "jpeg/rgb.jpg"];

type Decoder = fn(&Header<'_>, &mut Kept, &mut Vec<u8>) -> Option<()>;

/// All ways to decode on this machine.
fn decoders() -> Vec<(&'static str, Decoder)> {
    vec![
        ("detected", decode),
        ("portable", |header, kept, pixels| {
            decode_with(Portable, header, kept, pixels)
        }),
    ]
}

fn hash(pixels: &[u8]) -> String {
    Sha256::digest(pixels)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn pixels_are_those_of_libjpeg_turbo() {
    let mut decoded = 0;
    for (name, bytes, expected) in pictures() {
        let header = Header::read(&bytes);
        if UNUSUAL.contains(&name.as_str()) {
            assert!(header.is_none(), "{name}");
            continue;
        }
        let header = header.unwrap_or_else(|| panic!("{name}"));
        for (way, decode) in decoders() {
            let mut pixels = vec![];
            decode(&header, &mut Kept::default(), &mut pixels).unwrap_or_else(|| panic!("{name}, {way}"));
            assert_eq!(hash(&pixels), expected, "{name}, {way}");
            decoded += 1;
        }
    }
    assert_eq!(decoded, 2 * 49);
}

#[test]
fn memory_of_another_image_leaves_no_trace() {
    let pictures = pictures();
    let mut kept = Kept::default();
    let mut pixels = vec![];
    // From large to small and back, and after a broken one.
    for (name, bytes, expected) in pictures.iter().chain(pictures.iter().rev()) {
        if let Some(header) = Header::read(bytes) {
            let broken = Header {
                data: &header.data[..header.data.len() / 2],
                ..Header::read(bytes).unwrap()
            };
            assert!(decode(&broken, &mut kept, &mut pixels).is_none(), "{name}");
            decode(&header, &mut kept, &mut pixels).unwrap();
            assert_eq!(hash(&pixels), *expected, "{name}");
        }
    }
}
