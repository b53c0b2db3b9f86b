use super::*;

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
    let paths: Vec<&str> = dataset.samples.iter().map(|sample| &*sample.path).collect();
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
    let found: Vec<&str> = dataset.samples.iter().map(|sample| &*sample.path).collect();
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
