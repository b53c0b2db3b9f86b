//! The gRPC methods of `BatchLoader`.

use std::{sync::Arc, time::Duration};

use equibatch_proto::v1::{
    self, OpenSharedBatches, StreamSharedBatchesRequest, batch_loader_server::BatchLoader,
    stream_shared_batches_request::Message,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Code, Extensions, Request, Response, Status, Streaming};

use super::{
    ServiceConfig,
    access::{Caller, ClientId, ClientLimiter, Grant},
    admission::ConnectionInfo,
    convert,
    leases::Leases,
    response_stream::ResponseStream,
    socket::{AlreadySent, FdSender},
    status::{limit_reached, shared_memory_unavailable, status, stopping},
    traffic::{Refusal, Traffic},
};
use equibatch_engine::{
    dataset::{self, Dataset, Quarantined, Split},
    pipeline::{self, BatchStream, Engine, ServedDataset, StreamSpec},
};

/// Default beta of the effective number of samples.
const EFFECTIVE_NUMBER_BETA: f64 = 0.999;

/// Maximum of samples in a response.
const NAMED_SAMPLES: usize = 4096;

/// Maximum of quarantined files in a response, and of their bytes, approximately.
const PAGE_FILES: usize = 1000;
const PAGE_BYTES: usize = 1 << 20;

/// Implements the gRPC methods over an engine.
#[derive(Clone, Debug)]
pub struct Loader {
    engine: Engine,
    /// Cancelled when the server begins to shut down.
    stopping: CancellationToken,
    open_streams: TaskTracker,
    /// Limits open streams.
    limiter: ClientLimiter,
    /// Default maximum of open streams per client.
    per_client: usize,
    /// Longest time that a reader may take nothing; `None`: unlimited.
    read_timeout: Option<Duration>,
    /// Whether clients on this machine may read batches from shared memory.
    shares_memory: bool,
    traffic: Traffic,
}

impl Loader {
    /// Serves `engine` until `stopping` is cancelled; tracks its streams in `open_streams`.
    #[must_use]
    pub(super) fn new(
        engine: Engine,
        config: &ServiceConfig,
        stopping: CancellationToken,
        open_streams: TaskTracker,
    ) -> Self {
        let limiter = ClientLimiter::new(engine.limits().open_streams);
        config.traffic.count_streams(limiter.clone());
        Self {
            limiter,
            traffic: config.traffic.clone(),
            engine,
            stopping,
            open_streams,
            per_client: config.streams_per_client,
            read_timeout: config.reader_timeout,
            shares_memory: config.share_memory,
        }
    }

    /// Longest time that a reader may take nothing; `None`: unlimited.
    pub(super) fn read_timeout(&self) -> Option<Duration> {
        self.read_timeout
    }
}

/// The caller, as set by [`AuthInterceptor`](super::access::AuthInterceptor).
fn caller(extensions: &Extensions) -> Caller {
    let caller = extensions.get::<Caller>();
    caller.expect("every request passes the interceptor").clone()
}

/// The client that opened a stream, which alone may report on it.
fn owner(client: &ClientId) -> String {
    format!("{client:?}")
}

#[tonic::async_trait]
impl BatchLoader for Loader {
    type StreamBatchesStream = ResponseStream;
    type StreamSharedBatchesStream = ResponseStream;

    async fn list_datasets(
        &self,
        request: Request<v1::ListDatasetsRequest>,
    ) -> Result<Response<v1::ListDatasetsResponse>, Status> {
        let permissions = &caller(request.extensions()).grant.permissions;
        let summary = |served: &Arc<ServedDataset>| v1::DatasetSummary {
            name: served.dataset().name.clone(),
            fingerprint: served.dataset().fingerprint.0.to_vec().into(),
            classes: served.dataset().classes.clone(),
            images_per_split: (served.splits().into_iter())
                .map(|(split, images)| (split.name().to_owned(), images))
                .collect(),
        };
        let datasets = self.engine.datasets().into_iter();
        let datasets = datasets
            .filter(|served| permissions.allow(&served.dataset().name))
            .map(summary)
            .collect();
        Ok(Response::new(v1::ListDatasetsResponse { datasets }))
    }

