//! Looks at every request before anybody else does.

use std::sync::Arc;

use tonic::{Request, Status, metadata::MetadataMap, service::Interceptor};

use super::{
    super::admission::ConnectionInfo,
    ClientId,
    token_file::{Grant, Tokens},
};
use crate::service::traffic::{Refusal, Traffic};

/// Lets requests pass that come with a token, where tokens are asked for, and notes whose they are.
#[derive(Clone, Debug)]
pub(in crate::service) struct AuthInterceptor {
    tokens: Option<Tokens>,
    traffic: Traffic,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(in crate::service) struct Caller {
    /// Whose share of the places it takes.
    pub(in crate::service) client: ClientId,
    /// What it may do.
    pub(in crate::service) grant: Arc<Grant>,
}

impl AuthInterceptor {
    /// Asks for one of `tokens`, where there are some.
    pub(in crate::service) fn new(tokens: Option<Tokens>, traffic: Traffic) -> Self {
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
                    known.ok_or_else(|| Status::unauthenticated("this token is not known here"))
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

/// The token of `authorization: Bearer TOKEN`.
fn bearer(metadata: &MetadataMap) -> Result<&[u8], Status> {
    let value = metadata
        .get("authorization")
        .ok_or_else(|| Status::unauthenticated("a token is needed here: send authorization: Bearer TOKEN"))?;
    let token = value.as_bytes().split_at_checked(7);
    token
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
        .map(|(_, token)| token.trim_ascii())
        .ok_or_else(|| Status::unauthenticated("the authorization must be: Bearer TOKEN"))
}
