//! The servers of a stream: membership, health, and health checks of failed servers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{self, Instant},
};

use super::{
    Error, RetryPolicy, files::Files, pool_state::PoolState, retry_policy::pause, server::Server,
    target::Target,
};

/// Timeout of a health check.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Minimum interval between lookups of a name.
const LOOKUP_PAUSE: Duration = Duration::from_millis(500);

/// Servers that hold the same files. The index of a server never changes; its membership may.
#[derive(Debug)]
pub(super) struct ServerPool {
    targets: Vec<Target>,
    state: watch::Sender<PoolState>,
    retry_policy: RetryPolicy,
    /// Weak reference for tasks, so that health checks do not outlive the pool.
    own: Weak<Self>,
}

impl ServerPool {
    /// Resolves `targets`, and again periodically while the pool exists. Must be called on a network thread.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] if a name is not found, [`Error::Address`] if one cannot be used.
    pub(super) async fn open(targets: Vec<Target>, retry_policy: RetryPolicy) -> Result<Arc<Self>, Error> {
        let mut state = PoolState::default();
        for (index, target) in targets.iter().enumerate() {
            let found = target.lookup().await?;
            state.update(index, &found, |sockets| target.server(sockets, found.len() > 1))?;
        }
        let server_pool = Arc::new_cyclic(|own| Self {
            targets,
            state: watch::Sender::new(state),
            retry_policy,
            own: own.clone(),
        });
        for (index, target) in server_pool.targets.iter().enumerate() {
            if let Some(every) = target.lookup_interval() {
                tokio::spawn(follow(server_pool.own.clone(), index, every));
            }
        }
        Ok(server_pool)
    }

    pub(super) fn retry_policy(&self) -> &RetryPolicy {
        &self.retry_policy
    }

    /// Indices of the members, never empty, and the membership number.
    pub(super) fn members(&self) -> (Vec<usize>, u64) {
        let state = self.state.borrow();
        (state.members(), state.membership)
    }

    /// The membership number, which grows when servers are added or removed.
    pub(super) fn membership(&self) -> u64 {
        self.state.borrow().membership
    }

    pub(super) fn server(&self, index: usize) -> Arc<Server> {
        Arc::clone(&self.state.borrow().servers[index].server)
    }

    pub(super) fn address(&self, index: usize) -> String {
        self.server(index).address().to_owned()
    }

    /// Notifies when a server fails, recovers, is added or is removed.
    pub(super) fn changes(&self) -> watch::Receiver<impl Sized + use<>> {
        self.state.subscribe()
    }

    pub(super) fn is_healthy(&self, index: usize) -> bool {
        self.state.borrow().servers[index].is_healthy()
    }

    /// `home` if it is healthy, otherwise the next healthy server.
    pub(super) fn choose(&self, home: usize) -> Option<usize> {
        let servers = &self.state.borrow().servers;
        (0..servers.len())
            .map(|step| (home + step) % servers.len())
            .find(|&index| servers[index].is_healthy())
    }

    /// A healthy server other than `index`.
    pub(super) fn other_healthy(&self, index: usize) -> Option<usize> {
        self.choose(index + 1).filter(|&other| other != index)
    }

    /// Returns whether every member has failed with a permanent error.
    pub(super) fn cannot_recover(&self) -> bool {
        let state = self.state.borrow();
        let mut members = state.servers.iter().filter(|health| health.is_member);
        members.all(|health| health.failure.as_ref().is_some_and(|error| !error.is_transient()))
    }

    /// Sets what every server of this stream must serve, from the first answer.
    pub(super) fn expect(&self, files: &Files) {
        self.state.send_if_modified(|state| {
            state.files = Some(files.clone());
            false
        });
    }

    /// A batch arrived from `index`.
    pub(super) fn delivered(&self, index: usize) {
        self.state.send_if_modified(|state| {
            state.servers[index].failures = 0;
            false
        });
    }

