//! Maps errors to gRPC statuses.

use std::{error::Error as StdError, time::Duration};

use tokio::task::JoinError;
use tonic::{Code, Status};

use super::{
    access::{ClientId, LimitExceeded},
    convert,
};
use equibatch_engine::{
    pipeline::{self, ResumeError, SpecError},
    sampling,
};

/// An error with a gRPC code.
pub(super) trait ToStatus: StdError {
    /// The status code.
    fn code(&self) -> Code;
}

impl ToStatus for convert::Error {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

impl ToStatus for pipeline::Error {
    fn code(&self) -> Code {
        match self {
            Self::Spec(error) => match error {
                SpecError::Range { .. }
                | SpecError::Number { .. }
                | SpecError::Recipe(_)
                | SpecError::WrapOutsideTrain { .. }
                | SpecError::MixingOutsideTrain { .. } => Code::InvalidArgument,
                SpecError::BatchTooLarge { .. } => Code::ResourceExhausted,
            },
            Self::Plan(error) => match error {
                sampling::Error::NoImages => Code::NotFound,
                _ => Code::InvalidArgument,
            },
            Self::Resume(error) => match error {
                ResumeError::Seed { .. } | ResumeError::Spec | ResumeError::BeyondEnd { .. } => {
                    Code::InvalidArgument
                }
                ResumeError::Fingerprint { .. } => Code::FailedPrecondition,
            },
            Self::DatasetNotNamed { .. } => Code::InvalidArgument,
            Self::UnknownDataset { .. } | Self::EmptySplit { .. } => Code::NotFound,
            Self::Fingerprint { .. } | Self::NoFold { .. } => Code::FailedPrecondition,
            Self::TooManyStreams { .. } | Self::NoMemory { .. } => Code::ResourceExhausted,
            Self::SharedMemory { .. } => Code::Unimplemented,
            Self::NoReadableImage { .. } | Self::TooManyBroken { .. } => Code::DataLoss,
            Self::NotScanned { .. } | Self::Read { .. } => Code::Unavailable,
            Self::WorkerPanicked { .. } => Code::Internal,
        }
    }
}

/// The status of an error: its code, and its message with those of its sources.
#[must_use]
pub(super) fn status(error: &impl ToStatus) -> Status {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    cut(&mut message);
    Status::new(error.code(), message)
}

/// Maximum message length, in bytes. It is sent in a header, whose size clients limit, and may repeat text of the request.
const MESSAGE: usize = 1024;

fn cut(message: &mut String) {
    if message.len() > MESSAGE {
        message.truncate(message.floor_char_boundary(MESSAGE));
        message.push_str(" ...");
    }
}

/// The server is shutting down.
#[must_use]
pub(super) fn stopping() -> Status {
    Status::unavailable(
        "this server is stopping: continue from the last batch's token on another one, or when it is back",
    )
}

/// The task that planned a stream did not end.
#[must_use]
pub(super) fn not_planned(error: &JoinError) -> Status {
    if error.is_panic() {
        Status::internal("panic while the stream was planned")
    } else {
        // The runtime shuts down.
        stopping()
    }
}

/// The token of the stream was removed from the token file, or its permissions changed.
#[must_use]
pub(super) fn token_revoked() -> Status {
    Status::unauthenticated("the token of this stream was revoked")
}

/// The reader has taken nothing for `read_timeout`.
#[must_use]
pub(super) fn reader_stalled(read_timeout: Duration) -> Status {
    let seconds = read_timeout.as_secs();
    Status::deadline_exceeded(format!(
        "the reader took nothing for {seconds} s: continue from the last batch's token"
    ))
}

/// Shared memory cannot be used; the client should ask for `StreamBatches` instead.
#[must_use]
pub(super) fn shared_memory_unavailable(reason: &str) -> Status {
    Status::unimplemented(format!("shared memory is unavailable: {reason}"))
}

/// A limit on open streams is reached.
#[must_use]
pub(super) fn limit_reached(exceeded: LimitExceeded, client: &ClientId) -> Status {
    Status::resource_exhausted(match exceeded {
        LimitExceeded::All(limit) => {
            format!("{limit} streams are open, which is the server's limit (--max-streams)")
        }
        LimitExceeded::Share(limit) => format!(
            "{client} has {limit} streams open, which is its limit (max-streams of its token, or --max-streams-per-client of the server)"
        ),
    })
}

#[cfg(test)]
mod tests;
