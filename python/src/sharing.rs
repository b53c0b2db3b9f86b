//! One engine for several processes of this user on this machine: the first that needs it has it, and serves it to the others, with batches in
//! shared memory.
//!
//! The processes agree on the name of an abstract socket. Who binds it has the engine, and listens once the folder is scanned; until then the others
//! wait. The system gives the name free when that process ends, however it ends, and then the next one has the engine.

use std::{
    fs,
    future::pending,
    io::{self, ErrorKind},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixStream},
    },
    time::Duration,
};

use equibatch_engine::Engine;
use equibatch_server_service::{ServiceConfig, admit, serve, socket::PrivateSocket};
use equibatch_stream::{RetryPolicy, Servers};
use rustix::{net::sockopt::socket_peercred, process::geteuid};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// Streams of all processes together.
pub(crate) const MAX_STREAMS: usize = 1024;

/// How long the end of a service may take.
const LONGEST_END: Duration = Duration::from_millis(500);

/// Serves an engine on a private socket until it is dropped.
#[derive(Debug)]
pub(crate) struct Serving(Option<Runtime>);

impl Serving {
    /// Serves `engine` to the processes of this user.
    pub(crate) fn start(engine: Engine, socket: PrivateSocket) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("share")
            .enable_all()
            .build()?;
        let incoming = {
            let _within = runtime.enter();
            socket.accept()?
        };
        runtime.spawn(async move {
            // The others are trusted, and end when they do: nothing is cut off for being idle, or slow.
            let config = ServiceConfig {
                streams_per_client: MAX_STREAMS,
                connections: 4 * MAX_STREAMS,
                reader_timeout: None,
                idle_timeout: None,
                ..ServiceConfig::default()
            };
            let (incoming, _ends_with_the_runtime) = admit(incoming, &config, CancellationToken::new());
            if let Err(error) = serve(engine, &config, incoming, pending()).await {
                tracing::error!(%error, "other processes cannot use the engine any more");
            }
        });
        Ok(Self(Some(runtime)))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // So that the name is free afterwards. A task may be waiting for a disk, and nothing waits for that.
        let end = |runtime: Runtime| runtime.shutdown_timeout(LONGEST_END);
        self.0.take().into_iter().for_each(end);
    }
}

/// What is found at the socket of another process.
pub(crate) enum Found {
    /// The engine of another process, over its socket.
    Engine(Box<Servers>),
    /// The other process is not ready.
    NotReady,
    /// The socket is of no use: it is that of another user, or its process has ended and a child that it forked keeps it open.
    Unusable,
}

/// Connects to the process that has bound `name`.
pub(crate) fn join(name: &str) -> Result<Found, equibatch_stream::Error> {
    let connected =
        SocketAddr::from_abstract_name(name).and_then(|address| UnixStream::connect_addr(&address));
    match connected {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(Found::NotReady),
        Ok(stream) if is_usable(&stream) => {}
        Ok(_) | Err(_) => return Ok(Found::Unusable),
    }
    // Without a second attempt: a process that has ended does not come back.
    let policy = RetryPolicy {
        retry_for: Duration::ZERO,
        ..RetryPolicy::default()
    };
    match Servers::open(&format!("unix-abstract:{name}"), policy) {
        Ok(servers) => Ok(Found::Engine(Box::new(servers))),
        // It has just ended.
        Err(equibatch_stream::Error::Unreachable { .. }) => Ok(Found::NotReady),
        Err(error) => Err(error),
    }
}

/// Whether the process that listens is of this user, and runs.
fn is_usable(stream: &UnixStream) -> bool {
    let state = |process| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    };
    socket_peercred(stream).is_ok_and(|peer| {
        let state = state(peer.pid.as_raw_nonzero());
        // Z: it has ended, and its parent has not asked how.
        peer.uid == geteuid() && state.is_some_and(|state| state != 'Z')
    })
}
