//! `client find-lr`.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;
use equibatch_cli::value::{at_least, non_zero};

use super::{Execution, Server, TrainingSetup};
use crate::learn::finder::Range;
use equibatch_training::runtime::Operators;

/// `client find-lr`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client find-lr --weights resnet34.safetensors       for the new head of a frozen body
  client find-lr --load stage-1 --unfreeze            for all of it, after a first stage; stage-1 stays as it is
  client find-lr --load runs/flowers --json | jq .suggestions.valley")]
pub struct FindLr {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub server: Server,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub execution: Execution,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub setup: TrainingSetup,
    /// The first learning rate.
    #[arg(long, value_name = "RATE", default_value_t = Range::default().start, value_parser = rate)]
    pub start_lr: f64,
    /// The learning rate that would follow the last.
    #[arg(long, value_name = "RATE", default_value_t = Range::default().end, value_parser = rate)]
    pub end_lr: f64,
    /// How many to try, one a step.
    #[arg(long, value_name = "N", default_value_t = Range::default().steps, value_parser = at_least(1_u64))]
    pub steps: u64,
    /// Go on where the smoothed loss is more than four times its least value, or no number.
    #[arg(long)]
    pub no_stop: bool,
    /// What a step is made of, as for `client train`.
    #[arg(long, value_name = "CHOICE", default_value_t = Operators::Auto)]
    pub operators: Operators,
    /// Batches to keep ready.
    #[arg(long, value_name = "N", default_value = "3", value_parser = non_zero)]
    pub prefetch: NonZeroUsize,
    /// Folder for the plot and the figures; by default a new one below runs/.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print every step and the suggestions as one JSON object.
    #[arg(long)]
    pub json: bool,
}

impl FindLr {
    /// Which learning rates to try.
    #[must_use]
    pub fn range(&self) -> Range {
        Range {
            start: self.start_lr,
            end: self.end_lr,
            steps: self.steps,
            stops: !self.no_stop,
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err("it must be a number above zero".to_owned()),
    }
}
