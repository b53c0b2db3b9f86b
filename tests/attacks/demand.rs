//! Streams of the whole dataset, each with another image size and other class weights.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use equibatch_engine::pipeline::Engine;
use equibatch_harness::{
    hostile::streams::of_other_size,
    process::memory_of,
    receive::{next, open, small},
};
use equibatch_server_tests::memory::{MemoryServer, config};

use super::{OneFile, without_files};

#[tokio::test(flavor = "multi_thread")]
async fn thirty_streams_of_different_sizes_take_little_memory_and_delay_no_other() {
    let dataset = without_files(10, 10_000);
    let classes = dataset.classes.clone();
    // Less than all images take: the cache has to choose.
    let engine = Engine::with_source(config(2, 1 << 28), vec![dataset], Arc::new(OneFile::new())).unwrap();
    let server = MemoryServer::start(engine);
    let (_, mut neighbour) = open(&mut server.client().await, small("train", 1_000_000))
        .await
        .unwrap();
    let is_done = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&is_done);
    let neighbour = tokio::spawn(async move {
        let mut waits = vec![];
        while !done.load(Ordering::Relaxed) {
            let asked = Instant::now();
            next(&mut neighbour).await.unwrap().unwrap();
            waits.push(asked.elapsed());
        }
        waits
    });
    let resident = || memory_of(std::process::id(), "VmRSS").unwrap();
    let before = resident();
    let (mut streams, mut opening) = (vec![], vec![]);
    for number in 0..30 {
        let mut client = server.client().await;
        let asked = Instant::now();
        let opened = tokio::time::timeout(
            Duration::from_secs(60),
            open(&mut client, of_other_size(number, &classes)),
        );
        streams.push(opened.await.expect("opened").unwrap());
        opening.push(asked.elapsed());
    }
    let grown = resident().saturating_sub(before);
    is_done.store(true, Ordering::Relaxed);
    let mut waits = neighbour.await.unwrap();
    waits.sort_unstable();
    opening.sort_unstable();
    let p99 = waits[waits.len() * 99 / 100];
    println!(
        "attacks: demand: opening {:?} at most, {:?} in the middle; neighbour's p99 {p99:?} of {} batches; {} MB more",
        opening[29],
        opening[15],
        waits.len(),
        grown / 1_000_000
    );
    // An earlier version kept 32 bytes per image and stream, over 500 MB. The cache itself may fill meanwhile.
    if std::env::var_os("NEXTEST").is_some() {
        assert!(grown < 384 << 20, "{grown} bytes");
    }
}
