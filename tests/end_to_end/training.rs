//! Training, resuming, evaluating and predicting.

use equibatch_client::learn::{
    card::Preprocessing,
    checkpoint::Checkpoint,
    learner::Learner,
    metrics::argmax,
    predict::{
        prepare,
        source::{ImageSource, SourceBytes},
    },
    run::RunConfig,
};
use equibatch_stream::{Balance, Batch, BatchRequest, RetryPolicy, Servers, Split};
use equibatch_training::{
    program::ElementType,
    runtime::{ImageInput, Runtime, SessionOptions},
};
use std::{fs, num::NonZeroUsize};

use equibatch_engine::augment::Draw;
use equibatch_harness::process::{ClientProcess, ServerProcess, arguments, client, text};
use equibatch_server_tests::memory::dataset;

use super::setup::{assert_same_run, kill_after, pictures, resume, train};

const SIZE: u32 = 32;

/// The unaugmented images of a split, in batches.
fn plain(servers: &Servers, split: Split, batch_size: u32) -> Vec<Batch> {
    let request = BatchRequest {
        balance: Some(Balance::Natural),
        recipe: "none".to_owned(),
        ..BatchRequest::evaluation("pictures", split, batch_size, SIZE)
    };
    let mut stream = servers.stream(&request, 1).expect("a stream");
    std::iter::from_fn(|| stream.next_batch().expect("a batch")).collect()
}

#[test]
fn a_network_overfits_twenty_four_streamed_images() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let servers = Servers::open(&server.address, RetryPolicy::default()).expect("a connection");
    let description = servers.describe("").expect("a description");
    let batches = plain(&servers, Split::Train, 24);
    assert_eq!(batches.len(), 1);
    let steps = 40;
    let config = RunConfig {
        dataset: description.name,
        fingerprint: description.fingerprint,
        classes: description.classes.into_iter().map(|class| class.name).collect(),
        arch: "resnet18@8".to_owned(),
        epochs: steps,
        steps_per_epoch: 1,
        batch_size: 24,
        image_size: SIZE,
        seed: 1,
        ..RunConfig::default()
    };
    let options = SessionOptions {
        intra_threads: NonZeroUsize::new(1),
        ..SessionOptions::default()
    };
    let runtime = Runtime::load().expect("ONNX Runtime");
    let mut learner = Learner::new(&runtime, &config, &options).expect("a learner");
    for _ in 0..steps {
        learner.step(&batches[0]).expect("a step");
    }
    let mut classifier = learner
        .classifier(&learner.model().expect("a model"))
        .expect("a classifier");
    let logits = classifier
        .logits(&batches[0].tensor, 24, SIZE as usize)
        .expect("logits");
    let rows = logits.chunks(2).zip(&batches[0].labels);
    let wrong = rows
        .filter(|(row, label)| argmax(row) != **label as usize)
        .count();
    assert_eq!(wrong, 0, "{logits:?}");
}

#[test]
fn an_interrupted_and_resumed_run_ends_with_the_same_bits() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--threads", "1"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [unbroken, broken] = ["unbroken", "broken"].map(|name| folder.path().join(name));
    let more = ["--epochs", "10", "--seed", "3", "--out"];

    let arguments = train(&server.address, &[&more[..], &[text(&unbroken)]].concat());
    let output = client(&arguments);
    assert!(output.status.success(), "{output:?}");

    let arguments = train(&server.address, &[&more[..], &[text(&broken)]].concat());
    let mut process = ClientProcess::start(&arguments);
    process.wait_for_line("1 ");
    process.interrupt();
    let (code, errors) = process.finish();
    assert_eq!(code, Some(130), "{errors}");
    let stopped = Checkpoint::load(&broken.join("checkpoint.safetensors")).expect("saved");
    assert!(
        (1..40).contains(&stopped.progress.steps),
        "{} steps",
        stopped.progress.steps
    );

    // Another server with the same files, and another number of threads for them.
    let other = ServerProcess::start(images.root(), &["--threads", "2"]);
    let output = client(&resume(&other.address, &broken));
    assert!(output.status.success(), "{output:?}");
    assert_same_run(&unbroken, &broken);
}

