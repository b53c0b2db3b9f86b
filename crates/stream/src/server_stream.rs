//! One server's share of a stream, with failover to other servers.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use super::{
    Batch, BatchRequest, Error, StreamDescription, incoming::Incoming, position::Due,
    server_pool::ServerPool, spread::Destination, step_timings::BatchOrigin,
};

/// Timeout of opening a stream. The server plans the epochs before it answers.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// Every n-th step of a stream: from its home server while that is healthy, otherwise from another one, starting with the first missing
/// batch. A batch is the same from any server.
#[derive(Debug)]
pub(super) struct ServerStream {
    pub(super) server_pool: Arc<ServerPool>,
    /// With this share's stride; `start` advances with every batch.
    pub(super) request: BatchRequest,
    /// Description of the stream, the same for any server.
    pub(super) description: Arc<StreamDescription>,
    /// Index of the server that this share belongs to.
    pub(super) home: usize,
    pub(super) queue: mpsc::Sender<Delivery>,
    pub(super) destination: Destination,
}

/// A batch and its origin, or the error that ends the stream.
pub(super) type Delivery = Result<(Batch, BatchOrigin), Error>;

/// An open stream from one server.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) server: usize,
    pub(super) incoming: Incoming,
}

/// Result of waiting for a batch.
#[allow(clippy::large_enum_variant, reason = "one at a time, moved once per batch")]
enum Waited {
    /// From the source waited for: a batch, an error or the end.
    Received(Option<Result<Batch, Error>>),
    /// From another source, which replaces it.
    Overtaken(Box<(Source, Batch)>),
}

impl ServerStream {
    /// Delivers the batches of this share in order, from `first` while it lasts. Ends after the last batch, after an error that no other
    /// server can resolve, or when the receiver is dropped.
    pub(super) async fn run(mut self, first: Option<Source>) {
        let mut current = first;
        while !self.is_done() {
            let mut source = match current.take() {
                Some(source) => source,
                None => match self.open_anywhere().await {
                    Ok(source) => source,
                    Err(error) => {
                        let _receiver_dropped = self.queue.send(Err(error)).await;
                        return;
                    }
                },
            };
            let (server, received) = match self.wait(&mut source).await {
                Waited::Received(received) => (source.server, received),
                Waited::Overtaken(overtaken) => {
                    let batch;
                    (source, batch) = *overtaken;
                    (source.server, Some(Ok(batch)))
                }
            };
            match received.map(|received| received.and_then(|batch| self.expected(batch))) {
                Some(Ok(batch)) => {
                    self.server_pool.delivered(server);
                    self.request.start = Some(batch.next.clone());
                    let origin = BatchOrigin {
                        server,
                        stream: source.incoming.id().to_vec(),
                    };
                    if self.queue.send(Ok((batch, origin))).await.is_err() {
                        return;
                    }
                    // Return to the home server once it is healthy.
                    current =
                        (server == self.home || !self.server_pool.is_healthy(self.home)).then_some(source);
                }
                Some(Err(error)) if is_final(&error) => {
                    let _receiver_dropped = self.queue.send(Err(error)).await;
                    return;
                }
                Some(Err(error)) => self.server_pool.failed(server, error),
                None if self.is_done() => return,
                None => {
                    let ended = self.lost(server, "it ended the stream early");
                    self.server_pool.failed(server, ended);
                }
            }
        }
    }

