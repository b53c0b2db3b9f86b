//! Opens streams: from a request to the body of its response.

use equibatch_engine::pipeline::{BatchStream, Limits, Requester, StreamSpec};
use equibatch_proto::v1::{
    self, OpenSharedBatches, StreamSharedBatchesRequest, stream_shared_batches_request::Message,
};
use equibatch_transport::{AlreadySent, FdSender};
use tonic::{Code, Extensions, Status, Streaming};

use super::{
    access::{Caller, Grant},
    admission::ConnectionInfo,
    batch_body::{BatchBody, Ends},
    convert,
    leases::Leases,
    loader::{Loader, caller, owner},
    status::{limit_reached, not_planned, shared_memory_unavailable, status, stopping},
    traffic::Refusal,
};

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
    /// The responses to `StreamBatches`.
    pub(super) async fn stream_batches(
        &self,
        extensions: &Extensions,
        request: v1::StreamBatchesRequest,
    ) -> Result<BatchBody, Status> {
        self.counted(extensions, request, None).await
    }

    /// The responses to `StreamSharedBatches`.
    pub(super) async fn stream_shared_batches(
        &self,
        extensions: &Extensions,
        mut messages: Streaming<StreamSharedBatchesRequest>,
    ) -> Result<BatchBody, Status> {
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
        self.counted(extensions, request, Some(sharing)).await
    }

    /// Opens a stream; counts it if it is refused.
    async fn counted(
        &self,
        extensions: &Extensions,
        request: v1::StreamBatchesRequest,
        sharing: Option<SharedMemoryRequest>,
    ) -> Result<BatchBody, Status> {
        let opened = self.open(extensions, request, sharing).await;
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
    pub(super) fn streams_of(&self, grant: &Grant) -> usize {
        let own = grant.permissions.streams.unwrap_or(self.per_client);
        own.min(self.engine.limits().open_streams)
    }

    async fn open(
        &self,
        extensions: &Extensions,
        mut request: v1::StreamBatchesRequest,
        sharing: Option<SharedMemoryRequest>,
    ) -> Result<BatchBody, Status> {
        // Tracked before the check: a shutdown that begins now either waits for this stream or is seen here.
        let open = self.open_streams.token();
        if self.stopping.is_cancelled() {
            return Err(stopping());
        }
        let Caller { client, grant } = caller(extensions);
        let own = grant.permissions.streams.unwrap_or(self.per_client);
        let permit = self.limiter.acquire(client.clone(), own);
        let permit = permit.map_err(|exceeded| limit_reached(exceeded, &client))?;
        request.weight = request.weight.or(grant.permissions.weight);
        let served = self
            .engine
            .dataset_among(&request.dataset, |name| grant.permissions.allow(name))
            .map_err(|error| status(&error))?;
        let spec = convert::stream_spec(request, served.dataset()).map_err(|error| status(&error))?;
        let limits = grant.permissions.within(self.engine.limits());
        let (mut stream, leases) = self.plan((client.key(), limits), spec, sharing).await?;
        stream.owned_by(owner(&client));
        // Shared-memory streams are bounded by their memory.
        if leases.is_none() {
            stream.count_sent();
        }
        let connection = extensions.get::<ConnectionInfo>();
        if let Some(connection) = connection {
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
        let ends = Ends {
            stopping: &self.stopping,
            grant: &grant,
            read_timeout: self.read_timeout,
            close_token: connection.map(ConnectionInfo::close_token),
        };
        Ok(BatchBody::new(stream, leases, ends, (open, permit)))
    }

    /// Plans the stream of a client with its limits; sends the descriptor of its memory if it is shared.
    async fn plan(
        &self,
        (name, limits): (String, Limits),
        spec: StreamSpec,
        sharing: Option<SharedMemoryRequest>,
    ) -> Result<(BatchStream, Option<Leases>), Status> {
        let engine = self.engine.clone();
        let held = sharing.as_ref().map(|sharing| sharing.held as usize);
        let opened = tokio::task::spawn_blocking(move || {
            let (name, limits) = (&name, &limits);
            let client = Requester { name, limits };
            match held {
                Some(held) => engine
                    .stream_shared(client, spec, held)
                    .map(|(stream, memory)| (stream, Some(memory))),
                None => engine.stream_for(client, spec).map(|stream| (stream, None)),
            }
        });
        let (stream, memory) = opened
            .await
            .map_err(|error| not_planned(&error))?
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
