//! Deletes, moves and converts files.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use ::image::{ExtendedColorType, codecs::jpeg::JpegEncoder};
use rayon::prelude::*;
use serde::Serialize;

use super::{Convertible, FindingKind, VerifyReport, file_report::longer_side};
use equibatch_cli::files;
use equibatch_engine::{
    dataset::Dataset,
    decode::{DecodeOptions, decode, resized},
    header::Format,
    image::Image,
};

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

/// Why an output folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder is inside the data set, or contains it.
    #[error("{option} {}: must be outside of {}", folder.display(), root.display())]
    Inside {
        /// The flag that names it.
        option: &'static str,
        /// The folder.
        folder: PathBuf,
        /// The folder that is verified.
        root: PathBuf,
    },
    /// The folder is not empty.
    #[error("--out {}: the folder is not empty", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder cannot be read.
    #[error("cannot read {}", folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

/// Checks, before anything is changed, that output folders are outside of `root`, and that --out is empty.
///
/// # Errors
///
/// Every variant of [`Error`].
pub fn check_folders(root: &Path, fix_options: &FixOptions) -> Result<(), Error> {
    let outside = |option, folder: &Path| {
        let real = real(folder).map_err(|source| Error::Unreadable {
            folder: folder.to_owned(),
            source,
        })?;
        if real.starts_with(root) || root.starts_with(&real) {
            return Err(Error::Inside {
                option,
                folder: folder.to_owned(),
                root: root.to_owned(),
            });
        }
        Ok(())
    };
    if let Removal::Quarantine(folder) = &fix_options.removal {
        outside("--quarantine", folder)?;
    }
    if let Conversion::Out(folder) = &fix_options.conversion {
        outside("--out", folder)?;
        match fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
            Ok(false) => {}
            Ok(true) => {
                return Err(Error::NotEmpty {
                    folder: folder.clone(),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(Error::Unreadable {
                    folder: folder.clone(),
                    source,
                });
            }
        }
    }
    Ok(())
}

/// The canonical path; its last components may not exist yet.
fn real(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let mut missing = vec![];
    let mut there = path.as_path();
    loop {
        match there.canonicalize() {
            Ok(real) => return Ok(missing.iter().rev().fold(real, |path, part| path.join(part))),
            Err(error) => match (there.parent(), there.file_name()) {
                (Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
                    missing.push(name);
                    there = parent;
                }
                _ => return Err(error),
            },
        }
    }
}

/// Applies `fix_options` to the findings of `report`, which is of `dataset`. Temporary files that a killed call left while it converted images in
/// place are removed by the next such call. `progress` is called once per image written.
#[must_use]
pub fn fix(
    dataset: &Dataset,
    report: &VerifyReport,
    fix_options: &FixOptions,
    progress: &(impl Fn() + Sync),
) -> FixOutcome {
    let removed = removed(report, fix_options);
    let mut actions: Vec<Action> = removed
        .iter()
        .filter_map(|path| remove(&dataset.root, path, fix_options))
        .collect();
    if fix_options.conversion == Conversion::InPlace && !fix_options.dry_run {
        for folder in folders(report) {
            files::remove_temporary(&dataset.root.join(folder));
        }
    }
    let plan = plan(&dataset.root, report, &removed, fix_options);
    actions.par_extend(plan.par_iter().map(|task| {
        let action = task.run(dataset, fix_options);
        progress();
        action
    }));
    let remaining = remaining(report, &actions, fix_options);
    FixOutcome {
        dry_run: fix_options.dry_run,
        actions,
        remaining,
    }
}

/// The folders with images to convert, in which a killed call may have left temporary files.
fn folders(report: &VerifyReport) -> BTreeSet<&Path> {
    let images = report.convertible.iter();
    images
        .filter_map(|image| Path::new(&image.path).parent())
        .collect()
}

/// Paths of the files to remove.
fn removed<'a>(report: &'a VerifyReport, fix_options: &FixOptions) -> BTreeSet<&'a str> {
    let is_named = |kind| fix_options.kinds.contains(&kind) && kind != FindingKind::Unreadable;
    let alone = report.findings.iter().filter(|finding| is_named(finding.kind));
    let groups = report
        .groups
        .iter()
        .filter(|group| is_named(group.kind) && !group.conflict);
    let copies = groups.flat_map(|group| &group.members[1..]);
    alone
        .map(|finding| finding.path.as_str())
        .chain(copies.map(|member| member.path.as_str()))
        .collect()
}

