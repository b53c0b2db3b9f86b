use super::*;

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
        kinds: FindingKind::value_variants().iter().copied().collect(),
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
