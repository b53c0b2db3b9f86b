//! Lists the files of class folders.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirEntry, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::layout::{FolderRole, SplitSource, roles};
use super::{LinkFault, Quarantined, Sample, Samples, Split, Warning};
use crate::header::Format;

/// A folder of images of one class.
#[derive(Clone, Debug)]
pub(super) struct ClassFolder {
    pub(super) path: String,
    pub(super) split_source: SplitSource,
}

impl ClassFolder {
    /// The class name, which is the name of the folder.
    pub(super) fn class(&self) -> &str {
        self.path
            .rsplit('/')
            .next()
            .expect("a split has at least one part")
    }
}

/// The result of a walk. Files are not opened.
#[derive(Debug, Default)]
pub(super) struct Walk {
    root: PathBuf,
    /// Image files in class folders: `class` is an index into `class_folders`, `width` and `height` are 0, and `split` is not assigned. The list
    /// becomes that of the samples: with millions of files, there is no memory for a second one.
    pub(super) found: Samples,
    pub(super) class_folders: Vec<ClassFolder>,
    pub(super) quarantine: Vec<Quarantined>,
    pub(super) warnings: Vec<Warning>,
    pub(super) stray: usize,
    /// Images of unsupported formats in class folders: name of the format, and path.
    pub(super) unsupported: Vec<(&'static str, String)>,
}

/// A folder being read: its path relative to the root, and its real path.
#[derive(Clone, Debug)]
struct Folder {
    path: String,
    real: PathBuf,
}

impl Folder {
    /// The path of its entry `name`, without spare capacity.
    fn below(&self, name: &str) -> String {
        let mut path = String::with_capacity(self.path.len() + 1 + name.len());
        if !self.path.is_empty() {
            path.push_str(&self.path);
            path.push('/');
        }
        path.push_str(name);
        path
    }
}

/// The contents of a folder. Images are only counted, since there may be many.
#[derive(Default)]
struct Entries {
    /// Folders, then links to folders, each by name.
    folders: Vec<Entry>,
    images: usize,
}

struct Entry {
    is_link: bool,
    folder: Folder,
}

enum FileKind {
    Folder,
    /// An image of an unsupported format, with the format's name.
    Unsupported(&'static str),
    Image {
        bytes: u64,
        modified: SystemTime,
    },
}

/// Walks the class folders of `root`, which must be a canonical path.
///
/// # Errors
///
/// If the root itself cannot be listed.
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
            FolderRole::Class(split_source) => walk.class(folder, split_source, &[&root]),
            FolderRole::Classes(split_source) => walk.classes(folder, split_source, &root),
            FolderRole::Ignored => walk.warnings.push(Warning::IgnoredFolder {
                folder: folder.path.clone(),
            }),
        }
    }
    Ok(walk)
}

impl Walk {
    /// The folders in `folder`; counts images in it as stray.
    fn folders(&mut self, folder: &Folder) -> io::Result<Vec<Folder>> {
        let entries = self.entries(folder, None)?;
        let count = entries.images;
        if count > 0 {
            let path = if folder.path.is_empty() { "." } else { &folder.path };
            self.warnings.push(Warning::StrayImages {
                folder: path.to_owned(),
                count,
            });
            self.stray += count;
        }
        Ok(entries.folders.into_iter().map(|entry| entry.folder).collect())
    }

    fn classes(&mut self, split: &Folder, split_source: SplitSource, root: &Folder) {
        match self.folders(split) {
            Ok(folders) => folders
                .iter()
                .for_each(|folder| self.class(folder, split_source, &[root, split])),
            Err(error) => self.unreadable(split, &error),
        }
    }

