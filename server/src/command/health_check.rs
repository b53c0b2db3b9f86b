//! A client of the gRPC health service.

use std::{error::Error as StdError, io, time::Duration};

use tonic::{
    Status,
    transport::{Certificate, ClientTlsConfig, Endpoint, Error as TransportError},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Timeout of the connection and of the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The health check failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HealthError {
    /// An invalid address.
    #[error("invalid address {0:?}: expected HOST:PORT, https://HOST:PORT or unix:PATH")]
    Address(String),
    /// The server cannot be reached.
    #[error("cannot reach {0}: {1}")]
    Unreachable(String, String),
    /// The server answered with an error.
    #[error("health check of {0} failed: {1}")]
    NoAnswer(String, String),
    /// The runtime cannot be started.
    #[error("cannot start the network runtime")]
    Threads(#[source] io::Error),
    /// The status is not `SERVING`.
    #[error("{0} is not serving")]
    NotServing(String),
}

/// Checks the health of the server at `address` (`HOST:PORT`, `https://HOST:PORT` or `unix:PATH`). `ca`: PEM root certificates to trust,
/// besides those of the system.
///
/// # Errors
///
/// If the server cannot be reached, or its status is not `SERVING`.
pub(super) fn check_health(address: &str, ca: Option<&[u8]>) -> Result<(), HealthError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(HealthError::Threads)?;
    runtime.block_on(ask(address, ca))
}

async fn ask(address: &str, ca: Option<&[u8]>) -> Result<(), HealthError> {
    let uri = if address.starts_with("unix:") || address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    let name = || address.to_owned();
    let unreachable = |error: TransportError| HealthError::Unreachable(name(), reason(&error));
    let mut endpoint = Endpoint::from_shared(uri)
        .map_err(|_| HealthError::Address(name()))?
        .connect_timeout(TIMEOUT)
        .timeout(TIMEOUT);
    if address.starts_with("https://") {
        let tls = ClientTlsConfig::new().with_native_roots();
        let tls = ca
            .into_iter()
            .fold(tls, |tls, ca| tls.ca_certificate(Certificate::from_pem(ca)));
        endpoint = endpoint.tls_config(tls).map_err(unreachable)?;
    }
    let channel = endpoint.connect().await.map_err(unreachable)?;
    let answer = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await;
    let no_answer = |status: Status| {
        let said = || status.message().to_owned();
        HealthError::NoAnswer(name(), status.source().map_or_else(said, reason))
    };
    let answer = answer.map_err(no_answer)?;
    if answer.into_inner().status() == ServingStatus::Serving {
        Ok(())
    } else {
        Err(HealthError::NotServing(name()))
    }
}

/// The innermost cause of an error, with a hint for common causes.
fn reason(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let innermost = causes.clone().last().unwrap_or(error).to_string();
    let of_http = causes.filter_map(|cause| cause.downcast_ref::<h2::Error>());
    let mut of_http = of_http
        .filter(|error| error.is_library())
        .filter_map(h2::Error::reason);
    // A TLS server answers plain HTTP/2 with an alert, which parses as the header of an oversized frame.
    if of_http.any(|reason| matches!(reason, h2::Reason::FRAME_SIZE_ERROR | h2::Reason::PROTOCOL_ERROR)) {
        "it does not answer with HTTP/2; if it uses TLS, prefix the address with https://".to_owned()
    } else if innermost.contains("UnknownIssuer") {
        format!(
            "{innermost}; if its certificate is issued by a private CA, pass the CA's root with --tls-ca FILE"
        )
    } else {
        innermost
    }
}
