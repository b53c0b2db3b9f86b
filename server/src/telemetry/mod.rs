//! The log, on standard error; and traces, where somebody collects them.
//!
//! # Layout
//!
//! - `spans`: what the log's lines belong to, and what traces are made of.
//! - `traces`: the way to a collector.
//! - `writer`: the way of lines to standard error.

mod spans;
mod traces;
mod writer;

use std::{io, time::Duration};

use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    filter::{LevelFilter, ParseError},
    layer::SubscriberExt as _,
    registry, reload,
};

pub use self::{
    spans::{attribute, request},
    traces::Error as TracesError,
    writer::dropped_lines,
};
use self::{traces::Traces, writer::Lines};
use crate::args::LogFormat;
use equibatch_cli::terminal;

/// How long whoever reads the log may take for the last lines.
const FLUSH: Duration = Duration::from_millis(300);

/// Parts that log what strangers send, as often as they send it.
const QUIET: &str = "h2=error,hyper=error,rustls=error,tonic=error";

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is none.
    #[error("--log {0:?}")]
    Filter(String, #[source] ParseError),
    /// A word that is no level. As a filter, it would be the name of a part of the program that does not exist, and hide everything.
    #[error(
        "--log {0:?}: {1:?} is no level: use error, warn, info, debug, trace or off, or a filter such as info,equibatch_server=debug"
    )]
    Level(String, String),
    /// There is no thread to write the log.
    #[error("cannot start the thread of the log")]
    Thread(#[source] io::Error),
    /// Traces cannot be sent where they are wanted.
    #[error("--otlp")]
    Traces(#[from] TracesError),
}

/// A log that is running.
#[derive(Debug)]
#[must_use = "what was not sent to the collector yet is lost without `finish`"]
pub struct Telemetry {
    traces: Option<Traces>,
    /// What the log shows.
    shown: Shown,
    lines: Lines,
}

/// What the log shows. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shown(reload::Handle<EnvFilter, Registry>);

impl Shown {
    /// Shows what `filter` lets through from now on.
    ///
    /// # Errors
    ///
    /// Where it is no filter.
    pub fn set(&self, filter: &str) -> Result<(), Error> {
        // The only other error is that there is no log any more.
        let _gone = self.0.reload(parse(filter)?);
        Ok(())
    }
}

/// The filter that `text` says: levels, or levels of parts of the program.
fn parse(text: &str) -> Result<EnvFilter, Error> {
    let words = text.split(',').map(str::trim);
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    let is_bare = |word: &&str| !word.is_empty() && !word.contains(['=', '[']);
    if let Some(word) = words.clone().filter(is_bare).find(|word| !is_level(word)) {
        return Err(Error::Level(text.to_owned(), word.to_owned()));
    }
    let is_off = words.clone().any(|word| word.eq_ignore_ascii_case("off"));
    let quiet = if is_off { "" } else { QUIET };
    // What comes later wins.
    EnvFilter::try_new(format!("{quiet},{text}")).map_err(|error| Error::Filter(text.to_owned(), error))
}

/// Refuses what cannot be a filter of the log.
///
/// # Errors
///
/// What is wrong with it.
pub fn check(filter: &str) -> Result<(), Error> {
    parse(filter).map(drop)
}

/// Starts logging, and sending traces to `collector`, where one is named. Panics are logged too, so that every line has the same form.
///
/// Must be called within a runtime where there is a collector.
///
/// # Errors
///
/// Where `filter` is not a filter, or `collector` no address.
pub fn start(format: LogFormat, filter: &str, collector: Option<&str>) -> Result<Telemetry, Error> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let lines = writer::standard_error().map_err(Error::Thread)?;
    let log = tracing_subscriber::fmt::layer()
        .with_ansi(terminal::has_colours(&io::stderr()))
        .with_writer(lines.clone())
        .with_target(false);
    let log = match format {
        LogFormat::Text => log.boxed(),
        // The list of spans has the innermost one, too.
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).boxed(),
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
    let shown = Shown(handle);
    Ok(Telemetry { traces, shown, lines })
}

impl Telemetry {
    /// What the log shows, to be changed.
    #[must_use]
    pub fn shown(&self) -> Shown {
        self.shown.clone()
    }

    /// Writes what is left of the log, and sends what is left to the collector. Blocks while it does, for some seconds at most: not for an
    /// async thread.
    pub fn finish(self) {
        self.lines.flush(FLUSH);
        self.traces.iter().for_each(Traces::finish);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_of_levels() {
        for filter in [
            "info",
            "WARN",
            "off",
            "info,equibatch_server=debug",
            "warn,[stream]=trace",
        ] {
            check(filter).expect(filter);
        }
        for (filter, word) in [
            ("loud", "loud"),
            ("info,loud", "loud"),
            ("a=b=c", "a=b=c"),
            ("equibatch_server=loud", "loud"),
        ] {
            let error = check(filter).expect_err(filter).to_string();
            assert!(error.contains("--log") && error.contains(word), "{error}");
        }
    }
}
