//! Arguments shared by the commands that train: images, network, loss.

use std::{ops::RangeInclusive, path::PathBuf};

use clap::{Args, builder::FalseyValueParser};
use equibatch_cli::value::at_least;

use super::{LossArgs, OptimizerArgs};
use crate::{
    learn::{
        architecture,
        init::HeadInit,
        network::NetworkFile,
        run::{Frozen, expression},
    },
    weights::{Hub, Source},
};
use equibatch_stream::{Balance, BatchDtype};

/// Images, network, loss and optimizer.
#[derive(Clone, Debug, Args)]
pub struct TrainingSetup {
    /// Dataset, batches and augmentation.
    #[command(flatten, next_help_heading = "Images")]
    pub images: Images,
    /// Network, initial weights and frozen parameters.
    #[command(flatten, next_help_heading = "Network")]
    pub network: Network,
    /// Loss and steps.
    #[command(flatten, next_help_heading = "Loss and steps")]
    pub objective: LossArgs,
    /// Optimizer and weight decay.
    #[command(flatten, next_help_heading = "Optimizer")]
    pub optimizer: OptimizerArgs,
}

/// Dataset, batches and augmentation.
#[derive(Clone, Debug, Args)]
pub struct Images {
    /// Dataset name; may be omitted if the server has only one.
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Images per batch; with --accumulate N, an optimizer step uses N batches. [default: 64]
    #[arg(long, value_name = "N", value_parser = at_least(2_u32))]
    pub batch_size: Option<u32>,
    /// Height and width of the images, in pixels, at least 32. [default: 224]
    #[arg(long, value_name = "PIXELS", value_parser = at_least(32_u32))]
    pub size: Option<u32>,
    /// Class balance of the train split: oversample (every class as often as the largest), undersample, natural (class frequencies of the
    /// data), power:X from 0 (natural) to 1 (oversample), effective:BETA (by the effective number of samples), repeat-factor or repeat-factor:T (rare classes
    /// sqrt(T / share) times as often), weights:CLASS=W,... (in these proportions), or a schedule over the epochs: progressive (linearly from natural
    /// to oversample), FROM>TO, or FROM>TO@FRACTION, such as 'natural>oversample@0.8' (oversample in the last 20 % of the epochs). [default:
    /// oversample; with --weights or --model natural with --logit-adjust 1, unless --class-weights, --ldam or --logit-adjust is given]
    #[arg(long, value_name = "POLICY")]
    pub balance: Option<Balance>,
    /// Images drawn per epoch, in the same class proportions, so that epochs of different --balance policies are equally long. [default:
    /// determined by --balance]
    #[arg(long, value_name = "N", value_parser = at_least(1_u64))]
    pub images_per_epoch: Option<u64>,
    /// Augmentation recipe: a preset such as none, fastai, light or flip-only, operations such as 'flip rotate(10)', or both; `server
    /// recipe` lists them. [default: fastai; with --model fastai pad]
    #[arg(long, value_name = "TEXT")]
    pub recipe: Option<String>,
    /// Element type on the wire: f32 (normalised by the server), f16 (the same, half the bytes), or u8 (pixels, a quarter of the bytes,
    /// normalised by the client). f16 and u8 round augmented pixels to 11 and 8 bits. [default: f32]
    #[arg(long, value_name = "TYPE")]
    pub wire: Option<BatchDtype>,
    /// Channel means (red, green, blue) for normalisation, from 0 to 1, as printed by `server stats`. [default: that of --model, or ImageNet's,
    /// 0.485,0.456,0.406]
    #[arg(long, value_name = "R,G,B", value_parser = channels(0.0..=1.0))]
    pub mean: Option<[f32; 3]>,
    /// Channel standard deviations for normalisation, from 0.001 to 10. [default: that of --model, or ImageNet's, 0.229,0.224,0.225]
    #[arg(long, value_name = "R,G,B", value_parser = channels(1e-3..=10.0))]
    pub std: Option<[f32; 3]>,
    /// Seed of batches, augmentation, initial weights and dropout. [default: 42]
    #[arg(long, value_name = "N", value_parser = at_least(0_u64))]
    pub seed: Option<u64>,
}

