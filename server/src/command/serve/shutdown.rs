//! Signals: SIGINT and SIGTERM stop the server, SIGHUP reloads its configuration.

use std::{io, process, thread, time::Duration};

use tokio::{
    runtime::{self, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// Listens for SIGHUP.
///
/// # Errors
///
/// If the signal handler cannot be installed.
pub(crate) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Handles SIGINT and SIGTERM. The first signal cancels the returned token. The second one exits the process at once with 128 plus the signal
/// number; if the process is still running `limit` after the first, it exits with 0.
///
/// A dedicated thread waits for the signals, so that blocked server threads cannot prevent the exit. Do not call from an async context.
///
/// # Errors
///
/// If a signal handler or the thread cannot be created.
pub(crate) fn stop_signals(limit: Duration) -> io::Result<CancellationToken> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let context = runtime.enter();
    let signals = Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
    };
    drop(context);
    let stopping = CancellationToken::new();
    let stop = stopping.clone();
    let thread = thread::Builder::new().name("signals".to_owned());
    thread.spawn(move || end(&runtime, signals, &stop, limit))?;
    Ok(stopping)
}

fn end(runtime: &Runtime, mut signals: Signals, stop: &CancellationToken, limit: Duration) {
    let code = runtime.block_on(async {
        signals.next().await;
        stop.cancel();
        tokio::select! {
            number = signals.next() => 128 + number,
            () = sleep(limit) => 0,
        }
    });
    process::exit(code)
}

/// Streams of SIGINT and SIGTERM.
#[derive(Debug)]
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Waits for the next signal; returns its number.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}
