//! Difference between batches from images cached at the canonical size and at the original size.

use equibatch_harness::receive::{Received, receive, small};
use equibatch_proto::v1::{Canonical, ElementType, StreamBatchesRequest};
use equibatch_server_tests::memory::{MemoryServer, config, engine};
use equibatch_tools::sample_data::{self, ClassSpec};

/// An epoch of photographs of 500x375 pixels, rendered to 224x224 bytes.
async fn streamed(server: &MemoryServer, canonical: Canonical, split: &str) -> Received {
    let request = StreamBatchesRequest {
        batch_size: Some(4),
        image_size: Some(224),
        element_type: ElementType::U8.into(),
        canonical: canonical.into(),
        ..small(split, 1)
    };
    receive(&mut server.client().await, request).await.unwrap()
}

#[tokio::test]
async fn the_canonical_size_changes_pixels_by_a_few_levels_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let options = sample_data::SampleDataOptions {
        classes: vec![ClassSpec::new("flowers", 8), ClassSpec::new("birds", 4)],
        test_count: 0,
        ..sample_data::SampleDataOptions::new(folder.path().join("photos"))
    };
    sample_data::generate(&options).unwrap();
    let server = MemoryServer::start(engine(&options.out, config(2, 1 << 26)));
    for split in ["train", "valid"] {
        let canonical = streamed(&server, Canonical::ShortSide, split).await;
        let native = streamed(&server, Canonical::Native, split).await;
        assert_eq!(canonical.batches.len(), native.batches.len());
        let mut differences = vec![];
        for (of_canonical, of_native) in canonical.batches.iter().zip(&native.batches) {
            assert_eq!(of_canonical.labels, of_native.labels);
            assert_eq!(of_canonical.sample_ids, of_native.sample_ids);
            let pixels = of_canonical.tensor.iter().zip(&of_native.tensor);
            differences.extend(pixels.map(|(one, other)| one.abs_diff(*other)));
        }
        differences.sort_unstable();
        let mean = differences.iter().map(|d| f64::from(*d)).sum::<f64>() / differences.len() as f64;
        let of_hundred = differences[differences.len() * 99 / 100];
        // In levels of 255, as in ARCHITECTURE.md.
        assert!((1.0..3.0).contains(&mean), "{split}: {mean} levels in the mean");
        assert!(
            of_hundred <= 24,
            "{split}: {of_hundred} levels for one pixel of a hundred"
        );
    }
}
