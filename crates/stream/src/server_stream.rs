//! One server's part of a stream, and what happens to it when that server does not deliver.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use super::{
    Batch, BatchRequest, Error, StreamDescription, incoming::Incoming, server_pool::ServerPool,
    step_timings::BatchOrigin,
};

/// How long a server may take to answer a request for a stream. It plans the epochs before it does.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// The steps of a stream that belong to one server while it is well: every n-th one. Where it is not, another server is asked for them, from
/// the first one that is missing; a batch is the same whoever makes it.
#[derive(Debug)]
pub(super) struct ServerStream {
    pub(super) server_pool: Arc<ServerPool>,
    /// With this lane's stride; its start moves on with every batch.
    pub(super) request: BatchRequest,
    /// What the stream is, from any server.
    pub(super) description: Arc<StreamDescription>,
    /// The server that this lane belongs to.
    pub(super) home: usize,
    pub(super) queue: mpsc::Sender<Delivery>,
    /// Batches of this lane that are held at a time, where they may stay in a server's memory.
    pub(super) held: Option<u32>,
}

/// A batch and where it came from, or why there are no more.
pub(super) type Delivery = Result<(Batch, BatchOrigin), Error>;

/// A stream from one of the servers.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) server: usize,
    pub(super) incoming: Incoming,
}

/// What came of waiting for a batch.
enum Waited {
    /// From the source that was waited for: a batch, an error or the end.
    Received(Option<Result<Batch, Error>>),
    /// From another source, which is to be used from now on.
    Overtaken(Box<(Source, Batch)>),
}

impl ServerStream {
    /// Delivers this lane's batches in order, from `first` for as long as it lasts. Ends after the last batch, after an error that no other
    /// server can mend, or when nobody listens any more.
    pub(super) async fn run(mut self, first: Option<Source>) {
        let mut current = first;
        while !self.is_done() {
            let mut source = match current.take() {
                Some(source) => source,
                None => match self.open_anywhere().await {
                    Ok(source) => source,
                    Err(error) => {
                        let _nobody_listens = self.queue.send(Err(error)).await;
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
                    // Back home as soon as home is well again.
                    current =
                        (server == self.home || !self.server_pool.is_healthy(self.home)).then_some(source);
                }
                Some(Err(error)) if is_final(&error) => {
                    let _nobody_listens = self.queue.send(Err(error)).await;
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

    /// The next message of `source`; where that takes too long and another server can be asked, whichever is first.
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
                "asking another server for a batch that is late"
            );
            tokio::select! {
                biased;
                received = source.incoming.next() => return Waited::Received(received),
                overtaken = self.fetch_from(other) => match overtaken {
                    Ok(overtaken) => {
                        let reason = format!("it owed a batch for {} s", stall.as_secs_f64());
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

    /// A source from home or, if home is not well, from another server; waits for servers to come back, unless no server can be expected to.
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
            self.server_pool.server(server).incoming(&self.request, self.held),
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

    /// Refuses a batch that is not the next one of this lane.
    fn expected(&self, batch: Batch) -> Result<Batch, Error> {
        let due = self.due();
        if (batch.epoch, batch.step) == due {
            return Ok(batch);
        }
        Err(Error::Contract {
            address: self.request_address(),
            reason: format!(
                "epoch {} step {} came where epoch {} step {} was due",
                batch.epoch + 1,
                batch.step + 1,
                due.0 + 1,
                due.1 + 1
            ),
        })
    }

    fn is_done(&self) -> bool {
        self.due().0 >= u64::from(self.request.epochs)
    }

    /// Epoch and step of the next batch.
    fn due(&self) -> (u64, u64) {
        let start = self.request.start.as_ref();
        let from = start.map_or((0, 0), |start| (start.epoch, start.step));
        self.request
            .stride
            .first_from(from, self.description.steps_per_epoch)
    }

    fn at(&self) -> String {
        let (epoch, step) = self.due();
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

/// Whether asking anybody else would be of no use: too many of the files, which are the same everywhere, are broken; or a server breaks the
/// contract, which is a defect that should be seen.
fn is_final(error: &Error) -> bool {
    matches!(error, Error::Data { .. } | Error::Contract { .. })
}
