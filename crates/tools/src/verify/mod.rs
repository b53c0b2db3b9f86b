//! Looks at every file of a root of class folders before anybody trains on it, and mends what it is told to mend.
//!
//! Every file is read whole and decoded as the server would decode it. What is found:
//!
//! | kind | is |
//! |---|---|
//! | [`FindingKind::Broken`] | no image: an error page, half a download, a format that is not read |
//! | [`FindingKind::Refused`] | an image over the server's limits |
//! | [`FindingKind::Unreadable`] | a file or a folder that the system does not let us read |
//! | [`FindingKind::Extension`] | an image whose name says another format than its content, or none that is read |
//! | [`FindingKind::Tiny`] | an image with a short side below a limit |
//! | [`FindingKind::Blank`] | an image of one colour, or nearly |
//! | [`FindingKind::Duplicate`] | files of equal bytes |
//! | [`FindingKind::Near`] | images that look the same: copies at another size, quality or brightness |
//!
//! Duplicates in two classes are a *conflict*, since one of the labels is wrong; duplicates in two splits are a *leak*, since the model is
//! then judged by what it has learnt from.
//!
//! # Layout
//!
//! `report` judges one file; `perceptual_hash` is what an image looks like in 64 bits and a thumbnail, `hamming_index` finds hashes few bits apart
//! without comparing all with all, `duplicates` makes groups of both. `misnamed` finds images by other names. `fix` deletes, moves and
//! converts. `text` is the report for people.

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

/// What counts as a finding.
#[derive(Clone, Copy, Debug)]
pub struct VerifyOptions {
    /// Short side, in pixels, below which an image is tiny.
    pub min_side: u32,
    /// Bits, of 64, in which the hashes of images that look the same may differ, at most [`VerifyOptions::MAX_DISTANCE`]. None looks for equal
    /// bytes only.
    pub near: Option<u32>,
}

impl VerifyOptions {
    /// Above it, hashes of pictures that have nothing to do with one another begin to meet, and looking takes long.
    pub const MAX_DISTANCE: u32 = 11;
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingKind {
    /// No image.
    Broken,
    /// Over the limits.
    Refused,
    /// The system does not let us read it.
    Unreadable,
    /// The name says another format than the content, or none.
    Extension,
    /// Too few pixels.
    Tiny,
    /// One colour.
    Blank,
    /// Equal bytes.
    Duplicate,
    /// Looks the same.
    Near,
}

impl FindingKind {
    /// All kinds, in the order in which they are reported.
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

    /// In lower case.
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

/// A file with something wrong in itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// Relative to the root.
    pub path: String,
    /// One clause.
    pub detail: String,
}

/// Images that are one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DuplicateGroup {
    /// [`FindingKind::Duplicate`] or [`FindingKind::Near`].
    pub kind: FindingKind,
    /// They stand in different splits.
    pub leak: bool,
    /// They stand in different classes.
    pub conflict: bool,
    /// Two at least. The first is the one to keep: of a test image, a validation image and a training image in this order, and then by
    /// path.
    pub members: Vec<Member>,
}

/// An image of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Relative to the root.
    pub path: String,
    /// Its class.
    pub class: String,
    /// Its split.
    #[serde(serialize_with = "split_name")]
    pub split: Split,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn split_name<S: Serializer>(split: &Split, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(split.name())
}

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    /// The folder.
    pub root: String,
    /// Files that were looked at.
    pub files: usize,
    /// Of those, images that can be decoded.
    pub images: usize,
    /// By kind and path.
    pub findings: Vec<Finding>,
    /// By kind and path of the first.
    pub groups: Vec<DuplicateGroup>,
    /// What else a person should know.
    pub warnings: Vec<String>,
    /// Images that could be converted, in order; with what that would take.
    #[serde(skip)]
    pub(crate) convertible: Vec<Convertible>,
}

/// An image that can be decoded.
#[derive(Clone, Debug)]
pub(crate) struct Convertible {
    pub(crate) path: String,
    /// An RGB JPEG that lies upright, with its longer side; others are never taken over as they are.
    pub(crate) plain: Option<u32>,
}

/// Looks at every file. `progress` is told of each.
#[must_use]
pub fn verify(dataset: &Dataset, options: &VerifyOptions, progress: &(impl Fn() + Sync)) -> VerifyReport {
    let decoding = DecodeOptions {
        orientation: dataset.options.orientation,
        limits: dataset.options.limits,
    };
    let scanned = dataset.samples.iter().map(|sample| &sample.path);
    let misnamed = misnamed::find(&dataset.root);
    let quarantined = dataset.quarantine.iter().map(|file| &file.path);
    let paths: Vec<&String> = scanned.chain(&misnamed).chain(quarantined).collect();
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
                    path: (*path).clone(),
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
    /// Files of `kind`, in groups those after the first.
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
