//! `docs/how-to/predict.py` against `client predict`, image by image.

use equibatch_client::learn::{
    card::ModelCard,
    run::{RunConfig, RunFolder},
};
use equibatch_training::program::{Backbone, ModelSpec, ResNet, inference, initial_state};
use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::Command,
};

use equibatch_harness::{checkout, images::picture, process::client};
use equibatch_tools::sample_data::{self, ClassSpec, SampleDataOptions};
use image::{ExtendedColorType, ImageEncoder as _, ImageFormat, codecs::jpeg::JpegEncoder};
use serde_json::Value;

const SIZE: u32 = 64;
const CLASSES: [&str; 4] = ["birds", "boats", "cats", "flowers"];

/// Tolerance of probabilities: downscaling rounds to bytes at another step than Pillow, and Pillow decodes large photographs at full size.
const TOLERANCE: f64 = 0.02;

fn root() -> PathBuf {
    checkout::path("")
}

/// Python with the packages that the page needs; `None` if `make test` has not installed them.
pub(crate) fn python() -> Option<Command> {
    let command = || {
        let mut command = Command::new(root().join(".tools/python/bin/python"));
        command.env("PYTHONPATH", root().join(".runtime"));
        command
    };
    let probe = command().args(["-c", "import numpy, onnxruntime, PIL"]).output();
    probe.is_ok_and(|output| output.status.success()).then(command)
}

/// The run `name` in `folder` with an untrained model, as if it was trained with `recipe`.
fn run(folder: &Path, name: &str, recipe: &str) -> RunFolder {
    let config = RunConfig {
        classes: CLASSES.map(str::to_owned).to_vec(),
        arch: "resnet18@4".to_owned(),
        image_size: SIZE,
        canonical_short_side: 74,
        recipe: recipe.to_owned(),
        ..RunConfig::default()
    };
    let backbone = Backbone {
        width: 4,
        ..Backbone::RESNET18
    };
    let spec = ModelSpec::ResNet(ResNet {
        image_size: SIZE as usize,
        ..ResNet::new(backbone, CLASSES.len())
    });
    let state = initial_state(&spec, 5).unwrap();
    let program = inference(&spec, &state, &ModelCard::metadata(&config)).unwrap();
    let run = RunFolder::create(&folder.join(name), &config).unwrap();
    fs::write(run.model_path(), program.model).unwrap();
    run
}

/// Drawn photographs of 500 pixels, rotated, large, small and very long ones, in every file format.
fn images(folder: &Path) -> Vec<PathBuf> {
    let drawn = folder.join("drawn");
    sample_data::generate(&SampleDataOptions {
        classes: CLASSES.map(|class| ClassSpec::new(class, 8)).to_vec(),
        test_count: 0,
        threads: NonZeroUsize::MIN,
        ..SampleDataOptions::new(&drawn)
    })
    .unwrap();
    let files = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    };
    let mut images: Vec<PathBuf> = CLASSES
        .iter()
        .flat_map(|class| files(&drawn.join(class)))
        .collect();
    for orientation in 1..=8 {
        // A TIFF block, big-endian, with one entry: orientation (0x0112), SHORT, count 1.
        let mut exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let (pixels, mut jpeg) = (picture((160, 100), orientation.into()), vec![]);
        let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 95);
        encoder.set_exif_metadata(exif).unwrap();
        encoder
            .write_image(&pixels, 160, 100, ExtendedColorType::Rgb8)
            .unwrap();
        let path = folder.join(format!("turned-{orientation}.jpg"));
        fs::write(&path, jpeg).unwrap();
        images.push(path);
    }
    for (number, size) in (0..).zip([(1600, 1203), (64, 64), (75, 74), (31, 40), (500, 90), (77, 613)]) {
        let path = folder.join(format!("size-{number}.jpg"));
        picture(size, number)
            .save_with_format(&path, ImageFormat::Jpeg)
            .unwrap();
        images.push(path);
    }
    let fixtures = root().join("tests/fixtures");
    images.extend(
        ["jpeg", "other"]
            .iter()
            .flat_map(|kind| files(&fixtures.join(kind))),
    );
    // Pillow truncates samples of 16 bits, the program rounds them; the page says so.
    images.retain(|path| !path.ends_with("deep.png"));
    images.sort();
    images
}

