//! Deletes, moves and converts what it is told to.

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

/// What becomes of files with findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// They stay.
    Keep,
    /// They are deleted.
    Delete,
    /// They are moved into this folder, under the paths that they had.
    Quarantine(PathBuf),
}

/// What becomes of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// They stay.
    Keep,
    /// Those that are no upright RGB JPEG within [`FixOptions::max_side`], or do not say so in their name, are replaced by one.
    InPlace,
    /// All go into this folder, under the paths that they had: upright RGB JPEGs within [`FixOptions::max_side`] as they are, byte for byte,
    /// all others as such a JPEG. Nothing else is touched.
    Out(PathBuf),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct FixOptions {
    /// To files with findings of `kinds`.
    pub removal: Removal,
    /// What is removed, or left out of the folder that images are converted into. Of duplicates, all but the first; never those of two
    /// classes, since nobody knows which label is right. Never what the system does not let us read.
    pub kinds: BTreeSet<FindingKind>,
    /// To images that stay.
    pub conversion: Conversion,
    /// Longest side of converted images; larger ones are shrunk, smaller ones never enlarged.
    pub max_side: Option<u32>,
    /// Quality of JPEGs, from 1 to 100.
    pub quality: u8,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// Something that was done, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Action {
    /// What.
    #[serde(rename = "deed")]
    pub kind: ActionKind,
    /// Relative to the root.
    pub path: String,
    /// The new path, below the folder that it was moved or written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why it could not be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What can be done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// It is gone.
    Deleted,
    /// It lies in the quarantine.
    Moved,
    /// It is not in the new folder.
    LeftOut,
    /// It is in the new folder as it was.
    Copied,
    /// It was written anew.
    Converted,
}

/// What was done.
#[derive(Clone, Debug, Serialize)]
pub struct FixOutcome {
    /// Whether it was only said.
    pub dry_run: bool,
    /// All deeds.
    #[serde(rename = "deeds")]
    pub actions: Vec<Action>,
    /// Findings and groups that are still there; with a new folder, that are there.
    pub remaining: usize,
}

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is moved or written there would be read as part of the data set.
    #[error("{option} {}: it must lie outside of {}", folder.display(), root.display())]
    Inside {
        /// Which option named it.
        option: &'static str,
        /// The folder.
        folder: PathBuf,
        /// The folder that is verified.
        root: PathBuf,
    },
    /// It already holds something.
    #[error("--out {}: the folder is not empty", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// It cannot be looked at.
    #[error("cannot read {}", folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Makes sure, before anything is done, that folders to write to hold nothing and lie beside the root.
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

/// The path without links; its last parts may not be there yet.
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

/// Does what `fix_options` says about `report`, which is of `dataset`. `progress` is told of each image converted.
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

/// Paths that are not to be among the images.
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
    /// It is written as it is.
    as_is: bool,
}

/// Which images are written, and where to: no two to one place, none in place of another.
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
    // Images that keep their names have the first claim to them. Some file systems hold `A` and `a` for one name.
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
            // The longer one is free but where somebody has made a riddle of it; writing then says so.
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

/// The path with the extension of a JPEG, in place of another format's or behind all else.
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

/// The image with its longer side `max_side`, the shorter one rounded down; never larger than it is.
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
            // What cannot be decoded is in no new folder.
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
    fn names_become_those_of_jpegs() {
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
    fn the_longer_side_is_the_limit_and_nothing_is_enlarged() {
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
