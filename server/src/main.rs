//! The `server` program: parses the command line and runs the command.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use clap::CommandFactory as _;
use equibatch_cli::toml_flags::Flags;
use equibatch_engine::{dataset::Split, pipeline::Engine};
use equibatch_server::{
    Error,
    admin::{self, Admin},
    args::{
        Arguments, Command, LogFormat, SampleData, Serve,
        file::{self, Parsed},
    },
    config::Config,
    descriptors, run,
    service::{Access, AccessFiles, socket::Sockets},
    telemetry,
};
use equibatch_tools::sample_data;
use exit::{Failure, INPUT, SOFTWARE, SYSTEM, USAGE};
use mimalloc::MiMalloc;
use serde_json::json;
use tokio::{net::TcpListener, runtime::Runtime, task::JoinSet};
use tokio_util::sync::CancellationToken;

mod command;
mod exit;
mod reload;
mod shutdown;

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
        Command::Serve(args) => serve(args, &parsed),
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

/// Time limit for exporting the remaining traces at exit.
const FLUSH: Duration = Duration::from_millis(500);
/// Time limit for the rest of the shutdown, after --shutdown-grace.
const END: Duration = Duration::from_secs(1);

fn serve(args: &Serve, parsed: &Parsed) -> Result<(), Failure> {
    let config = config(args, parsed.file.as_ref())?;
    let stopping =
        shutdown::stop_signals(config.service.shutdown_grace + END).map_err(|error| SYSTEM.failure(error))?;
    let runtime = Runtime::new().map_err(|error| SYSTEM.failure(error))?;
    let served = runtime.block_on(serve_with_log(args, parsed, config, stopping));
    // Does not wait for blocking threads, which may be scanning or waiting for a disk.
    runtime.shutdown_background();
    served
}

async fn serve_with_log(
    args: &Serve,
    parsed: &Parsed,
    config: Config,
    stopping: CancellationToken,
) -> Result<(), Failure> {
    let telemetry = telemetry::start(args.log_format, &args.log, args.otlp.as_deref())
        .map_err(|error| USAGE.failure(error))?;
    let hangups = shutdown::hangups().map_err(|error| SYSTEM.failure(error))?;
    let access = Access::load(&config.access).map_err(|error| INPUT.failure(error))?;
    // These tasks run until the process exits.
    let mut tasks = JoinSet::new();
    tasks.spawn(reload::at(
        hangups,
        parsed.to_toml(),
        access.clone(),
        telemetry.filter_handle(),
    ));
    let served = tokio::select! {
        served = serve_with_access(config, access, args.log_format, &stopping) => served,
        ended = watch_tasks(&mut tasks) => Err(ended),
    };
    let flushed = tokio::task::spawn_blocking(move || telemetry.finish());
    let _unsent = tokio::time::timeout(FLUSH, flushed).await;
    served
}

/// Waits until one of `tasks` ends, which is a bug or a panic.
async fn watch_tasks(tasks: &mut JoinSet<()>) -> Failure {
    match tasks.join_next().await {
        Some(Err(panic)) => SOFTWARE.failure(panic),
        Some(Ok(())) => SOFTWARE.failure(anyhow::anyhow!("a background task ended unexpectedly")),
        None => std::future::pending().await,
    }
}

/// Validates the options.
fn config(args: &Serve, file: Option<&Flags>) -> Result<Config, Failure> {
    Config::try_from(args).map_err(|error| exit::usage_error(error, file))
}

