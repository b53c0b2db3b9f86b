//! Authentication and per-client limits.
//!
//! # Layout
//!
//! - `token_file`: the file of tokens, and `permissions`, those of a token; `tls`: certificates and keys; `watched_files`: both, reloaded when they change.
//! - `interceptor`: authenticates every request; `client_id`: whom limits count against; `limiter`: connections and streams by client.
//! - `known_clients`: clients with a token or a stream, for which connections are reserved.

mod client_id;
mod interceptor;
mod known_clients;
mod limiter;
mod permissions;
mod tls;
mod token_file;
mod watched_files;

use std::{path::PathBuf, sync::Arc};

use tokio::sync::watch;

pub use self::{client_id::ClientId, tls::TlsFiles};
pub(super) use self::{
    interceptor::{AuthInterceptor, Caller},
    known_clients::KnownClients,
    limiter::{ClientLimiter, LimitExceeded, Permit},
    permissions::Grant,
    tls::Tls,
    token_file::Tokens,
};
use self::{token_file::TokenFile, watched_files::Watched};

/// Paths of the files that control access.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessFiles {
    /// `None`: connections are not encrypted.
    pub tls: Option<TlsFiles>,
    /// `None`: no token is required.
    pub tokens: Option<PathBuf>,
}

/// The loaded contents of [`AccessFiles`]. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub(super) tls: Option<Tls>,
    pub(super) tokens: Option<Tokens>,
    /// Notifies the watchers to reload the files even if their metadata is unchanged.
    reload_requested: Arc<watch::Sender<()>>,
}

/// A file that controls access cannot be used. Never contains a key or a token.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Certificates or keys.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The token file.
    #[error(transparent)]
    Tokens(#[from] token_file::Error),
}

impl Access {
    /// Reads `files`.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is invalid.
    pub fn load(files: &AccessFiles) -> Result<Self, AccessError> {
        Ok(Self {
            tls: files.tls.clone().map(Watched::load).transpose()?,
            tokens: files
                .tokens
                .clone()
                .map(|path| Watched::load(TokenFile(path)))
                .transpose()?,
            reload_requested: Arc::default(),
        })
    }

    /// Reloads the files from the paths in `files`. Returns the options that need a restart: those that would enable or disable TLS or
    /// tokens.
    pub fn reload(&self, files: &AccessFiles) -> Vec<&'static str> {
        let mut rest = vec![];
        match (&self.tls, &files.tls) {
            (Some(tls), Some(files)) => tls.set(files.clone()),
            (None, None) => {}
            _ => rest.extend(["tls-cert", "tls-key", "tls-client-ca"]),
        }
        match (&self.tokens, &files.tokens) {
            (Some(tokens), Some(path)) => tokens.set(TokenFile(path.clone())),
            (None, None) => {}
            _ => rest.push("tokens"),
        }
        self.reload_requested.send_replace(());
        rest
    }

    /// The number of tokens; `None` if tokens are not required.
    #[must_use]
    pub fn tokens(&self) -> Option<usize> {
        self.tokens
            .as_ref()
            .map(|tokens| tokens.with(token_file::TokenTable::len))
    }

    /// Reloads the files when they change or [`Access::reload`] is called; never returns.
    pub(super) async fn follow(self) {
        let tokens = async {
            match &self.tokens {
                Some(tokens) => tokens.clone().follow(self.reload_requested.subscribe()).await,
                None => std::future::pending().await,
            }
        };
        let tls = async {
            match &self.tls {
                Some(tls) => tls.clone().follow(self.reload_requested.subscribe()).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(tokens, tls);
    }
}
