//! Atomic, durable file writes: to a temporary file in the same folder, then `fsync`, rename, and `fsync` of the folder.
//!
//! After a kill or a power failure, either the old file or the new one is complete on disk. When a function returns, its effect is durable.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile};

/// Prefix and suffix of temporary files. Scans of a data set skip names that start with a dot.
const PREFIX: &str = ".equibatch-";
const SUFFIX: &str = ".part";

/// A file or folder cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct WriteError {
    /// The file or folder.
    pub path: PathBuf,
    /// The I/O error.
    pub source: io::Error,
}

/// Adds `path`, which cannot be written, to an I/O error.
pub fn cannot_write(path: &Path) -> impl Fn(io::Error) -> WriteError {
    move |source| WriteError {
        path: path.to_path_buf(),
        source,
    }
}

/// [`replace`]s a file.
///
/// # Errors
///
/// If that fails; an existing file is then unchanged.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    replace(path, bytes).map_err(cannot_write(path))
}

/// Creates a temporary file in `folder`, which is deleted on drop.
///
/// # Errors
///
/// If the file cannot be created.
pub fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    {
        // The default mode of new files, so that the umask applies.
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Whether `name` is that of a temporary file of this module, which a killed process may have left behind.
#[must_use]
pub fn is_temporary(name: &str) -> bool {
    let random = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX));
    random.is_some_and(|random| !random.is_empty() && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Deletes the temporary files of this module in `folder`, which a killed process has left: regular files only, and not in the folders in it.
/// Nothing is lost with one: a file that it was to replace goes only when the new one has its name. A process that still writes one fails, and
/// leaves the old file as it was. What cannot be deleted stays.
pub fn remove_temporary(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(is_temporary);
        // Of a link itself, not of what it leads to.
        if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let _stays = fs::remove_file(entry.path());
        }
    }
}

/// Writes a new file, and creates missing parent folders.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] if `path` exists, which is then unchanged; otherwise any I/O error.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path)?;
    create_folder(folder)?;
    publish(write_temporary(folder, bytes)?, path)
}

/// Writes a file, and replaces an existing one, whose permissions are kept. A path that is not a regular file (a pipe, a device) is written
/// to, not replaced.
///
/// # Errors
///
/// Any I/O error; an existing file is then unchanged.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, |file| file.write_all(bytes))
}

/// [`replace`] with what `write` writes.
///
/// # Errors
///
/// Any I/O error; an existing file is then unchanged.
pub fn replace_with(path: &Path, write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> io::Result<()> {
    let old = fs::metadata(path).ok();
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        return write(&mut File::create(path)?);
    }
    let folder = folder_of(path)?;
    let mut file = temporary(folder)?;
    write(&mut file)?;
    if let Some(old) = old {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// Makes `to` a hard link to `from`, or a copy if the file system has no hard links, and replaces an existing `to`. Afterwards both may be
/// replaced but not written to in place.
///
/// # Errors
///
/// Any I/O error; an existing `to` is then unchanged.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    let folder = folder_of(to)?;
    let free = temporary(folder)?.into_temp_path();
    fs::remove_file(&free)?;
    if fs::hard_link(from, &free).is_err() {
        return replace(to, &fs::read(from)?);
    }
    free.persist(to).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// Moves a file, also across file systems, and creates missing parent folders. `from` is deleted once `to` is durable.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] if `to` exists; otherwise any I/O error. `from` is then unchanged.
pub fn relocate(from: &Path, to: &Path) -> io::Result<()> {
    let folder = folder_of(to)?;
    create_folder(folder)?;
    // Unlike `rename`, `link` fails if the target exists.
    match fs::hard_link(from, to) {
        Ok(()) => sync_folder(folder)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) => {
            let mut copy = temporary(folder)?;
            io::copy(&mut File::open(from)?, &mut copy)?;
            publish(copy, to)?;
        }
    }
    remove(from)
}

/// Deletes a file durably.
///
/// # Errors
///
/// Any I/O error.
pub fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync_folder(folder_of(path)?)
}

