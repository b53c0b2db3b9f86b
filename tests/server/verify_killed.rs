//! `server verify --in-place`, killed at any moment.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use equibatch_harness::{
    files,
    images::{decoded, picture},
    process::{arguments, program, text},
    wait::delays,
};

#[test]
fn a_verification_in_place_killed_repeatedly_loses_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let class = folder.path().join("birds");
    fs::create_dir(&class).unwrap();
    for number in 0..60 {
        let extension = if number % 2 == 0 { "png" } else { "jpg" };
        let path = class.join(format!("{number:02}.{extension}"));
        picture((240, 200), number).save(path).unwrap();
    }
    let originals = files::below(&class);
    let mut command = Command::new(program("server"));
    command
        .args(arguments(
            "verify --in-place --max-size 100 --threads 2",
            &[text(folder.path())],
        ))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let check = || {
        let now = files::below(&class);
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
    let now = files::below(&class);
    let is_left = |path: &&PathBuf| path.extension().unwrap() != "jpg";
    assert_eq!(
        now.keys().find(is_left),
        None,
        "all are converted, and nothing else is left"
    );
}
