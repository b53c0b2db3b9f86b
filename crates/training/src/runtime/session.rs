//! The loaded library, and creation of sessions.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Mutex,
};

use ort::{
    LoadDynamicError,
    environment::{Environment, GlobalThreadPoolOptions},
    session::{Session, builder::GraphOptimizationLevel},
};

use crate::graph::lower::Kernels;

use super::{
    Device, Error, Operators, Staging, cudnn, error::first_line, library::Search, operators, placement,
};

/// The loaded ONNX Runtime library. Cheap to clone; there is one per process.
#[derive(Clone, Debug)]
pub struct Runtime {
    environment: Environment,
    /// Threads of the pool of all sessions; `None`: one per core.
    threads: Option<NonZeroUsize>,
}

static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

impl Runtime {
    /// [`Runtime::load_for`] the CPU, with one thread per core.
    ///
    /// # Errors
    ///
    /// Those of [`Runtime::load_for`].
    pub fn load() -> Result<Self, Error> {
        Self::load_for(Device::Cpu, None)
    }

    /// Locates and loads the library, unless this process has loaded it already. Errors say how to install the library for `device`.
    ///
    /// All sessions share a pool of `threads` threads, one per core if `None`, except those whose options ask for another number: with a pool each,
    /// threads of the session before still wait for work on the cores where those of the next one begin theirs.
    ///
    /// # Errors
    ///
    /// Those of [`Search::locate`] and [`Runtime::load_from`].
    pub fn load_for(device: Device, threads: Option<NonZeroUsize>) -> Result<Self, Error> {
        let mut loaded = LOADED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            return Ok(runtime.clone());
        }
        let runtime = Self::load_from(&Search::from_environment().locate(device)?, device, threads)?;
        Ok(loaded.insert(runtime).clone())
    }

    /// Loads the library at `path`, for `device`. A process can load only one library.
    ///
    /// # Errors
    ///
    /// [`Error::LibraryTooOld`] if its API version is too old, [`Error::LibraryUnusable`] if it is not ONNX Runtime.
    pub fn load_from(path: &Path, device: Device, threads: Option<NonZeroUsize>) -> Result<Self, Error> {
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
            LoadDynamicError::InvalidVersionString => unusable("its version string is invalid".to_owned()),
        })?;
        let pool = GlobalThreadPoolOptions::default()
            .with_inter_threads(1)
            .and_then(|pool| pool.with_intra_threads(threads.map_or(0, NonZeroUsize::get)))
            .map_err(|error| unusable(first_line(&error)))?;
        let environment = builder
            .with_name("training")
            .with_telemetry(false)
            .with_global_thread_pool(pool)
            .build()
            .map_err(|error| unusable(first_line(&error)))?;
        Ok(Self { environment, threads })
    }

    /// The ONNX Runtime environment, for sessions created elsewhere. There is one per process.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Creates a session of a model, called `what` in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device cannot be used, or has no kernel for a node; [`Error::Model`] if ONNX Runtime rejects the model.
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
        // On a CPU the arena would keep what the first run allocated piece by piece, beside the block that later runs use.
        let memory_pattern = options.memory_pattern && options.device != Device::Cpu;
        let mut builder = Session::builder(&self.environment)
            .and_then(|builder| Ok(builder.with_optimization_level(GraphOptimizationLevel::All)?))
            .and_then(|builder| Ok(builder.with_memory_pattern(memory_pattern)?))
            .and_then(|builder| Ok(builder.with_config_entry(placement::RECORD, "1")?))
            .map_err(|error| refused(first_line(&error)))?;
        if options.intra_threads != self.threads {
            builder = builder
                .with_independent_thread_pool()
                .and_then(|builder| {
                    builder.with_intra_threads(options.intra_threads.map_or(0, NonZeroUsize::get))
                })
                .map_err(|error| refused(first_line(&error)))?;
        }
        if let Some(file) = &options.profile {
            builder = builder
                .with_profiling(file)
                .map_err(|error| refused(first_line(&error)))?;
        }
        let domain = match options.device {
            Device::Cpu => Some(operators::domain()),
            Device::Cuda { index } => cudnn::is_available().then(|| cudnn::domain(index, options.tf32)),
        };
        if let Some(domain) = domain {
            builder = domain
                .and_then(|domain| Ok(builder.with_operators(domain)?))
                .map_err(|error| refused(first_line(&error)))?;
        }
        let providers = options.device.providers(options)?;
        if !providers.is_empty() {
            builder = builder
                .with_execution_providers(providers)
                .map_err(|error| options.device.refused(&error))?;
        }
        let session = builder
            .commit_from_memory(model)
            .map_err(|error| refused(first_line(&error)))?;
        options.device.check_placement(what, &session)?;
        if options.device != Device::Cpu && options.operators != Operators::Standard {
            cudnn::warn_if_missing();
        }
        Ok(session)
    }
}

/// Session options.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Device.
    pub device: Device,
    /// Intra-op threads. `None`: ONNX Runtime's default, one per physical core.
    pub intra_threads: Option<NonZeroUsize>,
    /// Whether a CUDA device may use TF32 for f32 matrix multiplications and convolutions: 11 significant bits, several times faster.
    pub tf32: bool,
    /// Options of ONNX Runtime's CUDA provider, by its names, which are checked when a session is created. Empty for a CPU.
    pub cuda_options: Vec<(String, String)>,
    /// Operators of training steps.
    pub operators: Operators,
    /// Whether the images of a training step are copied while the previous step runs.
    pub staging: Staging,
    /// Path prefix of ONNX Runtime's profile, for [`StepRunner::profile`](super::StepRunner::profile). `None`: no profiling.
    pub profile: Option<PathBuf>,
    /// Whether ONNX Runtime plans the memory of intermediate values as one block (memory pattern), for programs with static shapes. Never on a CPU,
    /// where it saves no time and costs up to half of the memory.
    pub memory_pattern: bool,
}

impl SessionOptions {
    /// What computes a program on the device; the standard operators if it lacks those of [`Operators::Fast`].
    pub(crate) fn kernels(&self) -> Kernels {
        self.operators.kernels(self.device).unwrap_or_default()
    }
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            intra_threads: None,
            tf32: false,
            cuda_options: vec![],
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
    fn an_unloadable_library_is_an_error_with_path_and_install_hint() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("libonnxruntime.so");
        std::fs::write(&path, b"not a library").expect("a file");
        for (device, hint) in [
            (Device::Cpu, "pip install onnxruntime==1.31.1"),
            (Device::Cuda { index: 0 }, "onnxruntime-gpu==1.31.1"),
        ] {
            let message = Runtime::load_from(&path, device, None)
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
