//! Dataset descriptions that are expensive to compute.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use equibatch_engine::{dataset::Quarantined, pipeline::Engine};
use equibatch_proto::v1::DescribeDatasetRequest;
use equibatch_server_tests::memory::{MemoryServer, config};
use prost::Message as _;

use super::{OneFile, without_files};

#[tokio::test]
async fn a_dataset_of_many_classes_is_counted_once() {
    let dataset = without_files(1000, 100);
    let engine = Engine::with_source(config(1, 0), vec![dataset], Arc::new(OneFile::new())).unwrap();
    let server = MemoryServer::start(engine);
    let mut client = server.client().await;
    let started = Instant::now();
    let asking = async {
        for _ in 0..100 {
            let request = DescribeDatasetRequest::default();
            let answer = client.describe_dataset(request).await.unwrap().into_inner();
            assert_eq!(answer.classes.len(), 1000);
            assert_eq!(answer.classes[999].images_per_split["train"], 100);
        }
    };
    // An earlier version iterated over classes times samples for each request, which took minutes.
    let answered = tokio::time::timeout(Duration::from_secs(60), asking).await;
    answered.expect("a hundred answers");
    let each = started.elapsed().as_secs_f64() * 1000.0 / 100.0;
    println!("attacks: describe: {each:.1} ms a call for 1,000 classes of 100 images");
}

#[tokio::test]
async fn broken_files_are_paged_and_a_health_check_requests_none() {
    const FILES: usize = 25_000;
    let mut dataset = without_files(2, 10);
    // 5 MB in all: more than a client takes in one message.
    dataset.quarantine = (0..FILES)
        .map(|file| Quarantined {
            path: format!("class 0000/{file:0200}.png"),
            reason: "the file is empty".to_owned(),
        })
        .collect();
    let engine = Engine::with_source(config(1, 0), vec![dataset], Arc::new(OneFile::new())).unwrap();
    let server = MemoryServer::start(engine);
    let mut client = server.client().await.max_decoding_message_size(4 << 20);
    for page_size in [0, 300, u32::MAX] {
        let (mut paths, mut page_token) = (vec![], String::new());
        loop {
            let request = DescribeDatasetRequest {
                page_size,
                page_token: page_token.clone(),
                ..DescribeDatasetRequest::default()
            };
            let answer = client.describe_dataset(request).await.unwrap().into_inner();
            assert_eq!(answer.quarantined_files as usize, FILES);
            assert!(answer.quarantined.len() <= 1000, "{}", answer.quarantined.len());
            assert!(page_size != 300 || answer.quarantined.len() <= 300);
            paths.extend(answer.quarantined.into_iter().map(|file| file.path));
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(paths.len(), FILES);
        assert!(paths.is_sorted(), "each once, in order");
    }
    let probe = DescribeDatasetRequest {
        identity_only: true,
        ..DescribeDatasetRequest::default()
    };
    let answer = client.describe_dataset(probe).await.unwrap().into_inner();
    assert_eq!((&*answer.name, &*answer.fingerprint), ("pictures", &[7; 32][..]));
    assert!(answer.encoded_len() < 64, "{answer:?}");
}
