use equibatch_stream::{self as stream, Remedy};
use equibatch_tools::preview;
use equibatch_training::runtime;

use crate::{
    args::experiment,
    config::UsageError,
    learn::{
        adjustments, checkpoint, compare, evaluate, export, finder, fit, learner, network, predict,
        predictions, prior, report, run,
    },
    weights,
};

/// Exit codes, after BSD's `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Success.
    Done = 0,
    /// Another failure than those below.
    Failed = 1,
    /// Usage error (`EX_USAGE`).
    Usage = 64,
    /// Invalid or mismatched files, checkpoints or datasets (`EX_DATAERR`).
    Data = 65,
    /// A server, device or library is unavailable (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// Authentication or TLS verification failed (`EX_NOPERM`).
    Denied = 77,
    /// Interrupted by a signal: 128 plus the number of SIGINT.
    Interrupted = 130,
}

impl Exit {
    /// The exit code of an error: that of its innermost source with a code.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        error
            .chain()
            .filter_map(Self::of_cause)
            .last()
            .unwrap_or(Self::Failed)
    }

    /// The option that helps against an error of the network.
    #[must_use]
    pub fn hint(error: &anyhow::Error) -> Option<&'static str> {
        let error = error.chain().find_map(stream_error)?;
        Some(match error.remedy()? {
            Remedy::Address => "see --server",
            Remedy::Reach => "is the server running, and is --server right?",
            Remedy::Root => {
                "if its certificate is issued by a private CA, pass the CA's root with --tls-ca FILE"
            }
            Remedy::Certificate => "pass a certificate with --tls-cert FILE --tls-key FILE",
            Remedy::Token => "pass a token with --token-file FILE or EQUIBATCH_TOKEN",
            _ => return None,
        })
    }

    fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Self> {
        if cause.is::<UsageError>() || cause.is::<experiment::Error>() || cause.is::<prior::Error>() {
            return Some(Self::Usage);
        }
        match cause.downcast_ref::<adjustments::Error>() {
            Some(adjustments::Error::Classes(_)) => return Some(Self::Usage),
            Some(adjustments::Error::Images(..)) => return Some(Self::Data),
            None => {}
        }
        if let Some(error) = stream_error(cause) {
            return Some(Self::of_stream(error));
        }
        if let Some(error) = cause.downcast_ref::<runtime::Error>() {
            return Some(Self::of_runtime(error));
        }
        match cause.downcast_ref::<preview::Error>() {
            Some(preview::Error::Recipe(_) | preview::Error::Size(_)) => return Some(Self::Usage),
            Some(preview::Error::Read { .. } | preview::Error::Decode { .. }) => return Some(Self::Data),
            _ => {}
        }
        match cause.downcast_ref::<run::Error>() {
            Some(run::Error::Occupied { .. } | run::Error::NotEmpty { .. }) => return Some(Self::Usage),
            Some(run::Error::NoRun { .. } | run::Error::Mismatch { .. }) => return Some(Self::Data),
            Some(run::Error::Checkpoint(_)) => return Some(Self::Data),
            _ => {}
        }
        match cause.downcast_ref::<learner::Error>() {
            Some(learner::Error::Setting { .. }) => return Some(Self::Usage),
            Some(learner::Error::Checkpoint { .. }) => return Some(Self::Data),
            Some(learner::Error::Runtime(error)) => return Some(Self::of_runtime(error)),
            Some(learner::Error::Weights(error)) => return Some(Self::of_weights(error)),
            Some(error) if error.is_of_a_file() => return Some(Self::Data),
            _ => {}
        }
        match cause.downcast_ref::<fit::Error>() {
            Some(fit::Error::Mismatch { .. }) => return Some(Self::Data),
            Some(fit::Error::Learner(error)) => return Self::of_cause(error),
            Some(fit::Error::Evaluate(error)) => return Self::of_cause(error),
            Some(fit::Error::Run(error)) => return Self::of_cause(error),
            _ => {}
        }
        match cause.downcast_ref::<finder::Error>() {
            Some(finder::Error::Interrupted) => return Some(Self::Interrupted),
            Some(finder::Error::Learner(error)) => return Self::of_cause(error),
            Some(finder::Error::Images(error)) => return Self::of_cause(error),
            _ => {}
        }
        match cause.downcast_ref::<evaluate::Error>() {
            Some(evaluate::Error::Mismatch { .. }) => return Some(Self::Data),
            Some(evaluate::Error::Runtime(error)) => return Some(Self::of_runtime(error)),
            _ => {}
        }
        match cause.downcast_ref::<export::Error>() {
            Some(export::Error::Runtime(error)) => return Some(Self::of_runtime(error)),
            Some(export::Error::Card(_) | export::Error::Program { .. }) => return Some(Self::Data),
            Some(export::Error::Source { .. } | export::Error::Prior(_)) => return Some(Self::Usage),
            Some(export::Error::Network(error)) => return Self::of_cause(error),
            _ => {}
        }
        match cause.downcast_ref::<predict::Error>() {
            Some(predict::Error::Card(_)) => return Some(Self::Data),
            Some(predict::Error::Runtime(error)) => return Some(Self::of_runtime(error)),
            _ => {}
        }
        match cause.downcast_ref::<report::run::Error>() {
            Some(report::run::Error::Run(error)) => return Self::of_cause(error),
            Some(report::run::Error::Read { .. }) => return Some(Self::Data),
            _ => {}
        }
        if let Some(error) = cause.downcast_ref::<weights::Error>() {
            return Some(Self::of_weights(error));
        }
        let is_data = cause.is::<checkpoint::Error>()
            || cause.is::<predict::source::NoImages>()
            || cause.is::<predictions::Error>()
            || cause.is::<compare::Unpaired>()
            || cause.is::<network::Error>()
            || cause.is::<crate::learn::card::Error>();
        is_data.then_some(Self::Data)
    }

    fn of_stream(error: &stream::Error) -> Self {
        match error {
            stream::Error::Address { .. } => Self::Usage,
            stream::Error::Data { .. }
            | stream::Error::Refused { .. }
            | stream::Error::Full { .. }
            | stream::Error::Differs { .. } => Self::Data,
            stream::Error::Denied { .. } | stream::Error::Untrusted { .. } => Self::Denied,
            error if error.is_unavailable() => Self::Unavailable,
            _ => Self::Failed,
        }
    }

    fn of_weights(error: &weights::Error) -> Self {
        match error {
            weights::Error::Unreachable { .. } | weights::Error::Offline { .. } => Self::Unavailable,
            weights::Error::Denied { .. } => Self::Denied,
            _ => Self::Data,
        }
    }

    fn of_runtime(error: &runtime::Error) -> Self {
        match error {
            runtime::Error::Model { .. } | runtime::Error::Read { .. } => Self::Data,
            runtime::Error::Run { .. } | runtime::Error::Length { .. } | runtime::Error::Name { .. } => {
                Self::Failed
            }
            _ => Self::Unavailable,
        }
    }
}

