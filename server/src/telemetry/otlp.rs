//! Exports traces to an OpenTelemetry collector, by OTLP over gRPC.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tonic::transport::ClientTlsConfig;
use tracing::{Level, Subscriber};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

/// The service name in traces.
const NAME: &str = "equibatch-server";
/// Timeout of an export.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Invalid address of the collector.
#[derive(Debug, thiserror::Error)]
#[error("cannot send traces to {address:?}: expected http://HOST:PORT or https://HOST:PORT")]
pub struct Error {
    address: String,
    source: ExporterBuildError,
}

/// Exports spans in batches from a thread of its own. If the collector is unreachable or slow, spans are dropped.
#[derive(Debug)]
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Exports to the collector at `address`. Must be called within a runtime.
    pub(super) fn to(address: &str) -> Result<Self, Error> {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(address)
            .with_timeout(TIMEOUT);
        let exporter = if address.starts_with("https:") {
            exporter.with_tls_config(ClientTlsConfig::new().with_native_roots())
        } else {
            exporter
        };
        let exporter = exporter.build().map_err(|source| Error {
            address: address.to_owned(),
            source,
        })?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(Resource::builder().with_service_name(NAME).build());
        Ok(Self(provider.build()))
    }

    /// Records the spans of this crate and of the service, whose name begins with that of this one, independently of the log filter.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(NAME))
            .with_location(false)
            .with_threads(false)
            .with_filter(Targets::new().with_target(env!("CARGO_CRATE_NAME"), Level::DEBUG))
    }

    pub(super) fn finish(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(TIMEOUT) {
            tracing::warn!(error = %error, "the last traces could not be exported");
        }
    }
}
