//! The start of a new head from the class means of the body's features.

use std::collections::HashSet;

use anyhow::{Context as _, Result};

use crate::{
    config::UsageError,
    learn::{
        architecture::{self, cosine_scale},
        card::Preprocessing,
        class_means::ClassMeans,
        init::InitialState,
        run::RunConfig,
    },
    weights::is_moment,
};
use equibatch_stream::{Balance, BatchRequest, Servers, Split};
use equibatch_training::{
    program::{self, Head, LastLayer, Tensor},
    runtime::{Classifier, Runtime, SessionOptions},
};

/// Sets the last layer of `initial` from the class means of its inputs on all training images, without augmentation.
pub(super) fn from_class_means(
    servers: &Servers,
    device: (&Runtime, &SessionOptions),
    initial: &mut InitialState,
) -> Result<()> {
    let config = &initial.config;
    if config.network_hash.is_empty() && config.head == Head::default().to_string() {
        let message = "--head-init class-means needs a head of one linear layer: --head plain or cosine, or the network of --model";
        return Err(UsageError(message.to_owned()).into());
    }
    let layer = architecture::last_layer(config)?;
    if layer.bias.is_none() && cosine_scale(&config.head).is_none() {
        let message = format!(
            "--head-init class-means needs a last layer with a bias, which {} has not, or --head cosine",
            config.arch
        );
        return Err(UsageError(message).into());
    }
    let missing = |name: &str| format!("the network has no tensor `{name}`");
    let weight = initial.state.get(&layer.weight);
    let features = weight.with_context(|| missing(&layer.weight))?.shape[1 - layer.axis];
    let means = class_means(servers, device, (initial, &layer, features))?;
    let classes = initial.config.classes.len();
    for (class, own) in means.head().into_iter().enumerate() {
        let Some((weights, own_bias)) = own else { continue };
        let tensor = initial.state.get_mut(&layer.weight);
        let weight = &mut tensor.with_context(|| missing(&layer.weight))?.data;
        for (feature, number) in weights.into_iter().enumerate() {
            let place = match layer.axis {
                0 => class * features + feature,
                _ => feature * classes + class,
            };
            weight[place] = number;
        }
        if let Some(bias) = &layer.bias {
            let tensor = initial.state.get_mut(bias);
            tensor.with_context(|| missing(bias))?.data[class] = own_bias;
        }
    }
    // The optimizer of a previous stage starts anew.
    initial.state.retain(|name, _| !is_moment(name));
    initial.config.lineage.optimizer_steps = 0;
    Ok(())
}

/// The class means of the last layer's inputs. They are read as the logits of the same network with the identity as its last layer.
fn class_means(
    servers: &Servers,
    (runtime, options): (&Runtime, &SessionOptions),
    (initial, layer, features): (&InitialState, &LastLayer, usize),
) -> Result<ClassMeans> {
    let config = &initial.config;
    let spec = architecture::spec(&RunConfig {
        classes: vec![String::new(); features],
        ..config.clone()
    })?;
    let mut state = initial.state.clone();
    for (name, shape) in program::state_shapes(&spec)? {
        if name == layer.weight {
            let is_diagonal = |place: usize| place / features == place % features;
            let data = (0..features * features).map(|place| f32::from(u8::from(is_diagonal(place))));
            let data = data.collect();
            state.insert(name, Tensor { shape, data });
        } else if Some(&name) == layer.bias.as_ref() {
            state.insert(name, Tensor::full(shape, 0.0));
        }
    }
    let model = program::inference(&spec, &state, &[])?.model;
    let mut classifier = Classifier::new(runtime, "the body", &model, options)?;
    let mut means = ClassMeans::new(config.classes.len(), features);
    let images = config
        .class_shares
        .images
        .iter()
        .copied()
        .map(u64::from)
        .sum::<u64>();
    let request = BatchRequest {
        balance: Some(Balance::Natural),
        // Only full batches are sent: the last one is filled up with images that are sent twice.
        images_per_epoch: Some(images.next_multiple_of(u64::from(config.batch_size))),
        recipe: Preprocessing::of(config).recipe(),
        normalization: Some((config.mean, config.std)),
        expected_fingerprint: config.fingerprint.clone(),
        ..BatchRequest::evaluation(
            &config.dataset,
            Split::Train,
            config.batch_size,
            config.image_size,
        )
    };
    let mut stream = servers.stream(&request, 2)?;
    let mut seen = HashSet::new();
    while let Some(batch) = stream.next_batch()? {
        let rows = classifier.logits(&batch.tensor, batch.labels.len(), config.image_size as usize)?;
        let labels = batch.samples.iter().zip(&batch.labels);
        for ((&sample, &label), row) in labels.zip(rows.chunks_exact(features)) {
            if seen.insert(sample) {
                means.add(label as usize, row);
            }
        }
    }
    tracing::info!(images = means.images(), "the head starts from class means");
    Ok(means)
}
