//! Training images and draws per class.

use maud::{Markup, html};

use crate::learn::{
    report::{
        canvas,
        chart::{Axis, BarGroup, Bars},
        html::{Figure, Table},
    },
    run_log::ClassSampling,
};

/// Most classes in the chart.
const MOST: usize = 40;

/// Most epochs in the table of the draws by epoch.
const MOST_EPOCHS: u32 = 8;

/// Bar chart of images and draws per class, in descending order of images; of many classes, the first and the last.
///
/// # Errors
///
/// [`canvas::Error`] if it cannot be drawn.
pub fn class_sampling(class_sampling: &ClassSampling) -> Result<Figure, canvas::Error> {
    let order = ordered(class_sampling);
    let (shown, caption) = if order.len() > MOST {
        let (first, last) = (&order[..MOST / 2], &order[order.len() - MOST / 2..]);
        let caption = format!(
            "The {} largest and the {} smallest of {} classes.",
            MOST / 2,
            MOST / 2,
            order.len()
        );
        ([first, last].concat(), caption)
    } else {
        (
            order,
            "Training images and draws per epoch of each class.".to_owned(),
        )
    };
    let counts = counts(class_sampling, 2);
    let group = |&class: &usize| BarGroup {
        name: class_sampling.classes[class].clone(),
        values: counts
            .iter()
            .map(|(_, counts)| (counts[class] as f64, counts[class].to_string()))
            .collect(),
    };
    let bars = Bars {
        axis: Axis::new("images").from_zero(),
        kinds: counts.iter().map(|(kind, _)| kind.clone()).collect(),
        groups: shown.iter().map(group).collect(),
    };
    let each: Vec<String> = shown
        .iter()
        .map(|&class| {
            let counts = counts
                .iter()
                .map(|(kind, counts)| format!("{} {kind}", counts[class]));
            format!(
                "{}: {}",
                class_sampling.classes[class],
                counts.collect::<Vec<_>>().join(", ")
            )
        })
        .collect();
    let words = format!("Images and draws per epoch by class: {}.", each.join("; "));
    Figure::chart("exposure", &caption, &words, &bars)
}

/// The training images of each class, and its draws; if these change, in up to `most` epochs, the first and the last of the change among them. If
/// they are mixed into natural images, the draws of these, too, and the label weights of each of the epochs.
fn counts(class_sampling: &ClassSampling, most: u32) -> Vec<(String, Vec<u64>)> {
    let mut draws = match &class_sampling.change {
        None => vec![("draws per epoch".to_owned(), class_sampling.draws.clone())],
        Some(change) => {
            let length = change.last_epoch.saturating_sub(change.first_epoch);
            let columns = length.min(most - 1).max(1);
            let epochs = (0..=columns).map(|column| change.first_epoch + column * length / columns);
            let in_epoch = |epoch: u32| {
                let name = format!("draws in epoch {}", epoch + 1);
                (name, change.draws_in_epoch(&class_sampling.draws, epoch.into()))
            };
            epochs.map(in_epoch).collect()
        }
    };
    if let Some(background) = &class_sampling.background {
        let label_weights = |(name, draws): &(String, Vec<u64>)| {
            let weights = background.label_weights(draws).into_iter();
            let name = name.replace("draws", "label weights");
            (name, weights.map(|weight| weight.round() as u64).collect())
        };
        let label_weights: Vec<_> = draws.iter().map(label_weights).collect();
        draws.push((
            "natural draws per epoch".to_owned(),
            background.draws_per_class.clone(),
        ));
        draws.extend(label_weights);
    }
    let images = ("training images".to_owned(), class_sampling.images.clone());
    std::iter::once(images).chain(draws).collect()
}

/// A table of the draws of all classes by epoch, and of both images of a mixture; `None` if they are the same in all epochs, and images are not mixed
/// into natural ones.
#[must_use]
pub fn table_by_epoch(class_sampling: &ClassSampling) -> Option<Markup> {
    let caption = match (&class_sampling.change, &class_sampling.background) {
        (None, None) => return None,
        (_, None) => "Draws of each class by epoch.".to_owned(),
        (_, Some(background)) => format!(
            "Draws of each class: images of the balance, mixed into natural ones with a mean weight of {:.1} %; and what their label weights add up to, in the mean.",
            background.mean_mixed_weight * 100.0
        ),
    };
    let counts = counts(class_sampling, MOST_EPOCHS);
    let names = counts.iter().map(|(name, _)| name.as_str());
    let header: Vec<&str> = std::iter::once("class").chain(names).collect();
    let mut table = Table::new(&caption, &header);
    for class in ordered(class_sampling) {
        let counts = counts.iter().map(|(_, counts)| counts[class].to_string());
        let name = class_sampling.classes[class].clone();
        table.row(std::iter::once(name).chain(counts).collect());
    }
    Some(html! { (table.markup()) })
}

/// A table of all classes.
#[must_use]
pub fn table(class_sampling: &ClassSampling) -> Markup {
    let mut table = Table::new(
        "Draws of each class.",
        &[
            "class",
            "training images",
            "share",
            "draws per epoch",
            "share",
            "draws per image",
        ],
    );
    let [images, draws] =
        [&class_sampling.images, &class_sampling.draws].map(|counts| counts.iter().sum::<u64>().max(1));
    for class in ordered(class_sampling) {
        let (of_images, of_draws) = (class_sampling.images[class], class_sampling.draws[class]);
        let share = |part: u64, whole: u64| format!("{:.1} %", part as f64 / whole as f64 * 100.0);
        let each = if of_images > 0 {
            format!("{:.2}", of_draws as f64 / of_images as f64)
        } else {
            "-".to_owned()
        };
        table.row(vec![
            class_sampling.classes[class].clone(),
            of_images.to_string(),
            share(of_images, images),
            of_draws.to_string(),
            share(of_draws, draws),
            each,
        ]);
    }
    html! { (table.markup()) }
}

/// Labels in descending order of images; ties in label order.
fn ordered(class_sampling: &ClassSampling) -> Vec<usize> {
    let known = class_sampling
        .classes
        .len()
        .min(class_sampling.images.len())
        .min(class_sampling.draws.len());
    let mut order: Vec<usize> = (0..known).collect();
    order.sort_by_key(|&class| std::cmp::Reverse(class_sampling.images[class]));
    order
}
