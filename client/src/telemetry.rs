//! Log lines on standard error.

use equibatch_cli::terminal::has_colours;
use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging: warnings by default, more with each `--verbose`. `RUST_LOG` overrides both.
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
    // A second start, as in tests, changes nothing.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
