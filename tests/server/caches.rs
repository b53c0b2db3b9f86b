//! The cache of decoded images and the cache of files.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex},
};

use equibatch_engine::{
    dataset::{Dataset, Split},
    decode::{self, canonical_short_side, canonical_size},
    image::Image,
    pipeline::{Files, Source},
};
use equibatch_harness::{
    images::{ImageFolder, picture, pictures},
    process::ServerProcess,
    receive::{receive, small},
};
use equibatch_proto::v1::{Balance, ElementType, Recipe, StreamBatchesRequest, balance};
use equibatch_server_tests::memory::{MemoryServer, config, dataset, engine_with};

/// A source of files that counts the reads of each.
#[derive(Debug, Default)]
struct Counted(Mutex<BTreeMap<u32, usize>>);

impl Source for Counted {
    fn read(&self, dataset: &Dataset, id: u32) -> Result<Vec<u8>, decode::Error> {
        *self.0.lock().unwrap().entry(id).or_default() += 1;
        Files.read(dataset, id)
    }
}

/// Streams three epochs with these cache sizes for images and for files. Returns the batches' digests, the reads of each file, and the server.
async fn streamed(images: &ImageFolder, budgets: (u64, u64)) -> (Vec<String>, Vec<usize>, MemoryServer) {
    streamed_as(small("train", 3), images, budgets).await
}

/// [`streamed`] with another request.
async fn streamed_as(
    request: StreamBatchesRequest,
    images: &ImageFolder,
    (decoded, encoded): (u64, u64),
) -> (Vec<String>, Vec<usize>, MemoryServer) {
    let source = Arc::new(Counted::default());
    let mut settings = config(2, decoded);
    settings.encoded_cache_bytes = encoded;
    let server = MemoryServer::start(engine_with(images.root(), settings, source.clone()));
    let received = receive(&mut server.client().await, request).await.unwrap();
    let reads = source.0.lock().unwrap().values().copied().collect();
    (received.digests(), reads, server)
}

#[tokio::test]
async fn files_are_read_once_if_they_fit_into_the_cache_and_batches_are_the_same() {
    let images = pictures();
    let (reference, reads, _server) = streamed(&images, (0, 0)).await;
    // Three epochs; an image that two workers need at once is read for both.
    assert!(reads.iter().sum::<usize>() > 2 * reads.len(), "{reads:?}");
    // About half the bytes of all images.
    for budgets in [(0, 1 << 20), (60_000, 1 << 20), (0, 30_000), (60_000, 10_000)] {
        let (digests, reads, server) = streamed(&images, budgets).await;
        assert_eq!(digests, reference, "{budgets:?}");
        let (kept, files) = (server.engine.cache().stats(), server.engine.encoded().stats());
        assert!(
            kept.bytes <= budgets.0 && files.bytes <= budgets.1,
            "{kept:?} {files:?}"
        );
        assert!(files.images > 0, "{files:?}");
        let often = reads.iter().filter(|&&reads| reads > 1).count();
        if budgets.1 == 1 << 20 {
            assert_eq!(often, 0, "{budgets:?}: {reads:?}");
            assert_eq!(
                files.images + kept.images,
                reads.len() as u64,
                "no image is in both"
            );
        } else {
            assert!(often > 0, "{budgets:?}: {reads:?}");
        }
    }
}

/// The balance draws no flowers, but natural images are of all classes.
#[tokio::test]
async fn natural_images_that_others_are_mixed_into_are_cached() {
    let images = pictures();
    let weights = balance::Weights {
        weights: [("birds".to_owned(), 1.0)].into(),
    };
    let request = |recipe: &str| StreamBatchesRequest {
        balance: Some(Balance {
            policy: Some(balance::Policy::Weights(weights.clone())),
        }),
        images_per_epoch: Some(60),
        recipe: Some(Recipe {
            text: recipe.to_owned(),
            ..Recipe::default()
        }),
        ..small("train", 3)
    };
    let recipe = "cutmix(p=0.5,from=natural)";
    let (reference, _, _server) = streamed_as(request(recipe), &images, (0, 0)).await;
    for budgets in [(1 << 26, 0), (1 << 26, 1 << 20), (0, 1 << 20)] {
        let (digests, reads, server) = streamed_as(request(recipe), &images, budgets).await;
        assert_eq!(digests, reference, "{budgets:?}");
        let (kept, files) = (server.engine.cache().stats(), server.engine.encoded().stats());
        assert_eq!(
            kept.images + files.images,
            reads.len() as u64,
            "{budgets:?}: {reads:?}"
        );
    }
}

#[tokio::test]
async fn a_rare_class_is_cached_decoded_and_the_others_as_files() {
    let images = pictures();
    let scanned = dataset(images.root());
    let bytes = |&bird: &u32| {
        let file = &scanned.samples[bird as usize];
        let (width, height) = canonical_size(file.width, file.height, Some(canonical_short_side(32)));
        u64::from(width * height * 3) + Image::SLACK as u64
    };
    let birds = &scanned.members(Split::Train)[0];
    let room = birds.iter().map(bytes).sum();
    let (_, reads, server) = streamed(&images, (room, 1 << 20)).await;
    let (kept, files) = (server.engine.cache().stats(), server.engine.encoded().stats());
    let (birds, flowers) = (birds.len() as u64, (reads.len() - birds.len()) as u64);
    assert_eq!((kept.images, kept.bytes), (birds, room), "{kept:?}");
    assert_eq!((files.images, files.misses), (flowers, flowers), "{files:?}");
    // Flowers are decoded repeatedly from cached files.
    assert_eq!(kept.misses, birds + flowers + files.hits, "{kept:?} {files:?}");
    assert!(files.hits >= flowers, "{files:?}");
}

/// Peak resident memory of a process, in bytes.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn a_server_takes_no_more_memory_than_its_budgets_allow() {
    const IMAGES: u32 = 128;
    let folder = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        fs::create_dir(folder.path().join(class)).unwrap();
    }
    // Kept at 341x256: 262 kB each, 33.6 MB in all.
    let image = picture((400, 300), 1);
    for number in 0..IMAGES {
        let class = if number % 2 == 0 { "a" } else { "b" };
        image
            .save(folder.path().join(format!("{class}/{number}.jpg")))
            .unwrap();
    }
    let request = StreamBatchesRequest {
        image_size: Some(224),
        batch_size: Some(4),
        element_type: ElementType::U8.into(),
        ..small("train", 2)
    };
    let mut peaks = vec![];
    for (images, files) in [("0", "0"), ("4MiB", "256KiB"), ("64MiB", "0")] {
        let options = [
            "--cache-bytes",
            images,
            "--encoded-cache-bytes",
            files,
            "--threads",
            "2",
            "--stream-bytes",
            "0",
        ];
        let server = ServerProcess::start(folder.path(), &options);
        receive(&mut server.client().await, request.clone())
            .await
            .unwrap();
        peaks.push(peak(server.id()));
    }
    let [none, bounded, unbounded] = peaks[..] else {
        panic!("{peaks:?}")
    };
    let budgets = (4 << 20) + (256 << 10);
    // Memory is allocated in pages, and runs differ by some.
    let slack = 5 << 20;
    assert!(bounded <= none + budgets + slack, "{peaks:?}");
    assert!(
        unbounded >= none + budgets + 2 * slack,
        "it would be seen: {peaks:?}"
    );
}
