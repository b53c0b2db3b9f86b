//! Reading the configuration again while the server runs, at SIGHUP.

use equibatch_server::{
    args::{Command, file},
    config::Config,
    service::Access,
    telemetry::FilterHandle,
};
use tokio::signal::unix::Signal;

use crate::exit::{self, Failure, USAGE};

/// Options whose new values hold at once. The files that tokens and certificates are in are read again as well.
const LIVE: [&str; 5] = ["log", "tokens", "tls-cert", "tls-key", "tls-client-ca"];

/// At each of `hangups`, reads the command line's configuration file anew, and the files that `access` is from. `options` are all options as they
/// were, as of [`file::Parsed::to_toml`]. What does not hold before a restart is named in the log. A configuration without meaning changes nothing.
pub(crate) async fn at(mut hangups: Signal, options: String, access: Access, filter_handle: FilterHandle) {
    let mut held = options;
    while hangups.recv().await.is_some() {
        match reload(&mut held, &access, &filter_handle) {
            Ok(rest) if rest.is_empty() => tracing::info!("configuration read again"),
            Ok(rest) => tracing::warn!(
                options = rest.join(", "),
                "configuration read again; these options hold after a restart only"
            ),
            Err(failure) => tracing::error!(
                error = format!("{:#}", failure.error()),
                "configuration not read again: the earlier one holds"
            ),
        }
    }
}

/// Returns the options that differ from those `held` and need a restart; all others are as in the file now, and are held.
fn reload(held: &mut String, access: &Access, filter_handle: &FilterHandle) -> Result<Vec<String>, Failure> {
    let parsed = file::parse()?;
    let Command::Serve(args) = &parsed.arguments.command else {
        unreachable!("`serve` is what runs");
    };
    let config = Config::try_from(&**args).map_err(|error| exit::misuse(error, parsed.file.as_ref()))?;
    filter_handle
        .set(&args.log)
        .map_err(|error| USAGE.failure(error))?;
    let closed = access.reload(&config.access);
    let found = parsed.to_toml();
    let mut rest = vec![];
    let mut kept = String::new();
    // The same options in the same order.
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

/// The option of a line `name = value`, or of `# name =`, which has none.
fn name(line: &str) -> &str {
    let line = line.strip_prefix("# ").unwrap_or(line);
    line.split(" =").next().unwrap_or(line)
}
