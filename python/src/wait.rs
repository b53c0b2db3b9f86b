//! Waiting without the interpreter's lock, and with an eye on signals.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use pyo3::{exceptions::PyRuntimeError, prelude::*};
use tokio::sync::oneshot;

use super::error::Kind;

/// Longest time between two looks for signals.
const SLICE: Duration = Duration::from_millis(50);

/// Runs `future` on this thread without the interpreter's lock, for at most `timeout` seconds; `lack` says what there is none of after
/// that. Signals interrupt it, as Ctrl-C does by `KeyboardInterrupt`; then the future is dropped.
pub(crate) fn wait_for<F>(py: Python<'_>, timeout: Option<f64>, lack: &str, future: F) -> PyResult<F::Output>
where
    F: Future + Send,
    F::Output: Send,
{
    wait_reporting(py, timeout, lack, || Ok(()), future)
}

/// As [`wait_for`], and calls `report` between two looks for signals and at the end.
pub(crate) fn wait_reporting<F>(
    py: Python<'_>,
    timeout: Option<f64>,
    lack: &str,
    mut report: impl FnMut() -> PyResult<()>,
    future: F,
) -> PyResult<F::Output>
where
    F: Future + Send,
    F::Output: Send,
{
    let mut future = pin!(future);
    let limit = timeout.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        let slice = Instant::now() + SLICE;
        let until = deadline.map_or(slice, |deadline| slice.min(deadline));
        let polled = py.detach(|| {
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            let mut context = Context::from_waker(&waker);
            loop {
                if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                    return Some(output);
                }
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                thread::park_timeout(left);
            }
        });
        if polled.is_none() {
            py.check_signals()?;
        }
        report()?;
        if let Some(output) = polled {
            return Ok(output);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let seconds = timeout.unwrap_or_default();
            let words = format!("{lack} within {seconds} s, the loader's timeout");
            return Err(Kind::Timeout.error(py, words));
        }
    }
}

/// Runs `work`, which blocks, on a thread of its own and waits for it as [`wait_reporting`] does. If that is interrupted, or the time is over,
/// the work goes on unheeded.
pub(crate) fn on_thread<T: Send + 'static>(
    py: Python<'_>,
    timeout: Option<f64>,
    lack: &str,
    report: impl FnMut() -> PyResult<()>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new()
        .name("equibatch".to_owned())
        .spawn(move || {
            // The receiver is gone after an interruption.
            let _unheard = sender.send(work());
        })?;
    let output = wait_reporting(py, timeout, lack, report, receiver)?;
    output.map_err(|_| PyRuntimeError::new_err("a thread of equibatch panicked"))
}

/// Unparks a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
