//! Configuration: command-line arguments merged with the settings of a run or the defaults.

mod checks;
mod servers;
mod settings;
mod usage_error;

pub use checks::{
    check_head, check_head_steps, check_loss_and_optimizer, check_precision, check_typed, new_folder,
};
pub use servers::servers;
pub use settings::{
    apply_args, apply_setup_args, conflicts, resume_conflicts, session_options, training_options,
};
pub use usage_error::UsageError;

#[cfg(test)]
mod tests;