#[test]
fn the_python_of_the_page_agrees_with_the_program_image_by_image() {
    let Some(_) = python() else {
        eprintln!(
            "SKIPPED: no Python with NumPy and Pillow in .tools/python; `make python-tools` installs it"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let padded = run(folder.path(), "padded", "fastai pad(90)");
    let (run, images) = (run(folder.path(), "run", ""), images(folder.path()));
    let images: Vec<&str> = images.iter().map(|path| path.to_str().unwrap()).collect();
    let exported = folder.path().join("pixels.onnx");
    let paths = [
        run.path().to_path_buf(),
        run.model_path(),
        exported,
        padded.model_path(),
    ];
    let [run, model, pixels, padded] = paths.each_ref().map(|path| path.to_str().unwrap());
    let export = client(&[
        "export",
        run,
        "--fold",
        "--preprocess",
        "u8",
        "--layout",
        "nhwc",
        "--out",
        pixels,
    ]);
    assert!(export.status.success(), "{export:?}");
    for model in [model, pixels, padded] {
        let ours = client(
            &[
                &[
                    "predict",
                    "--threads",
                    "1",
                    "--json",
                    "--top",
                    "4",
                    "--model",
                    model,
                ],
                &*images,
            ]
            .concat(),
        );
        assert!(ours.status.success(), "{ours:?}");
        let ours: Vec<Value> = String::from_utf8(ours.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let theirs = python()
            .unwrap()
            .arg(root().join("docs/how-to/predict.py"))
            .arg(model)
            .args(&images)
            .output()
            .unwrap();
        assert!(theirs.status.success(), "{theirs:?}");
        let theirs = String::from_utf8(theirs.stdout).unwrap();
        let theirs: Vec<Vec<&str>> = theirs.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!((ours.len(), theirs.len()), (images.len(), images.len()));
        let mut classes = vec![];
        for (one, other) in ours.iter().zip(&theirs) {
            let [path, class, share] = &**other else {
                panic!("{other:?}")
            };
            assert_eq!(one["image"], *path);
            assert_eq!(one["class"], *class, "{path}: {one} {other:?}");
            let [ours, theirs] = [
                one["probabilities"][class].as_f64().unwrap(),
                share.parse().unwrap(),
            ];
            assert!((ours - theirs).abs() < TOLERANCE, "{path}: {ours} {theirs}");
            classes.push(*class);
        }
        classes.sort_unstable();
        classes.dedup();
        assert!(classes.len() > 1, "a model that predicts one class shows nothing");
    }
}

#[test]
fn the_page_shows_the_function_that_is_tested() {
    let [page, script] = ["use-a-model.md", "predict.py"]
        .map(|name| fs::read_to_string(root().join("docs/how-to").join(name)).unwrap());
    let function = script
        .split("\n\n\n")
        .find(|part| part.starts_with("def square"))
        .expect("the function");
    assert!(
        page.contains(&format!("```python\n{function}\n```")),
        "{function}"
    );
}

#[test]
fn the_metadata_lists_the_preprocessing_steps() {
    let config = RunConfig {
        image_size: 224,
        canonical_short_side: 256,
        ..RunConfig::default()
    };
    let metadata = ModelCard::metadata(&config);
    let (_, text) = metadata.iter().find(|(key, _)| key == "preprocessing").unwrap();
    let preprocessing: Value = serde_json::from_str(text).unwrap();
    let steps = preprocessing["steps"].as_array().unwrap();
    let names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["decode", "turn", "shrink", "resample", "crop", "normalize"]
    );
    assert_eq!(
        (&steps[2]["short_side"], &steps[3]["short_side"]),
        (&256.into(), &224.into())
    );
    assert_eq!(steps[3]["filter"], "bilinear, align_corners");
    assert_eq!(steps[4]["left"], "floor((width - 224 + 1) / 2)");
    assert!(text.contains("\"mean\":[0.485,0.456,0.406]"), "as typed, {text}");
}
