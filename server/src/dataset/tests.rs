use std::fs;
use std::io::Cursor;
use std::path::Path;

use ::image::{DynamicImage, ImageFormat, RgbImage};
use tempfile::TempDir;

use super::*;

/// A folder of files; images where the name says so.
fn folder(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        add(root.path(), file);
    }
    root
}

fn add(root: &Path, file: &str) {
    write(root, file, &image(8, 6));
}

fn write(root: &Path, file: &str, bytes: &[u8]) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn image(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(RgbImage::new(width, height))
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

fn scanned(root: &TempDir) -> Dataset {
    scan("birds", root.path(), &ScanOptions::default()).unwrap()
}

fn paths(dataset: &Dataset, split: Split) -> Vec<&str> {
    let of_split = |sample: &&Sample| sample.split == split;
    dataset
        .samples
        .iter()
        .filter(of_split)
        .map(|sample| sample.path.as_str())
        .collect()
}

fn quarantined(dataset: &Dataset) -> Vec<(&str, &str)> {
    dataset
        .quarantine
        .iter()
        .map(|file| (file.path.as_str(), file.reason.as_str()))
        .collect()
}

/// `class` with images 0.png .. `count`.png.
fn class(root: &TempDir, class: &str, count: usize) {
    for i in 0..count {
        add(root.path(), &format!("{class}/{i}.png"));
    }
}

#[test]
fn samples_are_sorted_by_the_bytes_of_class_and_path() {
    let root = folder(&[
        "b/z.png",
        "b/10.png",
        "b/9.png",
        "a/deep/er/1.png",
        "a/2.png",
        "B/1.png",
        "ab/1.png",
    ]);
    let dataset = scanned(&root);
    assert_eq!(dataset.classes, ["B", "a", "ab", "b"]);
    let paths: Vec<&str> = dataset
        .samples
        .iter()
        .map(|sample| sample.path.as_str())
        .collect();
    let expected = [
        "B/1.png",
        "a/2.png",
        "a/deep/er/1.png",
        "ab/1.png",
        "b/10.png",
        "b/9.png",
        "b/z.png",
    ];
    assert_eq!(paths, expected);
    assert_eq!(dataset.path(2), dataset.root.join("a/deep/er/1.png"));
}

#[test]
fn a_sample_knows_its_size_in_bytes_and_pixels() {
    let root = folder(&["a/1.png"]);
    let bytes = image(31, 17);
    write(root.path(), "b/1.png", &bytes);
    let sample = scanned(&root).samples[1].clone();
    assert_eq!(
        (sample.width, sample.height, sample.bytes),
        (31, 17, bytes.len() as u64)
    );
}

#[test]
fn every_extension_counts_in_any_case_and_no_other() {
    let names = ["1.jpg", "2.JPEG", "3.Png", "4.webp", "5.BMP", "6.gif"];
    let mut files: Vec<String> = names.iter().map(|name| format!("a/{name}")).collect();
    files.extend(
        [
            "a/7.tif",
            "a/8.txt",
            "a/png",
            "a/.9.png",
            "a/.hidden/1.png",
            ".git/1.png",
            "b/1.png",
        ]
        .map(String::from),
    );
    let root = folder(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let dataset = scanned(&root);
    let found: Vec<&str> = dataset
        .samples
        .iter()
        .map(|sample| sample.path.as_str())
        .collect();
    let expected: Vec<String> = names
        .iter()
        .map(|name| format!("a/{name}"))
        .chain(["b/1.png".into()])
        .collect();
    assert_eq!(found, expected);
    assert_eq!(dataset.quarantine, []);
}

#[test]
fn classes_at_the_root_are_divided_and_a_test_folder_beside_them_is_kept_apart() {
    let root = folder(&[]);
    class(&root, "flowers", 20);
    class(&root, "birds", 10);
    class(&root, "test/birds", 3);
    class(&root, "test/flowers", 2);
    let dataset = scanned(&root);
    assert_eq!(dataset.classes, ["birds", "flowers"]);
    assert_eq!(dataset.counts(Split::Train), [8, 16]);
    assert_eq!(dataset.counts(Split::Valid), [2, 4]);
    assert_eq!(dataset.counts(Split::Test), [3, 2]);
    assert_eq!(dataset.splits(), Split::ALL);
    assert!(
        paths(&dataset, Split::Test)
            .iter()
            .all(|path| path.starts_with("test/"))
    );
    assert_eq!(dataset.warnings, []);
}

#[test]
fn members_are_the_ids_of_a_split_by_class() {
    let root = folder(&[]);
    class(&root, "a", 5);
    class(&root, "b", 10);
    let dataset = scanned(&root);
    let mut all = Vec::new();
    for split in Split::ALL {
        let members = dataset.members(split);
        assert_eq!(members.len(), 2);
        for (class, ids) in (0..).zip(members) {
            assert!(ids.is_sorted());
            assert!(ids.iter().all(|&id| dataset.samples[id as usize].class == class));
            assert!(ids.iter().all(|&id| dataset.samples[id as usize].split == split));
            all.extend(ids);
        }
    }
    all.sort_unstable();
    assert_eq!(all, (0..15).collect::<Vec<u32>>());
}

#[test]
fn folders_named_after_splits_decide_the_splits() {
    for valid in ["valid", "val", "validation"] {
        let root = folder(&["extra/1.png"]);
        class(&root, "train/a", 10);
        class(&root, "train/b", 10);
        class(&root, &format!("{valid}/a"), 3);
        class(&root, &format!("{valid}/b"), 1);
        let dataset = scanned(&root);
        assert_eq!(dataset.classes, ["a", "b"]);
        assert_eq!(dataset.counts(Split::Train), [10, 10]);
        assert_eq!(dataset.counts(Split::Valid), [3, 1]);
        assert_eq!(
            dataset.warnings,
            [Warning::IgnoredFolder {
                folder: "extra".into()
            }]
        );
    }
}

#[test]
fn a_train_folder_without_a_valid_one_is_divided() {
    let root = folder(&[]);
    class(&root, "train/a", 10);
    class(&root, "train/b", 10);
    class(&root, "test/a", 3);
    let dataset = scanned(&root);
    assert_eq!(dataset.counts(Split::Train), [8, 8]);
    assert_eq!(dataset.counts(Split::Valid), [2, 2]);
    assert_eq!(dataset.counts(Split::Test), [3, 0]);
    assert_eq!(
        dataset.warnings,
        [Warning::AbsentClass {
            class: "b".into(),
            split: Split::Test
        }]
    );
}

#[test]
fn a_class_with_one_image_stays_in_train() {
    let root = folder(&["a/1.png"]);
    class(&root, "b", 10);
    let dataset = scanned(&root);
    assert_eq!(dataset.counts(Split::Train), [1, 8]);
    assert_eq!(
        dataset.warnings,
        [Warning::AbsentClass {
            class: "a".into(),
            split: Split::Valid
        }]
    );
}

#[test]
fn the_seed_and_the_method_choose_the_split_and_nothing_else_does() {
    let root = folder(&[]);
    class(&root, "a", 30);
    class(&root, "b", 30);
    let valid = |options: ScanOptions| {
        let dataset = scan("x", root.path(), &options).unwrap();
        paths(&dataset, Split::Valid)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let first = valid(ScanOptions::default());
    assert_eq!(
        first,
        valid(ScanOptions {
            orientation: Orientation::Ignore,
            ..ScanOptions::default()
        })
    );
    assert_ne!(
        first,
        valid(ScanOptions {
            split_seed: 43,
            ..ScanOptions::default()
        })
    );
    assert_ne!(
        first,
        valid(ScanOptions {
            split_method: SplitMethod::Random,
            ..ScanOptions::default()
        })
    );
    assert!(
        valid(ScanOptions {
            valid_fraction: 0.0,
            ..ScanOptions::default()
        })
        .is_empty()
    );
}

#[test]
fn the_fingerprint_is_the_same_under_another_root_and_name() {
    let files = ["a/1.png", "a/2.png", "b/1.png"];
    let (one, two) = (folder(&files), folder(&files));
    let other_name = scan("other", two.path(), &ScanOptions::default()).unwrap();
    assert_eq!(scanned(&one).fingerprint, other_name.fingerprint);
}

#[test]
fn the_fingerprint_depends_on_path_size_class_split_and_orientation() {
    let files = ["a/1.png", "a/2.png", "b/1.png"];
    let base = folder(&files);
    let base_fingerprint = scanned(&base).fingerprint;
    let renamed = folder(&["a/1.png", "a/3.png", "b/1.png"]);
    let moved = folder(&["a/1.png", "b/1.png", "b/2.png"]);
    let fixed = folder(&["train/a/1.png", "train/a/2.png", "train/b/1.png"]);
    let resized = folder(&files);
    write(resized.path(), "a/2.png", &image(99, 99));
    for other in [renamed, moved, fixed, resized] {
        assert_ne!(scanned(&other).fingerprint, base_fingerprint);
    }
    let ignoring = ScanOptions {
        orientation: Orientation::Ignore,
        ..ScanOptions::default()
    };
    assert_ne!(
        scan("x", base.path(), &ignoring).unwrap().fingerprint,
        base_fingerprint
    );
    let all_train = ScanOptions {
        valid_fraction: 0.0,
        ..ScanOptions::default()
    };
    let big = folder(&[]);
    class(&big, "a", 5);
    class(&big, "b", 5);
    assert_ne!(
        scan("x", big.path(), &all_train).unwrap().fingerprint,
        scanned(&big).fingerprint
    );
}

#[test]
fn a_root_that_is_no_folder_is_an_error() {
    let root = folder(&["file.png"]);
    let error = |path: &Path| scan("x", path, &ScanOptions::default()).unwrap_err();
    assert!(matches!(
        error(&root.path().join("missing")),
        Error::Missing { .. }
    ));
    assert!(matches!(
        error(&root.path().join("file.png")),
        Error::NotAFolder { .. }
    ));
    assert!(matches!(
        error(&root.path().join("file.png/below")),
        Error::NotAFolder { .. }
    ));
}

#[test]
fn no_usable_image_is_an_error_that_says_what_there_is() {
    let root = folder(&["stray.png", "readme.txt"]);
    write(root.path(), "a/broken.jpg", b"\xFF\xD8\xFF\xE0");
    fs::create_dir(root.path().join("b")).unwrap();
    let error = scan("x", root.path(), &ScanOptions::default()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::NoImages {
                quarantined: 1,
                stray: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn one_class_is_an_error() {
    let root = folder(&["a/1.png", "a/2.png"]);
    fs::create_dir(root.path().join("b")).unwrap();
    let error = scan("x", root.path(), &ScanOptions::default()).unwrap_err();
    assert!(
        matches!(&error, Error::SingleClass { class, .. } if class == "a"),
        "{error}"
    );
}

#[test]
fn a_fraction_out_of_range_is_an_error() {
    let root = folder(&["a/1.png", "b/1.png"]);
    for valid_fraction in [-0.1, 1.0, f64::NAN] {
        let error = scan(
            "x",
            root.path(),
            &ScanOptions {
                valid_fraction,
                ..ScanOptions::default()
            },
        )
        .unwrap_err();
        assert!(matches!(error, Error::ValidFraction { .. }), "{error}");
    }
}

#[test]
fn a_class_folder_without_images_is_left_out_with_a_warning() {
    let root = folder(&["a/1.png", "b/1.png", "d/notes.txt"]);
    fs::create_dir(root.path().join("c")).unwrap();
    write(root.path(), "e/1.png", b"");
    let dataset = scanned(&root);
    assert_eq!(dataset.classes, ["a", "b"]);
    let empty = |folder: &str| Warning::EmptyClass {
        folder: folder.into(),
    };
    assert_eq!(dataset.warnings, [empty("c"), empty("d"), empty("e")]);
}

#[test]
fn images_beside_the_class_folders_are_counted() {
    let root = folder(&[
        "x.png",
        "y.png",
        "notes.txt",
        "test/z.png",
        "a/1.png",
        "b/1.png",
        "test/a/1.png",
        "test/b/1.png",
    ]);
    let dataset = scanned(&root);
    assert_eq!(dataset.classes, ["a", "b"]);
    let stray = |folder: &str, count| Warning::StrayImages {
        folder: folder.into(),
        count,
    };
    assert_eq!(dataset.warnings, [stray(".", 2), stray("test", 1)]);
}

#[test]
fn classes_that_differ_in_case_are_two_with_a_warning() {
    let root = folder(&["Birds/1.png", "birds/1.png"]);
    let dataset = scanned(&root);
    assert_eq!(dataset.classes, ["Birds", "birds"]);
    let warning = Warning::SimilarClasses {
        first: "Birds".into(),
        second: "birds".into(),
    };
    assert_eq!(dataset.warnings, [warning]);
}

#[test]
fn broken_files_are_quarantined_with_their_reasons() {
    let root = folder(&["a/1.png", "b/1.png"]);
    write(root.path(), "a/empty.jpg", b"");
    write(root.path(), "a/page.jpg", b"<html>not found</html>");
    write(root.path(), "a/short.png", &image(8, 8)[..20]);
    write(root.path(), "b/cut.jpg", b"\xFF\xD8\xFF\xE0\0\x10JFIF\0");
    write(root.path(), "b/large.png", &image(40, 30));
    let limits = crate::header::Limits {
        max_pixels: 1000,
        ..Default::default()
    };
    let dataset = scan(
        "x",
        root.path(),
        &ScanOptions {
            limits,
            ..ScanOptions::default()
        },
    )
    .unwrap();
    assert_eq!(dataset.samples.len(), 2);
    let found = quarantined(&dataset);
    assert_eq!(found[0], ("a/empty.jpg", "the file is empty"));
    assert_eq!(
        found[1],
        ("a/page.jpg", "the content is not JPEG, PNG, WebP, BMP or GIF")
    );
    assert!(
        found[2].0 == "a/short.png" && found[2].1.starts_with("cannot read the PNG header: "),
        "{found:?}"
    );
    assert_eq!(
        found[3],
        ("b/cut.jpg", "the JPEG header does not say the size of the image")
    );
    assert_eq!(
        found[4],
        ("b/large.png", "the header says 40x30 pixels, 1000 are allowed")
    );
    assert_eq!(found.len(), 5);
}

#[test]
fn a_file_found_broken_later_changes_neither_ids_nor_fingerprint() {
    let root = folder(&["a/1.png", "a/2.png", "b/1.png"]);
    write(root.path(), "b/0.png", b"");
    let dataset = scanned(&root);
    let before = dataset.clone();
    let later = RuntimeQuarantine::default();
    assert!(later.is_empty());
    let error = std::io::Error::other("first reason");
    assert!(later.report(1, &error));
    assert!(!later.report(1, &std::io::Error::other("second reason")));
    assert!(later.contains(1) && !later.contains(0));
    assert_eq!(later.len(), 1);
    let all = later.with_scanned(&dataset);
    let all: Vec<_> = all
        .iter()
        .map(|file| (file.path.as_str(), file.reason.as_str()))
        .collect();
    assert_eq!(
        all,
        [("a/2.png", "first reason"), ("b/0.png", "the file is empty")]
    );
    assert_eq!(
        (dataset.samples, dataset.fingerprint),
        (before.samples, before.fingerprint)
    );
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn links_inside_the_root_are_followed() {
        let root = folder(&["a/1.png", "b/1.png", ".store/x/7.png"]);
        symlink("../a/1.png", root.path().join("b/2.png")).unwrap();
        symlink("../.store/x", root.path().join("b/more")).unwrap();
        let dataset = scanned(&root);
        let paths: Vec<&str> = dataset
            .samples
            .iter()
            .map(|sample| sample.path.as_str())
            .collect();
        assert_eq!(paths, ["a/1.png", "b/1.png", "b/2.png", "b/more/7.png"]);
        assert_eq!(
            dataset
                .warnings
                .iter()
                .filter(|w| matches!(w, Warning::Link { .. }))
                .count(),
            0
        );
    }

    #[test]
    fn links_that_leave_the_root_or_lead_nowhere_or_back_are_reported() {
        let outside = folder(&["c/1.png"]);
        let root = folder(&["a/1.png", "a/deep/2.png", "b/1.png"]);
        let link = |target: &Path, name: &str| symlink(target, root.path().join(name)).unwrap();
        link(&outside.path().join("c"), "c");
        link(&outside.path().join("c/1.png"), "a/out.png");
        link(Path::new("missing.png"), "a/gone.png");
        link(Path::new("self"), "a/self");
        link(Path::new(".."), "a/deep/up");
        link(Path::new("../.."), "a/deep/root");
        link(Path::new("deep"), "a/twice");
        let dataset = scanned(&root);
        assert_eq!(dataset.samples.len(), 3);
        assert_eq!(
            quarantined(&dataset),
            [
                ("a/gone.png", "the link leads nowhere"),
                ("a/out.png", "the link leaves the root")
            ],
        );
        let link = |path: &str, fault| Warning::Link {
            path: path.into(),
            fault,
        };
        let expected = [
            link("a/deep/root", LinkFault::AlreadyRead),
            link("a/deep/up", LinkFault::AlreadyRead),
            link("a/self", LinkFault::LeadsNowhere),
            link("a/twice", LinkFault::AlreadyRead),
            link("c", LinkFault::LeavesRoot),
        ];
        let links = dataset
            .warnings
            .into_iter()
            .filter(|w| matches!(w, Warning::Link { .. }));
        assert_eq!(links.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn names_that_are_not_utf8_are_quarantined_readably() {
        let root = folder(&["a/1.png", "b/1.png"]);
        fs::write(
            root.path().join("a").join(OsStr::from_bytes(b"caf\xE9.png")),
            image(4, 4),
        )
        .unwrap();
        fs::create_dir(root.path().join(OsStr::from_bytes(b"\xFFclass"))).unwrap();
        let dataset = scanned(&root);
        assert_eq!(dataset.samples.len(), 2);
        let reason = "the name is not UTF-8";
        assert_eq!(
            quarantined(&dataset),
            [("a/caf\u{FFFD}.png", reason), ("\u{FFFD}class", reason)]
        );
    }

    #[test]
    fn an_unreadable_folder_is_passed_over_with_a_warning() {
        let root = folder(&["a/1.png", "b/1.png", "b/locked/2.png"]);
        let locked = root.path().join("b/locked");
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
        // A superuser reads it all the same.
        let is_superuser = fs::read_dir(&locked).is_ok();
        let dataset = scanned(&root);
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(dataset.samples.len(), if is_superuser { 3 } else { 2 });
        let warned = dataset
            .warnings
            .iter()
            .any(|w| matches!(w, Warning::Unreadable { folder, .. } if folder == "b/locked"));
        assert_eq!(warned, !is_superuser);
    }

    #[test]
    fn a_named_pipe_is_quarantined_and_not_opened() {
        let root = folder(&["a/1.png", "b/1.png"]);
        let made = std::process::Command::new("mkfifo")
            .arg(root.path().join("a/pipe.png"))
            .status()
            .unwrap();
        assert!(made.success());
        assert_eq!(
            quarantined(&scanned(&root)),
            [("a/pipe.png", "not a regular file")]
        );
    }
}
