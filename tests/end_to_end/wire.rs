//! Batches in fewer bytes: what they are made of on their way does not change what is learnt, but for rounding.

use equibatch_stream::{BatchDtype, BatchRequest, RetryPolicy, Servers, Split};
use equibatch_training::{
    program::{
        Backbone, Head, Images, ModelSpec, Pixels, Role, Tensor, TrainSpec, initial_state, train_step,
    },
    runtime::{Runtime, SessionOptions, StepRunner},
};
use std::{collections::BTreeMap, fs, num::NonZeroUsize};

use equibatch_harness::{
    images::ImageFolder,
    process::{ServerProcess, client},
};
use half::f16;

const SIZE: usize = 32;
const BATCH: usize = 4;
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

fn spec(images: Images) -> TrainSpec {
    let model = ModelSpec {
        head: Head::Fastai {
            hidden: 8,
            dropout: [0.0, 0.0],
        },
        image_size: SIZE,
        ..ModelSpec::new(
            Backbone {
                width: 4,
                ..Backbone::RESNET18
            },
            2,
        )
    };
    TrainSpec {
        images,
        ..TrainSpec::new(model, BATCH)
    }
}

/// Loss and state after two steps on the same batch.
fn trained(images: Images, bytes: &[u8]) -> (Vec<f32>, BTreeMap<String, Tensor>) {
    let program = train_step(&spec(images)).unwrap();
    let options = SessionOptions {
        intra_threads: NonZeroUsize::new(1),
        ..SessionOptions::default()
    };
    let mut runner = StepRunner::new(&Runtime::load().unwrap(), "the step", &program, &options).unwrap();
    let mut state = initial_state(&spec(images).model, 7).unwrap();
    for pair in &program.signature.state {
        if matches!(pair.role, Role::FirstMoment | Role::SecondMoment) {
            state.insert(pair.name.clone(), Tensor::full(pair.shape.clone(), 0.0));
        }
    }
    let mut state = runner.upload(&state).unwrap();
    runner.fill("images", bytes).unwrap();
    for (name, value) in [
        ("beta1", 0.9),
        ("bias_correction1", 0.1),
        ("bias_correction2", 0.01),
    ] {
        runner.f32_input(name).unwrap()[0] = value;
    }
    (0..3).for_each(|group| runner.f32_input(&format!("learning_rate.{group}")).unwrap()[0] = 1e-3);
    let targets = runner.f32_input("targets").unwrap();
    targets
        .iter_mut()
        .enumerate()
        .for_each(|(place, target)| *target = [0.25, 0.0][usize::from(place % 4 == 1 || place % 4 == 2)]);
    let mut losses = vec![];
    for _ in 0..2 {
        runner.step(&mut state).unwrap();
        losses.push(runner.output("loss").unwrap()[0]);
    }
    (losses, state.read().unwrap())
}