/// Creates a folder and its missing parents durably. Returns the created folders, the innermost first.
///
/// # Errors
///
/// Any I/O error.
pub fn create_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let missing = folder.ancestors().take_while(is_missing);
    let missing: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
    fs::create_dir_all(folder)?;
    missing
        .iter()
        .try_for_each(|made| sync_folder(folder_of(made)?))?;
    Ok(missing)
}

/// Deletes empty folders in the order given, up to the first that cannot be deleted.
pub fn remove_empty(folders: &[PathBuf]) {
    let _first_error = folders.iter().try_for_each(fs::remove_dir);
}

fn folder_of(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn write_temporary(folder: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = temporary(folder)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Syncs a temporary file and renames it to `path`, which must not exist.
fn publish(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    sync_folder(folder_of(path)?)
}

/// Syncs a folder, so that renames in it are durable. Does nothing on systems without it.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn create_never_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.jpg");
        create(&path, b"first").unwrap();
        let error = create(&path, b"second").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        replace(&path, b"third").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third");
        assert_eq!(names(path.parent().unwrap()), ["b.jpg"]);
    }

    #[test]
    fn a_link_replaces_its_target_and_is_independent_of_later_replacements() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for text in ["first", "second"] {
            replace(&from, text.as_bytes()).unwrap();
            link(&from, &to).unwrap();
            assert_eq!(fs::read(&to).unwrap(), text.as_bytes());
        }
        replace(&from, b"third").unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["from", "to"]);
    }

    #[cfg(unix)]
    #[test]
    fn only_temporary_files_of_this_module_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (_, left) = temporary(folder.path()).unwrap().keep().unwrap();
        assert!(is_temporary(left.file_name().unwrap().to_str().unwrap()));
        let others = [
            ".equibatch-.part",
            ".equibatch-my notes.part",
            ".equibatch-abc123",
            "x.part",
        ];
        for name in others {
            fs::write(path(name), "mine").unwrap();
        }
        fs::create_dir(path(".equibatch-folder.part")).unwrap();
        fs::write(path(".equibatch-folder.part/.equibatch-inner1.part"), "mine").unwrap();
        std::os::unix::fs::symlink(path("x.part"), path(".equibatch-link12.part")).unwrap();
        let before = names(folder.path());
        remove_temporary(folder.path());
        remove_temporary(&path("missing"));
        let after = names(folder.path());
        let left = left.file_name().unwrap().to_str().unwrap();
        let kept: Vec<_> = before.into_iter().filter(|name| name != left).collect();
        assert_eq!(after, kept);
        assert!(path(".equibatch-folder.part/.equibatch-inner1.part").exists());
    }

    #[test]
    fn a_failed_replacement_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("is a folder");
        fs::create_dir(&path).unwrap();
        replace(&path, b"new").unwrap_err();
        replace(&folder.path().join("missing/file"), b"new").unwrap_err();
        assert_eq!(names(folder.path()), ["is a folder"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_is_not_replaced() {
        use std::os::unix::{fs::FileTypeExt as _, net::UnixListener};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        replace(&path, b"new").unwrap_err();
        assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("private");
        create(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn relocate_never_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("c/b"));
        fs::write(&from, b"first").unwrap();
        relocate(&from, &to).unwrap();
        assert_eq!(names(folder.path()), ["c"]);
        fs::write(&from, b"second").unwrap();
        assert_eq!(
            relocate(&from, &to).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(
            (fs::read(&from).unwrap(), fs::read(&to).unwrap()),
            (b"second".to_vec(), b"first".to_vec())
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_has_the_default_permissions() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (ours, other) = (folder.path().join("ours"), folder.path().join("other"));
        create(&ours, b"x").unwrap();
        fs::write(&other, b"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&other));
    }
}
