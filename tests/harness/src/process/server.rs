use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use equibatch_proto::v1::batch_loader_client::BatchLoaderClient;
use tonic::{
    Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use super::{Lines, end, memory_of, program, send};
use crate::files::Log;

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

    /// [`ServerProcess::logging`] to a temporary file.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn with_log(root: &Path, options: &[&str]) -> (Self, Log) {
        let log = Log::new();
        (Self::logging(log.file(), root, options), log)
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
