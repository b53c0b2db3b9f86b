//! Bottleneck attribution: each possible bottleneck is forced, and client and server report it.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use equibatch_engine::{
    dataset::Dataset,
    decode,
    pipeline::{Files, Source},
};
use equibatch_harness::{files::Log, images::ImageFolder, process::ServerProcess, proxy::Proxy};
use equibatch_server::{
    run,
    service::{ServiceConfig, socket},
};
use equibatch_server_tests::memory::{config, engine_with};
use equibatch_stream::{Batch, BatchRequest, Bottleneck, BottleneckReport, RetryPolicy, Servers, Split};
use image::{Rgb, RgbImage};
use tempfile::TempDir;

fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 10), ("flowers", 20)])
}

/// Two epochs of small images.
fn request() -> BatchRequest {
    BatchRequest {
        epochs: 2,
        recipe: "flip-only".to_owned(),
        reports: true,
        ..BatchRequest::evaluation("", Split::Train, 4, 32)
    }
}

/// The reported bottlenecks of the epochs of a stream whose batches are processed by `work`.
fn bottlenecks(addresses: &str, request: &BatchRequest, work: impl Fn(&Batch)) -> Vec<BottleneckReport> {
    let servers = Servers::open(addresses, RetryPolicy::default()).expect("a server is there");
    let mut stream = servers.stream(request, 2).expect("a stream");
    let steps = stream.description().steps_per_epoch;
    let mut bottlenecks = vec![];
    while let Some(batch) = stream.next_batch().expect("no error") {
        work(&batch);
        if batch.step + 1 == steps {
            bottlenecks.push(stream.end_epoch(batch.epoch).expect("a report"));
        }
    }
    bottlenecks
}

fn assert_is(report: BottleneckReport, expected: Bottleneck) {
    assert!(
        report.bottleneck == expected && report.share > 0.5,
        "{report} instead of {expected}"
    );
}

fn no_work(_batch: &Batch) {}

/// The time that this machine takes for a batch of `request` without a bottleneck: the intended bottleneck is made this
/// many times slower.
fn unhindered(address: &str, request: &BatchRequest) -> Duration {
    let started = Instant::now();
    let batches = AtomicU32::new(0);
    bottlenecks(address, request, |_| {
        batches.fetch_add(1, Relaxed);
    });
    started.elapsed() / batches.into_inner()
}

/// How many times slower a bottleneck is made.
const SLOWER: u32 = 10;

const JSON: [&str; 6] = ["--listen", "127.0.0.1:0", "--log", "info", "--log-format", "json"];

#[test]
fn a_slow_trainer_is_the_bottleneck_on_both_sides() {
    let images = pictures();
    let (mut server, log) = ServerProcess::with_log(images.root(), &JSON);
    let pause = SLOWER * unhindered(&server.address, &request());
    let found = bottlenecks(&server.address, &request(), |_| thread::sleep(pause));
    assert_eq!(found.len(), 2);
    assert_is(found[1], Bottleneck::Trainer);
    // It writes its whole log before it ends; killed, it may not.
    server.terminate();
    server.wait();
    let used = log.lines("epoch used").split_off(2);
    assert_eq!(used.len(), 2, "{}", log.text());
    for (epoch, (line, report)) in used.iter().zip(&found).enumerate() {
        assert_eq!(line["epoch"], epoch);
        assert_eq!(line["bottleneck"], report.bottleneck.to_string());
        let percent = (report.share * 100.0).round();
        assert!(
            (line["bottleneck_percent"].as_f64().unwrap() - percent).abs() <= 1.0,
            "{line}"
        );
    }
    let served = log.lines("epoch served");
    assert_eq!(served.len(), 4, "{}", log.text());
    assert!(
        served.iter().all(|line| line["bottleneck"].is_null()),
        "said once: {}",
        log.text()
    );
}

