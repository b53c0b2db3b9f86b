//! The command line as a whole.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::CommandFactory as _;
use equibatch_cli::toml_flags::Flags;

use super::exit::{self, Failure, SYSTEM};
use crate::{
    args::{
        Arguments, Command, Serve,
        file::{self, Parsed},
    },
    config::Config,
};

/// Parses the command line, runs the command, and prints the error, if any, on standard error.
pub fn main() -> ExitCode {
    let parsed = match file::parse() {
        Ok(parsed) => parsed,
        Err(file::Error::Typed(error)) => return exit::usage(&error),
        Err(error) => return exit::code(Err(error.into())),
    };
    let outcome = match &parsed.arguments.command {
        Command::Serve(args) if args.print_config => print_config(args, &parsed),
        Command::Serve(args) => {
            config(args, parsed.file.as_ref()).and_then(|config| super::serve(args, &parsed, config))
        }
        Command::Check(args) => super::check(args),
        Command::Health(args) => super::health(args),
        Command::Verify(args) => super::verify(args),
        Command::Stats(args) => super::stats(args),
        Command::SampleData(args) => super::sample_data(args),
        Command::Recipe(args) => super::recipe(args),
        Command::Bench(args) => super::bench(args),
        Command::Download(args) => super::download(args),
        Command::Completions(args) => args
            .run(Arguments::command())
            .map_err(|error| SYSTEM.failure(error)),
        Command::Man(args) => args
            .run(Arguments::command())
            .map_err(|error| SYSTEM.failure(error)),
        Command::Preview(args) => super::preview(args),
        Command::Explain(args) => super::explain(args),
    };
    exit::code(outcome)
}

/// Validates the options.
fn config(args: &Serve, file: Option<&Flags>) -> Result<Config, Failure> {
    Config::try_from(args).map_err(|error| exit::usage_error(error, file))
}

/// Validates the options and prints them as a configuration file.
fn print_config(args: &Serve, parsed: &Parsed) -> Result<(), Failure> {
    config(args, parsed.file.as_ref())?;
    write!(io::stdout(), "{}", parsed.to_toml()).map_err(|error| SYSTEM.failure(error))
}
