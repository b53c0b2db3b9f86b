//! `client predict`: inputs, output formats and exit codes.

use equibatch_client::learn::{card::ModelCard, run::RunConfig};
use equibatch_training::program::{Backbone, ModelSpec, ResNet, inference, initial_state};
use std::{fs, path::PathBuf};

use equibatch_harness::{
    images::ImageFolder,
    process::{client, client_with_input},
};
use serde_json::Value;
use tempfile::TempDir;

const SIZE: u32 = 32;

/// An untrained model.
struct Model {
    folder: TempDir,
    path: String,
}

impl Model {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        fs::write(&path, Self::file(|metadata| metadata)).unwrap();
        Self {
            path: path.to_str().unwrap().to_owned(),
            folder,
        }
    }

    /// The path of the same model with a `crop_pct` in its metadata.
    fn with_crop(&self, share: f64) -> String {
        let path = self.folder.path().join("cropped.onnx");
        let file = Self::file(|mut metadata| {
            let (_, text) = metadata
                .iter_mut()
                .find(|(key, _)| key == "preprocessing")
                .unwrap();
            let mut preprocessing: Value = serde_json::from_str(text).unwrap();
            preprocessing["crop_pct"] = share.into();
            *text = preprocessing.to_string();
            metadata
        });
        fs::write(&path, file).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The file with metadata as `edit` returns them.
    fn file(edit: impl FnOnce(Vec<(String, String)>) -> Vec<(String, String)>) -> Vec<u8> {
        let config = RunConfig {
            classes: ["birds", "boats", "flowers"].map(str::to_owned).to_vec(),
            arch: "resnet18@4".to_owned(),
            image_size: SIZE,
            canonical_short_side: 37,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            ..RunConfig::default()
        };
        let spec = ModelSpec::ResNet(ResNet {
            image_size: SIZE as usize,
            ..ResNet::new(
                Backbone {
                    width: 4,
                    ..Backbone::RESNET18
                },
                3,
            )
        });
        let state = initial_state(&spec, 5).unwrap();
        inference(&spec, &state, &edit(ModelCard::metadata(&config)))
            .unwrap()
            .model
    }

    fn predict(&self, arguments: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
        let all = [&["predict", "--threads", "1", "--model", &self.path], arguments].concat();
        let output = client_with_input(&all, input);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

fn images() -> ImageFolder {
    let images = ImageFolder::new(&[("birds", 4), ("flowers", 7)]);
    images.corrupt("flowers", 3).unwrap();
    fs::write(images.root().join("notes.txt"), "not an image").unwrap();
    images
}

fn records(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// White in the middle and black around: the centre alone is a white image.
#[test]
fn a_crop_uses_the_centre_of_an_image() {
    let model = Model::new();
    let folder = tempfile::tempdir().unwrap();
    let image = |name: &str, border: u32| {
        let path = folder.path().join(name);
        let is_inside = |place: u32| (border..128 - border).contains(&place);
        let pixel = |x, y| image::Rgb([if is_inside(x) && is_inside(y) { 255_u8 } else { 0 }; 3]);
        image::RgbImage::from_fn(128, 128, pixel).save(&path).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (framed, white) = (image("framed.png", 16), image("white.png", 0));
    let predicted = |path: &str, options: &[&str]| {
        let (code, out, errors) = model.predict(&[&["--json", path], options].concat(), b"");
        assert_eq!(code, Some(0), "{errors}");
        records(&out)[0]["probabilities"].clone()
    };
    let expected = predicted(&white, &[]);
    assert_eq!(predicted(&framed, &["--crop-pct", "0.7"]), expected);
    assert!(predicted(&framed, &[]) != expected);
    let (own, all) = (model.with_crop(0.7), ["--crop-pct", "1"]);
    let of_file = |options: &[&str]| {
        let output = client(
            &[
                &["predict", "--json", "--threads", "1", "--model", &own, &framed],
                options,
            ]
            .concat(),
        );
        assert!(output.status.success(), "{output:?}");
        records(&String::from_utf8(output.stdout).unwrap())[0]["probabilities"].clone()
    };
    assert_eq!(of_file(&[]), expected, "crop_pct of the metadata");
    assert_eq!(of_file(&all), predicted(&framed, &[]));
    let output = client(&["predict", "--model", &model.with_crop(0.0), &framed]);
    let errors = String::from_utf8(output.stderr).unwrap();
    let words = "no usable `preprocessing` (crop_pct 0: expected a number from 0.1 to 1)";
    assert!(
        output.status.code() == Some(65) && errors.contains(words),
        "{errors}"
    );
    let (code, _, errors) = model.predict(&["--crop-pct", "1.1", &white], b"");
    assert_eq!(
        (code, errors.contains("from 0.1 to 1")),
        (Some(64), true),
        "{errors}"
    );
}

#[test]
fn folders_are_predicted_in_order_and_equally_for_any_batch_size() {
    let (model, images) = (Model::new(), images());
    let root = images.root().to_str().unwrap();
    let mut first: Option<Vec<Value>> = None;
    for batch_size in ["1", "3", "16"] {
        let (code, out, _) = model.predict(&["--json", "--batch-size", batch_size, root], b"");
        assert_eq!(code, Some(65), "a file is broken");
        let records = records(&out);
        let names: Vec<&str> = records
            .iter()
            .map(|record| record["image"].as_str().unwrap())
            .collect();
        assert!(names.is_sorted() && names.len() == 11, "{names:?}");
        let broken: Vec<&Value> = records
            .iter()
            .filter(|record| !record["error"].is_null())
            .collect();
        assert_eq!(broken.len(), 1);
        assert!(broken[0]["image"].as_str().unwrap().ends_with("flowers/0004.jpg"));
        let first = first.get_or_insert_with(|| records.clone());
        for (one, other) in first.iter().zip(&records) {
            assert_eq!((&one["image"], &one["class"]), (&other["image"], &other["class"]));
            for class in ["birds", "boats", "flowers"] {
                let [one, other] = [one, other].map(|record| record["probabilities"][class].as_f64());
                // Sums in single precision, in another order.
                let off = one.zip(other).map(|(one, other)| (one - other).abs());
                assert!(off.is_none_or(|off| off < 1e-5), "{class}: {one:?} {other:?}");
            }
        }
    }
}

#[test]
fn csv_has_the_likeliest_classes_and_the_errors() {
    let (model, images) = (Model::new(), images());
    let files = [images.file("flowers", 3), images.file("birds", 0)];
    let files = files.each_ref().map(|file| file.to_str().unwrap());
    let (code, out, _) = model.predict(&["--format", "csv", "--top", "2", files[0], files[1]], b"");
    assert_eq!(code, Some(65));
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(
        lines[0],
        [
            "image",
            "class",
            "probability",
            "class_2",
            "probability_2",
            "error"
        ]
    );
    assert_eq!(lines[1][..5], [files[0], "", "", "", ""]);
    assert!(lines[1][5].contains("cannot classify"), "{out}");
    assert_eq!(lines[2].len(), 6);
    let shares = [2, 4].map(|field| lines[2][field].parse::<f64>().unwrap());
    assert!(shares[0] >= shares[1] && shares[0] + shares[1] <= 1.0, "{out}");
}

#[test]
fn images_and_lists_may_come_on_standard_input() {
    let (model, images) = (Model::new(), images());
    let file = images.file("birds", 1);
    let named = model.predict(&["--json", file.to_str().unwrap()], b"");
    let bytes = model.predict(&["--json", "-"], &fs::read(&file).unwrap());
    let list = format!("{}\n{}\n", file.display(), images.root().join("birds").display());
    let listed = model.predict(&["--json", "--files-from", "-"], list.as_bytes());
    assert_eq!([named.0, bytes.0, listed.0], [Some(0); 3], "{bytes:?} {listed:?}");
    let [named, bytes, listed] = [named, bytes, listed].map(|(_, out, _)| records(&out));
    assert_eq!(bytes[0]["image"], "-");
    assert_eq!(bytes[0]["probabilities"], named[0]["probabilities"]);
    assert_eq!(listed.len(), 5);
    assert_eq!(listed[0]["image"], named[0]["image"]);
}

#[test]
fn the_default_output_is_a_table_and_errors_have_exit_codes() {
    let (model, images) = (Model::new(), images());
    let birds = images.root().join("birds");
    let (code, out, _) = model.predict(&[birds.to_str().unwrap()], b"");
    assert_eq!(code, Some(0));
    assert_eq!(out.lines().count(), 5);
    assert!(out.starts_with("image ") && out.contains(" % "), "{out}");

    let empty: PathBuf = images.root().join("empty");
    fs::create_dir(&empty).unwrap();
    let (code, _, errors) = model.predict(&[empty.to_str().unwrap()], b"");
    assert_eq!(code, Some(65));
    assert!(errors.contains("there are no images in"), "{errors}");
    let (code, _, errors) = model.predict(&["-", "--files-from", "-"], b"");
    assert_eq!((code, errors.contains("only once")), (Some(64), true), "{errors}");
    let (code, out, _) = model.predict(&["nowhere.jpg"], b"");
    assert_eq!(code, Some(65));
    assert!(out.contains("cannot read nowhere.jpg"), "{out}");
    assert_eq!(
        client(&["predict", "--model", &model.path]).status.code(),
        Some(64)
    );
}
