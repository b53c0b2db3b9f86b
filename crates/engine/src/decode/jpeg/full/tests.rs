use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::*;

/// The files written by `tests/generate/pictures.py` and `jpegs.py`, and the hash of libjpeg-turbo's pixels of each.
fn pictures() -> Vec<(String, Vec<u8>, String)> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
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

type Decoder = fn(&Header<'_>, &mut JpegScratch, &mut Vec<u8>) -> Result<(), Error>;

/// All implementations that this CPU supports.
fn decoders() -> Vec<(&'static str, Decoder)> {
    vec![
        ("detected", decode),
        ("portable", |header, scratch, pixels| {
            decode_with(Portable, header, scratch, pixels)
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
fn pixels_equal_those_of_libjpeg_turbo() {
    let pictures = pictures();
    for (name, bytes, expected) in &pictures {
        let header = Header::read(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (way, decode) in decoders() {
            let mut pixels = vec![];
            decode(&header, &mut JpegScratch::default(), &mut pixels)
                .unwrap_or_else(|error| panic!("{name}, {way}: {error}"));
            assert_eq!(hash(&pixels), *expected, "{name}, {way}");
        }
    }
    let progressive = |bytes: &[u8]| Header::read(bytes).unwrap().frame.is_progressive;
    let count = pictures.iter().filter(|(_, bytes, _)| progressive(bytes)).count();
    assert!(
        count > 70 && pictures.len() - count > 60,
        "{count} of {}",
        pictures.len()
    );
}

#[test]
fn reused_buffers_do_not_affect_pixels() {
    let pictures = pictures();
    let mut scratch = JpegScratch::default();
    let mut pixels = vec![];
    // From large to small and back, and after a corrupt one.
    for (name, bytes, expected) in pictures.iter().chain(pictures.iter().rev()) {
        let broken = [&bytes[..bytes.len() - bytes.len() / 4], &[0xFF, 0xD0, 0xFF]].concat();
        if let Ok(broken) = Header::read(&broken) {
            assert!(decode(&broken, &mut scratch, &mut pixels).is_err(), "{name}");
        }
        decode(&Header::read(bytes).unwrap(), &mut scratch, &mut pixels).unwrap();
        assert_eq!(hash(&pixels), *expected, "{name}");
    }
}
