//! `server explain`: images rendered from its numbers alone.

use equibatch_harness::{
    images::{ImageFolder, decoded, pictures},
    process,
    receive::{floats, receive, small},
};
use equibatch_proto::v1::{Recipe, StreamBatchesRequest};
use equibatch_server_tests::memory::{MemoryServer, config, engine};
use image::RgbImage;
use serde_json::Value;

/// Larger than all images, so that none is reduced before sampling.
const SIZE: u32 = 64;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The image in the middle of a square of `grey`.
fn padded(image: &RgbImage, grey: u8) -> RgbImage {
    let side = image.width().max(image.height());
    let mut square = RgbImage::from_pixel(side, side, image::Rgb([grey; 3]));
    let (left, top) = ((side - image.width()) / 2, (side - image.height()) / 2);
    image::imageops::overlay(&mut square, image, left.into(), top.into());
    square
}

/// The pixel at `(x, y)`, between pixel centres and beyond the border, in `[0, 1]`.
fn sampled(image: &RgbImage, (x, y): (f64, f64), channel: usize) -> f64 {
    let fold = |at: f64, length: u32| {
        let span = f64::from(length - 1);
        let place = at.rem_euclid(2.0 * span);
        place.min(2.0 * span - place)
    };
    let (x, y) = (fold(x, image.width()), fold(y, image.height()));
    let pixel = |column: f64, row: f64| {
        let at = (column as u32, row as u32);
        let at = (at.0.min(image.width() - 1), at.1.min(image.height() - 1));
        f64::from(image.get_pixel(at.0, at.1).0[channel]) / 255.0
    };
    let (left, top) = (x.floor(), y.floor());
    let (fx, fy) = (x - left, y - top);
    let row = |row: f64| pixel(left, row) * (1.0 - fx) + pixel(left + 1.0, row) * fx;
    row(top) * (1.0 - fy) + row(top + 1.0) * fy
}

fn lit(x: f64, draw: &Value) -> f64 {
    let (brightness, contrast) = (draw["brightness"].as_f64(), draw["contrast"].as_f64());
    if brightness.is_none() && contrast.is_none() {
        return x;
    }
    let logit = |x: f64| (x / (1.0 - x)).ln();
    let z = logit(x.clamp(1e-7, 1.0 - 1e-7)) + brightness.map_or(0.0, logit);
    1.0 / (1.0 + (-z * contrast.unwrap_or(1.0)).exp())
}

fn explained(images: &ImageFolder, recipe: &str, step: &str) -> Vec<Value> {
    let root = images.root().to_str().unwrap();
    let size = SIZE.to_string();
    let output = process::server(&[
        "explain",
        root,
        "--seed",
        "7",
        "--batch-size",
        "6",
        "--size",
        &size,
        "--step",
        step,
        "--recipe",
        recipe,
        "--json",
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn an_image_can_be_rendered_from_its_explanation() {
    let images = pictures();
    let server = MemoryServer::start(engine(images.root(), config(2, 1 << 26)));
    for recipe in [
        "fastai",
        "resized_crop flip dihedral lighting(0.3,p=1)",
        "fastai dihedral pad(37)",
        "pad",
    ] {
        let request = StreamBatchesRequest {
            image_size: Some(SIZE),
            recipe: Some(Recipe {
                text: recipe.to_owned(),
                ..Recipe::default()
            }),
            ..small("train", 1)
        };
        let received = receive(&mut server.client().await, request).await.unwrap();
        let batch = &received.batches[2];
        let values = floats(batch);
        let explained = explained(&images, recipe, "2");
        assert_eq!(explained.len(), 6);
        for (slot, explained) in explained.iter().enumerate() {
            assert_eq!(explained["sample"], batch.sample_ids[slot]);
            let class = received.description.classes[batch.labels[slot] as usize].as_str();
            assert_eq!(explained["class"], class);
            let file = images.root().join(explained["path"].as_str().unwrap());
            let image = decoded(&file);
            let image = match explained["draw"]["pad"].as_u64() {
                Some(grey) => padded(&image, grey as u8),
                None => image,
            };
            assert_eq!(explained["draw"]["pad"].is_u64(), recipe.contains("pad"));
            let source = explained["source"].as_array().unwrap();
            assert_eq!(
                (number(&source[0]), number(&source[1])),
                (image.width().into(), image.height().into())
            );
            let entry = |row: usize, column: usize| number(&explained["map"][row][column]);
            let side = SIZE as usize;
            for at in 0..side * side {
                let (column, row) = ((at % side) as f64, (at / side) as f64);
                let [u, v, w] = [0, 1, 2].map(|r| entry(r, 0) * column + entry(r, 1) * row + entry(r, 2));
                for (channel, (mean, std)) in [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]
                    .into_iter()
                    .enumerate()
                {
                    let expected = lit(sampled(&image, (u / w, v / w), channel), &explained["draw"]);
                    let value = f64::from(values[(slot * 3 + channel) * side * side + at]) * std + mean;
                    assert!(
                        (value - expected).abs() <= 1.0 / 255.0,
                        "{recipe}, slot {slot}, {at}: {value}, not {expected}"
                    );
                }
            }
            for (eighths, value) in explained["curve"].as_array().unwrap().iter().enumerate() {
                assert!((number(value) - lit(eighths as f64 / 8.0, &explained["draw"])).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn explanations_are_printed_and_drawn() {
    let images = pictures();
    let root = images.root().to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("batch.png");
    let picture = picture.to_str().unwrap();
    let explain = |more: &[&str]| {
        process::server(&[&["explain", root, "--batch-size", "6", "--size", "32"], more].concat())
    };
    let output = explain(&["--out", picture, "--recipe", "fastai randaugment"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for word in ["birds/", "flowers/", "crop", "map", "use 1 in this epoch"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let sheet = image::open(picture).unwrap();
    assert_eq!(
        (sheet.width(), sheet.height()),
        (96, 64),
        "six pictures, three in a row"
    );
    let one = explain(&["--slot", "3", "--out", picture]);
    assert_eq!(
        String::from_utf8(one.stdout).unwrap().matches("(sample").count(),
        1
    );
    assert_eq!(image::open(picture).unwrap().width(), 32);
    for (more, word) in [
        (&["--slot", "6"][..], "less than 6"),
        (&["--step", "99"], "99"),
        (&["--recipe", "spin"], "spin"),
        (&["--balance", "fair"], "oversample"),
        (&["--part", "all"], "valid"),
    ] {
        let output = explain(more);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{complaint}");
        assert!(complaint.contains(word), "{complaint}");
    }
}
