//! Settings of runs and sessions.

use equibatch_training::runtime::{Operators, SessionOptions};

use crate::{
    args::{CheckpointArgs, Execution, Train, TrainingSetup},
    learn::{
        architecture::AUTO_HEAD,
        network::{NetworkFile, Normalization},
        run::RunConfig,
    },
};

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
    if let Some(NetworkFile {
        path,
        hash,
        normalization,
    }) = &network.model
    {
        if let Some(Normalization { mean, std }) = normalization {
            config.mean = images.mean.unwrap_or(*mean);
            config.std = images.std.unwrap_or(*std);
        }
        path.clone_into(&mut config.arch);
        hash.clone_into(&mut config.network_hash);
        config.head = network.head.clone().unwrap_or_else(|| AUTO_HEAD.to_owned());
    } else if network.arch.is_some() {
        config.network_hash.clear();
    }
    put(&mut config.weight_decay, network.weight_decay.as_ref());
    put(&mut config.frozen, network.frozen().as_ref());
    config.freeze_norms = network.freeze_norms || config.freeze_norms && !network.unfreeze;
    let loss = &mut config.loss;
    put(&mut loss.label_smoothing, objective.label_smoothing.as_ref());
    put(&mut loss.class_weights, objective.class_weights.as_ref());
    put(&mut loss.focal, objective.focal.as_ref());
    put(&mut loss.logit_adjust, objective.logit_adjust.as_ref());
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
    conflicts(config, |typed| apply_args(args, typed))
}

/// Describes the settings of `config` that `apply` changes, as far as they affect the results; empty if none.
#[must_use]
pub fn conflicts(config: &RunConfig, apply: impl FnOnce(&mut RunConfig)) -> String {
    let mut typed = config.clone();
    apply(&mut typed);
    // May change, since it does not affect the results.
    typed.policy.checkpoint_every = config.policy.checkpoint_every;
    config.differences(&typed)
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
