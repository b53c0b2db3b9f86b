//! Which folders of a root are classes, and of which split.

use super::Split;

/// Where the images of a class folder go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To train and valid, by the split's options.
    Divided,
    /// To one split.
    Fixed(Split),
}

/// What a folder of the root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A class.
    Class(Place),
    /// A folder of classes.
    Classes(Place),
    /// Not read.
    Ignored,
}

/// The role of each folder of a root, given all their names. The rules stand in the documentation of [`super`].
pub(super) fn roles<'a>(folders: &[&'a str]) -> Vec<(&'a str, Role)> {
    let has = |split| folders.iter().any(|folder| split_of(folder) == Some(split));
    let training = if has(Split::Valid) {
        Place::Fixed(Split::Train)
    } else {
        Place::Divided
    };
    let role = |folder: &str| match split_of(folder) {
        Some(Split::Train) => Role::Classes(training),
        Some(split) => Role::Classes(Place::Fixed(split)),
        None if has(Split::Train) => Role::Ignored,
        None => Role::Class(training),
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

    const TRAIN: Place = Place::Fixed(Split::Train);
    const VALID: Place = Place::Fixed(Split::Valid);
    const TEST: Place = Place::Fixed(Split::Test);

    #[test]
    fn folders_of_the_root_are_classes_and_are_divided() {
        let expected = [
            ("birds", Role::Class(Place::Divided)),
            ("test", Role::Classes(TEST)),
        ];
        assert_eq!(roles(&["birds", "test"]), expected);
    }

    #[test]
    fn a_valid_folder_beside_the_classes_ends_the_division() {
        for name in ["valid", "val", "validation"] {
            let expected = [("birds", Role::Class(TRAIN)), (name, Role::Classes(VALID))];
            assert_eq!(roles(&["birds", name]), expected);
        }
    }

    #[test]
    fn a_train_folder_holds_the_classes_and_nothing_else_does() {
        let expected = [
            ("extra", Role::Ignored),
            ("test", Role::Classes(TEST)),
            ("train", Role::Classes(Place::Divided)),
        ];
        assert_eq!(roles(&["extra", "test", "train"]), expected);
        let expected = [("train", Role::Classes(TRAIN)), ("valid", Role::Classes(VALID))];
        assert_eq!(roles(&["train", "valid"]), expected);
    }
}
