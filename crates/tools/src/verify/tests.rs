use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use ::image::{
    DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, codecs::jpeg::JpegEncoder, imageops,
};
use tempfile::TempDir;

use super::*;
use crate::sample_data;
use equibatch_engine::dataset::{ScanOptions, scan_lenient};
use equibatch_engine::header::DecodeLimits;

/// A wave pattern; wavelength and direction depend on `number`.
fn picture(width: u32, height: u32, number: u32) -> RgbImage {
    let turn = f64::from(number) * 1.7;
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
        let wave = |k: f64| ((x * turn.sin() + y * turn.cos()) * k + turn).sin() + (x * y * k).cos();
        Rgb([5.0, 9.0, 14.0].map(|k| (128.0 + 60.0 * wave(k + f64::from(number % 5))) as u8))
    })
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(vec![]);
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn jpeg(image: &RgbImage, quality: u8) -> Vec<u8> {
    let mut bytes = vec![];
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(image)
        .unwrap();
    bytes
}

fn write(root: &TempDir, path: &str, bytes: &[u8]) {
    let path = root.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Two classes of two valid JPEGs each, in the train split.
fn good() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (number, path) in ["a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg"].iter().enumerate() {
        write(
            &root,
            &format!("train/{path}"),
            &jpeg(&picture(80, 60, number as u32), 90),
        );
    }
    root
}

fn scanned(root: &Path, limits: DecodeLimits) -> Dataset {
    let options = ScanOptions {
        valid_fraction: 0.0,
        limits,
        ..ScanOptions::default()
    };
    scan_lenient("pictures", root, &options).unwrap()
}

const OPTIONS: VerifyOptions = VerifyOptions {
    min_side: 32,
    near: Some(6),
};

fn verified(root: &TempDir) -> (Dataset, VerifyReport) {
    let dataset = scanned(root.path(), DecodeLimits::default());
    let report = verify(&dataset, &OPTIONS, &|| {});
    (dataset, report)
}

fn found(report: &VerifyReport) -> Vec<(FindingKind, &str)> {
    let findings = report.findings.iter();
    findings
        .map(|finding| (finding.kind, finding.path.as_str()))
        .collect()
}

fn paths(group: &DuplicateGroup) -> Vec<&str> {
    group.members.iter().map(|member| member.path.as_str()).collect()
}

/// Every file below a folder, sorted.
fn files(root: &Path) -> Vec<String> {
    let mut found = vec![];
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let path = path.strip_prefix(root).unwrap();
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn fix_options(removal: Removal, conversion: Conversion) -> FixOptions {
    FixOptions {
        removal,
        kinds: BTreeSet::from([FindingKind::Broken]),
        conversion,
        max_side: None,
        quality: 90,
        dry_run: false,
    }
}

#[test]
fn valid_images_have_no_findings() {
    let (_, report) = verified(&good());
    assert_eq!(found(&report), []);
    assert_eq!(report.groups, []);
    assert_eq!((report.files, report.images), (4, 4));
}

#[test]
fn every_kind_of_defect_is_found() {
    let root = good();
    write(&root, "train/a/page.jpg", b"<html>404</html>");
    write(&root, "train/a/empty.png", b"");
    let photo = jpeg(&picture(90, 70, 8), 90);
    write(&root, "train/a/half.jpg", &photo[..photo.len() / 2]);
    write(
        &root,
        "train/b/other.jpg",
        &encoded(picture(64, 48, 9), ImageFormat::Png),
    );
    write(
        &root,
        "train/b/download.php",
        &encoded(picture(64, 48, 10), ImageFormat::Png),
    );
    write(
        &root,
        "train/b/icon.png",
        &encoded(picture(31, 300, 11), ImageFormat::Png),
    );
    let nearly = RgbImage::from_fn(50, 50, |x, _| Rgb([200 + (x % 3) as u8, 200, 200]));
    write(&root, "train/b/white.png", &encoded(nearly, ImageFormat::Png));
    write(&root, "train/b/notes.txt", b"not an image, and not called one");
    let (_, report) = verified(&root);
    assert_eq!(
        found(&report),
        [
            (FindingKind::Broken, "train/a/empty.png"),
            (FindingKind::Broken, "train/a/half.jpg"),
            (FindingKind::Broken, "train/a/page.jpg"),
            (FindingKind::Extension, "train/b/download.php"),
            (FindingKind::Extension, "train/b/other.jpg"),
            (FindingKind::Tiny, "train/b/icon.png"),
            (FindingKind::Blank, "train/b/white.png"),
        ]
    );
    assert_eq!(
        report.findings[4].detail,
        "the content is PNG, but the extension is of JPEG"
    );
}

#[test]
fn an_image_over_the_limits_is_refused_not_broken() {
    let root = good();
    write(&root, "train/a/large.jpg", &jpeg(&picture(100, 101, 9), 90));
    let limits = DecodeLimits {
        max_pixels: 10_000,
        ..DecodeLimits::default()
    };
    let report = verify(&scanned(root.path(), limits), &OPTIONS, &|| {});
    assert_eq!(found(&report), [(FindingKind::Refused, "train/a/large.jpg")]);
}

#[cfg(unix)]
#[test]
fn links_out_of_the_root_and_invalid_names_are_never_deleted() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let root = good();
    let outside = tempfile::tempdir().unwrap();
    let photo = outside.path().join("photo.jpg");
    fs::write(&photo, jpeg(&picture(90, 70, 8), 90)).unwrap();
    std::os::unix::fs::symlink(&photo, root.path().join("train/a/link.jpg")).unwrap();
    fs::write(
        root.path().join("train/a").join(OsStr::from_bytes(b"\xFF.jpg")),
        b"x",
    )
    .unwrap();
    let (dataset, report) = verified(&root);
    let kinds: Vec<FindingKind> = report.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [FindingKind::Unreadable; 2]);
    let all = FixOptions {
        kinds: FindingKind::ALL.into(),
        ..fix_options(Removal::Delete, Conversion::Keep)
    };
    let outcome = fix(&dataset, &report, &all, &|| {});
    assert_eq!((outcome.actions.len(), outcome.remaining), (0, 2));
    assert!(photo.exists() && fs::read_dir(root.path().join("train/a")).unwrap().count() == 4);
}

