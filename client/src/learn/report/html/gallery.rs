//! Photographs with captions.

use image::RgbImage;
use maud::{Markup, html};

use super::photograph;

/// A grid of photographs with captions.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    /// In reading order.
    pub cards: Vec<GalleryItem>,
}

/// An item with one or more photographs.
#[derive(Clone, Debug)]
pub struct GalleryItem {
    /// The photographs, side by side.
    pub photos: Vec<Photo>,
    /// Heading, such as `birds, predicted flowers`.
    pub heading: String,
    /// Names and values below the heading.
    pub facts: Vec<(String, String)>,
    /// Whether the prediction was wrong.
    pub is_wrong: bool,
}

/// A photograph.
#[derive(Clone, Debug)]
pub struct Photo {
    /// Pixels.
    pub image: RgbImage,
    /// Text alternative.
    pub words: String,
}

impl Gallery {
    /// The gallery's HTML.
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
