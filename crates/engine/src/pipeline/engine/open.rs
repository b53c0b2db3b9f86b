//! Opening of streams.

use std::{os::fd::OwnedFd, sync::Arc};

use super::{Engine, plan::PlannedStream};
use crate::{
    memory::{Permit, Pool, Shared},
    pipeline::{
        BatchStream, Error, Exposure, Limits, StreamSpec,
        cache_demand::register_demand,
        clients::Client,
        coalescer::SharedStream,
        sent_batches::SentBatches,
        stream::{StreamPermit, StreamStats},
        stream_task::{StreamParts, StreamTask},
    },
};

/// Shared memory that holds the batches of a stream, so that another process on this machine reads them without a copy.
#[derive(Debug)]
pub struct SharedMemory {
    /// Its descriptor, which can be mapped for reading only.
    pub file: OwnedFd,
    /// Its size in bytes.
    pub bytes: usize,
    /// Number of batches that it holds.
    pub batches: usize,
}

/// Buffers of a stream in shared memory in addition to those that its reader holds: one batch is completed while the next is started.
const WRITE_BUFFERS: usize = 2;

/// Maximum number of batches in shared memory that a reader may hold; more would not hide more jitter.
const MAX_HELD: usize = 62;

/// The buffers of a stream.
struct StreamBuffers {
    buffers: Arc<Pool>,
    /// Maximum number of batches that are open or sent.
    window: usize,
    memory: Permit,
    shared_stream: Option<Arc<SharedStream>>,
}

/// Whom a stream is opened for.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'a> {
    /// Name of the client.
    pub name: &'a str,
    /// The limits on its requests: the engine's, or lower ones.
    pub limits: &'a Limits,
}

impl Engine {
    /// Opens a stream for an engine with one client; see [`Engine::stream_for`].
    ///
    /// # Errors
    ///
    /// Those of [`Engine::stream_for`].
    pub fn stream(&self, spec: StreamSpec) -> Result<BatchStream, Error> {
        let (name, limits) = ("", &self.config.limits);
        self.stream_for(Requester { name, limits }, spec)
    }

    /// Opens a stream for `client`; all streams of a client together have one share of the workers' time. May plan the cache, in time proportional to
    /// the number of images of the split: do not call it on an async thread.
    ///
    /// # Errors
    ///
    /// If the request is invalid for the dataset or exceeds a limit, or there is no memory for a batch.
    pub fn stream_for(&self, client: Requester<'_>, spec: StreamSpec) -> Result<BatchStream, Error> {
        self.stream_into(client, spec, None)
    }

    /// As [`Engine::stream_for`]; with `slots`, batches are written to these, and none is begun while no slot is free.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::stream_for`].
    pub fn stream_into(
        &self,
        client: Requester<'_>,
        spec: StreamSpec,
        slots: Option<Arc<Pool>>,
    ) -> Result<BatchStream, Error> {
        let planned = self.plan(spec, client.limits)?;
        let permit = StreamPermit::take(&self.open_streams, self.config.limits.open_streams)?;
        let spec = &planned.description.spec;
        let client = self.clients.named(client.name, self.workers.now());
        let wanted = self.fitting(spec).min(self.config.stream_batches.get());
        let (window, memory) = self.reserve(&client, spec, wanted)?;
        // Batches in slots are not for others.
        let shared_stream = slots
            .is_none()
            .then(|| self.coalescer.group(planned.key(), window));
        let stream_buffers = StreamBuffers {
            buffers: slots.unwrap_or_else(|| Pool::keeping(window, spec.batch_bytes())),
            window,
            memory,
            shared_stream,
        };
        Ok(self.start(client, planned, permit, stream_buffers))
    }

    /// As [`Engine::stream_for`], with batches in shared memory, at [`Batch::offset`](crate::pipeline::Batch::offset). A batch is not overwritten while its tensor
    /// is referred to. The memory holds `held` batches for the reader and two that are being written, or fewer if the limits on a stream's memory
    /// require it.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::stream_for`], and if the system has no sealed shared memory.
    pub fn stream_shared(
        &self,
        client: Requester<'_>,
        spec: StreamSpec,
        held: usize,
    ) -> Result<(BatchStream, SharedMemory), Error> {
        let planned = self.plan(spec, client.limits)?;
        let permit = StreamPermit::take(&self.open_streams, self.config.limits.open_streams)?;
        let spec = &planned.description.spec;
        let batches = held.min(MAX_HELD) + WRITE_BUFFERS;
        let client = self.clients.named(client.name, self.workers.now());
        let (batches, memory_taken) = self.reserve(&client, spec, batches.min(self.fitting(spec)))?;
        let Shared { pool, file, stride } =
            Pool::shared(batches, spec.batch_bytes()).map_err(|source| Error::SharedMemory { source })?;
        let memory = SharedMemory {
            file,
            bytes: batches * stride,
            batches,
        };
        let stream_buffers = StreamBuffers {
            buffers: pool,
            window: batches.min(self.config.stream_batches.get()),
            memory: memory_taken,
            shared_stream: None,
        };
        Ok((self.start(client, planned, permit, stream_buffers), memory))
    }

    /// Reserves memory for `wanted` batches, or as many as fit, at least one. A stream takes at most half of what is left to its client, so that the
    /// client can open another one.
    fn reserve(
        &self,
        client: &Client<StreamTask>,
        spec: &StreamSpec,
        wanted: usize,
    ) -> Result<(usize, Permit), Error> {
        let each = spec.batch_memory();
        let take = |batches: usize| {
            let permit = self
                .memory
                .rest
                .try_take(each.saturating_mul(batches as u64), client.memory());
            permit.map(|permit| (batches, permit))
        };
        let half = self.memory.rest.left_for(client.memory()) / 2 / each.max(1);
        let wanted = wanted.min(usize::try_from(half).unwrap_or(usize::MAX)).max(1);
        let reserved = (1..=wanted).rev().find_map(take);
        reserved.ok_or(Error::NoMemory { bytes: each })
    }

    fn start(
        &self,
        client: Arc<Client<StreamTask>>,
        planned: PlannedStream,
        permit: StreamPermit,
        stream_buffers: StreamBuffers,
    ) -> BatchStream {
        let PlannedStream {
            description,
            plans,
            renderer,
        } = planned;
        let cache_demand = register_demand(&renderer, &description);
        let counters = Arc::clone(&renderer.counters);
        let classes = description.served.dataset().classes.len();
        let exposure = description.spec.recipe.mixes().then(|| Exposure::none(classes));
        let parts = StreamParts {
            renderer,
            plans,
            window: stream_buffers.window,
            sent: SentBatches::new(stream_buffers.memory),
            buffers: stream_buffers.buffers,
            shared_stream: stream_buffers.shared_stream,
        };
        let task = Arc::new(StreamTask::new(parts, client, description.spec.start.position));
        let workers = Arc::clone(&self.workers);
        description.served.metrics().open();
        BatchStream {
            task,
            workers,
            epoch_history: Arc::clone(&self.epoch_history),
            description,
            stats: StreamStats::new(counters),
            owner: String::new(),
            exposure,
            _cache_demand: cache_demand,
            _permit: permit,
        }
    }

    /// Number of batches of `spec` that fit the byte limit of a stream, at least 1.
    fn fitting(&self, spec: &StreamSpec) -> usize {
        let budget = usize::try_from(self.config.stream_bytes).unwrap_or(usize::MAX);
        (budget / spec.batch_bytes().max(1)).max(1)
    }
}
