//! A reader in a process of its own, which tests kill.

use std::{
    io::Write as _,
    process::{Child, ChildStdin, Command, Stdio},
};

use equibatch_harness::process::{Lines, program};
use equibatch_stream::Transport;

/// The program `borrow`, which keeps batches.
pub(super) struct ReaderProcess {
    pub(super) child: Child,
    questions: ChildStdin,
    answers: Lines,
}

impl ReaderProcess {
    pub(super) fn start(address: &str, batches: usize) -> Self {
        let mut child = Command::new(program("borrow"))
            .args([address, &batches.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = Self {
            questions: child.stdin.take().unwrap(),
            answers: Lines::of(child.stdout.take().unwrap()),
            child,
        };
        assert_eq!(reader.line(), format!("holding by {}", Transport::SharedMemory));
        reader
    }

    fn line(&mut self) -> String {
        self.answers.next().expect("a line")
    }

    pub(super) fn digests(&mut self) -> String {
        writeln!(self.questions).unwrap();
        self.line()
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for ReaderProcess {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}
