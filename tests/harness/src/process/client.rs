use std::{
    io::Read as _,
    process::{Child, Command, Stdio},
};

use super::{Lines, end, program, send};

/// A running `client`, killed when dropped.
#[derive(Debug)]
pub struct ClientProcess {
    child: Child,
    lines: Lines,
}

impl ClientProcess {
    /// Starts the client.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(program("client"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the client starts");
        let lines = Lines::of(child.stdout.take().expect("standard output is a pipe"));
        Self { child, lines }
    }

    /// Waits for a line that begins with `beginning`, spaces aside.
    ///
    /// # Panics
    ///
    /// If the output ends first.
    pub fn wait_for_line(&mut self, beginning: &str) {
        let mut seen = vec![];
        for line in &mut self.lines {
            if line.trim_start().starts_with(beginning) {
                return;
            }
            seen.push(line);
        }
        let (seen, errors) = (seen.join("\n"), self.errors());
        panic!("no line begins with {beginning:?} in:\n{seen}\n{errors}");
    }

    /// Waits until all `words` were written to standard error.
    ///
    /// # Panics
    ///
    /// If it ends first.
    pub fn wait_for_errors(&mut self, words: &[&str]) {
        let mut lines = Lines::of(self.child.stderr.take().expect("standard error is a pipe"));
        let mut seen = String::new();
        while !words.iter().all(|word| seen.contains(word)) {
            let line = lines.next();
            seen += &line.unwrap_or_else(|| panic!("not all of {words:?} is in:\n{seen}"));
            seen.push('\n');
        }
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        send(self.child.id(), libc::SIGINT);
    }

    /// Sends SIGKILL.
    ///
    /// # Panics
    ///
    /// If the signal cannot be sent.
    pub fn kill(&mut self) {
        self.child.kill().expect("the signal is sent");
    }

    /// Waits for the exit; returns the exit code and standard error.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub fn finish(mut self) -> (Option<i32>, String) {
        self.lines.by_ref().for_each(drop);
        let code = end(&mut self.child).code();
        (code, self.errors())
    }

    fn errors(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            errors.read_to_string(&mut text).expect("text");
        }
        text
    }
}

impl Drop for ClientProcess {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _status = self.child.wait();
    }
}
