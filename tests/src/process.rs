//! The `server` program as a process.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use equibatch_proto::v1::batch_loader_client::BatchLoaderClient;
use tonic::transport::Channel;

/// The program `name` of this workspace, as built beside the running test.
///
/// # Panics
///
/// Where it is not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    // target/PROFILE/deps/suite-HASH
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("a folder of the profile");
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
        let mut child = Command::new(program("server"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn", "--data"])
            .arg(format!("pictures={}", root.display()))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("standard output is a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let address = line
            .trim()
            .rsplit_once(" on ")
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .1;
        Self {
            address: address.to_owned(),
            child,
        }
    }

    /// A client, ready for batches of any size.
    ///
    /// # Panics
    ///
    /// Where there is no connection.
    pub async fn client(&self) -> BatchLoaderClient<Channel> {
        let client = BatchLoaderClient::connect(format!("http://{}", self.address)).await;
        client
            .expect("a connection")
            .max_decoding_message_size(usize::MAX)
    }

    /// Sends SIGTERM.
    #[allow(unsafe_code, reason = "the standard library sends SIGKILL only")]
    pub fn terminate(&self) {
        // SAFETY: kill takes plain numbers; the child is not waited for yet, so its id is still its own.
        let sent = unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        assert_eq!(sent, 0, "the signal is sent");
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
