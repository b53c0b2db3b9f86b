//! The gRPC server: HTTP/2 settings, health, reflection, and graceful shutdown.

use std::{future::Future, io};

use equibatch_proto::v1::{FILE_DESCRIPTOR_SET, batch_loader_server::BatchLoaderServer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::Stream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{self, Server, server::Connected};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::layer::util::{Identity, Stack};

use super::{
    access::AuthInterceptor, batch_service::BatchService, loader::Loader, request_body::BodyLimits,
    service_config::ServiceConfig, trace, track_requests::TrackRequestsLayer,
};
use equibatch_engine::pipeline::Engine;

/// Serves `engine` on the `incoming` connections until `shutdown` completes. The health status is `NOT_SERVING` until all datasets are
/// scanned.
///
/// After `shutdown`, the health status is `NOT_SERVING`, new streams are refused with `UNAVAILABLE`, and every open stream finishes its
/// current batch and ends with `UNAVAILABLE`. What is still open after the grace period is closed by dropping the runtime.
///
/// # Errors
///
/// If the transport fails as a whole; errors of one connection are only logged.
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
    let request_bytes = engine.request_bytes();
    let loader = Loader::new(engine, config, stopping.clone(), open_streams.clone());
    let auth = AuthInterceptor::new(config.access.tokens.clone(), config.traffic.clone());
    let following = config.access.clone().follow();
    // Datasets that are scanned are served even while others are not.
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
        // Ends health watches, which would otherwise keep their connections open.
        forget(health.clone()).await;
    };
    let server = http2(config, request_bytes)
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
            tracing::warn!(open = open_streams.len(), "grace period over: open streams closed");
            Ok(())
        }
        () = following => unreachable!("the files are watched forever"),
        () = ready => unreachable!("never completes"),
    }
}

/// HTTP/2 settings. Windows and frame size bound what clients *send*, which are small requests; for batches, the client chooses them.
fn http2(config: &ServiceConfig, request_bytes: usize) -> Server<Stack<TrackRequestsLayer, Identity>> {
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
            trace::request(request.uri().path(), parent.and_then(|value| value.to_str().ok()))
        })
        .layer(TrackRequestsLayer(BodyLimits::new(
            config.handshake_timeout,
            config.traffic.clone(),
            request_bytes,
        )))
}

/// Services with a health status: the whole server (empty name), and the gRPC service.
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

/// gRPC server reflection.
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
