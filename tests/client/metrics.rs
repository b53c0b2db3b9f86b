//! Classification metrics against scikit-learn's: see `generate/metrics.py`.

use equibatch_harness::checkout;

use equibatch_client::learn::{
    metrics::{MetricAccumulator, Metrics},
    predictions::Predictions,
};
use serde_json::Value;

fn fixture() -> Value {
    let path = checkout::fixture("metrics.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap()).collect()
}

fn metrics(case: &Value) -> Metrics {
    let labels = numbers(&case["labels"]);
    let classes = case["support"].as_array().unwrap().len();
    let mut accumulator = MetricAccumulator::new(classes);
    for (row, label) in case["logits"].as_array().unwrap().iter().zip(&labels) {
        let logits: Vec<f32> = numbers(row).iter().map(|&logit| logit as f32).collect();
        accumulator.record(&logits, *label as usize);
    }
    let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
    accumulator.metrics(&names)
}

/// Undefined values are 0 in the fixture.
fn close(name: &str, found: Option<f64>, expected: f64) {
    let found = found.unwrap_or(0.0);
    assert!(
        (found - expected).abs() < 1e-9,
        "{name} is {found}, not {expected}"
    );
}

#[test]
fn metrics_equal_those_of_scikit_learn() {
    let fixture = fixture();
    let cases = fixture["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let metrics = metrics(case);
        let expected = |figure: &str| case[figure].as_f64().unwrap();
        let whole = [
            ("accuracy", metrics.accuracy),
            ("balanced_accuracy", metrics.balanced_accuracy),
            ("macro_f1", metrics.macro_f1),
            ("loss", Some(metrics.loss)),
            ("mcc", metrics.matthews),
            ("ece", metrics.calibration_error),
        ];
        for (figure, found) in whole {
            close(&format!("{name}: {figure}"), found, expected(figure));
        }
        close(
            &format!("{name}: error rate"),
            metrics.error_rate,
            1.0 - expected("accuracy"),
        );
        assert_eq!(metrics.auroc.is_some(), case["auroc"].is_number(), "{name}");
        if metrics.auroc.is_some() {
            close(&format!("{name}: auroc"), metrics.auroc, expected("auroc"));
        }
        for (k, share) in case["top"].as_object().unwrap() {
            let found = metrics.top_k[k.parse::<usize>().unwrap() - 1];
            close(&format!("{name}: top {k}"), Some(found), share.as_f64().unwrap());
        }
        for (index, class) in metrics.classes.iter().enumerate() {
            let of_class = |figure: &str| numbers(&case[figure])[index];
            close(
                &format!("{name}: precision of {index}"),
                class.precision,
                of_class("precision"),
            );
            close(
                &format!("{name}: recall of {index}"),
                class.recall,
                of_class("recall"),
            );
            close(&format!("{name}: f1 of {index}"), class.f1, of_class("f1"));
            assert_eq!(
                class.images as f64,
                of_class("support"),
                "{name}: images of {index}"
            );
        }
        let counts: Vec<Vec<f64>> = case["confusion_matrix"]
            .as_array()
            .unwrap()
            .iter()
            .map(numbers)
            .collect();
        let found = metrics.confusion_matrix.iter();
        assert!(
            found
                .map(|row| row.iter().map(|&count| count as f64))
                .zip(counts)
                .all(|(row, expected)| row.eq(expected)),
            "{name}"
        );
    }
}

#[test]
fn average_precisions_and_curves_equal_those_of_scikit_learn() {
    for case in fixture()["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let mut predictions = Predictions::default();
        for (row, label) in case["logits"]
            .as_array()
            .unwrap()
            .iter()
            .zip(numbers(&case["labels"]))
        {
            let logits: Vec<f32> = numbers(row).iter().map(|&logit| logit as f32).collect();
            predictions.push(0, label as u32, &logits);
        }
        let expected = case["average_precision"].as_array().unwrap();
        let names: Vec<String> = (0..expected.len()).map(|class| class.to_string()).collect();
        let metrics = predictions.metrics(&names);
        let near = |found: f64, expected: f64| (found - expected).abs() < 1e-12;
        for (class, expected) in metrics.classes.iter().zip(expected) {
            let found = class.average_precision;
            let is_equal = match (found, expected.as_f64()) {
                (Some(found), Some(expected)) => near(found, expected),
                (found, expected) => found == expected,
            };
            assert!(is_equal, "{name}: {found:?} instead of {expected}");
        }
        let curves = predictions.curves(&metrics, names.len());
        let known: Vec<&Value> = case["precision_recall"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|curve| !curve.is_null())
            .collect();
        assert_eq!(curves.len(), known.len());
        for (curve, expected) in curves.iter().zip(known) {
            let [precisions, recalls] = [0, 1].map(|part| numbers(&expected[part]));
            assert_eq!(curve.points.len(), precisions.len(), "{name}");
            for (point, (precision, recall)) in curve.points.iter().zip(precisions.into_iter().zip(recalls)) {
                assert!(
                    near(point.precision, precision) && near(point.recall, recall),
                    "{name}: {point:?}"
                );
            }
        }
    }
}
