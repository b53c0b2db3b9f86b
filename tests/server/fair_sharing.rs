//! Fair sharing of a server between streams and clients.

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use equibatch_stream::{BatchRequest, BatchStream, RetryPolicy, Servers, Split};

use equibatch_engine::{
    dataset::{Dataset, ScanOptions},
    decode,
    pipeline::{Engine, EngineConfig, Files, Source},
};
use equibatch_harness::{
    admin::{get, value},
    images::pictures,
    process::{ServerProcess, arguments},
    receive::{open, small, with_token},
    wait::{DEADLINE, eventually, eventually_async},
};
use equibatch_proto::v1::StreamBatchesRequest;
use equibatch_server_tests::memory::{MemoryServer, config, with_tokens};

/// Files that are not read before the gate is open; records the dataset of each read.
#[derive(Debug, Default)]
struct Gated {
    is_open: Mutex<bool>,
    opened: Condvar,
    read: Mutex<Vec<String>>,
}

impl Gated {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Source for Gated {
    fn read(&self, dataset: &Dataset, id: u32) -> Result<Vec<u8>, decode::Error> {
        let gate = self
            .opened
            .wait_timeout_while(self.is_open.lock().unwrap(), DEADLINE, |open| !*open);
        drop(gate.unwrap());
        self.read.lock().unwrap().push(dataset.name.clone());
        Files.read(dataset, id)
    }
}

/// Of the first `count` images that one worker renders for two streams of these weights, the number of the second stream's.
async fn of_the_second(weights: [Option<u32>; 2], count: usize) -> usize {
    let images = pictures();
    let dataset = |name: &str| Dataset::scan(name, images.root(), &ScanOptions::default()).unwrap();
    let source = Arc::new(Gated::default());
    // The window holds all batches: no stream waits for its reader.
    let settings = EngineConfig {
        stream_batches: NonZeroUsize::new(2 * count).unwrap(),
        ..config(1, 0)
    };
    let files = Arc::clone(&source) as Arc<dyn Source>;
    let engine = Engine::with_source(settings, ["gate", "one", "two"].map(dataset).into(), files).unwrap();
    // Weights above 1 need the operator's permission.
    const TOKEN: &str = "0123456789abcdef";
    let server = MemoryServer::start_with(engine, with_tokens(&format!("{TOKEN} trainer weight=100")));
    let mut client = server.client().await;
    let weights = weights.map(|weight| weight.or(Some(1)));
    // The one image of the first stream blocks the worker until the others are queued.
    let weights = [(1, None), (1000, weights[0]), (1000, weights[1])];
    let mut streams = vec![];
    for (name, (epochs, weight)) in ["gate", "one", "two"].into_iter().zip(weights) {
        let request = StreamBatchesRequest {
            dataset: name.to_owned(),
            batch_size: Some(1),
            images_per_epoch: Some(1),
            weight,
            ..small("train", epochs)
        };
        streams.push(open(&mut client, with_token(request, TOKEN)).await.unwrap());
        eventually_async("the streams are queued", async || {
            (server.engine.queued_streams() >= streams.len()).then_some(())
        })
        .await;
    }
    source.open();
    eventually_async("all files are read", async || {
        (source.read.lock().unwrap().len() > count).then_some(())
    })
    .await;
    let read = source.read.lock().unwrap();
    assert_eq!(read[0], "gate");
    read[1..=count].iter().filter(|name| *name == "two").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_share_the_processors_by_weight() {
    let even = of_the_second([None, None], 300).await;
    assert!((100..=200).contains(&even), "{even} of 300 instead of 150");
    let heavy = of_the_second([None, Some(9)], 300).await;
    assert!((240..=290).contains(&heavy), "{heavy} of 300 instead of 270");
    let light = of_the_second([Some(100), None], 300).await;
    assert!(light <= 20, "{light} of 300 instead of 3");
}

fn stream(server: &ServerProcess, request: &BatchRequest) -> BatchStream {
    let servers = Servers::open(&server.address, RetryPolicy::default()).unwrap();
    servers.stream(request, 1).unwrap()
}

/// Digests of all batches of a stream.
fn digests(server: &ServerProcess, request: &BatchRequest) -> Vec<blake3::Hash> {
    let mut stream = stream(server, request);
    let digest = |batch: equibatch_stream::Batch| {
        let labels: Vec<u8> = batch
            .labels
            .iter()
            .flat_map(|label| label.to_le_bytes())
            .collect();
        blake3::hash(&[&labels[..], &batch.tensor[..]].concat())
    };
    std::iter::from_fn(|| stream.next_batch().unwrap())
        .map(digest)
        .collect()
}

#[test]
fn a_stuck_client_costs_the_others_its_window_and_no_more() {
    let images = pictures();
    let options =
        "--listen 127.0.0.1:0 --admin 127.0.0.1:0 --stream-bytes 32MiB --log info --log-format json";
    let (server, log) = ServerProcess::with_log(images.root(), &arguments(options, &[]));
    let admin = &log.lines("admin endpoint listening")[0]["address"];
    let admin: SocketAddr = admin.as_str().unwrap().parse().unwrap();
    let before = server.peak_memory();

    // Batches of 9.6 MB, of which 3 fit into the window.
    let batch = 16;
    let mut stuck = stream(
        &server,
        &BatchRequest {
            epochs: 1000,
            ..BatchRequest::evaluation("", Split::Train, batch, 224)
        },
    );
    stuck.next_batch().unwrap().unwrap();
    let requests =
        [("none", 32, 1), ("fastai", 48, 2), ("flip-only", 64, 3)].map(|(recipe, size, seed)| BatchRequest {
            epochs: 20,
            seed,
            recipe: recipe.to_owned(),
            ..BatchRequest::evaluation("", Split::Train, 8, size)
        });
    let together = thread::scope(|scope| {
        let readers = requests
            .each_ref()
            .map(|request| scope.spawn(|| digests(&server, request)));
        readers.map(|reader| reader.join().unwrap())
    });
    drop(stuck);
    let of_pictures =
        |metrics: &str, name: &str| value(metrics, &format!("equibatch_{name}{{dataset=\"pictures\"}}"));
    let metrics = eventually("all streams are closed", || {
        let metrics = get(admin, "/metrics").1;
        (of_pictures(&metrics, "streams") == 0.0).then_some(metrics)
    });
    let made = of_pictures(&metrics, "cached_images_total") + of_pictures(&metrics, "decoded_images_total");
    let given = of_pictures(&metrics, "images_total");
    // 32 images an epoch in batches of 8, 20 epochs, three times.
    assert!(given >= f64::from(32 * 20 * 3), "{given}");
    // The rest was rendered for the stuck client: a window, and one batch in transfer.
    assert!(made - given <= f64::from(4 * batch), "{made} made, {given} given");
    // The kernel's counters are approximate: a peak may be read slightly lower than before.
    let grown = server.peak_memory().saturating_sub(before);
    assert!(
        grown < 4 * (32 << 20) + (64 << 20),
        "{grown} bytes for windows of 32 MiB"
    );
    for (request, together) in requests.iter().zip(together) {
        assert_eq!(together, digests(&server, request), "the same bytes as alone");
    }
}