    async fn describe_dataset(
        &self,
        request: Request<v1::DescribeDatasetRequest>,
    ) -> Result<Response<v1::DescribeDatasetResponse>, Status> {
        let grant = caller(request.extensions()).grant;
        let permissions = &grant.permissions;
        let request = request.into_inner();
        let beta = request.effective_number_beta.unwrap_or(EFFECTIVE_NUMBER_BETA);
        if !(0.0..1.0).contains(&beta) {
            let message = format!("effective_number_beta is {beta}: it must be at least 0 and less than 1");
            return Err(Status::invalid_argument(message));
        }
        let served = self
            .engine
            .dataset_among(&request.dataset, |name| permissions.allow(name))
            .map_err(|error| status(&error))?;
        let dataset = served.dataset();
        let samples = samples(dataset, &request.sample_ids)?;
        let identity = v1::DescribeDatasetResponse {
            name: dataset.name.clone(),
            fingerprint: dataset.fingerprint.0.to_vec().into(),
            samples,
            ..v1::DescribeDatasetResponse::default()
        };
        if request.identity_only {
            return Ok(Response::new(identity));
        }
        let counts: Vec<u32> = served.counts(Split::Train).collect();
        let splits = served.splits();
        let inverse = dataset::inverse_frequency(&counts);
        let effective = dataset::effective_number(&counts, beta);
        let class = |(index, name): (usize, &String)| v1::ClassDescription {
            name: name.clone(),
            images_per_split: (splits.iter())
                .map(|&(split, _)| (split.name().to_owned(), served.members(split)[index].len() as u32))
                .collect(),
            inverse_frequency_weight: inverse[index],
            effective_number_weight: effective[index],
        };
        let (quarantined, next_page_token) = quarantined(served, &request.page_token, request.page_size);
        Ok(Response::new(v1::DescribeDatasetResponse {
            classes: dataset.classes.iter().enumerate().map(class).collect(),
            splits: (splits.iter())
                .map(|(split, _)| split.name().to_owned())
                .collect(),
            quarantined,
            next_page_token,
            quarantined_files: served.quarantined_files() as u32,
            max_streams: self.streams_of(&grant).try_into().unwrap_or(u32::MAX),
            ..identity
        }))
    }

    async fn report_epoch(
        &self,
        request: Request<v1::ReportEpochRequest>,
    ) -> Result<Response<v1::ReportEpochResponse>, Status> {
        let owner = owner(&caller(request.extensions()).client);
        let request = request.into_inner();
        let (stream, usage) = convert::usage(&request).map_err(|error| status(&error))?;
        let unknown = || Status::not_found("stream_id and epoch name no epoch that awaits a report");
        let spent = self
            .engine
            .report((stream, &owner), request.epoch, &usage)
            .ok_or_else(unknown)?;
        Ok(Response::new(convert::spent(&spent)))
    }

    async fn stream_batches(
        &self,
        request: Request<v1::StreamBatchesRequest>,
    ) -> Result<Response<ResponseStream>, Status> {
        let (_, extensions, request) = request.into_parts();
        self.answer(&extensions, request, None).await
    }

    async fn stream_shared_batches(
        &self,
        request: Request<Streaming<StreamSharedBatchesRequest>>,
    ) -> Result<Response<ResponseStream>, Status> {
        let (_, extensions, mut messages) = request.into_parts();
        if !self.shares_memory {
            return Err(shared_memory_unavailable("it is disabled on this server"));
        }
        let connection = extensions.get::<ConnectionInfo>();
        let fd_sender = connection.and_then(ConnectionInfo::fd_sender).cloned();
        let fd_sender = fd_sender.ok_or_else(|| shared_memory_unavailable("it needs a Unix socket"))?;
        let first = messages.message().await?.and_then(|first| first.message);
        let Some(Message::Open(OpenSharedBatches {
            batches: Some(request),
            held,
        })) = first
        else {
            return Err(Status::invalid_argument(
                "the first message must be `open`, with `batches` set",
            ));
        };
        let sharing = SharedMemoryRequest {
            held,
            fd_sender,
            releases: messages,
        };
        self.answer(&extensions, request, Some(sharing)).await
    }
}

/// The parts of a request for a stream in shared memory.
struct SharedMemoryRequest {
    /// Batches that the reader will hold at a time.
    held: u32,
    /// Sends the memory's file descriptor.
    fd_sender: FdSender,
    /// The reader's releases.
    releases: Streaming<StreamSharedBatchesRequest>,
}

impl Loader {
    /// Opens a stream; counts it if it is refused.
    async fn answer(
        &self,
        extensions: &Extensions,
        request: v1::StreamBatchesRequest,
        sharing: Option<SharedMemoryRequest>,
    ) -> Result<Response<ResponseStream>, Status> {
        let opened = self.stream(extensions, request, sharing).await;
        opened.inspect_err(|status| {
            let refusal = match status.code() {
                Code::ResourceExhausted => Refusal::Limit,
                Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition => Refusal::Request,
                _ => return,
            };
            let client = caller(extensions).client;
            self.traffic.refused(refusal, &client, status.message());
        })
    }

    /// Maximum of open streams of the client of `grant`.
    fn streams_of(&self, grant: &Grant) -> usize {
        let own = grant.permissions.streams.unwrap_or(self.per_client);
        own.min(self.engine.limits().open_streams)
    }

