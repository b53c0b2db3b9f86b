//! Membership and health of the servers of a stream.

use std::{net::SocketAddr, sync::Arc};

use tokio::time::Instant;

use super::{Error, files::Files, server::Server};

/// A server that is missing from its name's addresses is used until this many consecutive lookups missed it, or it fails: name servers may
/// return different subsets of the addresses.
const MISSES: u32 = 3;

/// The servers of a stream.
#[derive(Debug, Default)]
pub(super) struct PoolState {
    pub(super) servers: Vec<ServerHealth>,
    /// Number of membership changes.
    pub(super) membership: u64,
    /// What every server must serve, set once the first one answered.
    pub(super) files: Option<Files>,
}

/// Membership and health of a server.
#[derive(Debug)]
pub(super) struct ServerHealth {
    pub(super) server: Arc<Server>,
    /// Index of its target.
    target: usize,
    pub(super) is_member: bool,
    /// Consecutive lookups that did not find it.
    misses: u32,
    /// Why it is not used; `None`: it is healthy.
    pub(super) failure: Option<Error>,
    /// When it failed.
    pub(super) since: Option<Instant>,
    /// Consecutive failures since its last batch.
    pub(super) failures: u32,
    /// Batches whose checksum differed, since they were last taken.
    pub(super) damaged: u64,
}

impl ServerHealth {
    pub(super) fn is_healthy(&self) -> bool {
        self.is_member && self.failure.is_none()
    }
}

impl PoolState {
    /// Updates the members of a target to `found`, its resolved addresses; `make` creates new servers. Returns whether the members changed.
    pub(super) fn update(
        &mut self,
        target: usize,
        found: &[Vec<SocketAddr>],
        make: impl Fn(Vec<SocketAddr>) -> Result<Server, Error>,
    ) -> Result<bool, Error> {
        let mut has_changed = false;
        for health in self.servers.iter_mut().filter(|health| health.target == target) {
            let is_found = found.iter().any(|sockets| sockets == health.server.sockets());
            health.misses = if is_found {
                0
            } else {
                health.misses.saturating_add(1)
            };
            let stays = health.is_member && health.misses < MISSES && health.failure.is_none();
            let is_member = is_found || stays;
            has_changed |= health.is_member != is_member;
            health.is_member = is_member;
        }
        for sockets in found {
            let is_known = |health: &ServerHealth| {
                health.target == target && health.server.sockets() == sockets.as_slice()
            };
            if !self.servers.iter().any(is_known) {
                self.servers.push(ServerHealth {
                    server: Arc::new(make(sockets.clone())?),
                    target,
                    is_member: true,
                    misses: 0,
                    failure: None,
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

    /// Indices of the members.
    pub(super) fn members(&self) -> Vec<usize> {
        let servers = self.servers.iter().enumerate();
        servers
            .filter(|(_, health)| health.is_member)
            .map(|(index, _)| index)
            .collect()
    }
}
