//! Coalesced streams: identical concurrent streams share their batches.

use equibatch_engine::{
    augment::Recipe,
    dataset::Dataset,
    decode,
    pipeline::{
        Batch, BatchStream, Engine, Error, Files, Position, Shard, Source, Start, StreamSpec, Stride,
    },
    tensor::ElementType,
};
use std::{
    future::poll_fn,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use equibatch_harness::{images::ImageFolder, wait::within};
use equibatch_server_tests::memory::{config, engine, engine_with};
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Images in an epoch of [`spec`], and batches.
const IMAGES: u64 = 42;
const STEPS: u64 = 7;

fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 5), ("flowers", 21)])
}

fn spec(epochs: u32) -> StreamSpec {
    StreamSpec {
        images_per_epoch: Some(IMAGES),
        ..StreamSpec::train("")
            .seed(3)
            .epochs(epochs)
            .batch_size(6)
            .image_size(32)
            .element_type(ElementType::U8)
    }
}

fn from(epoch: u64, step: u64) -> Start {
    Start {
        position: Position { epoch, step },
        ..Start::default()
    }
}

/// The fields of a batch that readers compare.
fn known(batch: &Batch) -> (Position, blake3::Hash) {
    let labels: Vec<u8> = batch
        .labels
        .iter()
        .chain(&batch.samples)
        .flat_map(|n| n.to_le_bytes())
        .collect();
    (
        batch.position,
        blake3::hash(&[&labels[..], &batch.tensor[..]].concat()),
    )
}

async fn next(stream: &mut BatchStream) -> Option<(Position, blake3::Hash)> {
    let batch = within(
        "the next batch comes",
        poll_fn(|context| stream.poll_next(context)),
    )
    .await;
    batch.map(|batch| known(&batch.expect("a batch")))
}

async fn all(stream: &mut BatchStream) -> Vec<(Position, blake3::Hash)> {
    let mut batches = vec![];
    while let Some(batch) = next(stream).await {
        batches.push(batch);
    }
    batches
}

/// The batches of a stream alone.
async fn alone(images: &ImageFolder, spec: StreamSpec) -> Vec<(Position, blake3::Hash)> {
    all(&mut engine(images.root(), config(2, 1 << 26)).stream(spec).unwrap()).await
}

/// The number of images rendered for streams that have ended.
fn made(engine: &Engine) -> u64 {
    let sums = engine.datasets()[0].metrics().read().sums;
    sums.hits + sums.decodes
}

#[tokio::test]
async fn coalesced_streams_in_step_cost_as_much_as_one() {
    let images = pictures();
    let engine = engine(images.root(), config(2, 1 << 26));
    let mut streams = [(); 3].map(|()| engine.stream(spec(2)).unwrap());
    let mut received = [vec![], vec![], vec![]];
    for _ in 0..2 * STEPS {
        for (stream, received) in streams.iter_mut().zip(&mut received) {
            received.push(next(stream).await.unwrap());
        }
    }
    drop(streams);
    assert_eq!(made(&engine), 2 * IMAGES);
    let expected = alone(&images, spec(2)).await;
    for received in received {
        assert_eq!(received, expected);
    }
}

#[tokio::test]
async fn streams_with_different_outputs_are_not_coalesced() {
    let images = pictures();
    let others = [
        StreamSpec { seed: 4, ..spec(1) },
        StreamSpec {
            shard: Shard { world: 2, rank: 1 },
            ..spec(1)
        },
        StreamSpec {
            recipe: Recipe::none(),
            ..spec(1)
        },
    ];
    for other in others {
        // On an engine of their own: a stream of the previous pair is coalesced, too, as long as a worker has one of its batches.
        let engine = engine(images.root(), config(2, 1 << 26));
        let share = u64::from(other.shard.world);
        let mut streams = [engine.stream(spec(1)).unwrap(), engine.stream(other).unwrap()];
        for _ in 0..STEPS {
            for stream in &mut streams {
                next(stream).await.unwrap();
            }
        }
        drop(streams);
        assert_eq!(made(&engine), IMAGES + IMAGES / share);
    }
}

