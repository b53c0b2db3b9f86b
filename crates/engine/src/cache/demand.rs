//! What a cache is asked for: images, and the images that streams are going to draw.

use crate::dataset::Split;

/// Identifies a cached image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Index of the dataset among all that share the cache.
    pub dataset: u32,
    /// Sample id.
    pub sample: u32,
    /// Short side that the image was reduced to, in pixels; `None` if it is as decoded.
    pub short_side: Option<u32>,
}

/// What a stream is going to draw: its expected use of images.
#[derive(Clone, Debug)]
pub struct StreamDemand {
    /// A hash of everything that the rest depends on: demands of equal name draw the same from the same catalog.
    pub name: [u8; 32],
    /// The catalog that it draws from.
    pub source: CatalogId,
    /// Expected draws per image and epoch, by class of the catalog. Images of a class with a number that is not positive are not wanted.
    pub draws: Vec<f64>,
    /// Whether the catalog may have changed since it was registered.
    pub is_changed: bool,
}

/// Identifies a [`Catalog`](super::Catalog).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CatalogId {
    /// Index of the dataset among all that share the cache.
    pub dataset: u32,
    /// Split of the dataset.
    pub split: Split,
    /// Short side that its images are reduced to, in pixels; `None` if they are as decoded.
    pub short_side: Option<u32>,
}
