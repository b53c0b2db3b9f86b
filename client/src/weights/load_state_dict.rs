use std::{collections::BTreeMap, fmt::Write as _};

use super::Weights;
use equibatch_training::program::Tensor;

/// What became of the head when a body was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadLoad {
    /// It was taken over, too.
    Loaded,
    /// It starts anew.
    New {
        /// Why, in words.
        reason: String,
    },
}

/// What was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// Tensors.
    pub tensors: usize,
    /// The head.
    pub head: HeadLoad,
}

/// The tensors are those of another network: all that does not fit, in one message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the weights {origin} do not fit {network}: {}", self.describe())]
pub struct Mismatch {
    /// Where the tensors are from.
    pub origin: String,
    /// The network.
    pub network: String,
    /// Names of the network that they lack.
    pub missing: Vec<String>,
    /// Names that the network does not have.
    pub unexpected: Vec<String>,
    /// Names with the shape found and the one needed.
    pub shapes: Vec<(String, String, String)>,
    /// A network that they do fit.
    pub fits: Option<String>,
}

/// Names of heads: torchvision's, and fastai's as we write it.
const HEADS: [&str; 2] = ["fc.", "head."];
/// How many names of a kind a message has.
const MAX_LISTED: usize = 5;

/// Puts the tensors of `weights` in the place of `state`, that of the network called `network`. The body must fit as a whole; the head
/// is taken over where all of it fits, and else stays as it is.
///
/// # Errors
///
/// [`Mismatch`], with everything that is missing, unexpected or of another shape; `state` is then unchanged.
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
            let _ = write!(text, "; they are those of --arch {fits}");
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
    fn a_body_is_taken_over_and_a_head_of_other_classes_starts_anew() {
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
    fn a_head_that_fits_is_taken_over_whole_or_not_at_all() {
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
    fn all_that_does_not_fit_is_named_at_once_and_nothing_changes() {
        let mut state = tensors(&STATE);
        let found = [
            ("conv1.weight", &[2, 1][..], 1.0),
            ("conv9.weight", &[1], 1.0),
            ("fc.weight", &[4, 2], 1.0),
        ];
        let message = load_state_dict(&mut state, weights(&found), "resnet18")
            .expect_err("a misfit")
            .to_string();
        assert_eq!(
            message,
            "the weights w.safetensors do not fit resnet18: missing `bn1.running_mean`; unexpected `conv9.weight`; `conv1.weight` is \
             [2, 1], not [2, 3]"
        );
        assert_eq!(state, tensors(&STATE));
    }

    #[test]
    fn long_lists_are_cut() {
        let found: Vec<String> = (0..7).map(|number| format!("x{number}")).collect();
        assert_eq!(
            listed("missing ", &found).as_deref(),
            Some("missing x0, x1, x2, x3, x4 and 2 more")
        );
    }
}
