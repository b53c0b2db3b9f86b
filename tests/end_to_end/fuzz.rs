//! Bounded runs of the fuzz targets: over their corpora, and over mutations by a fixed seed.

use equibatch_harness::checkout;
use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use equibatch_tests::fuzz;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

fn folder(inside: &str) -> PathBuf {
    checkout::path("tests").join(inside)
}

/// The stems of the files of a folder, sorted.
fn stems(inside: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder(inside)).unwrap();
    let stem = |entry: fs::DirEntry| entry.path().file_stem().unwrap().to_str().unwrap().to_owned();
    entries.map(|entry| stem(entry.unwrap())).collect()
}

/// Runs `body` over its corpus and over `mutations` of each of its files. An input that panics is kept under the build folder.
fn run(name: &str, body: fn(&[u8]), mutations: u32) {
    let entries = fs::read_dir(folder("fuzz/corpus").join(name)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "the corpus of {name} is empty");
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let check = |input: &[u8], what: &str| {
        if catch_unwind(AssertUnwindSafe(|| body(input))).is_err() {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
            fs::write(&kept, input).unwrap();
            panic!("{name} panicked on {what}; the input is {}", kept.display());
        }
    };
    let mut random = ChaCha8Rng::seed_from_u64(0);
    for (at, (path, input)) in paths.iter().zip(&corpus).enumerate() {
        check(input, &path.display().to_string());
        for number in 0..mutations {
            let other = &corpus[(at + 1 + number as usize) % corpus.len()];
            let input = fuzz::mutate(input, other, &mut random);
            check(&input, &format!("mutation {number} of {}", path.display()));
        }
    }
}

/// One test for each `body: mutations`, where `mutations` is how many are made of each file of the corpus.
macro_rules! targets {
    ($($body:ident: $mutations:literal,)*) => {
        $(#[test]
        fn $body() {
            run(stringify!($body), fuzz::$body, $mutations);
        })*

        /// The names of the bodies above.
        const TARGETS: &[&str] = &[$(stringify!($body)),*];
    };
}

targets! {
    jpeg: 300,
    model_file: 40,
    position_token: 300,
    recipe_text: 2000,
    stream_request: 300,
}

#[test]
fn every_target_has_a_corpus_and_a_program() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(stems("fuzz/corpus"), targets);
    assert_eq!(stems("fuzz/fuzz_targets"), targets);
    let manifest = fs::read_to_string(folder("fuzz/Cargo.toml")).unwrap();
    for name in targets {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} in Cargo.toml"
        );
    }
}
