//! Opens a stream at each of its servers.

use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{Error, StreamDescription, server_stream::Source, spread::Spread};

/// The servers and the membership number, the description of the stream, and the open stream of each server that was reached.
pub(super) type Opened = ((Vec<usize>, u64), StreamDescription, Vec<Option<Source>>);

impl Spread {
    /// Opens a stream at each server; if none can be reached, waits for one to recover or to be added, up to the retry policy.
    pub(super) async fn open(&self) -> Result<Opened, Error> {
        let give_up = Instant::now() + self.server_pool.retry_policy().retry_for;
        let mut changes = self.server_pool.changes();
        loop {
            changes.mark_unchanged();
            let (servers, membership) = self.server_pool.members();
            match self.open_streams(&servers).await {
                Err(error) if error.is_unavailable() => {
                    if self.server_pool.cannot_recover()
                        || timeout_at(give_up, changes.changed()).await.is_err()
                    {
                        return Err(error);
                    }
                }
                opened => {
                    return opened
                        .map(|(description, sources)| ((servers, membership), description, sources));
                }
            }
        }
    }

    /// Opens a stream at every healthy server. A refusal by one is an error; servers that cannot be reached are left out.
    async fn open_streams(
        &self,
        servers: &[usize],
    ) -> Result<(StreamDescription, Vec<Option<Source>>), Error> {
        let streams = servers.len();
        let mut opening = JoinSet::new();
        let well = servers.iter().enumerate();
        for (server_stream, &server) in well.filter(|&(_, &server)| self.server_pool.is_healthy(server)) {
            let request = self.part(server_stream, streams, self.request.start.clone());
            let (target, destination) = (self.server_pool.server(server), self.destination(streams));
            opening.spawn(async move {
                let opened = target.incoming(&request, &destination).await;
                (server_stream, server, opened)
            });
        }
        let mut sources: Vec<Option<Source>> = (0..streams).map(|_| None).collect();
        let mut agreed: Option<(usize, StreamDescription)> = None;
        let mut failure = None;
        while let Some(opened) = opening.join_next().await {
            let Ok((server_stream, server, opened)) = opened else {
                continue;
            };
            match opened {
                Ok((description, incoming)) => {
                    if let Some((first, known)) = &agreed {
                        self.check_agreement((*first, known), (server, &description))
                            .await?;
                    }
                    agreed.get_or_insert((server, description));
                    sources[server_stream] = Some(Source { server, incoming });
                }
                Err(error) if error.is_unavailable() => {
                    failure.get_or_insert(error.clone());
                    self.server_pool.failed(server, error);
                }
                Err(error) => return Err(error),
            }
        }
        match agreed {
            Some((_, description)) => {
                self.server_pool.expect(&description.files());
                Ok((description, sources))
            }
            None => Err(failure.unwrap_or_else(|| {
                self.server_pool
                    .no_server_error(servers[0], "before the first batch".to_owned())
            })),
        }
    }

    async fn check_agreement(
        &self,
        (first, known): (usize, &StreamDescription),
        (server, description): (usize, &StreamDescription),
    ) -> Result<(), Error> {
        let Err(error) = known.check_same(description, &self.server_pool.address(server)) else {
            return Ok(());
        };
        // The counts are more informative than the hashes, if they can be queried.
        let (one, other) = (self.server_pool.server(first), self.server_pool.server(server));
        let dataset = &description.dataset;
        let described = tokio::join!(one.describe(dataset, None), other.describe(dataset, None));
        let (Ok(ours), Ok(theirs)) = described else {
            return Err(error);
        };
        Err(match ours.difference(&theirs) {
            Some(difference) => Error::Differs {
                address: self.server_pool.address(server),
                reason: format!("compared with {}, {difference}", self.server_pool.address(first)),
            },
            None => error,
        })
    }
}