#[tokio::test]
async fn coalesced_streams_get_the_batches_of_a_stream_alone() {
    let images = pictures();
    let engine = engine(images.root(), config(2, 1 << 26));
    let whole = alone(&images, spec(6)).await;
    let every = |of, index| StreamSpec {
        stride: Stride { of, index },
        ..spec(6)
    };
    let kinds = [
        spec(6),
        StreamSpec {
            start: from(1, 3),
            ..spec(6)
        },
        every(2, 0),
        every(3, 2),
    ];
    let mut expected = vec![];
    for kind in &kinds {
        expected.push(alone(&images, kind.clone()).await);
        assert!(expected.last().unwrap().iter().all(|batch| whole.contains(batch)));
    }
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    let mut streams: Vec<(usize, usize, BatchStream)> = vec![];
    for _ in 0..600 {
        let is_new = streams.len() < 2 || (streams.len() < 5 && dice.random_ratio(1, 8));
        if is_new {
            let kind = dice.random_range(0..kinds.len());
            streams.push((kind, 0, engine.stream(kinds[kind].clone()).unwrap()));
        }
        let index = dice.random_range(0..streams.len());
        let (kind, taken, stream) = &mut streams[index];
        // Some pause for long, so that others are far ahead.
        for _ in 0..1 + dice.next_u32() % 4 {
            let received = next(stream).await;
            assert_eq!(
                received.as_ref(),
                expected[*kind].get(*taken),
                "stream {kind}, batch {taken}"
            );
            *taken += 1;
            if received.is_none() || dice.random_ratio(1, 60) {
                streams.swap_remove(index);
                break;
            }
        }
    }
}

/// Files, of which the tenth read fails with a transient error.
#[derive(Debug, Default)]
struct OnceBusy(AtomicUsize);

impl Source for OnceBusy {
    fn read(&self, dataset: &Dataset, id: u32) -> Result<Vec<u8>, decode::Error> {
        if self.0.fetch_add(1, Ordering::SeqCst) == 9 {
            return Err(decode::Error::Io {
                path: dataset.path(id),
                source: io::Error::from_raw_os_error(libc::EMFILE),
            });
        }
        Files.read(dataset, id)
    }
}

#[tokio::test]
async fn a_failing_stream_does_not_fail_those_coalesced_with_it() {
    let images = pictures();
    let expected = alone(&images, spec(2)).await;
    // One worker, so that no other one waits for the failing read.
    let engine = engine_with(images.root(), config(1, 1 << 26), Arc::new(OnceBusy::default()));
    let mut streams = [(); 3].map(|()| engine.stream(spec(2)).unwrap());
    let mut received = [vec![], vec![], vec![]];
    let mut failed = [false; 3];
    for _ in 0..2 * STEPS {
        for (index, stream) in streams
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| !failed[*index])
            .collect::<Vec<_>>()
        {
            match poll_fn(|context| stream.poll_next(context))
                .await
                .expect("no end")
            {
                Ok(batch) => received[index].push(known(&batch)),
                Err(error) => {
                    assert!(matches!(error, Error::Read { .. }), "{error}");
                    failed[index] = true;
                }
            }
        }
    }
    assert_eq!(failed.iter().filter(|failed| **failed).count(), 1);
    for (received, failed) in received.iter().zip(failed) {
        assert_eq!(received[..], expected[..received.len()]);
        assert!(failed || received.len() == expected.len());
    }
}

#[tokio::test]
async fn a_coalesced_stream_that_ends_takes_no_batch_along() {
    let images = pictures();
    let expected = alone(&images, spec(1)).await;
    let engine = engine(images.root(), config(1, 1 << 26));
    let (mut one, mut other) = (engine.stream(spec(1)).unwrap(), engine.stream(spec(1)).unwrap());
    // Both have batches pending that only the first one's turns have filled so far.
    let first = (next(&mut one).await, next(&mut other).await);
    assert_eq!(first.0, first.1);
    drop(one);
    assert_eq!(all(&mut other).await, expected[1..]);
}
