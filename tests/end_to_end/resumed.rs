//! Runs resumed within an epoch, and before the evaluation of an epoch, in this process.

use equibatch_client::learn::{
    checkpoint::Checkpoint,
    fit::{self, EpochRecord, EpochWriter, Fit, FitOutcome, Observer, StepEvent, policy::Policy},
    learner::Learner,
    metrics::Metric,
    run::{RunConfig, RunFolder},
};
use equibatch_stream::{RetryPolicy, Servers};
use equibatch_training::runtime::{Runtime, SessionOptions};
use std::{
    collections::BTreeMap,
    fs,
    num::{NonZeroU64, NonZeroUsize},
    path::Path,
    sync::atomic::AtomicBool,
    time::Duration,
};

use equibatch_harness::{
    files,
    process::{ServerProcess, client, errors},
};
use serde_json::Value;

use super::{
    killed::lines,
    setup::{pictures, resume},
};

/// Four steps per epoch, with all options that a checkpoint has state for.
fn config(servers: &Servers) -> RunConfig {
    let asked = RunConfig {
        arch: "resnet18@8".to_owned(),
        epochs: 3,
        batch_size: 8,
        image_size: 32,
        seed: 3,
        clip_norm: Some(1.0),
        ema: Some(0.9),
        policy: Policy {
            save_best: Some(Metric::Loss),
            ..Policy::default()
        },
        ..RunConfig::default()
    };
    let stream = servers.stream(&asked.images(3), 1).unwrap();
    asked.described(stream.description())
}

/// Calls a function after a step.
struct Behind<F>(u64, F);

impl<F: FnMut()> Observer for Behind<F> {
    fn step(&mut self, step: &StepEvent) {
        if step.steps == self.0 {
            (self.1)();
        }
    }

    fn epoch(&mut self, _record: &EpochRecord) {}
}

fn options() -> SessionOptions {
    SessionOptions {
        intra_threads: NonZeroUsize::new(1),
        ..SessionOptions::default()
    }
}

/// Trains from the learner's state, with a checkpoint every three steps.
fn fit(
    servers: &Servers,
    (learner, run): (&mut Learner, &RunFolder),
    observer: &mut dyn Observer,
) -> Result<FitOutcome, fit::Error> {
    let mut writer = EpochWriter::default();
    let fit = Fit {
        servers,
        learner,
        run,
        prefetch: 1,
        has_valid: true,
        checkpoint_every: NonZeroU64::new(3),
        stop: &AtomicBool::new(false),
        writer: &mut writer,
        last_evaluation: &mut None,
    };
    let outcome = fit.run(observer)?;
    writer.wait()?;
    Ok(outcome)
}

fn new(config: &RunConfig, folder: &Path) -> (Learner, RunFolder) {
    let learner = Learner::new(&Runtime::load().unwrap(), config, &options()).unwrap();
    (learner, RunFolder::create(folder, config).unwrap())
}

fn resumed(folder: &Path) -> (Learner, RunFolder) {
    let (run, config) = RunFolder::open(folder).unwrap();
    let checkpoint = run.load_checkpoint(&config).unwrap();
    let learner = Learner::resume(&Runtime::load().unwrap(), checkpoint, &options()).unwrap();
    (learner, run)
}

const LASTING: [&str; 4] = [
    "checkpoint.safetensors",
    "model.onnx",
    "best.safetensors",
    "best.onnx",
];

fn assert_equal(left: &Path, right: &Path) {
    assert_eq!(epochs(left), epochs(right));
    for file in LASTING {
        let [left, right] = [left, right].map(|run| fs::read(run.join(file)).unwrap());
        assert!(left == right, "{file} differs");
    }
}

