use std::{collections::BTreeMap, fmt::Write as _};

use super::Weights;
use equibatch_training::program::Tensor;

/// Whether the head was loaded together with the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadLoad {
    /// All head tensors were loaded.
    Loaded,
    /// The head keeps its initial values.
    New {
        /// Why the file's head was not loaded.
        reason: String,
    },
}

/// Result of [`load_state_dict()`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// Number of tensors loaded.
    pub tensors: usize,
    /// Whether the head was loaded.
    pub head: HeadLoad,
}

/// The tensors belong to another network: every difference, in one message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the weights {origin} do not fit {network}: {}", self.describe())]
pub struct Mismatch {
    /// Source of the tensors, as given by `--weights`.
    pub origin: String,
    /// Name of the architecture.
    pub network: String,
    /// Names that the network has and the file lacks.
    pub missing: Vec<String>,
    /// Names that the file has and the network lacks.
    pub unexpected: Vec<String>,
    /// Name, shape found and shape expected.
    pub shapes: Vec<(String, String, String)>,
    /// An architecture that the tensors do fit.
    pub fits: Option<String>,
}

/// Name prefixes of head tensors: torchvision's, and fastai's as renamed by `names`.
const HEADS: [&str; 2] = ["fc.", "head."];
/// Most names that an error lists per kind of difference.
const MAX_LISTED: usize = 5;

/// Copies the tensors of `weights` into `state`, the state dictionary of `network`. All body tensors must be present with equal shapes; the
/// head is loaded only if all its tensors match, and is unchanged otherwise.
///
/// # Errors
///
/// [`Mismatch`] lists every missing, unexpected or differently shaped body tensor; `state` is then unchanged.
pub fn load_state_dict(
    state: &mut BTreeMap<String, Tensor>,
    weights: Weights,
    network: &str,
) -> Result<LoadReport, Mismatch> {
    let mismatch = mismatch(state, &weights, network);
    if !mismatch.is_empty() {
        return Err(mismatch);
    }
    let head = head_load(state, &weights.tensors);
    let is_loaded = |name: &str| state.contains_key(name) && (!is_head(name) || head == HeadLoad::Loaded);
    let loaded: BTreeMap<String, Tensor> = weights
        .tensors
        .into_iter()
        .filter(|(name, _)| is_loaded(name))
        .collect();
    let tensors = loaded.len();
    state.extend(loaded);
    Ok(LoadReport { tensors, head })
}

fn is_head(name: &str) -> bool {
    HEADS.iter().any(|head| name.starts_with(head))
}

fn mismatch(state: &BTreeMap<String, Tensor>, weights: &Weights, network: &str) -> Mismatch {
    let found = &weights.tensors;
    let body = |names: &BTreeMap<String, Tensor>, other: &BTreeMap<String, Tensor>| {
        let lacking = names
            .keys()
            .filter(|name| !is_head(name) && !other.contains_key(*name));
        lacking.cloned().collect()
    };
    let shapes = state
        .iter()
        .filter(|(name, _)| !is_head(name))
        .filter_map(|(name, own)| {
            let theirs = found.get(name).filter(|theirs| theirs.shape != own.shape)?;
            Some((name.clone(), theirs.shape.to_string(), own.shape.to_string()))
        });
    Mismatch {
        origin: weights.origin.clone(),
        network: network.to_owned(),
        missing: body(state, found),
        unexpected: body(found, state),
        shapes: shapes.collect(),
        fits: None,
    }
}

fn head_load(state: &BTreeMap<String, Tensor>, found: &BTreeMap<String, Tensor>) -> HeadLoad {
    let new = |reason: String| HeadLoad::New { reason };
    for (name, own) in state.iter().filter(|(name, _)| is_head(name)) {
        match found.get(name) {
            Some(theirs) if theirs.shape == own.shape => {}
            Some(theirs) => {
                return new(format!("its `{name}` is {}, not {}", theirs.shape, own.shape));
            }
            None => return new(format!("it has no `{name}`")),
        }
    }
    HeadLoad::Loaded
}