    async fn stream(
        &self,
        extensions: &Extensions,
        mut request: v1::StreamBatchesRequest,
        sharing: Option<SharedMemoryRequest>,
    ) -> Result<Response<ResponseStream>, Status> {
        // Tracked before the check: a shutdown that begins now either waits for this stream or is seen here.
        let open = self.open_streams.token();
        if self.stopping.is_cancelled() {
            return Err(stopping());
        }
        let Caller { client, grant } = caller(extensions);
        let permit = self
            .limiter
            .acquire(
                client.clone(),
                grant.permissions.streams.unwrap_or(self.per_client),
            )
            .map_err(|exceeded| limit_reached(exceeded, &client))?;
        request.weight = request.weight.or(grant.permissions.weight);
        let served = self
            .engine
            .dataset_among(&request.dataset, |name| grant.permissions.allow(name))
            .map_err(|error| status(&error))?;
        let spec = convert::stream_spec(request, served.dataset()).map_err(|error| status(&error))?;
        let limits = grant.permissions.within(self.engine.limits());
        spec.validate(&limits)
            .map_err(|error| status(&pipeline::Error::from(error)))?;
        let (mut stream, leases) = self.open(client.key(), spec, sharing).await?;
        stream.owned_by(owner(&client));
        // Shared-memory streams are bounded by their memory.
        if leases.is_none() {
            stream.count_sent();
        }
        if let Some(connection) = extensions.get::<ConnectionInfo>() {
            stream.sent_by(connection.write_stall_ns());
            connection.mark_known();
        }
        let spec = &stream.description().spec;
        tracing::info!(
            client = %client,
            dataset = spec.dataset,
            split = spec.split.name(),
            seed = spec.seed,
            epochs = spec.epochs,
            batch = spec.batch_size,
            epoch = spec.start.position.epoch,
            step = spec.start.position.step,
            rank = spec.shard.rank,
            world = spec.shard.world,
            shared_memory = leases.is_some(),
            "stream opened"
        );
        Ok(Response::new(ResponseStream::new(
            stream,
            leases,
            &self.stopping,
            &grant,
            (open, permit),
        )))
    }

    /// Plans the stream; sends the descriptor of its memory if it is shared.
    async fn open(
        &self,
        client: String,
        spec: StreamSpec,
        sharing: Option<SharedMemoryRequest>,
    ) -> Result<(BatchStream, Option<Leases>), Status> {
        let engine = self.engine.clone();
        let held = sharing.as_ref().map(|sharing| sharing.held as usize);
        let opened = tokio::task::spawn_blocking(move || match held {
            Some(held) => engine
                .stream_shared(&client, spec, held)
                .map(|(stream, memory)| (stream, Some(memory))),
            None => engine.stream_for(&client, spec).map(|stream| (stream, None)),
        });
        let (stream, memory) = opened
            .await
            .map_err(|_panic| Status::internal("panic while the stream was planned"))?
            .map_err(|error| status(&error))?;
        let (Some(sharing), Some(memory)) = (sharing, memory) else {
            return Ok((stream, None));
        };
        let leases = Leases::new(&memory, sharing.releases);
        let handed_over = sharing.fd_sender.send(memory.file);
        handed_over.map_err(|AlreadySent| {
            shared_memory_unavailable("this connection has already carried a file descriptor")
        })?;
        Ok((stream, Some(leases)))
    }
}

/// Describes the samples with these ids.
fn samples(dataset: &Dataset, ids: &[u32]) -> Result<Vec<v1::SampleDescription>, Status> {
    if ids.len() > NAMED_SAMPLES {
        let message = format!(
            "sample_ids has {} entries: expected at most {NAMED_SAMPLES}",
            ids.len()
        );
        return Err(Status::invalid_argument(message));
    }
    let describe = |&id: &u32| {
        let sample = dataset.samples.get(id as usize).ok_or_else(|| {
            let samples = dataset.samples.len();
            Status::invalid_argument(format!(
                "sample_ids contains {id}: the dataset has {samples} samples"
            ))
        })?;
        Ok(v1::SampleDescription {
            id,
            path: sample.path.to_string(),
            label: sample.class,
            split: sample.split.name().to_owned(),
        })
    };
    ids.iter().map(describe).collect()
}

/// A page of quarantined files after the path `after`, and the token of the next page. The token is the last path, so that pages do not
/// shift when files are quarantined meanwhile.
fn quarantined(served: &ServedDataset, after: &str, page_size: u32) -> (Vec<v1::QuarantinedFile>, String) {
    let files = match page_size as usize {
        0 => PAGE_FILES,
        wanted => wanted.min(PAGE_FILES),
    };
    // One more, to tell whether there is a next page.
    let found = served.quarantined(after, files + 1);
    let mut bytes = 0;
    let fits = |file: &&Quarantined| {
        bytes += file.path.len() + file.reason.len();
        bytes <= PAGE_BYTES
    };
    let count = found.iter().take(files).take_while(fits).count().max(1);
    let next = match found.get(count) {
        Some(_) => found[count - 1].path.clone(),
        None => String::new(),
    };
    let page = found.into_iter().take(count).map(|file| v1::QuarantinedFile {
        path: file.path,
        reason: file.reason,
    });
    (page.collect(), next)
}
