//! Configuration: command-line arguments merged with the settings of a run or the defaults.

use equibatch_stream::{Credentials, RetryPolicy, Servers, Token};
use equibatch_training::{
    program::{Head, Precision},
    runtime::{Device, Operators, SessionOptions},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    args::{CheckpointArgs, Execution, Server, Train, TrainingSetup},
    learn::{architecture::AUTO_HEAD, network::NetworkFile, run::RunConfig},
};

/// A usage error: the command line is invalid.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Overrides `config` with the given arguments. The initial weights are not part of it.
pub fn apply_args(args: &Train, config: &mut RunConfig) {
    put(&mut config.epochs, args.epochs.as_ref());
    put(&mut config.max_lr, args.max_lr.as_ref());
    let CheckpointArgs {
        save_best,
        early_stopping,
        keep_checkpoints,
        checkpoint_every,
    } = &args.keep;
    put(&mut config.policy.save_best, save_best.clone().map(Some).as_ref());
    put(
        &mut config.policy.early_stopping,
        early_stopping.map(Some).as_ref(),
    );
    put(&mut config.policy.keep_checkpoints, keep_checkpoints.as_ref());
    config.policy.checkpoint_every = checkpoint_every.or(config.policy.checkpoint_every);
    apply_setup_args(&args.setup, config);
}

/// The part of [`apply_args`] that all training commands share.
pub fn apply_setup_args(args: &TrainingSetup, config: &mut RunConfig) {
    let TrainingSetup {
        images,
        network,
        objective,
    } = args;
    put(&mut config.dataset, images.dataset.as_ref());
    put(&mut config.batch_size, images.batch_size.as_ref());
    put(&mut config.image_size, images.size.as_ref());
    put(&mut config.balance, images.balance.as_ref());
    config.images_per_epoch = images.images_per_epoch.or(config.images_per_epoch);
    put(&mut config.recipe, images.recipe.as_ref());
    put(&mut config.wire, images.wire.as_ref());
    put(&mut config.mean, images.mean.as_ref());
    put(&mut config.std, images.std.as_ref());
    put(&mut config.seed, images.seed.as_ref());
    put(&mut config.arch, network.arch.as_ref());
    put(&mut config.head, network.head.as_ref());
    if let Some(NetworkFile { path, hash }) = &network.model {
        path.clone_into(&mut config.arch);
        hash.clone_into(&mut config.network_hash);
        config.head = network.head.clone().unwrap_or_else(|| AUTO_HEAD.to_owned());
    } else if network.arch.is_some() {
        config.network_hash.clear();
    }
    put(&mut config.weight_decay, network.weight_decay.as_ref());
    put(&mut config.frozen, network.frozen().as_ref());
    let loss = &mut config.loss;
    put(&mut loss.label_smoothing, objective.label_smoothing.as_ref());
    put(&mut loss.class_weights, objective.class_weights.as_ref());
    put(&mut loss.focal, objective.focal.as_ref());
    put(&mut config.accumulate, objective.accumulate.as_ref());
    config.clip_norm = objective.clip_norm.or(config.clip_norm);
    config.ema = objective.ema.or(config.ema);
    put(&mut config.precision, objective.precision.as_ref());
}

fn put<T: Clone>(value: &mut T, typed: Option<&T>) {
    if let Some(typed) = typed {
        value.clone_from(typed);
    }
}

/// Describes the arguments that differ from the settings of the run to resume; empty if none.
#[must_use]
pub fn resume_conflicts(args: &Train, config: &RunConfig) -> String {
    let mut typed = config.clone();
    apply_args(args, &mut typed);
    // May change, since it does not affect the results.
    typed.policy.checkpoint_every = config.policy.checkpoint_every;
    config.differences(&typed)
}

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

/// Session options for inference.
#[must_use]
pub fn session_options(execution: &Execution) -> SessionOptions {
    SessionOptions {
        device: execution.device,
        intra_threads: execution.threads,
        ..SessionOptions::default()
    }
}

/// Session options for training.
#[must_use]
pub fn training_options(execution: &Execution, operators: Operators) -> SessionOptions {
    SessionOptions {
        operators,
        ..session_options(execution)
    }
}

/// Checks that the device supports the precision.
///
/// # Errors
///
/// [`UsageError`] for reduced precision on a CPU.
pub fn check_precision(precision: Precision, device: Device) -> Result<(), UsageError> {
    if precision == Precision::F32 || device != Device::Cpu {
        return Ok(());
    }
    Err(UsageError(format!(
        "--precision {precision} needs --device cuda: on a CPU, only f32 is supported"
    )))
}

/// Checks the head of a built-in network.
///
/// # Errors
///
/// [`UsageError`] if the head is unknown.
pub fn check_head(config: &RunConfig) -> Result<(), UsageError> {
    if config.network_hash.is_empty() {
        let head: Result<Head, _> = config.head.parse();
        head.map_err(|error| UsageError(format!("--head: {error}")))?;
    }
    Ok(())
}

