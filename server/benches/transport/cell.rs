//! One configuration of the benchmark.

use std::fmt;

use equibatch_transport::MAX_FRAME_SIZE;

/// Payload, and settings of the receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    /// Length of a tensor, in bytes.
    pub(crate) payload: usize,
    pub(crate) method: Method,
    pub(crate) connect: Connect,
    pub(crate) connections: u32,
    /// Maximum HTTP/2 frame size, in bytes.
    pub(crate) frame: u32,
    pub(crate) window: Window,
}

impl Cell {
    /// The settings of this project's client for a local server, with a batch of f32 images.
    pub(crate) const CHOSEN: Self = Self {
        payload: super::BATCH_F32,
        method: Method::Body,
        connect: Connect::Tcp,
        connections: 1,
        frame: MAX_FRAME_SIZE,
        window: Window::Local,
    };
}

/// How messages are encoded and decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// None: bytes over a socket.
    Raw,
    /// The default generated code.
    Vec,
    /// Generated code whose `bytes` fields are slices of the message's buffer.
    Bytes,
    /// This project's code: frames are slices of the tensor, and are received into its final buffer.
    Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connect {
    Tcp,
    Unix,
    Tls,
}

/// HTTP/2 flow-control windows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Window {
    /// The library's default.
    Default,
    Bytes(u32),
    Adaptive,
    /// As this project's client sets them for a local server.
    Local,
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
            Window::Local => f.write_str("ours"),
        }
    }
}
