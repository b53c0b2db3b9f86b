//! The signals that end the server, and the one that has it read its files again.

use std::{io, process, thread, time::Duration};

use tokio::{
    runtime::{self, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// The signal by which supervisors ask a process to read its configuration again.
///
/// # Errors
///
/// Where the system refuses a handler.
pub(crate) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Takes over SIGINT and SIGTERM. The first of them cancels the result. The second one ends the process at once, with 128 and its number, as
/// the shell names a process that a signal ended; and so does time, with 0, if the process is still there `limit` after the first.
///
/// A thread of its own listens, so that nothing that blocks the server's threads keeps it from ending. Not for an async thread.
///
/// # Errors
///
/// If the system refuses a handler or a thread.
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

/// The signals by which people and supervisors ask a process to end.
#[derive(Debug)]
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}
