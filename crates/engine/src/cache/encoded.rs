use std::fmt;

use super::store::Resident;

/// The bytes of a file, read and verified against the scan.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded(Box<[u8]>);

impl Encoded {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Encoded {
    /// Releases the vector's spare capacity, which the budget does not count.
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into_boxed_slice())
    }
}

impl Resident for Encoded {
    fn byte_size(&self) -> u64 {
        self.0.len() as u64
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded of {} bytes", self.0.len())
    }
}