/// The error of the network that `cause` is, or that is its variant without a text of its own.
fn stream_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a stream::Error> {
    match cause.downcast_ref() {
        Some(fit::Error::Stream(error)) => return Some(error),
        Some(fit::Error::Evaluate(error)) => return stream_error(error),
        _ => {}
    }
    if let Some(finder::Error::Stream(error)) = cause.downcast_ref() {
        return Some(error);
    }
    match cause.downcast_ref() {
        Some(evaluate::Error::Stream(error)) => Some(error),
        _ => cause.downcast_ref(),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn wrapped_errors_keep_their_exit_code() {
        let lost = || stream::Error::Lost {
            address: "a:1".to_owned(),
            at: "x".to_owned(),
            reason: "y".to_owned(),
        };
        let stopped = fit::Error::Stopped {
            after: "epoch 1".to_owned(),
            run: "runs/x".into(),
            source: lost(),
        };
        for (error, code) in [
            (anyhow::Error::from(fit::Error::from(lost())), Exit::Unavailable),
            (anyhow::Error::from(stopped), Exit::Unavailable),
            (
                Err::<(), _>(UsageError("no".to_owned()))
                    .context("outer")
                    .expect_err("an error"),
                Exit::Usage,
            ),
            (
                anyhow::Error::from(run::Error::Occupied { path: "x".into() }),
                Exit::Usage,
            ),
            (anyhow::anyhow!("something else"), Exit::Failed),
        ] {
            assert_eq!(Exit::of(&error), code, "{error:#}");
        }
    }

    #[test]
    fn errors_of_the_network_have_a_hint_however_they_are_wrapped() {
        let closed = || stream::Error::Unreachable {
            address: "a:1".to_owned(),
            reason: "x".to_owned(),
        };
        let evaluated = evaluate::Error::from(closed());
        for error in [
            anyhow::Error::from(closed()).context("outer"),
            fit::Error::from(closed()).into(),
            fit::Error::from(evaluated).into(),
            finder::Error::from(closed()).into(),
        ] {
            let hint = Exit::hint(&error);
            assert!(hint.is_some_and(|hint| hint.contains("--server")), "{error:#}");
        }
        assert_eq!(Exit::hint(&anyhow::anyhow!("something else")), None);
    }
}