#[test]
fn a_copy_in_two_splits_is_a_leak_and_in_two_classes_a_conflict() {
    let root = good();
    let copy = fs::read(root.path().join("train/a/0.jpg")).unwrap();
    write(&root, "valid/a/copy.jpg", &copy);
    write(&root, "test/b/copy.jpg", &copy);
    let same = fs::read(root.path().join("train/b/1.jpg")).unwrap();
    write(&root, "train/b/2.jpg", &same);
    let (_, report) = verified(&root);
    let [first, second] = report.groups.as_slice() else {
        panic!("{:?}", report.groups)
    };
    assert_eq!(
        paths(first),
        ["test/b/copy.jpg", "valid/a/copy.jpg", "train/a/0.jpg"]
    );
    assert_eq!(
        (first.kind, first.leak, first.conflict),
        (FindingKind::Duplicate, true, true)
    );
    assert_eq!(paths(second), ["train/b/1.jpg", "train/b/2.jpg"]);
    assert_eq!((second.leak, second.conflict), (false, false));
    let nothing = fix_options(Removal::Keep, Conversion::Keep);
    let outcome = fix(
        &scanned(root.path(), DecodeLimits::default()),
        &report,
        &nothing,
        &|| {},
    );
    let text = text(&report, &outcome);
    assert!(
        text.contains("train/a/0.jpg (train): a LEAK between splits, and a CONFLICT of classes\n"),
        "{text}"
    );
}

#[test]
fn rescaled_recompressed_and_brightened_copies_are_near_duplicates() {
    let original = picture(400, 300, 31);
    let brighter = imageops::colorops::brighten(&imageops::colorops::contrast(&original, -20.0), 20);
    let smaller = imageops::resize(&original, 150, 112, imageops::FilterType::Triangle);
    let cropped = imageops::crop_imm(&original, 6, 4, 388, 292).to_image();
    let copies = [
        ("valid/a/poor.jpg", jpeg(&original, 30)),
        ("valid/a/small.png", encoded(smaller, ImageFormat::Png)),
        ("valid/a/bright.jpg", jpeg(&brighter, 80)),
        ("valid/a/cropped.jpg", jpeg(&cropped, 90)),
    ];
    for (path, bytes) in copies {
        let root = good();
        write(&root, "train/a/photo.jpg", &jpeg(&original, 95));
        write(&root, path, &bytes);
        let (_, report) = verified(&root);
        assert_eq!(report.groups.len(), 1, "{path}");
        assert_eq!(paths(&report.groups[0]), [path, "train/a/photo.jpg"]);
        assert_eq!(
            (report.groups[0].kind, report.groups[0].leak),
            (FindingKind::Near, true)
        );
    }
}

