//! Invalid requests and command lines, and their errors.

mod any;
mod cases;
mod command_line;
mod requests;

use equibatch_harness::images::pictures;
