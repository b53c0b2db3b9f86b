use super::*;
use crate::learn::run::sample as config;

#[test]
fn a_run_configuration_round_trips() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("deep/run");
    RunFolder::create(&path, &config()).expect("made");
    let (_, read) = RunFolder::open(&path).expect("opened");
    assert_eq!(read, config());
}

#[test]
fn a_run_is_not_overwritten_by_another() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    RunFolder::create(folder.path(), &config()).expect("made");
    // A run killed before its first checkpoint may be started again.
    fs::write(folder.path().join(".equibatch-x.part"), b"").expect("written");
    RunFolder::create(folder.path(), &config()).expect("nothing to go on from");
    for file in [CHECKPOINT, "model.onnx"] {
        let path = folder.path().join(file);
        fs::write(&path, b"").expect("written");
        let message = RunFolder::create(folder.path(), &config())
            .expect_err("occupied")
            .to_string();
        assert!(message.contains("--resume"), "{message}");
        fs::remove_file(path).expect("removed");
    }
}

#[test]
fn a_folder_with_other_files_is_refused_by_name_and_unchanged() {
    for file in ["model.onnx", "config.json", "stream.json", "steps.jsonl"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join(file), b"{}").expect("written");
        let message = RunFolder::create(folder.path(), &config())
            .expect_err("refused")
            .to_string();
        assert!(message.contains(file) && message.contains("--out"), "{message}");
        assert_eq!(names(folder.path()).expect("names"), [file]);
    }
}

#[test]
fn discarding_a_run_leaves_other_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a/b");
    let begin = || RunFolder::create(&path, &config()).expect("made");
    begin().discard();
    assert_eq!(names(folder.path()).expect("names"), Vec::<String>::new());
    let run = begin();
    run.append_metrics(&1).expect("written");
    fs::write(path.join("notes.txt"), b"mine").expect("written");
    run.discard();
    assert_eq!(names(&path).expect("names"), ["notes.txt"]);
    fs::remove_file(path.join("notes.txt")).expect("removed");
    begin().discard();
    assert_eq!(
        names(&path).expect("a folder that was there"),
        Vec::<String>::new()
    );
}

#[test]
fn a_folder_without_a_run_is_refused_with_the_missing_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let message = RunFolder::open(folder.path()).expect_err("no run").to_string();
    assert_eq!(
        message,
        format!(
            "{} contains no run: there is no config.json",
            folder.path().display()
        )
    );
    fs::write(folder.path().join("config.json"), "{\"dataset\": 3}").expect("written");
    let message = RunFolder::open(folder.path()).expect_err("no run").to_string();
    assert!(message.contains("cannot parse config.json"), "{message}");
}

#[test]
fn metrics_are_one_line_each() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = RunFolder::create(folder.path(), &config()).expect("made");
    for epoch in 1..=2 {
        run.append_metrics(&serde_json::json!({ "epoch": epoch }))
            .expect("written");
    }
    let text = fs::read_to_string(folder.path().join("metrics.jsonl")).expect("readable");
    assert_eq!(text, "{\"epoch\":1}\n{\"epoch\":2}\n");
}