async fn serve_with_access(
    config: Config,
    access: Access,
    format: LogFormat,
    stopping: &CancellationToken,
) -> Result<(), Failure> {
    let mut service = config.service.clone();
    service.access = access;
    service.connections = connections(&config);
    let sockets = tokio::select! {
        sockets = Sockets::bind(&config.listen) => sockets.map_err(|error| SYSTEM.failure(error))?,
        () = stopping.cancelled() => return Ok(()),
    };
    let engine = equibatch_server::start(&config).map_err(failure)?;
    let admin = Admin::of(config.service.traffic.clone());
    admin.ready(engine.clone());
    let mut tasks = JoinSet::new();
    serve_admin(&config, &admin, &mut tasks).await?;
    let (config_for_log, access) = (config.clone(), service.access.clone());
    let addresses = Addresses::of(&sockets).map_err(|error| SYSTEM.failure(error))?;
    let scanned = async {
        let scanned = engine.clone();
        let scanning = tokio::task::spawn_blocking(move || equibatch_server::scan(&config, &scanned));
        match scanning.await {
            Err(panic) => return SOFTWARE.failure(panic),
            Ok(Err(error)) => return failure(error),
            Ok(Ok(())) => {}
        }
        // Logged only after a successful scan, so that a startup failure prints nothing but its error.
        log_startup(&config_for_log, &access);
        warn_of_exposure(&config_for_log.access, &addresses);
        match print_ready(&engine, &addresses, format) {
            Err(error) => SYSTEM.failure(error),
            Ok(()) => std::future::pending().await,
        }
    };
    let stop = stopping.child_token();
    let stopped = async {
        stop.cancelled().await;
        // A failure prints its error instead.
        if stopping.is_cancelled() {
            tracing::info!("stopping");
        }
        admin.stopping();
    };
    let running = run(engine.clone(), &service, sockets.accept(), stopped);
    tokio::pin!(running);
    let broken = async {
        tokio::select! {
            failure = scanned => failure,
            failure = watch_tasks(&mut tasks) => failure,
        }
    };
    let outcome = tokio::select! {
        served = &mut running => served.map_err(failure),
        failure = broken => {
            // Ends open streams with a status, and removes socket files.
            stop.cancel();
            let _timed_out = tokio::time::timeout(END, &mut running).await;
            Err(failure)
        }
    };
    // Dropping the last handle would wait for the workers, which may be decoding a large image.
    std::mem::forget(engine);
    outcome
}

/// The largest number of connections: --max-connections, or less if the limit of open descriptors is too low.
fn connections(config: &Config) -> usize {
    let wanted = config.service.connections;
    let others = 2 * config.engine.threads.get() + config.engine.limits.open_streams + admin::CONNECTIONS;
    let limit = descriptors::raise();
    let connections = descriptors::connections(wanted, others, limit);
    if connections < wanted {
        tracing::warn!(
            connections,
            descriptors = limit,
            "fewer connections than --max-connections: limited by the number of open files (ulimit -Hn)"
        );
    }
    connections
}

/// The bound addresses.
struct Addresses {
    /// As clients write them.
    all: Vec<String>,
    ports: Vec<SocketAddr>,
}

impl Addresses {
    fn of(sockets: &Sockets) -> io::Result<Self> {
        Ok(Self {
            all: sockets.addresses()?,
            ports: sockets.ports()?,
        })
    }
}

/// Spawns the admin endpoint in `tasks`, if --admin is given.
async fn serve_admin(config: &Config, admin: &Admin, tasks: &mut JoinSet<()>) -> Result<(), Failure> {
    if let Some((host, port)) = &config.admin {
        let listener = TcpListener::bind((host.as_str(), *port)).await;
        let listener = listener
            .with_context(|| format!("cannot listen on {host}:{port}"))
            .map_err(|error| SYSTEM.failure(error))?;
        let address = listener.local_addr().map_err(|error| SYSTEM.failure(error))?;
        tracing::info!(%address, "admin endpoint listening");
        let serving = admin.clone().serve(listener);
        tasks.spawn(async {
            if let Err(error) = serving.await {
                tracing::error!(%error, "admin endpoint failed");
            }
        });
    }
    Ok(())
}

/// Validates the options and prints them as a configuration file.
fn print_config(args: &Serve, parsed: &Parsed) -> Result<(), Failure> {
    config(args, parsed.file.as_ref())?;
    write!(io::stdout(), "{}", parsed.to_toml()).map_err(|error| SYSTEM.failure(error))
}

/// Logs version, resources and authentication.
fn log_startup(config: &Config, access: &Access) {
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

/// Logs the addresses, and warns if they are reachable from other machines without authentication or TLS.
fn warn_of_exposure(access: &AccessFiles, addresses: &Addresses) {
    for address in &addresses.all {
        tracing::info!(address, "listening");
    }
    let has_client_ca = access.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    for address in &addresses.ports {
        if address.ip().is_loopback() {
            continue;
        }
        if access.tokens.is_none() && !has_client_ca {
            tracing::warn!(%address, "no authentication: every client that can reach this address can read the images; use --tokens or --tls-client-ca");
        }
        if access.tls.is_none() {
            tracing::warn!(%address, "no TLS: images and tokens are sent in plain text; use --tls-cert and --tls-key");
        }
    }
}

/// Prints one line with datasets and addresses on standard output, which tells a supervisor that the server is ready: text, or JSON if the
/// log is JSON. Logs the details of each dataset.
fn print_ready(engine: &Engine, addresses: &Addresses, format: LogFormat) -> io::Result<()> {
    let addresses = &addresses.all;
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
        Error::Accept => SOFTWARE.failure(error),
    }
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
