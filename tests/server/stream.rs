//! A stream from request to end, with and without failures.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use equibatch_engine::{
    dataset::Dataset,
    decode,
    pipeline::{Files, Source},
};
use equibatch_harness::{
    images::{ImageFolder, pictures},
    receive::{Received, next, open, receive, small},
};
use equibatch_proto::v1::{DescribeDatasetRequest, ElementType, Layout, ListDatasetsRequest, PositionToken};
use equibatch_server_tests::memory::{MemoryServer, config, engine, engine_with, no_stream_is_open};
use tonic::Code;

fn server(images: &ImageFolder) -> MemoryServer {
    MemoryServer::start(engine(images.root(), config(2, 1 << 26)))
}

#[tokio::test]
async fn a_description_comes_first_then_batches_in_order_with_the_token_of_the_next() {
    let images = pictures();
    let server = server(&images);
    let mut client = server.client().await;
    let Received { description, batches } = receive(&mut client, small("train", 3)).await.unwrap();
    // Four fifths of 5 and of 20 images; each class 16 times per epoch, in full batches of 6.
    assert_eq!(description.classes, ["birds", "flowers"]);
    assert_eq!(
        (description.dataset.as_str(), description.split.as_str()),
        ("pictures", "train")
    );
    assert_eq!(description.draws_per_class, [15, 15]);
    assert_eq!(
        (
            description.steps_per_epoch,
            description.images_per_epoch,
            description.epochs
        ),
        (5, 30, 3)
    );
    assert_eq!(description.shape, [6, 3, 32, 32]);
    assert_eq!(description.canonical_short_side, 37);
    assert_eq!(
        (description.spec_hash.len(), description.fingerprint.len()),
        (16, 32)
    );
    assert_eq!(batches.len(), 15);
    for (index, batch) in batches.iter().enumerate() {
        let (epoch, step) = (index as u64 / 5, index as u64 % 5);
        assert_eq!((batch.epoch, batch.step), (epoch, step));
        let following = index as u64 + 1;
        let expected = PositionToken {
            spec_hash: description.spec_hash.clone(),
            fingerprint: description.fingerprint.clone(),
            seed: 7,
            epoch: following / 5,
            step: following % 5,
            world: 1,
        };
        assert_eq!(batch.next, Some(expected));
        assert_eq!((batch.labels.len(), batch.sample_ids.len()), (6, 6));
        assert_eq!(batch.tensor.len(), 6 * 3 * 32 * 32 * 4);
        assert!(batch.replacements.is_empty());
    }
}

