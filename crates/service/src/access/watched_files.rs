//! Values read from files, reloaded when the files change.

use std::{
    fmt, fs,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use tokio::sync::watch;

/// Poll interval.
const INTERVAL: Duration = Duration::from_secs(1);

/// Files that a value is read from.
pub(crate) trait Source: Clone + Send + Sync + 'static {
    /// The parsed value.
    type Value: Send + Sync + 'static;
    /// Why the files cannot be used.
    type Error: std::error::Error;
    /// The value's name in the log.
    const NAME: &'static str;

    /// The paths.
    fn paths(&self) -> Vec<&Path>;

    /// Reads and parses the files.
    fn read(&self) -> Result<Self::Value, Self::Error>;

    /// Called before `new` replaces `old`.
    fn replace(_new: &mut Self::Value, _old: &Self::Value) {}
}

/// The last value that was read without an error. Cheap to clone.
pub(crate) struct Watched<S: Source>(Arc<Shared<S>>);

struct Shared<S: Source> {
    source: RwLock<S>,
    value: RwLock<S::Value>,
}

impl<S: Source> Clone for Watched<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Source> fmt::Debug for Watched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(S::NAME).field(&self.source().paths()).finish()
    }
}

/// Metadata of all files; differs after every change that alters a file's time, length or inode.
type Stamp = Vec<Option<FileStamp>>;

/// Modification time, length, device and inode, and change time (ctime), which no program can set.
type FileStamp = (SystemTime, u64, (u64, u64), (i64, i64));

/// The metadata seen by a poll.
#[derive(Clone, Default)]
struct PollState {
    /// At the last poll.
    last: Option<Stamp>,
    /// When the files were last read.
    read: Option<Stamp>,
}

impl<S: Source> Watched<S> {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// If they cannot be used.
    pub(super) fn load(source: S) -> Result<Self, S::Error> {
        let value = source.read()?;
        Ok(Self(Arc::new(Shared {
            source: RwLock::new(source),
            value: RwLock::new(value),
        })))
    }

    /// Calls `read` with the current value.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&S::Value) -> T) -> T {
        read(&self.0.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the paths; they are read at the next poll.
    pub(super) fn set(&self, source: S) {
        *self.0.source.write().unwrap_or_else(PoisonError::into_inner) = source;
    }

    /// Reloads the files when one of them has changed, and when `reload_requested` changes; never returns. If they cannot be used, the last value
    /// stays in force.
    pub(super) async fn follow(self, mut reload_requested: watch::Receiver<()>) {
        // Not the metadata of the initial load: a change in between would be missed.
        let mut seen = PollState::default();
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_requested = tokio::select! {
                _ = ticks.tick() => false,
                changed = reload_requested.changed() => changed.is_ok(),
            };
            let (this, before) = (self.clone(), seen.clone());
            let looked = tokio::task::spawn_blocking(move || this.poll(&before, is_requested)).await;
            seen = looked.unwrap_or(seen);
        }
    }

    /// Reloads the files if their metadata differs from that of the last read, or `is_requested`; but not while they are being written: a file
    /// written in place is short or empty for a moment, and the tokens that it lacks then must not be revoked.
    fn poll(&self, seen: &PollState, is_requested: bool) -> PollState {
        let source = self.source();
        let stamps = || source.paths().into_iter().map(stamp).collect::<Stamp>();
        let found = stamps();
        let is_stable = seen.last.as_ref() == Some(&found);
        let is_new = seen.read.as_ref() != Some(&found);
        let mut read = seen.read.clone();
        if is_requested || is_new && (is_stable || read.is_none()) {
            let value = source.read();
            // If they changed meanwhile, the next poll reads them again.
            if stamps() == found {
                match value {
                    Ok(value) => self.change(value, read.is_some()),
                    Err(error) => {
                        let error = chain(&error);
                        tracing::error!(
                            error,
                            "cannot reload the {}: the earlier ones stay in force",
                            S::NAME
                        );
                    }
                }
                read = Some(found.clone());
            }
        }
        PollState {
            last: Some(found),
            read,
        }
    }

    fn change(&self, mut value: S::Value, is_news: bool) {
        let mut current = self.0.value.write().unwrap_or_else(PoisonError::into_inner);
        S::replace(&mut value, &current);
        *current = value;
        if is_news {
            tracing::info!("{} reloaded", S::NAME);
        }
    }

    fn source(&self) -> S {
        self.0
            .source
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn stamp(path: &Path) -> Option<FileStamp> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path).ok()?;
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    Some((
        metadata.modified().ok()?,
        metadata.len(),
        (metadata.dev(), metadata.ino()),
        changed,
    ))
}

/// An error and its sources in one line.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io, path::PathBuf};

    use super::*;

    /// The text of a file, which must not be empty.
    #[derive(Clone)]
    struct Text(PathBuf);

    impl Source for Text {
        type Value = String;
        type Error = io::Error;
        const NAME: &'static str = "texts";

        fn paths(&self) -> Vec<&Path> {
            vec![&self.0]
        }

        fn read(&self) -> io::Result<String> {
            let text = fs::read_to_string(&self.0)?;
            if text.is_empty() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            Ok(text)
        }
    }

    #[test]
    fn a_file_is_reloaded_after_but_not_during_a_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("text");
        fs::write(&path, "one two").expect("a file");
        let watched = Watched::load(Text(path.clone())).expect("a text");
        let text = || watched.with(String::clone);
        let mut seen = PollState::default();
        let mut poll = || seen = watched.poll(&seen, false);
        poll();
        // Different each time, as while a program writes in place.
        for torn in ["", "three", "three fo"] {
            fs::write(&path, torn).expect("written");
            poll();
            assert_eq!(text(), "one two", "{torn:?}");
        }
        fs::write(&path, "three four").expect("written");
        poll();
        poll();
        assert_eq!(text(), "three four");
        fs::write(&path, "").expect("written");
        poll();
        poll();
        assert_eq!(text(), "three four", "an empty file revokes nothing");
    }

    #[test]
    fn a_change_with_equal_length_and_mtime_is_detected() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("text");
        fs::write(&path, "one").expect("a file");
        let watched = Watched::load(Text(path.clone())).expect("a text");
        let time = fs::metadata(&path)
            .and_then(|found| found.modified())
            .expect("a time");
        let mut seen = watched.poll(&PollState::default(), false);
        let before = stamp(&path);
        let write = || {
            fs::write(&path, "two").expect("written");
            let file = File::options().write(true).open(&path).expect("the file");
            file.set_modified(time).expect("the time of before");
            stamp(&path) != before
        };
        // File system timestamps have a resolution of some milliseconds.
        assert!((0..100_000).any(|_| write()), "a change that cannot be seen");
        for _ in 0..2 {
            seen = watched.poll(&seen, false);
        }
        assert_eq!(watched.with(String::clone), "two");
    }
}
