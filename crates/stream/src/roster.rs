//! The servers of a stream: which there are, which of them are well, and the probing of those that are not.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
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
    target::Target,
};

/// How long a server that failed may take to say that it is back.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The shortest time between two look-ups of a name.
const LOOKUP_PAUSE: Duration = Duration::from_millis(500);

/// A server that no longer is among its name's addresses is used until so many look-ups in a row missed it, or it fails: name servers may
/// give some of the addresses at a time.
const MISSES: u32 = 3;

/// Servers that hold the same files. A server keeps its index for good; whether it is one of them now may change.
#[derive(Debug)]
pub(super) struct Roster {
    targets: Vec<Target>,
    state: watch::Sender<State>,
    patience: Patience,
    /// Bound to the roster, so that tasks that look after a server do not outlive it.
    own: Weak<Self>,
}

#[derive(Debug, Default)]
struct State {
    servers: Vec<Standing>,
    /// Counts the changes of who belongs to the stream.
    membership: u64,
    /// What every server must serve, once a first one has said it.
    files: Option<Files>,
}

/// What is known of a server.
#[derive(Debug)]
struct Standing {
    server: Arc<Server>,
    /// Index of the target that it was found by.
    target: usize,
    is_member: bool,
    /// Look-ups in a row that did not find it.
    misses: u32,
    /// Why it is not asked; `None`: it is well.
    trouble: Option<Error>,
    /// When it was well for the last time.
    since: Option<Instant>,
    /// In a row, since its last batch.
    failures: u32,
    /// Batches from it whose checksum differed, since they were last asked for.
    damaged: u64,
}

impl Standing {
    fn is_well(&self) -> bool {
        self.is_member && self.trouble.is_none()
    }
}

impl State {
    /// Takes `found`, the addresses of a target, as what it stands for now; `make` makes a server that is new. Whether members changed.
    fn update(
        &mut self,
        target: usize,
        found: &[Vec<SocketAddr>],
        make: impl Fn(Vec<SocketAddr>) -> Result<Server, Error>,
    ) -> Result<bool, Error> {
        let mut has_changed = false;
        for standing in self
            .servers
            .iter_mut()
            .filter(|standing| standing.target == target)
        {
            let is_found = found.iter().any(|sockets| sockets == standing.server.sockets());
            standing.misses = if is_found {
                0
            } else {
                standing.misses.saturating_add(1)
            };
            let stays = standing.is_member && standing.misses < MISSES && standing.trouble.is_none();
            let is_member = is_found || stays;
            has_changed |= standing.is_member != is_member;
            standing.is_member = is_member;
        }
        for sockets in found {
            let is_known = |standing: &Standing| {
                standing.target == target && standing.server.sockets() == sockets.as_slice()
            };
            if !self.servers.iter().any(is_known) {
                self.servers.push(Standing {
                    server: Arc::new(make(sockets.clone())?),
                    target,
                    is_member: true,
                    misses: 0,
                    trouble: None,
                    since: None,
                    failures: 0,
                    damaged: 0,
                });
                has_changed = true;
            }
        }
        self.membership += u64::from(has_changed);
        Ok(has_changed)
    }

    fn members(&self) -> Vec<usize> {
        let servers = self.servers.iter().enumerate();
        servers
            .filter(|(_, standing)| standing.is_member)
            .map(|(index, _)| index)
            .collect()
    }
}

impl Roster {
    /// The servers that `targets` stand for, which are looked up, and again for as long as there is the roster. Must be called on a network
    /// thread.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] if a name is not found, [`Error::Address`] if one cannot be used.
    pub(super) async fn open(targets: Vec<Target>, patience: Patience) -> Result<Arc<Self>, Error> {
        let mut state = State::default();
        for (index, target) in targets.iter().enumerate() {
            let found = target.lookup().await?;
            state.update(index, &found, |sockets| target.server(sockets, found.len() > 1))?;
        }
        let roster = Arc::new_cyclic(|own| Self {
            targets,
            state: watch::Sender::new(state),
            patience,
            own: own.clone(),
        });
        for (index, target) in roster.targets.iter().enumerate() {
            if let Some(every) = target.lookup_interval() {
                tokio::spawn(follow(roster.own.clone(), index, every));
            }
        }
        Ok(roster)
    }

