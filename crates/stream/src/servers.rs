//! A client of one or several servers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use equibatch_engine::memory::Pool;
use tokio::{task::JoinSet, time};

use super::{
    BatchRequest, BatchStream, Credentials, DatasetDescription, DatasetSummary, Error, Resolver, RetryPolicy,
    Sample, network_thread::NetworkThread, opening::Opened, server::Server, server_pool::ServerPool,
    spread::Spread, target::Target, trace::TraceId, transport,
};

/// Timeout of a unary request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Samples per request.
const SAMPLES_AT_ONCE: usize = 4096;

/// Servers that hold the same files. A stream is distributed over all of them, and continues while one of them is left.
///
/// The methods block, and must not be called in async code, except for those whose names end with `_async`.
#[derive(Debug)]
pub struct Servers {
    server_pool: Arc<ServerPool>,
    threads: Arc<NetworkThread>,
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
        let (threads, trace) = (NetworkThread::start()?, TraceId::new());
        let targets = targets(addresses, credentials, trace, resolver)?;
        let server_pool = threads.block_on(connect(targets, retry_policy))?;
        Ok(Self::of(server_pool, threads, trace))
    }

    /// [`Servers::open_resolving`] for async code of any executor.
    ///
    /// # Errors
    ///
    /// Those of [`Servers::open_with`].
    pub async fn open_async(
        addresses: &str,
        retry_policy: RetryPolicy,
        credentials: &Credentials,
        resolver: &Resolver,
    ) -> Result<Self, Error> {
        let (threads, trace) = (NetworkThread::start()?, TraceId::new());
        let targets = targets(addresses, credentials, trace, resolver)?;
        let server_pool = threads.run(connect(targets, retry_policy)).await?;
        Ok(Self::of(server_pool, threads, trace))
    }

    fn of(server_pool: Arc<ServerPool>, threads: NetworkThread, trace: TraceId) -> Self {
        let servers = server_pool.members().0;
        let addresses: Vec<String> = servers.iter().map(|&index| server_pool.address(index)).collect();
        Self {
            addresses: addresses.join(","),
            server_pool,
            threads: Arc::new(threads),
            weight: None,
            trace,
            shares_memory: true,
        }
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
        let spread = self.spread(request, prefetch, None);
        let opened = self.threads.block_on(spread.open())?;
        Ok(self.started(spread, opened))
    }

    /// [`Servers::stream`] for async code of any executor.
    ///
    /// # Errors
    ///
    /// Those of [`Servers::stream`].
    pub async fn stream_async(&self, request: &BatchRequest, prefetch: usize) -> Result<BatchStream, Error> {
        self.stream_into(request, prefetch, None).await
    }

    /// As [`Servers::stream_async`]; tensors are received into `slots`, of which each has room for a full batch, while one is free.
    ///
    /// # Errors
    ///
    /// Those of [`Servers::stream`].
    pub async fn stream_into(
        &self,
        request: &BatchRequest,
        prefetch: usize,
        slots: Option<Arc<Pool>>,
    ) -> Result<BatchStream, Error> {
        let spread = self.spread(request, prefetch, slots);
        let opening = async move { spread.open().await.map(|opened| (spread, opened)) };
        let (spread, opened) = self.threads.run(opening).await?;
        Ok(self.started(spread, opened))
    }

    fn spread(&self, request: &BatchRequest, prefetch: usize, slots: Option<Arc<Pool>>) -> Spread {
        Spread {
            server_pool: Arc::clone(&self.server_pool),
            request: BatchRequest {
                weight: request.weight.or(self.weight),
                ..request.clone()
            },
            prefetch,
            shares_memory: self.shares_memory,
            slots,
        }
    }

    fn started(&self, spread: Spread, (members, description, sources): Opened) -> BatchStream {
        let transports = transport::list(sources.iter().flatten().map(|source| source.incoming.transport()));
        let start = spread.request.start.as_ref();
        let description = Arc::new(description);
        let members = (members.0.as_slice(), members.1);
        let streams = spread.start(&self.threads, &description, members, start, sources);
        BatchStream::new(
            (description, transports),
            Arc::clone(&self.threads),
            spread,
            streams,
        )
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

fn targets(
    addresses: &str,
    credentials: &Credentials,
    trace: TraceId,
    resolver: &Resolver,
) -> Result<Vec<Target>, Error> {
    let parse = |address: &str| Target::parse(address.trim(), credentials, trace, resolver);
    addresses.split(',').map(parse).collect()
}

/// Resolves and connects to all servers; those that cannot be reached are marked as failed, unless none can be.
async fn connect(targets: Vec<Target>, retry_policy: RetryPolicy) -> Result<Arc<ServerPool>, Error> {
    let server_pool = ServerPool::open(targets, retry_policy).await?;
    let mut connecting = JoinSet::new();
    for index in server_pool.members().0 {
        let server = server_pool.server(index);
        connecting.spawn(async move { (index, server.connect().await) });
    }
    let (mut connected, mut failures) = (0, vec![]);
    while let Some(Ok((index, result))) = connecting.join_next().await {
        match result {
            Ok(()) => connected += 1,
            Err(error) => failures.push((index, error)),
        }
    }
    failures.sort_by_key(|(index, _)| *index);
    for (index, error) in failures {
        if connected == 0 {
            return Err(error);
        }
        server_pool.failed(index, error);
    }
    Ok(server_pool)
}
