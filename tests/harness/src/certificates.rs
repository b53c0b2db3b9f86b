//! Certificate authorities and certificates for TLS.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData as _};
use tempfile::TempDir;

/// A host name in certificates that no name server resolves.
pub const NAME: &str = "loader.test";

/// A certificate authority, and a folder with its certificate and those that it signed.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority, with a key of its own.
    ///
    /// # Panics
    ///
    /// If there is no folder to write to.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        // Every authority has another name, so that a client with one root does not find the other as issuer.
        let name = blake3::hash(key.der_bytes()).to_hex();
        params.distinguished_name.push(DnType::CommonName, name.as_str());
        let root = params.self_signed(&key).expect("a certificate");
        fs::write(folder.path().join("root.pem"), root.pem()).expect("written");
        let issuer = Issuer::new(params, key);
        Self { folder, issuer }
    }

    /// The root's certificate.
    #[must_use]
    pub fn root(&self) -> String {
        self.file("root.pem")
    }

    /// The files of a certificate for the loopback and [`NAME`], and of its key.
    ///
    /// # Panics
    ///
    /// If they cannot be written.
    #[must_use]
    pub fn sign(&self, name: &str) -> (String, String) {
        let names = ["localhost", "127.0.0.1", NAME].map(str::to_owned);
        let params = CertificateParams::new(names).expect("names");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let files = (
            self.file(&format!("{name}.pem")),
            self.file(&format!("{name}.key")),
        );
        fs::write(&files.0, certificate.pem()).expect("written");
        fs::write(&files.1, key.serialize_pem()).expect("written");
        files
    }

    fn file(&self, name: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        path.into_os_string().into_string().expect("a path in UTF-8")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
