//! What the server says when it starts, in the log and on standard output.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
};

use equibatch_engine::{dataset::Split, pipeline::Engine};
use serde_json::json;

use crate::{
    args::LogFormat,
    config::Config,
    service::{Access, AccessFiles, socket::Sockets},
};

/// The bound addresses.
pub(crate) struct Addresses {
    /// As clients write them.
    all: Vec<String>,
    ports: Vec<SocketAddr>,
}

impl Addresses {
    pub(crate) fn of(sockets: &Sockets) -> io::Result<Self> {
        Ok(Self {
            all: sockets.addresses()?,
            ports: sockets.ports()?,
        })
    }
}

/// Logs version, resources and authentication.
pub(crate) fn log_startup(config: &Config, access: &Access) {
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
pub(crate) fn warn_of_exposure(access: &AccessFiles, addresses: &Addresses) {
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
pub(crate) fn print_ready(engine: &Engine, addresses: &Addresses, format: LogFormat) -> io::Result<()> {
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
