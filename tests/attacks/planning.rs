//! Batches that are expensive to plan and cheap to render.

use std::time::{Duration, Instant};

use equibatch_harness::{
    hostile::streams::of_one_pixel,
    images::pictures,
    receive::{next, open, small},
};
use equibatch_proto::v1::{Shard, StreamBatchesRequest};
use equibatch_server_tests::memory::{MemoryServer, config, engine};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn expensive_planning_for_sixteen_clients_leaves_another_its_share() {
    let images = pictures();
    let mut settings = config(2, 1 << 26);
    settings.limits.world = 65_536;
    let server = MemoryServer::start(engine(images.root(), settings));
    for others in 0..16 {
        let mut client = server.client().await;
        let (_, mut stream) = open(&mut client, of_one_pixel(others)).await.unwrap();
        tokio::spawn(async move { while let Ok(Some(_)) = next(&mut stream).await {} });
    }
    let mut client = server.client().await;
    let (_, mut stream) = open(&mut client, small("train", 1_000_000)).await.unwrap();
    let started = Instant::now();
    let honest = async {
        for _ in 0..50 {
            assert_eq!(next(&mut stream).await.unwrap().unwrap().labels.len(), 6);
        }
    };
    // Before planning was charged to its stream, this took minutes.
    let served = tokio::time::timeout(Duration::from_secs(60), honest).await;
    served.expect("300 images beside sixteen streams that are planned");
    let rate = 300.0 / started.elapsed().as_secs_f64();
    println!("attacks: planning: {rate:.0} images/s beside sixteen");
}

#[tokio::test]
async fn the_operator_limits_batches_and_shards() {
    let images = pictures();
    let mut settings = config(1, 1 << 26);
    (settings.limits.batch_size, settings.limits.world) = (1000, 8);
    let server = MemoryServer::start(engine(images.root(), settings));
    let mut client = server.client().await;
    let mut refused = async |batch_size, world, words: [&str; 3]| {
        let request = StreamBatchesRequest {
            batch_size: Some(batch_size),
            shard: Some(Shard { world, rank: 0 }),
            ..small("train", 1)
        };
        let status = client.stream_batches(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(
            words.iter().all(|word| status.message().contains(word)),
            "{status}"
        );
    };
    refused(1001, 1, ["batch_size is 1001", "1 to 1000", "--max-batch-size"]).await;
    refused(1000, 9, ["shard.world is 9", "1 to 8", "--max-world"]).await;
}
