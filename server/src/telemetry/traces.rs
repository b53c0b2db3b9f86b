//! Traces for a collector, by the protocol of OpenTelemetry over gRPC.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tonic::transport::ClientTlsConfig;
use tracing::{Level, Subscriber};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

/// What this program is called in traces.
const NAME: &str = "equibatch-server";
/// How long a collector may take to take some spans.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Traces cannot be sent there.
#[derive(Debug, thiserror::Error)]
#[error("cannot send traces to {address:?}: write http://HOST:PORT or https://HOST:PORT")]
pub struct Error {
    address: String,
    source: ExporterBuildError,
}

/// Sends spans, some at a time, from a thread of its own. A collector that is away or slow costs spans, and nothing else.
#[derive(Debug)]
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// To the collector at `address`. Must be called within a runtime.
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

    /// Makes traces of the spans of this library, whatever the log shows.
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
            tracing::warn!(error = %error, "the last traces are not sent");
        }
    }
}
