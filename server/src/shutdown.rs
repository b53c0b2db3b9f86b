//! The signals that end the server, and the one that has it read its files again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals by which people and supervisors ask a process to end.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// The signal by which supervisors ask a process to read its configuration again.
///
/// # Errors
///
/// Where the system refuses a handler.
pub(crate) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

impl Signals {
    /// Takes over SIGINT and SIGTERM. A second one of the same kind does no more than the first.
    ///
    /// # Errors
    ///
    /// Where the system refuses a handler.
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the first of them.
    pub(crate) async fn received(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
