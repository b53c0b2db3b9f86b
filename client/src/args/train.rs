//! `client train`.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{Arg, Args};
use equibatch_cli::value::{at_least, non_zero};

use super::{CheckpointArgs, DisplayArgs, Execution, Server, TrainingSetup, number::non_negative};
use crate::learn::{
    optimizer::ScheduleName,
    run::{HeadFit, HeadSteps},
};
use equibatch_training::{runtime::Operators, schedule::LearningRates};

/// `client train`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Examples:
  client train                                        the server's only dataset, oversampled, into a new folder below runs/
  client train --balance natural --out runs/natural   without balancing, for comparison
  client train --arch resnet18@16 --size 96 --batch-size 16 --epochs 5    a quick trial on a CPU
  client train --weights resnet34.safetensors --epochs 4 --save stage-1         a new head on a frozen body
  client train --load stage-1 --unfreeze --max-lr 1e-5..1e-2 --epochs 2         then fine-tuning of all layers
  client train --experiment experiment.toml --out runs/flowers                  several stages
  client train --resume runs/natural                  continues an interrupted run, with bit-identical results")]
pub struct Train {
    /// Device and threads.
    #[command(flatten)]
    pub execution: Execution,
    /// Images, network and loss.
    #[command(flatten)]
    pub setup: TrainingSetup,
    /// Operators of the training step: standard (ONNX operators only), fast (custom operators: kernels for CPUs, cuDNN 9 on CUDA
    /// devices), or auto (fast if the CPU has AVX2 or AVX-512, or cuDNN 9 is installed). The choice affects speed and the last bits of the results.
    #[arg(long, value_name = "CHOICE", default_value_t = Operators::Auto)]
    pub operators: Operators,
    /// Metrics to display.
    #[command(flatten)]
    pub shown: DisplayArgs,
    /// Number of epochs. [default: 10; with --head-steps 4]
    #[arg(long, value_name = "N", value_parser = at_least(1_u32))]
    pub epochs: Option<u32>,
    /// Peak learning rate of the schedule: 3e-3 for all layers; ..3e-3 for the head and a tenth of it for the body; 1e-5..1e-2
    /// spread geometrically over the layer groups. `found` stands for the valley suggested by --find-lr. [default: 3e-3; with
    /// --optimizer sgd 1e-2]
    #[arg(long, visible_alias = "lr", value_name = "RATE", value_parser = LearningRates::checked)]
    pub max_lr: Option<String>,
    /// With a frozen body (--freeze): compute the features of the frozen body once for the images of all epochs, each with its own augmentation, keep them, and
    /// train the head on them for N steps of one cycle. auto fits a linear layer to its optimum (logistic regression; its L2 penalty is 0.006
    /// divided by the harmonic mean of the classes' numbers of images; the optimizer's options are unused). Of another head it trains five, for 125
    /// to 2000 steps (more if one pass takes more), and keeps the one that does best on the validation images, by balanced accuracy, of equal ones
    /// by mean loss of the classes. none: each step computes its features. [default: auto for a new head of --model, unless an option says how it
    /// is trained; otherwise none]
    #[arg(long, value_name = "N|auto|none")]
    pub head_steps: Option<HeadSteps>,
    /// With --head-steps: what of the head is fitted, to balanced batches: all of it; the scales of its classes (learnable weight scaling, LWS);
    /// or, in no steps, the tau of tau-normalisation, on the validation images. [default: all]
    #[arg(
        long,
        value_enum,
        value_name = "all|scales|tau-norm",
        hide_possible_values = true
    )]
    pub head_fit: Option<HeadFit>,
    /// With --load, or in a stage after the first: start with a new head, drawn at random, on the body of the checkpoint.
    #[arg(long)]
    pub reset_head: bool,
    /// Estimate the running statistics of the batch norms that are trained again before each evaluation, as means over batches of training
    /// images in their natural class frequencies and without augmentation, of at most 200 batches. For balanced streams.
    #[arg(long)]
    pub reestimate_norms: bool,
    /// Learning rate schedule: one-cycle (fastai's: up for 30 % of the steps and down by cosines, momentum inversely), cosine (half a cosine to 0),
    /// constant, or step:EPOCHS:GAMMA (multiplied by GAMMA after every EPOCHS epochs, counted
    /// from the end of the warm-up; GAMMA is 0.1 if omitted). [default: one-cycle]
    #[arg(long, value_name = "NAME")]
    pub schedule: Option<ScheduleName>,
    /// Epochs, or a part of one, in which the learning rate first rises linearly from 1/100; with --schedule cosine, constant or step.
    /// [default: 0]
    #[arg(long, value_name = "N", value_parser = non_negative::<f64>)]
    pub warmup_epochs: Option<f64>,
    /// Run the learning rate range test of `client find-lr` before training, and save the plot in the run's folder.
    #[arg(long)]
    pub find_lr: bool,
    /// Checkpoints and early stopping.
    #[command(flatten)]
    pub keep: CheckpointArgs,
    /// Batches to prefetch.
    #[arg(long, value_name = "N", default_value = "3", value_parser = non_zero)]
    pub prefetch: NonZeroUsize,
    /// Train the stages of a TOML file in sequence: one table `[[stage]]` each, whose keys are flags of this command. Keys above the
    /// stages apply to all stages. The command line overrides those and fills what a stage leaves open; a flag that contradicts a key which all stages
    /// have is refused. Built in are `reference` (4 epochs with a frozen body, then 2 epochs of all layers) and, for rare classes, `deferred`, natural
    /// batches and then balanced ones, or a body trained on natural batches and then: `crt`, a new head on balanced batches; `lws`, trained scales of
    /// the head's classes; `tau-norm`, weights divided by a power of their norm. Each stage has a subfolder of --out.
    #[arg(long, value_name = "FILE|NAME", conflicts_with = "resume")]
    pub experiment: Option<PathBuf>,
    /// Train only the stage with this name or number, from 1, as a single run, whose settings the command line overrides; --load starts it from another
    /// run, whose network and images it has unless given. Without --experiment, a stage of `reference`.
    #[arg(long, value_name = "NAME|N", conflicts_with = "resume")]
    pub stage: Option<String>,
    /// Folder for the results. Default: a new folder below runs/.
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub out: Option<PathBuf>,
    /// Also write the final checkpoint to this file, for --load; without an extension, `.safetensors` is appended.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Continue a run from its checkpoint, with the same results as without the interruption. Its settings are restored; settings given
    /// again must be equal.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["recipe", "weights", "load"])]
    pub resume: Option<PathBuf>,
    /// Servers and credentials.
    #[command(flatten, next_help_heading = "Connection")]
    pub server: Server,
}

