//! Received tensors against double precision.

use std::fs;

use equibatch_harness::{
    images::{ImageFolder, decoded, picture},
    receive::{Received, floats, receive, small},
    reference::{canonical, centre_crop},
};
use equibatch_proto::v1::{Normalization, StreamBatchesRequest};
use equibatch_server_tests::memory::{MemoryServer, config, engine};

const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

async fn received(images: &ImageFolder, request: StreamBatchesRequest) -> Received {
    let server = MemoryServer::start(engine(images.root(), config(2, 1 << 26)));
    receive(&mut server.client().await, request).await.unwrap()
}

/// Images that need no resampling show normalisation alone.
#[tokio::test]
async fn normalisation_is_accurate_to_a_hundred_thousandth() {
    let images = ImageFolder::new(&[("birds", 10), ("flowers", 10)]);
    let file = |class: &str, index: usize| images.root().join(class).join(format!("{index}.png"));
    for class in ["birds", "flowers"] {
        fs::remove_dir_all(images.root().join(class)).unwrap();
        fs::create_dir(images.root().join(class)).unwrap();
        for index in 0..10 {
            picture((32, 32), index + class.len() as u32 * 100)
                .save(file(class, index as usize))
                .unwrap();
        }
    }
    let mut other = small("valid", 1);
    other.normalization = Some(Normalization {
        mean: vec![0.1, 0.2, 0.3],
        std: vec![0.5, 1.5, 2.0],
    });
    for (request, mean, std) in [
        (small("valid", 1), MEAN, STD),
        (other, [0.1, 0.2, 0.3], [0.5, 1.5, 2.0]),
    ] {
        let received = received(&images, request).await;
        let batch = &received.batches[0];
        let values = floats(batch);
        for (slot, id) in batch.sample_ids.iter().enumerate() {
            let class = ["birds", "flowers"][*id as usize / 10];
            let image = image::open(file(class, *id as usize % 10)).unwrap().into_rgb8();
            for (at, value) in values[slot * 3072..(slot + 1) * 3072].iter().enumerate() {
                let (channel, pixel) = (at / 1024, at as u32 % 1024);
                let byte = f64::from(image.get_pixel(pixel % 32, pixel / 32).0[channel]);
                let expected = (byte / 255.0 - f64::from(mean[channel])) / f64::from(std[channel]);
                assert!(
                    (f64::from(*value) - expected).abs() < 1e-5,
                    "sample {id}, element {at}: {value}, not {expected}"
                );
            }
        }
    }
}

/// The canonical image may be off by one step of 255 where the reference rounds once and the resizer twice; interpolation between such pixels
/// adds no more, and its coordinates are exact to 1/16384 pixel, a fiftieth of a step at the steepest edge. One and a half steps are
/// therefore never reached, and half a step is never the average.
#[tokio::test]
async fn validation_images_are_within_a_step_and_a_half_of_double_precision() {
    let images = ImageFolder::new(&[("birds", 15), ("flowers", 15)]);
    for size in [24, 32, 40] {
        let mut request = small("valid", 1);
        (request.image_size, request.batch_size) = (Some(size), Some(6));
        let received = received(&images, request).await;
        let short = received.description.canonical_short_side;
        assert_eq!(short, (size * 8).div_ceil(7));
        let batch = &received.batches[0];
        let (values, elements) = (floats(batch), 3 * (size * size) as usize);
        for (slot, id) in batch.sample_ids.iter().enumerate() {
            let (class, index) = (["birds", "flowers"][*id as usize / 15], *id as usize % 15);
            let file = images.file(class, sorted_index(&images, class, index));
            let image = decoded(&file);
            let expected = centre_crop(&canonical(&image, short), size);
            let mut total = 0.0;
            for (at, value) in values[slot * elements..(slot + 1) * elements].iter().enumerate() {
                let channel = at / (size * size) as usize;
                let value = f64::from(*value) * f64::from(STD[channel]) + f64::from(MEAN[channel]);
                let error = (value - expected[at]).abs() * 255.0;
                assert!(error < 1.5, "sample {id} at {size}, element {at}: {error} steps");
                total += error;
            }
            let mean = total / elements as f64;
            assert!(mean < 0.5, "sample {id} at {size}: {mean} steps on average");
        }
    }
}

/// The image at `index` in the order of paths.
fn sorted_index(images: &ImageFolder, class: &str, index: usize) -> usize {
    let mut names: Vec<usize> = (0..15).collect();
    names.sort_by_key(|index| images.file(class, *index));
    names[index]
}