#[test]
fn a_run_resumes_within_an_epoch_bit_for_bit() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--threads", "1"]);
    let servers = Servers::open(&server.address, RetryPolicy::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [unbroken, killed, broken] = ["unbroken", "killed", "broken"].map(|name| folder.path().join(name));
    let config = config(&servers);
    assert_eq!(config.steps_per_epoch, 4);
    let (mut learner, run) = new(&config, &unbroken);
    // The folder of a process killed after step 7, with the checkpoint of step 6.
    let mut copied = Behind(7, || {
        fs::create_dir(&killed).unwrap();
        for (name, bytes) in files::below(&unbroken) {
            fs::write(killed.join(name), bytes).unwrap();
        }
    });
    let outcome = fit(&servers, (&mut learner, &run), &mut copied).unwrap();
    assert_eq!(outcome, FitOutcome::Finished);
    let (mut learner, run) = resumed(&killed);
    assert_eq!(learner.progress().steps, 6);
    fit(&servers, (&mut learner, &run), &mut Behind(0, || {})).unwrap();
    assert_equal(&unbroken, &killed);

    // A step with overflowing gradients ends the run, and saved files stay.
    let (learner, run) = new(&config, &broken);
    let mut checkpoint = Checkpoint::load(&killed.join("checkpoint.safetensors")).unwrap();
    checkpoint.progress = learner.progress().clone();
    checkpoint.tensors.retain(|name, _| !name.starts_with("average."));
    let last = checkpoint.tensors.get_mut("head.8.weight").unwrap();
    last.data.iter_mut().for_each(|weight| *weight *= 1e30);
    for (name, tensor) in learner.checkpoint().unwrap().tensors {
        checkpoint.tensors.entry(name).or_insert(tensor);
    }
    run.save_checkpoint(&checkpoint).unwrap();
    let before = files::below(&broken);
    let output = client(&[&resume(&server.address, &broken)[..], &["--no-tensorboard"]].concat());
    let errors = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for part in [
        "a gradient became",
        "epoch 1 step 1",
        "learning rate",
        "seed 3 epoch 0 step 0",
    ] {
        assert!(errors.contains(part), "{errors}");
    }
    let after = files::below(&broken);
    assert!(
        before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)),
        "saved files were removed"
    );
    assert!(!after.contains_key(Path::new("model.onnx")));
}

#[test]
fn an_epoch_that_could_not_be_evaluated_is_evaluated_on_resume() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let [unbroken, broken] = ["unbroken", "broken"].map(|name| folder.path().join(name));
    let retry = RetryPolicy {
        retry_for: Duration::from_millis(500),
        ..RetryPolicy::default()
    };
    let serve = || {
        let server = ServerProcess::start(images.root(), &["--threads", "1"]);
        let servers = Servers::open(&server.address, retry).unwrap();
        (server, servers)
    };
    let (_server, servers) = serve();
    let config = config(&servers);
    let (mut learner, run) = new(&config, &unbroken);
    fit(&servers, (&mut learner, &run), &mut Behind(0, || {})).unwrap();

    // The server dies after the last step of each epoch, before the evaluation.
    for end in [4, 8, 12] {
        let (mut server, servers) = serve();
        let (mut learner, run) = if end == 4 {
            new(&config, &broken)
        } else {
            resumed(&broken)
        };
        let error = fit(&servers, (&mut learner, &run), &mut Behind(end, || server.kill())).unwrap_err();
        assert!(matches!(error, fit::Error::Stopped { .. }), "{error}");
        let saved = Checkpoint::load(&run.checkpoint_path()).unwrap();
        assert_eq!(saved.progress.steps, end);
        assert!(saved.progress.awaits_evaluation() && !saved.progress.is_over());
    }
    let (mut learner, run) = resumed(&broken);
    let outcome = fit(&servers, (&mut learner, &run), &mut Behind(0, || {})).unwrap();
    assert_eq!(outcome, FitOutcome::Finished);
    assert_equal(&unbroken, &broken);
}

/// The lines of `metrics.jsonl`; of lines of one epoch, the last.
fn epochs(run: &Path) -> BTreeMap<u64, Value> {
    let lines = lines(&run.join("metrics.jsonl")).into_iter();
    lines
        .map(|line| (line["epoch"].as_u64().unwrap(), line))
        .collect()
}
