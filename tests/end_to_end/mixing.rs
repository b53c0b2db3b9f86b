//! Images of the balance, mixed into natural ones, from the command line to the files of a run.

use std::fs;

use serde_json::Value as Json;

use super::setup::{SMALL, Setup};

#[test]
fn a_run_on_balanced_images_in_natural_ones_knows_the_shares_of_both() {
    let setup = Setup::new();
    let options = "--epochs 1 --balance oversample --logit-adjust 1 --recipe";
    let mut options: Vec<&str> = options.split(' ').collect();
    let out = setup.text("run");
    options.extend(["fastai cutmix(1,from=natural)", "--out", &out]);
    let (code, _, errors) = setup.train(&[&SMALL[..], &options].concat());
    assert_eq!(code, Some(0), "{errors}");

    let read = |file: &str| fs::read_to_string(setup.path("run").join(file)).expect("written");
    let parsed = |file: &str| -> Json { serde_json::from_str(&read(file)).expect("JSON") };
    let stream = parsed("stream.json");
    // 8 and 16 images for training.
    assert_eq!(stream["draws"], serde_json::json!([16, 16]));
    assert_eq!(
        stream["background"]["draws_per_class"],
        serde_json::json!([11, 21])
    );
    let weight = stream["background"]["mean_mixed_weight"].as_f64().unwrap();
    // The mean area of a square of a uniformly distributed area, clipped at the border.
    assert!((0.25..0.35).contains(&weight), "{weight}");
    let shares = &parsed("config.json")["class_shares"];
    let trained: Vec<f64> = serde_json::from_value(shares["trained"].clone()).unwrap();
    for (share, natural) in trained.iter().zip([11.0, 21.0]) {
        let expected = ((1.0 - weight) * natural + weight * 16.0) / 32.0;
        assert!((share - expected).abs() < 1e-12, "{share} for {expected}");
    }
    // The loss is adjusted by all of it.
    assert_eq!(shares["assumed"], serde_json::json!([0.5, 0.5]));
    let report = read("report.html");
    for words in [
        "natural draws per epoch",
        "label weights per epoch",
        "mixed into natural ones with a mean weight of",
    ] {
        assert!(report.contains(words), "{words}");
    }
}
