//! Failures of servers.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::report::Failures;
use equibatch_harness::process::{ServerProcess, memory_of};

/// Servers of one folder, each of which can be restarted with its options.
pub(super) struct Servers<'a> {
    root: &'a Path,
    running: Vec<ServerProcess>,
    options: Vec<Vec<String>>,
}

impl<'a> Servers<'a> {
    /// Starts one server for each list of options.
    pub(super) fn start(root: &'a Path, options: Vec<Vec<String>>) -> Self {
        let start = |options: &Vec<String>| ServerProcess::start(root, &words(options));
        Self {
            root,
            running: options.iter().map(start).collect(),
            options,
        }
    }

    pub(super) fn addresses(&self) -> Vec<String> {
        self.running.iter().map(|server| server.address.clone()).collect()
    }

    fn start_again(&mut self, server: usize) {
        let (address, options) = (self.running[server].address.clone(), &self.options[server]);
        self.running[server] = ServerProcess::listening(self.root, &address, &words(options));
    }

    /// Peak resident memory of the running servers, in bytes.
    fn peak_memory(&self) -> u64 {
        let peaks = self.running.iter().map(|server| memory_of(server.id(), "VmHWM"));
        peaks.flatten().max().unwrap_or(0)
    }
}

fn words(options: &[String]) -> Vec<&str> {
    options.iter().map(String::as_str).collect()
}

/// Kills, stops or suspends one of the servers every second or two, and restores it, until `end`.
pub(super) fn make(servers: &mut Servers<'_>, end: Instant, mut dice: ChaCha8Rng) -> Failures {
    let mut failures = Failures::default();
    while Instant::now() < end {
        let calm = Duration::from_millis(dice.random_range(500..2000));
        thread::sleep(calm);
        failures.peak_rss = failures.peak_rss.max(servers.peak_memory());
        let victim = dice.random_range(0..servers.running.len());
        let absence = Duration::from_millis(dice.random_range(50..2500));
        let server = &mut servers.running[victim];
        match dice.random_range(0..4) {
            0 => {
                server.stand_still();
                thread::sleep(absence);
                server.go_on();
                failures.stand_stills += 1;
                continue;
            }
            1 => {
                server.terminate();
                failures.stops += 1;
            }
            _ => {
                server.kill();
                failures.kills += 1;
            }
        }
        server.wait();
        thread::sleep(absence);
        servers.start_again(victim);
    }
    failures.peak_rss = failures.peak_rss.max(servers.peak_memory());
    failures
}
