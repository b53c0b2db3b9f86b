//! Findings and their kinds.

use clap::ValueEnum;
use equibatch_engine::dataset::Split;
use serde::{Serialize, Serializer};

/// Thresholds of the findings.
#[derive(Clone, Copy, Debug)]
pub struct VerifyOptions {
    /// Images whose short side is below this many pixels are tiny.
    pub min_side: u32,
    /// Largest Hamming distance between the perceptual hashes of near duplicates, at most [`VerifyOptions::MAX_DISTANCE`]. `None` finds
    /// byte-identical files only.
    pub near: Option<u32>,
}

impl VerifyOptions {
    /// Beyond this distance, hashes of unrelated images collide, and the search becomes slow.
    pub const MAX_DISTANCE: u32 = 11;
}

/// The kind of a finding, in report order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FindingKind {
    /// Not decodable.
    Broken,
    /// Exceeds the limits.
    Refused,
    /// Cannot be read.
    Unreadable,
    /// The extension does not match the content.
    Extension,
    /// Short side below the limit.
    Tiny,
    /// Uniform colour.
    Blank,
    /// Byte-identical.
    Duplicate,
    /// Near duplicate.
    Near,
}

impl FindingKind {
    /// The name in lower case.
    #[must_use]
    pub fn name(self) -> String {
        let value = self.to_possible_value().expect("no kind is skipped");
        value.get_name().to_owned()
    }
}

/// A defect of one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The kind of defect.
    pub kind: FindingKind,
    /// Path relative to the root.
    pub path: String,
    /// Explanation, a lower-case clause.
    pub detail: String,
}

/// Identical or similar images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DuplicateGroup {
    /// [`FindingKind::Duplicate`] or [`FindingKind::Near`].
    pub kind: FindingKind,
    /// Whether they are in different splits.
    pub leak: bool,
    /// Whether they are in different classes.
    pub conflict: bool,
    /// At least two. The first is the one to keep: test before validation before training images, then by path.
    pub members: Vec<Member>,
}

/// An image of a [`DuplicateGroup`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Path relative to the root.
    pub path: String,
    /// Class name.
    pub class: String,
    /// Split.
    #[serde(serialize_with = "split_name")]
    pub split: Split,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde requires"
)]
fn split_name<S: Serializer>(split: &Split, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(split.name())
}

/// All findings.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    /// The data set's root folder.
    pub root: String,
    /// Number of files inspected.
    pub files: usize,
    /// Number of decodable images among them.
    pub images: usize,
    /// Sorted by kind and path.
    pub findings: Vec<Finding>,
    /// Sorted by kind and path of the first member.
    pub groups: Vec<DuplicateGroup>,
    /// Warnings of the scan.
    pub warnings: Vec<String>,
    /// Decodable images, for conversion.
    #[serde(skip)]
    pub(crate) convertible: Vec<Convertible>,
}

/// A decodable image.
#[derive(Clone, Debug)]
pub(crate) struct Convertible {
    pub(crate) path: String,
    /// Longer side, in pixels, of an upright RGB JPEG; `None` for other images, which are always re-encoded.
    pub(crate) plain: Option<u32>,
}

impl VerifyReport {
    /// Number of files of `kind`; of each group all members but the first.
    #[must_use]
    pub fn count(&self, kind: FindingKind) -> usize {
        let single = self
            .findings
            .iter()
            .filter(|finding| finding.kind == kind)
            .count();
        let groups = self.groups.iter().filter(|group| group.kind == kind);
        single + groups.map(|group| group.members.len() - 1).sum::<usize>()
    }
}
