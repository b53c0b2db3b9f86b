//! What files say, read again when they change.

use std::{
    fmt, fs,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use tokio::sync::watch;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Files that a value is read from.
pub(in crate::service) trait Source: Clone + Send + Sync + 'static {
    /// What they say.
    type Value: Send + Sync + 'static;
    /// Why they cannot be used.
    type Error: std::error::Error;
    /// What the log calls the value.
    const NAME: &'static str;

    /// The files.
    fn paths(&self) -> Vec<&Path>;

    /// Reads them.
    fn read(&self) -> Result<Self::Value, Self::Error>;

    /// Called before `new` takes the place of `old`.
    fn replace(_new: &mut Self::Value, _old: &Self::Value) {}
}

/// The value that the files had when they were last read without an error. Cheap to clone.
pub(in crate::service) struct Watched<S: Source>(Arc<Shared<S>>);

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

/// Changes with every change of the files that leaves one of them another time, length or number.
type Stamp = Vec<Option<FileStamp>>;

/// Time of the last writing, length, device and number, and time of the last change of any of them, which no program can set.
type FileStamp = (SystemTime, u64, (u64, u64), (i64, i64));

/// What a look has found.
#[derive(Clone, Default)]
struct Seen {
    /// At the last look.
    last: Option<Stamp>,
    /// When the files were last read.
    read: Option<Stamp>,
}

impl<S: Source> Watched<S> {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Where they cannot be used.
    pub(super) fn load(source: S) -> Result<Self, S::Error> {
        let value = source.read()?;
        Ok(Self(Arc::new(Shared {
            source: RwLock::new(source),
            value: RwLock::new(value),
        })))
    }

    /// What `look` makes of the value that holds now.
    pub(in crate::service) fn with<T>(&self, look: impl FnOnce(&S::Value) -> T) -> T {
        look(&self.0.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes other files from now on; they are read at the next look.
    pub(super) fn set(&self, source: S) {
        *self.0.source.write().unwrap_or_else(PoisonError::into_inner) = source;
    }

    /// Reads the files again when one of them has changed, and when `asked` says so, for ever. While they cannot be used, the value read last
    /// holds.
    pub(super) async fn follow(self, mut asked: watch::Receiver<()>) {
        // Not the stamp of the first reading: a change between the two would be missed.
        let mut seen = Seen::default();
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_asked = tokio::select! {
                _ = ticks.tick() => false,
                changed = asked.changed() => changed.is_ok(),
            };
            let (this, before) = (self.clone(), seen.clone());
            let looked = tokio::task::spawn_blocking(move || this.look(&before, is_asked)).await;
            seen = looked.unwrap_or(seen);
        }
    }

    /// Reads the files where their stamp is not that of the last reading, or `is_asked`; but none that is being written: where somebody
    /// writes a file in place, it is short or empty for a moment, and what it does not say yet is not withdrawn.
    fn look(&self, seen: &Seen, is_asked: bool) -> Seen {
        let source = self.source();
        let stamps = || source.paths().into_iter().map(stamp).collect::<Stamp>();
        let found = stamps();
        let is_stable = seen.last.as_ref() == Some(&found);
        let is_new = seen.read.as_ref() != Some(&found);
        let mut read = seen.read.clone();
        if is_asked || is_new && (is_stable || read.is_none()) {
            let value = source.read();
            // Changed meanwhile: looked at again.
            if stamps() == found {
                match value {
                    Ok(value) => self.change(value, read.is_some()),
                    Err(error) => {
                        let error = chain(&error);
                        tracing::error!(error, "{} not read again: the earlier ones stay good", S::NAME);
                    }
                }
                read = Some(found.clone());
            }
        }
        Seen {
            last: Some(found),
            read,
        }
    }

    fn change(&self, mut value: S::Value, is_news: bool) {
        let mut current = self.0.value.write().unwrap_or_else(PoisonError::into_inner);
        S::replace(&mut value, &current);
        *current = value;
        if is_news {
            tracing::info!("{} read again", S::NAME);
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

/// An error and its causes in one line.
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

    /// The text of a file that is not empty.
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
    fn a_file_is_read_when_it_is_written_and_not_while() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("text");
        fs::write(&path, "one two").expect("a file");
        let watched = Watched::load(Text(path.clone())).expect("a text");
        let text = || watched.with(String::clone);
        let mut seen = Seen::default();
        let mut look = || seen = watched.look(&seen, false);
        look();
        // Another one each time, as a program that writes in place leaves it.
        for torn in ["", "three", "three fo"] {
            fs::write(&path, torn).expect("written");
            look();
            assert_eq!(text(), "one two", "{torn:?}");
        }
        fs::write(&path, "three four").expect("written");
        look();
        look();
        assert_eq!(text(), "three four");
        fs::write(&path, "").expect("written");
        look();
        look();
        assert_eq!(text(), "three four", "an empty file withdraws nothing");
    }

    #[test]
    fn a_change_of_equal_length_and_time_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("text");
        fs::write(&path, "one").expect("a file");
        let watched = Watched::load(Text(path.clone())).expect("a text");
        let time = fs::metadata(&path)
            .and_then(|found| found.modified())
            .expect("a time");
        let mut seen = watched.look(&Seen::default(), false);
        let before = stamp(&path);
        let write = || {
            fs::write(&path, "two").expect("written");
            let file = File::options().write(true).open(&path).expect("the file");
            file.set_modified(time).expect("the time of before");
            stamp(&path) != before
        };
        // The clock of a file system ticks some hundred times a second.
        assert!((0..100_000).any(|_| write()), "a change that cannot be seen");
        for _ in 0..2 {
            seen = watched.look(&seen, false);
        }
        assert_eq!(watched.with(String::clone), "two");
    }
}
