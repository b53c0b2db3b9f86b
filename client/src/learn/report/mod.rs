//! Reports: text tables, pictures and HTML pages.
//!
//! # Layout
//!
//! - [`table`]: metrics as text.
//! - [`canvas`]: drawing surface, rendered as inline SVG, SVG file or PNG file.
//! - [`chart`]: curves and bars; [`confusion_plot`]: the confusion matrix.
//! - [`sweep`]: the learning-rate sweep.
//! - [`run`]: the report of a run. [`evaluation`]: that of a model on a split.
//! - [`html`]: pages of figures, tables and photographs; its documentation shows how to make one.

pub mod canvas;
pub mod chart;
pub mod confusion_plot;
pub mod evaluation;
pub mod html;
pub mod run;
pub mod sweep;
pub mod table;
