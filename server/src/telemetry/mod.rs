//! Logging to standard error, and trace export.
//!
//! # Layout
//!
//! - `otlp`: trace export; `no_otlp` in its place in a build without that feature.
//! - `writer`: non-blocking log output.

#[cfg_attr(not(feature = "otlp"), path = "no_otlp.rs")]
mod otlp;
mod writer;

use std::{io, time::Duration};

use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    filter::{LevelFilter, ParseError},
    layer::SubscriberExt as _,
    registry, reload,
};

pub use self::{otlp::Error as TracesError, writer::dropped_lines};
use self::{otlp::Traces, writer::Lines};
use crate::args::LogFormat;
use equibatch_cli::terminal;

/// How long the last lines may take to be written at the end.
const FLUSH: Duration = Duration::from_millis(300);

/// Filters for dependencies that log an event for every malformed message of a peer.
const QUIET: &str = "h2=error,hyper=error,rustls=error,tonic=error";

/// Telemetry cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An invalid filter.
    #[error("--log {0:?}")]
    Filter(String, #[source] ParseError),
    /// A bare word that is not a level. As a filter it would name a module that does not exist, and hide everything.
    #[error(
        "--log {0:?}: unknown level {1:?}: expected error, warn, info, debug, trace or off, or a filter such as info,equibatch_server=debug"
    )]
    Level(String, String),
    /// The log thread cannot be started.
    #[error("cannot start the log thread")]
    Thread(#[source] io::Error),
    /// Invalid address of the collector, or a build without trace export.
    #[error("--otlp")]
    Traces(#[from] TracesError),
}

/// The running telemetry.
#[derive(Debug)]
#[must_use = "spans that are not yet exported are lost without `finish`"]
pub struct Telemetry {
    traces: Option<Traces>,
    /// The current log filter.
    filter_handle: FilterHandle,
    lines: Lines,
}

/// A handle to change the log filter. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FilterHandle(reload::Handle<EnvFilter, Registry>);

impl FilterHandle {
    /// Replaces the log filter.
    ///
    /// # Errors
    ///
    /// If `filter` is invalid.
    pub fn set(&self, filter: &str) -> Result<(), Error> {
        // Reloading fails only if the subscriber has been dropped.
        let _gone = self.0.reload(parse(filter)?);
        Ok(())
    }
}

/// Parses a filter: a level, or directives for parts of the program.
fn parse(text: &str) -> Result<EnvFilter, Error> {
    let words = text.split(',').map(str::trim);
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    let is_bare = |word: &&str| !word.is_empty() && !word.contains(['=', '[']);
    if let Some(word) = words.clone().filter(is_bare).find(|word| !is_level(word)) {
        return Err(Error::Level(text.to_owned(), word.to_owned()));
    }
    let is_off = words.clone().any(|word| word.eq_ignore_ascii_case("off"));
    let quiet = if is_off { "" } else { QUIET };
    // Later directives take precedence.
    EnvFilter::try_new(format!("{quiet},{text}")).map_err(|error| Error::Filter(text.to_owned(), error))
}

/// Validates a log filter.
///
/// # Errors
///
/// If it is invalid.
pub fn check_filter(filter: &str) -> Result<(), Error> {
    parse(filter).map(drop)
}

/// Starts logging, and exporting traces to `collector`, if given. Panics are logged, too, so that all lines have the same format.
///
/// Must be called within a runtime if there is a collector.
///
/// # Errors
///
/// If `filter` or `collector` is invalid, or the log thread cannot be started.
pub fn start(format: LogFormat, filter: &str, collector: Option<&str>) -> Result<Telemetry, Error> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let lines = writer::standard_error().map_err(Error::Thread)?;
    let log = tracing_subscriber::fmt::layer()
        .with_ansi(terminal::has_colours(&io::stderr()))
        .with_writer(lines.clone())
        .with_target(false);
    let log = match format {
        LogFormat::Text => log.boxed(),
        // The list of spans includes the current one.
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).boxed(),
    };
    let traces = collector.map(Traces::to).transpose()?;
    let subscriber = registry()
        .with(log.with_filter(filter))
        .with(traces.as_ref().map(Traces::layer));
    // If telemetry was started before, the first subscriber stays.
    let _already_started = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(
            place = panic.location().map(tracing::field::display),
            "panic: {}",
            panic
        );
    }));
    let filter_handle = FilterHandle(handle);
    Ok(Telemetry {
        traces,
        filter_handle,
        lines,
    })
}

impl Telemetry {
    /// A handle to change the log filter.
    #[must_use]
    pub fn filter_handle(&self) -> FilterHandle {
        self.filter_handle.clone()
    }

    /// Flushes the log and exports the remaining spans. Blocks for up to some seconds; must not be called on an async thread.
    pub fn finish(self) {
        self.lines.flush(FLUSH);
        self.traces.iter().for_each(Traces::finish);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_validated() {
        for filter in [
            "info",
            "WARN",
            "off",
            "info,equibatch_server=debug",
            "warn,[stream]=trace",
        ] {
            check_filter(filter).expect(filter);
        }
        for (filter, word) in [
            ("loud", "loud"),
            ("info,loud", "loud"),
            ("a=b=c", "a=b=c"),
            ("equibatch_server=loud", "loud"),
        ] {
            let error = check_filter(filter).expect_err(filter).to_string();
            assert!(error.contains("--log") && error.contains(word), "{error}");
        }
    }
}
