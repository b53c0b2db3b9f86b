//! The `server` program: what was typed, what it means, and then [`equibatch_server`].

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use equibatch_server::{
    Error,
    admin::Admin,
    args::{
        Command, LogFormat, SampleData, Serve,
        file::{self, File, Parsed},
    },
    config::Config,
    dataset::Split,
    pipeline::Engine,
    run, sample_data,
    service::{Access, AccessFiles, socket::Sockets},
    telemetry,
};
use exit::{Failure, INPUT, SOFTWARE, SYSTEM, USAGE};
use mimalloc::MiMalloc;
use serde_json::json;
use tokio::net::TcpListener;

mod command;
mod exit;
mod reload;
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
        Command::Serve(args) => serve(args, &parsed),
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
async fn serve(args: &Serve, parsed: &Parsed) -> Result<(), Failure> {
    let config = config(args, parsed.file.as_ref())?;
    let telemetry = telemetry::start(args.log_format, &args.log, args.otlp.as_deref())
        .map_err(|error| USAGE.failure(error))?;
    let hangups = shutdown::hangups().map_err(|error| SYSTEM.failure(error))?;
    let access = Access::load(&config.access).map_err(|error| INPUT.failure(error))?;
    tokio::spawn(reload::at(
        hangups,
        parsed.to_toml(),
        access.clone(),
        telemetry.shown(),
    ));
    let served = serve_as(config, access, args.log_format).await;
    let flushed = tokio::task::spawn_blocking(move || telemetry.finish());
    flushed.await.map_err(|panic| SOFTWARE.failure(panic))?;
    served
}

/// What the options mean.
fn config(args: &Serve, file: Option<&File>) -> Result<Config, Failure> {
    Config::try_from(args).map_err(|error| exit::misuse(error, file))
}

async fn serve_as(config: Config, access: Access, format: LogFormat) -> Result<(), Failure> {
    let signals = shutdown::Signals::install().map_err(|error| SYSTEM.failure(error))?;
    let mut service = config.service.clone();
    service.access = access;
    let sockets = Sockets::bind(&config.listen).await;
    let sockets = sockets.map_err(|error| SYSTEM.failure(error))?;
    let admin = answer_operator(&config).await?;
    let meant = config.clone();
    let opening = tokio::task::spawn_blocking(move || equibatch_server::open(&config));
    let stopped = signals.received();
    tokio::pin!(stopped);
    let engine = tokio::select! {
        opened = opening => opened.map_err(|panic| SOFTWARE.failure(panic))?.map_err(failure)?,
        () = &mut stopped => return Ok(()),
    };
    // Not before there is something to serve: what fails, fails with one sentence.
    introduce(&meant, &service.access);
    warn_of_exposure(&meant.access, &sockets).map_err(|error| SYSTEM.failure(error))?;
    announce(&engine, &sockets, format).map_err(|error| SYSTEM.failure(error))?;
    admin.ready(engine.clone());
    let stopped = async {
        stopped.await;
        admin.stopping();
    };
    run(engine, &service, sockets, stopped).await.map_err(failure)
}

/// Answers the operator, where that is wanted, until the process ends.
async fn answer_operator(config: &Config) -> Result<Admin, Failure> {
    let admin = Admin::of(config.service.traffic.clone());
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
    config(args, parsed.file.as_ref())?;
    write!(io::stdout(), "{}", parsed.to_toml()).map_err(|error| SYSTEM.failure(error))
}

/// Says which program this is, and who may come in.
fn introduce(config: &Config, access: &Access) {
    let tls = config.access.tls.as_ref();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        process = std::process::id(),
        threads = config.engine.threads,
        cache_bytes = config.engine.cache_bytes,
        tls = tls.is_some(),
        client_certificates = tls.is_some_and(|tls| tls.client_ca.is_some()),
        tokens = access.tokens(),
        "starting"
    );
}

/// Says where clients can connect, and what the sockets give away.
fn warn_of_exposure(access: &AccessFiles, sockets: &Sockets) -> io::Result<()> {
    for address in sockets.addresses()? {
        tracing::info!(address, "listening");
    }
    let has_client_ca = access.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    for address in sockets.ports()? {
        if address.ip().is_loopback() {
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

/// One line that says what is served where, for whoever waits for it: a sentence, or where the log is JSON, an object. The log says the same, and
/// more, of each dataset.
fn announce(engine: &Engine, sockets: &Sockets, format: LogFormat) -> io::Result<()> {
    let addresses = sockets.addresses()?;
    let (mut sentences, mut objects) = (vec![], vec![]);
    for served in engine.datasets() {
        let dataset = served.dataset();
        let [train, valid, test] = Split::ALL.map(|split| dataset.counts(split).iter().sum::<u32>());
        let (name, classes, quarantined) = (&dataset.name, dataset.classes.len(), dataset.quarantine.len());
        let fingerprint = dataset.fingerprint.to_string();
        tracing::info!(
            dataset = name,
            fingerprint,
            classes,
            train,
            valid,
            test,
            quarantined,
            warnings = dataset.warnings.len(),
            "serving dataset"
        );
        let counts = [(train, "train"), (valid, "valid"), (test, "test")];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(images, _)| *images > 0)
            .map(|(images, split)| format!("{images} {split}"))
            .collect();
        sentences.push(format!(
            "{name} ({classes} classes; images: {})",
            counts.join(", ")
        ));
        objects.push(json!({
            "name": name, "fingerprint": fingerprint, "classes": classes, "train": train, "valid": valid, "test": test,
        }));
    }
    let (sentences, listed) = (sentences.join(", "), addresses.join(", "));
    match format {
        LogFormat::Text => writeln!(io::stdout(), "serving {sentences} on {listed}"),
        LogFormat::Json => {
            let line = json!({ "message": "serving", "datasets": objects, "addresses": addresses });
            writeln!(io::stdout(), "{line}")
        }
    }
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