#[test]
fn different_images_of_one_class_are_not_near_duplicates() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("data");
    let options = sample_data::SampleDataOptions {
        classes: vec![
            sample_data::ClassSpec::new("flowers", 12),
            sample_data::ClassSpec::new("birds", 12),
        ],
        test_count: 0,
        ..sample_data::SampleDataOptions::new(&out)
    };
    sample_data::generate(&options).unwrap();
    let report = verify(&scanned(&out, DecodeLimits::default()), &OPTIONS, &|| {});
    assert_eq!((report.images, report.groups), (24, vec![]));
}

#[test]
fn blank_images_are_not_duplicates() {
    let root = good();
    for shade in [0, 100, 255] {
        let image = RgbImage::from_pixel(40, 40, Rgb([shade; 3]));
        write(
            &root,
            &format!("train/a/{shade}.png"),
            &encoded(image, ImageFormat::Png),
        );
    }
    let (_, report) = verified(&root);
    assert_eq!((report.count(FindingKind::Blank), report.groups.len()), (3, 0));
}

#[test]
fn only_broken_files_are_deleted_by_default() {
    let root = good();
    write(&root, "train/a/page.jpg", b"<html>404</html>");
    let same = fs::read(root.path().join("train/b/1.jpg")).unwrap();
    write(&root, "train/b/2.jpg", &same);
    let before = files(root.path());
    let (dataset, report) = verified(&root);
    let mut delete = fix_options(Removal::Delete, Conversion::Keep);

    delete.dry_run = true;
    let outcome = fix(&dataset, &report, &delete, &|| {});
    assert_eq!((outcome.actions.len(), outcome.remaining), (1, 2));
    assert_eq!(files(root.path()), before);

    delete.dry_run = false;
    let outcome = fix(&dataset, &report, &delete, &|| {});
    assert_eq!(outcome.remaining, 1);
    assert_eq!(files(root.path()).len(), before.len() - 1);

    delete.kinds = BTreeSet::from([FindingKind::Duplicate]);
    let (dataset, report) = verified(&root);
    let outcome = fix(&dataset, &report, &delete, &|| {});
    assert_eq!(outcome.remaining, 0);
    let expected = ["train/a/0.jpg", "train/a/1.jpg", "train/b/0.jpg", "train/b/1.jpg"];
    assert_eq!(files(root.path()), expected);
}

#[test]
fn duplicates_with_conflicting_labels_are_kept() {
    let root = good();
    let copy = fs::read(root.path().join("train/a/0.jpg")).unwrap();
    write(&root, "train/b/copy.jpg", &copy);
    let (dataset, report) = verified(&root);
    let delete = FixOptions {
        kinds: FindingKind::ALL.into(),
        ..fix_options(Removal::Delete, Conversion::Keep)
    };
    let outcome = fix(&dataset, &report, &delete, &|| {});
    assert_eq!((outcome.actions, outcome.remaining), (vec![], 1));
}

#[test]
fn the_quarantine_keeps_paths_and_never_overwrites() {
    let root = good();
    write(&root, "train/a/page.jpg", b"<html>404</html>");
    let aside = tempfile::tempdir().unwrap();
    let move_away = fix_options(Removal::Quarantine(aside.path().to_owned()), Conversion::Keep);
    let (dataset, report) = verified(&root);
    let outcome = fix(&dataset, &report, &move_away, &|| {});
    assert_eq!(outcome.remaining, 0);
    assert_eq!(files(aside.path()), ["train/a/page.jpg"]);

    write(&root, "train/a/page.jpg", b"another page");
    let (dataset, report) = verified(&root);
    let outcome = fix(&dataset, &report, &move_away, &|| {});
    assert!(outcome.actions[0].error.is_some());
    assert_eq!(outcome.remaining, 1);
    assert_eq!(
        fs::read(aside.path().join("train/a/page.jpg")).unwrap(),
        b"<html>404</html>"
    );
    assert_eq!(
        fs::read(root.path().join("train/a/page.jpg")).unwrap(),
        b"another page"
    );
}

