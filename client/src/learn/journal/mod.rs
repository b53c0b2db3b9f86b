//! What a run writes down of itself while it learns, for its report: `steps.jsonl` and `stream.json` and `sessions.jsonl` in its folder.
//!
//! Nothing of it decides a number of the run: where it cannot be written, training goes on, with a warning.

mod session;
mod steps;

pub use session::{Exposure, Session};
pub use steps::{StepLine, StepLog};

use std::{
    fs,
    io::{self, BufRead as _, BufReader},
    path::Path,
};

use serde::de::DeserializeOwned;

/// The lines of a file of JSON objects, one a line; none where there is no file. A line that is not understood is left out.
///
/// # Errors
///
/// Those of the file.
pub fn lines<T: DeserializeOwned>(path: &Path) -> io::Result<Vec<T>> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        opened => opened?,
    };
    let mut read = vec![];
    for line in BufReader::new(file).lines() {
        // What was being written when the power went does not make the rest worthless.
        if let Ok(value) = serde_json::from_str(&line?) {
            read.push(value);
        }
    }
    Ok(read)
}
