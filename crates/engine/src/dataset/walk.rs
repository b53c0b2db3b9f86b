//! The files below class folders.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirEntry, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::layout::{Place, Role, roles};
use super::{LinkFault, Quarantined, Warning};
use crate::header::Format;

/// An image file in a class folder, not yet opened.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) path: String,
    pub(super) class: String,
    pub(super) place: Place,
    pub(super) bytes: u64,
    pub(super) modified: SystemTime,
}

/// What a walk gathers. Nothing is opened but folders.
#[derive(Debug, Default)]
pub(super) struct Walk {
    root: PathBuf,
    pub(super) found: Vec<Found>,
    /// Class folders, as paths.
    pub(super) class_folders: Vec<String>,
    pub(super) quarantine: Vec<Quarantined>,
    pub(super) warnings: Vec<Warning>,
    pub(super) stray: usize,
    /// Images in class folders whose format is not read: the format's name, and the path.
    pub(super) unsupported: Vec<(&'static str, String)>,
}

/// A folder being read: its path below the root, and where it really lies.
#[derive(Clone, Debug)]
struct Folder {
    path: String,
    real: PathBuf,
}

struct Entry {
    path: String,
    name: String,
    real: PathBuf,
    is_link: bool,
    kind: Kind,
}

enum Kind {
    Folder,
    /// An image of a format that is not read, by its name.
    Unsupported(&'static str),
    Image {
        bytes: u64,
        modified: SystemTime,
    },
}

/// Walks the class folders of `root`, which is absolute and without links.
///
/// # Errors
///
/// Where the root itself cannot be listed.
pub(super) fn walk(root: &Path) -> io::Result<Walk> {
    let mut walk = Walk {
        root: root.to_owned(),
        ..Walk::default()
    };
    let root = Folder {
        path: String::new(),
        real: root.to_owned(),
    };
    let folders = walk.folders(&root)?;
    let names: Vec<&str> = folders.iter().map(|folder| folder.path.as_str()).collect();
    for ((_, role), folder) in roles(&names).into_iter().zip(&folders) {
        match role {
            Role::Class(place) => walk.class(folder, place, &[&root]),
            Role::Classes(place) => walk.classes(folder, place, &root),
            Role::Ignored => walk.warnings.push(Warning::IgnoredFolder {
                folder: folder.path.clone(),
            }),
        }
    }
    Ok(walk)
}

impl Walk {
    /// The folders in `folder`; images in it are stray.
    fn folders(&mut self, folder: &Folder) -> io::Result<Vec<Folder>> {
        let entries = self.entries(folder)?;
        let is_image = |entry: &&Entry| matches!(entry.kind, Kind::Image { .. });
        let count = entries.iter().filter(is_image).count();
        if count > 0 {
            let path = if folder.path.is_empty() { "." } else { &folder.path };
            self.warnings.push(Warning::StrayImages {
                folder: path.to_owned(),
                count,
            });
            self.stray += count;
        }
        let folders = entries
            .into_iter()
            .filter(|entry| matches!(entry.kind, Kind::Folder));
        Ok(folders
            .map(|entry| Folder {
                path: entry.path,
                real: entry.real,
            })
            .collect())
    }

    fn classes(&mut self, split: &Folder, place: Place, root: &Folder) {
        match self.folders(split) {
            Ok(folders) => folders
                .iter()
                .for_each(|folder| self.class(folder, place, &[root, split])),
            Err(error) => self.unreadable(split, &error),
        }
    }

    fn class(&mut self, folder: &Folder, place: Place, above: &[&Folder]) {
        let class = folder
            .path
            .rsplit('/')
            .next()
            .expect("a split has at least one part")
            .to_owned();
        self.class_folders.push(folder.path.clone());
        let mut read: HashSet<PathBuf> = above.iter().map(|folder| folder.real.clone()).collect();
        read.insert(folder.real.clone());
        let mut pending = vec![folder.clone()];
        while let Some(folder) = pending.pop() {
            let entries = match self.entries(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    self.unreadable(&folder, &error);
                    continue;
                }
            };
            for Entry {
                path,
                real,
                kind,
                is_link,
                ..
            } in entries
            {
                match kind {
                    Kind::Image { bytes, modified } => {
                        self.found.push(Found {
                            path,
                            class: class.clone(),
                            place,
                            bytes,
                            modified,
                        });
                    }
                    Kind::Unsupported(format) => self.unsupported.push((format, path)),
                    Kind::Folder if read.insert(real.clone()) => pending.push(Folder { path, real }),
                    Kind::Folder if is_link => self.link(path, LinkFault::AlreadyRead),
                    // A folder that a link led to before it was met itself.
                    Kind::Folder => {}
                }
            }
        }
    }