/// Options that `-h` and `--help` list first, with their text in `-h`.
const EVERYDAY: [(&str, &str); 8] = [
    ("dataset", "Dataset; may be omitted if the server has only one"),
    (
        "balance",
        "Class balance [default: oversample; of pretrained networks natural, with adjusted logits]",
    ),
    ("arch", "Network, such as resnet18 [default: resnet34]"),
    (
        "weights",
        "Pretrained weights: a file, hf:OWNER/NAME or none [default: none]",
    ),
    ("size", "Height and width of the images, in pixels [default: 224]"),
    ("batch_size", "Images per step [default: 64]"),
    ("epochs", "Number of epochs [default: 10]"),
    ("out", "Folder for the results [default: a new one below runs/]"),
];

/// Further options in `-h`; all others are in `--help` only.
const OFTEN: [(&str, &str); 11] = [
    ("device", "Device: cpu, cuda or cuda:N"),
    (
        "recipe",
        "Augmentation recipe; see `server recipe` [default: fastai]",
    ),
    ("seed", "Seed of all randomness [default: 42]"),
    ("load", "Start from the checkpoint of another run"),
    ("max_lr", "Peak learning rate, or `found` [default: 3e-3]"),
    (
        "save_best",
        "Keep the best epoch by loss, error_rate, macro_f1, ...",
    ),
    (
        "experiment",
        "Train the stages of a file, or `reference`, `crt`, ...",
    ),
    ("resume", "Continue a run from its checkpoint"),
    ("server", "Address of the server, or several, comma-separated"),
    ("tls_ca", "CA certificates to verify the server by, for https"),
    ("token_file", "File with the bearer token"),
];

/// Help order and visibility of an option of `client train`: common options first, few others in `-h`.
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
    fn short_help_fits_a_page_and_lists_common_options_first() {
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
        // Lines that are indented further are descriptions.
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
        // The long help has all options.
        for arg in train.get_arguments().filter_map(Arg::get_long) {
            assert!(long.contains(&format!("--{arg}")), "{arg}");
        }
    }
}
