//! The same request gives the same bytes under any conditions.

use equibatch_harness::{
    images::ImageFolder,
    receive::{digest, next, open, receive, small},
};
use equibatch_proto::v1::{Batch, Shard, Stride};
use equibatch_server_tests::memory::{MemoryServer, config, engine};

fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 5), ("flowers", 17), ("trees", 9)])
}

async fn digests(images: &ImageFolder, threads: usize, cache_bytes: u64) -> Vec<String> {
    let server = MemoryServer::start(engine(images.root(), config(threads, cache_bytes)));
    receive(&mut server.client().await, small("train", 3))
        .await
        .unwrap()
        .digests()
}

#[tokio::test]
async fn threads_and_cache_change_no_byte() {
    let images = pictures();
    let reference = digests(&images, 1, 0).await;
    assert!(reference.len() >= 15);
    for (threads, cache_bytes) in [(1, 1 << 26), (2, 1 << 26), (2, 0), (8, 1 << 26), (8, 20_000)] {
        assert_eq!(
            digests(&images, threads, cache_bytes).await,
            reference,
            "{threads} threads, {cache_bytes} bytes"
        );
    }
}

#[tokio::test]
async fn a_stream_limited_to_one_batch_gives_the_same_bytes() {
    let images = pictures();
    let reference = digests(&images, 2, 1 << 26).await;
    let mut settings = config(2, 1 << 26);
    settings.stream_bytes = 0;
    let server = MemoryServer::start(engine(images.root(), settings));
    let received = receive(&mut server.client().await, small("train", 3))
        .await
        .unwrap();
    assert_eq!(received.digests(), reference);
}

#[tokio::test]
async fn a_warm_cache_and_concurrent_streams_change_no_byte() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(2, 1 << 26)));
    let mut client = server.client().await;
    let cold = receive(&mut client, small("train", 2)).await.unwrap().digests();
    let mut other = small("train", 4);
    (other.seed, other.image_size) = (8, Some(24));
    let mut clients = (server.client().await, server.client().await);
    let (warm, beside) = tokio::join!(
        receive(&mut clients.0, small("train", 2)),
        receive(&mut clients.1, other.clone())
    );
    assert_eq!(warm.unwrap().digests(), cold);
    assert_eq!(
        beside.unwrap().digests(),
        receive(&mut client, other).await.unwrap().digests()
    );
}

#[tokio::test]
async fn any_server_continues_from_any_token() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(2, 1 << 26)));
    let whole = receive(&mut server.client().await, small("train", 2))
        .await
        .unwrap();
    let digests = whole.digests();
    drop(server);
    let other = MemoryServer::start(engine(images.root(), config(3, 0)));
    let mut client = other.client().await;
    for (index, batch) in whole.batches.iter().enumerate() {
        let mut request = small("train", 2);
        request.start = batch.next.clone();
        let rest = receive(&mut client, request).await.unwrap();
        assert_eq!(
            rest.digests(),
            digests[index + 1..],
            "continued after batch {index}"
        );
    }
}

#[tokio::test]
async fn shards_partition_a_stream_and_their_number_may_change() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(2, 1 << 26)));
    let mut client = server.client().await;
    let whole = receive(&mut client, small("train", 1)).await.unwrap();
    let image_bytes = whole.batches[0].tensor.len() / 6;
    for world in [1, 2, 4, 6] {
        for rank in 0..world {
            let mut request = small("train", 1);
            request.shard = Some(Shard { world, rank });
            // The token belongs to the whole stream.
            request.start = whole.batches[0].next.clone();
            let part = receive(&mut client, request).await.unwrap();
            assert_eq!(part.batches.len() + 1, whole.batches.len());
            for (whole, part) in whole.batches[1..].iter().zip(&part.batches) {
                let slots: Vec<usize> = (rank as usize..6).step_by(world as usize).collect();
                let images: Vec<&[u8]> = slots
                    .iter()
                    .map(|slot| &whole.tensor[slot * image_bytes..(slot + 1) * image_bytes])
                    .collect();
                assert_eq!(
                    part.tensor,
                    images.concat(),
                    "shard {rank} of {world}, step {}",
                    part.step
                );
                assert_eq!(
                    part.labels,
                    slots.iter().map(|slot| whole.labels[*slot]).collect::<Vec<_>>()
                );
            }
        }
    }
}

#[tokio::test]
async fn strides_partition_the_batches_of_a_stream() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(2, 1 << 26)));
    let mut client = server.client().await;
    let whole = receive(&mut client, small("train", 2)).await.unwrap();
    for of in [1, 2, 3, 40] {
        for index in 0..of {
            let mut request = small("train", 2);
            request.stride = Some(Stride { of, index });
            request.start = whole.batches[0].next.clone();
            let part = receive(&mut client, request).await.unwrap();
            // The first batch is before the start.
            let skip = if index == 0 { of } else { index };
            let expected: Vec<String> = (whole.digests().into_iter())
                .skip(skip as usize)
                .step_by(of as usize)
                .collect();
            assert_eq!(part.digests(), expected, "remainder {index} of {of}");
            let tokens = |batches: &[Batch]| batches.iter().map(|b| b.next.clone()).collect::<Vec<_>>();
            let places = whole.batches.iter().skip(skip as usize).step_by(of as usize);
            assert_eq!(
                tokens(&part.batches),
                places.map(|b| b.next.clone()).collect::<Vec<_>>()
            );
        }
    }
}

#[tokio::test]
async fn seeds_and_epochs_differ() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(2, 1 << 26)));
    let mut client = server.client().await;
    let mut tensors = vec![];
    for seed in [1, 2] {
        let mut request = small("train", 2);
        request.seed = seed;
        let (_description, mut stream) = open(&mut client, request).await.unwrap();
        while let Some(batch) = next(&mut stream).await.unwrap() {
            tensors.push((digest(&batch), batch.tensor));
        }
    }
    for (index, (name, tensor)) in tensors.iter().enumerate() {
        assert!(
            tensors[..index].iter().all(|(_, earlier)| earlier != tensor),
            "{name} came before"
        );
    }
}
