//! The loaded library, and sessions made from it.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Mutex,
};

use ort::{
    LoadDynamicError,
    environment::Environment,
    session::{Session, builder::GraphOptimizationLevel},
};

use super::{Device, Error, Operators, Staging, error::first_line, library::Search, operators, placement};

/// ONNX Runtime, loaded. Cheap to clone; a process has one.
#[derive(Clone, Debug)]
pub struct Runtime {
    environment: Environment,
}

static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

impl Runtime {
    /// [`Runtime::load_for`] the CPU.
    ///
    /// # Errors
    ///
    /// Those of [`Runtime::load_for`].
    pub fn load() -> Result<Self, Error> {
        Self::load_for(Device::Cpu)
    }

    /// Finds and loads the library. A library that this process has loaded before is used again. Errors say how to install the one for
    /// `device`.
    ///
    /// # Errors
    ///
    /// Those of [`Search::locate`] and [`Runtime::load_from`].
    pub fn load_for(device: Device) -> Result<Self, Error> {
        let mut loaded = LOADED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            return Ok(runtime.clone());
        }
        let runtime = Self::load_from(&Search::from_environment().locate(device)?, device)?;
        Ok(loaded.insert(runtime).clone())
    }

    /// Loads the library at `path`, for `device`. Only the first library of a process can be loaded.
    ///
    /// # Errors
    ///
    /// [`Error::LibraryTooOld`] where its interface is too old, [`Error::LibraryUnusable`] where it is no such library.
    pub fn load_from(path: &Path, device: Device) -> Result<Self, Error> {
        let unusable = |reason: String| Error::LibraryUnusable {
            path: path.to_path_buf(),
            reason,
            device,
        };
        let builder = ort::init_from(path).map_err(|error| match error {
            LoadDynamicError::BadVersion { version_str, path } => Error::LibraryTooOld {
                path,
                found: version_str,
                needed: ort::MINOR_VERSION,
                device,
            },
            LoadDynamicError::MissingApi { .. } => unusable("it does not export OrtGetApiBase".to_owned()),
            LoadDynamicError::Dlopen { error, .. } => unusable(error.to_string()),
            LoadDynamicError::InvalidVersionString => unusable("its version is not readable".to_owned()),
        })?;
        let environment = builder
            .with_name("equibatch")
            .with_telemetry(false)
            .build()
            .map_err(|error| unusable(first_line(&error)))?;
        Ok(Self { environment })
    }

    /// What sessions of other kinds than this module's are made in: a process has only one.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Prepares a model for repeated runs.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device cannot be used, or has no kernel for a node; [`Error::Model`] if ONNX Runtime refuses the model.
    pub(super) fn session(
        &self,
        what: &str,
        model: &[u8],
        options: &SessionOptions,
    ) -> Result<Session, Error> {
        let refused = |reason: String| match options.device {
            Device::Cpu => Error::Model {
                what: what.to_owned(),
                reason,
            },
            device @ Device::Cuda { .. } => Error::Device { device, reason },
        };
        let mut builder = Session::builder(&self.environment)
            .and_then(|builder| Ok(builder.with_optimization_level(GraphOptimizationLevel::All)?))
            .and_then(|builder| Ok(builder.with_memory_pattern(options.memory_pattern)?))
            .and_then(|builder| Ok(builder.with_config_entry(placement::RECORD, "1")?))
            .map_err(|error| refused(first_line(&error)))?;
        if let Some(threads) = options.intra_threads {
            builder = builder
                .with_intra_threads(threads.get())
                .map_err(|error| refused(first_line(&error)))?;
        }
        if let Some(file) = &options.profile {
            builder = builder
                .with_profiling(file)
                .map_err(|error| refused(first_line(&error)))?;
        }
        if options.device == Device::Cpu {
            builder = operators::domain()
                .and_then(|domain| Ok(builder.with_operators(domain)?))
                .map_err(|error| refused(first_line(&error)))?;
        }
        let providers = options.device.providers(options.tf32)?;
        if !providers.is_empty() {
            builder = builder
                .with_execution_providers(providers)
                .map_err(|error| options.device.refused(&error))?;
        }
        let session = builder
            .commit_from_memory(model)
            .map_err(|error| refused(first_line(&error)))?;
        options.device.check_placement(what, &session)?;
        Ok(session)
    }
}

/// How sessions run.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Where.
    pub device: Device,
    /// Threads within an operator. Absent: one per physical core, which ONNX Runtime chooses.
    pub intra_threads: Option<NonZeroUsize>,
    /// Whether a CUDA device may multiply single precision in 11 bits (TF32), which is several times faster.
    pub tf32: bool,
    /// What training steps are made of.
    pub operators: Operators,
    /// Whether training steps have their images copied while the step before runs.
    pub staging: Staging,
    /// Where ONNX Runtime writes what every node took, for [`StepRunner::profile`](super::StepRunner::profile): the start of a file's name.
    pub profile: Option<PathBuf>,
    /// Whether the memory of all intermediate values is planned as one block. Right for programs of fixed shapes.
    pub memory_pattern: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            intra_threads: None,
            tf32: false,
            operators: Operators::Auto,
            staging: Staging::Auto,
            profile: None,
            memory_pattern: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_library_is_named_with_the_reason() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("libonnxruntime.so");
        std::fs::write(&path, b"not a library").expect("a file");
        for (device, hint) in [
            (Device::Cpu, "make runtime"),
            (Device::Cuda { index: 0 }, "onnxruntime-gpu==1.31.1"),
        ] {
            let message = Runtime::load_from(&path, device)
                .expect_err("no library")
                .to_string();
            assert!(
                message.starts_with(&format!("cannot load {} as ONNX Runtime", path.display())),
                "{message}"
            );
            assert!(message.contains(hint), "{message}");
        }
    }
}
