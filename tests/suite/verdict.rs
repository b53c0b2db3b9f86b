//! What holds a stream up, forced to be each thing that it can be: client and server say the same.

use std::{
    fs::{self, File},
    sync::Arc,
    thread,
    time::Duration,
};

use equibatch_client::stream::{Batch, BatchRequest, Bottleneck, Patience, Servers, Split, Verdict};
use equibatch_server::{
    dataset::Dataset,
    decode,
    pipeline::{Files, Source},
    service::{ServiceConfig, door, serve, socket},
};
use equibatch_tests::{
    images::ImageFolder,
    memory::{config, engine_with},
    process::ServerProcess,
    proxy::Proxy,
};
use image::{Rgb, RgbImage};
use serde_json::Value;
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

/// The verdicts on the epochs of a stream whose batches are used by `work`.
fn verdicts(addresses: &str, request: &BatchRequest, work: impl Fn(&Batch)) -> Vec<Verdict> {
    let servers = Servers::open(addresses, Patience::default()).expect("a server is there");
    let mut stream = servers.stream(request, 2).expect("a stream");
    let steps = stream.description().steps_per_epoch;
    let mut verdicts = vec![];
    while let Some(batch) = stream.next_batch().expect("no error") {
        work(&batch);
        if batch.step + 1 == steps {
            verdicts.push(stream.end_epoch(batch.epoch).expect("a verdict"));
        }
    }
    verdicts
}

fn assert_is(verdict: Verdict, expected: Bottleneck) {
    assert!(
        verdict.bottleneck == expected && verdict.share > 0.5,
        "{verdict} instead of {expected}"
    );
}

fn no_work(_batch: &Batch) {}

/// The lines of a log in JSON that have this message.
fn lines(log: &str, message: &str) -> Vec<Value> {
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["message"] == message).collect()
}

const JSON: [&str; 6] = ["--listen", "127.0.0.1:0", "--log", "info", "--log-format", "json"];

#[test]
fn a_slow_trainer_is_named_on_both_sides() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = ServerProcess::logging(File::create(&log).unwrap(), images.root(), &JSON);
    let found = verdicts(&server.address, &request(), |_| {
        thread::sleep(Duration::from_millis(20));
    });
    assert_eq!(found.len(), 2);
    assert_is(found[1], Bottleneck::Trainer);
    drop(server);
    let log = fs::read_to_string(&log).unwrap();
    let used = lines(&log, "epoch used");
    assert_eq!(used.len(), 2, "{log}");
    for (epoch, (line, verdict)) in used.iter().zip(&found).enumerate() {
        assert_eq!(line["epoch"], epoch);
        assert_eq!(line["bottleneck"], verdict.bottleneck.to_string());
        let percent = (verdict.share * 100.0).round();
        assert!(
            (line["bottleneck_percent"].as_f64().unwrap() - percent).abs() <= 1.0,
            "{line}"
        );
    }
    let served = lines(&log, "epoch served");
    assert_eq!(served.len(), 2, "{log}");
    assert!(
        served.iter().all(|line| line["bottleneck"].is_null()),
        "said once: {log}"
    );
}

#[test]
fn a_slow_network_is_named() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let proxy = Proxy::to(&server.address);
    proxy.slow_down(4e6);
    // 16 images of 49 KB: more than 0.1 s each.
    let request = BatchRequest {
        batch_size: 16,
        image_size: 64,
        ..request()
    };
    let found = verdicts(&proxy.address.to_string(), &request, no_work);
    assert_is(found[1], Bottleneck::Network);
}

#[test]
fn slow_augmentation_is_named_and_asking_two_servers_changes_nothing() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let logs = ["one", "two"].map(|name| folder.path().join(name));
    let servers = logs.each_ref().map(|log| {
        let options = [&JSON[..], &["--threads", "1"]].concat();
        ServerProcess::logging(File::create(log).unwrap(), images.root(), &options)
    });
    let request = BatchRequest {
        image_size: 224,
        recipe: "fastai blur(p=1)".to_owned(),
        ..request()
    };
    let [one, two] = servers.each_ref().map(|server| &server.address);
    let found = verdicts(&format!("{one},{two}"), &request, no_work);
    assert_is(found[1], Bottleneck::ServerCpu);
    drop(servers);
    let steps = |log: &std::path::PathBuf| {
        let log = fs::read_to_string(log).unwrap();
        let used = lines(&log, "epoch used");
        used.iter()
            .map(|line| line["steps"].as_u64().unwrap())
            .sum::<u64>()
    };
    // Two epochs of 32 images in batches of 4, every other one from each server.
    assert_eq!(logs.each_ref().map(steps), [8, 8]);
}

/// Files on a disk that takes its time.
#[derive(Debug)]
struct SlowDisk;

impl Source for SlowDisk {
    fn read(&self, dataset: &Dataset, id: u32) -> Result<Vec<u8>, decode::Error> {
        thread::sleep(Duration::from_millis(5));
        Files.read(dataset, id)
    }
}

#[test]
fn a_slow_disk_is_named() {
    let images = pictures();
    let threads = tokio::runtime::Runtime::new().unwrap();
    let engine = engine_with(images.root(), config(1, 0), Arc::new(SlowDisk));
    let address = threads.block_on(async {
        let port = socket::Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port: 0,
        };
        let sockets = socket::Sockets::bind(&[port]).await.unwrap();
        let address = sockets.addresses().unwrap().remove(0);
        let config = ServiceConfig::default();
        tokio::spawn(async move {
            let incoming = door(sockets.accept(), &config);
            serve(engine, &config, incoming, std::future::pending()).await
        });
        address
    });
    let found = verdicts(&address, &request(), no_work);
    assert_is(found[1], Bottleneck::Disk);
}

/// Photographs of a size at which decoding takes far longer than anything else.
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
fn decoding_is_named_where_it_must_be_and_the_cache_where_it_need_not() {
    let images = large_pictures();
    let server = ServerProcess::start(images.path(), &["--threads", "1", "--cache-bytes", "0"]);
    let found = verdicts(&server.address, &request(), no_work);
    assert_is(found[0], Bottleneck::Decoding);
    assert_is(found[1], Bottleneck::Cache);
}
