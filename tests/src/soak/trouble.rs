//! What goes wrong.

use std::{
    io::Write as _,
    net::TcpStream,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use equibatch_proto::v1::{StreamBatchesRequest, Stride, batch_loader_client::BatchLoaderClient};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use tokio::runtime::Runtime;

use super::{OPTIONS, report::Trouble};
use crate::{
    process::{ServerProcess, memory_of},
    receive,
};

/// Does something to one of the servers every second or two, and brings it back, until `end`.
pub(super) fn make(
    servers: &mut [ServerProcess],
    root: &Path,
    end: Instant,
    mut dice: ChaCha8Rng,
) -> Result<Trouble> {
    let mut trouble = Trouble::default();
    while Instant::now() < end {
        let calm = Duration::from_millis(dice.random_range(500..2000));
        thread::sleep(calm);
        for server in servers.iter() {
            trouble.peak_rss = trouble.peak_rss.max(memory_of(server.id(), "VmRSS").unwrap_or(0));
        }
        let victim = dice.random_range(0..servers.len());
        let absence = Duration::from_millis(dice.random_range(50..2500));
        match dice.random_range(0..4) {
            0 => {
                servers[victim].stand_still();
                thread::sleep(absence);
                servers[victim].go_on();
                trouble.stand_stills += 1;
                continue;
            }
            1 => {
                servers[victim].terminate();
                trouble.stops += 1;
            }
            _ => {
                servers[victim].kill();
                trouble.kills += 1;
            }
        }
        servers[victim].wait();
        thread::sleep(absence);
        let address = servers[victim].address.clone();
        servers[victim] = ServerProcess::listening(root, &address, &OPTIONS);
    }
    Ok(trouble)
}

/// Opens streams of large batches and hardly reads them. Gives the number of streams.
pub(super) fn read_slowly(addresses: &[String], is_over: &AtomicBool, mut dice: ChaCha8Rng) -> Result<u64> {
    let runtime = Runtime::new()?;
    let mut streams = 0;
    while !is_over.load(Ordering::Relaxed) {
        let uri = format!("http://{}", addresses[dice.random_range(0..addresses.len())]);
        runtime.block_on(async {
            let pause = Duration::from_millis(dice.random_range(500..4000));
            // Servers come and go: what fails here is not looked at.
            if let Ok(client) = BatchLoaderClient::connect(uri).await {
                let request = StreamBatchesRequest {
                    epochs: Some(1000),
                    batch_size: Some(48),
                    ..StreamBatchesRequest::default()
                };
                let mut client = client.max_decoding_message_size(usize::MAX);
                if let Ok((_description, mut stream)) = receive::open(&mut client, request).await {
                    streams += 1;
                    let _first = receive::next(&mut stream).await;
                    tokio::time::sleep(pause).await;
                }
            }
            tokio::time::sleep(pause / 4).await;
        });
    }
    Ok(streams)
}

/// Sends requests without a meaning, and bytes that are no requests. Gives the number of both.
pub(super) fn talk_nonsense(addresses: &[String], is_over: &AtomicBool, mut dice: ChaCha8Rng) -> Result<u64> {
    let runtime = Runtime::new()?;
    let mut sent = 0;
    while !is_over.load(Ordering::Relaxed) {
        let address = &addresses[dice.random_range(0..addresses.len())];
        if dice.random_bool(0.5) {
            if let Ok(mut socket) = TcpStream::connect(address) {
                let mut bytes = [0_u8; 512];
                dice.fill(&mut bytes);
                if dice.random_bool(0.5) {
                    bytes[..24].copy_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
                }
                let _closed_by_the_server = socket.write_all(&bytes);
                sent += 1;
            }
        } else {
            let request = nonsense(&mut dice);
            runtime.block_on(async {
                if let Ok(mut client) = BatchLoaderClient::connect(format!("http://{address}")).await {
                    let _refused = receive::open(&mut client, request).await;
                    sent += 1;
                }
            });
        }
        thread::sleep(Duration::from_millis(dice.random_range(20..200)));
    }
    Ok(sent)
}

fn nonsense(dice: &mut ChaCha8Rng) -> StreamBatchesRequest {
    StreamBatchesRequest {
        dataset: ["", "pictures", "../etc", "\u{0}"][dice.random_range(0..4)].to_owned(),
        split: ["train", "valid", "all"][dice.random_range(0..3)].to_owned(),
        batch_size: Some(dice.random()),
        image_size: Some(dice.random_range(0..5000)),
        epochs: Some(dice.random()),
        images_per_epoch: Some(dice.random()),
        element_type: dice.random_range(-1..5),
        stride: Some(Stride {
            of: dice.random(),
            index: dice.random(),
        }),
        ..StreamBatchesRequest::default()
    }
}
