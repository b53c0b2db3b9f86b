//! The thread that the network runs on.

use std::{future::Future, panic, sync::Arc};

use tokio::{
    runtime::{Builder, Runtime},
    task::{AbortHandle, JoinSet},
};

use super::Error;

/// A runtime with a thread of its own, so that batches arrive while the caller computes. It ends when it is dropped, which may be in async
/// code.
#[derive(Debug)]
pub(super) struct NetworkThread(Option<Runtime>);

impl NetworkThread {
    /// # Errors
    ///
    /// [`Error::Threads`] if the system refuses a thread.
    pub(super) fn start() -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("stream")
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| Error::Threads(Arc::new(error)))?;
        Ok(Self(Some(runtime)))
    }

    /// Blocks the calling thread, which must not be in async code, until `future` completes.
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime().block_on(future)
    }

    /// Runs `future` on the network thread, for async code of any executor. Dropping the returned future aborts it.
    pub(super) async fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        let mut task = JoinSet::new();
        task.spawn_on(future, self.runtime().handle());
        match task.join_next().await.expect("one task was spawned") {
            Ok(output) => output,
            Err(error) => panic::resume_unwind(error.into_panic()),
        }
    }

    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.runtime().spawn(future).abort_handle()
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("taken only when dropped")
    }
}

impl Drop for NetworkThread {
    fn drop(&mut self) {
        // Waiting for the thread is not allowed in async code.
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}
