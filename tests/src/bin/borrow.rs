//! A reader that keeps its batches: `borrow ADDRESS BATCHES`.
//!
//! It reads BATCHES batches from a server on this machine and prints `holding` and their transport. Then, for every line on standard input,
//! it prints the digests of all batches. It keeps them until its input ends.

#![allow(clippy::print_stdout, reason = "the lines are what the program is for")]

use std::{env, io};

use anyhow::{Context as _, Result, bail};
use equibatch_harness::receive::borrowed;
use equibatch_stream::{Batch, RetryPolicy, Servers};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, batches] = &arguments[..] else {
        bail!("usage: borrow ADDRESS BATCHES");
    };
    let batches: usize = batches.parse().context("BATCHES")?;
    let servers = Servers::open(address, RetryPolicy::default())?;
    let mut stream = servers.stream(&borrowed(1_000_000), batches)?;
    let mut held: Vec<Batch> = vec![];
    for _ in 0..batches {
        held.push(stream.next_batch()?.context("a batch")?);
    }
    println!("holding by {}", stream.transports());
    for line in io::stdin().lines() {
        line?;
        let digest = |batch: &Batch| blake3::hash(&batch.tensor).to_hex().to_string();
        println!("{}", held.iter().map(digest).collect::<Vec<_>>().join(" "));
    }
    Ok(())
}
