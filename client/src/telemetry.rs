//! Logging to standard error.

use equibatch_cli::terminal::has_colours;
use tracing_subscriber::{EnvFilter, fmt};

/// Installs the log subscriber: warnings by default, more with each `--verbose`. `RUST_LOG` overrides it.
pub fn start(verbose: u8) {
    let default = match verbose {
        0 => "warn",
        1 => "info,equibatch_client=debug,equibatch_stream=debug,equibatch_training=debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = fmt()
        .with_env_filter(filter)
        .with_ansi(has_colours(&std::io::stderr()))
        .with_writer(std::io::stderr)
        .finish();
    // Fails if a subscriber is installed already, as in tests.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
