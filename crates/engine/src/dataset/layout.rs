//! Roles of the folders of a root: classes and splits.

use super::Split;

/// How the images of a class folder get their split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SplitSource {
    /// Train or valid, computed by the options of the split.
    Computed,
    /// Given by the folder.
    Folder(Split),
}

/// The role of a folder of the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FolderRole {
    /// A class.
    Class(SplitSource),
    /// A folder of classes.
    Classes(SplitSource),
    /// Not read.
    Ignored,
}

/// The role of each folder of a root, by their names. See [`super`] for the rules.
pub(super) fn roles<'a>(folders: &[&'a str]) -> Vec<(&'a str, FolderRole)> {
    let has = |split| folders.iter().any(|folder| split_of(folder) == Some(split));
    let training = if has(Split::Valid) {
        SplitSource::Folder(Split::Train)
    } else {
        SplitSource::Computed
    };
    let role = |folder: &str| match split_of(folder) {
        Some(Split::Train) => FolderRole::Classes(training),
        Some(split) => FolderRole::Classes(SplitSource::Folder(split)),
        None if has(Split::Train) => FolderRole::Ignored,
        None => FolderRole::Class(training),
    };
    folders.iter().map(|folder| (*folder, role(folder))).collect()
}

pub(super) fn split_of(folder: &str) -> Option<Split> {
    match folder {
        "val" | "validation" => Some(Split::Valid),
        _ => Split::from_name(folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAIN: SplitSource = SplitSource::Folder(Split::Train);
    const VALID: SplitSource = SplitSource::Folder(Split::Valid);
    const TEST: SplitSource = SplitSource::Folder(Split::Test);

    #[test]
    fn folders_of_the_root_are_classes_whose_split_is_computed() {
        let expected = [
            ("birds", FolderRole::Class(SplitSource::Computed)),
            ("test", FolderRole::Classes(TEST)),
        ];
        assert_eq!(roles(&["birds", "test"]), expected);
    }

    #[test]
    fn with_a_valid_folder_all_other_classes_are_train() {
        for name in ["valid", "val", "validation"] {
            let expected = [
                ("birds", FolderRole::Class(TRAIN)),
                (name, FolderRole::Classes(VALID)),
            ];
            assert_eq!(roles(&["birds", name]), expected);
        }
    }

    #[test]
    fn with_a_train_folder_other_folders_are_ignored() {
        let expected = [
            ("extra", FolderRole::Ignored),
            ("test", FolderRole::Classes(TEST)),
            ("train", FolderRole::Classes(SplitSource::Computed)),
        ];
        assert_eq!(roles(&["extra", "test", "train"]), expected);
        let expected = [
            ("train", FolderRole::Classes(TRAIN)),
            ("valid", FolderRole::Classes(VALID)),
        ];
        assert_eq!(roles(&["train", "valid"]), expected);
    }
}
