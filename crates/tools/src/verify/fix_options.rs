//! How to fix a data set, and what was done.

use std::{collections::BTreeSet, path::PathBuf};

use serde::Serialize;

use super::report::FindingKind;

/// What to do with files that have findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Keep them.
    Keep,
    /// Delete them.
    Delete,
    /// Move them into this folder, under their relative paths.
    Quarantine(PathBuf),
}

/// What to do with images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// Keep them as they are.
    Keep,
    /// Replace every image that is not an upright RGB JPEG within [`FixOptions::max_side`] and named so.
    InPlace,
    /// Write all images into this folder, under their relative paths: upright RGB JPEGs within [`FixOptions::max_side`] unchanged, all
    /// others re-encoded as such. The original is not modified.
    Out(PathBuf),
}

/// How to fix a data set.
#[derive(Clone, Debug)]
pub struct FixOptions {
    /// Treatment of files with findings of `kinds`.
    pub removal: Removal,
    /// Kinds of findings to remove, or to leave out of the output folder. Of duplicates all but the first; duplicates with conflicting
    /// labels and unreadable files are never removed.
    pub kinds: BTreeSet<FindingKind>,
    /// Treatment of the remaining images.
    pub conversion: Conversion,
    /// Longest side of converted images, in pixels; larger images are downscaled, smaller ones never enlarged.
    pub max_side: Option<u32>,
    /// JPEG quality, from 1 to 100.
    pub quality: u8,
    /// Report actions without carrying them out.
    pub dry_run: bool,
}

/// An action on a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Action {
    /// The kind of action.
    #[serde(rename = "deed")]
    pub kind: ActionKind,
    /// Path relative to the root.
    pub path: String,
    /// New path, relative to the output folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why the action failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Kinds of actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Deleted.
    Deleted,
    /// Moved to the quarantine folder.
    Moved,
    /// Not written to the output folder.
    LeftOut,
    /// Copied or renamed unchanged.
    Copied,
    /// Re-encoded.
    Converted,
}

/// The result of [`fix`].
#[derive(Clone, Debug, Serialize)]
pub struct FixOutcome {
    /// Whether the actions were only reported.
    pub dry_run: bool,
    /// All actions.
    #[serde(rename = "deeds")]
    pub actions: Vec<Action>,
    /// Number of findings and groups that remain, in the output folder if there is one.
    pub remaining: usize,
}
