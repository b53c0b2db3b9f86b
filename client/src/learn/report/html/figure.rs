//! Figures with captions and text alternatives.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use equibatch_cli::files::{self, WriteError};
use image::{RgbImage, codecs::jpeg::JpegEncoder};
use maud::{Markup, html};

use crate::learn::report::canvas::{self, Picture};

/// A drawing with its caption.
#[derive(Clone, Debug)]
pub struct Figure {
    id: String,
    caption: String,
    drawing: Markup,
    svg: String,
    png: Vec<u8>,
}

impl Figure {
    /// Draws `picture`. `id` is its HTML id and file name; `words` is its text alternative.
    ///
    /// # Errors
    ///
    /// [`canvas::Error`] if it cannot be drawn.
    pub fn chart(id: &str, caption: &str, words: &str, picture: &dyn Picture) -> Result<Self, canvas::Error> {
        Ok(Self {
            id: id.to_owned(),
            caption: caption.to_owned(),
            drawing: canvas::page_svg(picture, words)?,
            svg: canvas::svg(picture)?,
            png: canvas::png(picture)?,
        })
    }

    /// The figure's HTML.
    #[must_use]
    pub fn markup(&self) -> Markup {
        html! {
            figure id=(self.id) {
                (self.drawing)
                figcaption { (self.caption) }
            }
        }
    }

    /// Writes the drawing to `folder`, as SVG and as PNG.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), WriteError> {
        let files = [("svg", self.svg.as_bytes()), ("png", &self.png)];
        for (extension, bytes) in files {
            let path = folder.join(format!("{}.{extension}", self.id));
            files::write(&path, bytes)?;
        }
        Ok(())
    }
}

/// An `img` element with an embedded JPEG; `words` is its text alternative.
#[must_use]
pub fn photograph(image: &RgbImage, words: &str) -> Markup {
    let mut bytes = vec![];
    let written = JpegEncoder::new_with_quality(&mut bytes, 90).encode_image(image);
    written.expect("a JPEG is written to memory");
    let source = format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes));
    html! { img src=(source) width=(image.width()) height=(image.height()) alt=(words); }
}
