//! HTML pages, each a single self-contained file without scripts.
//!
//! # How to make one
//!
//! ```
//! use equibatch_client::learn::report::{
//!     chart::{Axis, Chart, Series},
//!     html::{Figure, Page},
//! };
//!
//! let chart = Chart::new(
//!     Axis::new("step"),
//!     Axis::new("loss"),
//!     vec![Series::line("training", 0, vec![(1.0, 0.9), (2.0, 0.4)])],
//! );
//! let figure = Figure::chart("loss", "Loss.", "The loss falls from 0.9 to 0.4 in two steps.", &chart)?;
//! let page = Page::new("A run").with("curves", "Curves", figure.markup());
//! std::fs::write(std::env::temp_dir().join("equibatch-page.html"), page.to_html())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A page has a title, an introduction and sections; each section has a heading and [`maud::Markup`]. Its parts:
//!
//! - [`Figure`]: a picture with a caption and a text alternative; [`Figure::save`] writes it as files.
//! - [`Table`]: a table with a caption.
//! - [`evaluation`]: confusion matrices, metrics by class, confused pairs, headline metrics.
//! - [`Gallery`]: photographs with captions, such as misclassified images.
//! - [`side_by_side`]: parts of several models next to one another.
//!
//! # Accessibility
//!
//! Colours follow the reader's light or dark preference and are suitable for print. Every picture has a text alternative; wide content
//! scrolls by keyboard. Pages load no external resources.

pub mod evaluation;
mod figure;
mod gallery;
mod page;
mod table;

pub use figure::{Figure, photograph};
pub use gallery::{Gallery, GalleryItem, Photo};
pub use page::{Page, side_by_side};
pub use table::Table;