fn remove(root: &Path, path: &str, fix_options: &FixOptions) -> Option<Action> {
    let from = root.join(path);
    let (kind, to, done) = match (&fix_options.removal, &fix_options.conversion) {
        (Removal::Keep, Conversion::Out(_)) => (ActionKind::LeftOut, None, Ok(())),
        (Removal::Keep, _) => return None,
        (_, _) if fix_options.dry_run => match &fix_options.removal {
            Removal::Quarantine(_) => (ActionKind::Moved, Some(path.to_owned()), Ok(())),
            _ => (ActionKind::Deleted, None, Ok(())),
        },
        (Removal::Delete, _) => (ActionKind::Deleted, None, files::remove(&from)),
        (Removal::Quarantine(folder), _) => (
            ActionKind::Moved,
            Some(path.to_owned()),
            files::relocate(&from, &folder.join(path)),
        ),
    };
    Some(Action {
        kind,
        path: path.to_owned(),
        to,
        error: done.err().map(|error| error.to_string()),
    })
}

/// An image to write.
struct WriteTask<'a> {
    image: &'a Convertible,
    to: String,
    /// Copy the bytes instead of re-encoding.
    as_is: bool,
}

/// The images to write and their unique target paths, none of which exists.
fn plan<'a>(
    root: &Path,
    report: &'a VerifyReport,
    removed: &BTreeSet<&str>,
    fix_options: &FixOptions,
) -> Vec<WriteTask<'a>> {
    let in_place = match fix_options.conversion {
        Conversion::Keep => return vec![],
        Conversion::InPlace => true,
        Conversion::Out(_) => false,
    };
    let images = || {
        report
            .convertible
            .iter()
            .filter(|image| !removed.contains(image.path.as_str()))
    };
    // Images that keep their names are reserved first. Lower case, since some file systems ignore case.
    let mut taken: HashSet<String> = images()
        .filter(|image| jpeg_name(&image.path) == image.path)
        .map(|image| image.path.to_lowercase())
        .collect();
    let mut tasks = vec![];
    for image in images() {
        let as_is = image
            .plain
            .is_some_and(|side| fix_options.max_side.is_none_or(|max_side| side <= max_side));
        let name = jpeg_name(&image.path);
        let to = if name == image.path {
            name
        } else {
            let is_free = |name: &String| {
                let is_there = in_place && root.join(name).symlink_metadata().is_ok();
                !is_there && !taken.contains(&name.to_lowercase())
            };
            let longer = format!("{}.jpg", image.path);
            let mut names = [name, longer].into_iter();
            // If even the longer name exists, writing fails with an error.
            let free = names
                .find(is_free)
                .unwrap_or_else(|| format!("{}.jpg", image.path));
            taken.insert(free.to_lowercase());
            free
        };
        if !(in_place && as_is && to == image.path) {
            tasks.push(WriteTask { image, to, as_is });
        }
    }
    tasks
}

/// The path with the extension of a JPEG: replaces that of another image format, and is appended otherwise.
fn jpeg_name(path: &str) -> String {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = path[name..].rfind('.').map(|dot| name + dot);
    let format = |dot: usize| Format::of_extension(&path[dot + 1..].to_ascii_lowercase());
    match dot.and_then(|dot| Some((dot, format(dot)?))) {
        Some((_, Format::Jpeg)) => path.to_owned(),
        Some((dot, _)) => format!("{}.jpg", &path[..dot]),
        None => format!("{path}.jpg"),
    }
}

