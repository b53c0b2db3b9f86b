//! What is meant: the typed arguments with the run's or the default values in the gaps.

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    args::{Execution, Server, Train},
    learn::run::RunConfig,
    runtime::SessionOptions,
    stream::{Balance, Credentials, Patience, Servers, Token},
};

/// The command line asks for something that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// What a new run is made of. [`TrainSettings::default`] holds the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSettings {
    /// Name of the network.
    pub arch: String,
    /// Passes over the training images.
    pub epochs: u32,
    /// Peak learning rate.
    pub max_lr: String,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Images per step.
    pub batch_size: u32,
    /// Pixels.
    pub size: u32,
    /// How often each class is drawn.
    pub balance: Balance,
    /// Augmentation, in the server's text form; empty: the server's default.
    pub recipe: String,
    /// Seed.
    pub seed: u64,
}

impl Default for TrainSettings {
    /// Those of [`RunConfig`].
    fn default() -> Self {
        let default = RunConfig::default();
        Self {
            arch: default.arch,
            epochs: default.epochs,
            max_lr: default.max_lr,
            weight_decay: default.weight_decay,
            batch_size: default.batch_size,
            size: default.image_size,
            balance: default.balance,
            recipe: default.recipe,
            seed: default.seed,
        }
    }
}

impl TrainSettings {
    /// The typed values, with defaults in the gaps.
    #[must_use]
    pub fn from_args(args: &Train) -> Self {
        let default = Self::default();
        Self {
            arch: args.arch.clone().unwrap_or(default.arch),
            epochs: args.epochs.unwrap_or(default.epochs),
            max_lr: args.max_lr.clone().unwrap_or(default.max_lr),
            weight_decay: args.weight_decay.unwrap_or(default.weight_decay),
            batch_size: args.batch_size.unwrap_or(default.batch_size),
            size: args.size.unwrap_or(default.size),
            balance: args.balance.unwrap_or(default.balance),
            recipe: args.recipe.clone().unwrap_or(default.recipe),
            seed: args.seed.unwrap_or(default.seed),
        }
    }
}

/// Names what was typed otherwise than the run to resume was started with; empty where nothing was.
#[must_use]
pub fn contradictions(args: &Train, config: &RunConfig) -> String {
    fn differing<T: PartialEq + Display>(flag: &str, typed: Option<&T>, of_run: &T) -> Option<String> {
        typed
            .filter(|typed| *typed != of_run)
            .map(|typed| format!("it was started with {flag} {of_run}, not {typed}"))
    }
    let found = [
        differing("--dataset", args.dataset.as_ref(), &config.dataset),
        differing("--arch", args.arch.as_ref(), &config.arch),
        differing("--epochs", args.epochs.as_ref(), &config.epochs),
        differing("--max-lr", args.max_lr.as_ref(), &config.max_lr),
        differing("--weight-decay", args.weight_decay.as_ref(), &config.weight_decay),
        differing("--batch-size", args.batch_size.as_ref(), &config.batch_size),
        differing("--size", args.size.as_ref(), &config.image_size),
        differing("--balance", args.balance.as_ref(), &config.balance),
        differing("--seed", args.seed.as_ref(), &config.seed),
    ];
    found.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Connects to the servers.
///
/// # Errors
///
/// Those of [`Servers::open_with`], and [`UsageError`] where a file cannot be read.
pub fn servers(server: &Server) -> anyhow::Result<Servers> {
    let patience = Patience {
        retry_for: Duration::from_secs(server.retry_for),
        stall: Duration::from_secs(server.stall_timeout),
    };
    Ok(Servers::open_with(
        &server.server,
        patience,
        &credentials(server)?,
    )?)
}

fn credentials(server: &Server) -> Result<Credentials, UsageError> {
    let token = match &server.token_file {
        Some(path) => Some(String::from_utf8_lossy(&read("--token-file", path)?).into_owned()),
        None => Server::token_of_the_environment(),
    };
    let token = token.map(|text| {
        let is_no_token = || UsageError("a token is one word of printable ASCII characters".to_owned());
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

/// How models run.
#[must_use]
pub fn session_options(execution: &Execution) -> SessionOptions {
    SessionOptions {
        device: execution.device,
        intra_threads: execution.threads,
        ..SessionOptions::default()
    }
}

/// The first folder `runs/DATASET-BALANCE`, `runs/DATASET-BALANCE-2`, ... that does not exist yet.
#[must_use]
pub fn new_run_folder(dataset: &str, balance: Balance) -> PathBuf {
    let name = format!("{dataset}-{balance}").replace([':', '/', '\\'], "-");
    let folder = |number: u32| {
        let suffix = if number > 1 {
            format!("-{number}")
        } else {
            String::new()
        };
        Path::new("runs").join(format!("{name}{suffix}"))
    };
    (1..)
        .map(folder)
        .find(|path| !path.exists())
        .expect("there are more numbers than folders")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Arguments, Command};

    fn train(arguments: &[&str]) -> Train {
        let arguments = ["client", "train"].iter().chain(arguments);
        match Arguments::try_parse_from(arguments)
            .expect("valid arguments")
            .command
        {
            Command::Train(train) => *train,
            other => panic!("{other:?}"),
        }
    }

    fn config() -> RunConfig {
        RunConfig {
            epochs: 10,
            batch_size: 64,
            ..crate::learn::run::tests::config()
        }
    }

    #[test]
    fn gaps_are_filled_with_defaults() {
        let settings = TrainSettings::from_args(&train(&["--epochs", "3", "--balance", "natural"]));
        let expected = TrainSettings {
            epochs: 3,
            balance: Balance::Natural,
            ..TrainSettings::default()
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn a_resumed_run_may_not_change_what_decides_its_numbers() {
        let args = train(&[
            "--resume",
            "x",
            "--arch",
            "resnet34",
            "--epochs",
            "10",
            "--batch-size",
            "8",
            "--device",
            "cpu",
        ]);
        let expected =
            "it was started with --arch resnet18, not resnet34; it was started with --batch-size 64, not 8";
        assert_eq!(contradictions(&args, &config()), expected);
        assert_eq!(
            contradictions(&train(&["--resume", "x", "--server", "b:1"]), &config()),
            ""
        );
    }

    #[test]
    fn nonsense_is_refused_while_it_is_read() {
        for arguments in [
            ["--epochs", "0"],
            ["--size", "16"],
            ["--balance", "fair"],
            ["--max-lr", "0"],
            ["--device", "gpu"],
            ["--batch-size", "1"],
        ] {
            let all = ["client", "train"].into_iter().chain(arguments);
            let message = Arguments::try_parse_from(all).expect_err("refused").to_string();
            assert!(message.contains(arguments[0]), "{message}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
