//! Files that nobody would make in good faith: an image or an error, never a panic or much memory. (Such requests: `bad_input`.)
//!
//! A short run of what can be run for as long as one likes: `PROPTEST_CASES=1000000 PROPTEST_RNG_SEED=2 cargo nextest run hostile`. Input
//! that did harm is kept in `fixtures/hostile`, named by what it did.

use std::{fs, path::Path, sync::OnceLock};

use equibatch_engine::decode::{DecodeLimits, DecodeOptions, canonical_size, decode_canonical};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
    test_runner::RngSeed,
};

/// Files of every format that is read.
fn seeds() -> &'static [Vec<u8>] {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let mut paths: Vec<_> = ["jpeg", "jpeg-scans", "other"]
            .iter()
            .flat_map(|folder| fs::read_dir(fixtures.join(folder)).unwrap())
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).unwrap()).collect()
    })
}

/// A change of a file.
#[derive(Clone, Debug)]
enum Damage {
    /// One byte is another.
    Byte(Index, u8),
    /// One bit is another.
    Bit(Index, u8),
    /// Two bytes in a row say a number at the end of a range.
    Number(Index, u16),
    /// What lies behind is gone.
    Cut(Index),
    /// A part is gone.
    Hole(Index, u8),
    /// A part is there twice.
    Echo(Index, u8),
    /// A part is that of another file.
    Graft(Index, Index, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    // Headers are short, and where the decisions are.
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

/// A place in the first bytes more often than in the others.
fn place(index: Index, length: usize, is_early: bool) -> usize {
    index.index(if is_early { length.min(700) } else { length })
}

fn damaged(mut bytes: Vec<u8>, damages: &[(Damage, bool)]) -> Vec<u8> {
    for (damage, is_early) in damages {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        let at = |index: &Index| place(*index, length, *is_early);
        let part = |index: &Index, length: u8| at(index)..(at(index) + usize::from(length)).min(bytes.len());
        match damage {
            Damage::Byte(index, to) => bytes[at(index)] = *to,
            Damage::Bit(index, bit) => bytes[at(index)] ^= 1 << bit,
            Damage::Number(index, to) => {
                let place = at(index);
                for (byte, to) in bytes[place..].iter_mut().zip(to.to_be_bytes()) {
                    *byte = to;
                }
            }
            Damage::Cut(index) => bytes.truncate(at(index)),
            Damage::Hole(index, length) => drop(bytes.drain(part(index, *length))),
            Damage::Echo(index, length) => {
                let echo = bytes[part(index, *length)].to_vec();
                let place = at(index);
                bytes.splice(place..place, echo);
            }
            Damage::Graft(of, index, length) => {
                let other = &seeds()[of.index(seeds().len())];
                let from = place(*index, other.len(), *is_early);
                let graft = &other[from..(from + usize::from(*length)).min(other.len())];
                let start = at(index);
                let end = (start + graft.len()).min(bytes.len());
                bytes.splice(start..end, graft.iter().copied());
            }
        }
    }
    bytes
}

/// What files of each format begin with.
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

/// What the process had resident at most, in bytes.
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
                "the same bytes, the same image"
            );
        }
        Err(error) => prop_assert!(!error.to_string().is_empty()),
    }
    Ok(())
}

/// The same run each time, unless a seed is given in the environment.
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
        // Other tests of the same process take memory, too; under nextest there are none.
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
fn input_that_did_harm_does_none() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile");
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for short_side in [None, Some(1), Some(9), Some(256)] {
            assert_harmless(&bytes, short_side).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}
