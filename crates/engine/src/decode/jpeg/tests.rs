use super::full::{self, JpegScratch};
use super::*;
use crate::decode::{Blame, DecodeOptions, Error as DecodeError, decode as decode_file};

const SEQUENTIAL: &[u8] = include_bytes!("../../../../../tests/fixtures/jpeg/420.jpg");
const PROGRESSIVE: &[u8] = include_bytes!("../../../../../tests/fixtures/jpeg/progressive.jpg");

fn decode(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let header = Header::read(bytes)?;
    let mut pixels = vec![];
    full::decode(&header, &mut JpegScratch::default(), &mut pixels)?;
    Ok(pixels)
}

/// Offsets of the segments with `marker`.
fn places(bytes: &[u8], marker: u8) -> Vec<usize> {
    let (mut at, mut places) = (2, vec![]);
    while bytes[at..at + 2] != [0xFF, 0xD9] {
        if bytes[at] != 0xFF || matches!(bytes[at + 1], 0 | 0xD0..=0xD7) {
            at += 1;
            continue;
        }
        if bytes[at + 1] == marker {
            places.push(at);
        }
        at += 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
    }
    places
}

/// `bytes` with `others` written at `at`.
fn with(bytes: &[u8], at: usize, others: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + others.len()].copy_from_slice(others);
    bytes
}

#[test]
fn a_file_with_too_many_scans_is_rejected() {
    let starts = places(PROGRESSIVE, 0xDA);
    // The first DC scan, which may be repeated; tables for the next scan follow it.
    let end = *places(PROGRESSIVE, 0xC4)
        .iter()
        .find(|&&at| at > starts[0])
        .unwrap();
    let with_scans = |wanted: usize| {
        let more = vec![&PROGRESSIVE[starts[0]..end]; wanted - starts.len()].concat();
        [&PROGRESSIVE[..end], &more, &PROGRESSIVE[end..]].concat()
    };
    assert_eq!(decode(&with_scans(MAX_SCANS)), decode(PROGRESSIVE));
    assert_eq!(decode(&with_scans(MAX_SCANS + 1)), Err(Error::TooManyScans));
    let error = decode_file(&with_scans(200), &DecodeOptions::default()).unwrap_err();
    assert_eq!(error.blame(), Blame::Limit);
    let DecodeError::Jpeg(cause) = error else {
        panic!("{error}");
    };
    assert_eq!(cause.to_string(), "the file has more than 100 scans");
}

#[test]
fn missing_pixels_are_an_error_and_missing_details_are_not() {
    let cut = |bytes: &[u8], scan: usize| {
        let starts = places(bytes, 0xDA);
        [&bytes[..starts[scan] + 20], &[0xFF, 0xD9]].concat()
    };
    for bytes in [SEQUENTIAL, PROGRESSIVE] {
        let error = decode(&cut(bytes, 0)).unwrap_err();
        assert!(
            matches!(error, Error::Broken(what) if what.ends_with("end early")),
            "{error}"
        );
    }
    for scan in 1..places(PROGRESSIVE, 0xDA).len() {
        assert!(decode(&cut(PROGRESSIVE, scan)).is_ok(), "scan {scan}");
    }
}

#[test]
fn other_processes_and_parameters_are_unsupported() {
    let frame = places(SEQUENTIAL, 0xC0)[0];
    let sampling = frame + 11;
    for (change, word) in [
        (with(SEQUENTIAL, frame + 1, &[0xC9]), "arithmetic"),
        (with(SEQUENTIAL, frame + 1, &[0xC3]), "lossless"),
        (with(SEQUENTIAL, frame + 4, &[12]), "depth"),
        (with(SEQUENTIAL, frame + 5, &[0xFF, 0xFF]), "65500"),
        (with(SEQUENTIAL, sampling, &[0x31, 1, 2, 0x21]), "sampling"),
    ] {
        let error = decode(&change).unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        let error = decode_file(&change, &DecodeOptions::default()).unwrap_err();
        assert_eq!(error.blame(), Blame::Unsupported, "{word}");
    }
}

#[test]
fn files_that_libjpeg_rejects_are_rejected() {
    let [frame, table, scan] = [0xC0, 0xC4, 0xDA].map(|marker| places(SEQUENTIAL, marker)[0]);
    let insert = |at: usize, what: &[u8]| [&SEQUENTIAL[..at], what, &SEQUENTIAL[at..]].concat();
    let (data, end) = SEQUENTIAL.split_at(SEQUENTIAL.len() - 2);
    for (change, what) in [
        (insert(frame, &[0xFF, 0xD8]), "two start-of-image markers"),
        (insert(scan, &SEQUENTIAL[frame..frame + 19]), "two frames"),
        (insert(scan, &[0xFF, 0x42, 0, 2]), "an unknown marker"),
        (
            [data, &SEQUENTIAL[scan..]].concat(),
            "two scans of all components",
        ),
        (
            [data, &[0xFF, 0xDB, 0, 3, 9], end].concat(),
            "an invalid table after the data",
        ),
        (with(SEQUENTIAL, scan + 5, &[9]), "an unknown component"),
        (
            with(SEQUENTIAL, scan + 5, &[2, 0x11, 1, 0]),
            "components in another order",
        ),
        (with(SEQUENTIAL, scan + 6, &[0x30]), "an undefined Huffman table"),
        (
            with(SEQUENTIAL, frame + 12, &[3]),
            "an undefined quantization table",
        ),
        // Two codes of one bit.
        (with(SEQUENTIAL, table + 5, &[2]), "a code of all ones"),
        (
            with(SEQUENTIAL, frame + 11, &[0x44]),
            "more blocks than an MCU may have",
        ),
    ] {
        assert!(matches!(decode(&change), Err(Error::Broken(_))), "{what}");
    }
    assert_eq!(decode(data), Err(Error::Truncated));
    // Stray bytes between segments are skipped.
    assert_eq!(decode(&insert(scan, b"\0noise\xFF\0more")), decode(SEQUENTIAL));
    assert_eq!(
        decode(&[data, b"\0noise\xFF\0more", end].concat()),
        decode(SEQUENTIAL)
    );
}
