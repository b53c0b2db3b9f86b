//! The servers of a stream: who is well, who is not, and the looking after those who are not.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{self, Instant},
};

use super::{
    Error, Patience,
    patience::pause,
    server::{Files, Server},
};

/// How long a server that failed may take to say that it is back.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Servers that hold the same files.
#[derive(Debug)]
pub(super) struct Roster {
    servers: Vec<Server>,
    standing: watch::Sender<Vec<Standing>>,
    patience: Patience,
    /// Bound to the roster, so that tasks that look after a server do not outlive it.
    own: Weak<Self>,
}

/// What is known of a server.
#[derive(Debug, Default)]
struct Standing {
    /// Why it is not asked; `None`: it is well.
    trouble: Option<Error>,
    /// When it was well for the last time.
    since: Option<Instant>,
    /// In a row, since its last batch.
    failures: u32,
    /// What it must serve to be asked again.
    files: Option<Files>,
}

impl Roster {
    pub(super) fn new(servers: Vec<Server>, patience: Patience) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            standing: watch::Sender::new(servers.iter().map(|_| Standing::default()).collect()),
            servers,
            patience,
            own: own.clone(),
        })
    }

    pub(super) fn patience(&self) -> &Patience {
        &self.patience
    }

    pub(super) fn len(&self) -> usize {
        self.servers.len()
    }

    pub(super) fn server(&self, index: usize) -> &Server {
        &self.servers[index]
    }

    pub(super) fn address(&self, index: usize) -> &str {
        self.servers[index].address()
    }

    /// Changes when a server fails or comes back.
    pub(super) fn news(&self) -> watch::Receiver<impl Sized + use<>> {
        self.standing.subscribe()
    }

    pub(super) fn is_well(&self, index: usize) -> bool {
        self.standing.borrow()[index].trouble.is_none()
    }

    /// `home`, or else the next server after it that is well.
    pub(super) fn choose(&self, home: usize) -> Option<usize> {
        let standing = self.standing.borrow();
        (0..self.len())
            .map(|step| (home + step) % self.len())
            .find(|&index| standing[index].trouble.is_none())
    }

    /// A server that is well and is not `index`.
    pub(super) fn well_besides(&self, index: usize) -> Option<usize> {
        self.choose((index + 1) % self.len())
            .filter(|&other| other != index)
    }

    /// What every server of this stream must serve, known from the first that answered.
    pub(super) fn expect(&self, files: &Files) {
        self.standing.send_if_modified(|all| {
            for standing in all {
                standing.files = Some(files.clone());
            }
            false
        });
    }

    /// A batch came from `index`.
    pub(super) fn delivered(&self, index: usize) {
        self.standing.send_if_modified(|all| {
            all[index].failures = 0;
            false
        });
    }

    /// `index` is asked no more until it says that it is back; a task asks it, ever less often. Must be called on a network thread.
    pub(super) fn failed(&self, index: usize, error: Error) {
        let address = self.address(index);
        let is_news = self.standing.send_if_modified(|all| {
            let standing = &mut all[index];
            let is_news = standing.trouble.is_none();
            if is_news {
                standing.failures = standing.failures.saturating_add(1);
                standing.since = Some(Instant::now());
                standing.trouble = Some(error.clone());
            }
            is_news
        });
        if is_news {
            let waited = self.patience.retry_for;
            // Where this ends the stream, the error itself says it.
            if self.choose(index).is_some() {
                tracing::warn!(server = address, "{error}; the other servers go on");
            } else if !waited.is_zero() {
                let seconds = waited.as_secs_f64();
                tracing::warn!(
                    server = address,
                    "{error}; waiting up to {seconds} s for a server (--retry-for)"
                );
            }
            tokio::spawn(look_after(self.own.clone(), index));
        }
    }

    /// Why no server is left for the lane of `home`. The trouble of `home` itself says most.
    pub(super) fn why_nobody(&self, home: usize, at: String) -> Error {
        let waited = self.patience.retry_for;
        let why = self.standing.borrow()[home].trouble.clone();
        let address = self.address(home).to_owned();
        let why = why.unwrap_or_else(|| Error::Lost {
            address,
            at,
            reason: "no server is left".to_owned(),
        });
        if waited.is_zero() {
            why
        } else {
            why.after_waiting(self.len(), waited)
        }
    }

    fn failures(&self, index: usize) -> u32 {
        self.standing.borrow()[index].failures
    }

    /// Asks `index` whether it is back and serves the same files.
    async fn probe(&self, index: usize) -> Result<(), Error> {
        let files = self.standing.borrow()[index].files.clone();
        let answer = time::timeout(PROBE_TIMEOUT, self.servers[index].probe(files.as_ref())).await;
        answer.unwrap_or_else(|_| {
            Err(Error::Unreachable {
                address: self.address(index).to_owned(),
                reason: format!("no answer within {} s", PROBE_TIMEOUT.as_secs()),
            })
        })
    }

    fn is_back(&self, index: usize) {
        self.standing.send_modify(|all| {
            let standing = &mut all[index];
            standing.trouble = None;
            let away = standing
                .since
                .take()
                .map_or(0.0, |since| since.elapsed().as_secs_f64());
            tracing::warn!(
                server = self.address(index),
                "the server is back after {away:.1} s"
            );
        });
    }

    /// Counts a failed probe, and tells of it where it says something new.
    fn still_failing(&self, index: usize, error: Error) {
        self.standing.send_if_modified(|all| {
            let standing = &mut all[index];
            standing.failures = standing.failures.saturating_add(1);
            if matches!(error, Error::Differs { .. })
                && !matches!(standing.trouble, Some(Error::Differs { .. }))
            {
                tracing::warn!("{error}");
                standing.trouble = Some(error);
            }
            false
        });
    }
}

/// Probes a server that failed until it is back, or nobody wants to know any more.
async fn look_after(roster: Weak<Roster>, index: usize) {
    while let Some(failures) = roster.upgrade().map(|roster| roster.failures(index)) {
        time::sleep(pause(failures)).await;
        let Some(roster) = roster.upgrade() else { return };
        match roster.probe(index).await {
            Ok(()) => return roster.is_back(index),
            Err(error) => roster.still_failing(index, error),
        }
    }
}