    /// Marks `index` as failed, and starts health checks with exponential backoff. Must be called on a network thread.
    pub(super) fn failed(&self, index: usize, error: Error) {
        let text = error.to_string();
        let is_news = self.state.send_if_modified(|state| {
            let health = &mut state.servers[index];
            health.damaged += u64::from(matches!(error, Error::Damaged { .. }));
            let is_news = health.failure.is_none();
            if is_news {
                health.failures = health.failures.saturating_add(1);
                health.since = Some(Instant::now());
                health.failure = Some(error);
            }
            is_news
        });
        if is_news {
            let (address, waited) = (self.address(index), self.retry_policy.retry_for);
            // If this ends the stream, the error is returned instead.
            if self.choose(index).is_some() {
                tracing::warn!(server = address, "{text}; the other servers go on");
            } else if !waited.is_zero() && !self.cannot_recover() {
                let seconds = waited.as_secs_f64();
                tracing::warn!(server = address, "{text}; waiting up to {seconds} s for a server");
            }
            tokio::spawn(health_check(self.own.clone(), index));
        }
    }

    /// The error if no server is left for the stream of `home`: preferably the failure of `home` itself.
    pub(super) fn no_server_error(&self, home: usize, at: String) -> Error {
        let waited = self.retry_policy.retry_for;
        let why = self.state.borrow().servers[home].failure.clone();
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

    /// Takes the number of damaged batches of each server since the last call; servers without any are left out.
    pub(super) fn take_damaged(&self) -> BTreeMap<String, u64> {
        let mut damaged = BTreeMap::new();
        self.state.send_if_modified(|state| {
            for health in state.servers.iter_mut().filter(|health| health.damaged > 0) {
                let count = std::mem::take(&mut health.damaged);
                *damaged.entry(health.server.address().to_owned()).or_default() += count;
            }
            false
        });
        damaged
    }

    fn failures(&self, index: usize) -> u32 {
        self.state.borrow().servers[index].failures
    }

    /// Checks that `index` answers and serves the same files.
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

    fn recovered(&self, index: usize) {
        let mut since = None;
        self.state.send_modify(|state| {
            let health = &mut state.servers[index];
            health.failure = None;
            since = health.since.take();
        });
        let away = since.map_or(0.0, |since| since.elapsed().as_secs_f64());
        tracing::warn!(
            server = self.address(index),
            "the server is back after {away:.1} s"
        );
    }

    /// Clears the failure of a removed server, so that it is used if it is found again.
    fn reset(&self, index: usize) {
        self.state.send_if_modified(|state| {
            state.servers[index].failure = None;
            false
        });
    }

    /// Counts a failed health check. If the error is now permanent, waiting streams are notified.
    fn still_failing(&self, index: usize, error: Error) {
        self.state.send_if_modified(|state| {
            let health = &mut state.servers[index];
            health.failures = health.failures.saturating_add(1);
            let could_pass = health.failure.as_ref().is_some_and(Error::is_transient);
            let is_news = could_pass && !error.is_transient();
            if is_news {
                tracing::warn!("{error}");
                health.failure = Some(error);
            }
            is_news
        });
    }

    /// Resolves a target, and updates its members. A failed lookup changes nothing.
    async fn look_up(&self, target: usize) {
        let known = &self.targets[target];
        let found = match known.lookup().await {
            Ok(found) => found,
            Err(error) => return tracing::debug!("{error}"),
        };
        let mut failure = None;
        let has_changed = self.state.send_if_modified(|state| {
            // After a change, the name alone no longer identifies the server.
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
            tracing::info!(
                servers = servers.join(", "),
                "the addresses of the server name changed"
            );
        }
    }
}

/// Resolves a target after each `every`, and after each change of a server's state, while the pool exists.
async fn follow(server_pool: Weak<ServerPool>, target: usize, every: Duration) {
    while let Some(mut changes) = server_pool.upgrade().map(|server_pool| server_pool.changes()) {
        let _whichever_is_first = time::timeout(every, changes.changed()).await;
        let Some(server_pool) = server_pool.upgrade() else {
            return;
        };
        server_pool.look_up(target).await;
        drop(server_pool);
        time::sleep(LOOKUP_PAUSE.min(every)).await;
    }
}

/// Probes a failed server until it has recovered or is removed, or the pool is dropped.
async fn health_check(server_pool: Weak<ServerPool>, index: usize) {
    while let Some(failures) = server_pool
        .upgrade()
        .map(|server_pool| server_pool.failures(index))
    {
        time::sleep(pause(failures)).await;
        let Some(server_pool) = server_pool.upgrade() else {
            return;
        };
        if !server_pool.state.borrow().servers[index].is_member {
            return server_pool.reset(index);
        }
        match server_pool.probe(index).await {
            Ok(()) => return server_pool.recovered(index),
            Err(error) => server_pool.still_failing(index, error),
        }
    }
}
