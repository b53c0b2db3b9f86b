//! The gRPC methods.

use std::{sync::Arc, time::Duration};

use equibatch_proto::v1::{
    self, OpenSharedBatches, StreamSharedBatchesRequest, batch_loader_server::BatchLoader,
    stream_shared_batches_request::Message,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Extensions, Request, Response, Status, Streaming};

use super::{
    ServiceConfig,
    access::{Caller, Grant, Guest, Places},
    convert,
    door::Visit,
    drain::Guests,
    lending::Lending,
    responses::Responses,
    socket::{Handover, Used},
    status::{no_memory, no_place, status, stopping},
    traffic::{Refusal, Traffic},
};
use equibatch_engine::{
    dataset::{self, Dataset, Quarantined, Split},
    pipeline::{self, BatchStream, Engine, ServedDataset, StreamSpec},
};

/// Beta of the effective number of samples, where the request does not say.
const EFFECTIVE_NUMBER_BETA: f64 = 0.999;

/// Samples that one answer names, at most.
const NAMED_SAMPLES: usize = 4096;

/// Quarantined files that one answer names, at most, and about the bytes that they take.
const PAGE_FILES: usize = 1000;
const PAGE_BYTES: usize = 1 << 20;

/// Answers requests from an engine.
#[derive(Clone, Debug)]
pub struct Loader {
    engine: Engine,
    /// Cancelled when the server is about to stop.
    stopping: CancellationToken,
    guests: Guests,
    /// Of streams.
    places: Places,
    /// Streams of one client, where its token does not say.
    share: usize,
    /// How long a reader may take nothing.
    patience: Option<Duration>,
    /// Whether clients on this machine may read batches where they are made.
    shares_memory: bool,
    traffic: Traffic,
}

impl Loader {
    /// Answers from `engine` until `stopping` is cancelled; open streams are counted by `guests`.
    #[must_use]
    pub(super) fn new(
        engine: Engine,
        config: &ServiceConfig,
        stopping: CancellationToken,
        guests: Guests,
    ) -> Self {
        let places = Places::new(engine.limits().open_streams);
        config.traffic.count_streams(places.clone());
        Self {
            places,
            traffic: config.traffic.clone(),
            engine,
            stopping,
            guests,
            share: config.streams_per_client,
            patience: config.reader_timeout,
            shares_memory: config.share_memory,
        }
    }

    /// How long a reader may take nothing.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.patience
    }
}

/// Who asks, as the gate has noted.
fn caller(extensions: &Extensions) -> Caller {
    let caller = extensions.get::<Caller>();
    caller.expect("every request comes through the gate").clone()
}

/// By whom a stream may be reported on: the client that it was opened for.
fn owner(client: &Guest) -> String {
    format!("{client:?}")
}

#[tonic::async_trait]
impl BatchLoader for Loader {
    type StreamBatchesStream = Responses;
    type StreamSharedBatchesStream = Responses;

    async fn list_datasets(
        &self,
        request: Request<v1::ListDatasetsRequest>,
    ) -> Result<Response<v1::ListDatasetsResponse>, Status> {
        let terms = &caller(request.extensions()).grant.terms;
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
            .filter(|served| terms.allow(&served.dataset().name))
            .map(summary)
            .collect();
        Ok(Response::new(v1::ListDatasetsResponse { datasets }))
    }

    async fn describe_dataset(
        &self,
        request: Request<v1::DescribeDatasetRequest>,
    ) -> Result<Response<v1::DescribeDatasetResponse>, Status> {
        let grant = caller(request.extensions()).grant;
        let terms = &grant.terms;
        let request = request.into_inner();
        let beta = request.effective_number_beta.unwrap_or(EFFECTIVE_NUMBER_BETA);
        if !(0.0..1.0).contains(&beta) {
            let message = format!("effective_number_beta is {beta}: it must be at least 0 and less than 1");
            return Err(Status::invalid_argument(message));
        }
        let served = self
            .engine
            .dataset_among(&request.dataset, |name| terms.allow(name))
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
        let owner = owner(&caller(request.extensions()).guest);
        let request = request.into_inner();
        let (stream, usage) = convert::usage(&request).map_err(|error| status(&error))?;
        let unknown = || Status::not_found("stream_id and epoch name nothing that is to be reported here");
        let spent = self
            .engine
            .report((stream, &owner), request.epoch, &usage)
            .ok_or_else(unknown)?;
        Ok(Response::new(convert::spent(&spent)))
    }

    async fn stream_batches(
        &self,
        request: Request<v1::StreamBatchesRequest>,
    ) -> Result<Response<Responses>, Status> {
        let (_, extensions, request) = request.into_parts();
        self.answer(&extensions, request, None).await
    }

