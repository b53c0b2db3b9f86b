//! Reloading the configuration on SIGHUP.

use tokio::signal::unix::Signal;

use crate::command::exit::{self, Failure, USAGE};
use crate::{
    args::{Command, file},
    config::Config,
    service::Access,
    telemetry::FilterHandle,
};

/// Options that can be reloaded. Token and certificate files are read again as well.
const LIVE: [&str; 5] = ["log", "tokens", "tls-cert", "tls-key", "tls-client-ca"];

/// On each SIGHUP, reloads the configuration file and the files of `access`. `options` are the options in force, as of
/// [`file::Parsed::to_toml`]. Changed options that need a restart are logged. An invalid configuration changes nothing.
pub(crate) async fn at(mut hangups: Signal, options: String, access: Access, filter_handle: FilterHandle) {
    let mut held = options;
    while hangups.recv().await.is_some() {
        match reload(&mut held, &access, &filter_handle) {
            Ok(rest) if rest.is_empty() => tracing::info!("configuration reloaded"),
            Ok(rest) => tracing::warn!(
                options = rest.join(", "),
                "configuration reloaded; these options need a restart"
            ),
            Err(failure) => tracing::error!(
                error = format!("{:#}", failure.error()),
                "cannot reload the configuration; the previous one stays in force"
            ),
        }
    }
}

/// Applies the options that can be reloaded and records them in `held`; returns the changed options that need a restart.
fn reload(held: &mut String, access: &Access, filter_handle: &FilterHandle) -> Result<Vec<String>, Failure> {
    let parsed = file::parse()?;
    let Command::Serve(args) = &parsed.arguments.command else {
        unreachable!("the command line is that of `serve`");
    };
    let config = Config::try_from(&**args).map_err(|error| exit::usage_error(error, parsed.file.as_ref()))?;
    filter_handle
        .set(&args.log)
        .map_err(|error| USAGE.failure(error))?;
    let closed = access.reload(&config.access);
    let found = parsed.to_toml();
    let mut rest = vec![];
    let mut kept = String::new();
    // Both list the same options in the same order.
    for (old, new) in held.lines().zip(found.lines()) {
        let name = name(new);
        let is_live = LIVE.contains(&name) && !closed.contains(&name);
        if old != new && !is_live {
            rest.push(name.to_owned());
        }
        kept.push_str(if is_live { new } else { old });
        kept.push('\n');
    }
    *held = kept;
    Ok(rest)
}

/// The option name of a line `name = value`, or `# name =` if it has no value.
fn name(line: &str) -> &str {
    let line = line.strip_prefix("# ").unwrap_or(line);
    line.split(" =").next().unwrap_or(line)
}
