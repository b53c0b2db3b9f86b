//! Programs that are killed at any moment, or that refuse what they are told: no file of a user is torn or lost, and nothing is left behind.

use equibatch_client::learn::{
    checkpoint::Checkpoint,
    fit::{self, EpochRecord, Fit, FitOutcome, Observer, StepEvent, policy::Policy},
    learner::Learner,
    metrics::Metric,
    run::{RunConfig, RunFolder},
};
use equibatch_stream::{RetryPolicy, Servers};
use equibatch_training::{
    program::import,
    runtime::{Runtime, SessionOptions},
};
use std::{
    collections::BTreeMap,
    fs,
    num::{NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::AtomicBool,
    time::Duration,
};

use equibatch_harness::{
    images::{decoded, picture},
    process::{ClientProcess, ServerProcess, client, program},
};
use serde_json::Value;

use super::training::{pictures, text, train, words};

/// Delays from zero on that differ from another, up to `longest`, the same every time.
fn delays(longest: Duration) -> impl Iterator<Item = Duration> {
    (0_u32..).map(move |number| longest.mul_f64(f64::from(number * 7919 % 100) / 100.0))
}

/// The files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), PathBuf::from(entry.file_name()));
        if path.is_dir() {
            let inner = files(&path).into_iter();
            found.extend(inner.map(|(path, bytes)| (name.join(path), bytes)));
        } else {
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

/// Every file of a run is whole; returns how many steps are saved.
fn whole(run: &Path) -> Option<u64> {
    if !run.exists() {
        return None;
    }
    for (path, bytes) in files(run) {
        let name = path.file_name().unwrap().to_str().unwrap();
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if name.starts_with('.') => {}
            Some("safetensors") => drop(Checkpoint::load(&run.join(&path)).unwrap()),
            Some("onnx") => drop(import::read(&bytes, &|_| unreachable!("one file")).unwrap()),
            Some("json") => drop(serde_json::from_slice::<Value>(&bytes).unwrap()),
            Some("jsonl") => {
                // All but a last line that was being written.
                let lines = bytes.split_inclusive(|&byte| byte == b'\n');
                for line in lines.filter(|line| line.ends_with(b"\n")) {
                    serde_json::from_slice::<Value>(line).unwrap();
                }
            }
            _ => {}
        }
    }
    let saved = Checkpoint::load(&run.join("checkpoint.safetensors")).ok()?;
    Some(saved.progress.steps)
}

/// How often the training is killed; `EQUIBATCH_KILLS` says another number.
const KILLS: usize = 7;

#[test]
fn a_training_that_is_killed_again_and_again_has_whole_files_and_ends_with_the_same_bits() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--threads", "1"]);
    let folder = tempfile::tempdir().unwrap();
    let unbroken = folder.path().join("unbroken");
    // In the middle of an epoch and at its end; four steps each.
    let more = |run: &Path| {
        let flags =
            "--epochs 20 --checkpoint-every 3 --keep-checkpoints 2 --save-best loss --no-tensorboard --out";
        let flags: Vec<&str> = flags.split(' ').collect();
        train(&server.address, &[&flags[..], &[text(run)]].concat())
    };
    let output = client(&words(&more(&unbroken)));
    assert!(output.status.success(), "{output:?}");
    let resume = |run: &Path| {
        let typed = [
            "train",
            "--threads",
            "1",
            "--no-tensorboard",
            "--server",
            &server.address,
            "--resume",
            text(run),
        ];
        typed.map(str::to_owned).to_vec()
    };
    let kills = std::env::var("EQUIBATCH_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let (mut done, mut delays) = (0, delays(Duration::from_millis(400)));
    for number in 0.. {
        let killed = folder.path().join(format!("killed-{number}"));
        let mut saved = None;
        // Of eighty.
        while done < kills && saved <= Some(70) {
            let typed = if saved.is_some() {
                resume(&killed)
            } else {
                more(&killed)
            };
            let mut process = ClientProcess::start(&words(&typed));
            process.wait_for_line("batches come by");
            std::thread::sleep(delays.next().unwrap());
            process.kill();
            drop(process);
            let now = whole(&killed);
            assert!(now >= saved, "{now:?} steps are saved, and {saved:?} were");
            saved = now;
            // Otherwise it may have been over before.
            done += usize::from(saved < Some(80));
        }
        let output = client(&words(&resume(&killed)));
        assert!(output.status.success(), "{output:?}");
        assert_alike(&unbroken, &killed);
        if done >= kills {
            break;
        }
    }
    #[allow(
        clippy::print_stdout,
        reason = "whoever asks for more kills wants to see them"
    )]
    {
        println!("killed {done} times");
    }
}