fn pixels() -> Vec<u8> {
    (0..BATCH * 3 * SIZE * SIZE)
        .map(|place| (place * place / 7 % 251) as u8)
        .collect()
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Normalised outside by the operations that stand in the graph, the same bits are learnt.
#[test]
fn pixels_normalised_in_the_graph_are_those_normalised_before_it() {
    let pixels = pixels();
    let plane = SIZE * SIZE;
    let normal: Vec<f32> = pixels
        .iter()
        .enumerate()
        .map(|(place, &pixel)| {
            let channel = place / plane % 3;
            let black = (255.0 * f64::from(MEAN[channel])) as f32;
            let scale = (1.0 / (255.0 * f64::from(STD[channel]))) as f32;
            (f32::from(pixel) - black) * scale
        })
        .collect();
    let of = |channels_last| {
        Images::Pixels(Pixels {
            channels_last,
            mean: MEAN,
            std: STD,
        })
    };
    let expected = trained(Images::F32, &little_endian(&normal));
    assert_eq!(trained(of(false), &pixels), expected);
    let place = |image: usize, at: usize, channel: usize| (image * 3 + channel) * plane + at;
    let interleaved: Vec<u8> = (0..BATCH)
        .flat_map(|image| (0..plane).flat_map(move |at| (0..3).map(move |channel| place(image, at, channel))))
        .map(|place| pixels[place])
        .collect();
    assert_eq!(trained(of(true), &interleaved), expected);
    // And the formula itself, in double precision.
    for (place, (&pixel, &value)) in pixels.iter().zip(&normal).enumerate() {
        let channel = place / plane % 3;
        let exact = (f64::from(pixel) / 255.0 - f64::from(MEAN[channel])) / f64::from(STD[channel]);
        assert!((f64::from(value) - exact).abs() < 1e-6, "{value} {exact}");
    }
}

#[test]
fn half_precision_that_holds_the_images_changes_nothing() {
    let halves: Vec<f16> = pixels()
        .iter()
        .map(|&pixel| f16::from_f32(f32::from(pixel) / 128.0 - 1.0))
        .collect();
    let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
    let floats: Vec<f32> = halves.iter().map(|half| half.to_f32()).collect();
    assert_eq!(
        trained(Images::F16, &bytes),
        trained(Images::F32, &little_endian(&floats))
    );
}

/// A normalised value is off by at most half a grey level, 1/2 · 1/255 / 0.224 < 0.009, as a byte, and by 2⁻¹¹ of itself in half precision.
#[test]
fn the_same_batch_comes_in_fewer_bytes_up_to_rounding() {
    let images = ImageFolder::new(&[("birds", 10), ("flowers", 20)]);
    let server = ServerProcess::start(images.root(), &[]);
    let servers = Servers::open(&server.address, RetryPolicy::default()).unwrap();
    let batch = |wire: BatchDtype| {
        let request = BatchRequest {
            wire,
            seed: 5,
            ..BatchRequest::evaluation("pictures", Split::Train, 8, SIZE as u32)
        };
        servers
            .stream(&request, 1)
            .unwrap()
            .next_batch()
            .unwrap()
            .unwrap()
    };
    let [single, half, bytes] = [BatchDtype::F32, BatchDtype::F16, BatchDtype::U8].map(batch);
    assert_eq!((&single.labels, &single.samples), (&bytes.labels, &bytes.samples));
    assert_eq!(single.tensor.len(), 2 * half.tensor.len());
    assert_eq!(single.tensor.len(), 4 * bytes.tensor.len());
    let exact = single
        .tensor
        .chunks_exact(4)
        .map(|word| f32::from_le_bytes(word.try_into().unwrap()));
    let halves = half
        .tensor
        .chunks_exact(2)
        .map(|word| f16::from_le_bytes(word.try_into().unwrap()));
    for (place, ((exact, half), &pixel)) in exact.zip(halves).zip(&bytes.tensor[..]).enumerate() {
        let channel = place / (SIZE * SIZE) % 3;
        let normal = (f32::from(pixel) / 255.0 - MEAN[channel]) / STD[channel];
        assert!(
            (normal - exact).abs() <= 0.5 / 255.0 / STD[channel] + 1e-5,
            "{normal} {exact}"
        );
        assert!(
            (half.to_f32() - exact).abs() <= exact.abs() / 2048.0 + 1e-7,
            "{half} {exact}"
        );
    }
}

#[test]
fn a_run_learns_from_fewer_bytes() {
    let images = ImageFolder::new(&[("birds", 10), ("flowers", 20)]);
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bytes");
    let mut arguments = vec![
        "train",
        "--server",
        &server.address,
        "--epochs",
        "2",
        "--wire",
        "u8",
    ];
    arguments.extend([
        "--arch",
        "resnet18@8",
        "--size",
        "32",
        "--batch-size",
        "8",
        "--threads",
        "1",
    ]);
    arguments.extend(["--out", path.to_str().unwrap()]);
    let output = client(&arguments);
    assert!(output.status.success(), "{output:?}");
    let metrics = fs::read_to_string(path.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 2, "trained and judged");
    let refused = client(&[
        "train",
        "--server",
        &server.address,
        "--wire",
        "f16",
        "--resume",
        path.to_str().unwrap(),
    ]);
    assert_eq!(refused.status.code(), Some(65));
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(errors.contains("wire was \"u8\", now \"f16\""), "{errors}");
}
