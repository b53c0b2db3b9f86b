use std::path::PathBuf;

use super::Device;

/// What can go wrong between a program and its results.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No library in any of the usual places.
    #[error("cannot find the ONNX Runtime library (looked {searched}); {}", device.install_hint())]
    LibraryNotFound {
        /// The places, in words.
        searched: String,
        /// The device that it was to run on.
        device: Device,
    },
    /// `ORT_DYLIB_PATH` names a file that is not there.
    #[error("cannot find the ONNX Runtime library at {}, which ORT_DYLIB_PATH names; {}", path.display(), device.install_hint())]
    LibraryPathWrong {
        /// The value of the variable.
        path: PathBuf,
        /// The device that it was to run on.
        device: Device,
    },
    /// The file is not a library that this program can load.
    #[error("cannot load {} as ONNX Runtime ({reason}); {}", path.display(), device.install_hint())]
    LibraryUnusable {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        reason: String,
        /// The device that it was to run on.
        device: Device,
    },
    /// The library is older than the interface this program was built for.
    #[error("cannot use ONNX Runtime {found} at {}: version 1.{needed} or newer is needed; {}", path.display(), device.install_hint())]
    LibraryTooOld {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The minor version needed.
        needed: u32,
        /// The device that it was to run on.
        device: Device,
    },
    /// The device cannot be used; a run on another device is never a substitute.
    #[error("cannot use the device {device}: {reason}")]
    Device {
        /// The device asked for.
        device: Device,
        /// Why not.
        reason: String,
    },
    /// ONNX Runtime refused a model.
    #[error("cannot prepare {what} for ONNX Runtime: {reason}")]
    Model {
        /// The model.
        what: String,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// A run failed.
    #[error("cannot run {what}: {reason}")]
    Run {
        /// The program.
        what: String,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// A value has another shape than the program says.
    #[error("cannot use `{name}`: the program has {expected} elements, the value has {found}")]
    Length {
        /// Name of the value.
        name: String,
        /// Elements of the program's value.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// A value that the program does not have, or of another element type.
    #[error("cannot find `{name}` among {what}")]
    Name {
        /// Name of the value.
        name: String,
        /// Where it was looked for.
        what: String,
    },
    /// A model file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// The first line of what ONNX Runtime said, without the prefixes that name its own source files.
pub(super) fn first_line<R>(error: &ort::Error<R>) -> String {
    let message = error.message();
    let line = message
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("no reason given")
        .trim();
    line.trim_end_matches('.').to_owned()
}