    /// Visible folders and images in `folder`, links resolved; those that are not links first, each part by name.
    fn entries(&mut self, folder: &Folder) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&folder.real)? {
            let entry = entry?;
            let Some(name) = self.name(folder, &entry) else {
                continue;
            };
            let path = if folder.path.is_empty() {
                name.clone()
            } else {
                format!("{}/{name}", folder.path)
            };
            let is_link = entry.file_type()?.is_symlink();
            let Some(real) = self.resolve(&path, &folder.real.join(&name), is_link) else {
                continue;
            };
            let kind = match fs::metadata(&real) {
                // The folder can be listed, but nothing in it can be reached.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_link => {
                    return Err(error);
                }
                metadata => self.kind(&path, &name, metadata),
            };
            let Some(kind) = kind else { continue };
            entries.push(Entry {
                path,
                name,
                real,
                is_link,
                kind,
            });
        }
        entries.sort_by(|a, b| (a.is_link, &a.name).cmp(&(b.is_link, &b.name)));
        Ok(entries)
    }

    /// The entry's name, unless it is hidden; a name that is not UTF-8 is quarantined.
    fn name(&mut self, folder: &Folder, entry: &DirEntry) -> Option<String> {
        let name: OsString = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            return None;
        }
        let lossy = match name.into_string() {
            Ok(name) => return Some(name),
            Err(name) => name.to_string_lossy().into_owned(),
        };
        if is_image(&lossy) || entry.file_type().is_ok_and(|kind: FileType| kind.is_dir()) {
            let path = if folder.path.is_empty() {
                lossy
            } else {
                format!("{}/{lossy}", folder.path)
            };
            self.quarantine(path, "the name is not UTF-8");
        }
        None
    }

    /// Where `real` lies without links, if inside the root.
    fn resolve(&mut self, path: &str, real: &Path, is_link: bool) -> Option<PathBuf> {
        if !is_link {
            return Some(real.to_owned());
        }
        let fault = match fs::canonicalize(real) {
            Ok(target) if target.starts_with(&self.root) => return Some(target),
            Ok(_) => LinkFault::LeavesRoot,
            Err(_) => LinkFault::LeadsNowhere,
        };
        self.link(path.to_owned(), fault);
        None
    }

    fn kind(&mut self, path: &str, name: &str, metadata: io::Result<Metadata>) -> Option<Kind> {
        let reason = match metadata {
            Ok(metadata) if metadata.is_dir() => return Some(Kind::Folder),
            Ok(metadata) if metadata.is_file() && !is_image(name) => {
                return unsupported(name).map(Kind::Unsupported);
            }
            _ if !is_image(name) => return None,
            Ok(metadata) if metadata.is_file() => match metadata.modified() {
                Ok(modified) => {
                    let bytes = metadata.len();
                    return Some(Kind::Image { bytes, modified });
                }
                Err(error) => error.to_string(),
            },
            Ok(_) => "not a regular file".to_owned(),
            Err(error) => error.to_string(),
        };
        self.quarantine(path.to_owned(), &reason);
        None
    }

    fn link(&mut self, path: String, fault: LinkFault) {
        if is_image(&path) {
            self.quarantine(path, &fault.to_string());
        } else {
            self.warnings.push(Warning::Link { path, fault });
        }
    }

    fn quarantine(&mut self, path: String, reason: &str) {
        self.quarantine.push(Quarantined {
            path,
            reason: reason.to_owned(),
        });
    }

    fn unreadable(&mut self, folder: &Folder, error: &io::Error) {
        let warning = Warning::Unreadable {
            folder: folder.path.clone(),
            reason: error.to_string(),
        };
        self.warnings.push(warning);
    }
}

fn is_image(name: &str) -> bool {
    extension(name).is_some_and(|extension| Format::EXTENSIONS.contains(&extension.as_str()))
}

/// The name of the format, where the extension says one that is not read.
fn unsupported(name: &str) -> Option<&'static str> {
    let extension = extension(name)?;
    let format = Format::UNSUPPORTED.iter().find(|(known, _)| *known == extension);
    format.map(|(_, format)| *format)
}

fn extension(name: &str) -> Option<String> {
    name.rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase())
}
