//! Networks by name or from an ONNX file.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{
    learner::Error,
    network,
    run::{RunConfig, expression},
};
use equibatch_training::program::{
    self, Backbone, Classifier, Head, LastLayer, ModelSpec, OnnxModel, ResNet, Tensor, UnknownHead,
};

/// Value of `--head` for a network from a file: its last linear layer, detected automatically.
pub const AUTO_HEAD: &str = "own";

/// The model specification of a run.
///
/// # Errors
///
/// [`Error::Setting`] if the network, its head or its image size is invalid; [`Error::Network`] if its file cannot be used.
pub fn spec(config: &RunConfig) -> Result<ModelSpec, Error> {
    let image_size = config.image_size as usize;
    let classes = config.classes.len();
    if !config.network_hash.is_empty() {
        let network = with_head(
            network::read_as(Path::new(&config.arch), &config.network_hash)?,
            config,
        )?;
        if let Some(size) = network.image_size().filter(|&size| size != image_size) {
            let reason = format!(
                "--size {image_size}: the network in {} takes images of {size} pixels",
                config.arch
            );
            return Err(Error::Setting { reason });
        }
        return Ok(ModelSpec::Classifier(Classifier {
            network: Arc::new(network),
            classes,
            image_size,
        }));
    }
    Ok(ModelSpec::ResNet(ResNet {
        backbone: backbone(&config.arch)?,
        head: head(&config.head)?,
        classes,
        image_size,
    }))
}

/// The network with its head selected by the regular expression `head`.
fn with_head(network: OnnxModel, config: &RunConfig) -> Result<OnnxModel, Error> {
    let RunConfig { head, arch, .. } = config;
    if head == AUTO_HEAD {
        return Ok(network);
    }
    let setting = |reason: String| Error::Setting {
        reason: format!("--head {head}: {reason}"),
    };
    if let Some(scale) = cosine_scale(head) {
        let cosine = network.with_cosine_head(scale);
        return cosine.ok_or_else(|| setting(format!("the last layer of {arch} is not linear")));
    }
    let expression = expression(head).map_err(setting)?;
    let named = network.with_head(|name| expression.is_match(name));
    named.ok_or_else(|| setting(format!("no tensor name of {arch} matches")))
}

/// Whether the last layer of a network from a file is reinitialised because the number of classes differs.
///
/// # Errors
///
/// Those of [`spec`].
pub fn has_new_head(config: &RunConfig) -> Result<bool, Error> {
    let logits = match spec(config)? {
        ModelSpec::Classifier(Classifier { network, .. }) => network.logits(),
        ModelSpec::ResNet(_) | ModelSpec::Graph(_) | ModelSpec::Head(_) | ModelSpec::ClassScales(_) => None,
    };
    Ok(logits.is_some_and(|logits| logits != config.classes.len()))
}

/// The backbone called `name`: `resnet34`, or a narrower one for quick trials: `resnet34@16` has 16 channels in its first stage instead of
/// 64.
///
/// # Errors
///
/// [`Error::Setting`] if the name is unknown or the width is not from 1 to 1024.
pub fn backbone(name: &str) -> Result<Backbone, Error> {
    let setting = |reason: String| Error::Setting { reason };
    let (name, width) = name
        .split_once('@')
        .map_or((name, None), |(name, width)| (name, Some(width)));
    let backbone: Backbone = name.parse().map_err(|error| setting(format!("{error}")))?;
    match width.map(|width| (width, width.parse())) {
        None => Ok(backbone),
        Some((_, Ok(width @ 1..=1024))) => Ok(Backbone { width, ..backbone }),
        Some((width, _)) => Err(setting(format!(
            "invalid width `{width}`: expected 1 to 1024 channels"
        ))),
    }
}

/// The head called `name`.
///
/// # Errors
///
/// [`Error::Setting`] if the name is unknown.
pub fn head(name: &str) -> Result<Head, Error> {
    name.parse().map_err(|error: UnknownHead| Error::Setting {
        reason: error.to_string(),
    })
}

/// The linear layer that computes the logits of a run's network.
///
/// # Errors
///
/// Those of [`spec`], and [`Error::Setting`] if the last layer is not linear.
pub fn last_layer(config: &RunConfig) -> Result<LastLayer, Error> {
    program::last_layer(&spec(config)?).ok_or_else(|| Error::Setting {
        reason: format!("the last layer of {} is not linear", config.arch),
    })
}

/// The factor of the cosines that are the logits of a head of this name, which any network may have; `None` if they are others.
#[must_use]
pub fn cosine_scale(head: &str) -> Option<f32> {
    match head.parse() {
        Ok(Head::Cosine { scale }) => Some(scale),
        _ => None,
    }
}

/// Name of the architecture whose backbone has exactly the names and shapes of `tensors`, heads excluded; `None` if no architecture
/// matches.
#[must_use]
pub fn arch_that_fits(config: &RunConfig, tensors: &BTreeMap<String, Tensor>) -> Option<String> {
    let is_body = |name: &str| !name.starts_with("fc.") && !name.starts_with("head.");
    let fits = |name: &&str| {
        let arch = (*name).to_owned();
        let named = RunConfig {
            arch,
            network_hash: String::new(),
            ..config.clone()
        };
        let shapes = spec(&named).and_then(|spec| Ok(program::state_shapes(&spec)?));
        shapes.is_ok_and(|shapes| {
            let mut body = shapes.iter().filter(|(name, _)| is_body(name));
            let found = |name| tensors.get(name).map(|tensor: &Tensor| &tensor.shape);
            body.all(|(name, shape)| found(name) == Some(shape))
                && tensors
                    .keys()
                    .all(|name| !is_body(name) || shapes.contains_key(name))
        })
    };
    Backbone::names().find(fits).map(str::to_owned)
}
