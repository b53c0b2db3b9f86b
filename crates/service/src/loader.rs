//! The gRPC methods of `BatchLoader` with one response each. Those that stream are in `open_stream`.

use std::{sync::Arc, time::Duration};

use equibatch_engine::{
    dataset::{self, Split},
    pipeline::{Engine, ServedDataset},
};
use equibatch_proto::v1::{self, batch_loader_server::BatchLoader};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Extensions, Request, Response, Status};

use super::{
    access::{Caller, ClientId, ClientLimiter},
    convert,
    pages::{quarantined, samples},
    service_config::ServiceConfig,
    status::status,
    traffic::Traffic,
};

/// Default beta of the effective number of samples.
const EFFECTIVE_NUMBER_BETA: f64 = 0.999;

/// Implements the gRPC methods over an engine.
#[derive(Clone, Debug)]
pub(super) struct Loader {
    pub(super) engine: Engine,
    /// Cancelled when the server begins to shut down.
    pub(super) stopping: CancellationToken,
    pub(super) open_streams: TaskTracker,
    /// Limits open streams.
    pub(super) limiter: ClientLimiter,
    /// Default maximum of open streams per client.
    pub(super) per_client: usize,
    /// Longest time that a reader may take nothing; `None`: unlimited.
    pub(super) read_timeout: Option<Duration>,
    /// Whether clients on this machine may read batches from shared memory.
    pub(super) shares_memory: bool,
    pub(super) traffic: Traffic,
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
}

/// The caller, as set by [`AuthInterceptor`](super::access::AuthInterceptor).
pub(super) fn caller(extensions: &Extensions) -> Caller {
    let caller = extensions.get::<Caller>();
    caller.expect("every request passes the interceptor").clone()
}

/// The client that opened a stream, which alone may report on it.
pub(super) fn owner(client: &ClientId) -> String {
    format!("{client:?}")
}

#[tonic::async_trait]
impl BatchLoader for Loader {
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
}
