//! Files that appear whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use tempfile::{Builder, NamedTempFile};

/// A file without a name that anybody reads, in the folder where it is to appear.
///
/// # Errors
///
/// What the system says.
pub fn unnamed(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    // A name with a dot in front is passed over by every scan.
    builder.prefix(".equibatch-").suffix(".part");
    #[cfg(unix)]
    {
        // As every other program's new files, less what the process's mask says.
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Writes a new file; its folder is made where it is missing.
///
/// # Errors
///
/// What the system says; [`io::ErrorKind::AlreadyExists`] where there is a file of that name, which stays as it is.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = written(path, bytes)?;
    file.persist_noclobber(path)
        .map(drop)
        .map_err(|error| error.error)
}

/// Writes a file in place of the one that has its name, if any.
///
/// # Errors
///
/// What the system says; the old file is then as it was.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = written(path, bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

fn written(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let mut file = unnamed(folder)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Moves a file, to another file system if need be; the folder that it goes to is made where it is missing.
///
/// # Errors
///
/// What the system says; [`io::ErrorKind::AlreadyExists`] where there is a file of the new name. The old file is then as it was.
pub fn relocate(from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    // Unlike a renaming, a link never takes the place of another file.
    match fs::hard_link(from, to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) => {
            let mut copy = unnamed(folder)?;
            io::copy(&mut File::open(from)?, &mut copy)?;
            copy.persist_noclobber(to).map_err(|error| error.error)?;
        }
    }
    fs::remove_file(from)
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
    fn a_new_file_never_takes_the_place_of_another() {
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
    fn a_moved_file_never_takes_the_place_of_another() {
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
    fn a_new_file_is_as_open_as_any_other() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (ours, other) = (folder.path().join("ours"), folder.path().join("other"));
        create(&ours, b"x").unwrap();
        fs::write(&other, b"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&other));
    }
}
