//! A server address as typed, and the servers that it resolves to.

use std::{net::SocketAddr, time::Duration};

use super::{
    Credentials, Error,
    address::{Address, distinct},
    resolver::Resolver,
    server::Server,
    status::root,
    trace::TraceId,
};

/// An address as typed: one server, or a name whose servers may change.
#[derive(Debug)]
pub(super) struct Target {
    address: Address,
    credentials: Credentials,
    trace: TraceId,
    resolver: Resolver,
}

impl Target {
    /// # Errors
    ///
    /// [`Error::Address`] if `text` is malformed, or if `credentials` must not be sent there.
    pub(super) fn parse(
        text: &str,
        credentials: &Credentials,
        trace: TraceId,
        resolver: &Resolver,
    ) -> Result<Self, Error> {
        let address = Address::parse(text)?;
        credentials.check(&address)?;
        Ok(Self {
            address,
            credentials: credentials.clone(),
            trace,
            resolver: resolver.clone(),
        })
    }

    /// Interval of lookups; `None` if the address is not a name.
    pub(super) fn lookup_interval(&self) -> Option<Duration> {
        self.address.name().map(|_| self.resolver.every())
    }

    /// The socket addresses of each server. A name with several addresses of one IP version stands for as many servers; then only the IP
    /// version of the first address counts, since most hosts have one of each. An empty entry: the address needs no lookup.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] if the name is not found.
    pub(super) async fn lookup(&self) -> Result<Vec<Vec<SocketAddr>>, Error> {
        let Some((host, port)) = self.address.name() else {
            return Ok(vec![vec![]]);
        };
        let unreachable = |reason| Error::Unreachable {
            address: self.address.to_string(),
            reason,
        };
        let found = self.resolver.lookup(host, port).await;
        let found = found.map_err(|error| unreachable(root(&error)))?;
        if found.is_empty() {
            return Err(unreachable("the name has no address".to_owned()));
        }
        let of_one_version = distinct(&found);
        if of_one_version.len() < 2 {
            return Ok(vec![found]);
        }
        Ok(of_one_version.into_iter().map(|address| vec![address]).collect())
    }

    /// Creates the server at `sockets`, one of the entries of [`Target::lookup`]; `is_one_of_many`: the name alone does not identify it.
    /// Does not connect.
    pub(super) fn server(&self, sockets: Vec<SocketAddr>, is_one_of_many: bool) -> Result<Server, Error> {
        Server::at(
            (&self.address, sockets, is_one_of_many),
            &self.credentials,
            self.trace,
        )
    }
}
