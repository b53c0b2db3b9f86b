//! Several jobs at one server: who gets how much of it.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Condvar, Mutex},
};

use equibatch_proto::v1::StreamBatchesRequest;
use equibatch_server::{
    dataset::{Dataset, ScanOptions, scan},
    decode,
    pipeline::{Engine, EngineConfig, Files, Source},
};
use equibatch_tests::{
    images::ImageFolder,
    memory::{MemoryServer, config},
    receive::{open, small},
};

/// Files that nobody gets before the gate is open; and of which dataset they were, in their order.
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
            .wait_while(self.is_open.lock().unwrap(), |open| !*open);
        drop(gate.unwrap());
        self.read.lock().unwrap().push(dataset.name.clone());
        Files.read(dataset, id)
    }
}

/// Of the first `count` images that one worker makes for two streams of these weights, those of the second one.
async fn of_the_second(weights: [Option<u32>; 2], count: usize) -> usize {
    let images = ImageFolder::new(&[("birds", 5), ("flowers", 20)]);
    let dataset = |name: &str| scan(name, images.root(), &ScanOptions::default()).unwrap();
    let source = Arc::new(Gated::default());
    // Room for all of it: nobody has to read.
    let settings = EngineConfig {
        stream_batches: NonZeroUsize::new(2 * count).unwrap(),
        ..config(1, 0)
    };
    let files = Arc::clone(&source) as Arc<dyn Source>;
    let engine = Engine::with_source(settings, ["gate", "one", "two"].map(dataset).into(), files).unwrap();
    let server = MemoryServer::start(engine);
    let mut client = server.client().await;
    // The one image of the first stream keeps the worker until the others stand in the queue.
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
        streams.push(open(&mut client, request).await.unwrap());
        while server.engine.queued_streams() < streams.len() {
            tokio::task::yield_now().await;
        }
    }
    source.open();
    while source.read.lock().unwrap().len() <= count {
        tokio::task::yield_now().await;
    }
    let read = source.read.lock().unwrap();
    assert_eq!(read[0], "gate");
    read[1..=count].iter().filter(|name| *name == "two").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_share_the_processors_evenly_and_by_weight_where_that_is_asked_for() {
    let even = of_the_second([None, None], 300).await;
    assert!((100..=200).contains(&even), "{even} of 300 instead of 150");
    let heavy = of_the_second([None, Some(9)], 300).await;
    assert!((240..=290).contains(&heavy), "{heavy} of 300 instead of 270");
    let light = of_the_second([Some(100), None], 300).await;
    assert!(light <= 20, "{light} of 300 instead of 3");
}
