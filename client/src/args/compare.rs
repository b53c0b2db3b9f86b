use clap::Args;
use equibatch_cli::value::within;

use super::Train;
use crate::learn::compare::OwnArm;
use equibatch_stream::Split;

/// `client compare`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  client compare --repeats 5 --out runs/compare                              natural and balanced sampling, with five seeds
  client compare --arms natural,natural+prior,oversample,weighted,adjusted   and the same model with equal class frequencies, class weights, adjusted logits
  client compare --arms natural,stages.toml --arm focal='--balance natural --focal 2'    an experiment file, and flags of `client train`
  client compare --arms natural,power:0.5 --split test --epochs 5 --json     partial balancing, on the test split, as JSON")]
pub struct Compare {
    /// Arms to compare, comma-separated. An arm is flags of `client train` that are added to those of this command: a class balance (natural,
    /// oversample, undersample, power:X, effective:BETA), weighted (natural with --class-weights inverse; also weighted:effective:BETA), adjusted
    /// (natural with --logit-adjust 1; also adjusted:TAU), deferred (natural, then oversample; also deferred:FRACTION), crt, lws or tau-norm (built-in
    /// experiments), a name of --arm, or an experiment file (FILE.toml). +frozen adds --freeze=all, +probe --freeze=all --head-steps auto, +cosine
    /// --head cosine:10, and +fine-tuned --unfreeze --freeze-norms --max-lr ..1e-3. +prior and +tta evaluate the same models as
    /// `client evaluate` with --prior uniform and --tta, without training them again. The first arm is the baseline of the tests. All arms train for
    /// the same number of steps: images per epoch are those of the longest, or --images-per-epoch.
    #[arg(
        long,
        value_name = "ARM,...",
        value_delimiter = ',',
        default_value = "natural,oversample"
    )]
    pub arms: Vec<String>,
    /// An arm of your own, by flags of `client train`, such as focal='--balance natural --focal 2'. May be repeated. Added to --arms, unless
    /// that names it.
    #[arg(long, value_name = "NAME=FLAGS")]
    pub arm: Vec<OwnArm>,
    /// Runs per arm, with seeds --seed, --seed + 1, and so on, from 1 to 1000. The split is the same for all.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = within(1..=1000_u32))]
    pub repeats: u32,
    /// Cross-validation instead of one validation split: train and valid images are divided into five folds, and each is evaluated by a model
    /// that was trained on the other four. Five trainings per run.
    #[arg(long)]
    pub folds: bool,
    /// Split to evaluate on: valid or test.
    #[arg(long, value_name = "SPLIT", default_value_t = Split::Valid)]
    pub split: Split,
    /// Print the comparison as JSON instead of tables.
    #[arg(long)]
    pub json: bool,
    /// How the arms are trained.
    #[command(flatten)]
    pub train: Train,
}
