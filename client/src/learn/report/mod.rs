//! Results for people: tables in the terminal, pictures in files, pages to read.
//!
//! # Layout
//!
//! - [`table`]: figures in a terminal.
//! - [`canvas`]: what pictures are drawn on: page, SVG and PNG alike.
//! - [`chart`]: curves and bars; [`picture`]: the confusion matrix.
//! - [`sweep`]: what the learning-rate finder has seen.
//! - [`run`]: the report of one run.
//! - [`html`]: pages of figures, tables and photographs; its documentation says how to make one.

pub mod canvas;
pub mod chart;
pub mod confusion_plot;
pub mod html;
pub mod run;
pub mod sweep;
pub mod table;
