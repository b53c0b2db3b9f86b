//! Many clients with many streams and weights above those granted.

use equibatch_harness::{
    images::pictures,
    receive::{next, open, small, with_token},
};
use equibatch_proto::v1::StreamBatchesRequest;
use equibatch_server_tests::memory::{MemoryServer, config, engine, with_tokens};
use tonic::Code;

/// Hostile clients.
const OTHERS: usize = 100;
/// Streams of each.
const STREAMS: u64 = 3;

fn token(client: usize) -> String {
    format!("token-of-client-{client:04}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_among_a_hundred_hostile_ones_keeps_its_share() {
    let images = pictures();
    let mut settings = config(2, 1 << 26);
    settings.limits.open_streams = 1000;
    let lines: Vec<String> = (0..=OTHERS)
        .map(|client| format!("{} client-{client}", token(client)))
        .collect();
    let server = MemoryServer::start_with(engine(images.root(), settings), with_tokens(&lines.join("\n")));
    let endless = |client: usize, stream: u64| {
        let request = StreamBatchesRequest {
            // No two streams have a batch in common.
            seed: client as u64 * 100 + stream,
            ..small("train", 1_000_000)
        };
        with_token(request, &token(client))
    };
    for client in 1..=OTHERS {
        let mut channel = server.client().await;
        for stream in 0..STREAMS {
            let (_, mut stream) = open(&mut channel, endless(client, stream)).await.unwrap();
            tokio::spawn(async move { while let Ok(Some(_)) = next(&mut stream).await {} });
        }
    }
    let (_, mut stream) = open(&mut server.client().await, endless(0, 0)).await.unwrap();
    let given = || server.engine.datasets()[0].metrics().read().sums.images;
    // Not the batches made before it opened, or before its first request.
    next(&mut stream).await.unwrap().unwrap();
    let before = given();
    let mut own = 0;
    while own < 120 {
        own += next(&mut stream).await.unwrap().unwrap().labels.len();
    }
    let part = own as f64 / (given() - before) as f64 * (OTHERS + 1) as f64;
    println!("attacks: weights: {part:.2} of a fair share among {OTHERS} clients of {STREAMS} streams");
    assert!(part >= 0.8, "{part} of a fair share");
}

#[tokio::test]
async fn a_weight_above_one_needs_the_operators_permission() {
    let images = pictures();
    let lines = format!("{} usual\n{} heavy weight=9", token(1), token(2));
    let server = MemoryServer::start_with(engine(images.root(), config(1, 1 << 26)), with_tokens(&lines));
    let mut client = server.client().await;
    for (owner, weight, is_granted) in [(1, 1, true), (1, 2, false), (2, 9, true), (2, 10, false)] {
        let request = StreamBatchesRequest {
            weight: Some(weight),
            ..small("train", 1)
        };
        match open(&mut client, with_token(request, &token(owner))).await {
            Ok(_) => assert!(is_granted, "{owner} {weight}"),
            Err(status) => {
                assert!(!is_granted, "{status}");
                assert_eq!(status.code(), Code::InvalidArgument);
                assert!(status.message().contains("weight= of its token"), "{status}");
            }
        }
    }
}
