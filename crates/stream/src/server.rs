//! One server: its connections, requests and streams.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use equibatch_proto::v1::{self, batch_loader_client::BatchLoaderClient};
use equibatch_transport::{self as transport, MAX_FRAME_SIZE, with_flow_control};
use tokio::sync::OnceCell;
use tonic::{
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use tower::service_fn;

use super::{
    BatchRequest, Credentials, DatasetDescription, DatasetSummary, Error, Sample, StreamDescription,
    address::Address,
    bottleneck::TimeBreakdown,
    connect::{CONNECT_TIMEOUT, first_to_connect},
    credentials::{AuthInterceptor, Connection},
    files::Files,
    hex::hexadecimal,
    incoming::Incoming,
    spread::Destination,
    status::{root, unreachable},
    step_timings::StepTimings,
    trace::TraceId,
};

/// Keepalive interval and timeout of idle connections: a server that vanished is noticed within their sum.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);

/// A server, whether or not it can be reached.
#[derive(Debug)]
pub(super) struct Server {
    address: String,
    /// Path of its Unix socket, if it has one.
    socket: Option<PathBuf>,
    /// Resolved addresses; empty if the address is not a name.
    sockets: Vec<SocketAddr>,
    endpoint: Endpoint,
    auth: AuthInterceptor,
    /// For unary requests; streams have connections of their own.
    channel: OnceCell<Channel>,
    /// Shortest time of a connection attempt, in microseconds.
    round_trip_us: AtomicU32,
}

impl Server {
    /// The server at `address` or, if that is a name, at one of `sockets`, tried in order: the name is the authority of the requests, and
    /// the certificate must be valid for it. Does not connect.
    pub(super) fn at(
        (address, sockets, is_one_of_many): (&Address, Vec<SocketAddr>, bool),
        credentials: &Credentials,
        trace: TraceId,
    ) -> Result<Self, Error> {
        let text = address.to_string();
        let refused = |error: &tonic::transport::Error| Error::Address {
            address: text.clone(),
            reason: root(error),
        };
        let uri = match address {
            Address::Tcp { tls: false, .. } => format!("http://{text}"),
            // Not used to connect.
            Address::Unix(path) if path.starts_with('\0') => "http://localhost".to_owned(),
            Address::Tcp { tls: true, .. } | Address::Unix(_) => text.clone(),
        };
        let mut endpoint = Endpoint::from_shared(uri).map_err(|error| refused(&error))?;
        if matches!(address, Address::Tcp { tls: true, .. }) {
            endpoint = endpoint
                .tls_config(credentials.tls())
                .map_err(|error| refused(&error))?;
        }
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PROBE_INTERVAL)
            .keep_alive_timeout(PROBE_TIMEOUT)
            .keep_alive_while_idle(true)
            .max_frame_size(MAX_FRAME_SIZE)
            .tcp_nodelay(true);
        Ok(Self {
            address: match sockets.first() {
                Some(socket) if is_one_of_many => format!("{text} ({})", socket.ip()),
                _ => text,
            },
            socket: match address {
                Address::Unix(path) => Some(path.into()),
                Address::Tcp { .. } => None,
            },
            sockets,
            endpoint,
            auth: AuthInterceptor {
                token: credentials.token.clone(),
                trace,
            },
            channel: OnceCell::new(),
            round_trip_us: AtomicU32::new(u32::MAX),
        })
    }

    /// Resolved addresses; empty if the address is not a name.
    pub(super) fn sockets(&self) -> &[SocketAddr] {
        &self.sockets
    }

    /// Host and port, or `unix:` and a path; followed by the IP address if the name has several servers.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Connects for unary requests, unless it is connected.
    pub(super) async fn connect(&self) -> Result<(), Error> {
        self.client().await.map(drop)
    }

    async fn client(&self) -> Result<BatchLoaderClient<Connection>, Error> {
        let channel = self
            .channel
            .get_or_try_init(|| self.reach(&self.endpoint))
            .await?;
        Ok(BatchLoaderClient::new(self.authorized(channel.clone())))
    }

    fn authorized(&self, channel: Channel) -> Connection {
        InterceptedService::new(channel, self.auth.clone())
    }

    async fn reach(&self, endpoint: &Endpoint) -> Result<Channel, Error> {
        let started = Instant::now();
        let connected = match (&self.socket, self.sockets.as_slice()) {
            (Some(socket), _) => {
                let connected = transport::connect(endpoint, socket.clone()).await;
                connected.map(|(channel, _)| channel)
            }
            (None, []) => endpoint.connect().await,
            (None, sockets) => {
                let sockets: Arc<[SocketAddr]> = sockets.into();
                let connect = move |_| first_to_connect(Arc::clone(&sockets));
                endpoint.connect_with_connector(service_fn(connect)).await
            }
        };
        let channel = connected.map_err(|error| unreachable(&self.address, &error))?;
        let took = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
        self.round_trip_us.fetch_min(took, Ordering::Relaxed);
        Ok(channel)
    }

    /// Lists its datasets.
    pub(super) async fn datasets(&self) -> Result<Vec<DatasetSummary>, Error> {
        let answer = self
            .client()
            .await?
            .list_datasets(v1::ListDatasetsRequest {})
            .await;
        let answer = answer.map_err(|status| Error::from_status(&self.address, &status))?;
        let datasets = answer.into_inner().datasets.into_iter();
        Ok(datasets.map(DatasetSummary::from_wire).collect())
    }

    /// Describes a dataset; an empty name means the only one. `effective_number_beta` is the β of the effective number of images.
    pub(super) async fn describe(
        &self,
        dataset: &str,
        effective_number_beta: Option<f64>,
    ) -> Result<DatasetDescription, Error> {
        let request = v1::DescribeDatasetRequest {
            dataset: dataset.to_owned(),
            effective_number_beta,
            ..v1::DescribeDatasetRequest::default()
        };
        let mut answer = self.answer(request.clone()).await?;
        while !answer.next_page_token.is_empty() {
            let next = v1::DescribeDatasetRequest {
                page_token: answer.next_page_token,
                ..request.clone()
            };
            let page = self.answer(next).await?;
            answer.next_page_token = page.next_page_token;
            answer.quarantined.extend(page.quarantined);
        }
        Ok(DatasetDescription::from_wire(answer))
    }

    /// Describes samples by their ids.
    pub(super) async fn samples(&self, dataset: &str, ids: &[u32]) -> Result<Vec<Sample>, Error> {
        let request = v1::DescribeDatasetRequest {
            dataset: dataset.to_owned(),
            sample_ids: ids.to_vec(),
            identity_only: true,
            ..v1::DescribeDatasetRequest::default()
        };
        let named = self.answer(request).await?.samples;
        let named = named.into_iter().map(|sample| Sample {
            path: sample.path,
            split: sample.split,
        });
        Ok(named.collect())
    }

    async fn answer(
        &self,
        request: v1::DescribeDatasetRequest,
    ) -> Result<v1::DescribeDatasetResponse, Error> {
        let answer = self.client().await?.describe_dataset(request).await;
        let answer = answer.map_err(|status| Error::from_status(&self.address, &status))?;
        Ok(answer.into_inner())
    }

    /// Reports an epoch of its stream `id`, and returns the time breakdown.
    pub(super) async fn report(
        &self,
        id: &[u8],
        epoch: u64,
        step_timings: &StepTimings,
    ) -> Result<TimeBreakdown, Error> {
        let request = v1::ReportEpochRequest {
            stream_id: id.to_vec().into(),
            epoch,
            steps: step_timings.steps,
            working_seconds: step_timings.working.as_secs_f64(),
            waiting_seconds: step_timings.waiting.as_secs_f64(),
        };
        let answer = self.client().await?.report_epoch(request).await;
        let answer = answer.map_err(|status| Error::from_status(&self.address, &status))?;
        Ok(TimeBreakdown::from_wire(&answer.into_inner()))
    }

    /// Checks that it answers, and serves `files`.
    pub(super) async fn probe(&self, files: Option<&Files>) -> Result<(), Error> {
        let Some(files) = files else {
            return self.datasets().await.map(drop);
        };
        let request = v1::DescribeDatasetRequest {
            dataset: files.dataset.clone(),
            identity_only: true,
            ..v1::DescribeDatasetRequest::default()
        };
        let found = hexadecimal(&self.answer(request).await?.fingerprint);
        files.check(&found, &self.address)
    }

    /// Opens a stream over a connection of its own; if `destination` permits it and it is available, over shared memory.
    pub(super) async fn incoming(
        &self,
        request: &BatchRequest,
        destination: &Destination,
    ) -> Result<(StreamDescription, Incoming), Error> {
        let slots = || destination.slots.clone();
        if let (Some(socket), Some(held)) = (&self.socket, destination.held) {
            let connected = transport::connect(&self.endpoint, socket.clone()).await;
            let (channel, fd_receiver) = connected.map_err(|error| unreachable(&self.address, &error))?;
            let connection = (self.authorized(channel), fd_receiver);
            if let Some(opened) =
                Incoming::borrow(&self.address, connection, request, (held, slots())).await?
            {
                return Ok(opened);
            }
        }
        self.connect().await?;
        let round_trip = self.round_trip_us.load(Ordering::Relaxed);
        let round_trip = Duration::from_micros(u64::from(round_trip));
        let endpoint = with_flow_control(self.endpoint.clone(), round_trip);
        let channel = self.reach(&endpoint).await?;
        Incoming::open(&self.address, self.authorized(channel), request, slots()).await
    }
}
