//! The TLS handshake of a connection.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, rustls, server::TlsStream};
use tokio_util::either::Either;

use super::linger::linger;
use crate::access::{ClientId, Tls};

/// Performs the TLS handshake of `stream` if TLS is configured. Connections within this machine are not encrypted.
pub(super) async fn handshake<C>(
    tls: Option<&Tls>,
    stream: C,
    client: &ClientId,
) -> io::Result<Either<C, TlsStream<C>>>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    match tls {
        Some(tls) if !client.is_local() => {
            match tls.with(TlsAcceptor::clone).accept(stream).into_fallible().await {
                Ok(stream) => Ok(Either::Right(stream)),
                Err((error, stream)) => {
                    linger(stream).await;
                    Err(error)
                }
            }
        }
        _ => Ok(Either::Left(stream)),
    }
}

/// Why a handshake failed; most often, the client does not speak TLS.
pub(super) fn handshake_error(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|error| error.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidMessage(_)) => "the client does not speak TLS".to_owned(),
        _ => error.to_string(),
    }
}
