//! Socket files: created with their permissions, replaced if stale, removed at the end.

use std::{
    fs::{self, File, Permissions},
    io::{self, ErrorKind},
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixSocket};

/// Connections that the kernel queues until they are accepted.
pub(super) const BACKLOG: u32 = 1024;

/// A socket file of this process, removed when dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: a file that has replaced this one must not be removed.
    identity: (u64, u64),
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _gone_already = fs::remove_file(&self.path);
        }
    }
}

/// Listens on `path`, with permission bits `mode`.
///
/// A stale socket file, on which no process listens, is replaced: its server was killed.
///
/// # Errors
///
/// If another server listens there, if `path` is another kind of file, or if the system refuses.
pub(super) async fn bind(path: PathBuf, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    // Blocks while another process holds the lock.
    tokio::task::spawn_blocking(move || bind_locked(&path, mode)).await?
}

fn bind_locked(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    // If two servers find the same stale file at the same time, one must win and the other fail.
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let lock = File::open(folder)?;
    lock.lock()?;
    remove_if_stale(path)?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let file = SocketFile {
        path: path.to_owned(),
        identity: identity(path)?,
    };
    // Clients cannot connect before `listen`, so the permissions apply from the first moment.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok((socket.listen(BACKLOG)?, file))
}

fn remove_if_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => {
            let reason = "a file that is not a socket exists at this path";
            return Err(io::Error::new(ErrorKind::AlreadyExists, reason));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match UnixStream::connect(path) {
        Ok(_) => {
            let reason = "another server listens at this path";
            Err(io::Error::new(ErrorKind::AddrInUse, reason))
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            tracing::info!(socket = %path.display(), "replacing the stale socket of a server that has ended");
            fs::remove_file(path)
        }
        Err(error) => Err(error),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_file_is_replaced_and_removed_on_drop() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
        assert!(path.exists(), "a killed server leaves its file");
        let (listener, file) = bind(path.clone(), 0o600)
            .await
            .expect("a stale socket is replaced");
        assert_eq!(fs::metadata(&path).expect("a file").mode() & 0o777, 0o600);
        UnixStream::connect(&path).expect("a listener");
        drop((listener, file));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_live_socket_or_another_kind_of_file_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let first = bind(path.clone(), 0o600).await.expect("a free path");
        let error = bind(path.clone(), 0o600).await.expect_err("in use");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        UnixStream::connect(&path).expect("the first still listens");
        drop(first);
        fs::write(&path, "text").expect("a file");
        let error = bind(path.clone(), 0o600).await.expect_err("a file");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).expect("the file"), "text");
    }

    #[tokio::test]
    async fn a_file_that_replaced_the_socket_is_not_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let (_listener, file) = bind(path.clone(), 0o600).await.expect("a free path");
        let other = folder.path().join("other");
        fs::write(&other, "text").expect("a file");
        fs::rename(&other, &path).expect("replaced");
        drop(file);
        assert!(path.exists());
    }
}
