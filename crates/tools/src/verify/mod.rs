//! Verification of class folders, and optional fixes.
//!
//! Every file is read and decoded as the server would. Findings:
//!
//! | kind | meaning |
//! |---|---|
//! | [`FindingKind::Broken`] | not decodable: an error page, a truncated download, an unsupported format |
//! | [`FindingKind::Refused`] | an image that exceeds the server's limits |
//! | [`FindingKind::Unreadable`] | a file or folder that cannot be read (I/O error) |
//! | [`FindingKind::Extension`] | an image whose file extension is of another format than its content, or of none |
//! | [`FindingKind::Tiny`] | an image whose short side is below a limit |
//! | [`FindingKind::Blank`] | an image of (nearly) uniform colour |
//! | [`FindingKind::Duplicate`] | byte-identical files |
//! | [`FindingKind::Near`] | near duplicates: copies at another size, quality or brightness |
//!
//! Duplicates with different labels are a *conflict*: one of the labels is wrong. Duplicates in different splits are a *leak*: the model is
//! evaluated on images that it was trained on.
//!
//! # Layout
//!
//! `file_report` inspects one file. `perceptual_hash` is a 64-bit hash with a thumbnail, `hamming_index` finds hashes within a Hamming
//! distance, `duplicates` groups identical and similar images. `misnamed` finds images without an image extension. `fix` deletes, moves
//! and converts files. `text` formats the report.

mod duplicates;
mod file_report;
mod fix;
mod hamming_index;
mod misnamed;
mod perceptual_hash;
mod text;

pub use fix::{Action, ActionKind, Conversion, Error, FixOptions, FixOutcome, Removal, check_folders, fix};
pub use text::text;

use equibatch_engine::{
    dataset::{Dataset, Split, Warning},
    decode::DecodeOptions,
};
use rayon::prelude::*;
use serde::{Serialize, Serializer};

use crate::verify::file_report::FileReport;

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

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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
    /// All kinds, in report order.
    pub const ALL: [Self; 8] = [
        Self::Broken,
        Self::Refused,
        Self::Unreadable,
        Self::Extension,
        Self::Tiny,
        Self::Blank,
        Self::Duplicate,
        Self::Near,
    ];

    /// The name in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
            Self::Extension => "extension",
            Self::Tiny => "tiny",
            Self::Blank => "blank",
            Self::Duplicate => "duplicate",
            Self::Near => "near",
        }
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

/// Inspects every file. `progress` is called once per file.
#[must_use]
pub fn verify(dataset: &Dataset, options: &VerifyOptions, progress: &(impl Fn() + Sync)) -> VerifyReport {
    let decoding = DecodeOptions {
        orientation: dataset.options.orientation,
        limits: dataset.options.limits,
    };
    let scanned = dataset.samples.iter().map(|sample| &*sample.path);
    let misnamed = misnamed::find(&dataset.root);
    let quarantined = dataset.quarantine.iter().map(|file| file.path.as_str());
    let paths: Vec<&str> = scanned
        .chain(misnamed.iter().map(String::as_str))
        .chain(quarantined)
        .collect();
    let mut reports: Vec<Result<FileReport, Finding>> = paths
        .par_iter()
        .map(|path| {
            let report = file_report::inspect(&dataset.root, path, &decoding);
            progress();
            report
        })
        .collect();
    for (report, file) in reports.iter_mut().rev().zip(dataset.quarantine.iter().rev()) {
        file_report::keep_scan_error(report, file);
    }

    let mut findings = vec![];
    let mut convertible = vec![];
    for (path, report) in paths.iter().zip(&reports) {
        match report {
            Ok(report) => {
                findings.extend(report.findings(path, options));
                convertible.push(Convertible {
                    path: (*path).to_owned(),
                    plain: report.plain,
                });
            }
            Err(finding) => findings.push(finding.clone()),
        }
    }
    for warning in &dataset.warnings {
        if let Warning::Unreadable { folder, reason } = warning {
            findings.push(Finding {
                kind: FindingKind::Unreadable,
                path: folder.clone(),
                detail: reason.clone(),
            });
        }
    }
    findings.sort();
    VerifyReport {
        root: dataset.root.display().to_string(),
        files: paths.len(),
        images: convertible.len(),
        findings,
        groups: duplicates::groups(dataset, &reports[..dataset.samples.len()], options.near),
        warnings: dataset.warnings.iter().map(ToString::to_string).collect(),
        convertible,
    }
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

#[cfg(test)]
mod tests;
