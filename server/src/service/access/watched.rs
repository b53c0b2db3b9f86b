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
type Stamp = Vec<Option<(SystemTime, u64, u64)>>;

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
        let mut seen = None;
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_asked = tokio::select! {
                _ = ticks.tick() => false,
                changed = asked.changed() => changed.is_ok(),
            };
            let (this, before) = (self.clone(), seen.clone());
            let looked = tokio::task::spawn_blocking(move || this.look(before.as_ref(), is_asked)).await;
            seen = looked.map_or(seen, Some);
        }
    }

    /// Reads the files where their stamp is not `seen` or `is_asked`, and gives the stamp.
    fn look(&self, seen: Option<&Stamp>, is_asked: bool) -> Stamp {
        let source = self.source();
        let found: Stamp = source.paths().into_iter().map(stamp).collect();
        if is_asked || seen != Some(&found) {
            match source.read() {
                Ok(value) => self.change(value, seen.is_some()),
                Err(error) => {
                    let error = chain(&error);
                    tracing::error!(error, "{} not read again: the earlier ones stay good", S::NAME);
                }
            }
        }
        found
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

fn stamp(path: &Path) -> Option<(SystemTime, u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
