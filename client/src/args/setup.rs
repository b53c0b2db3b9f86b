//! What is trained, and on what: shared by the commands that train.

use std::{ops::RangeInclusive, path::PathBuf};

use clap::{Args, builder::FalseyValueParser};
use equibatch_cli::value::at_least;

use super::Objective;
use crate::{
    learn::{
        architecture,
        network::NetworkFile,
        run::{Frozen, expression},
    },
    weights::{Hub, Source},
};
use equibatch_stream::{Balance, BatchDtype};

/// What is trained, and on what.
#[derive(Clone, Debug, Args)]
pub struct Setup {
    #[command(flatten, next_help_heading = "Images")]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub images: Images,
    #[command(flatten, next_help_heading = "Network")]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub network: Network,
    #[command(flatten, next_help_heading = "Loss and steps")]
    #[allow(
        missing_docs,
        reason = "a documentation comment would become the help text of the group"
    )]
    pub objective: Objective,
}

/// Which images, and how they come.
#[derive(Clone, Debug, Args)]
pub struct Images {
    /// Which dataset; not needed where the server has one only.
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Images per step; with --accumulate N, N times as many. [default: 64]
    #[arg(long, value_name = "N", value_parser = at_least(2_u32))]
    pub batch_size: Option<u32>,
    /// Height and width of the images, in pixels. [default: 224]
    #[arg(long, value_name = "PIXELS", value_parser = at_least(32_u32))]
    pub size: Option<u32>,
    /// How often each class is drawn: oversample (all classes as often as the largest), undersample, natural (as they are), power:X
    /// between natural (0) and oversample (1), effective:BETA (by the effective number of images), or weights:CLASS=W,... in these
    /// proportions. [default: oversample]
    #[arg(long, value_name = "POLICY")]
    pub balance: Option<Balance>,
    /// Images of an epoch, however many there are: classes are drawn in the same proportions, more or less often. Epochs of different
    /// policies become equally long by it. [default: what --balance makes of the images]
    #[arg(long, value_name = "N", value_parser = at_least(1_u64))]
    pub images_per_epoch: Option<u64>,
    /// Augmentation: a preset such as none, fastai, light or flip-only, parts such as 'flip rotate(10)', or both; `server recipe` lists
    /// them all. [default: fastai]
    #[arg(long, value_name = "TEXT")]
    pub recipe: Option<String>,
    /// What batches are made of on their way: f32, normalised by the server; f16, the same in half of the bytes; u8, pixels in a quarter of
    /// them, normalised by the first nodes of the training step. The last two round what comes out of augmentation, to 11 and 8 bits.
    /// [default: f32]
    #[arg(long, value_name = "TYPE")]
    pub wire: Option<BatchDtype>,
    /// Mean of each channel (red, green, blue) that pixels are normalised by, from 0 to 1, as `server stats` prints it. [default:
    /// ImageNet's, 0.485,0.456,0.406]
    #[arg(long, value_name = "R,G,B", value_parser = channels(0.0..=1.0))]
    pub mean: Option<[f32; 3]>,
    /// Standard deviation of each channel likewise. [default: ImageNet's, 0.229,0.224,0.225]
    #[arg(long, value_name = "R,G,B", value_parser = channels(1e-3..=10.0))]
    pub std: Option<[f32; 3]>,
    /// Seeds batches, augmentation, initial weights and dropout. [default: 42]
    #[arg(long, value_name = "N", value_parser = at_least(0_u64))]
    pub seed: Option<u64>,
}

