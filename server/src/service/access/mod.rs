//! Authentication and per-client limits.
//!
//! # Layout
//!
//! - `table`: the file of tokens; `tls`: certificates and keys; `watched`: both, read again when they change.
//! - `gate`: the check of every request; `limiter`: how many connections and streams there are, by client.

mod client_id;
mod interceptor;
mod known_clients;
mod limiter;
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
    tls::Tls,
    token_file::{Grant, Tokens},
};
use self::{token_file::TokenFile, watched_files::Watched};

/// The files that say who may come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessFiles {
    /// Without them, connections are not encrypted.
    pub tls: Option<TlsFiles>,
    /// Without it, whoever reaches the port may ask.
    pub tokens: Option<PathBuf>,
}

/// What those files say at the moment. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub(super) tls: Option<Tls>,
    pub(super) tokens: Option<Tokens>,
    /// Changes when the files are to be read again whatever the file system says of them.
    asked: Arc<watch::Sender<()>>,
}

/// Why a file about access cannot be used. Nothing of a key or a token is ever in it.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Certificates, keys.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// Tokens.
    #[error(transparent)]
    Tokens(#[from] token_file::Error),
}

impl Access {
    /// Reads `files`.
    ///
    /// # Errors
    ///
    /// Where one of them cannot be read or has no meaning.
    pub fn load(files: &AccessFiles) -> Result<Self, AccessError> {
        Ok(Self {
            tls: files.tls.clone().map(Watched::load).transpose()?,
            tokens: files
                .tokens
                .clone()
                .map(|path| Watched::load(TokenFile(path)))
                .transpose()?,
            asked: Arc::default(),
        })
    }

    /// Has the files read again, under the names in `files`. Returns the options that need a restart: those that would begin or end the use of
    /// TLS or of tokens.
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
        self.asked.send_replace(());
        rest
    }

    /// How many tokens are known; `None` where none is asked for.
    #[must_use]
    pub fn tokens(&self) -> Option<usize> {
        self.tokens
            .as_ref()
            .map(|tokens| tokens.with(token_file::TokenTable::len))
    }

    /// Reads the files again when they change or [`Access::reload`] asks for it, for ever.
    pub(super) async fn follow(self) {
        let tokens = async {
            match &self.tokens {
                Some(tokens) => tokens.clone().follow(self.asked.subscribe()).await,
                None => std::future::pending().await,
            }
        };
        let tls = async {
            match &self.tls {
                Some(tls) => tls.clone().follow(self.asked.subscribe()).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(tokens, tls);
    }
}
