//! Who may come in, and how much of the house is theirs.

mod gate;
mod places;
mod table;
mod tls;
mod tokens;

use std::path::PathBuf;

use tokio_rustls::TlsAcceptor;

pub use self::{gate::Guest, tls::TlsFiles, tokens::Tokens};
pub(super) use self::{
    gate::{Caller, Gate},
    places::{Full, Place, Places},
    table::Grant,
};

/// The files that say who may come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessFiles {
    /// Without them, connections are not encrypted.
    pub tls: Option<TlsFiles>,
    /// Without it, whoever reaches the port may ask.
    pub tokens: Option<PathBuf>,
}

/// What those files say.
#[derive(Clone, Default)]
pub struct Access {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) tokens: Option<Tokens>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("tls", &self.tls.is_some())
            .field("tokens", &self.tokens)
            .finish()
    }
}

/// Why a file about access cannot be used. Nothing of a key or a token is ever in it.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Certificates, keys.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// Tokens.
    #[error(transparent)]
    Tokens(#[from] table::Error),
}

impl Access {
    /// Reads `files`.
    ///
    /// # Errors
    ///
    /// Where one of them cannot be read or has no meaning.
    pub fn load(files: &AccessFiles) -> Result<Self, AccessError> {
        Ok(Self {
            tls: files.tls.as_ref().map(tls::acceptor).transpose()?,
            tokens: files.tokens.clone().map(Tokens::load).transpose()?,
        })
    }
}
