//! Tokens that follow their file.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use super::table::{Error, Grant, Table};

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// The tokens that are good at the moment. Cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Shared>);

struct Shared {
    path: PathBuf,
    table: RwLock<Table>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

/// Changes with every change of a file that leaves it another time or length.
type Stamp = Option<(SystemTime, u64)>;

impl Tokens {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// Where it cannot be read or a line has no meaning.
    pub(super) fn load(path: PathBuf) -> Result<Self, Error> {
        let table = Table::read(&path)?;
        Ok(Self(Arc::new(Shared {
            path,
            table: RwLock::new(table),
        })))
    }

    /// What `token` is good for now.
    pub(super) fn find(&self, token: &[u8]) -> Option<Arc<Grant>> {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        table.find(token)
    }

    /// Follows the changes of the file, for ever. While it cannot be used, the tokens read last stay good.
    pub(in crate::service) async fn follow(self) {
        // Not the stamp of the first reading: a change between the two would be missed.
        let mut seen: Stamp = None;
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let this = self.clone();
            let looked = tokio::task::spawn_blocking(move || this.look(seen)).await;
            seen = looked.unwrap_or(seen);
        }
    }

    /// Reads the file again where its stamp is not `seen`, and gives the new stamp.
    fn look(&self, seen: Stamp) -> Stamp {
        let stamp = stamp(&self.0.path);
        if stamp != seen {
            match Table::read(&self.0.path) {
                Ok(table) => self.change(table, seen.is_some()),
                Err(error) => {
                    tracing::error!(error = %error, "tokens not read again: the earlier ones stay good");
                }
            }
        }
        stamp
    }

    fn change(&self, mut table: Table, is_news: bool) {
        let mut current = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        table.replace(&current);
        if is_news {
            tracing::info!(tokens = table.len(), "tokens read again");
        }
        *current = table;
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
