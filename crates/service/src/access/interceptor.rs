//! Authenticates every request.

use std::sync::Arc;

use tonic::{Request, Status, metadata::MetadataMap, service::Interceptor};

use super::{ClientId, permissions::Grant, token_file::Tokens};
use crate::{
    admission::ConnectionInfo,
    traffic::{Refusal, Traffic},
};

/// Requires a bearer token if tokens are configured, and attaches the [`Caller`] to the request.
#[derive(Clone, Debug)]
pub(crate) struct AuthInterceptor {
    tokens: Option<Tokens>,
    traffic: Traffic,
}

/// The authenticated client of a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The client that limits count against.
    pub(crate) client: ClientId,
    /// Its permissions.
    pub(crate) grant: Arc<Grant>,
}

impl AuthInterceptor {
    /// Requires one of `tokens`; with `None`, accepts every request.
    pub(crate) fn new(tokens: Option<Tokens>, traffic: Traffic) -> Self {
        Self { tokens, traffic }
    }
}

impl Interceptor for AuthInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let connection = request.extensions().get::<ConnectionInfo>();
        let client = connection.map_or(ClientId::Local, ConnectionInfo::client);
        let caller = match &self.tokens {
            None => Caller {
                client,
                grant: Arc::default(),
            },
            Some(tokens) => {
                let grant = bearer(request.metadata()).and_then(|token| {
                    let known = tokens.find(token);
                    known.ok_or_else(|| Status::unauthenticated("unknown token"))
                });
                let grant = grant.inspect_err(|status| {
                    self.traffic.refused(Refusal::Token, &client, status.message());
                })?;
                connection.into_iter().for_each(ConnectionInfo::mark_known);
                Caller {
                    client: ClientId::Named(grant.permissions.name.clone()),
                    grant,
                }
            }
        };
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

/// The token in `authorization: Bearer TOKEN`.
fn bearer(metadata: &MetadataMap) -> Result<&[u8], Status> {
    let value = metadata
        .get("authorization")
        .ok_or_else(|| Status::unauthenticated("a token is required: send authorization: Bearer TOKEN"))?;
    let token = value.as_bytes().split_at_checked(7);
    token
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
        .map(|(_, token)| token.trim_ascii())
        .ok_or_else(|| Status::unauthenticated("invalid authorization header: expected Bearer TOKEN"))
}
