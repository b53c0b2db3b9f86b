//! Linux network namespaces as machines, joined by virtual cables.
//!
//! A test that needs them runs [`inside`] one: it runs its own binary again in a process with its own network and mounts.
//! Changes to either end with that process.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use crate::process::{Lines, output, program};

/// Set for the process that runs inside.
const INSIDE: &str = "EQUIBATCH_TEST_INSIDE";

/// Runs `test`, the test called `name`, in a namespace with only a loopback. If the
/// system does not allow it, prints why and skips the test.
///
/// # Panics
///
/// If the test fails.
pub fn inside(name: &str, test: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        here("link set lo up");
        return test();
    }
    let Some(unshare) = unshare() else {
        return;
    };
    let own = env::current_exe().expect("the path of this program");
    let mut command = Command::new("unshare");
    command
        .args(unshare)
        .arg("--")
        .arg(own)
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1");
    let output = output(&mut command);
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "no test is called {name}:\n{said}");
}

/// The options of `unshare` for a network namespace, if the system allows one.
#[allow(clippy::print_stderr, reason = "a test that is not run says so")]
fn unshare() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [
        &["--net", "--mount"],
        &["--user", "--map-root-user", "--net", "--mount"],
    ];
    let mut reasons = vec![];
    for way in ways {
        let probe = "ip link add near type veth peer name far";
        match Command::new("unshare")
            .args(way)
            .args(["--", "sh", "-c", probe])
            .output()
        {
            Ok(output) if output.status.success() => return Some(way),
            Ok(output) => reasons.push(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    eprintln!("skipped: no network namespaces here: {}", reasons.join("; "));
    None
}

/// A machine at the other end of a cable.
#[derive(Debug)]
pub struct Machine {
    /// The process that keeps the namespace.
    holder: Child,
    number: u8,
}

impl Machine {
    /// Machine `number`, with a cable to this one. Must be called [`inside`].
    ///
    /// # Panics
    ///
    /// If the system refuses.
    #[must_use]
    pub fn new(number: u8) -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "--", "sh", "-c", "echo; exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare");
        // Its first line means that the namespace exists.
        let output = holder.stdout.take().expect("a pipe");
        Lines::of(output).next().expect("a line");
        let machine = Self { holder, number };
        let (near, far, id) = (machine.near(), machine.far(), machine.holder.id());
        let address = machine.address();
        here(&format!("link add {near} type veth peer name {far} netns {id}"));
        here(&format!("address add 10.77.{number}.1/24 dev {near}"));
        here(&format!("link set {near} up"));
        machine.there("link set lo up");
        machine.there(&format!("address add {address}/24 dev {far}"));
        machine.there(&format!("link set {far} up"));
        machine
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> String {
        format!("10.77.{}.2", self.number)
    }

    /// A command that runs the program `name` of this workspace on the machine.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        self.run(program(name))
    }

    /// Takes the link down: packets are dropped in both directions without an error.
    pub fn pull_cable(&self) {
        // At the other end, so that this machine keeps its route and goes on sending.
        self.there(&format!("link set {} down", self.far()));
    }

    /// Brings the link up.
    pub fn mend_cable(&self) {
        self.there(&format!("link set {} up", self.far()));
    }

    /// Bytes received from the machine.
    ///
    /// # Panics
    ///
    /// If the system does not report it.
    #[must_use]
    pub fn received(&self) -> u64 {
        let output = here(&format!("-s -j link show {}", self.near()));
        let links: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        links[0]["stats64"]["rx"]["bytes"].as_u64().expect("a number")
    }

    fn near(&self) -> String {
        format!("near{}", self.number)
    }

    fn far(&self) -> String {
        format!("far{}", self.number)
    }

    fn run(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.holder.id().to_string(), "--"]);
        command.arg(program);
        command
    }

    /// Runs `ip` on the machine.
    fn there(&self, arguments: &str) {
        succeed(self.run("ip").args(arguments.split(' ')));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _already_ended = self.holder.kill();
        let _status = self.holder.wait();
    }
}

/// Whether this machine retransmits unacknowledged data.
///
/// # Panics
///
/// If the system does not report it.
#[must_use]
pub fn is_unanswered() -> bool {
    /// The column of a connection's retransmissions, in hexadecimal digits.
    const RETRANSMISSIONS: usize = 6;
    let sockets = fs::read_to_string("/proc/net/tcp").expect("the connections");
    let lines = sockets.lines().skip(1);
    let mut counts = lines.filter_map(|line| line.split_whitespace().nth(RETRANSMISSIONS));
    counts.any(|count| u32::from_str_radix(count, 16).is_ok_and(|count| count > 0))
}

/// Makes `name` resolve to `addresses`, for this process and its children. Must be called [`inside`].
///
/// # Panics
///
/// If the system refuses.
pub fn name_addresses(folder: &Path, name: &str, addresses: &[&str]) {
    let lines: String = addresses
        .iter()
        .map(|address| format!("{address} {name}\n"))
        .collect();
    let hosts = folder.join("hosts");
    fs::write(&hosts, lines).expect("written");
    succeed(Command::new("mount").arg("--bind").arg(hosts).arg("/etc/hosts"));
}

/// Runs `ip` on this machine.
fn here(arguments: &str) -> Output {
    succeed(Command::new("ip").args(arguments.split(' ')))
}

fn succeed(command: &mut Command) -> Output {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
