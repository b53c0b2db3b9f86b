//! The `client` program.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use equibatch_client::{
    args::Arguments,
    command::{self, Exit},
    telemetry,
};
use mimalloc::MiMalloc;

/// As in the server: gRPC frames of half a megabyte are allocated and freed at a high rate.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            return ExitCode::from(exit as u8);
        }
    };
    telemetry::start(arguments.verbose);
    let exit = command::run(arguments.command, arguments.verbose > 0).unwrap_or_else(|error| {
        let exit = Exit::of(&error);
        let broken_pipe = error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        if broken_pipe {
            return Exit::Done;
        }
        // One sentence: what was attempted, then the chain of causes.
        let hint = Exit::hint(&error).map_or_else(String::new, |hint| format!("; {hint}"));
        let _ = writeln!(io::stderr(), "error: {error:#}{hint}");
        exit
    });
    ExitCode::from(exit as u8)
}