#[tokio::test]
async fn element_type_and_layout_are_as_requested() {
    let images = pictures();
    let server = server(&images);
    let mut client = server.client().await;
    for (element, bytes) in [(ElementType::F32, 4), (ElementType::F16, 2), (ElementType::U8, 1)] {
        for (layout, shape) in [(Layout::Nchw, [6, 3, 32, 32]), (Layout::Nhwc, [6, 32, 32, 3])] {
            let mut request = small("train", 1);
            request.set_element_type(element);
            request.set_layout(layout);
            let received = receive(&mut client, request).await.unwrap();
            assert_eq!(received.description.shape, shape);
            assert_eq!(received.description.element_type(), element);
            assert_eq!(
                received.batches[0].tensor.len(),
                6 * 3 * 32 * 32 * bytes,
                "{element:?} {layout:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_batch_beyond_the_default_message_size_arrives() {
    let images = pictures();
    let server = server(&images);
    let mut client = server.client().await;
    let mut request = small("train", 1);
    (request.batch_size, request.image_size) = (Some(16), Some(224));
    let received = receive(&mut client, request).await.unwrap();
    assert_eq!(received.batches[0].tensor.len(), 16 * 3 * 224 * 224 * 4);
}

#[tokio::test]
async fn the_server_lists_its_datasets_and_health() {
    let images = pictures();
    let server = server(&images);
    let mut client = server.client().await;
    let list = client
        .list_datasets(ListDatasetsRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(list.datasets.len(), 1);
    assert_eq!(
        list.datasets[0]
            .images_per_split
            .clone()
            .into_iter()
            .collect::<Vec<_>>(),
        [("train".to_owned(), 20), ("valid".to_owned(), 5)]
    );
    let description = client
        .describe_dataset(DescribeDatasetRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(description.fingerprint, list.datasets[0].fingerprint);
    assert_eq!(description.splits, ["train", "valid"]);
    let weights: Vec<f64> = description
        .classes
        .iter()
        .map(|class| class.inverse_frequency_weight)
        .collect();
    assert_eq!(weights, [20.0 / (2.0 * 4.0), 20.0 / (2.0 * 16.0)]);
    let request = DescribeDatasetRequest {
        sample_ids: vec![24, 0, 24],
        ..DescribeDatasetRequest::default()
    };
    let samples = client
        .describe_dataset(request)
        .await
        .unwrap()
        .into_inner()
        .samples;
    let named: Vec<(u32, &str, u32)> = samples
        .iter()
        .map(|sample| (sample.id, sample.path.as_str(), sample.label))
        .collect();
    assert_eq!(
        named,
        [
            (24, "flowers/0020.jpg", 1),
            (0, "birds/0001.jpg", 0),
            (24, "flowers/0020.jpg", 1)
        ]
    );
    assert!(
        samples
            .iter()
            .all(|sample| matches!(sample.split.as_str(), "train" | "valid"))
    );
    let mut health = tonic_health::pb::health_client::HealthClient::new(server.channel().await);
    for service in ["", "equibatch.v1.BatchLoader"] {
        let request = tonic_health::pb::HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status, 1, "SERVING for {service:?}");
    }
}

#[tokio::test]
async fn reflection_describes_the_contract() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient, server_reflection_request,
        server_reflection_response,
    };
    let images = pictures();
    let server = server(&images);
    let mut client = ServerReflectionClient::new(server.channel().await);
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut answers = client
        .server_reflection_info(tokio_stream::once(question))
        .await
        .unwrap()
        .into_inner();
    let answer = answers
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let server_reflection_response::MessageResponse::ListServicesResponse(list) = answer else {
        panic!("{answer:?}");
    };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["equibatch.v1.BatchLoader", "grpc.health.v1.Health"] {
        assert!(
            names.iter().any(|listed| listed == name),
            "{name} is not in {names:?}"
        );
    }
}

#[tokio::test]
async fn a_broken_image_is_replaced_by_one_of_its_class_and_reported() {
    let images = pictures();
    let whole = receive(&mut server(&images).client().await, small("train", 2))
        .await
        .unwrap();
    // The first image of the common class in the train split.
    let broken = whole
        .batches
        .iter()
        .flat_map(|batch| &batch.sample_ids)
        .copied()
        .filter(|id| *id >= 5)
        .min()
        .unwrap();
    images.corrupt("flowers", broken as usize - 5).unwrap();

    let server = server(&images);
    let mut client = server.client().await;
    let mended = receive(&mut client, small("train", 2)).await.unwrap();
    assert_eq!(
        mended.description.fingerprint, whole.description.fingerprint,
        "found at decoding only"
    );
    let mut replaced = 0;
    for (before, after) in whole.batches.iter().zip(&mended.batches) {
        assert_eq!(before.labels, after.labels, "labels are those of the plan");
        for (slot, (planned, used)) in before.sample_ids.iter().zip(&after.sample_ids).enumerate() {
            let names = after
                .replacements
                .iter()
                .find(|replacement| replacement.slot as usize == slot);
            assert_eq!(
                names.map(|replacement| replacement.broken_sample_id),
                (*planned == broken).then_some(broken)
            );
            if *planned == broken {
                replaced += 1;
                assert!(*used != broken && *used >= 5, "{used} is another flower");
            } else {
                assert_eq!(planned, used);
            }
        }
    }
    assert!(replaced > 0);
    let description = client
        .describe_dataset(DescribeDatasetRequest::default())
        .await
        .unwrap()
        .into_inner();
    let path = images.file("flowers", broken as usize - 5);
    assert_eq!(description.quarantined.len(), 1);
    assert!(
        path.ends_with(&description.quarantined[0].path),
        "{:?}",
        description.quarantined
    );
    assert!(!description.quarantined[0].reason.is_empty());

    // A server that reads the broken file in another order gives the same batches.
    let other = self::server(&images);
    let mut client = other.client().await;
    let mut late = small("train", 2);
    late.start = mended.batches[3].next.clone();
    let late = receive(&mut client, late).await.unwrap();
    assert_eq!(late.digests(), mended.digests()[4..]);
}

#[tokio::test]
async fn a_removed_file_is_replaced() {
    let images = pictures();
    let server = server(&images);
    fs::remove_file(images.file("birds", 0)).unwrap();
    let received = receive(&mut server.client().await, small("train", 2))
        .await
        .unwrap();
    let valid = receive(&mut server.client().await, small("valid", 1)).await;
    let named = |received: &Received| {
        received
            .batches
            .iter()
            .any(|b| b.replacements.iter().any(|r| r.broken_sample_id == 0))
    };
    // The bird is in one of the splits; the only bird of the validation split has no replacement.
    match valid {
        Ok(valid) => assert!(named(&received) && !named(&valid)),
        Err(status) => assert_eq!(status.code(), Code::DataLoss, "{status}"),
    }
}

#[tokio::test]
async fn too_many_broken_images_end_the_stream() {
    let images = pictures();
    let server = server(&images);
    for index in 0..20 {
        images.corrupt("flowers", index).unwrap();
    }
    let status = receive(&mut server.client().await, small("train", 1))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DataLoss);
    assert!(status.message().contains("train split"), "{status}");
}

/// A source of files with hooks.
#[derive(Debug, Default)]
struct Watched {
    loads: AtomicUsize,
    panics: AtomicBool,
    seen: Mutex<Vec<u32>>,
}

impl Source for Watched {
    fn read(&self, dataset: &Dataset, id: u32) -> Result<Vec<u8>, decode::Error> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.seen.lock().unwrap().push(id);
        assert!(!self.panics.load(Ordering::SeqCst), "a panic of the test");
        Files.read(dataset, id)
    }
}

