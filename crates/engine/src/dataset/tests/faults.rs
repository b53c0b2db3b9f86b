use super::*;

#[test]
fn a_missing_root_or_a_file_is_an_error() {
    let root = folder(&["file.png"]);
    let error = |path: &Path| Dataset::scan("x", path, &ScanOptions::default()).unwrap_err();
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
fn a_root_without_usable_images_is_an_error_with_counts() {
    let root = folder(&["stray.png", "readme.txt"]);
    write(root.path(), "a/broken.jpg", b"\xFF\xD8\xFF\xE0");
    fs::create_dir(root.path().join("b")).unwrap();
    let error = Dataset::scan("x", root.path(), &ScanOptions::default()).unwrap_err();
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
    let error = Dataset::scan("x", root.path(), &ScanOptions::default()).unwrap_err();
    assert!(
        matches!(&error, Error::SingleClass { class, .. } if class == "a"),
        "{error}"
    );
}

#[test]
fn a_fraction_out_of_range_is_an_error() {
    let root = folder(&["a/1.png", "b/1.png"]);
    for valid_fraction in [-0.1, 1.0, f64::NAN] {
        let error = Dataset::scan(
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
fn images_of_unsupported_formats_are_counted_by_format() {
    let root = folder(&["a/1.png", "b/1.png", "a/notes.txt"]);
    for path in ["a/2.HEIC", "b/deep/1.heif", "b/4.tiff", "c.avif"] {
        write(root.path(), path, b"pixels");
    }
    let warnings = scanned(&root).warnings;
    let unsupported = |format, count, first: &str| Warning::Unsupported {
        format,
        count,
        first: first.to_owned(),
    };
    assert_eq!(
        warnings,
        [
            unsupported("HEIC", 2, "a/2.HEIC"),
            unsupported("TIFF", 1, "b/4.tiff")
        ]
    );
    assert!(warnings[0].to_string().contains("2 HEIC files are not read"));
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
    let limits = crate::header::DecodeLimits {
        max_pixels: 1000,
        ..Default::default()
    };
    let dataset = Dataset::scan(
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
        (
            "b/cut.jpg",
            "the JPEG file has no frame header, which holds the image size"
        )
    );
    assert_eq!(
        found[4],
        (
            "b/large.png",
            "the header gives an image size of 40x30: at most 1000 pixels are allowed"
        )
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
    let all = later.page(&dataset, "", 10);
    let all: Vec<_> = all
        .iter()
        .map(|file| (file.path.as_str(), file.reason.as_str()))
        .collect();
    assert_eq!(
        all,
        [("a/2.png", "first reason"), ("b/0.png", "the file is empty")]
    );
    let paths = |after, count| -> Vec<String> {
        let page = later.page(&dataset, after, count).into_iter();
        page.map(|file| file.path).collect()
    };
    assert_eq!(paths("", 1), ["a/2.png"]);
    assert_eq!(paths("a/2.png", 1), ["b/0.png"]);
    assert!(paths("b/0.png", 1).is_empty());
    assert_eq!(
        (dataset.samples, dataset.fingerprint),
        (before.samples, before.fingerprint)
    );
}
