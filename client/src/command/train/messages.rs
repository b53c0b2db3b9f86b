//! Messages at the start of a run.

use crate::{
    learn::{
        run::{Frozen, RunConfig, RunFolder},
        text::{counted, listed},
    },
    weights::{HeadLoad, LoadReport},
};
use equibatch_stream::{ClassCounts, DatasetDescription, Split};

/// Describes which pretrained weights were loaded.
pub(super) fn load_message(config: &RunConfig, load_report: &LoadReport) -> String {
    let head = match &load_report.head {
        HeadLoad::Loaded => "the head was loaded, too".to_owned(),
        HeadLoad::New { reason } => format!("the head was reinitialised ({reason})"),
    };
    format!(
        "weights {}: {} tensors; {head}",
        config.lineage.weights, load_report.tensors
    )
}

/// Describes the run that is about to start.
pub(super) fn start_message(run: &RunFolder, config: &RunConfig, description: &DatasetDescription) -> String {
    let of = |class: &ClassCounts| (class.name.clone(), class.images(Split::Train.name()));
    let counts: Vec<(String, u32)> = description.classes.iter().map(of).collect();
    let trained = match &config.frozen {
        Frozen::Body(true) => ", with its body frozen except batch norms,".to_owned(),
        Frozen::All(_) => ", with its body frozen,".to_owned(),
        Frozen::Matching(text) => format!(", with parameters matching {text} frozen,"),
        Frozen::Body(false) | Frozen::BodyOfNewHead => String::new(),
    };
    let head = config.head_steps.map_or_else(String::new, |steps| {
        format!(", whose features are kept for {steps} steps of the head")
    });
    format!(
        "{}{trained} on {}: {} for training, {} for validation; balance {}, {} of {} per epoch, {} at {}{head}; results in {}",
        config.arch,
        config.dataset,
        images(&counts),
        description.images(Split::Valid),
        config.balance,
        counted(config.steps_per_epoch, "step"),
        counted(config.images_per_step(), "image"),
        counted(config.epochs, "epoch"),
        config.max_lr,
        run.path().display()
    )
}

/// Largest number of classes that are listed individually.
const LISTED: usize = 4;

/// The training images of each class: `160 flowers and 16 birds`, or `16 classes, 352 images (3 to 82 each)` of many classes.
fn images(classes: &[(String, u32)]) -> String {
    if classes.len() > LISTED {
        let counts = || classes.iter().map(|(_, images)| *images);
        let total: u64 = counts().map(u64::from).sum();
        let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
        let each = if least == most {
            least.to_string()
        } else {
            format!("{least} to {most}")
        };
        return format!(
            "{} classes, {} ({each} each)",
            classes.len(),
            counted(total, "image")
        );
    }
    let words: Vec<String> = classes
        .iter()
        .map(|(name, images)| format!("{images} {name}"))
        .collect();
    listed(&words)
}

#[cfg(test)]
mod tests {
    use super::images;

    fn classes(counts: &[u32]) -> Vec<(String, u32)> {
        counts
            .iter()
            .enumerate()
            .map(|(label, &images)| (format!("c{label}"), images))
            .collect()
    }

    #[test]
    fn up_to_four_classes_are_listed() {
        assert_eq!(images(&classes(&[160, 16])), "160 c0 and 16 c1");
        assert_eq!(images(&classes(&[3, 2, 1])), "3 c0, 2 c1 and 1 c2");
        assert_eq!(images(&classes(&[5])), "5 c0");
        let mut sixteen = vec![82, 3];
        sixteen.extend([19; 13]);
        sixteen.push(20);
        assert_eq!(
            images(&classes(&sixteen)),
            "16 classes, 352 images (3 to 82 each)"
        );
        assert_eq!(images(&classes(&[7; 5])), "5 classes, 35 images (7 each)");
    }
}
