use std::path::PathBuf;

use super::Device;

/// Error of ONNX Runtime or of its use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The library was not found.
    #[error("cannot find the ONNX Runtime library (searched {searched}); {}", device.install_hint())]
    LibraryNotFound {
        /// Searched locations, for the message.
        searched: String,
        /// The requested device.
        device: Device,
    },
    /// `ORT_DYLIB_PATH` names a missing file.
    #[error("cannot find the ONNX Runtime library at {}, which ORT_DYLIB_PATH names; {}", path.display(), device.install_hint())]
    LibraryPathWrong {
        /// The value of the variable.
        path: PathBuf,
        /// The requested device.
        device: Device,
    },
    /// The file cannot be loaded as ONNX Runtime.
    #[error("cannot load {} as ONNX Runtime ({reason}); {}", path.display(), device.install_hint())]
    LibraryUnusable {
        /// The file.
        path: PathBuf,
        /// Error of the loader.
        reason: String,
        /// The requested device.
        device: Device,
    },
    /// The library is older than the API version that this program needs.
    #[error("cannot use ONNX Runtime {found} at {}: version 1.{needed} or newer is needed; {}", path.display(), device.install_hint())]
    LibraryTooOld {
        /// The file.
        path: PathBuf,
        /// Version of the library.
        found: String,
        /// Required minor version.
        needed: u32,
        /// The requested device.
        device: Device,
    },
    /// The device cannot be used. There is no fallback to another device.
    #[error("cannot use the device {device}: {reason}")]
    Device {
        /// The requested device.
        device: Device,
        /// Cause.
        reason: String,
    },
    /// ONNX Runtime rejected a model.
    #[error("cannot create an ONNX Runtime session of {what}: {reason}")]
    Model {
        /// The model.
        what: String,
        /// Error message of ONNX Runtime.
        reason: String,
    },
    /// A run failed.
    #[error("cannot run {what}: {reason}")]
    Run {
        /// The program.
        what: String,
        /// Error message of ONNX Runtime.
        reason: String,
    },
    /// A value has another number of elements than the program declares.
    #[error("cannot use `{name}`: the program has {expected} elements, the value has {found}")]
    Length {
        /// Name of the value.
        name: String,
        /// Elements declared by the program.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// The program has no such value, or it has another element type.
    #[error("cannot find `{name}` among {what}")]
    Name {
        /// Name of the value.
        name: String,
        /// The values searched, for the message.
        what: String,
    },
    /// A model file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
}

/// The first non-empty line of an ONNX Runtime error message, without a trailing full stop.
pub(super) fn first_line<R>(error: &ort::Error<R>) -> String {
    let message = error.message();
    let line = message
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("no reason given")
        .trim();
    line.trim_end_matches('.').to_owned()
}
