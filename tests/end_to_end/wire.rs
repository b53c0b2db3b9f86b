//! Element types on the wire: training results change by rounding only.

use equibatch_stream::{BatchDtype, BatchRequest, RetryPolicy, Servers, Split};
use equibatch_training::{
    program::{
        Backbone, Head, Images, ModelSpec, Pixels, ResNet, Role, Tensor, TrainSpec, initial_state, train_step,
    },
    runtime::{Runtime, SessionOptions, StepRunner},
};
use std::{collections::BTreeMap, fs, num::NonZeroUsize};

use equibatch_harness::process::text;
use half::f16;

use super::setup::Setup;

const SIZE: usize = 32;
const BATCH: usize = 4;
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

fn spec(images: Images) -> TrainSpec {
    let model = ModelSpec::ResNet(ResNet {
        head: Head::Fastai {
            hidden: 8,
            dropout: [0.0, 0.0],
        },
        image_size: SIZE,
        ..ResNet::new(
            Backbone {
                width: 4,
                ..Backbone::RESNET18
            },
            2,
        )
    });
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
        if pair.role == Role::Optimizer {
            state.insert(pair.name.clone(), Tensor::full(pair.shape.clone(), 0.0));
        }
    }
    let mut state = runner.upload(state).unwrap();
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

/// Normalising outside by the graph's own operations gives the same bits.
#[test]
fn normalising_in_the_graph_equals_normalising_before_it() {
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
    // The formula in double precision.
    for (place, (&pixel, &value)) in pixels.iter().zip(&normal).enumerate() {
        let channel = place / plane % 3;
        let exact = (f64::from(pixel) / 255.0 - f64::from(MEAN[channel])) / f64::from(STD[channel]);
        assert!((f64::from(value) - exact).abs() < 1e-6, "{value} {exact}");
    }
}

#[test]
fn f16_images_without_rounding_change_nothing() {
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
fn smaller_element_types_give_the_same_batch_up_to_rounding() {
    let setup = Setup::new();
    let servers = Servers::open(&setup.server.address, RetryPolicy::default()).unwrap();
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
fn a_run_trains_on_u8_batches() {
    let setup = Setup::new();
    let run = setup.run_folder("--epochs 2 --wire u8");
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 2, "both epochs are evaluated");
    let (code, _, errors) = setup.train(&["--wire", "f16", "--resume", text(&run)]);
    assert_eq!(code, Some(65), "{errors}");
    assert!(errors.contains("wire was \"u8\", now \"f16\""), "{errors}");
}