/// Which network, what it starts from, and what of it is trained.
#[derive(Clone, Debug, Args)]
pub struct Network {
    /// Network: resnet18, resnet34, resnet50 or resnet101; resnet34@16 has 16 channels in its first stage instead of 64, for quick
    /// trials. [default: resnet34]
    #[arg(long, value_name = "NAME", value_parser = |name: &str| architecture::backbone(name).map(|_| name.to_owned()))]
    pub arch: Option<String>,
    /// Its last layers: fastai (maximum and mean of every map, two linear layers with batch norm and dropout) or plain (means and one
    /// linear layer, torchvision's fc). With --model, a regular expression of the names of those tensors of the file that are the head.
    /// [default: fastai; with --model, the linear layers behind the pooling]
    #[arg(long, value_name = "NAME|REGEX", value_parser = |text: &str| expression(text).map(|_| text.to_owned()))]
    pub head: Option<String>,
    /// Train the network in an ONNX file, in the place of --arch, from the weights that it holds. It takes images f32[N, 3, S, S],
    /// gives one output, and is made of operators that have a gradient here; others are named with their nodes. Its last linear layer
    /// starts anew where it has another number of classes. The file must stay where it is for as long as the run is to be continued.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["arch", "weights"])]
    pub model: Option<NetworkFile>,
    /// What the network starts from: none, a safetensors file with torchvision's, timm's or fastai's names, an ONNX model
    /// whose initialisers have them, or hf:OWNER/NAME/FILE@REVISION from the Hugging Face hub, where file and revision may be left out. The
    /// body must fit as a whole; the head is taken over where it fits too, and starts anew otherwise. [default: none]
    #[arg(long, value_name = "FILE|hf:REPO|none")]
    pub weights: Option<Source>,
    /// Go on where another run ended: its folder, or a file that --save or --save-best has written (`.safetensors` may be left out).
    /// Network, images and what is frozen are as there, unless said otherwise; the schedule starts anew.
    #[arg(long, value_name = "RUN|FILE", conflicts_with = "weights")]
    pub load: Option<PathBuf>,
    /// Train only the head and all norms, and leave the rest of the body as it is: cheaper, and safe while the head knows nothing. Or leave
    /// as they are, norms included, the parameters whose names match: --freeze='^layer1\.'. [default: with --weights, and with --model
    /// where the last layer starts anew]
    #[arg(long, value_name = "BOOL|REGEX", num_args = 0..=1, require_equals = true, default_missing_value = "true", conflicts_with = "unfreeze")]
    pub freeze: Option<Frozen>,
    /// Train everything: --freeze=false.
    #[arg(long)]
    pub unfreeze: bool,
    /// Decoupled weight decay. [default: 0.01]
    #[arg(long, value_name = "X", value_parser = decay)]
    pub weight_decay: Option<f32>,
    /// Use what was fetched from the hub before, and no network.
    #[arg(long, env = "HF_HUB_OFFLINE", value_parser = FalseyValueParser::new())]
    pub offline: bool,
    /// Folder that the hub's files are kept in, shared with its other programs. [default: ~/.cache/huggingface]
    #[arg(long, value_name = "DIR", env = "HF_HOME", hide_env_values = true)]
    pub hf_home: Option<PathBuf>,
    /// Address of another hub than the public one.
    #[arg(long, value_name = "URL", env = "HF_ENDPOINT")]
    pub hf_endpoint: Option<String>,
}

impl Network {
    /// What is to be frozen, where that was said.
    #[must_use]
    pub fn frozen(&self) -> Option<Frozen> {
        if self.unfreeze {
            return Some(Frozen::Body(false));
        }
        self.freeze.clone()
    }

    /// How to reach the hub. Its token comes from the environment: command lines are open to everybody on a machine.
    #[must_use]
    pub fn hub(&self) -> Hub {
        let usual = || std::env::home_dir().map(|home| home.join(".cache").join("huggingface"));
        Hub {
            home: self.hf_home.clone().or_else(usual),
            endpoint: self.hf_endpoint.clone(),
            offline: self.offline,
            token: std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty()),
            progress: std::io::IsTerminal::is_terminal(&std::io::stderr()),
        }
    }
}

fn decay(text: &str) -> Result<f32, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number: &f32| *number >= 0.0 && number.is_finite());
    number.ok_or_else(|| "it must be a number of at least 0".to_owned())
}

/// Reads three numbers of a range, separated by commas.
fn channels(range: RangeInclusive<f32>) -> impl Fn(&str) -> Result<[f32; 3], String> + Clone + Send + Sync {
    move |text: &str| {
        let numbers: Option<Vec<f32>> = text
            .split(',')
            .map(|number| number.trim().parse().ok().filter(|number| range.contains(number)))
            .collect();
        let three = numbers.and_then(|numbers| <[f32; 3]>::try_from(numbers).ok());
        three.ok_or_else(|| {
            format!(
                "use three numbers from {} to {}, separated by commas",
                range.start(),
                range.end()
            )
        })
    }
}
