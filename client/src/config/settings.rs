//! Settings of runs and sessions.

use equibatch_training::runtime::{Operators, SessionOptions};

use crate::{
    args::{CheckpointArgs, Execution, OptimizerArgs, Smoothing, Train, TrainingSetup},
    learn::{
        architecture::AUTO_HEAD,
        network::{NetworkFile, Normalization},
        run::{HeadSteps, RunConfig},
    },
};

/// Default number of epochs with --head-steps: views of an image, each with another augmentation.
const EPOCHS_OF_FEATURES: u32 = 4;

/// Overrides `config` with the given arguments. The initial weights are not part of it.
pub fn apply_args(args: &Train, config: &mut RunConfig) {
    let is_default = config.epochs == RunConfig::default().epochs;
    if args.head_steps.is_some_and(|steps| steps != HeadSteps::None)
        && config.head_steps.is_none()
        && is_default
    {
        config.epochs = EPOCHS_OF_FEATURES;
    }
    config.head_steps = args.head_steps.or(config.head_steps);
    put(&mut config.head_fit, args.head_fit.as_ref());
    config.reset_head |= args.reset_head;
    config.reestimate_norms |= args.reestimate_norms;
    put(&mut config.epochs, args.epochs.as_ref());
    put(&mut config.optimizer.schedule, args.schedule.as_ref());
    put(&mut config.optimizer.warmup_epochs, args.warmup_epochs.as_ref());
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
    // After the optimizer, which has a default of its own.
    put(&mut config.max_lr, args.max_lr.as_ref());
}

/// The part of [`apply_args`] that all training commands share.
pub fn apply_setup_args(args: &TrainingSetup, config: &mut RunConfig) {
    let TrainingSetup {
        images,
        network,
        objective,
        optimizer,
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
    put(&mut config.head_init, network.head_init.as_ref());
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
    put(&mut config.frozen, network.frozen().as_ref());
    config.freeze_norms = network.freeze_norms || config.freeze_norms && !network.unfreeze;
    let loss = &mut config.loss;
    if let Some(Smoothing { head, tail }) = objective.label_smoothing {
        (loss.label_smoothing, loss.tail_smoothing) = (head, tail);
    }
    put(&mut loss.class_weights, objective.class_weights.as_ref());
    put(&mut loss.weights_from, objective.class_weights_from.as_ref());
    put(&mut loss.ldam, objective.ldam.as_ref());
    put(&mut loss.focal, objective.focal.as_ref());
    put(&mut loss.logit_adjust, objective.logit_adjust.as_ref());
    put(&mut config.accumulate, objective.accumulate.as_ref());
    config.clip_norm = objective.clip_norm.or(config.clip_norm);
    config.ema = objective.ema.or(config.ema);
    put(&mut config.precision, objective.precision.as_ref());
    apply_optimizer_args(optimizer, config);
}

/// Another optimizer than that of `config` starts from its own defaults.
fn apply_optimizer_args(args: &OptimizerArgs, config: &mut RunConfig) {
    let optimizer = &mut config.optimizer;
    if let Some(name) = args.optimizer.filter(|&name| name != optimizer.name) {
        optimizer.name = name;
        (optimizer.momentum, optimizer.nesterov, optimizer.betas) = (None, false, None);
        name.default_max_lr().clone_into(&mut config.max_lr);
        config.weight_decay = name.default_weight_decay();
    }
    put(&mut config.weight_decay, args.weight_decay.as_ref());
    optimizer.momentum = args.momentum.or(optimizer.momentum);
    optimizer.nesterov |= args.nesterov;
    optimizer.betas = args.betas.or(optimizer.betas);
    optimizer.norm_weight_decay = args.norm_weight_decay.or(optimizer.norm_weight_decay);
    optimizer.bias_weight_decay = args.bias_weight_decay.or(optimizer.bias_weight_decay);
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
        cuda_options: execution.cuda_option.clone(),
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
