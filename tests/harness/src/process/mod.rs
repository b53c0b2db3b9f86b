//! The two programs as processes.

mod client;
mod lines;
mod server;

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    thread,
};

use crate::wait::{DEADLINE, eventually};

pub use client::ClientProcess;
pub use lines::Lines;
pub use server::{ServerProcess, Token, TokenClient};

/// The program `name` of this workspace, in the profile folder of the running test.
///
/// # Panics
///
/// If it has not been built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let own = env::current_exe().expect("the path of this program");
    // target/PROFILE/deps/server-HASH, or target/PROFILE/soak
    let folder = own.parent().expect("a folder");
    let folder = if folder.ends_with("deps") {
        folder.parent().expect("a folder of the profile")
    } else {
        folder
    };
    let program = folder.join(name);
    assert!(
        program.exists(),
        "{} does not exist: the tests run the programs of the workspace, build them first (`make test`, or `cargo build`)",
        program.display()
    );
    program
}

/// Runs the server program until it exits.
///
/// # Panics
///
/// If it does not start or exit.
#[must_use]
pub fn server(arguments: &[&str]) -> Output {
    output(Command::new(program("server")).args(arguments))
}

/// Runs the client program until it exits.
///
/// # Panics
///
/// If it does not start or exit.
#[must_use]
pub fn client(arguments: &[&str]) -> Output {
    output(Command::new(program("client")).args(arguments))
}

/// [`client()`] with `input` on its standard input.
///
/// # Panics
///
/// If it does not start or exit.
#[must_use]
pub fn client_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(program("client"));
    output_with_input(command.args(arguments).stdin(Stdio::piped()), input)
}

/// Command-line arguments: the words of `line`, and then `more`.
#[must_use]
pub fn arguments<'a>(line: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    line.split_whitespace().chain(more.iter().copied()).collect()
}

/// A path as a command-line argument.
///
/// # Panics
///
/// If it is not UTF-8.
#[must_use]
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// What a program wrote to standard error.
#[must_use]
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Checks that a program exited with `code` and wrote one line, with all `words`.
///
/// # Panics
///
/// If it did not.
pub fn assert_one_line(output: &Output, code: i32, words: &[&str]) {
    let written = [&output.stdout[..], &output.stderr[..]].concat();
    let written = String::from_utf8_lossy(&written).into_owned();
    assert_eq!(output.status.code(), Some(code), "{written}");
    assert_eq!(written.lines().count(), 1, "{written}");
    for word in words {
        assert!(written.contains(word), "{word:?} is not in: {written}");
    }
}

/// Runs a program until it exits, with an empty standard input.
///
/// # Panics
///
/// If it does not start or exit.
#[must_use]
pub fn output(command: &mut Command) -> Output {
    output_with_input(command.stdin(Stdio::null()), &[])
}

fn output_with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let (id, input) = (child.id(), input.to_vec());
    let (sender, ended) = mpsc::sync_channel(1);
    thread::spawn(move || {
        if let Some(mut pipe) = child.stdin.take() {
            // A program that does not read its input closes the pipe.
            let _closed = pipe.write_all(&input);
        }
        let _given_up = sender.send(child.wait_with_output());
    });
    let Ok(output) = ended.recv_timeout(DEADLINE) else {
        send(id, libc::SIGKILL);
        panic!("not within {DEADLINE:?}: {command:?} ends");
    };
    output.expect("an exit status")
}

/// Waits for the end of a child.
fn end(child: &mut Child) -> ExitStatus {
    eventually("the process ends", || child.try_wait().expect("an exit status"))
}

/// A line of `/proc/PID/status`, in bytes; `None` if the process has ended.
#[must_use]
pub fn memory_of(process: u32, figure: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Sends a signal to a child that is not waited for yet.
#[allow(unsafe_code, reason = "the standard library sends SIGKILL only")]
fn send(child: u32, signal: libc::c_int) {
    // SAFETY: kill takes plain numbers; the child is not waited for yet, so its id is still its own.
    let sent = unsafe { libc::kill(child as libc::pid_t, signal) };
    assert_eq!(sent, 0, "the signal is sent");
}