    pub(super) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// The indices of the servers that belong to the stream now, never none, and the number of this membership.
    pub(super) fn members(&self) -> (Vec<usize>, u64) {
        let state = self.state.borrow();
        (state.members(), state.membership)
    }

    /// The number of the membership, which grows when servers come or go.
    pub(super) fn membership(&self) -> u64 {
        self.state.borrow().membership
    }

    pub(super) fn server(&self, index: usize) -> Arc<Server> {
        Arc::clone(&self.state.borrow().servers[index].server)
    }

    pub(super) fn address(&self, index: usize) -> String {
        self.server(index).address().to_owned()
    }

    /// Changes when a server fails, comes back, is new or is gone.
    pub(super) fn news(&self) -> watch::Receiver<impl Sized + use<>> {
        self.state.subscribe()
    }

    pub(super) fn is_well(&self, index: usize) -> bool {
        self.state.borrow().servers[index].is_well()
    }

    /// `home`, or else the next server after it that is well.
    pub(super) fn choose(&self, home: usize) -> Option<usize> {
        let servers = &self.state.borrow().servers;
        (0..servers.len())
            .map(|step| (home + step) % servers.len())
            .find(|&index| servers[index].is_well())
    }

    /// A server that is well and is not `index`.
    pub(super) fn well_besides(&self, index: usize) -> Option<usize> {
        self.choose(index + 1).filter(|&other| other != index)
    }

    /// Whether every server failed in a way that waiting does not mend.
    pub(super) fn is_hopeless(&self) -> bool {
        let state = self.state.borrow();
        let mut members = state.servers.iter().filter(|standing| standing.is_member);
        members.all(|standing| standing.trouble.as_ref().is_some_and(|error| !error.may_pass()))
    }

    /// What every server of this stream must serve, known from the first that answered.
    pub(super) fn expect(&self, files: &Files) {
        self.state.send_if_modified(|state| {
            state.files = Some(files.clone());
            false
        });
    }

    /// A batch came from `index`.
    pub(super) fn delivered(&self, index: usize) {
        self.state.send_if_modified(|state| {
            state.servers[index].failures = 0;
            false
        });
    }

    /// `index` is asked no more until it says that it is back; a task asks it, ever less often. Must be called on a network thread.
    pub(super) fn failed(&self, index: usize, error: Error) {
        let text = error.to_string();
        let is_news = self.state.send_if_modified(|state| {
            let standing = &mut state.servers[index];
            standing.damaged += u64::from(matches!(error, Error::Damaged { .. }));
            let is_news = standing.trouble.is_none();
            if is_news {
                standing.failures = standing.failures.saturating_add(1);
                standing.since = Some(Instant::now());
                standing.trouble = Some(error);
            }
            is_news
        });
        if is_news {
            let (address, waited) = (self.address(index), self.patience.retry_for);
            // Where this ends the stream, the error itself says it.
            if self.choose(index).is_some() {
                tracing::warn!(server = address, "{text}; the other servers go on");
            } else if !waited.is_zero() && !self.is_hopeless() {
                let seconds = waited.as_secs_f64();
                tracing::warn!(
                    server = address,
                    "{text}; waiting up to {seconds} s for a server (--retry-for)"
                );
            }
            tokio::spawn(look_after(self.own.clone(), index));
        }
    }

    /// Why no server is left for the lane of `home`. The trouble of `home` itself says most.
    pub(super) fn why_nobody(&self, home: usize, at: String) -> Error {
        let waited = self.patience.retry_for;
        let why = self.state.borrow().servers[home].trouble.clone();
        let address = self.address(home);
        let why = why.unwrap_or_else(|| Error::Lost {
            address,
            at,
            reason: "no server is left".to_owned(),
        });
        if waited.is_zero() {
            why
        } else {
            why.after_waiting(self.members().0.len(), waited)
        }
    }

