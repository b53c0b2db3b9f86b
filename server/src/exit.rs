//! Exit codes, after `sysexits.h`, and the one sentence that goes with each.

use equibatch_cli::toml_flags;
use equibatch_server::{
    args::file::{self, File},
    config,
};
use std::{
    io::{self, Write as _},
    process::ExitCode,
};

/// A way to fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExitKind(u8);

/// The command line makes no sense.
pub(crate) const USAGE: ExitKind = ExitKind(64);
/// The data is not as it should be.
pub(crate) const DATA: ExitKind = ExitKind(65);
/// The input is of no use.
pub(crate) const INPUT: ExitKind = ExitKind(66);
/// Nobody who was asked has an answer.
pub(crate) const UNAVAILABLE: ExitKind = ExitKind(69);
/// A defect of this program.
pub(crate) const SOFTWARE: ExitKind = ExitKind(70);
/// The configuration file makes no sense.
pub(crate) const CONFIG: ExitKind = ExitKind(78);
/// The system refused.
pub(crate) const SYSTEM: ExitKind = ExitKind(74);

/// A failure of the program.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: ExitKind,
    error: anyhow::Error,
}

impl Failure {
    /// What went wrong.
    pub(crate) fn error(&self) -> &anyhow::Error {
        &self.error
    }
}

impl From<file::Error> for Failure {
    fn from(error: file::Error) -> Self {
        match error {
            file::Error::Typed(_) => USAGE.failure(error),
            file::Error::File(toml_flags::Error::Read { .. }) => INPUT.failure(error),
            file::Error::File(toml_flags::Error::Line { .. }) => CONFIG.failure(error),
        }
    }
}

/// An option without meaning, with its place where that is in `file`.
pub(crate) fn usage_error(error: config::Error, file: Option<&File>) -> Failure {
    match file.and_then(|file| file.place(error.option())) {
        Some(place) => CONFIG.failure(anyhow::Error::from(error).context(place)),
        None => USAGE.failure(error),
    }
}

impl ExitKind {
    pub(crate) fn failure(self, error: impl Into<anyhow::Error>) -> Failure {
        Failure {
            kind: self,
            error: error.into(),
        }
    }
}

/// Says what went wrong, in one line on standard error, and gives the exit code.
pub(crate) fn code(outcome: Result<(), Failure>) -> ExitCode {
    let Err(Failure { kind, error }) = outcome else {
        return ExitCode::SUCCESS;
    };
    let _nowhere_to_complain = writeln!(io::stderr(), "server: {error:#}");
    ExitCode::from(kind.0)
}

/// Prints what clap has to say: help and version are no failure.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let _nowhere_to_complain = error.print();
    if error.use_stderr() {
        ExitCode::from(USAGE.0)
    } else {
        ExitCode::SUCCESS
    }
}
