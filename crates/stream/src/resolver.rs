//! Name resolution of servers, repeated while they are used.

use std::{fmt, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

/// Interval of lookups; after a server fails, its name is looked up at once.
const EVERY: Duration = Duration::from_secs(10);

/// The addresses of a name, or an error.
pub type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Resolves server names; by default with the system's resolver, every ten seconds.
#[derive(Clone)]
pub struct Resolver {
    lookup: Arc<dyn Fn(String, u16) -> Lookup + Send + Sync>,
    every: Duration,
}

impl Resolver {
    /// Looks up a host and port with `lookup`, repeated after each `every`.
    #[must_use]
    pub fn new(lookup: impl Fn(String, u16) -> Lookup + Send + Sync + 'static, every: Duration) -> Self {
        Self {
            lookup: Arc::new(lookup),
            every,
        }
    }

    pub(super) fn every(&self) -> Duration {
        self.every
    }

    pub(super) async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        (self.lookup)(host.to_owned(), port).await
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new(
            |host, port| Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }),
            EVERY,
        )
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}