    async fn stream_shared_batches(
        &self,
        request: Request<Streaming<StreamSharedBatchesRequest>>,
    ) -> Result<Response<Responses>, Status> {
        let (_, extensions, mut messages) = request.into_parts();
        if !self.shares_memory {
            return Err(no_memory("this server shares none"));
        }
        let visit = extensions.get::<Visit>();
        let handover = visit.and_then(Visit::handover).cloned();
        let handover = handover.ok_or_else(|| no_memory("it is shared over Unix sockets only"))?;
        let first = messages.message().await?.and_then(|first| first.message);
        let Some(Message::Open(OpenSharedBatches {
            batches: Some(request),
            held,
        })) = first
        else {
            return Err(Status::invalid_argument(
                "the first message must open a stream, and say of what",
            ));
        };
        let sharing = Sharing {
            held,
            handover,
            returns: messages,
        };
        self.answer(&extensions, request, Some(sharing)).await
    }
}

/// What a stream in shared memory needs.
struct Sharing {
    /// Batches that the reader means to hold.
    held: u32,
    /// By which it gets the memory.
    handover: Handover,
    /// By which it says what it needs no more.
    returns: Streaming<StreamSharedBatchesRequest>,
}

impl Loader {
    /// Opens a stream, or counts the refusal.
    async fn answer(
        &self,
        extensions: &Extensions,
        request: v1::StreamBatchesRequest,
        sharing: Option<Sharing>,
    ) -> Result<Response<Responses>, Status> {
        let opened = self.stream(extensions, request, sharing).await;
        opened.inspect_err(|status| {
            let refusal = match status.code() {
                Code::ResourceExhausted => Refusal::Limit,
                Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition => Refusal::Request,
                _ => return,
            };
            let client = caller(extensions).guest;
            self.traffic.refused(refusal, &client, status.message());
        })
    }

    /// Streams that the owner of `grant` may have open at a time.
    fn streams_of(&self, grant: &Grant) -> usize {
        let own = grant.terms.streams.unwrap_or(self.share);
        own.min(self.engine.limits().open_streams)
    }

    async fn stream(
        &self,
        extensions: &Extensions,
        mut request: v1::StreamBatchesRequest,
        sharing: Option<Sharing>,
    ) -> Result<Response<Responses>, Status> {
        // Counted before the look, so that a server that stops now either waits for this stream or is seen to stop.
        let guest = self.guests.enter();
        if self.stopping.is_cancelled() {
            return Err(stopping());
        }
        let Caller { guest: client, grant } = caller(extensions);
        let place = self
            .places
            .take(client.clone(), grant.terms.streams.unwrap_or(self.share))
            .map_err(|full| no_place(full, &client))?;
        request.weight = request.weight.or(grant.terms.weight);
        let served = self
            .engine
            .dataset_among(&request.dataset, |name| grant.terms.allow(name))
            .map_err(|error| status(&error))?;
        let spec = convert::stream_spec(request, served.dataset()).map_err(|error| status(&error))?;
        let limits = grant.terms.within(self.engine.limits());
        spec.validate(&limits)
            .map_err(|error| status(&pipeline::Error::from(error)))?;
        let (mut stream, lending) = self.open(client.key(), spec, sharing).await?;
        stream.owned_by(owner(&client));
        // Those in shared memory are bounded by that.
        if lending.is_none() {
            stream.count_sent();
        }
        if let Some(visit) = extensions.get::<Visit>() {
            stream.sent_by(visit.blocked_ns());
            visit.welcome();
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
            shared_memory = lending.is_some(),
            "stream opened"
        );
        Ok(Response::new(Responses::new(
            stream,
            lending,
            &self.stopping,
            &grant,
            (guest, place),
        )))
    }

    /// Plans the stream, and hands its memory over where it is shared.
    async fn open(
        &self,
        client: String,
        spec: StreamSpec,
        sharing: Option<Sharing>,
    ) -> Result<(BatchStream, Option<Lending>), Status> {
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
            .map_err(|_panic| Status::internal("planning the stream panicked"))?
            .map_err(|error| status(&error))?;
        let (Some(sharing), Some(memory)) = (sharing, memory) else {
            return Ok((stream, None));
        };
        let lending = Lending::new(&memory, sharing.returns);
        let handed_over = sharing.handover.give(memory.file);
        handed_over.map_err(|Used| no_memory("this connection has carried some before"))?;
        Ok((stream, Some(lending)))
    }
}

/// What is known of the samples of these numbers.
fn samples(dataset: &Dataset, ids: &[u32]) -> Result<Vec<v1::SampleDescription>, Status> {
    if ids.len() > NAMED_SAMPLES {
        let message = format!(
            "sample_ids has {} entries: at most {NAMED_SAMPLES} are answered",
            ids.len()
        );
        return Err(Status::invalid_argument(message));
    }
    let describe = |&id: &u32| {
        let sample = dataset.samples.get(id as usize).ok_or_else(|| {
            let samples = dataset.samples.len();
            Status::invalid_argument(format!("sample_ids has {id}: the dataset has {samples} samples"))
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

/// A page of quarantined files, those behind the path `after`, and the token of the next page. The token is the last path, so that files
/// which are quarantined meanwhile move no page.
fn quarantined(served: &ServedDataset, after: &str, page_size: u32) -> (Vec<v1::QuarantinedFile>, String) {
    let files = match page_size as usize {
        0 => PAGE_FILES,
        wanted => wanted.min(PAGE_FILES),
    };
    // One more, to see whether there are more.
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
