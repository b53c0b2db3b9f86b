//! A reader in a process of its own, which can be killed.

use std::{
    io::Write as _,
    process::{Child, ChildStdin, Command, Stdio},
};

use equibatch_harness::process::{Lines, program};
use equibatch_stream::Transport;

/// A process that holds batches.
pub(super) struct Borrower {
    pub(super) child: Child,
    questions: ChildStdin,
    answers: Lines,
}

impl Borrower {
    pub(super) fn start(address: &str, batches: usize) -> Self {
        let mut child = Command::new(program("borrow"))
            .args([address, &batches.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut borrower = Self {
            questions: child.stdin.take().unwrap(),
            answers: Lines::of(child.stdout.take().unwrap()),
            child,
        };
        assert_eq!(borrower.line(), format!("holding by {}", Transport::SharedMemory));
        borrower
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

impl Drop for Borrower {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}