    /// How many batches of each server came with other bytes than it sent, since this was last asked; servers without any are left out.
    pub(super) fn take_damaged(&self) -> BTreeMap<String, u64> {
        let mut damaged = BTreeMap::new();
        self.state.send_if_modified(|state| {
            for standing in state.servers.iter_mut().filter(|standing| standing.damaged > 0) {
                let count = std::mem::take(&mut standing.damaged);
                *damaged.entry(standing.server.address().to_owned()).or_default() += count;
            }
            false
        });
        damaged
    }

    fn failures(&self, index: usize) -> u32 {
        self.state.borrow().servers[index].failures
    }

    /// Asks `index` whether it is back and serves the same files.
    async fn probe(&self, index: usize) -> Result<(), Error> {
        let files = self.state.borrow().files.clone();
        let server = self.server(index);
        let answer = time::timeout(PROBE_TIMEOUT, server.probe(files.as_ref())).await;
        answer.unwrap_or_else(|_| {
            Err(Error::Unreachable {
                address: server.address().to_owned(),
                reason: format!("no answer within {} s", PROBE_TIMEOUT.as_secs()),
            })
        })
    }

    fn is_back(&self, index: usize) {
        let mut since = None;
        self.state.send_modify(|state| {
            let standing = &mut state.servers[index];
            standing.trouble = None;
            since = standing.since.take();
        });
        let away = since.map_or(0.0, |since| since.elapsed().as_secs_f64());
        tracing::warn!(
            server = self.address(index),
            "the server is back after {away:.1} s"
        );
    }

    /// A server that is gone is tried anew if it is found again.
    fn is_forgotten(&self, index: usize) {
        self.state.send_if_modified(|state| {
            state.servers[index].trouble = None;
            false
        });
    }

    /// Counts a failed probe. An error that waiting does not mend is news: lanes may be waiting for this server.
    fn still_failing(&self, index: usize, error: Error) {
        self.state.send_if_modified(|state| {
            let standing = &mut state.servers[index];
            standing.failures = standing.failures.saturating_add(1);
            let could_pass = standing.trouble.as_ref().is_some_and(Error::may_pass);
            let is_news = could_pass && !error.may_pass();
            if is_news {
                tracing::warn!("{error}");
                standing.trouble = Some(error);
            }
            is_news
        });
    }

    /// Looks up the name of a target, and takes what it stands for now. A name that is not found changes nothing.
    async fn look_up(&self, target: usize) {
        let known = &self.targets[target];
        let found = match known.lookup().await {
            Ok(found) => found,
            Err(error) => return tracing::debug!("{error}"),
        };
        let mut failure = None;
        let has_changed = self.state.send_if_modified(|state| {
            // After a change, the name alone no longer tells which server is meant.
            let updated = state.update(target, &found, |sockets| known.server(sockets, true));
            updated.unwrap_or_else(|error| {
                failure = Some(error);
                false
            })
        });
        if let Some(error) = failure {
            tracing::warn!("{error}");
        }
        if has_changed {
            let members = self.members().0;
            let servers: Vec<String> = members.iter().map(|&index| self.address(index)).collect();
            tracing::info!(servers = servers.join(", "), "the servers of the name changed");
        }
    }
}

/// Looks up the name of a target after each `every`, and after each change of a server's state, for as long as there is the roster.
async fn follow(roster: Weak<Roster>, target: usize, every: Duration) {
    while let Some(mut news) = roster.upgrade().map(|roster| roster.news()) {
        let _whichever_is_first = time::timeout(every, news.changed()).await;
        let Some(roster) = roster.upgrade() else { return };
        roster.look_up(target).await;
        drop(roster);
        time::sleep(LOOKUP_PAUSE.min(every)).await;
    }
}

/// Probes a server that failed until it is back, is gone, or the roster is.
async fn look_after(roster: Weak<Roster>, index: usize) {
    while let Some(failures) = roster.upgrade().map(|roster| roster.failures(index)) {
        time::sleep(pause(failures)).await;
        let Some(roster) = roster.upgrade() else { return };
        if !roster.state.borrow().servers[index].is_member {
            return roster.is_forgotten(index);
        }
        match roster.probe(index).await {
            Ok(()) => return roster.is_back(index),
            Err(error) => roster.still_failing(index, error),
        }
    }
}
