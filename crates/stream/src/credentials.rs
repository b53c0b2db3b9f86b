//! Client credentials: tokens and certificates.

use std::{fmt, str::FromStr as _};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Identity},
};

use super::{Error, address::Address, trace::TraceId};

/// Client credentials; none by default.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Root certificates (PEM) to verify servers with, instead of those of the system.
    pub roots: Option<Vec<u8>>,
    /// Client certificate and its key (PEM).
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// Bearer token.
    pub token: Option<Token>,
}

/// A bearer token.
#[derive(Clone)]
pub struct Token(MetadataValue<Ascii>);

impl Token {
    /// A token; `None` if `text` is empty or has characters other than visible ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let mut value = MetadataValue::from_str(&format!("Bearer {text}"))
            .ok()
            .filter(|_| is_word)?;
        value.set_sensitive(true);
        Some(Self(value))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("roots", &self.roots.is_some())
            .field("identity", &self.identity.is_some())
            .field("token", &self.token.is_some())
            .finish()
    }
}

impl Credentials {
    /// Refuses to send the token in clear text to `address`, and certificates without TLS.
    pub(super) fn check(&self, address: &Address) -> Result<(), Error> {
        let refused = |reason: &str| {
            Err(Error::Address {
                address: address.to_string(),
                reason: reason.to_owned(),
            })
        };
        if self.token.is_some() && !address.is_private() {
            return refused("a token is only sent over TLS: use https://HOST:PORT");
        }
        let has_certificates = self.roots.is_some() || self.identity.is_some();
        if has_certificates && !matches!(address, Address::Tcp { tls: true, .. }) {
            return refused("certificates need TLS: use https://HOST:PORT");
        }
        Ok(())
    }

    pub(super) fn tls(&self) -> ClientTlsConfig {
        let config = ClientTlsConfig::new();
        let config = match &self.roots {
            Some(roots) => config.ca_certificate(Certificate::from_pem(roots)),
            None => config.with_native_roots(),
        };
        match &self.identity {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        }
    }
}

/// A connection that adds the token and the trace id to requests.
pub(super) type Connection = InterceptedService<Channel, AuthInterceptor>;

/// Adds the token and the `traceparent` header to every request.
#[derive(Clone, Debug)]
pub(super) struct AuthInterceptor {
    pub(super) token: Option<Token>,
    pub(super) trace: TraceId,
}

impl Interceptor for AuthInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(Token(value)) = &self.token {
            request.metadata_mut().insert("authorization", value.clone());
        }
        if let Ok(value) = self.trace.header().parse() {
            request.metadata_mut().insert("traceparent", value);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_hidden_from_debug() {
        for text in ["", "two words", "line\n", "\u{e4}"] {
            assert!(Token::new(text).is_none(), "{text:?}");
        }
        let credentials = Credentials {
            token: Token::new("0123456789abcdef"),
            ..Credentials::default()
        };
        assert!(credentials.token.is_some());
        assert!(!format!("{credentials:?}").contains("0123"));
        let auth = AuthInterceptor {
            token: credentials.token,
            trace: TraceId::new(),
        };
        assert!(!format!("{auth:?}").contains("0123"));
    }
}
