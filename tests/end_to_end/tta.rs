//! Test-time augmentation against views that are rendered one by one.

use equibatch_client::learn::{
    predict::{
        self, Predictor,
        source::{ImageSource, sources},
    },
    tta::Views,
};
use equibatch_engine::{
    augment::{Crop, Draw, Zoom},
    decode::{DecodeOptions, decode_canonical},
    tensor::{ElementType, Layout, Normalization, TensorSpec, write_image},
};
use equibatch_training::runtime::{Runtime, SessionOptions};
use std::fs;

use equibatch_harness::process::text;
use equibatch_server_tests::memory::dataset;
use serde_json::Value;

use super::setup::{SMALL, Setup};

const SIZE: u32 = 32;

/// The plain view, and the eight others: corners by row and column, then their mirror images.
fn draws() -> Vec<Draw> {
    let corner = |(row, column, flip)| Draw {
        zoom: Some(Zoom {
            scale: f64::from(1.35_f32),
            row,
            column,
        }),
        crop: Crop { row, column },
        flip,
        ..Draw::identity()
    };
    let corners = [false, true].into_iter().flat_map(|flip| {
        [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)].map(|(row, column)| (row, column, flip))
    });
    [Draw::identity()]
        .into_iter()
        .chain(corners.map(corner))
        .collect()
}

fn probabilities(logits: &[f32]) -> [f64; 2] {
    let first = 1.0 / (1.0 + (f64::from(logits[1]) - f64::from(logits[0])).exp());
    [first, 1.0 - first]
}

/// Mean loss that `client evaluate` and `client predict` find for the validation images of a run, with test-time augmentation if `tta` is
/// given, which is its option.
fn losses(setup: &Setup, run: &std::path::Path, tta: Option<(&str, Option<Views>)>) -> [f64; 2] {
    let options = tta.iter().map(|(option, _)| *option);
    let options: Vec<&str> = options.chain(["--json", text(run)]).collect();
    let evaluated = setup.output("evaluate", &options);
    assert!(evaluated.status.success(), "{evaluated:?}");
    let figures: Value = serde_json::from_slice(&evaluated.stdout).unwrap();
    let evaluated = figures["models"]["run"]["loss"].as_f64().unwrap();
    let runtime = Runtime::load().unwrap();
    let mut predictor =
        Predictor::open(&runtime, &run.join("model.onnx"), &SessionOptions::default()).unwrap();
    if let Some((_, views)) = tta {
        predictor = predictor.with_views(views).unwrap();
    }
    let samples = dataset(setup.images.root()).samples;
    let valid = samples.iter().filter(|sample| sample.split.name() == "valid");
    let (files, classes): (Vec<_>, Vec<_>) = valid
        .map(|sample| {
            let mut found = sources(&setup.images.root().join(&*sample.path)).unwrap();
            (found.remove(0), sample.class as usize)
        })
        .unzip();
    let mut classes = classes.iter();
    let mut sum = 0.0;
    predictor
        .predict::<predict::Error>(&files, 4, |_, result| {
            sum -= result.unwrap().probabilities[*classes.next().unwrap()].ln();
            Ok(())
        })
        .unwrap();
    [evaluated, sum / files.len() as f64]
}

#[test]
fn a_model_of_padded_images_is_evaluated_and_predicts_on_padded_ones() {
    let mut found = vec![];
    for recipe in ["none", "pad(90)"] {
        let setup = Setup::new();
        let run = setup.run_folder(&format!("--epochs 1 --recipe {recipe}"));
        let [evaluated, predicted] = losses(&setup, &run, None);
        assert!(
            (evaluated - predicted).abs() < 1e-5,
            "{recipe}: {evaluated} {predicted}"
        );
        let epoch = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let epoch: Value = serde_json::from_str(epoch.lines().last().unwrap()).unwrap();
        let in_training = epoch["valid"]["loss"].as_f64().unwrap();
        assert!(
            (evaluated - in_training).abs() < 1e-4,
            "{recipe}: {evaluated} {in_training}"
        );
        found.push(evaluated);
    }
    assert!(found[0] != found[1], "images of both recipes are alike");
}

