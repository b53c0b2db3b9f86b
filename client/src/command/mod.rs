//! The subcommands and their exit codes.

mod adjust;
mod bench;
mod compare;
mod datasets;
mod evaluate;
mod exit;
mod export;
mod find_lr;
mod head_init;
mod plan;
mod predict;
mod prepare;
mod report;
mod show_batch;
mod signals;
mod train;
mod tune;

use anyhow::Result;
use clap::CommandFactory as _;

pub use exit::Exit;

use crate::args::{Arguments, Command};

/// Runs a command; `is_verbose`: whether --verbose was given.
///
/// # Errors
///
/// The error of the command; [`Exit::of`] maps it to an exit code.
pub fn run(command: Command, is_verbose: bool) -> Result<Exit> {
    match command {
        Command::Train(args) => train::run(&args),
        Command::FindLr(args) => find_lr::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Compare(args) => compare::run(&args, is_verbose),
        Command::Tune(args) => tune::run(&args, is_verbose),
        Command::Export(args) => export::run(&args),
        Command::Report(args) => report::run(&args),
        Command::ShowBatch(args) => show_batch::run(&args),
        Command::Completions(args) => args
            .run(Arguments::command())
            .map(|()| Exit::Done)
            .map_err(Into::into),
        Command::Man(args) => args
            .run(Arguments::command())
            .map(|()| Exit::Done)
            .map_err(Into::into),
        Command::Bench(args) => bench::run(&args),
        Command::Datasets(args) => datasets::run(&args),
    }
}
