//! Looks at every file of a root of class folders before anybody trains on it, and mends what it is told to mend.
//!
//! Every file is read whole and decoded as the server would decode it. What is found:
//!
//! | kind | is |
//! |---|---|
//! | [`Kind::Broken`] | no image: an error page, half a download, a format that is not read |
//! | [`Kind::Refused`] | an image over the server's limits |
//! | [`Kind::Unreadable`] | a file or a folder that the system does not let us read |
//! | [`Kind::Extension`] | an image whose name says another format than its content, or none that is read |
//! | [`Kind::Tiny`] | an image with a short side below a limit |
//! | [`Kind::Blank`] | an image of one colour, or nearly |
//! | [`Kind::Duplicate`] | files of equal bytes |
//! | [`Kind::Near`] | images that look the same: copies at another size, quality or brightness |
//!
//! Duplicates in two classes are a *conflict*, since one of the labels is wrong; duplicates in two splits are a *leak*, since the model is
//! then judged by what it has learnt from.
//!
//! # Layout
//!
//! `look` judges one file; `impression` is what an image looks like in 64 bits and a thumbnail, `nearby` finds hashes few bits apart
//! without comparing all with all, `twins` makes groups of both. `unseen` finds images by other names. `mend` deletes, moves and
//! converts. `text` is the report for people.

mod impression;
mod look;
mod mend;
mod nearby;
mod text;
mod twins;
mod unseen;

pub use mend::{Conversion, Deed, Error, Mending, Outcome, Removal, Verb, check_folders, mend};
pub use text::text;

use equibatch_engine::{
    dataset::{Dataset, Split, Warning},
    decode::DecodeOptions,
};
use rayon::prelude::*;
use serde::{Serialize, Serializer};

use crate::verify::look::Look;

/// What counts as a finding.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Short side, in pixels, below which an image is tiny.
    pub min_side: u32,
    /// Bits, of 64, in which the hashes of images that look the same may differ, at most [`Options::MAX_DISTANCE`]. None looks for equal
    /// bytes only.
    pub near: Option<u32>,
}

impl Options {
    /// Above it, hashes of pictures that have nothing to do with one another begin to meet, and looking takes long.
    pub const MAX_DISTANCE: u32 = 11;
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
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

impl Kind {
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
    pub kind: Kind,
    /// Relative to the root.
    pub path: String,
    /// One clause.
    pub detail: String,
}

/// Images that are one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// [`Kind::Duplicate`] or [`Kind::Near`].
    pub kind: Kind,
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
pub struct Report {
    /// The folder.
    pub root: String,
    /// Files that were looked at.
    pub files: usize,
    /// Of those, images that can be decoded.
    pub images: usize,
    /// By kind and path.
    pub findings: Vec<Finding>,
    /// By kind and path of the first.
    pub groups: Vec<Group>,
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
pub fn verify(dataset: &Dataset, options: &Options, progress: &(impl Fn() + Sync)) -> Report {
    let decoding = DecodeOptions {
        orientation: dataset.options.orientation,
        limits: dataset.options.limits,
    };
    let scanned = dataset.samples.iter().map(|sample| &*sample.path);
    let unseen = unseen::images(&dataset.root);
    let quarantined = dataset.quarantine.iter().map(|file| file.path.as_str());
    let paths: Vec<&str> = scanned
        .chain(unseen.iter().map(String::as_str))
        .chain(quarantined)
        .collect();
    let mut looks: Vec<Result<Look, Finding>> = paths
        .par_iter()
        .map(|path| {
            let look = look::at(&dataset.root, path, &decoding);
            progress();
            look
        })
        .collect();
    for (look, file) in looks.iter_mut().rev().zip(dataset.quarantine.iter().rev()) {
        look::trust_the_scan(look, file);
    }

    let mut findings = vec![];
    let mut convertible = vec![];
    for (path, look) in paths.iter().zip(&looks) {
        match look {
            Ok(look) => {
                findings.extend(look.findings(path, options));
                convertible.push(Convertible {
                    path: (*path).to_owned(),
                    plain: look.plain,
                });
            }
            Err(finding) => findings.push(finding.clone()),
        }
    }
    for warning in &dataset.warnings {
        if let Warning::Unreadable { folder, reason } = warning {
            findings.push(Finding {
                kind: Kind::Unreadable,
                path: folder.clone(),
                detail: reason.clone(),
            });
        }
    }
    findings.sort();
    Report {
        root: dataset.root.display().to_string(),
        files: paths.len(),
        images: convertible.len(),
        findings,
        groups: twins::groups(dataset, &looks[..dataset.samples.len()], options.near),
        warnings: dataset.warnings.iter().map(ToString::to_string).collect(),
        convertible,
    }
}

impl Report {
    /// Files of `kind`, in groups those after the first.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
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
