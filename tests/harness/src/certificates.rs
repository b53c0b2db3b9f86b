//! Certificates, made when they are needed.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData as _};
use tempfile::TempDir;

/// A name that certificates are for, which no name server knows.
pub const NAME: &str = "loader.test";

/// An authority, and a folder with its certificate and those that it has signed.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one, with a key of its own.
    ///
    /// # Panics
    ///
    /// Where there is no folder to write to.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        // No two authorities have the same name: who knows only one of them does not even know of the other.
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
    /// Where they cannot be written.
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