#[test]
fn a_killed_and_resumed_run_ends_with_the_same_bits() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--threads", "1"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [unbroken, killed] = ["unbroken", "killed"].map(|name| folder.path().join(name));
    let more = ["--epochs", "4", "--seed", "3", "--out"];
    let output = client(&train(&server.address, &[&more[..], &[text(&unbroken)]].concat()));
    assert!(output.status.success(), "{output:?}");

    kill_after(
        "1 ",
        &train(&server.address, &[&more[..], &[text(&killed)]].concat()),
    );
    let output = client(&resume(&server.address, &killed));
    assert!(output.status.success(), "{output:?}");
    assert_same_run(&unbroken, &killed);
}

#[test]
fn a_run_writes_its_files_and_evaluate_agrees_with_predict() {
    let images = pictures();
    // The test split is a folder of its own.
    for (class, count) in [("birds", 3), ("flowers", 4)] {
        let folder = images.root().join("test").join(class);
        fs::create_dir_all(&folder).expect("a folder");
        for index in 0..count {
            let from = images.file(class, index);
            let name = from.file_name().expect("a name");
            let mut picture = image::open(&from).expect("an image");
            picture.invert();
            picture.save(folder.join(name)).expect("an image file");
        }
    }
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = folder.path().join("run");
    let output = client(&train(&server.address, &["--epochs", "2", "--out", text(&run)]));
    assert!(output.status.success(), "{output:?}");
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    assert_eq!(metrics.lines().count(), 2);

    let evaluated = client(&arguments(
        "evaluate --split test --json --server",
        &[&server.address, text(&run)],
    ));
    assert!(evaluated.status.success(), "{evaluated:?}");
    let figures: serde_json::Value = serde_json::from_slice(&evaluated.stdout).expect("JSON");
    let evaluated = &figures["models"]["run"]["confusion_matrix"];
    for file in ["evaluation-test.json", "confusion-test.png", "confusion-test.svg"] {
        assert!(run.join(file).exists(), "{file}");
    }

    let mut counted = [[0_u64; 2]; 2];
    for (actual, class) in ["birds", "flowers"].into_iter().enumerate() {
        let files = fs::read_dir(images.root().join("test").join(class)).expect("a folder");
        let files: Vec<String> = files
            .map(|entry| text(&entry.expect("an entry").path()).to_owned())
            .collect();
        let model = run.join("model.onnx");
        let mut predict = arguments("predict --json --threads 1 --model", &[text(&model)]);
        predict.extend(files.iter().map(String::as_str));
        let predicted = client(&predict);
        assert!(predicted.status.success(), "{predicted:?}");
        for line in String::from_utf8(predicted.stdout).expect("text").lines() {
            let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
            counted[actual][usize::from(record["class"] == "flowers")] += 1;
        }
    }
    assert_eq!(evaluated, &serde_json::json!(counted));
}

#[test]
fn files_are_prepared_bit_for_bit_as_the_validation_stream_prepares_them() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let servers = Servers::open(&server.address, RetryPolicy::default()).expect("a connection");
    let samples = dataset(images.root()).samples;
    let preprocessing = Preprocessing {
        crop_pct: None,
        pad: None,
        image_size: SIZE,
        canonical_short_side: 37,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    };
    let input = ImageInput {
        element_type: ElementType::F32,
        channels_last: false,
    };
    let mut seen = 0;
    for batch in plain(&servers, Split::Valid, 4) {
        let bytes = batch.tensor.len() / batch.labels.len();
        for (tensor, &sample) in batch.tensor.chunks(bytes).zip(&batch.samples) {
            let path = images.root().join(&*samples[sample as usize].path);
            let source = ImageSource {
                name: String::new(),
                bytes: SourceBytes::File(path.clone()),
            };
            let prepared = prepare(&source, &preprocessing, input, &[Draw::identity()]).expect("an image");
            assert!(tensor == prepared, "{}", path.display());
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
}
