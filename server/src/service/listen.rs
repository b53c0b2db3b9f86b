//! The server around the methods: HTTP/2 settings, health, reflection, and the way it stops.

use std::{future::Future, io, time::Duration};

use equibatch_proto::v1::{FILE_DESCRIPTOR_SET, batch_loader_server::BatchLoaderServer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::Stream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{self, Server, server::Connected};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::layer::util::{Identity, Stack};

use super::{
    Access, Loader, Traffic, access::AuthInterceptor, batch_service::BatchService,
    in_flight::TrackRequestsLayer, request_body::BodyLimits,
};
use crate::telemetry;
use equibatch_engine::pipeline::Engine;

/// How connections are kept.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Streams still open this long after the server was told to stop are cut off.
    pub shutdown_grace: Duration,
    /// A connection is asked for a sign of life this often. One that is cut without a word would else hold its stream for ever.
    pub keepalive_interval: Duration,
    /// A connection that gives no sign of life for this long is closed.
    pub keepalive_timeout: Duration,
    /// Requests at a time on one connection.
    pub requests_per_connection: u32,
    /// Connections at a time.
    pub connections: usize,
    /// Streams at a time of one client.
    pub streams_per_client: usize,
    /// A stream whose reader takes nothing for this long ends.
    pub reader_timeout: Option<Duration>,
    /// Whether clients on this machine may read batches where they are made.
    pub share_memory: bool,
    /// A connection that has not said within this what every client says first is closed, and a request that is not complete within this is
    /// refused.
    pub handshake_timeout: Duration,
    /// A connection without a request for this long is closed; its client makes another one when it has something to ask.
    pub idle_timeout: Option<Duration>,
    /// Who may come in.
    pub access: Access,
    /// Where connections, streams and refusals are counted.
    pub traffic: Traffic,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            // A batch of 40 MB takes 3 s at 100 Mbit/s.
            shutdown_grace: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(30),
            // A receiver that is busy with a long training step answers late, but its kernel and its runtime answer within this.
            keepalive_timeout: Duration::from_secs(30),
            requests_per_connection: 128,
            // As many as a process has file descriptors on most systems, where nobody has raised that.
            connections: 1024,
            // A machine of eight devices with a stream for training and one for validation each, twice.
            streams_per_client: 32,
            // A client reads nothing while it validates its model, which may take minutes.
            reader_timeout: Some(Duration::from_secs(900)),
            share_memory: true,
            handshake_timeout: Duration::from_secs(10),
            // Reports come once an epoch; a new connection then costs nothing that anybody notices.
            idle_timeout: Some(Duration::from_secs(900)),
            access: Access::default(),
            traffic: Traffic::default(),
        }
    }
}

/// Serves `engine` on `incoming` connections until `shutdown` is done. Health says `NOT_SERVING` until all its datasets are scanned.
///
/// Then health says `NOT_SERVING`, new streams are refused with `UNAVAILABLE`, and every open stream finishes the batch it is sending and
/// ends with `UNAVAILABLE`; after the grace period, what is still open is left to be cut off by the end of the runtime.
///
/// # Errors
///
/// Where the transport fails as a whole; a failing connection is only logged.
pub async fn serve<I, C>(
    engine: Engine,
    config: &ServiceConfig,
    incoming: I,
    shutdown: impl Future<Output = ()>,
) -> Result<(), transport::Error>
where
    I: Stream<Item = io::Result<C>>,
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let (health, health_service) = tonic_health::server::health_reporter();
    let initial = if engine.awaited().is_empty() {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    report(&health, initial).await;
    let scanned = engine.clone();
    let (stopping, open_streams) = (CancellationToken::new(), TaskTracker::new());
    let loader = Loader::new(engine, config, stopping.clone(), open_streams.clone());
    let auth = AuthInterceptor::new(config.access.tokens.clone(), config.traffic.clone());
    let following = config.access.clone().follow();
    // Until all datasets are scanned, those that are can be had all the same.
    let ready = async {
        scanned.scanned().await;
        if !stopping.is_cancelled() {
            report(&health, ServingStatus::Serving).await;
        }
        std::future::pending::<()>().await;
    };
    let drained = async {
        shutdown.await;
        tracing::debug!(open = open_streams.len(), "draining");
        report(&health, ServingStatus::NotServing).await;
        stopping.cancel();
        open_streams.close();
        open_streams.wait().await;
        // Ends the streams of those who watch the health, which would else keep their connections open.
        forget(health.clone()).await;
    };
    let server = http2(config)
        .add_service(health_service)
        .add_service(InterceptedService::new(reflection::v1(), auth.clone()))
        .add_service(InterceptedService::new(reflection::v1alpha(), auth.clone()))
        .add_service(InterceptedService::new(BatchService::new(loader), auth))
        .serve_with_incoming_shutdown(incoming, drained);
    let cut_off = async {
        stopping.cancelled().await;
        tokio::time::sleep(config.shutdown_grace).await;
    };
    tokio::select! {
        result = server => result,
        () = cut_off => {
            tracing::warn!(open = open_streams.len(), "cut off");
            Ok(())
        }
        () = following => unreachable!("the files are followed for ever"),
        () = ready => unreachable!("it says it once"),
    }
}

/// HTTP/2 settings. The window and frame sizes here bound what *clients* send, which are small requests; those that carry batches are the
/// receiver's to choose, and so are the client's.
fn http2(config: &ServiceConfig) -> Server<Stack<TrackRequestsLayer, Identity>> {
    Server::builder()
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(128 * 1024)
        .max_frame_size(16 * 1024)
        .http2_max_header_list_size(16 * 1024)
        .max_concurrent_streams(config.requests_per_connection)
        .http2_keepalive_interval(Some(config.keepalive_interval))
        .http2_keepalive_timeout(Some(config.keepalive_timeout))
        .trace_fn(|request| {
            let parent = request.headers().get("traceparent");
            telemetry::request(request.uri().path(), parent.and_then(|value| value.to_str().ok()))
        })
        .layer(TrackRequestsLayer(BodyLimits::new(
            config.handshake_timeout,
            config.traffic.clone(),
        )))
}

/// The names that health is asked for: the whole server, and the service by its name.
fn names() -> [&'static str; 2] {
    [
        "",
        <BatchLoaderServer<Loader> as tonic::server::NamedService>::NAME,
    ]
}

async fn report(health: &HealthReporter, status: ServingStatus) {
    for name in names() {
        health.set_service_status(name, status).await;
    }
}

async fn forget(mut health: HealthReporter) {
    for name in names() {
        health.clear_service_status(name).await;
    }
}

/// What servers can be asked about themselves.
mod reflection {
    use tonic_reflection::server::{Builder, v1, v1alpha};

    use super::FILE_DESCRIPTOR_SET;

    pub(super) fn v1() -> v1::ServerReflectionServer<impl v1::ServerReflection> {
        builder()
            .build_v1()
            .expect("the contract compiles to valid descriptors")
    }

    pub(super) fn v1alpha() -> v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection> {
        builder()
            .build_v1alpha()
            .expect("the contract compiles to valid descriptors")
    }

    fn builder() -> Builder<'static> {
        Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    }
}
