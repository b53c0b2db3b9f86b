//! Exit codes, after `sysexits.h`, and the error line on standard error.

use equibatch_cli::toml_flags::{self, Flags};
use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use crate::{args::file, config};

/// An exit code other than success.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExitKind(u8);

/// Usage error (`EX_USAGE`).
pub(crate) const USAGE: ExitKind = ExitKind(64);
/// Data error (`EX_DATAERR`).
pub(crate) const DATA: ExitKind = ExitKind(65);
/// Input missing or unusable (`EX_NOINPUT`).
pub(crate) const INPUT: ExitKind = ExitKind(66);
/// Service unavailable (`EX_UNAVAILABLE`).
pub(crate) const UNAVAILABLE: ExitKind = ExitKind(69);
/// Internal error (`EX_SOFTWARE`).
pub(crate) const SOFTWARE: ExitKind = ExitKind(70);
/// Configuration error (`EX_CONFIG`).
pub(crate) const CONFIG: ExitKind = ExitKind(78);
/// I/O or system error (`EX_IOERR`).
pub(crate) const SYSTEM: ExitKind = ExitKind(74);

/// An error with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: ExitKind,
    error: anyhow::Error,
}

impl Failure {
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

/// A usage error; a configuration error with path and line if `file` sets the option at fault.
pub(crate) fn usage_error(error: config::Error, file: Option<&Flags>) -> Failure {
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

/// Prints the error, if any, as one line on standard error, and returns the exit code.
pub(crate) fn code(outcome: Result<(), Failure>) -> ExitCode {
    let Err(Failure { kind, error }) = outcome else {
        return ExitCode::SUCCESS;
    };
    let _ignored = writeln!(io::stderr(), "server: {error:#}");
    ExitCode::from(kind.0)
}

/// Prints an error of clap. Help and version exit with success.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let _ignored = error.print();
    if error.use_stderr() {
        ExitCode::from(USAGE.0)
    } else {
        ExitCode::SUCCESS
    }
}
