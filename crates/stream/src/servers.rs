//! A client of one or several servers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    runtime::Runtime,
    task::JoinSet,
    time::{self, Instant, timeout_at},
};

use super::{
    BatchRequest, BatchStream, Credentials, DatasetDescription, DatasetSummary, Error, Resolver, RetryPolicy,
    Sample, StreamDescription, server::Server, server_pool::ServerPool, server_stream::Source,
    spread::Spread, target::Target, trace::TraceId, transport,
};

/// Timeout of a unary request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Samples per request.
const SAMPLES_AT_ONCE: usize = 4096;

/// The servers and the membership number, the description of the stream, and the open stream of each server that was reached.
type Opened = ((Vec<usize>, u64), StreamDescription, Vec<Option<Source>>);

/// Servers that hold the same files. A stream is distributed over all of them, and continues while one of them is left.
#[derive(Debug)]
pub struct Servers {
    server_pool: Arc<ServerPool>,
    threads: Arc<Runtime>,
    addresses: String,
    weight: Option<u32>,
    trace: TraceId,
    shares_memory: bool,
}

impl Servers {
    /// Connects to `addresses`: one or several, separated by commas, each `HOST:PORT` or `unix:PATH`. A host name that resolves to several
    /// addresses stands for as many servers.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] if an address is malformed, [`Error::Unreachable`] if no server answers within five seconds,
    /// [`Error::NotAServer`] if the answer is not HTTP/2.
    pub fn open(addresses: &str, retry_policy: RetryPolicy) -> Result<Self, Error> {
        Self::open_with(addresses, retry_policy, &Credentials::default())
    }

    /// Like [`Servers::open`], with `credentials` for every server; tokens are sent only over TLS or within this machine. With `https://`
    /// and a host name, each of its servers must have a certificate for that name.
    ///
    /// # Errors
    ///
    /// Also [`Error::Untrusted`] if a server's certificate cannot be verified, and [`Error::Denied`] if authentication fails.
    pub fn open_with(
        addresses: &str,
        retry_policy: RetryPolicy,
        credentials: &Credentials,
    ) -> Result<Self, Error> {
        Self::open_resolving(addresses, retry_policy, credentials, &Resolver::default())
    }

    /// Like [`Servers::open_with`], with names resolved by `resolver`: at the start, periodically, and when a server fails. New servers of
    /// a name are used from the next batch on; removed ones are not used any more.
    ///
    /// # Errors
    ///
    /// Those of [`Servers::open_with`].
    pub fn open_resolving(
        addresses: &str,
        retry_policy: RetryPolicy,
        credentials: &Credentials,
        resolver: &Resolver,
    ) -> Result<Self, Error> {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("stream")
            .enable_all()
            .build();
        let trace = TraceId::new();
        let threads = Arc::new(threads.map_err(|error| Error::Threads(Arc::new(error)))?);
        let server_pool = threads.block_on(async {
            let targets = addresses
                .split(',')
                .map(|address| Target::parse(address.trim(), credentials, trace, resolver));
            let server_pool = ServerPool::open(targets.collect::<Result<_, _>>()?, retry_policy).await?;
            connect_all(&server_pool).await?;
            Ok::<_, Error>(server_pool)
        })?;
        let servers = server_pool.members().0;
        let listed: Vec<String> = servers.iter().map(|&index| server_pool.address(index)).collect();
        let addresses = listed.join(",");
        Ok(Self {
            server_pool,
            threads,
            addresses,
            weight: None,
            trace,
            shares_memory: true,
        })
    }

    /// The trace id of this client's requests in the servers' logs and traces.
    #[must_use]
    pub fn trace(&self) -> TraceId {
        self.trace
    }

    /// Sets the default scheduling weight of streams.
    #[must_use]
    pub fn weighing(self, weight: Option<u32>) -> Self {
        Self { weight, ..self }
    }

    /// Disables shared memory, which servers on this machine may offer.
    #[must_use]
    pub fn without_shared_memory(mut self) -> Self {
        self.shares_memory = false;
        self
    }