/// Network, initial weights and frozen parameters.
#[derive(Clone, Debug, Args)]
pub struct Network {
    /// Network architecture: resnet18, resnet34, resnet50 or resnet101; NAME@WIDTH sets the channels of the first stage, such as
    /// resnet34@16 (instead of 64), for quick trials. [default: resnet34]
    #[arg(long, value_name = "NAME", value_parser = |name: &str| architecture::backbone(name).map(|_| name.to_owned()))]
    pub arch: Option<String>,
    /// Classifier head: fastai (concatenated average and max pooling, two linear layers with batch norm and dropout), plain (average
    /// pooling and one linear layer, torchvision's fc), or cosine:SCALE (plain without bias: SCALE, 30 if omitted, times the cosine of features and
    /// weights). With --model, cosine:SCALE, or a regular expression that matches the parameter names of the file's head. [default: fastai; with --model, the linear layers after the pooling]
    #[arg(long, value_name = "NAME|REGEX", value_parser = |text: &str| expression(text).map(|_| text.to_owned()))]
    pub head: Option<String>,
    /// Start of the last layer: random, or class-means (the nearest class mean of the body's features, from one pass over the training images
    /// without augmentation), with --head plain or cosine, or --model. [default: random, unless loaded]
    #[arg(long, value_name = "HOW")]
    pub head_init: Option<HeadInit>,
    /// Train the network of this ONNX file, from its weights, instead of --arch. It must take images f32[N, 3, S, S] and have one output;
    /// operators without a gradient are reported with their nodes. The last linear layer is reinitialised if its number of classes
    /// differs. The file must remain in place as long as the run may be resumed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["arch", "weights"])]
    pub model: Option<NetworkFile>,
    /// Pretrained weights: a safetensors file with parameter names of torchvision, timm or fastai, an ONNX model with such initializers,
    /// hf:OWNER/NAME/FILE@REVISION on the Hugging Face hub (FILE and REVISION are optional), or none. The body must match completely; the
    /// head is loaded if it matches, and otherwise reinitialised. [default: none]
    #[arg(long, value_name = "FILE|hf:REPO|none")]
    pub weights: Option<Source>,
    /// Start from the checkpoint of another run: its folder, or a file written by --save or --save-best (`.safetensors` may be omitted).
    /// Settings of network and images and frozen parameters are taken over unless given; the schedule starts anew.
    #[arg(long, value_name = "RUN|FILE", conflicts_with = "weights")]
    pub load: Option<PathBuf>,
    /// Freeze the body, for training a new head: all of it, which a plain --freeze means (its batch norms use their running statistics), or all
    /// but-norms, as fastai does. With a regular expression, freeze the matching parameters, norms included: --freeze='^layer1\.'.
    /// [default: all with --weights; and with --model if the last layer is reinitialised]
    #[arg(long, value_name = "all|but-norms|false|REGEX", num_args = 0..=1, require_equals = true, default_missing_value = "true", conflicts_with = "unfreeze")]
    pub freeze: Option<Frozen>,
    /// Train all parameters; same as --freeze=false.
    #[arg(long)]
    pub unfreeze: bool,
    /// Freeze the norms of the body, whatever else is trained: batch norms use their running statistics, as in PyTorch's eval mode.
    #[arg(long)]
    pub freeze_norms: bool,
    /// Use only cached files of the Hugging Face hub, without network access.
    #[arg(long, env = "HF_HUB_OFFLINE", value_parser = FalseyValueParser::new())]
    pub offline: bool,
    /// Cache folder of the Hugging Face hub. [default: ~/.cache/huggingface]
    #[arg(long, value_name = "DIR", env = "HF_HOME", hide_env_values = true)]
    pub hf_home: Option<PathBuf>,
    /// URL of another hub than the public one.
    #[arg(long, value_name = "URL", env = "HF_ENDPOINT")]
    pub hf_endpoint: Option<String>,
}

impl Network {
    /// The frozen parameters, if --freeze or --unfreeze is given.
    #[must_use]
    pub fn frozen(&self) -> Option<Frozen> {
        if self.unfreeze {
            return Some(Frozen::Body(false));
        }
        self.freeze.clone()
    }

    /// Settings of the Hugging Face hub. The token comes from HF_TOKEN, since all users of a machine can see command lines.
    #[must_use]
    pub fn hub(&self) -> Hub {
        let default_home = || std::env::home_dir().map(|home| home.join(".cache").join("huggingface"));
        Hub {
            home: self.hf_home.clone().or_else(default_home),
            endpoint: self.hf_endpoint.clone(),
            offline: self.offline,
            token: std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty()),
            progress: std::io::IsTerminal::is_terminal(&std::io::stderr()),
        }
    }
}

/// Parses three comma-separated numbers within `range`.
fn channels(range: RangeInclusive<f32>) -> impl Fn(&str) -> Result<[f32; 3], String> + Clone + Send + Sync {
    move |text: &str| {
        let numbers: Option<Vec<f32>> = text
            .split(',')
            .map(|number| number.trim().parse().ok().filter(|number| range.contains(number)))
            .collect();
        let three = numbers.and_then(|numbers| <[f32; 3]>::try_from(numbers).ok());
        three.ok_or_else(|| {
            format!(
                "expected three comma-separated numbers from {} to {}",
                range.start(),
                range.end()
            )
        })
    }
}
