use std::{error::Error as _, io, sync::Arc, time::Duration};

use equibatch_transport::Damaged;
use tokio_rustls::rustls;
use tonic::{Code, Status};

/// An error between this client and a server.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Invalid server address.
    #[error("cannot use `{address}` as a server address: {reason}; see --server")]
    Address {
        /// As typed.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server cannot be reached.
    #[error("cannot reach {address}: {reason}; is the server running, and is --server right?")]
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

impl Error {
    /// Returns whether a retry, later or with another server, may succeed.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::NotAServer { .. } | Self::Lost { .. } | Self::Damaged { .. }
        )
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

    /// Converts the status of a single request.
    pub(super) fn from_status(address: &str, status: &Status) -> Self {
        let address = address.to_owned();
        if let Some(error) = status.source().and_then(tls) {
            return Self::from_tls(address, error);
        }
        let reason = reason(status);
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => Self::denied(address, reason),
            // A server that requires a certificate sends its alert after the handshake; HTTP/2 keeps only its text.
            _ if reason.starts_with("received fatal alert") => Self::denied(address, reason),
            _ if status.source().is_some_and(is_not_http2) => Self::NotAServer {
                address,
                reason: NOT_HTTP2.to_owned(),
            },
            // Servers do not answer with CANCELLED: the connection was closed during the request.
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
                Self::Unreachable { address, reason }
            }
            Code::ResourceExhausted => Self::Full { address, reason },
            Code::Unimplemented => Self::NotAServer {
                address,
                reason: "it does not serve equibatch.v1.BatchLoader".to_owned(),
            },
            Code::DataLoss | Code::Internal if status.source().is_none() => Self::Data { address, reason },
            Code::Unknown | Code::Internal => Self::NotAServer { address, reason },
            _ => Self::Refused { address, reason },
        }
    }

    fn from_tls(address: String, error: &rustls::Error) -> Self {
        let reason = error.to_string();
        match error {
            rustls::Error::AlertReceived(_) => Self::denied(address, reason),
            rustls::Error::InvalidMessage(_) => Self::NotAServer {
                address,
                reason: "it does not speak TLS: remove https:// if the connection need not be encrypted"
                    .to_owned(),
            },
            rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => Self::Untrusted {
                address,
                reason: format!(
                    "{reason}; if its certificate is issued by a private CA, pass the CA's root with --tls-ca FILE"
                ),
            },
            _ => Self::Untrusted { address, reason },
        }
    }

    /// Adds the option that provides the missing credentials.
    fn denied(address: String, mut reason: String) -> Self {
        if reason.contains("CertificateRequired") {
            reason.push_str("; pass a certificate with --tls-cert FILE --tls-key FILE");
        } else if reason.contains("token") {
            reason.push_str("; pass a token with --token-file FILE or EQUIBATCH_TOKEN");
        }
        Self::Denied { address, reason }
    }

    /// Converts the status that ends a stream, after the batch described by `at`.
    pub(super) fn from_stream_status(address: &str, at: String, status: &Status) -> Self {
        if status.source().is_some_and(|source| source.is::<Damaged>()) {
            let (address, reason) = (address.to_owned(), reason(status));
            return Self::Damaged { address, reason };
        }
        match status.code() {
            Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Internal | Code::DeadlineExceeded => {
                Self::Lost {
                    address: address.to_owned(),
                    at,
                    reason: reason(status),
                }
            }
            _ => Self::from_status(address, status),
        }
    }
}

/// The likely reason if a server does not answer with HTTP/2.
const NOT_HTTP2: &str = "it does not answer with HTTP/2; if it uses TLS, prefix the address with https://";

/// Returns whether the received bytes are not HTTP/2. A TLS server answers plain HTTP/2 with an alert, which parses as the header of an
/// oversized frame.
fn is_not_http2(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    // Detected here, not reported by the peer.
    let found = causes
        .filter_map(|cause| cause.downcast_ref::<h2::Error>())
        .filter(|error| error.is_library());
    let mut reasons = found.filter_map(h2::Error::reason);
    reasons.any(|reason| matches!(reason, h2::Reason::FRAME_SIZE_ERROR | h2::Reason::PROTOCOL_ERROR))
}

/// The error for a failed connection.
pub(super) fn unreachable(address: &str, error: &tonic::transport::Error) -> Error {
    let address = address.to_owned();
    match tls(error) {
        Some(error) => Error::from_tls(address, error),
        None => Error::Unreachable {
            address,
            reason: root(error),
        },
    }
}

/// The TLS error among the sources of an error.
fn tls<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        // `source` of an I/O error skips the error that it wraps.
        let inner = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let found = inner.and_then(|inner| inner.downcast_ref());
        if let Some(found) = found.or_else(|| current.downcast_ref()) {
            return Some(found);
        }
        cause = current.source();
    }
    None
}

/// The innermost cause, which is actionable: `connection refused` instead of `transport error`.
pub(super) fn reason(status: &Status) -> String {
    match status.source() {
        Some(source) => root(source),
        None if status.message().is_empty() => status.code().description().to_lowercase(),
        None => status.message().to_owned(),
    }
}

pub(super) fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    let text = current.to_string();
    // Drops the error number that the operating system's text ends with.
    let text = text
        .split(" (os error")
        .next()
        .unwrap_or(&text)
        .trim_end_matches('.');
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => "no reason given".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_errors_are_retried_elsewhere_and_refusals_are_not() {
        for status in [
            Status::cancelled("connection closed"),
            Status::unavailable("stopping"),
            Status::deadline_exceeded("late"),
            Status::unknown("no HTTP/2"),
        ] {
            assert!(Error::from_status("a:1", &status).is_unavailable(), "{status}");
            assert!(Error::from_stream_status("a:1", String::new(), &status).is_unavailable());
        }
        for status in [
            Status::invalid_argument("batch_size is 0"),
            Status::resource_exhausted("32 streams"),
            Status::permission_denied("token"),
        ] {
            assert!(!Error::from_status("a:1", &status).is_unavailable(), "{status}");
        }
    }
}
