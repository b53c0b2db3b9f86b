//! Batches through shared memory: the same bytes as over TCP, and no memory left over after a process is killed.
//!
//! - `bytes`: the bytes that readers get.
//! - `termination`: memory after a reader or a server has ended; `reader`: a reader process.
//! - `protocol`: messages that the test writes, including invalid ones.

mod bytes;
mod protocol;
mod reader;
mod termination;

use std::{fs, time::Duration};

use equibatch_harness::{
    images::{ImageFolder, pictures},
    process::ServerProcess,
    receive::borrowed,
    wait::eventually,
};
use equibatch_stream::{BatchStream, RetryPolicy, Servers, Transport};
use tempfile::TempDir;

/// A server on a Unix socket in a folder of its own.
fn serve(images: &ImageFolder, options: &[&str]) -> (ServerProcess, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix:{}", folder.path().join("socket").display());
    (ServerProcess::listening(images.root(), &address, options), folder)
}

/// Without retries.
const AT_ONCE: RetryPolicy = RetryPolicy {
    retry_for: Duration::ZERO,
    stall: Duration::from_secs(60),
};

fn open(addresses: &[&str], epochs: u32, prefetch: usize) -> BatchStream {
    let servers = Servers::open(&addresses.join(","), AT_ONCE).unwrap();
    servers.stream(&borrowed(epochs), prefetch).unwrap()
}

fn digests(stream: &mut BatchStream, count: usize) -> Vec<String> {
    std::iter::from_fn(|| stream.next_batch().unwrap())
        .take(count)
        .map(|batch| {
            let tensor = blake3::hash(&batch.tensor).to_hex();
            format!("{} {} {:?} {tensor}", batch.epoch, batch.step, batch.samples)
        })
        .collect()
}

/// The digests of a stream over TCP.
fn by_port(images: &ImageFolder, epochs: u32) -> Vec<String> {
    let server = ServerProcess::start(images.root(), &[]);
    let mut stream = open(&[&server.address], epochs, 2);
    assert_eq!(stream.transports(), Transport::Network.to_string());
    digests(&mut stream, usize::MAX)
}

/// Sizes of a process's mappings of shared memory, in bytes.
fn mapped(process: u32) -> Vec<u64> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let ours = maps.lines().filter(|line| line.contains("memfd:equibatch"));
    ours.map(|line| {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        u64::from_str_radix(end, 16).unwrap() - u64::from_str_radix(start, 16).unwrap()
    })
    .collect()
}

/// The number of a process's descriptors of shared memory.
fn descriptors(process: u32) -> usize {
    let open = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let targets = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    targets
        .filter(|target| target.to_string_lossy().contains("memfd:equibatch"))
        .count()
}

/// Waits until a process has unmapped all shared memory.
fn wait_for_nothing_mapped(process: u32) {
    eventually("all shared memory is unmapped", || {
        mapped(process).is_empty().then_some(())
    });
}
