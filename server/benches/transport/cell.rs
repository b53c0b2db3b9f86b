//! One way of moving bytes.

use std::fmt;

use equibatch_transport::MAX_FRAME_SIZE;

/// What is sent, and what the receiver asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    /// Bytes of a tensor.
    pub(crate) payload: usize,
    pub(crate) method: Method,
    pub(crate) connect: Connect,
    pub(crate) connections: u32,
    /// The largest frame of HTTP/2.
    pub(crate) frame: u32,
    pub(crate) window: Window,
}

impl Cell {
    /// What this project's client asks for on its own machine, of a batch of float images.
    pub(crate) const CHOSEN: Self = Self {
        payload: super::BATCH_F32,
        method: Method::Body,
        connect: Connect::Tcp,
        connections: 1,
        frame: MAX_FRAME_SIZE,
        window: Window::Nearby,
    };
}

/// How messages are made and taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// No messages: bytes through a socket.
    Raw,
    /// The usual generated code.
    Vec,
    /// Generated code whose `bytes` fields share the message's buffer.
    Bytes,
    /// What this project does: frames made from the tensor, and written to its place as they come.
    Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connect {
    Tcp,
    Unix,
    Tls,
}

/// How much may be on the way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Window {
    /// As the library has it.
    Default,
    Bytes(u32),
    Adaptive,
    /// As this project's client asks for on its own machine.
    Nearby,
}

/// The first columns of a row.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::Raw => "plain socket",
            Method::Vec => "prost, `Vec`",
            Method::Bytes => "prost, `Bytes`",
            Method::Body => "frames",
        };
        let connect = match self.connect {
            Connect::Tcp => "TCP",
            Connect::Unix => "Unix",
            Connect::Tls => "TCP, TLS",
        };
        let megabytes = self.payload as f64 / 1e6;
        write!(
            f,
            "{megabytes:.1} | {method} | {connect} | {} | ",
            self.connections
        )?;
        if self.method == Method::Raw {
            return f.write_str("| ");
        }
        write!(f, "{} KiB | ", self.frame >> 10)?;
        match self.window {
            Window::Default => f.write_str("default"),
            Window::Bytes(bytes) if bytes < 1 << 20 => write!(f, "{} KiB", bytes >> 10),
            Window::Bytes(bytes) => write!(f, "{} MiB", bytes >> 20),
            Window::Adaptive => f.write_str("adaptive"),
            Window::Nearby => f.write_str("ours"),
        }
    }
}