#[test]
fn test_time_augmentation_averages_nine_views() {
    let setup = Setup::new();
    let run = setup.run_folder("--epochs 1 --recipe none");
    let evaluated = setup.output("evaluate", &["--tta", "--json", text(&run)]);
    assert!(evaluated.status.success(), "{evaluated:?}");
    let figures: Value = serde_json::from_slice(&evaluated.stdout).unwrap();
    let figures = &figures["models"]["run"];

    let runtime = Runtime::load().unwrap();
    let model = run.join("model.onnx");
    let mut predictor = Predictor::open(&runtime, &model, &SessionOptions::default()).unwrap();
    let preprocessing = predictor.card().preprocessing.clone();
    let spec = TensorSpec {
        size: SIZE,
        element_type: ElementType::F32,
        layout: Layout::Nchw,
        normalization: Normalization {
            mean: preprocessing.mean,
            std: preprocessing.std,
        },
    };
    let samples = dataset(setup.images.root()).samples;
    let valid: Vec<_> = samples
        .iter()
        .filter(|sample| sample.split.name() == "valid")
        .collect();
    assert_eq!(valid.len(), 6);
    let (mut loss, mut expected) = (0.0, vec![]);
    for sample in &valid {
        let bytes = fs::read(setup.images.root().join(&*sample.path)).unwrap();
        let short_side = Some(preprocessing.canonical_short_side);
        let image = decode_canonical(&bytes, &DecodeOptions::default(), short_side).unwrap();
        let mut mean = [0.0; 2];
        for (number, draw) in draws().iter().enumerate() {
            let map = draw.map((image.width(), image.height()), SIZE);
            let mut tensor = vec![0; spec.image_bytes()];
            write_image(&image, &map, &draw.lighting(), &spec, &mut tensor);
            let logits = predictor.classifier().logits(&tensor, 1, SIZE as usize).unwrap();
            let weight = if number == 0 { 0.4 } else { 0.6 / 8.0 };
            for (sum, share) in mean.iter_mut().zip(probabilities(&logits)) {
                *sum += weight * share;
            }
        }
        loss -= mean[sample.class as usize].ln() / valid.len() as f64;
        expected.push(mean);
    }
    let mut predictor = predictor.with_views(None).unwrap();
    let files = valid.iter().map(|sample| setup.images.root().join(&*sample.path));
    let files: Vec<ImageSource> = files.flat_map(|path| sources(&path).unwrap()).collect();
    let mut predicted = vec![];
    predictor
        .predict::<predict::Error>(&files, 4, |_, result| {
            predicted.push(result.unwrap().probabilities);
            Ok(())
        })
        .unwrap();
    for (found, expected) in predicted.iter().zip(&expected) {
        let off = found
            .iter()
            .zip(expected)
            .map(|(found, expected)| (found - expected).abs());
        assert!(
            off.fold(0.0, f64::max) < 1e-5,
            "{found:?} instead of {expected:?}"
        );
    }
    assert_eq!(predicted.len(), 6);
    let found = figures["loss"].as_f64().unwrap();
    assert!((found - loss).abs() < 1e-5, "{found} instead of {loss}");
    assert_eq!(figures["images"], 6);
    assert!(run.join("evaluation-valid-tta.json").exists());
    assert!(!run.join("evaluation-valid.json").exists());

    // The default recipe's other operations are drawn for every view, and equally in every run.
    let other = setup.text("other");
    setup.trained(&[&SMALL[..], &["--epochs", "1", "--seed", "5", "--out", &other]].concat());
    let again = || setup.output("evaluate", &["--tta", "--json", &other]).stdout;
    assert_eq!(again(), again());
}

/// `[3, S, S]` after a quarter turn.
fn turned(tensor: &[f32]) -> Vec<f32> {
    let side = SIZE as usize;
    let from =
        |at: usize| tensor[at / (side * side) * side * side + at % side * side + side - 1 - at / side % side];
    (0..tensor.len()).map(from).collect()
}

/// `[3, S, S]` with its columns in reverse.
fn mirrored(tensor: &[f32]) -> Vec<f32> {
    let rows = tensor.chunks(SIZE as usize);
    rows.flat_map(|row| row.iter().rev().copied()).collect()
}

#[test]
fn symmetries_are_averaged_where_the_training_had_them() {
    let setup = Setup::new();
    let run = setup.run_folder("--epochs 1 --recipe dihedral");
    let runtime = Runtime::load().unwrap();
    let model = run.join("model.onnx");
    let mut predictor = Predictor::open(&runtime, &model, &SessionOptions::default()).unwrap();
    let preprocessing = predictor.card().preprocessing.clone();
    let samples = dataset(setup.images.root()).samples;
    let valid: Vec<_> = samples
        .iter()
        .filter(|sample| sample.split.name() == "valid")
        .collect();
    let mut expected = [0.0, 0.0];
    for sample in &valid {
        let file = &sources(&setup.images.root().join(&*sample.path)).unwrap()[0];
        let input = predictor.classifier().input();
        let plain = predict::prepare(file, &preprocessing, input, &[Draw::identity()]).unwrap();
        let mut tensor: Vec<f32> = plain
            .chunks(4)
            .map(|value| f32::from_le_bytes(value.try_into().unwrap()))
            .collect();
        let mut sums = [[0.0; 2]; 2];
        for _ in 0..4 {
            for (sum, view) in sums.iter_mut().zip([tensor.clone(), mirrored(&tensor)]) {
                let bytes: Vec<u8> = view.iter().flat_map(|value| value.to_le_bytes()).collect();
                let logits = predictor.classifier().logits(&bytes, 1, SIZE as usize).unwrap();
                let probability = probabilities(&logits)[sample.class as usize];
                sum[1] += probability / 8.0;
                // The first turn is the image itself.
                if sum[0] == 0.0 {
                    sum[0] = probability / 2.0;
                }
            }
            tensor = turned(&tensor);
        }
        for views in [0, 1] {
            expected[views] -= (sums[0][views] + sums[1][views]).ln() / valid.len() as f64;
        }
    }
    let [flip, dihedral] = expected;
    for (option, views, expected) in [
        ("--tta", None, dihedral),
        ("--tta=dihedral", Some(Views::Dihedral), dihedral),
        ("--tta=flip", Some(Views::Flip), flip),
    ] {
        let found = losses(&setup, &run, Some((option, views)));
        for found in found {
            assert!(
                (found - expected).abs() < 1e-5,
                "{option}: {found} instead of {expected}"
            );
        }
    }
    let [crops, _] = losses(&setup, &run, Some(("--tta=crops", Some(Views::Crops))));
    assert!((crops - dihedral).abs() > 1e-6, "crops are other views");
    let refused = setup.output("evaluate", &["--tta=turns", text(&run)]);
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("[possible values: crops, flip, dihedral]"),
        "{refused:?}"
    );
}
