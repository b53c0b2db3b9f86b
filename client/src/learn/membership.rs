//! The split of each image when a run began, and what has changed since.

use std::{cmp::Ordering, fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::run::RunConfig;
use equibatch_stream::{DatasetDescription, Error, Sample, Servers, Split};

/// The split of every image of a dataset, 6 bytes each: 46 bits of a hash of its path, and 2 bits for the split. Serialised as base64.
/// Empty if unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Membership(Arc<[u64]>);

/// Bytes per image.
const BYTES: usize = 6;
/// Mask of the bits that encode the split.
const SPLIT: u64 = 3;
const SPLITS: [Split; 3] = [Split::Train, Split::Valid, Split::Test];

impl Membership {
    /// Requests the samples of the dataset `description` from the servers.
    ///
    /// # Errors
    ///
    /// Those of [`Servers::samples`].
    pub fn fetch(servers: &Servers, description: &DatasetDescription) -> Result<Self, Error> {
        let images = SPLITS.iter().map(|split| description.images(*split)).sum();
        let ids: Vec<u32> = (0..images).collect();
        Ok(Self::of(&servers.samples(&description.name, &ids)?))
    }

    /// Describes what has changed in the dataset `description` since the run of `config` was trained on this one; `None` if the fingerprint is the same.
    ///
    /// # Errors
    ///
    /// Those of [`Servers::samples`].
    pub fn changes_since(
        &self,
        config: &RunConfig,
        servers: &Servers,
        description: &DatasetDescription,
    ) -> Result<Option<String>, Error> {
        if description.fingerprint == config.fingerprint {
            return Ok(None);
        }
        let now = Self::fetch(servers, description)?;
        let what = if *self == Self::default() || now == Self::default() {
            "how many images changed splits is unknown, because the run or the server is of an earlier version"
                .to_owned()
        } else {
            self.changes(&now).to_string()
        };
        let short = |fingerprint: &str| fingerprint.get(..12).unwrap_or(fingerprint).to_owned();
        Ok(Some(format!(
            "the dataset `{}` has changed since (fingerprint {}, now {}): {what}",
            description.name,
            short(&config.fingerprint),
            short(&description.fingerprint)
        )))
    }

    fn of(samples: &[Sample]) -> Self {
        let mut images: Vec<u64> = samples.iter().map(image).collect();
        images.sort_unstable();
        Self(images.into())
    }

    /// The differences from this membership to `now`.
    fn changes(&self, now: &Self) -> Changes {
        let (mut changes, mut before, mut after) = (Changes::default(), &*self.0, &*now.0);
        while let ([then, earlier @ ..], [now, later @ ..]) = (before, after) {
            match (then & !SPLIT).cmp(&(now & !SPLIT)) {
                Ordering::Less => (changes.removed, before) = (changes.removed + 1, earlier),
                Ordering::Greater => (changes.added, after) = (changes.added + 1, later),
                Ordering::Equal => {
                    if then != now {
                        changes.moved[(then & SPLIT) as usize][(now & SPLIT) as usize] += 1;
                    }
                    (before, after) = (earlier, later);
                }
            }
        }
        changes.removed += before.len();
        changes.added += after.len();
        changes
    }
}

/// The 48 bits of an image.
fn image(sample: &Sample) -> u64 {
    let hash = *blake3::hash(sample.path.as_bytes()).as_bytes();
    let hash = u64::from_le_bytes(std::array::from_fn(|at| hash[at]));
    let is_it = |split: &Split| split.name() == sample.split;
    let split = SPLITS.iter().position(is_it).unwrap_or(SPLIT as usize) as u64;
    ((hash >> (64 - 8 * BYTES)) & !SPLIT) | split
}

impl From<Membership> for String {
    fn from(membership: Membership) -> Self {
        let bytes = membership
            .0
            .iter()
            .flat_map(|image| image.to_le_bytes().into_iter().take(BYTES));
        STANDARD.encode(bytes.collect::<Vec<u8>>())
    }
}

impl TryFrom<String> for Membership {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = STANDARD.decode(text)?;
        let image = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |image, &byte| (image << 8) | u64::from(byte))
        };
        Ok(Self(bytes.chunks_exact(BYTES).map(image).collect()))
    }
}

/// Differences between two memberships.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Changes {
    /// Images present in both whose split changed: `[split then][split now]`.
    moved: [[usize; 4]; 4],
    added: usize,
    removed: usize,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = SPLITS.iter().enumerate().flat_map(|(then, from)| {
            let to = SPLITS.iter().enumerate();
            to.map(move |(now, to)| (self.moved[then][now], from, to))
        });
        let moved: Vec<_> = pairs.filter(|(images, ..)| *images > 0).collect();
        write!(
            f,
            "{} images changed splits",
            moved.iter().map(|(images, ..)| images).sum::<usize>()
        )?;
        for (place, (images, from, to)) in moved.iter().enumerate() {
            let separator = if place == 0 { ": " } else { ", " };
            write!(f, "{separator}{images} from {from} to {to}")?;
        }
        write!(f, "; {} were added and {} removed", self.added, self.removed)?;
        let [_, valid, test, _] = self.moved[0];
        if valid + test > 0 {
            write!(
                f,
                "; the run was trained on {} images that are now in valid or test, so metrics on these splits are too optimistic",
                valid + test
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(images: &[(usize, &str)]) -> Membership {
        let sample = |&(number, split): &(usize, &str)| Sample {
            path: format!("birds/{number}.jpg"),
            split: split.to_owned(),
        };
        Membership::of(&images.iter().map(sample).collect::<Vec<_>>())
    }

    #[test]
    fn changes_are_counted_by_old_and_new_split() {
        let before = samples(&[
            (1, "train"),
            (2, "train"),
            (3, "valid"),
            (4, "valid"),
            (5, "test"),
        ]);
        let after = samples(&[
            (1, "train"),
            (2, "valid"),
            (3, "train"),
            (4, "valid"),
            (6, "test"),
            (7, "train"),
        ]);
        let changes = before.changes(&after);
        assert_eq!((changes.added, changes.removed), (2, 1));
        assert_eq!(
            changes.to_string(),
            "2 images changed splits: 1 from train to valid, 1 from valid to train; 2 were added and 1 removed; \
             the run was trained on 1 images that are now in valid or test, so metrics on these splits are too optimistic"
        );
        assert_eq!(
            before.changes(&before).to_string(),
            "0 images changed splits; 0 were added and 0 removed"
        );
    }

    #[test]
    fn a_hundred_thousand_images_take_less_than_a_megabyte_and_round_trip() {
        let images: Vec<(usize, &str)> = (0..100_000).map(|n| (n, SPLITS[n % 3].name())).collect();
        let membership = samples(&images);
        let text = serde_json::to_string(&membership).expect("plain data");
        assert!(text.len() < 1_000_000, "{}", text.len());
        assert_eq!(
            serde_json::from_str::<Membership>(&text).expect("readable"),
            membership
        );
        assert_eq!(membership.changes(&membership), Changes::default());
    }
}
