//! Subjects of images, and the class names that select them.

use std::fmt;

/// A kind of subject, selected by its name in plural or singular, regardless of case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum SubjectKind {
    /// Daisies, tulips, roses and others, alone or in groups.
    Flowers = 0,
    /// Birds that perch, peck, stand and fly.
    Birds = 1,
    /// Butterflies with open and folded wings.
    Butterflies = 2,
    /// Fish from the side.
    Fish = 3,
    /// Broad-leaved trees, conifers and palms.
    Trees = 4,
    /// Houses with roof, door and windows.
    Houses = 5,
    /// Boats with and without sails.
    Boats = 6,
    /// Cats that sit, lie and look.
    Cats = 7,
}

impl SubjectKind {
    /// All kinds, in the order in which they are assigned to unknown names.
    pub const ALL: [Self; 8] = [
        Self::Flowers,
        Self::Birds,
        Self::Butterflies,
        Self::Fish,
        Self::Trees,
        Self::Houses,
        Self::Boats,
        Self::Cats,
    ];

    /// The name, in the plural.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.names()[0]
    }

    fn names(self) -> [&'static str; 2] {
        match self {
            Self::Flowers => ["flowers", "flower"],
            Self::Birds => ["birds", "bird"],
            Self::Butterflies => ["butterflies", "butterfly"],
            Self::Fish => ["fish", "fishes"],
            Self::Trees => ["trees", "tree"],
            Self::Houses => ["houses", "house"],
            Self::Boats => ["boats", "boat"],
            Self::Cats => ["cats", "cat"],
        }
    }

    fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|kind| kind.names().contains(&name.as_str()))
    }
}

/// The subject of a class: a kind in one of its variants.
///
/// Variant 0 has the usual colours and proportions of the kind; other variants have others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The kind.
    pub kind: SubjectKind,
    /// Variant of colours and proportions.
    pub variant: u32,
}

impl Subject {
    /// A unique number, which seeds the random numbers of the subject.
    #[must_use]
    pub fn number(self) -> u64 {
        u64::from(self.variant) << 8 | self.kind as u64
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variant {
            0 => f.write_str(self.kind.name()),
            variant => write!(f, "{} {}", self.kind.name(), variant + 1),
        }
    }
}

/// Assigns a distinct subject to each of `names`.
///
/// The name of a [`SubjectKind`] (any case, singular or plural) gets that kind in variant 0; a second name of the same kind gets its next
/// variant. The other names, in order, get the unused kinds in the order of [`SubjectKind::ALL`], then further variants of all kinds.
#[must_use]
pub fn assign<N: AsRef<str>>(names: &[N]) -> Vec<Subject> {
    let mut used = [0_u32; SubjectKind::ALL.len()];
    let mut take = |kind: SubjectKind| {
        let variant = used[kind as usize];
        used[kind as usize] += 1;
        Subject { kind, variant }
    };
    let known: Vec<_> = names
        .iter()
        .map(|name| SubjectKind::named(name.as_ref()).map(&mut take))
        .collect();
    known
        .into_iter()
        .map(|subject| {
            subject.unwrap_or_else(|| {
                let least = SubjectKind::ALL
                    .into_iter()
                    .min_by_key(|&kind| used[kind as usize])
                    .expect("there are kinds");
                let variant = used[least as usize];
                used[least as usize] += 1;
                Subject { kind: least, variant }
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_get_their_kind() {
        let subjects = assign(&["Birds", "flower", "cats"]);
        assert_eq!(
            subjects.map_kinds(),
            [SubjectKind::Birds, SubjectKind::Flowers, SubjectKind::Cats]
        );
        assert!(subjects.iter().all(|subject| subject.variant == 0));
    }

    #[test]
    fn unknown_names_get_unused_kinds_and_then_variants() {
        let names: Vec<String> = ["birds".to_owned()]
            .into_iter()
            .chain((0..12).map(|i| format!("class{i}")))
            .collect();
        let subjects = assign(&names);
        assert_eq!(subjects[1].kind, SubjectKind::Flowers);
        assert_eq!(subjects[2].kind, SubjectKind::Butterflies);
        assert_eq!(
            subjects[8],
            Subject {
                kind: SubjectKind::Flowers,
                variant: 1
            }
        );
        assert_eq!(
            subjects[9],
            Subject {
                kind: SubjectKind::Birds,
                variant: 1
            }
        );
        let mut numbers: Vec<_> = subjects.iter().map(|subject| subject.number()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), names.len());
    }

    #[test]
    fn a_second_name_of_a_kind_gets_its_next_variant() {
        let subjects = assign(&["bird", "birds"]);
        assert_eq!(
            subjects[1],
            Subject {
                kind: SubjectKind::Birds,
                variant: 1
            }
        );
        assert_eq!(subjects[1].to_string(), "birds 2");
    }

    trait MapKinds {
        fn map_kinds(&self) -> Vec<SubjectKind>;
    }

    impl MapKinds for Vec<Subject> {
        fn map_kinds(&self) -> Vec<SubjectKind> {
            self.iter().map(|subject| subject.kind).collect()
        }
    }
}