#[test]
fn the_copy_holds_rgb_jpegs_only_and_keeps_good_ones_byte_for_byte() {
    let root = good();
    write(&root, "train/a/page.jpg", b"<html>404</html>");
    write(
        &root,
        "train/a/0.png",
        &encoded(picture(70, 50, 20), ImageFormat::Png),
    );
    write(&root, "train/a/large.jpg", &jpeg(&picture(200, 100, 21), 90));
    let grey = GrayImage::from_fn(60, 40, |x, y| Luma([(x * 3 + y) as u8]));
    write(&root, "train/b/grey.jpeg", &encoded(grey, ImageFormat::Jpeg));
    write(
        &root,
        "train/b/get.php",
        &encoded(picture(64, 48, 22), ImageFormat::Gif),
    );
    let before = files(root.path());
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new");
    let copy = FixOptions {
        max_side: Some(100),
        ..fix_options(Removal::Keep, Conversion::Out(out.clone()))
    };
    let (dataset, report) = verified(&root);
    check_folders(&dataset.root, &copy).unwrap();
    let outcome = fix(&dataset, &report, &copy, &|| {});
    assert_eq!(outcome.remaining, 0);
    assert_eq!(files(root.path()), before);
    assert_eq!(
        files(&out),
        [
            "train/a/0.jpg",
            "train/a/0.png.jpg",
            "train/a/1.jpg",
            "train/a/large.jpg",
            "train/b/0.jpg",
            "train/b/1.jpg",
            "train/b/get.php.jpg",
            "train/b/grey.jpeg",
        ]
    );
    let bytes = |path: &str| fs::read(out.join(path)).unwrap();
    assert_eq!(
        bytes("train/a/0.jpg"),
        fs::read(root.path().join("train/a/0.jpg")).unwrap()
    );
    let large = ::image::load_from_memory(&bytes("train/a/large.jpg")).unwrap();
    assert_eq!((large.width(), large.height()), (100, 50));
    assert_eq!(
        equibatch_engine::header::jpeg_channels(Cursor::new(bytes("train/b/grey.jpeg"))).unwrap(),
        3
    );
    let (_, again) = (
        &dataset,
        verify(&scanned(&out, DecodeLimits::default()), &OPTIONS, &|| {}),
    );
    assert_eq!(found(&again), []);

    let error = check_folders(&dataset.root, &copy).unwrap_err();
    assert!(matches!(error, Error::NotEmpty { .. }), "{error}");
}

#[test]
fn in_place_conversion_never_overwrites_another_file() {
    let root = good();
    let kept = fs::read(root.path().join("train/a/0.jpg")).unwrap();
    write(
        &root,
        "train/a/0.png",
        &encoded(picture(70, 50, 20), ImageFormat::Png),
    );
    write(&root, "train/b/9.png", &jpeg(&picture(70, 50, 23), 90));
    let (dataset, report) = verified(&root);
    let outcome = fix(
        &dataset,
        &report,
        &fix_options(Removal::Keep, Conversion::InPlace),
        &|| {},
    );
    assert_eq!(outcome.remaining, 0);
    assert_eq!(
        files(root.path()),
        [
            "train/a/0.jpg",
            "train/a/0.png.jpg",
            "train/a/1.jpg",
            "train/b/0.jpg",
            "train/b/1.jpg",
            "train/b/9.jpg",
        ]
    );
    assert_eq!(fs::read(root.path().join("train/a/0.jpg")).unwrap(), kept);
    let (_, again) = verified(&root);
    assert_eq!(found(&again), []);
}

#[test]
fn temporary_files_of_a_killed_call_are_removed_when_converting_in_place() {
    let root = good();
    let left = "train/a/.equibatch-aB3dE6.part";
    write(&root, left, b"half an image");
    write(&root, "train/a/.mine.part", b"of another program");
    for (conversion, dry_run, stays) in [
        (Conversion::Keep, false, true),
        (Conversion::InPlace, true, true),
        (Conversion::InPlace, false, false),
    ] {
        let (dataset, report) = verified(&root);
        let options = FixOptions {
            dry_run,
            ..fix_options(Removal::Keep, conversion)
        };
        let outcome = fix(&dataset, &report, &options, &|| {});
        assert!(
            outcome.actions.iter().all(|action| action.error.is_none()),
            "{outcome:?}"
        );
        assert_eq!(root.path().join(left).exists(), stays, "{options:?}");
    }
    assert!(root.path().join("train/a/.mine.part").exists());
}

#[test]
fn output_folders_must_be_outside_of_the_root() {
    let root = good();
    let real = root.path().canonicalize().unwrap();
    for inside in ["new", "train/new/newer", "../"] {
        let folder = real.join(inside);
        let error = check_folders(&real, &fix_options(Removal::Quarantine(folder), Conversion::Keep));
        assert!(matches!(error, Err(Error::Inside { .. })), "{inside}");
    }
    let beside = real.with_extension("aside");
    check_folders(&real, &fix_options(Removal::Quarantine(beside), Conversion::Keep)).unwrap();
}
