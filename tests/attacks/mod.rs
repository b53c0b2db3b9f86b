//! Attacks by one client on the others, each in seconds: what it costs them, as a test and, on standard output, as figures. What is promised
//! stands in `docs/operate.md`, the figures in `BENCHMARKS.md`.

mod bodies;
mod descriptors;
mod floods;
mod logs;
mod signals;
mod tokens;

use equibatch_tests::images::ImageFolder;

fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 5), ("flowers", 20)])
}