impl Mismatch {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.shapes.is_empty()
    }

    fn describe(&self) -> String {
        let quoted = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        let shapes = self.shapes.iter();
        let shapes: Vec<String> = shapes
            .map(|(name, found, needed)| format!("`{name}` is {found}, not {needed}"))
            .collect();
        let parts = [
            listed("missing ", &quoted(&self.missing)),
            listed("unexpected ", &quoted(&self.unexpected)),
            listed("", &shapes),
        ];
        let mut text = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
        if let Some(fits) = &self.fits {
            let _ = write!(text, "; they match --arch {fits}");
        }
        text
    }
}

fn listed(before: &str, entries: &[String]) -> Option<String> {
    let (first, rest) = entries.split_at(entries.len().min(MAX_LISTED));
    if first.is_empty() {
        return None;
    }
    let more = if rest.is_empty() {
        String::new()
    } else {
        format!(" and {} more", rest.len())
    };
    Some(format!("{before}{}{more}", first.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors(entries: &[(&str, &[usize], f32)]) -> BTreeMap<String, Tensor> {
        let tensor =
            |&(name, shape, number): &(&str, &[usize], f32)| (name.to_owned(), Tensor::full(shape, number));
        entries.iter().map(tensor).collect()
    }

    fn weights(entries: &[(&str, &[usize], f32)]) -> Weights {
        Weights {
            origin: "w.safetensors".to_owned(),
            hash: String::new(),
            tensors: tensors(entries),
        }
    }

    const STATE: [(&str, &[usize], f32); 4] = [
        ("bn1.running_mean", &[2], 0.0),
        ("conv1.weight", &[2, 3], 0.0),
        ("fc.bias", &[4], 0.0),
        ("fc.weight", &[4, 2], 0.0),
    ];

    #[test]
    fn a_head_with_another_number_of_classes_is_not_loaded() {
        let mut state = tensors(&STATE);
        let found = [
            ("bn1.running_mean", &[2][..], 1.0),
            ("conv1.weight", &[2, 3], 1.0),
            ("fc.bias", &[1000], 1.0),
            ("fc.weight", &[1000, 2], 1.0),
        ];
        let load_report = load_state_dict(&mut state, weights(&found), "resnet").expect("it fits");
        let reason = "its `fc.bias` is [1000], not [4]".to_owned();
        assert_eq!(
            load_report,
            LoadReport {
                tensors: 2,
                head: HeadLoad::New { reason }
            }
        );
        let sums = state.values().map(|tensor| tensor.data.iter().sum());
        assert_eq!(sums.collect::<Vec<f32>>(), [2.0, 6.0, 0.0, 0.0]);
    }

    #[test]
    fn a_head_is_loaded_only_if_all_its_tensors_match() {
        let mut state = tensors(&STATE);
        let mut found = STATE.map(|(name, shape, _)| (name, shape, 1.0)).to_vec();
        let load_report = load_state_dict(&mut state, weights(&found), "resnet").expect("it fits");
        assert_eq!(
            load_report,
            LoadReport {
                tensors: 4,
                head: HeadLoad::Loaded
            }
        );
        assert!(state.values().all(|tensor| tensor.data[0] == 1.0));

        let mut state = tensors(&STATE);
        found.retain(|(name, ..)| *name != "fc.bias");
        load_state_dict(&mut state, weights(&found), "resnet").expect("it fits");
        assert_eq!(state["fc.weight"].data[0], 0.0);
    }

    #[test]
    fn a_mismatch_lists_every_difference_and_leaves_the_state_unchanged() {
        let mut state = tensors(&STATE);
        let found = [
            ("conv1.weight", &[2, 1][..], 1.0),
            ("conv9.weight", &[1], 1.0),
            ("fc.weight", &[4, 2], 1.0),
        ];
        let message = load_state_dict(&mut state, weights(&found), "resnet18")
            .expect_err("a mismatch")
            .to_string();
        assert_eq!(
            message,
            "the weights w.safetensors do not fit resnet18: missing `bn1.running_mean`; unexpected `conv9.weight`; `conv1.weight` is \
             [2, 1], not [2, 3]"
        );
        assert_eq!(state, tensors(&STATE));
    }

    #[test]
    fn long_lists_are_truncated() {
        let found: Vec<String> = (0..7).map(|number| format!("x{number}")).collect();
        assert_eq!(
            listed("missing ", &found).as_deref(),
            Some("missing x0, x1, x2, x3, x4 and 2 more")
        );
    }
}