    /// Receives the next message of `source`; if that takes too long and another server is healthy, of whichever is first.
    async fn wait(&self, source: &mut Source) -> Waited {
        loop {
            let stall = self.server_pool.retry_policy().stall;
            if let Ok(received) = timeout(stall, source.incoming.next()).await {
                return Waited::Received(received);
            }
            let Some(other) = self.server_pool.other_healthy(source.server) else {
                continue;
            };
            tracing::warn!(
                server = %self.server_pool.address(source.server),
                other = %self.server_pool.address(other),
                stalled_s = stall.as_secs_f64(),
                "batch is late: asking another server"
            );
            tokio::select! {
                biased;
                received = source.incoming.next() => return Waited::Received(received),
                overtaken = self.fetch_from(other) => match overtaken {
                    Ok(overtaken) => {
                        let reason = format!("its batch was late by {} s", stall.as_secs_f64());
                        self.server_pool.failed(source.server, self.lost(source.server, &reason));
                        return Waited::Overtaken(Box::new(overtaken));
                    }
                    Err(error) => self.server_pool.failed(other, error),
                }
            }
        }
    }

    async fn fetch_from(&self, server: usize) -> Result<(Source, Batch), Error> {
        let mut source = self.open(server).await?;
        match source.incoming.next().await {
            Some(Ok(batch)) => Ok((source, self.expected(batch)?)),
            Some(Err(error)) => Err(error),
            None => Err(self.lost(server, "it ended the stream early")),
        }
    }

    /// Opens a stream at the home server or, if that is not healthy, at another one; waits for servers to recover, unless all failures are
    /// permanent.
    async fn open_anywhere(&self) -> Result<Source, Error> {
        let give_up = Instant::now() + self.server_pool.retry_policy().retry_for;
        let mut changes = self.server_pool.changes();
        loop {
            changes.mark_unchanged();
            while let Some(server) = self.server_pool.choose(self.home) {
                match self.open(server).await {
                    Ok(source) => return Ok(source),
                    Err(error) if is_final(&error) => return Err(error),
                    Err(error) => self.server_pool.failed(server, error),
                }
            }
            if self.server_pool.cannot_recover() || timeout_at(give_up, changes.changed()).await.is_err() {
                return Err(self.server_pool.no_server_error(self.home, self.at()));
            }
        }
    }

    async fn open(&self, server: usize) -> Result<Source, Error> {
        let opened = timeout(
            OPEN_TIMEOUT,
            self.server_pool
                .server(server)
                .incoming(&self.request, &self.destination),
        )
        .await;
        let (description, incoming) = opened.map_err(|_| Error::Unreachable {
            address: self.server_pool.address(server),
            reason: format!("no answer within {} s", OPEN_TIMEOUT.as_secs()),
        })??;
        self.description
            .check_same(&description, &self.server_pool.address(server))?;
        Ok(Source { server, incoming })
    }

    /// Rejects a batch that is not the next one of this share.
    fn expected(&self, batch: Batch) -> Result<Batch, Error> {
        let due = self.due();
        if (batch.epoch, batch.step) == (due.epoch, due.step) {
            return Ok(batch);
        }
        Err(Error::Contract {
            address: self.request_address(),
            reason: format!(
                "received epoch {} step {}, expected epoch {} step {}",
                batch.epoch + 1,
                batch.step + 1,
                due.epoch + 1,
                due.step + 1
            ),
        })
    }

    fn is_done(&self) -> bool {
        self.due().epoch >= u64::from(self.request.epochs)
    }

    /// The next batch.
    fn due(&self) -> Due {
        let start = self.request.start.as_ref();
        let from = start.map_or_else(Due::default, |start| start.due());
        self.request
            .stride
            .first_from(from, self.description.steps_per_epoch)
    }

    fn at(&self) -> String {
        let Due { epoch, step } = self.due();
        format!("before epoch {} step {}", epoch + 1, step + 1)
    }

    fn request_address(&self) -> String {
        self.server_pool.address(self.home)
    }

    fn lost(&self, server: usize, reason: &str) -> Error {
        Error::Lost {
            address: self.server_pool.address(server),
            at: self.at(),
            reason: reason.to_owned(),
        }
    }
}

/// Returns whether another server would not help: too many files are broken, and all servers have the same files; or a server violates the
/// protocol, which is a bug that should be visible.
fn is_final(error: &Error) -> bool {
    matches!(error, Error::Data { .. } | Error::Contract { .. })
}