impl WriteTask<'_> {
    fn run(&self, dataset: &Dataset, fix_options: &FixOptions) -> Action {
        let done = if fix_options.dry_run {
            Ok(())
        } else {
            self.write(dataset, fix_options)
        };
        Action {
            kind: if self.as_is {
                ActionKind::Copied
            } else {
                ActionKind::Converted
            },
            path: self.image.path.clone(),
            to: Some(self.to.clone()),
            error: done.err().map(|error| error.to_string()),
        }
    }

    fn write(&self, dataset: &Dataset, fix_options: &FixOptions) -> io::Result<()> {
        let from = dataset.root.join(&self.image.path);
        if let Conversion::Out(folder) = &fix_options.conversion {
            return files::create(&folder.join(&self.to), &self.bytes(&from, dataset, fix_options)?);
        }
        let to = dataset.root.join(&self.to);
        if to == from {
            files::replace(&to, &self.bytes(&from, dataset, fix_options)?)
        } else if self.as_is {
            files::relocate(&from, &to)
        } else {
            files::create(&to, &self.bytes(&from, dataset, fix_options)?)?;
            files::remove(&from)
        }
    }

    fn bytes(&self, from: &Path, dataset: &Dataset, fix_options: &FixOptions) -> io::Result<Vec<u8>> {
        let bytes = fs::read(from)?;
        if self.as_is {
            return Ok(bytes);
        }
        let options = DecodeOptions {
            orientation: dataset.options.orientation,
            limits: dataset.options.limits,
        };
        let image = decode(&bytes, &options).map_err(io::Error::other)?;
        jpeg(&shrunk(image, fix_options.max_side), fix_options.quality)
    }
}

/// Downscales the image so that its longer side is `max_side`, the shorter one rounded down; never enlarges.
fn shrunk(image: Image, max_side: Option<u32>) -> Image {
    let longer = longer_side(&image);
    match max_side {
        Some(max_side) if max_side < longer => {
            let scaled =
                |side: u32| (u64::from(side) * u64::from(max_side) / u64::from(longer)).max(1) as u32;
            resized(&image, (scaled(image.width()), scaled(image.height())))
        }
        _ => image,
    }
}

fn jpeg(image: &Image, quality: u8) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(
            image.pixels(),
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .map_err(io::Error::other)?;
    Ok(bytes)
}

fn remaining(report: &VerifyReport, actions: &[Action], fix_options: &FixOptions) -> usize {
    if fix_options.dry_run {
        return report.findings.len() + report.groups.len();
    }
    let done: BTreeMap<&str, ActionKind> = actions
        .iter()
        .filter(|action| action.error.is_none())
        .map(|action| (action.path.as_str(), action.kind))
        .collect();
    let is_gone = |path: &str| {
        matches!(
            done.get(path),
            Some(ActionKind::Deleted | ActionKind::Moved | ActionKind::LeftOut)
        )
    };
    let is_new = matches!(fix_options.conversion, Conversion::Out(_));
    let findings = report.findings.iter().filter(|finding| {
        let is_fixed = match finding.kind {
            FindingKind::Extension => done.contains_key(finding.path.as_str()),
            // Undecodable files are never written to an output folder.
            FindingKind::Broken | FindingKind::Refused | FindingKind::Unreadable => is_new,
            _ => false,
        };
        !is_fixed && !is_gone(&finding.path)
    });
    let groups = report.groups.iter().filter(|group| {
        let left = group.members.iter().filter(|member| !is_gone(&member.path));
        left.count() > 1
    });
    findings.count() + groups.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_a_jpeg_extension() {
        for (path, expected) in [
            ("a/b.jpg", "a/b.jpg"),
            ("a/b.JPEG", "a/b.JPEG"),
            ("a.b/c.Png", "a.b/c.jpg"),
            ("a.jpg/c", "a.jpg/c.jpg"),
            ("a/b.php", "a/b.php.jpg"),
            ("b.jpg:large", "b.jpg:large.jpg"),
        ] {
            assert_eq!(jpeg_name(path), expected);
        }
    }

    #[test]
    fn max_side_limits_the_longer_side_and_never_enlarges() {
        for ((width, height), max_side, expected) in [
            ((1000, 667), Some(500), (500, 333)),
            ((333, 501), Some(500), (332, 500)),
            ((9, 4000), Some(40), (1, 40)),
            ((40, 30), Some(500), (40, 30)),
            ((40, 30), None, (40, 30)),
        ] {
            let image = Image::new(width, height, vec![7; (width * height * 3) as usize]);
            let image = shrunk(image, max_side);
            assert_eq!((image.width(), image.height()), expected);
        }
    }
}
