use std::{
    io::{BufRead as _, BufReader, Read},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
};

use crate::wait::DEADLINE;

/// The lines that a process writes. A thread reads them, so that waiting has a deadline.
#[derive(Debug)]
pub struct Lines(mpsc::Receiver<String>);

impl Lines {
    /// The lines from `pipe`.
    #[must_use]
    pub fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::sync_channel(64);
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self(lines)
    }
}

impl Iterator for Lines {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        match self.0.recv_timeout(DEADLINE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("not within {DEADLINE:?}: the process writes a line"),
        }
    }
}
