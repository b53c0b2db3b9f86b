//! Photographs with captions.

use image::RgbImage;
use maud::{Markup, html};

use super::photograph;

/// Photographs in rows, each with what there is to say of it.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    /// In reading order.
    pub cards: Vec<GalleryItem>,
}

/// One thing in one or more photographs.
#[derive(Clone, Debug)]
pub struct GalleryItem {
    /// The photographs, side by side.
    pub photos: Vec<Photo>,
    /// What it is, such as `birds, taken for flowers`.
    pub heading: String,
    /// Names and values.
    pub facts: Vec<(String, String)>,
    /// Whether the model was wrong.
    pub is_wrong: bool,
}

/// A photograph.
#[derive(Clone, Debug)]
pub struct Photo {
    /// Pixels.
    pub image: RgbImage,
    /// What a screen reader says.
    pub words: String,
}

impl Gallery {
    /// The gallery as a part of a page.
    #[must_use]
    pub fn markup(&self) -> Markup {
        html! {
            ol.gallery {
                @for card in &self.cards {
                    li class=[card.is_wrong.then_some("wrong")] {
                        figure {
                            div.shots { @for shot in &card.photos { (photograph(&shot.image, &shot.words)) } }
                            figcaption {
                                strong { (card.heading) }
                                @if !card.facts.is_empty() {
                                    dl { @for (name, value) in &card.facts { div { dt { (name) } dd { (value) } } } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
