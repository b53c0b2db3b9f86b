//! What a person is told of a run before its first step.

use crate::{
    learn::run::{Frozen, RunConfig, RunFolder},
    stream::{DatasetDescription, Split},
    weights::{Adoption, HeadFate},
};

/// What came of the weights, in words.
pub(super) fn adopted(config: &RunConfig, adoption: &Adoption) -> String {
    let head = match &adoption.head {
        HeadFate::Loaded => "the head is theirs, too".to_owned(),
        HeadFate::New { reason } => format!("the head starts anew ({reason})"),
    };
    format!(
        "weights {}: {} tensors; {head}",
        config.before.weights, adoption.tensors
    )
}

/// What is about to be trained, in words.
pub(super) fn introduction(run: &RunFolder, config: &RunConfig, description: &DatasetDescription) -> String {
    let classes = description
        .classes
        .iter()
        .map(|class| format!("{} {}", class.images(Split::Train.name()), class.name));
    let trained = match &config.frozen {
        Frozen::Body(true) => ", its body frozen but for the batch norms,".to_owned(),
        Frozen::Matching(text) => format!(", frozen where names match {text},"),
        Frozen::Body(false) | Frozen::BodyOfNewHead => String::new(),
    };
    format!(
        "{}{trained} on {}: {} for training, {} for validation; balance {}, {} steps of {} images per epoch, {} epochs at {}; results \
         in {}",
        config.arch,
        config.dataset,
        classes.collect::<Vec<_>>().join(" and "),
        description.images(Split::Valid),
        config.balance,
        config.steps_per_epoch,
        config.images_per_step(),
        config.epochs,
        config.max_lr,
        run.path().display()
    )
}
