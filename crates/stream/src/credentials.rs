//! What a server may want to see, and how it is shown.

use std::{fmt, str::FromStr as _};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
    transport::{Certificate, ClientTlsConfig, Identity},
};

use super::{Error, address::Address, trace::TraceId};

/// What a server may want to see. By default nothing.
#[derive(Clone, Default)]
pub struct Credentials {
    /// PEM: roots that the server's certificate may come from, in place of this system's.
    pub roots: Option<Vec<u8>>,
    /// PEM: a certificate to show, and its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// A token to show.
    pub token: Option<Token>,
}

/// A secret that a server knows this client by.
#[derive(Clone)]
pub struct Token(MetadataValue<Ascii>);

impl Token {
    /// A token of `text`. `None` where a token cannot be that.
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
    /// Refuses what must not be shown, or is of no use, at `address`.
    pub(super) fn check(&self, address: &Address) -> Result<(), Error> {
        let refused = |reason: &str| {
            Err(Error::Address {
                address: address.to_string(),
                reason: reason.to_owned(),
            })
        };
        if self.token.is_some() && !address.is_private() {
            return refused("a token is not sent in the clear, use https://HOST:PORT");
        }
        let has_certificates = self.roots.is_some() || self.identity.is_some();
        if has_certificates && !matches!(address, Address::Tcp { tls: true, .. }) {
            return refused("certificates are of use with https://HOST:PORT only");
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

/// Shows the token with every request, and says which trace it belongs to.
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
    fn a_token_is_one_word_and_never_shown() {
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
