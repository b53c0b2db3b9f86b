use std::{
    fs,
    io::{self, Write as _},
};

use anyhow::Context as _;

use super::exit::{Failure, INPUT, SYSTEM, UNAVAILABLE, USAGE};
use super::health_check::{HealthError, check_health};
use crate::args::Health;

/// Queries the health service of a running server.
pub(crate) fn health(args: &Health) -> Result<(), Failure> {
    let ca = match &args.tls_ca {
        Some(path) => {
            let read = fs::read(path).with_context(|| format!("cannot read {}", path.display()));
            Some(read.map_err(|error| INPUT.failure(error))?)
        }
        None => None,
    };
    check_health(&args.address, ca.as_deref()).map_err(|error| match error {
        HealthError::Address(_) => USAGE.failure(error),
        HealthError::Threads(_) => SYSTEM.failure(error),
        _ => UNAVAILABLE.failure(error),
    })?;
    writeln!(io::stdout(), "serving").map_err(|error| SYSTEM.failure(error))
}