#[test]
fn a_slow_network_is_the_bottleneck() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let proxy = Proxy::to(&server.address);
    let request = BatchRequest {
        batch_size: 16,
        image_size: 64,
        ..request()
    };
    // Four bytes for each of three channels.
    let bytes = 16 * 64 * 64 * 3 * 4;
    let pause = SLOWER * unhindered(&server.address, &request);
    proxy.slow_down(f64::from(bytes) / pause.as_secs_f64());
    let found = bottlenecks(&proxy.address.to_string(), &request, no_work);
    assert_is(found[1], Bottleneck::Network);
}

#[test]
fn slow_augmentation_is_the_bottleneck_with_one_or_two_servers() {
    let images = pictures();
    let options = [&JSON[..], &["--threads", "1"]].concat();
    let servers = [0, 1].map(|_| ServerProcess::with_log(images.root(), &options));
    let request = BatchRequest {
        image_size: 224,
        recipe: "fastai blur(p=1)".to_owned(),
        ..request()
    };
    let [one, two] = servers.each_ref().map(|(server, _log)| &server.address);
    let found = bottlenecks(&format!("{one},{two}"), &request, no_work);
    assert_is(found[1], Bottleneck::ServerCpu);
    // A server writes its whole log before it ends; killed, it may not.
    let logs = servers.map(|(mut server, log)| {
        server.terminate();
        server.wait();
        log
    });
    let steps = |log: Log| {
        let used = log.lines("epoch used");
        used.iter()
            .map(|line| line["steps"].as_u64().unwrap())
            .sum::<u64>()
    };
    // Two epochs of 32 images in batches of 4, every other one from each server.
    assert_eq!(logs.map(steps), [8, 8]);
}

/// Files on a slow disk.
#[derive(Debug, Default)]
struct SlowDisk(Mutex<Duration>);

impl Source for SlowDisk {
    fn read(&self, dataset: &Dataset, id: u32) -> Result<Vec<u8>, decode::Error> {
        let pause = *self.0.lock().unwrap();
        thread::sleep(pause);
        Files.read(dataset, id)
    }
}

#[test]
fn a_slow_disk_is_the_bottleneck() {
    let images = pictures();
    let threads = tokio::runtime::Runtime::new().unwrap();
    let disk = Arc::new(SlowDisk::default());
    let engine = engine_with(images.root(), config(1, 0), Arc::clone(&disk) as Arc<dyn Source>);
    let address = threads.block_on(async {
        let port = socket::Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port: 0,
        };
        let sockets = socket::Sockets::bind(&[port]).await.unwrap();
        let address = sockets.addresses().unwrap().remove(0);
        let config = ServiceConfig::default();
        tokio::spawn(async move { run(engine, &config, sockets.accept(), std::future::pending()).await });
        address
    });
    let request = request();
    *disk.0.lock().unwrap() = SLOWER * unhindered(&address, &request) / request.batch_size;
    let found = bottlenecks(&address, &request, no_work);
    assert_is(found[1], Bottleneck::Disk);
}

/// Photographs so large that decoding takes far longer than all other stages.
fn large_pictures() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for class in ["birds", "flowers"] {
        fs::create_dir(folder.path().join(class)).unwrap();
        for index in 0..6_u32 {
            let pixel = |x: u32, y: u32| Rgb([x ^ y, x.wrapping_mul(y) >> 4, y + index].map(|v| v as u8));
            let file = folder.path().join(class).join(format!("{index}.jpg"));
            RgbImage::from_fn(1500, 1500, pixel).save(file).unwrap();
        }
    }
    folder
}

#[test]
fn decoding_is_the_bottleneck_and_then_the_cache() {
    let images = large_pictures();
    let server = ServerProcess::start(images.path(), &["--threads", "1", "--cache-bytes", "0"]);
    let found = bottlenecks(&server.address, &request(), no_work);
    assert_is(found[0], Bottleneck::Decoding);
    assert_is(found[1], Bottleneck::Cache);
}