    fn class(&mut self, folder: &Folder, split_source: SplitSource, above: &[&Folder]) {
        let class = u32::try_from(self.class_folders.len()).expect("fewer than 2^32 folders");
        self.class_folders.push(ClassFolder {
            path: folder.path.clone(),
            split_source,
        });
        let mut read: HashSet<PathBuf> = above.iter().map(|folder| folder.real.clone()).collect();
        read.insert(folder.real.clone());
        let mut pending = vec![folder.clone()];
        while let Some(folder) = pending.pop() {
            let before = (self.found.len(), self.unsupported.len());
            let entries = match self.entries(&folder, Some(class)) {
                Ok(entries) => entries,
                Err(error) => {
                    self.found.truncate(before.0);
                    self.unsupported.truncate(before.1);
                    self.unreadable(&folder, &error);
                    continue;
                }
            };
            for Entry { is_link, folder } in entries.folders {
                if read.insert(folder.real.clone()) {
                    pending.push(folder);
                } else if is_link {
                    self.link(folder.path, LinkFault::AlreadyRead);
                }
                // Otherwise a link has led to it before.
            }
        }
    }

    /// The folders in `folder` that are not hidden, with links resolved. If it belongs to the class folder `class`, its images are added to `found`.
    fn entries(&mut self, folder: &Folder, class: Option<u32>) -> io::Result<Entries> {
        let mut entries = Entries::default();
        for entry in fs::read_dir(&folder.real)? {
            let entry = entry?;
            let Some(name) = self.name(folder, &entry) else {
                continue;
            };
            let path = folder.below(&name);
            let is_link = entry.file_type()?.is_symlink();
            let Some(real) = self.resolve(&path, folder.real.join(&name), is_link) else {
                continue;
            };
            let metadata = match fs::metadata(&real) {
                // The folder can be listed, but its entries cannot be accessed.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_link => {
                    return Err(error);
                }
                metadata => metadata,
            };
            match (self.kind(&path, metadata), class) {
                (Some(FileKind::Folder), _) => entries.folders.push(Entry {
                    is_link,
                    folder: Folder { path, real },
                }),
                (Some(FileKind::Image { bytes, modified }), Some(class)) => self.found.push(Sample {
                    path: path.into(),
                    class,
                    split: Split::Train,
                    bytes,
                    modified,
                    width: 0,
                    height: 0,
                }),
                (Some(FileKind::Image { .. }), None) => entries.images += 1,
                (Some(FileKind::Unsupported(format)), Some(_)) => self.unsupported.push((format, path)),
                (Some(FileKind::Unsupported(_)), None) | (None, _) => {}
            }
        }
        let folders = &mut entries.folders;
        folders.sort_by(|a, b| (a.is_link, &a.folder.path).cmp(&(b.is_link, &b.folder.path)));
        Ok(entries)
    }

    /// The entry's name; `None` if it is hidden, or not UTF-8 and then quarantined.
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
            self.quarantine(folder.below(&lossy), "the name is not UTF-8");
        }
        None
    }

    /// The path `real` with links resolved, if it is inside the root.
    fn resolve(&mut self, path: &str, real: PathBuf, is_link: bool) -> Option<PathBuf> {
        if !is_link {
            return Some(real);
        }
        let fault = match fs::canonicalize(&real) {
            Ok(target) if target.starts_with(&self.root) => return Some(target),
            Ok(_) => LinkFault::LeavesRoot,
            Err(_) => LinkFault::LeadsNowhere,
        };
        self.link(path.to_owned(), fault);
        None
    }

    fn kind(&mut self, path: &str, metadata: io::Result<Metadata>) -> Option<FileKind> {
        let reason = match metadata {
            Ok(metadata) if metadata.is_dir() => return Some(FileKind::Folder),
            Ok(metadata) if metadata.is_file() && !is_image(path) => {
                return unsupported(path).map(FileKind::Unsupported);
            }
            _ if !is_image(path) => return None,
            Ok(metadata) if metadata.is_file() => match metadata.modified() {
                Ok(modified) => {
                    let bytes = metadata.len();
                    return Some(FileKind::Image { bytes, modified });
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

/// The name of the format, if the extension is that of an unsupported one.
fn unsupported(name: &str) -> Option<&'static str> {
    let extension = extension(name)?;
    let format = Format::UNSUPPORTED.iter().find(|(known, _)| *known == extension);
    format.map(|(_, format)| *format)
}

fn extension(name: &str) -> Option<String> {
    name.rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase())
}