/// The first folder of `runs/NAME`, `runs/NAME-2`, ... that does not exist.
#[must_use]
pub fn new_folder(name: &str) -> PathBuf {
    let name = name.replace([':', '/', '\\'], "-");
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
        .expect("the numbers are unbounded")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Arguments, Command};
    use crate::learn::run::Frozen;
    use equibatch_stream::Balance;

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
            ..crate::learn::run::sample()
        }
    }

    #[test]
    fn arguments_override_the_configuration() {
        let mut config = config();
        apply_args(
            &train(&[
                "--epochs",
                "3",
                "--balance",
                "natural",
                "--head=plain",
                "--freeze",
            ]),
            &mut config,
        );
        let expected = RunConfig {
            epochs: 3,
            balance: Balance::Natural,
            head: "plain".to_owned(),
            frozen: Frozen::Body(true),
            ..self::config()
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn freeze_and_unfreeze_conflict() {
        let frozen = |arguments: &[&str]| train(arguments).setup.network.frozen();
        assert_eq!(frozen(&[]), None);
        assert_eq!(frozen(&["--freeze"]), Some(Frozen::Body(true)));
        assert_eq!(frozen(&["--freeze=false"]), Some(Frozen::Body(false)));
        assert_eq!(frozen(&["--unfreeze"]), Some(Frozen::Body(false)));
        let matching = Frozen::Matching("^layer[12]".to_owned());
        assert_eq!(frozen(&["--freeze=^layer[12]"]), Some(matching));
        for both in [["--freeze", "--unfreeze"], ["--unfreeze", "--freeze=false"]] {
            let all = ["client", "train"].into_iter().chain(both);
            let message = Arguments::try_parse_from(all).expect_err("refused").to_string();
            assert!(
                message.contains("--freeze") && message.contains("--unfreeze"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_resumed_run_keeps_the_settings_that_affect_its_results() {
        let args = train(&[
            "--resume",
            "x",
            "--arch",
            "resnet34",
            "--batch-size",
            "8",
            "--device",
            "cpu",
        ]);
        let expected = "arch was \"resnet18\", now \"resnet34\"; batch_size was 64, now 8";
        assert_eq!(resume_conflicts(&args, &config()), expected);
        assert_eq!(
            resume_conflicts(&train(&["--resume", "x", "--server", "b:1"]), &config()),
            ""
        );
    }

    #[test]
    fn reduced_precision_needs_cuda() {
        for precision in [Precision::Tf32, Precision::Bf16, Precision::F16] {
            let message = check_precision(precision, Device::Cpu)
                .expect_err("refused")
                .to_string();
            assert!(
                message.contains("--device cuda") && message.contains("only f32"),
                "{message}"
            );
            assert!(check_precision(precision, Device::Cuda { index: 1 }).is_ok());
        }
        assert!(check_precision(Precision::F32, Device::Cpu).is_ok());
    }

    #[test]
    fn invalid_values_are_refused_by_the_parser() {
        for arguments in [
            ["--epochs", "0"],
            ["--size", "16"],
            ["--balance", "fair"],
            ["--max-lr", "0"],
            ["--device", "gpu"],
            ["--batch-size", "1"],
            ["--arch", "resnet35"],
            ["--head", "wide("],
            ["--weights", "hf:a//b"],
            ["--weight-decay", "-1"],
        ] {
            let all = ["client", "train"].into_iter().chain(arguments);
            let message = Arguments::try_parse_from(all).expect_err("refused").to_string();
            assert!(message.contains(arguments[0]), "{message}");
            assert!(!message.contains("unexpected argument"), "{message}");
        }
        for (arguments, expected) in [
            (["--epochs", "0"], "expected a whole number of at least 1"),
            (["--epochs", "-1"], "expected a whole number of at least 1"),
            (["--size", "16"], "expected a whole number of at least 32"),
            (["--threads", "0"], "expected a whole number of at least 1"),
            (["--lr", "-1"], "above 0"),
        ] {
            let all = ["client", "train"].into_iter().chain(arguments);
            let message = Arguments::try_parse_from(all).expect_err("refused").to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    /// Built-in networks have two heads; the head of an imported network is a regular expression.
    #[test]
    fn a_head_fits_its_network() {
        let named = |hash: &str| RunConfig {
            head: "wide".to_owned(),
            network_hash: hash.to_owned(),
            ..config()
        };
        let message = check_head(&named("")).expect_err("refused").to_string();
        assert_eq!(message, "--head: unknown head `wide`: expected fastai or plain");
        assert!(check_head(&named("00ff")).is_ok() && check_head(&config()).is_ok());
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
