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
    let group = |&class: &usize| BarGroup {
        name: class_sampling.classes[class].clone(),
        values: [class_sampling.images[class], class_sampling.draws[class]]
            .map(|count| (count as f64, count.to_string()))
            .to_vec(),
    };
    let bars = Bars {
        axis: Axis::new("images").from_zero(),
        kinds: ["training images", "draws per epoch"].map(str::to_owned).to_vec(),
        groups: shown.iter().map(group).collect(),
    };
    let each: Vec<String> = shown
        .iter()
        .map(|&class| {
            let (images, draws) = (class_sampling.images[class], class_sampling.draws[class]);
            format!(
                "{} has {images} images and is drawn {draws} times",
                class_sampling.classes[class]
            )
        })
        .collect();
    let words = format!("Images and draws per epoch by class: {}.", each.join("; "));
    Figure::chart("exposure", &caption, &words, &bars)
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
