//! The command `serve`.

use std::time::Duration;

use anyhow::Context as _;
use tokio::{net::TcpListener, runtime::Runtime, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::exit::{Failure, INPUT, SOFTWARE, SYSTEM, USAGE};
use crate::{
    Error,
    admin::{self, Admin},
    args::{LogFormat, Serve, file::Parsed},
    config::Config,
    descriptors, run,
    service::{Access, socket::Sockets},
    telemetry,
};

mod reload;
mod shutdown;
mod startup;

use startup::{Addresses, log_startup, print_ready, warn_of_exposure};

/// Time limit for exporting the remaining traces at exit.
const FLUSH: Duration = Duration::from_millis(500);
/// Time limit for the rest of the shutdown, after --shutdown-grace.
const END: Duration = Duration::from_secs(1);

/// Serves with the options of `parsed`, which are `args` and amount to `config`.
pub(crate) fn serve(args: &Serve, parsed: &Parsed, config: Config) -> Result<(), Failure> {
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
    let engine = crate::start(&config).map_err(failure)?;
    let admin = Admin::of(config.service.traffic.clone());
    admin.ready(engine.clone());
    let mut tasks = JoinSet::new();
    serve_admin(&config, &admin, &mut tasks).await?;
    let (config_for_log, access) = (config.clone(), service.access.clone());
    let addresses = Addresses::of(&sockets).map_err(|error| SYSTEM.failure(error))?;
    let scanned = async {
        let scanned = engine.clone();
        let scanning = tokio::task::spawn_blocking(move || crate::scan(&config, &scanned));
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

fn failure(error: Error) -> Failure {
    match error {
        Error::Dataset { .. } => INPUT.failure(error),
        Error::Threads(_) | Error::Transport(_) => SYSTEM.failure(error),
        Error::Accept => SOFTWARE.failure(error),
    }
}
