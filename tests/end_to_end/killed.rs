//! Programs that are killed at any moment, or that refuse their arguments: no user file is torn or lost, and nothing is left behind.

use equibatch_client::learn::checkpoint::Checkpoint;
use equibatch_training::program::import;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use equibatch_harness::{
    files,
    process::{ClientProcess, ServerProcess, arguments, client, text},
    wait::delays,
};
use serde_json::Value;

use super::setup::{pictures, resume, train};

/// Checks that every file of a run is whole; returns the number of steps in the checkpoint.
fn whole(run: &Path) -> Option<u64> {
    if !run.exists() {
        return None;
    }
    for (path, bytes) in files::below(run) {
        let name = path.file_name().unwrap().to_str().unwrap();
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if name.starts_with('.') => {}
            Some("safetensors") => drop(Checkpoint::load(&run.join(&path)).unwrap()),
            Some("onnx") => drop(import::read(&bytes, &|_| unreachable!("one file")).unwrap()),
            Some("json") => drop(serde_json::from_slice::<Value>(&bytes).unwrap()),
            Some("jsonl") => {
                // Except for a last line that was being written.
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

/// How often the training is killed; `EQUIBATCH_KILLS` overrides it.
const KILLS: usize = 7;

#[test]
fn a_training_killed_repeatedly_has_whole_files_and_ends_with_the_same_bits() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &["--threads", "1"]);
    let folder = tempfile::tempdir().unwrap();
    let unbroken = folder.path().join("unbroken");
    // Checkpoints within an epoch and at its end, after four steps.
    let flags =
        "--epochs 20 --checkpoint-every 3 --keep-checkpoints 2 --save-best loss --no-tensorboard --out";
    let output = client(&train(&server.address, &arguments(flags, &[text(&unbroken)])));
    assert!(output.status.success(), "{output:?}");
    let kills = std::env::var("EQUIBATCH_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let (mut done, mut delays) = (0, delays(Duration::from_millis(400)));
    for number in 0.. {
        let killed = folder.path().join(format!("killed-{number}"));
        let resume = [&resume(&server.address, &killed)[..], &["--no-tensorboard"]].concat();
        let mut saved = None;
        // Of eighty.
        while done < kills && saved <= Some(70) {
            let typed = if saved.is_some() {
                resume.clone()
            } else {
                train(&server.address, &arguments(flags, &[text(&killed)]))
            };
            let mut process = ClientProcess::start(&typed);
            process.wait_for_line("batches come by");
            std::thread::sleep(delays.next().unwrap());
            process.kill();
            drop(process);
            let now = whole(&killed);
            assert!(now >= saved, "{now:?} steps are saved, and {saved:?} were");
            saved = now;
            // Otherwise it may have ended before.
            done += usize::from(saved < Some(80));
        }
        let output = client(&resume);
        assert!(output.status.success(), "{output:?}");
        assert_alike(&unbroken, &killed);
        if done >= kills {
            break;
        }
    }
    #[allow(clippy::print_stdout, reason = "printed for EQUIBATCH_KILLS")]
    {
        println!("killed {done} times");
    }
}

/// The killed run has the files of the uninterrupted one, and its log has each step and epoch once.
fn assert_alike(unbroken: &Path, killed: &Path) {
    for file in ["steps.jsonl", "metrics.jsonl"] {
        let [unbroken, killed] = [unbroken, killed].map(|run| lines(&run.join(file)));
        let differing = unbroken.iter().zip(&killed).find(|(left, right)| left != right);
        assert_eq!(differing, None, "{file}");
        assert_eq!(unbroken.len(), killed.len(), "{file}");
    }
    let lasting = |run: &Path| {
        let mut files = files::below(run);
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
    assert!(
        !files::below(killed).keys().any(is_left),
        "temporary files are left"
    );
}

/// The lines of a file of JSON objects, without what depends on time.
pub(super) fn lines(path: &Path) -> Vec<Value> {
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

#[test]
fn training_never_writes_to_a_foreign_folder() {
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
    let before = files::below(folder.path());
    let out = text(folder.path());
    for (more, named) in [
        (vec!["--experiment", text(&file)], "main.rs"),
        (vec!["--epochs", "1"], "is not empty"),
    ] {
        let more = [&more[..], &["--out", out]].concat();
        let output = client(&train(&server.address, &more));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{errors}");
        assert!(errors.contains(named) && errors.contains("--out"), "{errors}");
        assert!(files::below(folder.path()) == before, "a file was changed");
    }
}

#[test]
fn a_refused_training_leaves_no_folder() {
    let images = pictures();
    // The stream of a run is longer than the one opened first.
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
        let output = client(&train(&server.address, &more));
        assert!(!output.status.success(), "{output:?}");
        assert!(!folder.path().join("deep").exists(), "{more:?}: {output:?}");
    }
}
