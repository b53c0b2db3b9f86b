//! The `server` program: what was typed, what it means, and then [`equibatch_server`].

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::Parser as _;
use equibatch_server::{
    Error,
    args::{Arguments, Command, SampleData, Serve},
    config::Config,
    dataset::Split,
    pipeline::{Engine, Served},
    run, sample_data,
    service::socket::Sockets,
    telemetry,
};
use exit::{Failure, INPUT, SOFTWARE, SYSTEM, USAGE};

mod command;
mod exit;
mod shutdown;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::usage(&error),
    };
    let outcome = match arguments.command {
        Command::Serve(args) => serve(&args),
        Command::Download(args) => command::download(&args),
        Command::Verify(args) => command::verify(&args),
        Command::Stats(args) => command::stats(&args),
        Command::SampleData(args) => draw(&args),
        Command::Recipe(args) => command::recipe(&args),
        Command::Bench(args) => command::bench(&args),
    };
    exit::code(outcome)
}

#[tokio::main]
async fn serve(args: &Serve) -> Result<(), Failure> {
    let config = Config::try_from(args).map_err(|error| USAGE.failure(error))?;
    telemetry::start(args.log_format, &args.log)
        .context("--log")
        .map_err(|error| USAGE.failure(error))?;
    let signals = shutdown::Signals::install().map_err(|error| SYSTEM.failure(error))?;
    let sockets = Sockets::bind(&config.listen).await;
    let sockets = sockets.map_err(|error| SYSTEM.failure(error))?;
    let service = config.service.clone();
    let opening = tokio::task::spawn_blocking(move || equibatch_server::open(&config));
    let stopped = signals.received();
    tokio::pin!(stopped);
    let engine = tokio::select! {
        opened = opening => opened.map_err(|panic| SOFTWARE.failure(panic))?.map_err(failure)?,
        () = &mut stopped => return Ok(()),
    };
    announce(&engine, &sockets).map_err(|error| SYSTEM.failure(error))?;
    run(engine, &service, sockets, stopped).await.map_err(failure)
}

/// One line that says what is served where, for whoever waits for it.
fn announce(engine: &Engine, sockets: &Sockets) -> io::Result<()> {
    let count = |served: &Arc<Served>, split: &Split| {
        let images: u32 = served.dataset().counts(*split).iter().sum();
        format!("{images} {}", split.name())
    };
    let dataset = |served: &Arc<Served>| {
        let dataset = served.dataset();
        let splits: Vec<String> = dataset
            .splits()
            .iter()
            .map(|split| count(served, split))
            .collect();
        format!(
            "{} ({} classes; images: {})",
            dataset.name,
            dataset.classes.len(),
            splits.join(", ")
        )
    };
    let datasets: Vec<String> = engine.datasets().iter().map(dataset).collect();
    writeln!(
        io::stdout(),
        "serving {} on {}",
        datasets.join(", "),
        sockets.addresses()?.join(", ")
    )
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Dataset { .. } => INPUT.failure(error),
        Error::Threads(_) | Error::Transport(_) => SYSTEM.failure(error),
    }
}

fn draw(args: &SampleData) -> Result<(), Failure> {
    let options = sample_data::Options::try_from(args).map_err(|error| USAGE.failure(error))?;
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
