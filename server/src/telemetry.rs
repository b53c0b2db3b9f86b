//! The log, on standard error.

use std::io;

use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::{args::LogFormat, terminal};

/// Starts logging. Panics are logged too, so that every line has the same form.
///
/// # Errors
///
/// Where `filter` is not a filter.
pub fn start(format: LogFormat, filter: &str) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal::has_colours(&io::stderr()))
        .with_writer(io::stderr)
        .with_target(false);
    // A second start keeps the first one's log.
    let _already_started = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(
            place = panic.location().map(tracing::field::display),
            "panic: {}",
            panic
        );
    }));
    Ok(())
}
