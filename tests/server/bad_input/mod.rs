//! What the server refuses, and how it says so.

mod any;
mod cases;
mod command_line;
mod requests;

use equibatch_harness::images::ImageFolder;

fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 5), ("flowers", 20)])
}
