//! The `server` program: parses the command line and runs the command.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::CommandFactory as _;
use equibatch_cli::toml_flags::Flags;
use equibatch_server::{
    args::{
        Arguments, Command, SampleData, Serve,
        file::{self, Parsed},
    },
    config::Config,
};
use equibatch_tools::sample_data;
use exit::{Failure, SYSTEM, USAGE};
use mimalloc::MiMalloc;

mod command;
mod exit;
mod reload;
mod serve;
mod shutdown;
mod startup;

/// Returns freed memory to the system lazily, so that the buffers of about 512 KiB per frame and image do not page-fault each time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let parsed = match file::parse() {
        Ok(parsed) => parsed,
        Err(file::Error::Typed(error)) => return exit::usage(&error),
        Err(error) => return exit::code(Err(error.into())),
    };
    let outcome = match &parsed.arguments.command {
        Command::Serve(args) if args.print_config => print_config(args, &parsed),
        Command::Serve(args) => {
            config(args, parsed.file.as_ref()).and_then(|config| serve::serve(args, &parsed, config))
        }
        Command::Check(args) => command::check(args),
        Command::Health(args) => command::health(args),
        Command::Verify(args) => command::verify(args),
        Command::Stats(args) => command::stats(args),
        Command::SampleData(args) => draw(args),
        Command::Recipe(args) => command::recipe(args),
        Command::Bench(args) => command::bench(args),
        Command::Download(args) => command::download(args),
        Command::Completions(args) => args
            .run(Arguments::command())
            .map_err(|error| SYSTEM.failure(error)),
        Command::Man(args) => args
            .run(Arguments::command())
            .map_err(|error| SYSTEM.failure(error)),
        Command::Preview(args) => command::preview(args),
        Command::Explain(args) => command::explain(args),
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

fn draw(args: &SampleData) -> Result<(), Failure> {
    let options = sample_data::SampleDataOptions::try_from(args).map_err(|error| USAGE.failure(error))?;
    let report = sample_data::generate(&options).map_err(|error| match error {
        sample_data::Error::Write { .. } => SYSTEM.failure(error),
        _ => USAGE.failure(error),
    })?;
    let classes: Vec<String> = report
        .classes
        .iter()
        .map(|class| format!("{} {}", class.count, class.name))
        .collect();
    writeln!(
        io::stdout(),
        "drew {} in {}",
        classes.join(", "),
        report.out.display()
    )
    .map_err(|error| SYSTEM.failure(error))
}
