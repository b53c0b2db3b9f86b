//! `client train`.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{Arg, Args};
use equibatch_cli::value::{at_least, non_zero};

use super::{CheckpointArgs, DisplayArgs, Execution, Server, TrainingSetup};
use equibatch_training::{runtime::Operators, schedule::LearningRates};

/// `client train`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Examples:
  client train                                        the server's only dataset, balanced, into a new folder below runs/
  client train --balance natural --out runs/natural   the images as they are, to compare
  client train --arch resnet18@16 --size 96 --batch-size 16 --epochs 5    a quick trial on a CPU
  client train --weights resnet34.safetensors --epochs 4 --save stage-1         a new head on a frozen body
  client train --load stage-1 --unfreeze --max-lr 1e-5..1e-2 --epochs 2         and then all of it
  client train --experiment experiment.toml --out runs/flowers                  several stages in one go
  client train --resume runs/natural                  goes on after an interruption, bit for bit")]
pub struct Train {
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
    /// What a step is made of: standard (ONNX's operators alone), fast (our own in their place, on CPUs), or auto (fast where the CPU has
    /// AVX2 or AVX-512). They differ in speed and in the last bits of the result.
    #[arg(long, value_name = "CHOICE", default_value_t = Operators::Auto)]
    pub operators: Operators,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub shown: DisplayArgs,
    /// Passes over the training images. [default: 10]
    #[arg(long, value_name = "N", value_parser = at_least(1_u32))]
    pub epochs: Option<u32>,
    /// Peak learning rate of the one-cycle schedule: 3e-3 for all layers, ..3e-3 for the head and a tenth for the rest, 1e-5..1e-2
    /// spread over the layer groups. `found` in the place of a number is the valley that --find-lr sees. [default: 3e-3]
    #[arg(long, visible_alias = "lr", value_name = "RATE", value_parser = LearningRates::checked)]
    pub max_lr: Option<String>,
    /// Before training, sweep over learning rates as `client find-lr` does, and leave the plot in the run's folder.
    #[arg(long)]
    pub find_lr: bool,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub keep: CheckpointArgs,
    /// Batches to keep ready.
    #[arg(long, value_name = "N", default_value = "3", value_parser = non_zero)]
    pub prefetch: NonZeroUsize,
    /// Train the stages of a file, one after the other: a table `[[stage]]` each, whose keys are flags of this command; keys above them
    /// hold for all stages, and what is typed wins over both. `reference` is a file that is built in: 4 epochs with a frozen body, then
    /// 2 of all of it. Each stage gets a folder in the folder for the results.
    #[arg(long, value_name = "FILE|reference", conflicts_with = "resume")]
    pub experiment: Option<PathBuf>,
    /// Train only the stage of this name or number, from 1: a run like any other, which --load begins where another one ended. Without
    /// --experiment, a stage of the reference.
    #[arg(long, value_name = "NAME|N", conflicts_with = "resume")]
    pub stage: Option<String>,
    /// Folder for the results; by default a new one below runs/.
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub out: Option<PathBuf>,
    /// When done, also write the checkpoint to this file, for --load; without an extension, it gets `.safetensors`.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Continue a run from its checkpoint, exactly as if it had not stopped. What decides its numbers is taken from there; typed
    /// again, it must be the same.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["recipe", "weights", "load"])]
    pub resume: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Connection")]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub server: Server,
}

/// What both kinds of help show first, with what `-h` says of it.
const EVERYDAY: [(&str, &str); 8] = [
    ("dataset", "Dataset; not needed if the server has one only"),
    ("balance", "Class balance, such as natural [default: oversample]"),
    ("arch", "Network, such as resnet18 [default: resnet34]"),
    (
        "weights",
        "Start from a file, hf:OWNER/NAME, or none [default: none]",
    ),
    ("size", "Height and width of the images, in pixels [default: 224]"),
    ("batch_size", "Images per step [default: 64]"),
    ("epochs", "Passes over the training images [default: 10]"),
    ("out", "Folder for the results [default: a new one below runs/]"),
];

/// What else `-h` shows. The rest is in `--help`.
const OFTEN: [(&str, &str); 11] = [
    ("device", "Compute on cpu, cuda or cuda:N"),
    (
        "recipe",
        "Augmentation, as `server recipe` lists it [default: fastai]",
    ),
    ("seed", "Seed of everything random [default: 42]"),
    ("load", "Go on where another run ended"),
    ("max_lr", "Peak learning rate, or `found` [default: 3e-3]"),
    (
        "save_best",
        "Keep the best epoch, by loss, error_rate, macro_f1, ...",
    ),
    ("experiment", "Train the stages of a file, or the reference"),
    ("resume", "Continue a run from its checkpoint"),
    ("server", "Address of the server, or several, separated by commas"),
    ("tls_ca", "Roots of the server's certificate, for https"),
    ("token_file", "Token to show to the server"),
];

/// How the help shows an option of `client train`: the everyday ones first, in `-h` few others.
pub(super) fn arranged(arg: Arg) -> Arg {
    let find = |table: &[(&str, &'static str)]| table.iter().position(|(id, _)| *id == arg.get_id().as_str());
    let everyday = find(&EVERYDAY);
    let text = everyday
        .map(|place| EVERYDAY[place].1)
        .or(find(&OFTEN).map(|place| OFTEN[place].1));
    let arg = match (everyday, arg.get_help_heading()) {
        (Some(place), _) => arg.help_heading(None::<&str>).display_order(place),
        (None, None) => arg.help_heading("Training"),
        (None, Some(_)) => arg,
    };
    match text {
        None => arg.hide_short_help(true),
        Some(text) => {
            let long = arg
                .get_long_help()
                .or(arg.get_help())
                .cloned()
                .unwrap_or_default();
            arg.help(text).long_help(long)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Arguments;

    #[test]
    fn short_help_is_a_page_with_the_everyday_options_first_and_the_connection_last() {
        let mut all = Arguments::command();
        all.build();
        let train = all.find_subcommand_mut("train").expect("there is `train`");
        let (short, long) = (
            train.render_help().to_string(),
            train.render_long_help().to_string(),
        );
        assert!(
            short.lines().count() <= 40,
            "{} lines:\n{short}",
            short.lines().count()
        );
        // What is indented further explains.
        let options = |help: &str| -> Vec<String> {
            let lines = help
                .lines()
                .filter(|line| line.len() - line.trim_start().len() <= 6);
            let words =
                lines.filter_map(|line| line.split([' ', '[', '=']).find(|word| word.starts_with("--")));
            words
                .map(|word| word.trim_start_matches('-').replace('-', "_"))
                .collect()
        };
        for help in [&short, &long] {
            assert_eq!(
                options(help)[..8],
                EVERYDAY.map(|(id, _)| id.to_owned()),
                "{help}"
            );
            let headings = help
                .lines()
                .filter(|line| !line.starts_with(' ') && line.ends_with(':'));
            let headings: Vec<&str> = headings.filter(|line| *line != "Examples:").collect();
            assert_eq!(headings.last(), Some(&"Connection:"), "{help}");
        }
        let shown = options(&short);
        assert!(
            OFTEN
                .iter()
                .all(|(id, _)| shown.iter().any(|option| option == id)),
            "{short}"
        );
        // Nothing is lost where all of it is asked for.
        for arg in train.get_arguments().filter_map(Arg::get_long) {
            assert!(long.contains(&format!("--{arg}")), "{arg}");
        }
    }
}
