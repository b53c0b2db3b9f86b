//! Interruption by signals.

use std::{
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::Exit;

/// Returns a flag that SIGINT and SIGTERM set. A second signal exits the process at once.
pub(super) fn stop() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let signals = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            signals.block_on(async {
                while signal().await.is_ok() {
                    if flag.swap(true, Ordering::Relaxed) {
                        std::process::exit(i32::from(Exit::Interrupted as u8));
                    }
                    let _ = writeln!(
                        io::stderr(),
                        "\nstopping after this step; interrupt again to stop at once"
                    );
                }
            });
        })?;
    Ok(stop)
}

#[cfg(unix)]
async fn signal() -> io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn signal() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
