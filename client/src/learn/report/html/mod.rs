//! Pages for a person to read: one self-contained file each, without scripts.
//!
//! # How to make one
//!
//! ```
//! use crate::learn::report::{
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
//! A page is a title, a line or two below it, and sections; each section is a heading and [`maud::Markup`]. Its parts:
//!
//! - [`Figure`]: a picture with its caption and with what a screen reader says instead; [`Figure::save`] writes it as files, too.
//! - [`Table`]: columns of words and figures under a caption.
//! - [`evaluation`]: what follows from a model's figures: confusion matrices, figures by class, confused pairs, headline figures.
//! - [`Gallery`]: photographs with captions, such as images that were taken for something else.
//! - [`side_by_side`]: parts of two or more models next to one another.
//!
//! # For everybody
//!
//! Colours follow the reader's choice of light or dark and are fit for print. Headings, captions and table headers say what they are; every
//! picture has words in its place; what is too wide scrolls by keyboard. Nothing is fetched from anywhere.

pub mod evaluation;
mod figure;
mod gallery;
mod page;
mod table;

pub use figure::{Figure, photograph};
pub use gallery::{Gallery, GalleryItem, Photo};
pub use page::{Page, side_by_side};
pub use table::Table;
