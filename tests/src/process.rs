//! The programs as processes.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
};

use equibatch_proto::v1::batch_loader_client::BatchLoaderClient;
use tonic::transport::Channel;

/// The program `name` of this workspace, as built beside the running program or test.
///
/// # Panics
///
/// Where it is not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let own = env::current_exe().expect("the path of this program");
    // target/PROFILE/deps/suite-HASH, or target/PROFILE/soak
    let folder = own.parent().expect("a folder");
    let folder = if folder.ends_with("deps") {
        folder.parent().expect("a folder of the profile")
    } else {
        folder
    };
    let program = folder.join(name);
    assert!(
        program.exists(),
        "{} is not there: the suite runs the programs of the workspace, build them first (`make test`, or `cargo build`)",
        program.display()
    );
    program
}

/// A running `server serve`, killed when dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    /// Where it listens.
    pub address: String,
}

impl ServerProcess {
    /// Serves `root` on a port that the system chooses, and waits until it says that it does.
    ///
    /// # Panics
    ///
    /// Where it does not start.
    #[must_use]
    pub fn start(root: &Path, options: &[&str]) -> Self {
        Self::listening(root, "127.0.0.1:0", options)
    }

    /// Serves `root` on `listen`, and waits until it says that it does.
    ///
    /// # Panics
    ///
    /// Where it does not start.
    #[must_use]
    pub fn listening(root: &Path, listen: &str, options: &[&str]) -> Self {
        Self::logging(Stdio::inherit(), root, &[&["--listen", listen], options].concat())
    }

    /// Serves `root` with no other options than `options`, its log in `log`.
    ///
    /// # Panics
    ///
    /// Where it does not start.
    #[must_use]
    pub fn logging(log: impl Into<Stdio>, root: &Path, options: &[&str]) -> Self {
        Self::by(Command::new(program("server")), log, root, options)
    }

    /// Serves `root` with no other options than `options`, its log in `log`, by a `command` that runs the program with what follows.
    ///
    /// # Panics
    ///
    /// Where it does not start.
    #[must_use]
    pub fn by(mut command: Command, log: impl Into<Stdio>, root: &Path, options: &[&str]) -> Self {
        let mut child = command
            .env("EQUIBATCH_LOG", "warn")
            .args(["serve", "--data"])
            .arg(format!("pictures={}", root.display()))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("standard output is a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let address = address_of(&line).unwrap_or_else(|| panic!("no address in {line:?}"));
        Self { address, child }
    }

    /// A client, ready for batches of any size.
    ///
    /// # Panics
    ///
    /// Where there is no connection.
    pub async fn client(&self) -> BatchLoaderClient<Channel> {
        let uri = if self.address.starts_with("unix:") {
            self.address.clone()
        } else {
            format!("http://{}", self.address)
        };
        let client = BatchLoaderClient::connect(uri).await;
        client
            .expect("a connection")
            .max_decoding_message_size(usize::MAX)
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        send(self.child.id(), libc::SIGHUP);
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        send(self.child.id(), libc::SIGTERM);
    }

    /// Sends SIGKILL.
    ///
    /// # Panics
    ///
    /// Where the signal cannot be sent.
    pub fn kill(&mut self) {
        self.child.kill().expect("the signal is sent");
    }

    /// The number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The largest part of it that was in memory at a time, in bytes.
    ///
    /// # Panics
    ///
    /// Where the process is gone.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        memory_of(self.id(), "VmHWM").expect("a process that runs")
    }

    /// Sends SIGSTOP: the process stands still, with all its connections open.
    pub fn stand_still(&self) {
        send(self.child.id(), libc::SIGSTOP);
    }

    /// Sends SIGCONT.
    pub fn go_on(&self) {
        send(self.child.id(), libc::SIGCONT);
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    ///
    /// Where the system cannot say.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("an exit status")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Where a server listens, of the line with which it begins to serve: a sentence, or an object of JSON.
fn address_of(line: &str) -> Option<String> {
    let Ok(object) = serde_json::from_str::<serde_json::Value>(line) else {
        return line
            .trim()
            .rsplit_once(" on ")
            .map(|(_, address)| address.to_owned());
    };
    let addresses = object["addresses"].as_array()?.iter();
    let addresses: Option<Vec<&str>> = addresses.map(serde_json::Value::as_str).collect();
    Some(addresses?.join(", "))
}

/// Runs the server program to its end.
///
/// # Panics
///
/// Where it does not start.
#[must_use]
pub fn server(arguments: &[&str]) -> Output {
    Command::new(program("server"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the server starts")
}

/// Runs the client program to its end, on one thread where it computes: tests run side by side.
///
/// # Panics
///
/// Where it does not start.
#[must_use]
pub fn client(arguments: &[&str]) -> Output {
    Command::new(program("client"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the client starts")
}

/// [`client`] with `input` on its standard input.
///
/// # Panics
///
/// Where it does not start.
#[must_use]
pub fn client_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program("client"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let mut pipe = child.stdin.take().expect("standard input is a pipe");
    // A client that does not read its input closes the pipe.
    let _closed = pipe.write_all(input);
    drop(pipe);
    child.wait_with_output().expect("the client ends")
}

/// A running `client`, killed when dropped.
#[derive(Debug)]
pub struct ClientProcess {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl ClientProcess {
    /// Starts the client.
    ///
    /// # Panics
    ///
    /// Where it does not start.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(program("client"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the client starts");
        let output = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        Self { child, output }
    }

    /// Waits for a line that begins with `beginning`, spaces aside.
    ///
    /// # Panics
    ///
    /// Where the output ends before.
    pub fn wait_for_line(&mut self, beginning: &str) {
        let mut seen = String::new();
        loop {
            let start = seen.len();
            let read = self.output.read_line(&mut seen).expect("text");
            assert!(
                read > 0,
                "no line begins with {beginning:?} in:\n{seen}{}",
                self.errors()
            );
            if seen[start..].trim_start().starts_with(beginning) {
                return;
            }
        }
    }

    /// Waits until all `words` were written to standard error.
    ///
    /// # Panics
    ///
    /// Where that ends before.
    pub fn wait_for_errors(&mut self, words: &[&str]) {
        let mut lines = BufReader::new(self.child.stderr.take().expect("standard error is a pipe"));
        let mut seen = String::new();
        while !words.iter().all(|word| seen.contains(word)) {
            let read = lines.read_line(&mut seen).expect("text");
            assert!(read > 0, "not all of {words:?} is in:\n{seen}");
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
    /// Where the signal cannot be sent.
    pub fn kill(&mut self) {
        self.child.kill().expect("the signal is sent");
    }

    /// Waits for the end, and gives the exit code and what was written to standard error.
    ///
    /// # Panics
    ///
    /// Where the system cannot say.
    pub fn finish(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("text");
        let errors = self.errors();
        (self.child.wait().expect("an exit status").code(), errors)
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

/// A figure in bytes of what the kernel says of a process; `None` where the process is gone.
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
