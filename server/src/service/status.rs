//! Maps errors to gRPC statuses.

use std::{error::Error as StdError, time::Duration};

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
            Self::Fingerprint { .. } => Code::FailedPrecondition,
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
mod tests {
    use super::*;
    use equibatch_engine::{
        dataset::{Fingerprint, Split},
        decode,
    };

    fn vanished() -> decode::Error {
        decode::Error::Vanished {
            path: "a/1.jpg".into(),
        }
    }

    fn fingerprint() -> Fingerprint {
        Fingerprint([0; 32])
    }

    #[test]
    fn every_error_has_its_code() {
        use pipeline::Error;
        let (dataset, split, path) = (String::from("flowers"), Split::Train, String::from("a/1.jpg"));
        let spec = |error: SpecError| Error::from(error);
        let table = [
            (
                spec(SpecError::Range {
                    field: "epochs",
                    value: 0,
                    least: 1,
                    most: 9,
                    limit: pipeline::Limit(None),
                }),
                Code::InvalidArgument,
            ),
            (
                spec(SpecError::Number {
                    field: "normalization.std",
                    value: 0.0,
                    range: "positive",
                }),
                Code::InvalidArgument,
            ),
            (
                spec(SpecError::WrapOutsideTrain { split: Split::Valid }),
                Code::InvalidArgument,
            ),
            (
                spec(SpecError::MixingOutsideTrain { split: Split::Test }),
                Code::InvalidArgument,
            ),
            (
                spec(SpecError::BatchTooLarge {
                    batch_size: 9,
                    bytes: 9,
                    limit: 1,
                }),
                Code::ResourceExhausted,
            ),
            (sampling::Error::NoImages.into(), Code::NotFound),
            (sampling::Error::NothingDrawn.into(), Code::InvalidArgument),
            (
                ResumeError::Seed { token: 1, request: 2 }.into(),
                Code::InvalidArgument,
            ),
            (ResumeError::Spec.into(), Code::InvalidArgument),
            (
                ResumeError::BeyondEnd {
                    epoch: 1,
                    step: 0,
                    epochs: 1,
                    steps: 1,
                }
                .into(),
                Code::InvalidArgument,
            ),
            (
                ResumeError::Fingerprint {
                    token: fingerprint(),
                    dataset: fingerprint(),
                }
                .into(),
                Code::FailedPrecondition,
            ),
            (
                Error::DatasetNotNamed {
                    known: dataset.clone(),
                },
                Code::InvalidArgument,
            ),
            (
                Error::UnknownDataset {
                    name: dataset.clone(),
                    known: String::new(),
                },
                Code::NotFound,
            ),
            (
                Error::EmptySplit {
                    dataset: dataset.clone(),
                    split,
                },
                Code::NotFound,
            ),
            (
                Error::Fingerprint {
                    dataset: dataset.clone(),
                    expected: fingerprint(),
                    found: fingerprint(),
                },
                Code::FailedPrecondition,
            ),
            (Error::TooManyStreams { limit: 1 }, Code::ResourceExhausted),
            (Error::NoMemory { bytes: 1 }, Code::ResourceExhausted),
            (
                Error::SharedMemory {
                    source: std::io::ErrorKind::Unsupported.into(),
                },
                Code::Unimplemented,
            ),
            (
                Error::NoReadableImage {
                    dataset: dataset.clone(),
                    split,
                    class: dataset.clone(),
                    path: path.clone(),
                    source: vanished(),
                },
                Code::DataLoss,
            ),
            (
                Error::TooManyBroken {
                    dataset,
                    split,
                    broken: 2,
                    images: 3,
                    path,
                },
                Code::DataLoss,
            ),
            (Error::Read { source: vanished() }, Code::Unavailable),
            (
                Error::NotScanned {
                    dataset: String::from("flowers"),
                    progress: String::from("1 of 2 files"),
                },
                Code::Unavailable,
            ),
            (Error::WorkerPanicked { epoch: 0, step: 0 }, Code::Internal),
        ];
        for (error, code) in table {
            assert_eq!(status(&error).code(), code, "{error}");
        }
        assert_eq!(status(&convert::Error::NoPolicy).code(), Code::InvalidArgument);
        assert_eq!(stopping().code(), Code::Unavailable);
        assert_eq!(token_revoked().code(), Code::Unauthenticated);
        assert_eq!(shared_memory_unavailable("").code(), Code::Unimplemented);
        assert_eq!(
            reader_stalled(Duration::from_secs(1)).code(),
            Code::DeadlineExceeded
        );
        for exceeded in [LimitExceeded::All(1), LimitExceeded::Share(1)] {
            assert_eq!(
                limit_reached(exceeded, &ClientId::Local).code(),
                Code::ResourceExhausted
            );
        }
    }

    #[test]
    fn a_message_names_each_source_once() {
        let error = pipeline::Error::Read { source: vanished() };
        assert_eq!(
            status(&error).message(),
            format!("cannot read a file now: {}", vanished())
        );
    }
}
