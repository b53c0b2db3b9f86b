//! Asking a server how it is.

use std::{error::Error as StdError, io, time::Duration};

use tonic::{
    Status,
    transport::{Certificate, ClientTlsConfig, Endpoint, Error as TransportError},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a server is not known to be well.
#[derive(Debug, thiserror::Error)]
pub(super) enum HealthError {
    /// The address is none.
    #[error("cannot use {0:?} as an address: use HOST:PORT, https://HOST:PORT or unix:PATH")]
    Address(String),
    /// Nobody answers.
    #[error("cannot reach {0}: {1}")]
    Unreachable(String, String),
    /// The answer is an error.
    #[error("{0} does not say how it is: {1}")]
    NoAnswer(String, String),
    /// This program cannot ask.
    #[error("cannot start the network")]
    Threads(#[source] io::Error),
    /// It says that it does not serve.
    #[error("{0} is not serving")]
    NotServing(String),
}

/// Asks the health service of the server at `address` (`HOST:PORT`, `https://HOST:PORT` or `unix:PATH`), whose certificate the authority
/// `ca` has signed, or one that this machine trusts.
///
/// # Errors
///
/// Where it does not say that it serves.
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

/// The innermost cause, and what may help.
fn reason(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let innermost = causes.clone().last().unwrap_or(error).to_string();
    let of_http = causes.filter_map(|cause| cause.downcast_ref::<h2::Error>());
    let mut of_http = of_http
        .filter(|error| error.is_library())
        .filter_map(h2::Error::reason);
    // A server of TLS answers in the clear by an alert, which looks like the head of a frame that is far too large.
    if of_http.any(|reason| matches!(reason, h2::Reason::FRAME_SIZE_ERROR | h2::Reason::PROTOCOL_ERROR)) {
        "its answer is no HTTP/2; if it serves with TLS, write https:// before the address".to_owned()
    } else if innermost.contains("UnknownIssuer") {
        format!(
            "{innermost}; if its certificate is of an authority of your own, name that one's root with --tls-ca FILE"
        )
    } else {
        innermost
    }
}
