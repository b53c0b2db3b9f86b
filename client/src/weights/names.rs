//! Maps names of ResNet tensors in other programs' files to torchvision's.

use std::collections::BTreeMap;

use equibatch_training::program::{AdamW, Sgd};

/// Prefixes that wrapper modules add.
const WRAPPERS: [&str; 4] = ["module.", "model.", "backbone.", "_orig_mod."];
/// Tensors that are not part of the network's state: batch counters.
const IGNORED_ENDS: [&str; 1] = [".num_batches_tracked"];
/// Layers of fastai's body by index.
const FASTAI_BODY: [&str; 8] = [
    "conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4",
];

/// Renames tensors to torchvision's names (fastai's head becomes `head.N`) and drops batch counters and optimizer moments.
///
/// timm's names of these networks equal torchvision's.
pub(super) fn canonical<T>(tensors: BTreeMap<String, T>) -> BTreeMap<String, T> {
    let is_read = |name: &str| !IGNORED_ENDS.iter().any(|end| name.ends_with(end)) && !is_moment(name);
    tensors
        .into_iter()
        .map(|(name, tensor)| (renamed(&name), tensor))
        .filter(|(name, _)| is_read(name))
        .collect()
}

/// Whether a tensor is the optimizer's.
#[must_use]
pub fn is_moment(name: &str) -> bool {
    let (slot, _) = name.split_once('.').unwrap_or_default();
    AdamW::SLOTS.contains(&slot) || Sgd::SLOTS.contains(&slot)
}

fn renamed(name: &str) -> String {
    let mut bare = name;
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| bare.strip_prefix(wrapper)) {
        bare = rest;
    }
    from_fastai(bare).unwrap_or_else(|| bare.to_owned())
}

/// `0.4.0.conv1.weight` is `layer1.0.conv1.weight`, and `1.8.weight` is `head.8.weight`.
fn from_fastai(name: &str) -> Option<String> {
    let (half, rest) = name.split_once('.')?;
    let (layer, field) = rest.split_once('.')?;
    match half {
        "0" => Some(format!(
            "{}.{field}",
            FASTAI_BODY.get(layer.parse::<usize>().ok()?)?
        )),
        "1" => Some(format!("head.{}.{field}", layer.parse::<usize>().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_and_fastai_names_map_to_torchvisions() {
        for (theirs, ours) in [
            ("conv1.weight", "conv1.weight"),
            ("module.layer4.2.bn2.running_var", "layer4.2.bn2.running_var"),
            ("model.backbone.fc.bias", "fc.bias"),
            ("0.0.weight", "conv1.weight"),
            ("0.1.running_mean", "bn1.running_mean"),
            ("0.7.2.downsample.0.weight", "layer4.2.downsample.0.weight"),
            ("1.8.bias", "head.8.bias"),
            ("0.9.weight", "0.9.weight"),
            ("layer1.0.conv1.weight", "layer1.0.conv1.weight"),
        ] {
            assert_eq!(renamed(theirs), ours);
        }
    }

    #[test]
    fn batch_counters_and_optimizer_moments_are_dropped() {
        let names = [
            "bn1.num_batches_tracked",
            "bn1.weight",
            "module.first_moment.bn1.weight",
            "second_moment.bn1.weight",
            "momentum_buffer.bn1.weight",
        ];
        let kept = canonical(names.map(|name| (name.to_owned(), ())).into());
        assert_eq!(kept.into_keys().collect::<Vec<_>>(), ["bn1.weight"]);
    }
}
