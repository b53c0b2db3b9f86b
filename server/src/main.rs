//! The `server` program: what was typed, what it means, and then [`equibatch_server`].

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use equibatch_server::{
    Error,
    admin::Admin,
    args::{
        Command, SampleData, Serve,
        file::{self, File, Parsed},
    },
    config::Config,
    dataset::Split,
    pipeline::{Engine, Served},
    run, sample_data,
    service::{Access, AccessFiles, socket::Sockets},
    telemetry,
};
use exit::{Failure, INPUT, SOFTWARE, SYSTEM, USAGE};
use mimalloc::MiMalloc;
use tokio::net::TcpListener;

mod command;
mod exit;
mod shutdown;

/// Gives memory back slowly, so that buffers of half a megabyte that come and go with every frame and image are not new pages each time.
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
        Command::Serve(args) => serve(args, parsed.file.as_ref()),
        Command::Check(args) => command::check(args),
        Command::Health(args) => command::health(args),
        Command::Verify(args) => command::verify(args),
        Command::Stats(args) => command::stats(args),
        Command::SampleData(args) => draw(args),
        Command::Recipe(args) => command::recipe(args),
        Command::Bench(args) => command::bench(args),
        Command::Download(args) => command::download(args),
        Command::Completions(args) => command::completions(args),
        Command::Man(args) => command::man(args),
        Command::Preview(args) => command::preview(args),
        Command::Explain(args) => command::explain(args),
    };
    exit::code(outcome)
}

#[tokio::main]
async fn serve(args: &Serve, file: Option<&File>) -> Result<(), Failure> {
    let config = Config::try_from(args).map_err(|error| exit::misuse(error, file))?;
    let telemetry = telemetry::start(args.log_format, &args.log, args.otlp.as_deref())
        .map_err(|error| USAGE.failure(error))?;
    let served = serve_as(config).await;
    let flushed = tokio::task::spawn_blocking(move || telemetry.finish());
    flushed.await.map_err(|panic| SOFTWARE.failure(panic))?;
    served
}

async fn serve_as(config: Config) -> Result<(), Failure> {
    let signals = shutdown::Signals::install().map_err(|error| SYSTEM.failure(error))?;
    let mut service = config.service.clone();
    service.access = Access::load(&config.access).map_err(|error| INPUT.failure(error))?;
    let sockets = Sockets::bind(&config.listen).await;
    let sockets = sockets.map_err(|error| SYSTEM.failure(error))?;
    let admin = answer_operator(&config).await?;
    let access = config.access.clone();
    let opening = tokio::task::spawn_blocking(move || equibatch_server::open(&config));
    let stopped = signals.received();
    tokio::pin!(stopped);
    let engine = tokio::select! {
        opened = opening => opened.map_err(|panic| SOFTWARE.failure(panic))?.map_err(failure)?,
        () = &mut stopped => return Ok(()),
    };
    // Not before there is something to serve: what fails, fails with one sentence.
    warn_of_exposure(&access, &sockets).map_err(|error| SYSTEM.failure(error))?;
    announce(&engine, &sockets).map_err(|error| SYSTEM.failure(error))?;
    admin.ready(engine.clone());
    let stopped = async {
        stopped.await;
        admin.stopping();
    };
    run(engine, &service, sockets, stopped).await.map_err(failure)
}

/// Answers the operator, where that is wanted, until the process ends.
async fn answer_operator(config: &Config) -> Result<Admin, Failure> {
    let admin = Admin::default();
    if let Some((host, port)) = &config.admin {
        let listener = TcpListener::bind((host.as_str(), *port)).await;
        let listener = listener
            .with_context(|| format!("cannot listen on {host}:{port}"))
            .map_err(|error| SYSTEM.failure(error))?;
        let address = listener.local_addr().map_err(|error| SYSTEM.failure(error))?;
        tracing::info!(%address, "answering the operator");
        tokio::spawn(admin.clone().serve(listener));
    }
    Ok(admin)
}

/// All options, as a file that says the same, where they have a meaning.
fn print_config(args: &Serve, parsed: &Parsed) -> Result<(), Failure> {
    Config::try_from(args).map_err(|error| exit::misuse(error, parsed.file.as_ref()))?;
    write!(io::stdout(), "{}", parsed.to_toml()).map_err(|error| SYSTEM.failure(error))
}

/// Says what the sockets give away.
fn warn_of_exposure(access: &AccessFiles, sockets: &Sockets) -> io::Result<()> {
    let has_client_ca = access.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    for address in sockets.ports()? {
        if address.ip().is_loopback() {
            tracing::info!(%address, "listening on this machine only");
            continue;
        }
        if access.tokens.is_none() && !has_client_ca {
            tracing::warn!(%address, "whoever reaches this address can read the images: there is no --tokens and no --tls-client-ca");
        }
        if access.tls.is_none() {
            tracing::warn!(%address, "whoever is on the way can read the images and the tokens: there is no --tls-cert");
        }
    }
    Ok(())
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