/// The run that was killed has the files of the one that was not, and wrote down each step and epoch once.
fn assert_alike(unbroken: &Path, killed: &Path) {
    for file in ["steps.jsonl", "metrics.jsonl"] {
        let [unbroken, killed] = [unbroken, killed].map(|run| lines(&run.join(file)));
        let differing = unbroken.iter().zip(&killed).find(|(left, right)| left != right);
        assert_eq!(differing, None, "{file}");
        assert_eq!(unbroken.len(), killed.len(), "{file}");
    }
    let lasting = |run: &Path| {
        let mut files = files(run);
        files.retain(|path, _| {
            matches!(
                path.extension().and_then(|e| e.to_str()),
                Some("safetensors" | "onnx")
            )
        });
        files
    };
    let [unbroken, lasted] = [unbroken, killed].map(lasting);
    assert_eq!(
        unbroken.keys().collect::<Vec<_>>(),
        lasted.keys().collect::<Vec<_>>()
    );
    assert!(unbroken == lasted, "the files differ");
    let is_left = |path: &PathBuf| path.to_str().unwrap().contains(".part");
    assert!(!files(killed).keys().any(is_left), "temporary files are left");
}

/// The lines of a file of JSON objects, without what depends on time.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| {
        let mut line: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        for key in [
            "seconds",
            "waited",
            "images_per_second",
            "wait_share",
            "bottleneck",
            "bottleneck_share",
        ] {
            line.remove(key);
        }
        Value::Object(line)
    });
    lines.collect()
}

/// The lines of `metrics.jsonl`, of equal epochs the last one.
fn epochs(run: &Path) -> BTreeMap<u64, Value> {
    let lines = lines(&run.join("metrics.jsonl")).into_iter();
    lines
        .map(|line| (line["epoch"].as_u64().unwrap(), line))
        .collect()
}

#[test]
fn a_verification_in_place_that_is_killed_again_and_again_loses_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let class = folder.path().join("birds");
    fs::create_dir(&class).unwrap();
    for number in 0..60 {
        let extension = if number % 2 == 0 { "png" } else { "jpg" };
        let path = class.join(format!("{number:02}.{extension}"));
        picture((240, 200), number).save(path).unwrap();
    }
    let originals = files(&class);
    let mut command = Command::new(program("server"));
    command.args([
        "verify",
        text(folder.path()),
        "--in-place",
        "--max-size",
        "100",
        "--threads",
        "2",
    ]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let check = || {
        let now = files(&class);
        for (path, bytes) in &originals {
            let jpeg = path.with_extension("jpg");
            let is_original = now.get(path) == Some(bytes);
            let is_converted = now.contains_key(&jpeg) && {
                let image = decoded(&class.join(&jpeg));
                now[&jpeg] != *bytes && image.width() == 100
            };
            assert!(is_original || is_converted, "{} is lost", path.display());
        }
    };
    let mut was_killed = 0;
    for delay in delays(Duration::from_millis(600)).take(40) {
        let mut process = command.spawn().unwrap();
        std::thread::sleep(delay);
        process.kill().unwrap();
        let status = process.wait().unwrap();
        check();
        was_killed += usize::from(status.code().is_none());
        if status.code().is_some() && was_killed > 0 {
            break;
        }
    }
    assert!(was_killed > 0);
    assert!(command.status().unwrap().code().is_some());
    check();
    let now = files(&class);
    let is_left = |path: &&PathBuf| path.extension().unwrap() != "jpg";
    assert_eq!(
        now.keys().find(is_left),
        None,
        "all are converted, and nothing else is left"
    );
}

#[test]
fn a_training_never_touches_a_folder_of_others() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("src")).unwrap();
    fs::write(path("src/main.rs"), "fn main() {}").unwrap();
    fs::write(path("model.onnx"), "mine").unwrap();
    let file = path("experiment.toml");
    let stages = "size = 32\nbatch-size = 8\narch = \"resnet18@2\"\n[[stage]]\nname = \"first\"\nepochs = 1\n[[stage]]\nname = \"src\"\nepochs = 1\n";
    fs::write(&file, stages).unwrap();
    let before = files(folder.path());
    let out = text(folder.path());
    for (more, named) in [
        (vec!["--experiment", text(&file)], "main.rs"),
        (vec!["--epochs", "1"], "is not empty"),
    ] {
        let more = [&more[..], &["--out", out]].concat();
        let output = client(&words(&train(&server.address, &more)));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{errors}");
        assert!(errors.contains(named) && errors.contains("--out"), "{errors}");
        assert!(files(folder.path()) == before, "something was touched");
    }
}

