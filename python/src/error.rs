//! Errors as Python exceptions: the kind by class, the words as they came from the server or the engine.

use equibatch_engine::{dataset, pipeline};
use equibatch_stream as stream;
use equibatch_transport::stream_spec;
use pyo3::{prelude::*, types::PyType};

/// Classes of `equibatch.errors`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Request,
    Unreachable,
    Access,
    Limit,
    Data,
    Protocol,
    Timeout,
    Fork,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Request => "RequestError",
            Self::Unreachable => "UnreachableError",
            Self::Access => "AccessError",
            Self::Limit => "LimitError",
            Self::Data => "DataError",
            Self::Protocol => "ProtocolError",
            Self::Timeout => "WaitTimeoutError",
            Self::Fork => "ForkError",
        }
    }

    /// An exception of this kind.
    pub(crate) fn error(self, py: Python<'_>, words: String) -> PyErr {
        let class = py
            .import("equibatch.errors")
            .and_then(|module| module.getattr(self.name()))
            .and_then(|class| Ok(class.cast_into::<PyType>()?));
        match class {
            Ok(class) => PyErr::from_type(class, words),
            Err(error) => error,
        }
    }
}

/// Why a source cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Stream(#[from] stream::Error),
    #[error(transparent)]
    Engine(#[from] pipeline::Error),
    #[error(transparent)]
    Spec(#[from] stream_spec::Error),
    #[error(transparent)]
    Scan(#[from] dataset::Error),
    #[error("cannot start the worker threads")]
    Threads(#[from] std::io::Error),
}

impl Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Stream(error) => match error {
                stream::Error::Address { .. } | stream::Error::Refused { .. } => Kind::Request,
                stream::Error::Untrusted { .. } | stream::Error::Denied { .. } => Kind::Access,
                stream::Error::Full { .. } | stream::Error::Threads(_) => Kind::Limit,
                stream::Error::Data { .. } | stream::Error::Differs { .. } => Kind::Data,
                stream::Error::NotAServer { .. } | stream::Error::Contract { .. } => Kind::Protocol,
                _ => Kind::Unreachable,
            },
            Self::Engine(error) => match error {
                pipeline::Error::TooManyStreams { .. } | pipeline::Error::NoMemory { .. } => Kind::Limit,
                pipeline::Error::NoReadableImage { .. }
                | pipeline::Error::TooManyBroken { .. }
                | pipeline::Error::Read { .. }
                | pipeline::Error::WorkerPanicked { .. } => Kind::Data,
                _ => Kind::Request,
            },
            Self::Spec(_) => Kind::Request,
            Self::Scan(_) => Kind::Data,
            Self::Threads(_) => Kind::Limit,
        }
    }

    /// The exception, with the words of all causes.
    pub(crate) fn raise(&self, py: Python<'_>) -> PyErr {
        let mut words = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            words = format!("{words}: {error}");
            cause = error.source();
        }
        self.kind().error(py, words)
    }
}
