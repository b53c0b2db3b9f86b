//! A TCP proxy that fails on request.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use crate::wait::DEADLINE;

/// Bytes that are carried at a time, at most.
const PIECE: usize = 16 * 1024;

/// A proxy between clients and one server.
#[derive(Debug)]
pub struct Proxy {
    /// The address for clients.
    pub address: SocketAddr,
    network: Arc<Network>,
}

#[derive(Debug, Default)]
struct Network {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    condition: Condition,
    /// The pause before each piece sent to a client.
    pause: Duration,
    /// Both sockets of all connections.
    connections: Vec<TcpStream>,
    /// The number of bits to flip.
    flips: u32,
    /// Bytes sent from the server to clients.
    carried: u64,
    /// Connections that were closed at once.
    refused: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Condition {
    #[default]
    Well,
    /// Connections stay open, no data passes.
    Silent,
    /// New connections are closed at once.
    Cut,
}

impl Proxy {
    /// A proxy that passes everything.
    ///
    /// # Panics
    ///
    /// If the system refuses a port or a thread.
    #[must_use]
    pub fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (network, server) = (Arc::new(Network::default()), server.to_owned());
        let shared = Arc::clone(&network);
        // Runs until the process ends.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // If the server cannot be reached, the client's connection is closed.
                let _made = shared.connect(client, &server);
            }
        });
        Self { address, network }
    }

    /// Stops passing data, without closing connections.
    pub fn fall_silent(&self) {
        self.network.lock().condition = Condition::Silent;
    }

    /// Limits the server's bytes per second.
    pub fn slow_down(&self, bytes_per_second: f64) {
        self.network.lock().pause = Duration::from_secs_f64(PIECE as f64 / bytes_per_second);
    }

    /// Flips a bit in each of the next `count` full pieces that the server sends.
    pub fn flip_bits(&self, count: u32) {
        self.network.lock().flips = count;
    }

    /// The number of bits still to flip.
    #[must_use]
    pub fn flips_left(&self) -> u32 {
        self.network.lock().flips
    }

    /// Closes all connections, and every new one at once.
    pub fn cut(&self) {
        let mut state = self.network.lock();
        state.condition = Condition::Cut;
        for connection in state.connections.drain(..) {
            let _already_closed = connection.shutdown(Shutdown::Both);
        }
    }

    /// Passes everything again.
    pub fn heal(&self) {
        self.network.lock().condition = Condition::Well;
        self.network.changed.notify_all();
    }

    /// Waits for an attempt to connect after [`Proxy::cut`].
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn wait_until_refused(&self) {
        let refused_none = |state: &mut State| state.refused == 0;
        let waited = self
            .network
            .changed
            .wait_timeout_while(self.network.lock(), DEADLINE, refused_none);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(state.refused > 0, "no connection is attempted");
    }

    /// Bytes received from the server.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.network.lock().carried
    }
}

impl Network {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(self: &Arc<Self>, client: TcpStream, server: &str) -> io::Result<()> {
        let mut state = self.lock();
        if state.condition == Condition::Cut {
            state.refused += 1;
            self.changed.notify_all();
            return client.shutdown(Shutdown::Both);
        }
        drop(state);
        let server = TcpStream::connect(server)?;
        let copies = [server.try_clone()?, client.try_clone()?];
        self.lock().connections.extend(copies);
        let (from_server, to_client) = (server.try_clone()?, client.try_clone()?);
        let (down, up) = (Arc::clone(self), Arc::clone(self));
        thread::spawn(move || down.carry(from_server, to_client, true));
        thread::spawn(move || up.carry(client, server, false));
        Ok(())
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream, is_counted: bool) {
        let mut bytes = [0; PIECE];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let silent = |state: &mut State| state.condition == Condition::Silent;
            let mut state = self
                .changed
                .wait_while(self.lock(), silent)
                .unwrap_or_else(PoisonError::into_inner);
            let mut pause = Duration::ZERO;
            if is_counted {
                state.carried += count as u64;
                pause = state.pause.mul_f64(count as f64 / PIECE as f64);
                if state.flips > 0 && count == PIECE {
                    state.flips -= 1;
                    bytes[PIECE / 2] ^= 1;
                }
            }
            drop(state);
            thread::sleep(pause);
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _already_closed = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}
