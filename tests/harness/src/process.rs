//! The two programs as processes.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
};

use equibatch_proto::v1::batch_loader_client::BatchLoaderClient;
use tonic::{
    Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::wait::{DEADLINE, eventually};

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

/// A running `server serve`, killed when dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    /// The address that it listens on.
    pub address: String,
}

impl ServerProcess {
    /// Serves `root` on a free port, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn start(root: &Path, options: &[&str]) -> Self {
        Self::listening(root, "127.0.0.1:0", options)
    }

    /// Serves `root` on `listen`, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn listening(root: &Path, listen: &str, options: &[&str]) -> Self {
        Self::logging(Stdio::inherit(), root, &[&["--listen", listen], options].concat())
    }

    /// Serves `root` with exactly `options`, with its log in `log`.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn logging(log: impl Into<Stdio>, root: &Path, options: &[&str]) -> Self {
        Self::by(Command::new(program("server")), log, root, options)
    }

    /// Serves `root` with exactly `options`, with its log in `log`, by a `command` to which the arguments are added.
    ///
    /// # Panics
    ///
    /// If it does not start.
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
        let output = child.stdout.take().expect("standard output is a pipe");
        let mut server = Self {
            address: String::new(),
            child,
        };
        let line = Lines::of(output).next().unwrap_or_default();
        server.address = address_of(&line).unwrap_or_else(|| panic!("no address in {line:?}"));
        server
    }

    /// Starts `server serve` with these options, and returns the lines of its log. The address is still unknown.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn starting(options: &[&str]) -> (Self, Lines) {
        let mut child = Command::new(program("server"))
            .arg("serve")
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let lines = Lines::of(child.stderr.take().expect("standard error is a pipe"));
        let address = String::new();
        (Self { child, address }, lines)
    }

    /// The number of its open files.
    ///
    /// # Panics
    ///
    /// If the process has ended.
    #[must_use]
    pub fn open_files(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.id());
        fs::read_dir(folder).expect("a process that runs").count()
    }

    /// A client, ready for batches of any size.
    ///
    /// # Panics
    ///
    /// If there is no connection.
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

    /// [`ServerProcess::client`] with a token in every request.
    ///
    /// # Panics
    ///
    /// If there is no connection, or a header cannot have the token's characters.
    pub async fn client_with_token(&self, token: &'static str) -> TokenClient {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).expect("an address");
        let channel = endpoint.connect().await.expect("a connection");
        BatchLoaderClient::with_interceptor(channel, Token(token)).max_decoding_message_size(usize::MAX)
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
    /// If the signal cannot be sent.
    pub fn kill(&mut self) {
        self.child.kill().expect("the signal is sent");
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its peak resident memory, in bytes.
    ///
    /// # Panics
    ///
    /// If the process has ended.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        memory_of(self.id(), "VmHWM").expect("a process that runs")
    }

    /// Sends SIGSTOP: the process is suspended, with its connections open.
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
    /// If it does not end.
    pub fn wait(&mut self) -> ExitStatus {
        end(&mut self.child)
    }
}

/// A client that sends a token with every request.
pub type TokenClient = BatchLoaderClient<InterceptedService<Channel, Token>>;

/// Adds a token to every request.
#[derive(Clone, Debug)]
pub struct Token(&'static str);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = format!("Bearer {}", self.0)
            .parse()
            .expect("characters of a header");
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The address in the line that a server prints when it is ready: a sentence, or a JSON object.
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

/// [`client`] with `input` on its standard input.
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
