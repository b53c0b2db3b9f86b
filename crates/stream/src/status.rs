//! Errors from what tonic reports: statuses and failed connections.

use std::{error::Error as _, io};

use equibatch_transport::Damaged;
use tokio_rustls::rustls;
use tonic::{Code, Status};

use super::Error;

impl Error {
    /// Converts the status of a single request.
    pub(super) fn from_status(address: &str, status: &Status) -> Self {
        let address = address.to_owned();
        if let Some(error) = status.source().and_then(tls) {
            return Self::from_tls(address, error);
        }
        let reason = reason(status);
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => Self::Denied { address, reason },
            // A server that requires a certificate sends its alert after the handshake; HTTP/2 keeps only its text.
            _ if reason.starts_with("received fatal alert") => Self::Denied { address, reason },
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
            rustls::Error::AlertReceived(_) => Self::Denied { address, reason },
            rustls::Error::InvalidMessage(_) => Self::NotAServer {
                address,
                reason: "it does not speak TLS: remove https:// if the connection need not be encrypted"
                    .to_owned(),
            },
            _ => Self::Untrusted { address, reason },
        }
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
