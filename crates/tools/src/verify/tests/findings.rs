use super::*;

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
        kinds: FindingKind::value_variants().iter().copied().collect(),
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
