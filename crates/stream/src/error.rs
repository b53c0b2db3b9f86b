use std::{error::Error as _, io, sync::Arc, time::Duration};

use tokio_rustls::rustls;
use tonic::{Code, Status};

/// What can go wrong between this program and a server.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is no host and port.
    #[error("cannot use `{address}` as a server address: {reason}; see --server")]
    Address {
        /// As typed.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there.
    #[error("cannot reach {address}: {reason}; is the server running, and is --server right?")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the network said.
        reason: String,
    },
    /// Somebody answers there, but cannot prove to be the server.
    #[error("cannot trust {address}: {reason}")]
    Untrusted {
        /// Host and port.
        address: String,
        /// What is wrong with its certificate.
        reason: String,
    },
    /// The server wants to know who asks.
    #[error("{address} does not let this client in: {reason}")]
    Denied {
        /// Host and port.
        address: String,
        /// What the server said.
        reason: String,
    },
    /// Somebody answers there, but not an Equibatch server.
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
        /// What the server said.
        reason: String,
    },
    /// The server has as many streams or connections as it allows.
    #[error("{address} refuses for now: {reason}")]
    Full {
        /// Host and port.
        address: String,
        /// What the server said.
        reason: String,
    },
    /// The server found its own data unusable.
    #[error("{address} cannot go on: {reason}")]
    Data {
        /// Host and port.
        address: String,
        /// What the server said.
        reason: String,
    },
    /// The server went away in the middle of a stream.
    #[error("lost the server at {address} {at}: {reason}")]
    Lost {
        /// Host and port.
        address: String,
        /// The last batch received, in words.
        at: String,
        /// What the network said.
        reason: String,
    },
    /// The server's answer breaks the contract.
    #[error("cannot understand {address}: {reason}")]
    Contract {
        /// Host and port.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// A server that was to share a stream with others does not serve the same files.
    #[error("cannot use {address} beside the other servers: {reason}")]
    Differs {
        /// Host and port.
        address: String,
        /// How they differ.
        reason: String,
    },
    /// The threads for the network could not be started.
    #[error("cannot start the network threads")]
    Threads(#[source] Arc<io::Error>),
}

impl Error {
    /// Whether another try, later or elsewhere, may succeed.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::NotAServer { .. } | Self::Lost { .. }
        )
    }

    /// Whether the same server may answer otherwise after some time: it is away, or it has no room while it still counts a connection that was
    /// cut.
    pub(super) fn is_transient(&self) -> bool {
        self.is_unavailable() || matches!(self, Self::Full { .. })
    }

    /// Adds that `servers` servers were given `waited` to come back, and did not.
    pub(super) fn after_waiting(mut self, servers: usize, waited: Duration) -> Self {
        if let Self::Unreachable { reason, .. }
        | Self::NotAServer { reason, .. }
        | Self::Lost { reason, .. } = &mut self
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

    /// An answer to a single request.
    pub(super) fn from_status(address: &str, status: &Status) -> Self {
        let address = address.to_owned();
        if let Some(error) = status.source().and_then(tls) {
            return Self::from_tls(address, error);
        }
        let reason = reason(status);
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => Self::denied(address, reason),
            // A server that wants a certificate says so after the handshake; of that, HTTP/2 keeps the words only.
            _ if reason.starts_with("received fatal alert") => Self::denied(address, reason),
            _ if status.source().is_some_and(is_no_http) => Self::NotAServer {
                address,
                reason: PERHAPS_TLS.to_owned(),
            },
            // A connection that closes under a request cancels it; no server answers so.
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
                reason: "it does not speak TLS: leave https:// out if the connection need not be encrypted"
                    .to_owned(),
            },
            rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => Self::Untrusted {
                address,
                reason: format!(
                    "{reason}; if its certificate is of an authority of your own, name that one's root with --tls-ca FILE"
                ),
            },
            _ => Self::Untrusted { address, reason },
        }
    }

    /// Adds which option shows the server what it wants to see.
    fn denied(address: String, mut reason: String) -> Self {
        if reason.contains("CertificateRequired") {
            reason.push_str("; show a certificate with --tls-cert FILE --tls-key FILE");
        } else if reason.contains("token") {
            reason.push_str("; name the file of yours with --token-file FILE, or set EQUIBATCH_TOKEN");
        }
        Self::Denied { address, reason }
    }

    /// The end of a stream, after the batch described by `at`.
    pub(super) fn from_stream_status(address: &str, at: String, status: &Status) -> Self {
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

/// What is most likely the matter with a server whose first bytes are no HTTP/2.
const PERHAPS_TLS: &str = "its answer is no HTTP/2; if it serves with TLS, write https:// before the address";

/// Whether what came was no HTTP/2. A server of TLS answers a request in the clear by an alert, the first bytes of which look like the head of a
/// frame that is far too large.
fn is_no_http(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    // Found here, and not told by the other side.
    let found = causes
        .filter_map(|cause| cause.downcast_ref::<h2::Error>())
        .filter(|error| error.is_library());
    let mut reasons = found.filter_map(h2::Error::reason);
    reasons.any(|reason| matches!(reason, h2::Reason::FRAME_SIZE_ERROR | h2::Reason::PROTOCOL_ERROR))
}

/// A server that cannot be connected to.
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

/// The failed handshake among the causes of an error.
fn tls<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        // An I/O error hides what it wraps from the chain of causes.
        let inner = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let found = inner.and_then(|inner| inner.downcast_ref());
        if let Some(found) = found.or_else(|| current.downcast_ref()) {
            return Some(found);
        }
        cause = current.source();
    }
    None
}

/// The innermost cause, which is the one that a person can act on: `Connection refused` instead of `transport error`.
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
    // Operating systems add their number for the error, which says nothing to a reader.
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
    fn what_the_connection_did_may_go_better_elsewhere_and_a_refusal_will_not() {
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
