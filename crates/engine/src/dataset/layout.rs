//! Which folders of a root are classes, and of which split.

use super::Split;

/// Where the images of a class folder go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SplitSource {
    /// To train and valid, by the split's options.
    Computed,
    /// To one split.
    Folder(Split),
}

/// What a folder of the root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FolderRole {
    /// A class.
    Class(SplitSource),
    /// A folder of classes.
    Classes(SplitSource),
    /// Not read.
    Ignored,
}

/// The role of each folder of a root, given all their names. The rules stand in the documentation of [`super`].
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

fn split_of(folder: &str) -> Option<Split> {
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
    fn folders_of_the_root_are_classes_and_are_divided() {
        let expected = [
            ("birds", FolderRole::Class(SplitSource::Computed)),
            ("test", FolderRole::Classes(TEST)),
        ];
        assert_eq!(roles(&["birds", "test"]), expected);
    }

    #[test]
    fn a_valid_folder_beside_the_classes_ends_the_division() {
        for name in ["valid", "val", "validation"] {
            let expected = [
                ("birds", FolderRole::Class(TRAIN)),
                (name, FolderRole::Classes(VALID)),
            ];
            assert_eq!(roles(&["birds", name]), expected);
        }
    }

    #[test]
    fn a_train_folder_holds_the_classes_and_nothing_else_does() {
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
