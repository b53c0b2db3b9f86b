//! Sources of encoded images.

use std::io;

use rustix::io::Errno;

use crate::{
    dataset::Dataset,
    decode::{self, read},
};

/// Reads the encoded images of samples. Called by several threads at once.
pub trait Source: std::fmt::Debug + Send + Sync + 'static {
    /// The bytes of the file of sample `id` of `dataset`, as they were when it was scanned.
    ///
    /// # Errors
    ///
    /// An error that [`is_transient`] ends the stream; any other marks the sample as broken.
    fn read(&self, dataset: &Dataset, id: u32) -> Result<Vec<u8>, decode::Error>;
}

/// Files below the dataset's root.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files;

impl Source for Files {
    fn read(&self, dataset: &Dataset, id: u32) -> Result<Vec<u8>, decode::Error> {
        let sample = &dataset.samples[id as usize];
        read(&dataset.path(id), sample, &dataset.options.limits)
    }
}

/// Whether an error concerns the state of this machine rather than the file. If such a file counted as broken, batches would depend on more than
/// the request and the files.
#[must_use]
pub fn is_transient(error: &decode::Error) -> bool {
    use io::ErrorKind::{Interrupted, OutOfMemory, StaleNetworkFileHandle, TimedOut, WouldBlock};
    let decode::Error::Io { source, .. } = error else {
        return false;
    };
    matches!(
        source.kind(),
        Interrupted | OutOfMemory | StaleNetworkFileHandle | TimedOut | WouldBlock
    ) || matches!(Errno::from_io_error(source), Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_open_files_are_transient_and_a_disk_error_is_not() {
        let error = |code| decode::Error::Io {
            path: "a.jpg".into(),
            source: io::Error::from_raw_os_error(code),
        };
        assert!(!is_transient(&decode::Error::Vanished { path: "a.jpg".into() }));
        assert!(!is_transient(&error(Errno::IO.raw_os_error())));
        assert!(!is_transient(&error(Errno::ACCESS.raw_os_error())));
        assert!(is_transient(&error(Errno::MFILE.raw_os_error())));
        assert!(is_transient(&error(Errno::NOMEM.raw_os_error())));
    }
}
