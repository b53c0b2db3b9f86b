//! Servers and credentials.

use std::{fs, path::Path, time::Duration};

use equibatch_stream::{Credentials, RetryPolicy, Servers, Token};

use super::usage_error::UsageError;
use crate::args::Server;

/// Connects to the servers.
///
/// # Errors
///
/// Those of [`Servers::open_with`]; [`UsageError`] if a credential file cannot be read.
pub fn servers(server: &Server) -> anyhow::Result<Servers> {
    let retry_policy = RetryPolicy {
        retry_for: Duration::from_secs(server.retry_for),
        stall: Duration::from_secs(server.stall_timeout),
    };
    let servers = Servers::open_with(&server.server, retry_policy, &credentials(server)?)?;
    let servers = servers.weighing(server.weight);
    Ok(if server.no_shared_memory {
        servers.without_shared_memory()
    } else {
        servers
    })
}

fn credentials(server: &Server) -> Result<Credentials, UsageError> {
    let token = match &server.token_file {
        Some(path) => Some(String::from_utf8_lossy(&read("--token-file", path)?).into_owned()),
        None => Server::token_from_env(),
    };
    let token = token.map(|text| {
        let place = match &server.token_file {
            Some(path) => format!("--token-file {}", path.display()),
            None => "EQUIBATCH_TOKEN".to_owned(),
        };
        let problem = if text.trim().is_empty() {
            "it is empty"
        } else {
            "it has other characters or several words"
        };
        let is_no_token = || {
            UsageError(format!(
                "{place}: a token is one word of printable ASCII characters; {problem}"
            ))
        };
        Token::new(text.trim()).ok_or_else(is_no_token)
    });
    let roots = server.tls_ca.as_deref().map(|path| read("--tls-ca", path));
    let identity = match (&server.tls_cert, &server.tls_key) {
        (Some(certificate), Some(key)) => Some((read("--tls-cert", certificate)?, read("--tls-key", key)?)),
        _ => None,
    };
    Ok(Credentials {
        roots: roots.transpose()?,
        identity,
        token: token.transpose()?,
    })
}

fn read(option: &str, path: &Path) -> Result<Vec<u8>, UsageError> {
    fs::read(path).map_err(|error| UsageError(format!("{option} {}: {error}", path.display())))
}
