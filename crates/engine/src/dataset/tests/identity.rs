use super::*;

#[test]
fn only_seed_fraction_and_method_determine_the_split() {
    let root = folder(&[]);
    class(&root, "a", 30);
    class(&root, "b", 30);
    let valid = |options: ScanOptions| {
        let dataset = Dataset::scan("x", root.path(), &options).unwrap();
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
    // Both classes have images on both sides, so that the methods agree.
    assert_eq!(
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
    let other_name = Dataset::scan("other", two.path(), &ScanOptions::default()).unwrap();
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
        Dataset::scan("x", base.path(), &ignoring).unwrap().fingerprint,
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
        Dataset::scan("x", big.path(), &all_train).unwrap().fingerprint,
        scanned(&big).fingerprint
    );
}

#[test]
fn each_image_is_held_out_by_one_fold() {
    let root = folder(&["b/only.png", "test/a/1.png"]);
    class(&root, "a", 12);
    let dataset = scanned(&root);
    let mut held_out: Vec<String> = vec![];
    let mut fingerprints = vec![];
    for fold in 1..=FOLDS {
        let of_fold = dataset.fold(fold).expect("the split is computed");
        assert_eq!(of_fold.name, format!("birds@{fold}/5"));
        assert_eq!(paths(&of_fold, Split::Test), ["test/a/1.png"]);
        assert!(paths(&of_fold, Split::Train).contains(&"b/only.png"));
        held_out.extend(paths(&of_fold, Split::Valid).into_iter().map(str::to_owned));
        assert!(!fingerprints.contains(&of_fold.fingerprint));
        fingerprints.push(of_fold.fingerprint);
    }
    let whole = dataset.fold(0).expect("the split is computed");
    assert_eq!(whole.name, "birds@0/5");
    assert_eq!(paths(&whole, Split::Valid), Vec::<&str>::new());
    assert_eq!(paths(&whole, Split::Train).len(), 13);
    assert_eq!(paths(&whole, Split::Test), ["test/a/1.png"]);
    assert!(!fingerprints.contains(&whole.fingerprint));
    held_out.sort();
    let mut all: Vec<String> = (1..=12).map(|number| format!("a/{number}.png")).collect();
    all.sort();
    assert_eq!(held_out, all);
}

#[test]
fn a_split_given_by_folders_has_no_folds() {
    for valid in ["valid", "val"] {
        let root = folder(&["train/a/1.png", "train/b/1.png", &format!("{valid}/a/2.png")]);
        assert!(scanned(&root).fold(1).is_none());
    }
    let root = folder(&["train/a/1.png", "train/a/2.png", "train/b/1.png"]);
    assert!(scanned(&root).fold(1).is_some());
}