#[tokio::test]
async fn a_panic_of_a_worker_ends_only_its_stream() {
    let images = pictures();
    let source = Arc::new(Watched::default());
    let server = MemoryServer::start(engine_with(
        images.root(),
        config(2, 0),
        Arc::clone(&source) as Arc<dyn Source>,
    ));
    let mut client = server.client().await;
    source.panics.store(true, Ordering::SeqCst);
    let status = receive(&mut client, small("train", 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    source.panics.store(false, Ordering::SeqCst);
    let after = receive(&mut client, small("train", 2)).await.unwrap();
    assert_eq!(after.batches.len(), 10, "all workers live");
}

#[tokio::test]
async fn an_unread_stream_stops_no_other() {
    let images = pictures();
    let source = Arc::new(Watched::default());
    let settings = config(2, 0);
    let window = settings.stream_batches.get();
    let server = MemoryServer::start(engine_with(
        images.root(),
        settings,
        Arc::clone(&source) as Arc<dyn Source>,
    ));
    // Batches far larger than pipes and HTTP/2 windows: 38 images of 600 KB.
    let mut large = small("train", 1000);
    (large.image_size, large.batch_size) = (Some(224), Some(16));
    let mut slow = server.client().await;
    let (_description, mut unread) = open(&mut slow, large).await.unwrap();
    let first = next(&mut unread).await.unwrap().unwrap();
    assert_eq!(first.labels.len(), 16);
    // The other stream reads 1500 images meanwhile; the unread one gets as many turns.
    let other = receive(&mut server.client().await, small("train", 50))
        .await
        .unwrap();
    assert_eq!(other.batches.len(), 250);
    let loads = source.loads.load(Ordering::SeqCst) - 250 * 6;
    // One batch was read, one or two are in transfer, and the window is full.
    assert!(
        loads <= (window + 3) * 16,
        "{loads} images loaded for a reader of 16"
    );
    drop(unread);
    no_stream_is_open(&server.engine).await;
}

#[tokio::test]
async fn a_disconnected_client_leaves_no_work_behind() {
    let images = pictures();
    let source = Arc::new(Watched::default());
    let server = MemoryServer::start(engine_with(
        images.root(),
        config(1, 0),
        Arc::clone(&source) as Arc<dyn Source>,
    ));
    let mut client = server.client().await;
    let (_description, mut stream) = open(&mut client, small("train", 100_000)).await.unwrap();
    next(&mut stream).await.unwrap().unwrap();
    assert_eq!(server.engine.open_streams(), 1);
    drop(stream);
    drop(client);
    no_stream_is_open(&server.engine).await;
    // From now on only the images of the full stream are loaded: no work is done for the closed one.
    let before = source.loads.load(Ordering::SeqCst);
    let received = receive(&mut server.client().await, small("valid", 1))
        .await
        .unwrap();
    let images: usize = received.batches.iter().map(|batch| batch.labels.len()).sum();
    let loads = source.loads.load(Ordering::SeqCst) - before;
    assert!(
        (images..=images + 1).contains(&loads),
        "{loads} loads for {images} images"
    );
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_until_one_ends() {
    let images = pictures();
    let mut settings = config(1, 1 << 26);
    settings.limits.open_streams = 1;
    let server = MemoryServer::start(engine(images.root(), settings));
    let mut client = server.client().await;
    let (_description, stream) = open(&mut client, small("train", 1000)).await.unwrap();
    let status = receive(&mut client, small("valid", 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    drop(stream);
    no_stream_is_open(&server.engine).await;
    receive(&mut client, small("valid", 1)).await.unwrap();
}
