//! TLS certificates and keys, for rustls.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject as _},
        },
        server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
    },
};

use super::watched_files::{Source, Watched};

/// Paths of PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate chain, without the root.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Root certificates that client certificates are verified against; `None`: clients need no certificate.
    pub client_ca: Option<PathBuf>,
}

/// TLS cannot be configured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read, or contains no such item.
    #[error("cannot read {what} from {}", path.display())]
    File {
        /// The item.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: pem::Error,
    },
    /// A file without a certificate.
    #[error("there is no certificate in {}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The certificate and the key cannot be used, or do not match.
    #[error("cannot serve with {} and {}", certificate.display(), key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
    /// An invalid root certificate.
    #[error("cannot verify client certificates with {}", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
    /// The root certificates cannot be used.
    #[error("cannot verify client certificates with {}", path.display())]
    Verifier {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: VerifierBuilderError,
    },
}

/// The certificates in force.
pub(crate) type Tls = Watched<TlsFiles>;

impl Source for TlsFiles {
    type Value = TlsAcceptor;
    type Error = Error;
    const NAME: &'static str = "certificates";

    fn paths(&self) -> Vec<&Path> {
        let own = [self.certificate.as_path(), &self.key];
        own.into_iter().chain(self.client_ca.as_deref()).collect()
    }

    fn read(&self) -> Result<TlsAcceptor, Error> {
        acceptor(self)
    }
}

/// Configures the TLS acceptor.
fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, Error> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| Error::File {
        what: "a private key",
        path: files.key.clone(),
        source,
    })?;
    // Given explicitly, because a program that links several providers has no default.
    let provider = Arc::new(ring::default_provider());
    let pair = |source| Error::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        source,
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(pair)?;
    let builder = match &files.client_ca {
        Some(path) => builder.with_client_cert_verifier(verifier(path, provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn verifier(path: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    for root in certificates(path)? {
        roots.add(root).map_err(|source| Error::Root {
            path: path.to_owned(),
            source,
        })?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|source| Error::Verifier {
            path: path.to_owned(),
            source,
        })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |source| Error::File {
        what: "certificates",
        path: path.to_owned(),
        source,
    };
    let found = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if found.is_empty() {
        return Err(Error::Empty {
            path: path.to_owned(),
        });
    }
    Ok(found)
}
