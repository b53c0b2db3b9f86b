//! Malformed image files give an image or an error, never a panic or excessive memory use. (Malformed requests: `invalid_input`.)
//!
//! For a longer run: `PROPTEST_CASES=1000000 PROPTEST_RNG_SEED=2 cargo nextest run hostile`. Files that caused failures are kept in
//! `fixtures/hostile`, named by the failure.

use equibatch_harness::checkout;
use std::{fs, sync::OnceLock};

use equibatch_engine::decode::{DecodeLimits, DecodeOptions, canonical_size, decode_canonical};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
    test_runner::RngSeed,
};

/// Files of every supported format.
fn seeds() -> &'static [Vec<u8>] {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let fixtures = checkout::fixture("");
        let mut paths: Vec<_> = ["jpeg", "jpeg-scans", "other"]
            .iter()
            .flat_map(|folder| fs::read_dir(fixtures.join(folder)).unwrap())
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).unwrap()).collect()
    })
}

/// A mutation of a file.
#[derive(Clone, Debug)]
enum Damage {
    /// Replaces a byte.
    Byte(Index, u8),
    /// Flips a bit.
    Bit(Index, u8),
    /// Writes a 16-bit boundary value.
    Number(Index, u16),
    /// Truncates the file.
    Cut(Index),
    /// Removes a range.
    Hole(Index, u8),
    /// Duplicates a range.
    Echo(Index, u8),
    /// Overwrites a range with that of another file.
    Graft(Index, Index, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = || any::<Index>();
    prop_oneof![
        3 => (place(), any::<u8>()).prop_map(|(at, to)| Damage::Byte(at, to)),
        3 => (place(), 0u8..8).prop_map(|(at, bit)| Damage::Bit(at, bit)),
        2 => (place(), prop_oneof![Just(0), Just(1), Just(0xFFFF), Just(0x7FFF), Just(0xFF00)])
            .prop_map(|(at, to)| Damage::Number(at, to)),
        1 => place().prop_map(Damage::Cut),
        1 => (place(), any::<u8>()).prop_map(|(at, length)| Damage::Hole(at, length)),
        1 => (place(), any::<u8>()).prop_map(|(at, length)| Damage::Echo(at, length)),
        1 => (place(), place(), any::<u8>()).prop_map(|(of, at, length)| Damage::Graft(of, at, length)),
    ]
}

/// An offset, within the first 700 bytes if `is_early`: headers are short and decide most.
fn offset(index: Index, length: usize, is_early: bool) -> usize {
    index.index(if is_early { length.min(700) } else { length })
}

fn damaged(mut bytes: Vec<u8>, damages: &[(Damage, bool)]) -> Vec<u8> {
    for (damage, is_early) in damages {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        let at = |index: &Index| offset(*index, length, *is_early);
        let part = |index: &Index, length: u8| at(index)..(at(index) + usize::from(length)).min(bytes.len());
        match damage {
            Damage::Byte(index, to) => bytes[at(index)] = *to,
            Damage::Bit(index, bit) => bytes[at(index)] ^= 1 << bit,
            Damage::Number(index, to) => {
                let offset = at(index);
                for (byte, to) in bytes[offset..].iter_mut().zip(to.to_be_bytes()) {
                    *byte = to;
                }
            }
            Damage::Cut(index) => bytes.truncate(at(index)),
            Damage::Hole(index, length) => drop(bytes.drain(part(index, *length))),
            Damage::Echo(index, length) => {
                let echo = bytes[part(index, *length)].to_vec();
                let offset = at(index);
                bytes.splice(offset..offset, echo);
            }
            Damage::Graft(of, index, length) => {
                let other = &seeds()[of.index(seeds().len())];
                let from = offset(*index, other.len(), *is_early);
                let graft = &other[from..(from + usize::from(*length)).min(other.len())];
                let start = at(index);
                let end = (start + graft.len()).min(bytes.len());
                bytes.splice(start..end, graft.iter().copied());
            }
        }
    }
    bytes
}

/// Signatures of the formats.
const SIGNATURES: &[&[u8]] = &[
    b"\xFF\xD8\xFF",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\x40\0\0\0WEBPVP8 ",
    b"GIF89a",
    b"BM",
];

const LIMITS: DecodeLimits = DecodeLimits {
    max_pixels: 1 << 20,
    max_file_bytes: 1 << 20,
    max_allocation: 32 << 20,
};

/// Peak resident memory of the process, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes << 10
}

fn assert_harmless(bytes: &[u8], short_side: Option<u32>) -> Result<(), TestCaseError> {
    let options = DecodeOptions {
        limits: LIMITS,
        ..DecodeOptions::default()
    };
    match decode_canonical(bytes, &options, short_side) {
        Ok(image) => {
            let pixels = u64::from(image.width()) * u64::from(image.height());
            prop_assert!(pixels > 0 && pixels <= LIMITS.max_pixels);
            let kept = canonical_size(image.width(), image.height(), short_side);
            prop_assert_eq!((image.width(), image.height()), kept);
            let again = decode_canonical(bytes, &options, short_side);
            prop_assert!(
                again.is_ok_and(|again| again == image),
                "decoding is deterministic"
            );
        }
        Err(error) => prop_assert!(!error.to_string().is_empty()),
    }
    Ok(())
}

/// A fixed seed, unless the environment gives one.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig {
        rng_seed: match config.rng_seed {
            RngSeed::Random => RngSeed::Fixed(1),
            given @ RngSeed::Fixed(_) => given,
        },
        failure_persistence: None,
        ..config
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn damaged_files_are_images_or_errors_within_their_limits(
        seed in any::<Index>(),
        damages in vec((damage(), any::<bool>()), 1..6),
        short_side in option::of(prop_oneof![Just(1u32), Just(9), Just(30), Just(256)]),
    ) {
        let before = peak();
        let bytes = damaged(seeds()[seed.index(seeds().len())].clone(), &damages);
        assert_harmless(&bytes, short_side)?;
        // Other tests in the same process allocate memory too; nextest runs each test in its own process.
        if std::env::var_os("NEXTEST").is_some() {
            let taken = peak().saturating_sub(before);
            prop_assert!(taken <= 2 * LIMITS.max_allocation, "{taken} bytes");
        }
    }

    #[test]
    fn noise_behind_a_signature_is_an_error(
        signature in select(SIGNATURES),
        noise in vec(any::<u8>(), 0..400),
    ) {
        assert_harmless(&[signature, &noise[..]].concat(), Some(8))?;
    }
}

#[test]
fn files_that_once_caused_failures_are_handled() {
    let folder = checkout::fixture("hostile");
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for short_side in [None, Some(1), Some(9), Some(256)] {
            assert_harmless(&bytes, short_side).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}
