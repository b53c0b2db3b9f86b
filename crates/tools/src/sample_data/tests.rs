//! Tests of whole data sets.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use super::*;

fn options(out: &Path, classes: &[(&str, usize)]) -> SampleDataOptions {
    SampleDataOptions {
        classes: classes
            .iter()
            .map(|&(name, count)| ClassSpec::new(name, count))
            .collect(),
        test_count: 1,
        threads: NonZeroUsize::MIN,
        ..SampleDataOptions::new(out)
    }
}

/// Every file below `root`: its path relative to it, and its bytes.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder was written") {
            let path = entry.expect("the folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(root)
                    .expect("it lies below")
                    .to_string_lossy()
                    .into_owned();
                found.insert(name, fs::read(&path).expect("the file was written"));
            }
        }
    }
    found
}

fn drawn(options: &SampleDataOptions) -> BTreeMap<String, Vec<u8>> {
    let report = generate(options).expect("the folder is empty");
    let files = files(&options.out);
    assert_eq!(
        report.bytes,
        files.values().map(|bytes| bytes.len() as u64).sum::<u64>()
    );
    files
}

#[test]
fn images_depend_on_the_seed_but_not_on_threads_or_other_classes() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let alone = drawn(&options(&root.path().join("a"), &[("birds", 1)]));
    let threads = NonZeroUsize::new(3).expect("not 0");
    let among = SampleDataOptions {
        threads,
        ..options(&root.path().join("b"), &[("flowers", 1), ("birds", 2)])
    };
    let among = drawn(&among);
    for (name, bytes) in &alone {
        assert_eq!(among.get(name), Some(bytes), "{name}");
    }
    let other = drawn(&SampleDataOptions {
        seed: 7,
        ..options(&root.path().join("c"), &[("birds", 1)])
    });
    assert_ne!(other, alone);
}

#[test]
fn images_have_the_given_sizes_and_counts() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let out = root.path().join("new/data");
    let files = drawn(&options(&out, &[("flowers", 4), ("birds", 2)]));
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let expected = [
        "birds/0001.jpg",
        "birds/0002.jpg",
        "flowers/0001.jpg",
        "flowers/0002.jpg",
        "flowers/0003.jpg",
        "flowers/0004.jpg",
        "test/birds/0001.jpg",
        "test/flowers/0001.jpg",
    ];
    assert_eq!(names, expected);
    for (name, bytes) in &files {
        assert_eq!(
            ::image::guess_format(bytes).expect("a known format"),
            ::image::ImageFormat::Jpeg,
            "{name}"
        );
        let picture = ::image::load_from_memory(bytes).expect("a picture").into_rgb8();
        assert!(
            [(375, 500), (500, 375)].contains(&picture.dimensions()),
            "{name} is {:?}",
            picture.dimensions()
        );
        let (low, high) = picture
            .iter()
            .fold((255, 0), |(low, high), &v| (v.min(low), v.max(high)));
        assert!(high - low > 40, "{name} is nearly flat: {low} to {high}");
    }
    let distinct: std::collections::BTreeSet<_> = files.values().collect();
    assert_eq!(distinct.len(), files.len(), "all images differ");
}

#[test]
fn a_folder_that_is_not_empty_is_refused() {
    let root = tempfile::tempdir().expect("a temporary folder");
    fs::write(root.path().join("photo.jpg"), b"mine").expect("the folder can be written");
    let error = generate(&options(root.path(), &[("birds", 1)])).expect_err("the folder is not empty");
    assert!(
        matches!(error, Error::NotEmpty { ref path } if path == root.path()),
        "{error}"
    );
    assert_eq!(
        files(root.path()).into_iter().collect::<Vec<_>>(),
        [("photo.jpg".to_owned(), b"mine".to_vec())]
    );
}

#[test]
fn a_file_instead_of_a_folder_is_refused() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let out = root.path().join("file");
    fs::write(&out, b"mine").expect("the folder can be written");
    let error = generate(&options(&out, &[("birds", 1)])).expect_err("a file lies there");
    assert!(matches!(error, Error::Write { .. }), "{error}");
}

#[test]
fn invalid_options_are_refused_before_anything_is_written() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let out = root.path().join("out");
    let refusal = |classes: &[(&str, usize)]| generate(&options(&out, classes)).expect_err("invalid options");
    assert!(matches!(refusal(&[]), Error::NoClasses));
    assert!(matches!(refusal(&[("birds", 0)]), Error::NoPictures { .. }));
    for name in ["", "test", "..", ".hidden", "a/b", "a\\b", "a\0b"] {
        assert!(matches!(refusal(&[(name, 1)]), Error::Name { .. }), "{name:?}");
    }
    assert!(matches!(
        refusal(&[("birds", 1), ("Birds", 1)]),
        Error::Name { .. }
    ));
    assert!(!out.exists());
}

#[test]
fn unknown_classes_get_unused_kinds() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let options = options(root.path(), &[("widgets", 1), ("flowers", 1), ("gadgets", 1)]);
    let report = generate(&options).expect("the folder is empty");
    let subjects: Vec<_> = report
        .classes
        .iter()
        .map(|class| class.subject.as_str())
        .collect();
    assert_eq!(subjects, ["birds", "flowers", "butterflies"]);
    assert!(
        root.path().join("widgets/0001.jpg").is_file() && root.path().join("test/gadgets/0001.jpg").is_file()
    );
}

#[test]
fn every_kind_and_variant_can_be_drawn() {
    for (index, &kind) in kind::SubjectKind::ALL.iter().enumerate() {
        for variant in 0..3 {
            let subject = kind::Subject { kind, variant };
            let coordinates = picture::Coordinates {
                seed: 1,
                subject,
                index: index as u64,
                part: 0,
            };
            let jpeg = picture::jpeg(&coordinates).expect("it can be encoded");
            assert!(jpeg.len() > 5_000, "{subject}: {} bytes", jpeg.len());
        }
    }
}

#[test]
fn a_long_tail_falls_exponentially_to_the_factor() {
    let classes = long_tail(50, 100.0, 500);
    let counts: Vec<usize> = classes.iter().map(|class| class.count).collect();
    assert_eq!((counts[0], counts[49], counts.len()), (500, 5, 50));
    for (index, &count) in counts.iter().enumerate() {
        let exact = 500.0 * (-(index as f64) / 49.0 * 100_f64.ln()).exp();
        assert!(
            (count as f64 - exact).abs() <= 0.5 + 1e-9,
            "class {index}: {count} for {exact}"
        );
    }
    assert_eq!((&*classes[0].name, &*classes[49].name), ("class01", "class50"));
    let subjects = kind::assign(&classes.iter().map(|class| &class.name).collect::<Vec<_>>());
    let mut numbers: Vec<u64> = subjects.iter().map(|subject| subject.number()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 50, "each class has a subject of its own");
}
