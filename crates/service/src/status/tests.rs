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
            Error::NoFold {
                dataset: dataset.clone(),
                reason: "",
            },
            Code::FailedPrecondition,
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

#[tokio::test]
async fn a_plan_that_panics_is_an_error_of_the_server_and_one_that_is_cut_off_is_not() {
    let panicked = tokio::spawn(async { panic!("on purpose") }).await;
    assert_eq!(not_planned(&panicked.unwrap_err()).code(), Code::Internal);
    let cut_off = tokio::spawn(std::future::pending::<()>());
    cut_off.abort();
    assert_eq!(not_planned(&cut_off.await.unwrap_err()).code(), Code::Unavailable);
}
