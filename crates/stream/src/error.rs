//! Errors between a client and its servers.

use std::{io, sync::Arc, time::Duration};

/// An error between this client and a server.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Invalid server address.
    #[error("cannot use `{address}` as a server address: {reason}")]
    Address {
        /// As typed.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server cannot be reached.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The error of the network.
        reason: String,
    },
    /// The server's certificate cannot be verified.
    #[error("cannot trust {address}: {reason}")]
    Untrusted {
        /// Host and port.
        address: String,
        /// What is wrong with its certificate.
        reason: String,
    },
    /// Authentication failed.
    #[error("{address} denies access: {reason}")]
    Denied {
        /// Host and port.
        address: String,
        /// The message of the server.
        reason: String,
    },
    /// The server does not speak the Equibatch protocol.
    #[error("cannot talk to {address}: it is not an Equibatch server ({reason})")]
    NotAServer {
        /// Host and port.
        address: String,
        /// How it answered.
        reason: String,
    },
    /// The server refused a request.
    #[error("{address} refuses: {reason}")]
    Refused {
        /// Host and port.
        address: String,
        /// The message of the server.
        reason: String,
    },
    /// A limit on streams or connections of the server is reached.
    #[error("{address} refuses for now: {reason}")]
    Full {
        /// Host and port.
        address: String,
        /// The message of the server.
        reason: String,
    },
    /// The server cannot use its own data.
    #[error("{address} cannot continue the stream: {reason}")]
    Data {
        /// Host and port.
        address: String,
        /// The message of the server.
        reason: String,
    },
    /// The connection was lost in the middle of a stream.
    #[error("lost the server at {address} {at}: {reason}")]
    Lost {
        /// Host and port.
        address: String,
        /// The last batch received, as text.
        at: String,
        /// The error of the network.
        reason: String,
    },
    /// A batch came with other bytes than the server sent: its checksum differs.
    #[error("a batch from {address} is not used: {reason}")]
    Damaged {
        /// Host and port.
        address: String,
        /// Which batch, and what is wrong with it.
        reason: String,
    },
    /// The server's answer violates the protocol.
    #[error("{address} violates the protocol: {reason}")]
    Contract {
        /// Host and port.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// A server does not serve the same files as the others of the stream.
    #[error("cannot use {address} together with the other servers: {reason}")]
    Differs {
        /// Host and port.
        address: String,
        /// How they differ.
        reason: String,
    },
    /// The network threads cannot be started.
    #[error("cannot start the network threads")]
    Threads(#[source] Arc<io::Error>),
}

/// What may help against an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// An address of the form that the error gives.
    Address,
    /// A server that runs at this address.
    Reach,
    /// The root certificate of the server's private CA in [`Credentials::roots`](super::Credentials::roots).
    Root,
    /// A client certificate in [`Credentials::identity`](super::Credentials::identity).
    Certificate,
    /// A token in [`Credentials::token`](super::Credentials::token).
    Token,
}

impl Error {
    /// Returns whether a retry, later or with another server, may succeed.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::NotAServer { .. } | Self::Lost { .. } | Self::Damaged { .. }
        )
    }

    /// What may help. The text of the error does not say it, because the program knows by which of its options.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Address { .. } => Some(Remedy::Address),
            Self::Unreachable { .. } => Some(Remedy::Reach),
            Self::Untrusted { reason, .. } if reason.contains("UnknownIssuer") => Some(Remedy::Root),
            Self::Denied { reason, .. } if reason.contains("CertificateRequired") => {
                Some(Remedy::Certificate)
            }
            Self::Denied { reason, .. } if reason.contains("token") => Some(Remedy::Token),
            _ => None,
        }
    }

    /// Returns whether the same server may succeed later: it is unavailable, or a limit is reached, possibly by a lost connection that it
    /// still counts.
    pub(super) fn is_transient(&self) -> bool {
        self.is_unavailable() || matches!(self, Self::Full { .. })
    }

    /// Adds to the reason that `servers` servers did not come back within `waited`.
    pub(super) fn after_waiting(mut self, servers: usize, waited: Duration) -> Self {
        if let Self::Unreachable { reason, .. }
        | Self::NotAServer { reason, .. }
        | Self::Lost { reason, .. }
        | Self::Damaged { reason, .. } = &mut self
        {
            let who = if servers > 1 {
                "no server came"
            } else {
                "it did not come"
            };
            let seconds = waited.as_secs_f64();
            reason.push_str(&format!("; {who} back within {seconds} s"));
        }
        self
    }
}
