//! The log, on standard error; and traces, where somebody collects them.
//!
//! # Layout
//!
//! - `spans`: what the log's lines belong to, and what traces are made of.
//! - `traces`: the way to a collector.

mod spans;
mod traces;

use std::io;

use tracing_subscriber::{EnvFilter, Layer as _, filter::ParseError, layer::SubscriberExt as _, registry};

use self::traces::Traces;
pub use self::{
    spans::{attribute, request},
    traces::Error as TracesError,
};
use crate::{args::LogFormat, terminal};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is none.
    #[error("--log")]
    Filter(#[from] ParseError),
    /// Traces cannot be sent where they are wanted.
    #[error("--otlp")]
    Traces(#[from] TracesError),
}

/// A log that is running.
#[derive(Debug)]
#[must_use = "what was not sent to the collector yet is lost without `finish`"]
pub struct Telemetry {
    traces: Option<Traces>,
}

/// Starts logging, and sending traces to `collector`, where one is named. Panics are logged too, so that every line has the same form.
///
/// Must be called within a runtime where there is a collector.
///
/// # Errors
///
/// Where `filter` is not a filter, or `collector` no address.
pub fn start(format: LogFormat, filter: &str, collector: Option<&str>) -> Result<Telemetry, Error> {
    let filter = EnvFilter::try_new(filter)?;
    let log = tracing_subscriber::fmt::layer()
        .with_ansi(terminal::has_colours(&io::stderr()))
        .with_writer(io::stderr)
        .with_target(false);
    let log = match format {
        LogFormat::Text => log.boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    let traces = collector.map(Traces::to).transpose()?;
    let subscriber = registry()
        .with(log.with_filter(filter))
        .with(traces.as_ref().map(Traces::layer));
    // A second start keeps the first one's log.
    let _already_started = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(
            place = panic.location().map(tracing::field::display),
            "panic: {}",
            panic
        );
    }));
    Ok(Telemetry { traces })
}

impl Telemetry {
    /// Sends what is left to the collector. Blocks while it does, for some seconds at most: not for an async thread.
    pub fn finish(self) {
        self.traces.iter().for_each(Traces::finish);
    }
}
