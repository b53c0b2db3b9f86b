//! The files of a stream.

use super::{Error, hex::short};

/// What a server must serve to take part in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) dataset: String,
    /// Hexadecimal.
    pub(super) fingerprint: String,
}

impl Files {
    /// Returns an error if the server at `address` serves files with another fingerprint: `found`.
    pub(super) fn check(&self, found: &str, address: &str) -> Result<(), Error> {
        if found == self.fingerprint {
            return Ok(());
        }
        Err(Error::Differs {
            address: address.to_owned(),
            reason: format!(
                "it serves other files: fingerprint {}, expected {}",
                short(found),
                short(&self.fingerprint)
            ),
        })
    }
}