    /// The initial addresses of the servers, separated by commas.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.addresses
    }

    /// Takes the number of damaged batches of each server, by its address, since the last call: their checksums differed, and their
    /// steps were requested again.
    #[must_use]
    pub fn take_damaged(&self) -> BTreeMap<String, u64> {
        self.server_pool.take_damaged()
    }

    /// Lists the datasets of the first server that answers.
    ///
    /// # Errors
    ///
    /// [`Error::NotAServer`] and [`Error::Unreachable`].
    pub fn datasets(&self) -> Result<Vec<DatasetSummary>, Error> {
        self.ask(&async |server| server.datasets().await)
    }

    /// Describes a dataset, by the first server that answers; an empty name means the only one.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the server has no such dataset.
    pub fn describe(&self, dataset: &str) -> Result<DatasetDescription, Error> {
        self.describe_with(dataset, None)
    }

    /// Like [`Servers::describe`], with the β of the effective number of images, in `0..1`.
    ///
    /// # Errors
    ///
    /// Those of [`Servers::describe`].
    pub fn describe_with(
        &self,
        dataset: &str,
        effective_number_beta: Option<f64>,
    ) -> Result<DatasetDescription, Error> {
        self.ask(&async |server| server.describe(dataset, effective_number_beta).await)
    }

    /// Paths of samples relative to the root of their dataset, in the order of `samples`; empty if the servers are too old to answer.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the dataset has no such sample.
    pub fn paths(&self, dataset: &str, samples: &[u32]) -> Result<Vec<String>, Error> {
        let named = self.samples(dataset, samples)?.into_iter();
        Ok(named.map(|sample| sample.path).collect())
    }

    /// Samples of a dataset by their ids, in the order of `ids`; empty if the servers are too old to answer.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the dataset has no such sample.
    pub fn samples(&self, dataset: &str, ids: &[u32]) -> Result<Vec<Sample>, Error> {
        let mut samples = vec![];
        for some in ids.chunks(SAMPLES_AT_ONCE) {
            samples.extend(self.ask(&async |server| server.samples(dataset, some).await)?);
        }
        Ok(samples)
    }

    /// Starts a stream that prefetches up to `prefetch` batches, at least one from each server. Each server has a connection of its own,
    /// with windows for its round-trip time.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if a server refuses the request, with the invalid field; [`Error::Differs`] if two servers serve different files;
    /// [`Error::Unreachable`] if none can be reached.
    pub fn stream(&self, request: &BatchRequest, prefetch: usize) -> Result<BatchStream, Error> {
        let spread = Spread {
            server_pool: Arc::clone(&self.server_pool),
            threads: Arc::clone(&self.threads),
            request: BatchRequest {
                weight: request.weight.or(self.weight),
                ..request.clone()
            },
            prefetch,
            shares_memory: self.shares_memory,
        };
        let opened = self.threads.block_on(self.open_patiently(&spread))?;
        let ((servers, membership), description, sources) = opened;
        let description = Arc::new(description);
        let transports = transport::list(sources.iter().flatten().map(|source| source.incoming.transport()));
        let start = spread.request.start.as_ref();
        let streams = spread.start(&description, (&servers, membership), start, sources);
        Ok(BatchStream::new((description, transports), spread, streams))
    }

    /// Opens a stream at each server; if none can be reached, waits for one to recover or to be added, up to the retry policy.
    async fn open_patiently(&self, spread: &Spread) -> Result<Opened, Error> {
        let give_up = Instant::now() + self.server_pool.retry_policy().retry_for;
        let mut changes = self.server_pool.changes();
        loop {
            changes.mark_unchanged();
            let (servers, membership) = self.server_pool.members();
            match self.open_streams(spread, &servers).await {
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
        spread: &Spread,
        servers: &[usize],
    ) -> Result<(StreamDescription, Vec<Option<Source>>), Error> {
        let streams = servers.len();
        let mut opening = JoinSet::new();
        let well = servers.iter().enumerate();
        for (server_stream, &server) in well.filter(|&(_, &server)| self.server_pool.is_healthy(server)) {
            let request = spread.part(server_stream, streams, spread.request.start.clone());
            let (target, held) = (self.server_pool.server(server), spread.held(streams));
            opening.spawn(async move { (server_stream, server, target.incoming(&request, held).await) });
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

    /// Asks the healthy servers, one after the other, until one can be reached.
    fn ask<T>(&self, question: &impl AsyncFn(&Server) -> Result<T, Error>) -> Result<T, Error> {
        self.threads.block_on(async {
            loop {
                let Some(server) = self.server_pool.choose(0) else {
                    return Err(self
                        .server_pool
                        .no_server_error(0, "before it answered".to_owned()));
                };
                let answer = time::timeout(ANSWER_TIMEOUT, question(&self.server_pool.server(server))).await;
                let answer = answer.unwrap_or_else(|_| {
                    Err(Error::Unreachable {
                        address: self.server_pool.address(server),
                        reason: format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()),
                    })
                });
                match answer {
                    Err(error)
                        if error.is_unavailable() && self.server_pool.other_healthy(server).is_some() =>
                    {
                        self.server_pool.failed(server, error);
                    }
                    answer => return answer,
                }
            }
        })
    }
}

/// Connects to all servers; those that cannot be reached are marked as failed, unless none can be.
async fn connect_all(server_pool: &Arc<ServerPool>) -> Result<(), Error> {
    let mut greeting = JoinSet::new();
    for index in server_pool.members().0 {
        let server = server_pool.server(index);
        greeting.spawn(async move { (index, server.connect().await) });
    }
    let (mut met, mut failures) = (0, vec![]);
    while let Some(Ok((index, greeted))) = greeting.join_next().await {
        match greeted {
            Ok(()) => met += 1,
            Err(error) => failures.push((index, error)),
        }
    }
    failures.sort_by_key(|(index, _)| *index);
    for (index, error) in failures {
        if met == 0 {
            return Err(error);
        }
        server_pool.failed(index, error);
    }
    Ok(())
}
