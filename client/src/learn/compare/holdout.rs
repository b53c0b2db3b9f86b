//! Held-out images, used by no training, and the predictions of each arm.

use image::RgbImage;
use maud::{Markup, html};
use serde::Serialize;

use crate::learn::{
    metrics::{argmax, softmax},
    report::{
        html::{Gallery, GalleryItem, Photo, Table},
        table::percent,
    },
    text::counted,
};

/// Most images in the table.
const ROWS: usize = 200;
/// Most misclassified images shown per arm.
const SHOWN: usize = 24;

/// An image that no training has used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HoldoutImage {
    /// Path relative to the root of the dataset.
    pub path: String,
    /// Label of its class.
    pub label: usize,
    /// The preprocessed image.
    #[serde(skip)]
    pub picture: RgbImage,
}

/// Predictions of one arm's model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmPredictions {
    /// Name of the arm.
    pub arm: String,
    /// Training seed of the model: the arm's first.
    pub seed: u64,
    /// In the order of the images.
    #[serde(rename = "guesses")]
    pub predictions: Vec<TopPrediction>,
}

/// The most probable class of an image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TopPrediction {
    /// Label of the most probable class.
    pub label: usize,
    /// Its probability.
    pub probability: f64,
}

impl TopPrediction {
    /// From logits, `[K]`.
    #[must_use]
    pub fn of(logits: &[f32]) -> Self {
        let label = argmax(logits);
        Self {
            label,
            probability: softmax(logits)[label],
        }
    }
}

/// Held-out images and the predictions of every arm.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Holdout {
    /// In the order of the dataset.
    pub images: Vec<HoldoutImage>,
    /// One per arm.
    pub arms: Vec<ArmPredictions>,
}

impl Holdout {
    /// The section of a page; `classes` are names in label order.
    pub(super) fn markup(&self, classes: &[String]) -> Markup {
        let name = |label: usize| classes.get(label).map_or("?", String::as_str);
        html! {
            p { (counted(self.images.len(), "image")) " that no training has used, classified by the model of each arm's first seed." }
            (self.table(&name))
            @for arm in &self.arms { (self.wrong(arm, &name)) }
        }
    }

    fn table<'a>(&self, name: &dyn Fn(usize) -> &'a str) -> Markup {
        let header = ["image", "actual"].into_iter();
        let header: Vec<&str> = header
            .chain(self.arms.iter().map(|arm| arm.arm.as_str()))
            .collect();
        let caption = match self.images.len() {
            0..=ROWS => "Predicted class of each image.".to_owned(),
            all => format!("Predicted class of the first {ROWS} of {all} images."),
        };
        let mut table = Table::new(&caption, &header);
        for (place, image) in self.images.iter().take(ROWS).enumerate() {
            let cell = |arm: &ArmPredictions| {
                let TopPrediction { label, probability } = arm.predictions[place];
                let mark = if label == image.label { "" } else { "\u{2717} " };
                format!("{mark}{} {}", name(label), percent(Some(probability)))
            };
            let known = [image.path.clone(), name(image.label).to_owned()].into_iter();
            table.row(known.chain(self.arms.iter().map(cell)).collect());
        }
        table.markup()
    }

    fn wrong<'a>(&self, arm: &ArmPredictions, name: &dyn Fn(usize) -> &'a str) -> Markup {
        let wrong: Vec<(&HoldoutImage, &TopPrediction)> = self
            .images
            .iter()
            .zip(&arm.predictions)
            .filter(|(image, prediction)| image.label != prediction.label)
            .collect();
        let cards = wrong.iter().take(SHOWN).map(|(image, prediction)| GalleryItem {
            photos: vec![Photo {
                image: image.picture.clone(),
                words: image.path.clone(),
            }],
            heading: format!("{}, predicted {}", name(image.label), name(prediction.label)),
            facts: vec![
                ("image".to_owned(), image.path.clone()),
                ("probability".to_owned(), percent(Some(prediction.probability))),
            ],
            is_wrong: true,
        });
        let gallery = Gallery {
            cards: cards.collect(),
        };
        html! {
            h3 { (arm.arm) ": " (wrong.len()) " of " (self.images.len()) " wrong" }
            @if !wrong.is_empty() { (gallery.markup()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misclassified_images_are_shown_and_counted() {
        let image = |path: &str, label| HoldoutImage {
            path: path.to_owned(),
            label,
            picture: RgbImage::new(4, 4),
        };
        let arm = |arm: &str, rows: [[f32; 2]; 2]| ArmPredictions {
            arm: arm.to_owned(),
            seed: 1,
            predictions: rows.iter().map(|row| TopPrediction::of(row)).collect(),
        };
        let holdout = Holdout {
            images: vec![image("test/birds/1.jpg", 0), image("test/flowers/1.jpg", 1)],
            arms: vec![
                arm("natural", [[-1.0, 1.0], [-1.0, 1.0]]),
                arm("oversample", [[1.0, 0.0], [0.0, 2.0]]),
            ],
        };
        let page = holdout
            .markup(&["birds".to_owned(), "flowers".to_owned()])
            .into_string();
        for words in [
            "natural: 1 of 2 wrong",
            "oversample: 0 of 2 wrong",
            "birds, predicted flowers",
            "flowers 88.1 %",
            "birds 73.1 %",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert_eq!(page.matches("<img").count(), 1, "{page}");
    }
}
