//! Requests for more memory than there is: unread streams, large batches, small files of large images.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use equibatch_engine::pipeline::{Engine, EngineConfig};
use equibatch_harness::{
    images::pictures,
    process::{ServerProcess, program},
    receive::{next, open, small, with_token},
};
use equibatch_proto::v1::{Canonical, ElementType, StreamBatchesRequest};
use equibatch_server_tests::memory::config;
use image::{Rgba, RgbaImage};
use tonic::Code;

use super::{OneFile, without_files};

const MIB: u64 = 1 << 20;
/// What the program may use beside its memory budget for data.
const BESIDE: u64 = 128 * MIB;

fn assert_within(server: &ServerProcess, what: &str, total: u64) {
    let peak = server.peak_memory();
    println!(
        "attacks: memory: {what}: peak {} of {} MiB",
        peak / MIB,
        total / MIB
    );
    assert!(peak <= total + BESIDE, "{what}: {} MiB", peak / MIB);
}

/// A batch of `images` float images at 224: 588 KiB each.
fn floats(images: u32, epochs: u32) -> StreamBatchesRequest {
    StreamBatchesRequest {
        batch_size: Some(images),
        image_size: Some(224),
        images_per_epoch: Some(u64::from(images) * 8),
        ..small("train", epochs)
    }
}

#[tokio::test]
async fn twenty_unread_streams_stay_within_memory_and_leave_some_to_others() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::write(
        &tokens,
        "token-of-the-greedy greedy\ntoken-of-the-honest honest\n",
    )
    .unwrap();
    let options = ["--memory-bytes", "384MiB", "--threads", "2", "--tokens"];
    let server = ServerProcess::start(
        images.root(),
        &[&options[..], &[tokens.to_str().unwrap()]].concat(),
    );
    let mut unread = vec![];
    for seed in 0..20 {
        let request = StreamBatchesRequest {
            seed,
            ..floats(16, 1000)
        };
        let request = with_token(request, "token-of-the-greedy");
        // One connection each: unread streams fill their connection's window.
        match open(&mut server.client().await, request).await {
            Ok(stream) => unread.push(stream),
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                assert!(status.message().contains("--memory-bytes"), "{status}");
            }
        }
    }
    assert!(unread.len() >= 3, "{} streams", unread.len());
    // By the end of this, the others have filled their buffers.
    let request = with_token(floats(16, 4), "token-of-the-honest");
    let (_, mut honest) = open(&mut server.client().await, request).await.unwrap();
    let mut batches = 0;
    while next(&mut honest).await.unwrap().is_some() {
        batches += 1;
    }
    assert_eq!(batches, 32);
    assert_within(&server, "twenty unread streams", 384 * MIB);
}

#[tokio::test]
async fn a_stream_of_large_batches_stays_within_the_memory() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--memory-bytes", "384MiB", "--threads", "2"]);
    let mut client = server.client().await;
    // 112 MiB each.
    let (_, mut stream) = open(&mut client, floats(200, 1)).await.unwrap();
    let mut batches = 0;
    while next(&mut stream).await.unwrap().is_some() {
        batches += 1;
    }
    assert_eq!(batches, 8);
    let status = open(&mut client, floats(400, 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert_within(&server, "batches of 112 MiB", 384 * MIB);
}

/// A file of 25 megapixels: decoding it takes 175 MB.
fn bomb(path: &Path) {
    let image = RgbaImage::from_pixel(5000, 5000, Rgba([9, 99, 199, 255]));
    image.save(path).unwrap();
}

#[tokio::test]
async fn small_files_of_large_images_are_decoded_a_few_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        fs::create_dir(folder.path().join(class)).unwrap();
    }
    let first = folder.path().join("a/0.png");
    bomb(&first);
    assert!(fs::metadata(&first).unwrap().len() < MIB);
    for number in 1..8 {
        let class = if number % 2 == 0 { "a" } else { "b" };
        fs::copy(&first, folder.path().join(format!("{class}/{number}.png"))).unwrap();
    }
    let options = [
        "--memory-bytes",
        "640MiB",
        "--cache-bytes",
        "64MiB",
        "--threads",
        "8",
    ];
    let server = ServerProcess::start(
        folder.path(),
        &[&options[..], &["--valid-fraction", "0"]].concat(),
    );
    for canonical in [Canonical::ShortSide, Canonical::Native] {
        let request = StreamBatchesRequest {
            batch_size: Some(8),
            element_type: ElementType::U8.into(),
            canonical: canonical.into(),
            ..small("train", 1)
        };
        let (_, mut stream) = open(&mut server.client().await, request).await.unwrap();
        let batch = next(&mut stream).await.unwrap().unwrap();
        assert!(batch.replacements.is_empty(), "{:?}", batch.replacements);
        let what = format!("eight decode bombs at once, {}", canonical.as_str_name());
        assert_within(&server, &what, 640 * MIB);
    }
}

/// Two classes of `images` images each, all links to one file.
fn many(images: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for class in ["n01440764", "n01443537"] {
        let file = |number: usize| {
            folder
                .path()
                .join(format!("{class}/{class}_{}.png", 100_000 + number))
        };
        fs::create_dir(folder.path().join(class)).unwrap();
        RgbaImage::new(40, 30).save(file(0)).unwrap();
        for number in 1..images {
            fs::hard_link(file(0), file(number)).unwrap();
        }
    }
    folder
}

#[tokio::test]
async fn the_index_of_a_dataset_takes_at_most_150_bytes_an_image_of_the_memory() {
    const IMAGES: u64 = 100_000;
    let start = |folder: &Path| {
        // Otherwise the system gives the allocator huge pages of 2 MiB.
        let mut command = Command::new(program("server"));
        command.env("MIMALLOC_ALLOW_THP", "0");
        let options = ["--listen", "127.0.0.1:0", "--memory-bytes", "384MiB"];
        ServerProcess::by(command, Stdio::inherit(), folder, &options)
    };
    let (few, all) = (many(2), many(IMAGES as usize / 2));
    let server = start(all.path());
    let bytes = server
        .peak_memory()
        .saturating_sub(start(few.path()).peak_memory())
        / IMAGES;
    println!("attacks: memory: index of {IMAGES} images: {bytes} bytes each");
    assert!(bytes <= 150, "{bytes} bytes an image");

    let mut unread = vec![];
    for seed in 0..10 {
        let request = StreamBatchesRequest {
            seed,
            ..floats(16, 1000)
        };
        // One connection each: unread streams fill their connection's window.
        if let Ok(mut stream) = open(&mut server.client().await, request).await {
            assert!(next(&mut stream.1).await.unwrap().is_some());
            unread.push(stream);
        }
    }
    assert!(unread.len() >= 3, "{} streams", unread.len());
    assert_within(&server, "100,000 images and unread streams", 384 * MIB);
}

#[test]
fn a_dataset_whose_index_does_not_fit_the_memory_is_refused() {
    let engine = |memory_bytes| {
        let config = EngineConfig {
            memory_bytes,
            ..config(1, 0)
        };
        Engine::with_source(config, vec![without_files(1000, 100)], Arc::new(OneFile::new()))
    };
    let error = engine(10 * MIB).unwrap_err().to_string();
    assert!(
        error.contains("100000 images") && error.contains("--memory-bytes"),
        "{error}"
    );
    let used = engine(64 * MIB).unwrap().memory_used();
    assert!(used > 8 * MIB, "{used}");
}