#[test]
fn a_training_that_is_refused_leaves_no_folder() {
    let images = pictures();
    // The stream of a run is longer than the one that is asked for first.
    let server = ServerProcess::start(images.root(), &["--max-epochs", "1"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("experiment.toml");
    fs::write(
        &file,
        "size = 32\nbatch-size = 8\narch = \"resnet18@2\"\n[[stage]]\nepochs = 2\n",
    )
    .unwrap();
    let run = folder.path().join("deep/run");
    for more in [
        vec!["--epochs", "2"],
        vec!["--experiment", text(&file)],
        vec!["--experiment", text(&file), "--dataset", "dogs"],
    ] {
        let more = [&more[..], &["--out", text(&run)]].concat();
        let output = client(&words(&train(&server.address, &more)));
        assert!(!output.status.success(), "{output:?}");
        assert!(!folder.path().join("deep").exists(), "{more:?}: {output:?}");
    }
}

/// Four steps an epoch, with everything that a checkpoint must hold.
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

/// Does something behind a step.
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

/// Trains from where `learner` stands, with a checkpoint every three steps.
fn fit(
    servers: &Servers,
    (learner, run): (&mut Learner, &RunFolder),
    observer: &mut dyn Observer,
) -> Result<FitOutcome, fit::Error> {
    Fit {
        servers,
        learner,
        run,
        prefetch: 1,
        has_valid: true,
        checkpoint_every: NonZeroU64::new(3),
        stop: &AtomicBool::new(false),
    }
    .run(observer)
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
fn a_run_goes_on_from_the_middle_of_an_epoch_bit_for_bit() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--threads", "1"]);
    let servers = Servers::open(&server.address, RetryPolicy::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [unbroken, killed, broken] = ["unbroken", "killed", "broken"].map(|name| folder.path().join(name));
    let config = config(&servers);
    assert_eq!(config.steps_per_epoch, 4);
    let (mut learner, run) = new(&config, &unbroken);
    // What the folder of a process is like that is killed behind step 7: the checkpoint is that of step 6.
    let mut copied = Behind(7, || {
        fs::create_dir(&killed).unwrap();
        for (name, bytes) in files(&unbroken) {
            fs::write(killed.join(name), bytes).unwrap();
        }
    });
    let outcome = fit(&servers, (&mut learner, &run), &mut copied).unwrap();
    assert_eq!(outcome, FitOutcome::Finished);
    let (mut learner, run) = resumed(&killed);
    assert_eq!(learner.progress().steps, 6);
    fit(&servers, (&mut learner, &run), &mut Behind(0, || {})).unwrap();
    assert_equal(&unbroken, &killed);

    // A step whose gradients overflow ends the run, and what was saved stays.
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
    let before = files(&broken);
    let resume = [
        "train",
        "--server",
        &server.address,
        "--threads",
        "1",
        "--no-tensorboard",
        "--resume",
        text(&broken),
    ];
    let output = client(&resume);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for part in [
        "a gradient became",
        "epoch 1 step 1",
        "learning rate",
        "seed 3 epoch 0 step 0",
    ] {
        assert!(errors.contains(part), "{errors}");
    }
    let after = files(&broken);
    assert!(
        before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)),
        "what was saved is gone"
    );
    assert!(!after.contains_key(Path::new("model.onnx")));
}

#[test]
fn an_epoch_that_could_not_be_evaluated_is_evaluated_when_the_run_goes_on() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let [unbroken, broken] = ["unbroken", "broken"].map(|name| folder.path().join(name));
    let patience = RetryPolicy {
        retry_for: Duration::from_millis(500),
        ..RetryPolicy::default()
    };
    let serve = || {
        let server = ServerProcess::start(images.root(), &["--threads", "1"]);
        let servers = Servers::open(&server.address, patience).unwrap();
        (server, servers)
    };
    let (_server, servers) = serve();
    let config = config(&servers);
    let (mut learner, run) = new(&config, &unbroken);
    fit(&servers, (&mut learner, &run), &mut Behind(0, || {})).unwrap();

    // The server dies behind the last step of each epoch, before the evaluation.
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
